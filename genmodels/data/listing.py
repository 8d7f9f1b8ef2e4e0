"""What lies in a folder or an archive of images: which files are images, their classes and their splits.

One listing serves training, evaluation and push-dataset. It loads neither torch nor `datasets`.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import posixpath
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from PIL import Image

from ..errors import UserError
from ..images import readable_formats
from .archives import Columns, File, Place, archive_suffix, list_archive, place_bytes, read_place
from .metadata import METADATA_NAMES, read_metadata, read_stylegan_labels

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing", "eval"), TEST),
}
# What operating systems and programs leave behind, beside names that begin with a dot.
JUNK = {"__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "$recycle.bin", "lost+found"}
STYLEGAN_LABELS = "dataset.json"
# Of what describes each image, the columns that are its class without being asked for.
LABEL_COLUMNS = ("label", "cls")
BROKEN_LINK, NO_SUFFIX = "broken links", "no suffix"
# Kinds of files that are named in the summary.
MAX_KINDS = 5

Key = TypeVar("Key")


class Picture(NamedTuple):
    """One image: its name below the root, with slashes; its class, None without classes; and where its bytes are."""

    name: str
    class_name: str | None
    place: Place


def classes_of(pictures: Iterable[Picture]) -> set[str]:
    """The classes that images have."""
    return {picture.class_name for picture in pictures if picture.class_name is not None}


@dataclass(frozen=True)
class Listing:
    """The images of a folder or an archive.

    Attributes:
        root: the folder or archive, as it was given.
        splits: images by split ("train", "validation", "test"), in natural order of their names.
        columns: what metadata files say of images, by column and image name.
        left_out: of each split, how many files that are no images, by suffix, and folders without images.
        faults: what is wrong with a split, in a sentence.
        leads_out: the first linked image or folder that lies outside of the folder; None if there is none.
        incomplete: a label column that does not cover all images, in words.
    """

    root: str
    splits: dict[str, tuple[Picture, ...]]
    columns: Columns = field(default_factory=dict)
    left_out: dict[str, Counter[str]] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    leads_out: str | None = None
    incomplete: str = ""

    @functools.cached_property
    def class_names(self) -> list[str]:
        """Names of the classes of the training images in natural order: 0, 1, 2, 10; empty without classes."""
        return sorted(classes_of(self.splits[TRAIN]), key=natural_key)

    def pictures(self, split: str) -> tuple[Picture, ...]:
        """The images of a split, which may go by another usual name, such as "val".

        Raises:
            UserError: there is no such split, or its folders are of no use.
        """
        name = SPLITS.get(split.lower(), split)
        if name not in self.splits:
            only = "all its images are in the split 'train'"
            has = f"it has {', '.join(self.splits)}" if len(self.splits) > 1 else only
            raise UserError(
                f"{self.root!r} has no split {split!r}: {has}. Splits of a folder are its folders train, validation and test."
            )
        for part in (TRAIN, name):
            if part in self.faults:
                raise UserError(self.faults[part])
        if unknown := classes_of(self.splits[name]) - set(self.class_names):
            listed = ", ".join(sorted(unknown, key=natural_key)[:MAX_KINDS])
            raise UserError(f"The split {name} of {self.root!r} has the classes {listed}, which train lacks.")
        return self.splits[name]

    def summary(self, split: str = TRAIN) -> str:
        """A line such as "1,240 images in 3 classes; 200 files of other kinds left out (.heic)"."""
        pictures = self.pictures(split)
        classes = len(classes_of(pictures))
        within = f"in {counted(classes, 'class', 'classes')}" if classes else "without classes"
        parts = [f"{counted(len(pictures), 'image')} {within}"]
        left = Counter(self.left_out.get(SPLITS.get(split.lower(), split)))
        empty = left.pop("", 0)
        if left:
            kinds = [kind for kind, _ in most_common(left)] + (["..."] if len(left) > MAX_KINDS else [])
            parts.append(f"{counted(left.total(), 'file')} of other kinds left out ({', '.join(kinds)})")
        if empty:
            parts.append(f"{counted(empty, 'folder')} without images")
        return "; ".join([*parts, *([self.incomplete] if self.incomplete else [])])

    def fingerprint(self, split: str = TRAIN) -> str:
        """A digest of the split's names, classes and sizes: other data has another one."""
        digest = hashlib.sha256()
        for picture in self.pictures(split):
            line = f"{picture.name}\0{picture.class_name}\0{place_bytes(picture.place)}\n"
            digest.update(line.encode(errors="surrogateescape"))
        return digest.hexdigest()[:16]

    def labelled_by(self, column: str) -> Listing:
        """The same images, with the values of a column of their metadata as classes.

        Raises:
            UserError: there is no such column, or some image has no value in it.
        """
        values = self.columns.get(column)
        if values is None:
            raise UserError(
                f"{self.root!r} has no label column {column!r}: its metadata has {', '.join(self.columns) or 'none'}."
            )
        pictures = [picture for pictures in self.splits.values() for picture in pictures]
        missing = [p.name for p in pictures if values.get(p.name) is None]
        if missing:
            raise UserError(
                f"The column {column} has no label for {counted(len(missing), 'image')}, first {missing[0]!r}: add it to the "
                "metadata, or remove them."
            )
        names = without_point(
            {name: label_name(column, value, self.root) for name, value in values.items() if value is not None}
        )
        splits = {
            split: tuple(p._replace(class_name=names[p.name]) for p in pictures)
            for split, pictures in self.splits.items()
        }
        return replace(self, splits=splits, faults={})


