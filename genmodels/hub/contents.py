"""What may be published: files of known kinds, no way out of their folder, no secret in them and no code that loading runs.

Used by every push: of models, checkpoints, datasets and Spaces.
"""

from __future__ import annotations

import html
import io
import json
import os
import pickletools
import re
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from ..errors import UserError
from ..privacy import OWN_PATH, find_secret, written_in

# What `save_pretrained` and the end of a training write.
MODEL_KINDS = (".jpeg", ".jpg", ".json", ".jsonl", ".md", ".png", ".py", ".safetensors", ".txt", ".webp")
CHECKPOINT_KINDS = (".json", ".safetensors")
DATASET_KINDS = (".md", ".parquet")
# The package with its page, and the built-in models and samples.
SPACE_KINDS = (*MODEL_KINDS, ".css", ".html", ".js", ".parquet")
PICTURES = {".jpeg": "JPEG", ".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
# Binary, and what it begins with.
PARQUET = b"PAR1"
WASM = b"\0asm"
LARGEST_TEXT, LARGEST_PACKED = 10 * 2**20, 32 * 2**20
PIECE = 2**10
# How zlib's and gzip's streams may begin: of zlib's, the first two bytes are a multiple of 31.
PACKED = re.compile(rb"[\x08\x18\x28\x38\x48\x58\x68\x78].|\x1f\x8b\x08", re.DOTALL)
PICKLES = (".bin", ".ckpt", ".joblib", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth")
# What of a pickle's first protocols, which are text, names something to call: a module and a name in it.
NAMES_A_CALL = ("GLOBAL", "INST")
CALLED = re.compile(r"[A-Za-z_][\w.]* [A-Za-z_][\w.]*")


def is_left_behind(name: str) -> bool:
    """Whether a file or folder of this name is never published, and needs no word: hidden or temporary."""
    return name.startswith(".") or name == "__pycache__" or name.endswith((".tmp", ".partial", ".pyc"))


def files_of(
    folder: Path,
    kinds: tuple[str, ...] = MODEL_KINDS,
    linked: bool = False,
    wanted: Callable[[Path], bool] = lambda path: True,
) -> dict[str, Path]:
    """The files to publish, by their path in the folder with slashes, sorted.

    Args:
        folder: the files in it whose names begin with a dot, and temporary ones, stay behind.
        kinds: their suffixes, in lower case.
        linked: whether its files have other names outside of it, which its maker gave them.
        wanted: whether a file is to be published; the others are not looked at.

    Raises:
        UserError: there are none; or one is of another kind, is no plain file, or is a link out of the folder.
    """
    root, files = folder.resolve(), dict[str, Path]()
    names: Counter[tuple[int, int]] = Counter()

    def unreadable(error: OSError) -> None:
        raise UserError(f"{error.filename} cannot be read: {error.strerror or error}.") from error

    for home, folders, entries in os.walk(folder, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not is_left_behind(name))
        links = [name for name in folders if Path(home, name).is_symlink()]
        for name in sorted([*links, *entries]):
            path = Path(home, name)
            if not is_left_behind(name) and wanted(path):
                if not str(path.relative_to(folder)).isprintable():
                    raise UserError(
                        f"{str(path)!a} has signs in its name that cannot be shown: rename it, or remove it."
                    )
                status = check_place(path, root)
                check_kind(path, kinds)
                names[status.st_dev, status.st_ino] += 1
                files[path.relative_to(folder).as_posix()] = path
    if not files:
        raise UserError(f"{folder} holds nothing to push: give the folder of a saved model.")
    for path in files.values():
        status = path.stat()
        if not linked and status.st_nlink > names[status.st_dev, status.st_ino]:
            raise UserError(
                f"{path} is also a file outside of {folder}, by a hard link: remove it, or put a copy in its place."
            )
    return dict(sorted(files.items()))


def check_place(path: Path, root: Path) -> os.stat_result:
    """The status of a plain file; raises UserError for a link that leads out of `root`, in a circle or nowhere, or a pipe."""
    try:
        target = path.resolve(strict=True)
        status = target.stat()
    except (OSError, RuntimeError) as error:
        raise UserError(f"{path} is a link to nothing, or cannot be read: remove it.") from error
    if path.is_symlink():
        if stat.S_ISDIR(status.st_mode):
            raise UserError(f"{path} is a link to a folder: remove it, or put a copy of the folder in its place.")
        if not target.is_relative_to(root) or any(map(is_left_behind, target.relative_to(root).parts)):
            raise UserError(
                f"{path} is a link to a file that is not to be published: remove it, or put a copy in its place."
            )
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path} is no plain file: remove it.")
    return status


def copy_file(path: Path, root: Path, target: Path) -> None:
    """Copy a file that `files_of` has found in `root`, if it is still one that may be published; else raise UserError."""
    # A pipe that has come into its place would wait for ever.
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as source:
        if not os.path.samestat(os.fstat(source.fileno()), check_place(path, root.resolve())):
            raise UserError(f"{path} has changed since it was looked at: push again.")
        with open(target, "wb") as copy:
            shutil.copyfileobj(source, copy)


def check_kind(path: Path, kinds: tuple[str, ...]) -> None:
    """Raise UserError unless a file's suffix is one of `kinds`."""
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        raise UserError(f"{path} may hold a pickle, which runs code when loaded: remove it, or save as safetensors.")
    if suffix not in kinds:
        raise UserError(f"{path} is none of the files that go up, which are {', '.join(sorted(kinds))}: remove it.")


def check_files(
    files: dict[str, Path], source: Path, token: str | None = None, code: Collection[str] | None = None
) -> None:
    """Raise UserError for a file that nobody should publish, by what is in it: a pickle, a secret, not what its suffix says.

    Args:
        files: as `files_of` returns them.
        source: the folder to name with them, of which theirs may be a copy.
        token: one to look for, beside everything that looks like one.
        code: texts of which a file of Python must be one; any may be published by default.
    """
    for name, place in files.items():
        path = source / name
        try:
            data = place.read_bytes()
        except OSError as error:
            raise UserError(f"{path} cannot be read: {error.strerror or error}.") from error
        if found := find_secret(name, token):
            raise UserError(f"The name of {path} contains {found}: rename it, and revoke it.")
        check_data(path, data, token)
        if code is not None and path.suffix.lower() == ".py" and data.decode() not in code:
            raise UserError(
                f"{path} is not the code that this version of genmodels gives to a model: remove it; a push adds what is needed."
            )


def check_data(
    path: Path, data: bytes, token: str | None = None, reader: Callable[[Path, bytes], Iterable[str]] | None = None
) -> None:
    """Raise UserError if a file's bytes are a pickle or hold a secret; `reader` returns what they say (default `texts_in`)."""
    found = find_secret(data, token)
    if not found:
        check_pickle(path, data)
        texts = (reader or texts_in)(path, data)
        found = next(filter(None, (find_secret(text, token) for text in texts)), None)
    if found:
        revoke = "" if found == OWN_PATH else ", and revoke it"
        raise UserError(f"{path} contains {found}: remove it from the file{revoke}.")


def check_pickle(path: Path, data: bytes) -> None:
    """Raise UserError if a file is a pickle, or a zip with one in it, whatever its suffix says."""
    safetensors = path.suffix.lower() == ".safetensors"
    # A safetensors file begins with a length, which may look like a pickle's first two bytes; its structure is looked at instead.
    is_pickle = not safetensors and data[:1] == b"\x80" and data[1:2] in (b"\1", b"\2", b"\3", b"\4", b"\5")
    if is_pickle or is_zip(data) or (not safetensors and is_old_pickle(data)):
        raise UserError(f"{path} is a pickle, or an archive as of one, which runs code when loaded: remove it.")


def is_zip(data: bytes) -> bool:
    """Whether a file can be opened as a zip archive, as torch does: its table lies at the end, and before it may lie anything."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return bool(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return False


def is_old_pickle(data: bytes) -> bool:
    """Whether a file is a pickle of the protocols 0 or 1 that names something to call."""
    calls = False
    try:
        for operation, argument, _ in pickletools.genops(data):
            calls |= operation.name in NAMES_A_CALL and CALLED.fullmatch(str(argument)) is not None
    except (ValueError, IndexError, OverflowError, MemoryError):
        return False
    return calls


def texts_in(path: Path, data: bytes) -> Iterable[str]:
    """What a file says beyond its plain bytes: texts that are escaped, packed or in another coding.

    Raises:
        UserError: the file is not what its suffix says, or too large for it.
    """
    suffix = path.suffix.lower()
    if suffix in PICTURES:
        return texts_in_picture(path, data, PICTURES[suffix])
    if suffix == ".safetensors":
        return [written(read_header(path, data))]
    if suffix == ".parquet":
        if not data.startswith(PARQUET):
            raise UserError(f"{path} is no parquet file: remove it.")
        return []
    if suffix == ".onnx":
        # A message of protocol buffers, whose texts are plain.
        return []
    if suffix == ".gz":
        inner, name = unzipped(path, data), path.with_suffix("")
        check_pickle(path, inner)
        return texts_in(name, inner)
    if suffix == ".wasm":
        if not data.startswith(WASM):
            raise UserError(f"{path} is no WebAssembly: remove it.")
        return [data.decode("latin-1")]
    if len(data) > LARGEST_TEXT:
        raise UserError(f"{path} is larger than {LARGEST_TEXT // 2**20} MB and no weights or images: remove it.")
    try:
        text = data.decode("utf-8")
        if "\0" in text:
            raise ValueError("it has NUL characters")
        if suffix == ".json":
            return [text, written(text)]
        if suffix == ".jsonl":
            return [text, *(written(line) for line in text.split("\n") if line.strip())]
    except (ValueError, RecursionError) as error:
        kind = "a text in UTF-8" if suffix not in (".json", ".jsonl") else "JSON in UTF-8"
        raise UserError(f"{path} is not {kind} ({error}): remove it, or save it again.") from error
    # As browsers show them: addresses and Markdown escape what is in a token.
    return [text, html.unescape(unquote(text.replace("\\_", "_")))]


def unzipped(path: Path, data: bytes) -> bytes:
    """What a gzip file holds; raises UserError unless that is whole and not too large."""
    try:
        unpacker = zlib.decompressobj(wbits=31)
        inner = unpacker.decompress(data, LARGEST_PACKED)
    except zlib.error as error:
        raise UserError(f"{path} is no gzip file: remove it.") from error
    if not unpacker.eof or unpacker.unused_data:
        raise UserError(
            f"{path} holds more than {LARGEST_PACKED // 2**20} MB, is cut short, or goes on after its end: remove it."
        )
    return inner


def written(text: str) -> str:
    """JSON without its escapes; of a name that stands twice, both values."""
    return json.dumps(json.loads(text, object_pairs_hook=list), ensure_ascii=False)


def read_header(path: Path, data: bytes) -> str:
    """The JSON at the head of a safetensors file; raises UserError unless the file is one and ends where the header says."""
    from safetensors import SafetensorError, deserialize

    try:
        deserialize(data)
        return data[8 : 8 + int.from_bytes(data[:8], "little")].decode("utf-8")
    except (SafetensorError, ValueError) as error:
        raise UserError(f"{path} is damaged ({error}): save the model again.") from error


def texts_in_picture(path: Path | str, data: bytes, format_name: str | None = None) -> list[str]:
    """The notes that a picture carries: text chunks, EXIF, XMP, comments.

    Raises:
        UserError: it cannot be read, or is of another format than `format_name`.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            # Notes may follow the pixels.
            image.load()
            exif = image.getexif()
            tables = [exif, *(exif.get_ifd(key) for key in (0x8769, 0x8825))]
            places = tables[-1]
            notes = [*image.info.items(), *getattr(image, "text", {}).items()]
            notes += [pair for table in tables for pair in table.items()]
            found = image.format
    except Exception as error:
        raise UserError(f"{path} cannot be read as an image: remove it, or save it again.") from error
    # A data set's photos, which have no such name, are asked for elsewhere: there it can be wanted.
    if format_name and places:
        raise UserError(f"{path} says where it was taken (GPS): save it again without metadata, or remove it.")
    if format_name and found != format_name:
        raise UserError(f"{path} is {found} in truth, and not {format_name}: rename it, or save it again.")
    return [*unpacked(data), *(text for pair in notes for note in pair for text in readings(note))]


def unpacked(data: bytes) -> list[str]:
    """What is written in the packed parts of a picture, of which readers know some: at each place where such a part may begin."""
    found, view = [], memoryview(data)
    for start in PACKED.finditer(data):
        if len(start[0]) == 2 and int.from_bytes(start[0], "big") % 31:
            continue
        # 32: zlib or gzip, as it says. Nearly all are none, which shows soon.
        reader, part, at = zlib.decompressobj(zlib.MAX_WBITS + 32), b"", start.start()
        with suppress(zlib.error):
            while at < len(data) and not reader.eof and len(part) < LARGEST_TEXT:
                part += reader.decompress(view[at : at + PIECE], LARGEST_TEXT)
                at += PIECE
        found += written_in(part)
    return found


def readings(note: object) -> list[str]:
    """A picture's note as text; bytes in each coding that cameras and editors use."""
    if isinstance(note, bytes):
        # EXIF's comments begin with the name of their coding, in 8 bytes.
        codings = ("latin-1", "utf-16-le", "utf-16-be")
        return [html.unescape(part.decode(coding, "ignore")) for part in (note, note[8:]) for coding in codings]
    if isinstance(note, dict | list | tuple):
        return [text for part in (note.items() if isinstance(note, dict) else note) for text in readings(part)]
    return [html.unescape(str(note))]
