"""Archives of images, read where they lie: nothing is unpacked into folders, so nothing in them can lead out."""

from __future__ import annotations

import atexit
import bz2
import functools
import gzip
import io
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
from typing import BinaryIO, NamedTuple, Protocol

from ..errors import UserError


class Member(NamedTuple):
    """A file in an archive: its size, and where in a tar it begins or what a zip calls it."""

    archive: str
    size: int
    at: int | str


class Remote(Protocol):
    """A file that is not on this machine."""

    def read(self) -> bytes: ...


# A file's path, a member of an archive, or a file of a dataset on the Hub.
Place = str | Member | Remote
# What is known of images, by column and image name.
Columns = dict[str, dict[str, object]]


class File(NamedTuple):
    """A file that was found: its name below the root, with slashes, and where its bytes are; None if a link is broken.

    Of an archive folders are found too: their names end with a slash, and they have no bytes.
    """

    name: str
    place: Place | None


OPENERS: dict[str, Callable[[str], io.BufferedIOBase]] = {
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


def list_archive(path: str, is_picture: Callable[[str], bool]) -> tuple[list[File], Columns]:
    """The members of an archive; links have no place.

    Returns:
        The members, and of a WebDataset also its columns, by name of column and image: the files that describe each image are
        then no members.

    Raises:
        UserError: it is broken, encrypted, or a member's name leads out of it.
    """
    try:
        found = _zip_members(path) if path.lower().endswith(".zip") else _tar_members(path)
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path!r} cannot be read as an archive ({error}): download or pack it again.") from error
    for name in found:
        if name.startswith("/") or ".." in name.split("/") or name[1:3] == ":/":
            raise UserError(f"{path!r} has a member {name!r}, which leads out of the archive: pack it again without.")
    members = [File(name, place) for name, place in found.items() if name != "./"]
    return _webdataset(path, members, is_picture) or (members, {})


def _zip_members(path: str) -> dict[str, Member | None]:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    if any(info.flag_bits & 1 for info in infos):
        raise UserError(f"{path!r} is encrypted: unpack it, and give the folder.")
    members: dict[str, Member | None] = {}
    for info in infos:
        # Some packers of Windows write its separator.
        name = info.filename.replace("\\", "/")
        name, is_folder = name if name[:1] == "/" else posixpath.normpath(name), name.endswith("/")
        # The upper half of the external attributes is the mode of Unix: links are no files.
        link = info.external_attr >> 28 == 0o12
        members[name + "/" * is_folder] = None if link else Member(path, info.file_size, info.filename)
    return members


def _tar_members(path: str) -> dict[str, Member | None]:
    path = _uncompressed(path)
    members: dict[str, Member | None] = {}
    with tarfile.open(path, "r:") as archive:
        for info in archive:
            # "./cat/1.png" and "cat/1.png" are one.
            name = info.name.replace("\\", "/")
            name = name if name.startswith("/") else posixpath.normpath(name)
            place = Member(path, info.size, info.offset_data) if info.isreg() else None
            members[f"{name}/" if info.isdir() else name] = place
            # It would keep every member in memory. typeshed does not know this list.
            archive.members = []  # type: ignore[attr-defined]
    return members


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


def _webdataset(path: str, members: list[File], is_picture: Callable[[str], bool]) -> tuple[list[File], Columns] | None:
    """Members and columns of an archive that describes images by files of the same name; None if it does not."""
    keys = {posixpath.splitext(name)[0]: name for name, place in members if place and is_picture(name)}
    described = {
        name: place
        for name, place in members
        if place and name.lower().endswith(WEBDATASET_SUFFIXES) and posixpath.splitext(name)[0] in keys
    }
    if not any(name.lower().endswith((CLASS_SUFFIX, JSON_SUFFIX)) for name in described):
        return None
    columns: Columns = defaultdict(dict)
    for name, place in described.items():
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
    # The names of a WebDataset's images number them: their folders are no classes.
    flat = {name: name.replace("/", ":") for name, _ in members if name not in described and not name.endswith("/")}
    columns = {column: {flat[name]: value for name, value in values.items()} for column, values in columns.items()}
    return [File(flat[name], place) for name, place in members if name in flat], columns


def read_place(place: Place) -> bytes:
    """The bytes of a file, here or on the Hub, or of a member of an archive.

    Raises:
        OSError, ValueError: they cannot be read.
    """
    if isinstance(place, str):
        with open(place, "rb") as file:
            return file.read()
    if not isinstance(place, Member):
        return place.read()
    path, size, at = place
    if size > MAX_MEMBER_BYTES:
        raise ValueError(f"it unpacks to {size / 1e9:.1f} GB")
    archive = _opened(path, os.getpid())
    if isinstance(archive, zipfile.ZipFile):
        try:
            return archive.read(str(at))
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
            raise ValueError(str(error)) from error
    archive.seek(int(at))
    data = archive.read(size)
    if len(data) < size:
        raise ValueError("the archive ends within it")
    return data


def place_bytes(place: Place) -> int:
    """How many bytes lie there."""
    if isinstance(place, str):
        return os.path.getsize(place)
    return place.size if isinstance(place, Member) else len(place.read())


@functools.lru_cache(maxsize=64)
def _opened(path: str, process: int) -> zipfile.ZipFile | BinaryIO:
    """An archive, open in this process alone: forked ones would share the position in the file."""
    return zipfile.ZipFile(path) if path.lower().endswith(".zip") else open(path, "rb")