def list_pictures(source: str) -> Listing:
    """List the images of a folder, or of a .zip or .tar archive.

    Splits are the folders of the top level if all of them have names of splits and one is that of training; classes are the
    first level of folders below.

    Raises:
        UserError: there is nothing there, or no images, or a metadata file is of no use.
    """
    if os.path.isdir(source):
        files, folders, leads_out = walk(source)
        archives = {file.name: str(file.place) for file in files if archive_suffix(file.name) and file.place}
        if archives and not any(is_picture(file.name) for file in files):
            return list_archives(source, archives)
        return replace(arrange(source, files, folders), leads_out=leads_out)
    if os.path.isfile(source):
        return list_archives(source, {os.path.basename(source): source})
    raise UserError(f"There is no folder {source!r}: give a folder of images.")


def list_archives(source: str, archives: dict[str, str]) -> Listing:
    """The images in archives, paths by their names: of numbered parts together, of others each as a folder of its name."""
    opened = [list_archive(path, is_picture) for path in archives.values()]
    stems = [name.removesuffix(archive_suffix(name)) for name in archives]
    if len(archives) == 1:
        members, found = opened[0]
        members = members if found else _unwrapped(members, posixpath.basename(stems[0]))
        return arrange(source, *_sorted_out(members), found)
    in_parts = len({re.sub("[0-9]+", "0", stem) for stem in stems}) == 1 or any(columns for _, columns in opened)
    splits = [_split_in_name(stem) for stem in stems]
    by_split = in_parts and TRAIN in splits and None not in splits
    heads = [split or "" for split in splits] if by_split else [""] * len(splits)
    files: list[File] = []
    folders: list[str] = []
    columns: Columns = defaultdict(dict)
    for stem, head, (members, described) in zip(stems, heads, opened, strict=True):

        def rename(name: str, stem: str = stem, head: str = head) -> str:
            if not in_parts:
                return f"{stem}/{name}"
            folder, base = posixpath.split(name)
            return posixpath.join(head, folder, f"{stem.replace('/', ':')}:{base}")

        more, within = _sorted_out(members if in_parts else _unwrapped(members, ""))
        files += [file._replace(name=rename(file.name)) for file in more]
        folders += [] if in_parts else [rename(folder) for folder in within]
        for column, values in described.items():
            columns[column] |= {rename(name): value for name, value in values.items()}
    return arrange(source, files, folders, columns)


def _sorted_out(members: list[File]) -> tuple[list[File], list[str]]:
    files = [file for file in members if not file.name.endswith("/")]
    return files, [file.name.rstrip("/") for file in members if file.name.endswith("/")]


def are_parts(names: list[str]) -> bool:
    """Whether names of archives number parts of one dataset, or name its splits; else each is that of a class."""
    stems = [name.removesuffix(archive_suffix(name)) for name in names]
    return len({re.sub("[0-9]+", "0", stem) for stem in stems}) == 1 or all(map(_split_in_name, stems))


def _split_in_name(stem: str) -> str | None:
    words = [SPLITS[word] for word in re.split(r"[^a-z]+", posixpath.basename(stem).lower()) if word in SPLITS]
    return words[0] if words else None


