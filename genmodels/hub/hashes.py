"""The hashes by which the Hub knows a file's content."""

from __future__ import annotations

import hashlib
from pathlib import Path


def hash_of(path: Path, known: str) -> str:
    """A file's hash of the kind that `known` is: sha256 of large files, or the id that git gives to small ones (40 digits)."""
    data = path.read_bytes()
    if len(known) == 64:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
