"""Archives of images, read where they lie: nothing is unpacked into folders, so nothing in them can lead out."""

from __future__ import annotations

import atexit
import bz2
import functools
import gzip
import json
import lzma
import os
import posixpath
import shutil
import tarfile
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable

from ..errors import UserError

# A file's path; a tar archive, offset and size; a zip archive, the size and name of its member; or a file of a dataset on the
# Hub: repository, commit and name.
Place = str | tuple
OPENERS = {
    ".tar.gz": gzip.open,
    ".tgz": gzip.open,
    ".tar.bz2": bz2.open,
    ".tbz2": bz2.open,
    ".tar.xz": lzma.open,
    ".txz": lzma.open,
}
ARCHIVE_SUFFIXES = (".zip", ".tar", *OPENERS)
# An archive may say that a small member unpacks to any size.
MAX_MEMBER_BYTES = 2**29
# What a WebDataset says of the image of the same name.
CLASS_SUFFIX, JSON_SUFFIX = ".cls", ".json"
WEBDATASET_SUFFIXES = (CLASS_SUFFIX, JSON_SUFFIX, ".txt")


def archive_suffix(name: str) -> str:
    """The suffix of an archive's name that can be read; empty if it is none."""
    lower = name.lower()
    return next((name[-len(suffix) :] for suffix in ARCHIVE_SUFFIXES if lower.endswith(suffix)), "")


def list_archive(
    path: str, is_picture: Callable[[str], bool]
) -> tuple[list[tuple[str, Place | None]], dict[str, dict[str, object]]]:
    """The members of an archive, folders with a slash at the end, and their places; links have none.

    Returns:
        The members, and of a WebDataset also its columns, by name of column and image: the files that describe each image are
        then no members.

    Raises:
        UserError: it is broken, encrypted, or a member's name leads out of it.
    """
    try:
        members = _zip_members(path) if path.lower().endswith(".zip") else _tar_members(path)
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path!r} cannot be read as an archive ({error}): download or pack it again.") from error
    for name, _ in members:
        if name.startswith("/") or ".." in name.split("/") or name[1:3] == ":/":
            raise UserError(f"{path!r} has a member {name!r}, which leads out of the archive: pack it again without.")
    return _webdataset(path, members, is_picture) or (members, {})


def _zip_members(path: str) -> list[tuple[str, Place]]:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    if any(info.flag_bits & 1 for info in infos):
        raise UserError(f"{path!r} is encrypted: unpack it, and give the folder.")
    members = {}
    for info in infos:
        # Some packers of Windows write its separator.
        name = info.filename.replace("\\", "/")
        name, is_folder = name if name[:1] == "/" else posixpath.normpath(name), name.endswith("/")
        # The upper half of the external attributes is the mode of Unix: links are no files.
        link = info.external_attr >> 28 == 0o12
        members[name + "/" * is_folder] = None if link else (path, info.file_size, info.filename)
    return list(members.items())


def _tar_members(path: str) -> list[tuple[str, Place]]:
    path = _uncompressed(path)
    members = {}
    with tarfile.open(path, "r:") as archive:
        for info in archive:
            # "./cat/1.png" and "cat/1.png" are one.
            name = info.name.replace("\\", "/")
            name = name if name.startswith("/") else posixpath.normpath(name)
            if info.isdir():
                members[f"{name}/"] = None
            else:
                members[name] = (path, info.offset_data, info.size) if info.isreg() else None
            # It would keep every member in memory.
            archive.members = []
    return [(name, place) for name, place in members.items() if name != "./"]


def _uncompressed(path: str) -> str:
    """A plain tar archive; of a compressed one a temporary copy, for members are read in any order."""
    if (suffix := archive_suffix(path).lower()) not in OPENERS:
        return path
    status = os.stat(path)
    return _unpacked(path, suffix, status.st_size, status.st_mtime_ns)


@functools.cache
def _unpacked(path: str, suffix: str, size: int, changed: int) -> str:
    free = shutil.disk_usage(tempfile.gettempdir()).free
    with OPENERS[suffix](path) as packed, tempfile.NamedTemporaryFile(suffix=".tar", delete=False) as plain:
        atexit.register(_remove, plain.name, os.getpid())
        while block := packed.read(2**24):
            if plain.tell() + len(block) > free // 2:
                _remove(plain.name, os.getpid())
                raise UserError(
                    f"{path!r} unpacks to more than half of the free space in {tempfile.gettempdir()}: unpack it where there "
                    "is room, and give the folder."
                )
            plain.write(block)
    return plain.name


def _remove(path: str, owner: int) -> None:
    # Forked processes inherit what is to be done at the end.
    if os.getpid() == owner and os.path.exists(path):
        os.remove(path)


def _webdataset(path: str, members: list[tuple[str, Place]], is_picture: Callable[[str], bool]) -> tuple | None:
    """Members and columns of an archive that describes images by files of the same name; None if it does not."""
    keys = {posixpath.splitext(name)[0]: name for name, place in members if place and is_picture(name)}
    beside = [
        (name, place) for name, place in members if place and posixpath.splitext(name)[1].lower() in WEBDATASET_SUFFIXES
    ]
    described = [(name, place) for name, place in beside if posixpath.splitext(name)[0] in keys]
    if not any(name.lower().endswith((CLASS_SUFFIX, JSON_SUFFIX)) for name, _ in described):
        return None
    columns = defaultdict(dict)
    for name, place in described:
        key, suffix = posixpath.splitext(name)
        if suffix.lower() == CLASS_SUFFIX:
            columns["cls"][keys[key]] = read_place(place).decode(errors="replace").strip() or None
        elif suffix.lower() == JSON_SUFFIX:
            try:
                row = json.loads(read_place(place))
            except ValueError as error:
                raise UserError(f"{path!r} holds no JSON in {name}: {error}.") from error
            for column, value in row.items() if isinstance(row, dict) else ():
                columns[column][keys[key]] = value
    used = {name for name, _ in described}
    # The names of a WebDataset's images number them: their folders are no classes.
    members = [(name, place) for name, place in members if name not in used and not name.endswith("/")]
    flat = {name: name.replace("/", ":") for name, _ in members}
    columns = {column: {flat[name]: value for name, value in values.items()} for column, values in columns.items()}
    return [(flat[name], place) for name, place in members], columns


def read_place(place: Place) -> bytes:
    """The bytes of a file, or of a member of an archive.

    Raises:
        OSError, ValueError: they cannot be read.
    """
    if isinstance(place, str):
        with open(place, "rb") as file:
            return file.read()
    path, first, second = place
    size = place_bytes(place)
    if size > MAX_MEMBER_BYTES:
        raise ValueError(f"it unpacks to {size / 1e9:.1f} GB")
    archive = _opened(path, os.getpid())
    if isinstance(archive, zipfile.ZipFile):
        try:
            return archive.read(second)
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise ValueError(str(error)) from error
    archive.seek(first)
    data = archive.read(second)
    if len(data) < second:
        raise ValueError("the archive ends within it")
    return data


def place_bytes(place: Place) -> int:
    """How many bytes lie there."""
    if isinstance(place, str):
        return os.path.getsize(place)
    _, first, second = place
    return first if isinstance(second, str) else second


@functools.lru_cache(maxsize=64)
def _opened(path: str, process: int):
    """An archive, open in this process alone: forked ones would share the position in the file."""
    return zipfile.ZipFile(path) if path.lower().endswith(".zip") else open(path, "rb")