def _unwrapped(members: list[File], stem: str) -> list[File]:
    """The members without the one folder that was packed, if it is that: the only one, of the archive's name or with folders."""
    names = [name for name, _ in members if is_picture(name) and not is_junk(name)]
    tops = {name.split("/")[0] for name in names if "/" in name}
    if len(tops) != 1 or any("/" not in name for name in names):
        return members
    (top,) = tops
    if top != stem and any(name.count("/") == 1 for name in names):
        return members
    return [File(name.removeprefix(f"{top}/"), place) for name, place in members if name != f"{top}/"]


def arrange(root: str, files: Iterable[File], folders: Iterable[str] = (), columns: Columns | None = None) -> Listing:
    """Sort files into images of splits and classes, and the rest.

    Args:
        root: what they lie in, for messages.
        files: all that were found.
        folders: names of the folders that were found; those without images are counted.
        columns: what is known of each image.
    """
    files = [file for file in files if not is_junk(file.name)]
    pictures = [Picture(name, None, place) for name, place in files if place is not None and is_picture(name)]
    if not pictures:
        raise UserError(nothing_found(root, files))
    # Names in any form of Unicode, sorted as a reader would.
    pictures.sort(key=lambda picture: natural_key(picture.name))
    tops = {picture.name.split("/")[0] for picture in pictures if "/" in picture.name}
    loose = [picture.name for picture in pictures if "/" not in picture.name]
    named = tops | {folder for folder in folders if "/" not in folder and folder.lower() in SPLITS}
    by_split = all(top.lower() in SPLITS for top in named) and any(SPLITS[top.lower()] == TRAIN for top in named)
    if not by_split:
        # Folders around those of the splits, one in another.
        inside = [picture.name.split("/")[:-1] for picture in pictures]
        levels = itertools.takewhile(lambda level: len({*level}) == 1, zip(*inside, strict=False))
        around = [level[0] for level in levels]
        for depth in range(1, len(around) + 1):
            inner = {parts[depth].lower() if len(parts) > depth else "" for parts in inside}
            if inner <= SPLITS.keys() and TRAIN in map(SPLITS.get, inner):
                prefix = "/".join(around[:depth]) + "/"
                nested = [file._replace(name=file.name.removeprefix(prefix)) for file in files]
                within = [folder.removeprefix(prefix) for folder in folders if folder.startswith(prefix)]
                below = {
                    column: {name.removeprefix(prefix): value for name, value in values.items()}
                    for column, values in (columns or {}).items()
                }
                return arrange(root, nested, within, below)
    if by_split and loose:
        raise UserError(
            f"{root!r} holds {counted(len(loose), 'image')} beside the folders of its splits, first {printable(loose[0])!r}: "
            "move them into one of these."
        )
    roots: dict[str, str] = {}
    for top in sorted(named if by_split else [""]):
        split = SPLITS.get(top.lower(), TRAIN)
        if split in roots:
            raise UserError(f"{root!r} has the split {split} twice, {roots[split]} and {top}.")
        roots[split] = top
    order = [split for split in (TRAIN, VALIDATION, TEST) if split in roots]
    prefixes = {split: f"{roots[split]}/" if roots[split] else "" for split in order}
    splits: dict[str, tuple[Picture, ...]] = {}
    faults, left_out = {}, {}
    for split, prefix in prefixes.items():
        here = [picture for picture in pictures if picture.name.startswith(prefix)]
        if not here and split != TRAIN:
            continue
        splits[split], fault = _in_classes(root, here, prefix)
        if fault:
            faults[split] = fault
        left_out[split] = _left_out(files, folders, prefix, {picture.name for picture in splits[split]})
    if not splits.get(TRAIN):
        raise UserError(f"{root!r} holds no images to train on: its folder {roots[TRAIN]} has none.")
    columns = {name: dict(values) for name, values in (columns or {}).items()}
    listing = Listing(root, splits, columns, left_out, faults)
    return _described(listing, files)


