"""What many ask for is pressed once, and a text with a name in it but for the name."""

from __future__ import annotations

import asyncio
import gzip
import threading

import pytest
from helpers import run_coroutine

from genmodels.ui import pressed


@pytest.fixture
def counted(monkeypatch):
    """The texts that are pressed, in their order, none before the gate is open."""
    seen, gate, press = [], threading.Event(), gzip.compress

    def compress(data: bytes, level: int) -> bytes:
        seen.append(data)
        assert gate.wait(60)
        return press(data, level)

    monkeypatch.setattr(pressed.gzip, "compress", compress)
    pressed._begun.cache_clear()
    yield seen, gate
    gate.set()
    pressed._begun.cache_clear()


def test_who_asks_at_the_same_moment_gets_what_is_made_once(counted, tmp_path):
    seen, gate = counted
    file = tmp_path / "index.json"
    file.write_bytes(b"[" + b"1," * 1000 + b"1]")

    async def ask() -> list[bytes]:
        waiting = [asyncio.ensure_future(pressed.pressed(file, 1.0)) for _ in range(50)]
        await asyncio.sleep(0)
        # One of them leaves, which takes it from nobody else.
        waiting.pop(0).cancel()
        gate.set()
        return [*await asyncio.gather(*waiting), await pressed.pressed(file, 1.0)]

    answers = run_coroutine(ask())
    assert {gzip.decompress(answer) for answer in answers} == {file.read_bytes()}
    assert (len(answers), len(seen)) == (50, 1)
    # A file that has changed is another.
    file.write_bytes(b"[]")
    assert gzip.decompress(run_coroutine(pressed.pressed(file, 2.0))) == b"[]"
    assert len(seen) == 2


def test_a_file_that_could_not_be_read_is_asked_for_again(tmp_path):
    file = tmp_path / "late.json"
    with pytest.raises(OSError, match=r"late\.json"):
        run_coroutine(pressed.pressed(file, 0.0))
    file.write_bytes(b"[]")
    assert gzip.decompress(run_coroutine(pressed.pressed(file, 0.0))) == b"[]"


@pytest.mark.parametrize("text", [b"", b"no name", b"NAME", b"<NAME>" + bytes(range(256)) * 50 + b"NAMENAME"])
def test_a_name_is_put_in_where_another_stood(text):
    page = pressed.Spliced(text, b"NAME")
    for name in (b"NAME", b"http://127.0.0.1:7860", b"", b"x" * 5000):
        assert page.plain(name) == text.replace(b"NAME", name)
        assert gzip.decompress(page.gzip(name)) == page.plain(name)
