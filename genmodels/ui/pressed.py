"""gzip of what many visitors ask for: made once, however many ask for it at the same moment, and not by the server's loop."""

from __future__ import annotations

import asyncio
import functools
import gzip
import struct
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

# A small file does not wait for a large one.
PRESSES = ThreadPoolExecutor(2, thread_name_prefix="press")
HEADERS = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
# Answers that are kept.
MOST = 128


def takes_gzip(scope: Scope) -> bool:
    """Whether who asks can unpack it."""
    return "gzip" in Headers(scope=scope).get("accept-encoding", "")


async def pressed(source: Path | bytes, changed: float = 0) -> bytes:
    """A file or text as gzip.

    Args:
        changed: when a file was; another time is another file.

    Raises:
        OSError: the file cannot be read.
    """
    work = _begun(source, changed)
    try:
        # Who leaves takes it from nobody else.
        return await asyncio.shield(asyncio.wrap_future(work))
    except OSError:
        _begun.cache_clear()
        raise


@functools.lru_cache(MOST)
def _begun(source: Path | bytes, changed: float) -> Future[bytes]:
    """The work of pressing, given out once: the server's loop alone asks, and this does not wait."""
    return PRESSES.submit(lambda: gzip.compress(source if isinstance(source, bytes) else source.read_bytes(), 6))


async def answer(scope: Scope, content: bytes, kind: str, headers: dict[str, str]) -> Response:
    """Content that is always the same, pressed for who takes it so."""
    headers = {**headers, "Vary": HEADERS["Vary"]}
    if takes_gzip(scope):
        content, headers = await pressed(content), {**headers, **HEADERS}
    return Response(content, media_type=kind, headers=headers)


class Spliced:
    """A text with a name in it that differs from request to request, pressed but for the name.

    Args:
        text: with `name` in it.
        name: what stands for those to come.
    """

    def __init__(self, text: bytes, name: bytes):
        self.parts = text.split(name)
        self.pressed = [_deflated(part) for part in self.parts]

    def plain(self, name: bytes) -> bytes:
        """The text with another name."""
        return name.join(self.parts)

    def gzip(self, name: bytes) -> bytes:
        """The same as gzip."""
        plain = self.plain(name)
        # RFC 1952: no time, no file's name; then RFC 1951's blocks, the last of which is empty.
        blocks = _deflated(name).join(self.pressed) + b"\x03\x00"
        return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + blocks + struct.pack("<II", zlib.crc32(plain), len(plain))


def _deflated(data: bytes) -> bytes:
    """Blocks of RFC 1951 behind which, and before which, may stand any others."""
    press = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return press.compress(data) + press.flush(zlib.Z_FULL_FLUSH)