def _in_classes(root: str, pictures: list[Picture], prefix: str) -> tuple[tuple[Picture, ...], str]:
    """The images of a split, the first level of folders below `prefix` being classes; and what is wrong, if anything."""
    inside = [picture.name[len(prefix) :] for picture in pictures]
    beside = [name for name in inside if "/" not in name]
    if len(beside) == len(inside):
        return tuple(pictures), ""
    names, folders = functools.cache(readable), [name.rpartition("/")[0].split("/")[0] for name in inside]
    # As Hive and Spark name folders by class: label=cat.
    keys = {folder.partition("=")[0] if "=" in folder else None for folder in folders if folder}
    start = len(key) + 1 if len(keys) == 1 and (key := keys.pop()) else 0
    sorted_in = tuple(
        picture._replace(class_name=names(folder[start:] or folder)) if folder else picture
        for picture, folder in zip(pictures, folders, strict=True)
    )
    if not beside:
        return sorted_in, ""
    return sorted_in, (
        f"{posixpath.join(root, prefix).rstrip('/')!r} holds {counted(len(beside), 'image')} beside folders of images, first "
        f"{printable(beside[0])!r}: move them into a class folder, or the folders' images up."
    )


def _left_out(files: list[File], folders: Iterable[str], prefix: str, used: set[str]) -> Counter[str]:
    """Files below `prefix` that are no images, by suffix, and under "" how many folders there have no images."""
    left: Counter[str] = Counter()
    for file in files:
        if file.name.startswith(prefix) and file.name not in used:
            base = file.name.rsplit("/", 1)[-1].lower()
            if file.place is None:
                left[BROKEN_LINK] += 1
            elif base not in METADATA_NAMES and base != STYLEGAN_LABELS:
                left[archive_suffix(base) or os.path.splitext(base)[1] or NO_SUFFIX] += 1
    full = {name[len(prefix) :].split("/")[0] for name in used}
    inside = {folder[len(prefix) :] for folder in folders if folder.startswith(prefix)}
    empty = {folder for folder in inside if folder and "/" not in folder} - full
    if empty:
        # Folders that hold files of other kinds are told by these.
        left[""] = len({f for f in empty if not any(x.name.startswith(f"{prefix}{f}/") for x in files)})
    return +left


def _described(listing: Listing, files: list[File]) -> Listing:
    """The listing with what metadata.csv, metadata.jsonl and StyleGAN's dataset.json say of its images."""
    known = {picture.name for pictures in listing.splits.values() for picture in pictures}
    columns = defaultdict(dict, listing.columns)
    labels: dict[str, object] = {}
    told, unused = False, ""
    has_classes = any(picture.class_name for pictures in listing.splits.values() for picture in pictures)
    for file in files:
        folder, base = posixpath.split(file.name)
        if base == STYLEGAN_LABELS and file.place is not None:
            found = read_stylegan_labels(read_place(file.place), file.name)
            if found is not None:
                told = True
                labels |= {posixpath.normpath(posixpath.join(folder, name)): label for name, label in found.items()}
        elif base in METADATA_NAMES and file.place is not None:
            try:
                rows = list(read_metadata(read_place(file.place), file.name))
            except UserError as error:
                if not has_classes:
                    raise
                # Folders by class need no such file.
                unused = f"{file.name} is not used: {error}"
                continue
            for name, row in rows:
                full = posixpath.normpath(posixpath.join(folder, name))
                for column, value in row.items() if full in known else ():
                    if columns[column].setdefault(full, value) != value and column in LABEL_COLUMNS:
                        raise UserError(f"{file.name} gives {name!r} two values of {column}: keep one row of it.")
    listing = replace(listing, columns=dict(columns), incomplete=unused)
    if told:
        # Its folders number the files, and are no classes.
        plain = {name: tuple(p._replace(class_name=None) for p in split) for name, split in listing.splits.items()}
        columns |= {"label": labels} if labels else {}
        listing = replace(listing, splits=plain, faults={}, columns=dict(columns))
        return listing.labelled_by("label") if labels else listing
    if has_classes:
        return listing
    for column in LABEL_COLUMNS:
        if column in columns:
            covered = sum(columns[column].get(name) is not None for name in known)
            if covered == len(known):
                return listing.labelled_by(column)
            return replace(listing, incomplete=f"{column} is known of {covered:,} of {len(known):,} only")
    return listing


