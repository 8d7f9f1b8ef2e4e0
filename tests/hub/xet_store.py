"""The Xet protocol as far as hf_xet speaks it: files go up as chunks in containers (xorbs) with a table of contents (shards).

Each file that a shard names is put together at once and checked against its SHA-256; clients that download by Xet are
told which chunks of which xorbs make it up.
"""

from __future__ import annotations

import hashlib
import re
import struct

try:
    import lz4.frame as lz4
except ImportError:  # then clients need HF_HUB_DISABLE_XET=1
    lz4 = None

# A term of a file: xorb, first chunk, end chunk, bytes.
Term = tuple[str, int, int, int]


def to_hex(raw: bytes) -> str:
    """Hashes are written as four little-endian 64-bit words."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", raw))


def layout(xorb: bytes) -> list[tuple[int, int, int, int]]:
    """(offset, stored size, scheme, real size) of the chunks, from their 8-byte headers: version 0, stored size in 3
    bytes, scheme, real size in 3 bytes; a footer follows them."""
    at, chunks = 0, []
    while at + 8 <= len(xorb) and xorb[at] == 0:
        stored, real = (int.from_bytes(xorb[at + i : at + i + 3], "little") for i in (1, 5))
        chunks.append((at, stored, xorb[at + 4], real))
        at += 8 + stored
    return chunks


def unpack(xorb: bytes) -> list[bytes]:
    """The chunks of a xorb, decompressed."""
    chunks = []
    for at, stored, scheme, _ in layout(xorb):
        chunk = xorb[at + 8 : at + 8 + stored]
        if scheme:
            chunk = lz4.decompress(chunk)
        if scheme == 2:  # the bytes were grouped by their position modulo 4
            whole, start = bytearray(len(chunk)), 0
            for k in range(4):
                size = len(whole[k::4])
                whole[k::4] = chunk[start : start + size]
                start += size
            chunk = bytes(whole)
        chunks.append(chunk)
    return chunks


def read_shard(shard: bytes) -> list[tuple[str, list[Term]]]:
    """(xet hash, terms) of each file in a shard: after a 48-byte header come records of 48 bytes, per file one head, its
    terms and, by flag, as many verifications and one record with the SHA-256; a head of 0xff bytes ends the list."""
    at, files = 48, []
    while shard[at : at + 32] != b"\xff" * 32:
        name = to_hex(shard[at : at + 32])
        flags, count = struct.unpack_from("<2I", shard, at + 32)
        terms = []
        for row in range(at + 48, at + 48 * (count + 1), 48):
            _, size, first, end = struct.unpack_from("<4I", shard, row + 32)
            terms.append((to_hex(shard[row : row + 32]), first, end, size))
        files.append((name, terms))
        at += 48 * (1 + count + (count if flags & 0x80000000 else 0) + (1 if flags & 0x40000000 else 0))
    return files


class XetStore:
    """What came up by Xet.

    Attributes:
        xorbs: containers by hash.
        data: whole files by SHA-256.
        hashes: SHA-256 to the file's Xet hash.
    """

    def __init__(self):
        self.xorbs: dict[str, bytes] = {}
        self.data: dict[str, bytes] = {}
        self.hashes: dict[str, str] = {}
        self._terms: dict[str, list[Term]] = {}

    def take_shard(self, shard: bytes) -> None:
        """Put the shard's files together; raises KeyError for a xorb that never came."""
        for name, terms in read_shard(shard):
            data = b"".join(b"".join(unpack(self.xorbs[xorb])[first:end]) for xorb, first, end, _ in terms)
            digest = hashlib.sha256(data).hexdigest()
            self.data[digest], self.hashes[digest], self._terms[name] = data, name, terms

    def reconstruction(self, name: str, asked: str, url_of) -> dict | None:
        """Which chunks make up the file `name`, or the range "bytes=a-b" of it; None if the range lies beyond its end.

        `url_of` gives the address of a xorb.
        """
        terms, total = self._terms[name], sum(term[3] for term in self._terms[name])
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
        start = int(match[1]) if match else 0
        stop = min(int(match[2]) + 1, total) if match and match[2] else total
        if start >= total > 0:
            return None
        rows, fetch, skipped, at = [], {}, 0, 0
        for xorb, first, end, _ in terms:
            chunks, kept = layout(self.xorbs[xorb]), []
            for i in range(first, end):
                size = chunks[i][3]
                if at < stop and at + size > start:
                    if not rows and not kept:
                        skipped = max(0, start - at)
                    kept.append(i)
                at += size
            if kept:
                span = {"start": kept[0], "end": kept[-1] + 1}
                rows.append({"hash": xorb, "unpacked_length": sum(chunks[i][3] for i in kept), "range": span})
                last = chunks[kept[-1]]
                where = {"start": chunks[kept[0]][0], "end": last[0] + 8 + last[1] - 1}
                fetch.setdefault(xorb, []).append({"range": span, "url": url_of(xorb), "url_range": where})
        return {"offset_into_first_range": skipped, "terms": rows, "fetch_info": fetch}
