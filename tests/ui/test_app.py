"""`python app.py` with wrong arguments: one sentence, no traceback."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "app.py"


def run(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, APP, *arguments], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--models", "no/such/folder/here"], "there is no such folder"),
        (["--models", str(APP)], "that is a file"),
        (["--models", str(APP.parent / "tests")], "model_index.json"),
        (["--port", "0"], "1 to 65535"),
        (["--port", "99999"], "1 to 65535"),
        (["--port", "abc"], "invalid int value"),
        (["--host", "256.1.1.1"], "Cannot listen on 256.1.1.1"),
        (["--modles", "x"], "unrecognized arguments"),
    ],
)
def test_wrong_arguments_are_one_sentence(arguments, says):
    result = run("--port", "7999", *arguments)
    assert result.returncode == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("app.py: ")]) == 1


def test_a_busy_port_is_one_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("--port", str(port))
    assert result.returncode == 2
    assert f"Cannot listen on 127.0.0.1 port {port}" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1