def walk(root: str) -> tuple[list[File], list[str], str | None]:
    """All files below a folder that are not hidden, the names of its folders, and the first link that leads out of it."""
    files: list[File] = []
    folders: list[str] = []
    outside: list[str] = []
    home = os.path.realpath(root)

    def leads_out(path: str) -> bool:
        real = os.path.realpath(path)
        return real != home and not real.startswith(home.rstrip(os.sep) + os.sep)

    def visit(folder: str, prefix: str, above: frozenset[str]) -> None:
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            raise UserError(f"The folder {printable(folder)!r} cannot be read: {error.strerror}.") from error
        for entry in entries:
            if is_junk(entry.name):
                continue
            name = prefix + entry.name
            linked = entry.is_symlink() and not outside and (entry.is_dir() or (entry.is_file() and is_picture(name)))
            if linked and leads_out(entry.path):
                outside.append(name)
            if entry.is_dir():
                # A link to a folder above would have no end.
                real = os.path.realpath(entry.path) if entry.is_symlink() else None
                if real in above:
                    continue
                folders.append(name)
                visit(entry.path, f"{name}/", above | {real or os.path.realpath(entry.path)})
            elif entry.is_file():
                files.append(File(name, entry.path))
            elif entry.is_symlink():
                files.append(File(name, None))

    visit(root, "", frozenset({home}))
    return files, folders, outside[0] if outside else None


@functools.cache
def image_suffixes() -> frozenset[str]:
    """The suffixes of files that the installed Pillow decodes, such as ".png"."""
    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in readable_formats())


def is_picture(name: str) -> bool:
    """Whether a file's suffix is that of an image."""
    return os.path.splitext(name)[1].lower() in image_suffixes()


def is_junk(name: str) -> bool:
    """Whether a file, or a folder it lies in, is hidden or left behind by a system."""
    return any(part.startswith(".") or part.lower() in JUNK for part in name.split("/"))


def natural_key(name: str) -> tuple[bool, int, list[str | tuple[int, str]], str]:
    """For sorting: numbers within names count as numbers, 2 before 10; names that are whole numbers come first, -1 before 0."""
    # By length and digits, since Python refuses to read numbers of thousands of digits. Splitting puts text and numbers in
    # turn, so that only like is compared with like.
    parts: list[str | tuple[int, str]] = [
        (len(digits := part.lstrip("0")), digits) if i % 2 else part
        for i, part in enumerate(re.split(r"([0-9]+)", name))
    ]
    number = int(name) if re.fullmatch(r"-?[0-9]{1,18}", name) else None
    return number is None, number or 0, parts, name


def label_name(column: str, value: object, source: str) -> str:
    """The class name that a value of a label column stands for: its text; of a boolean "not x" and "x"."""
    if isinstance(value, bool):
        return column if value else f"not {column}"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float):
        return readable(str(value))
    raise UserError(
        f"The column {column} of {source!r} holds {type(value).__name__} values: `label_column` takes text, integers or booleans."
    )


def without_point(names: dict[Key, str]) -> dict[Key, str]:
    """Class names without the .0 that pandas gives whole numbers if one of a column is missing, where all are such numbers."""
    if all(re.fullmatch(r"-?[0-9]+(\.0+)?", name) for name in names.values()):
        return {key: name.partition(".")[0] for key, name in names.items()}
    return names


def readable(name: str) -> str:
    """A folder's name as text: one form of Unicode, and Latin-1 where it is no UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        name = os.fsencode(name).decode("latin-1")
    return unicodedata.normalize("NFC", name)


def printable(name: str) -> str:
    """A name that every terminal prints."""
    return name.encode(errors="replace").decode()


def counted(count: int, one: str, several: str | None = None) -> str:
    """A number and its noun: "1 image", "1,240 images"."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def most_common(kinds: Counter[str]) -> list[tuple[str, int]]:
    """The most frequent kinds, equal ones in the order of their names, whatever that of the files was."""
    return sorted(kinds.items(), key=lambda item: (-item[1], item[0]))[:MAX_KINDS]


def nothing_found(root: str, files: list[File]) -> str:
    """What to say of a folder without images: what it holds in their place."""
    suffixes = [os.path.splitext(name)[1].lower() if place is not None else BROKEN_LINK for name, place in files]
    kinds = Counter(suffix or NO_SUFFIX for suffix in suffixes)
    listed = ", ".join(f"{count:,} {kind}" for kind, count in most_common(kinds))
    holds = f"it holds {listed}" if kinds else "it is empty"
    return (
        f"{root!r} holds no images to train on: {holds}. Give a folder of images (.png, .jpg, .webp and whatever else Pillow "
        "reads), of folders by class, a .zip or .tar of them, or parquet files with an image column."
    )
