"""A source by its name to rows: what it is, which of its columns mean what, and the bytes behind an image."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

from .. import zoo
from ..errors import UserError, first_line
from ..hub.retries import describe, retry
from ..images import UnreadableImageError
from .archives import File, archive_suffix, read_place
from .columns import Cell, Rows, Struct, class_numbers, find_attributes
from .files import HUB_ATTEMPTS, HubFile, HubFiles, LocalFiles
from .listing import Listing, are_parts, arrange, counted, is_junk, is_picture, list_archives, list_pictures, walk
from .tables import TABLE_SUFFIXES, Table, holds_images, is_saved_dataset, names_files, open_saved, open_table

# How the Hub's clients name the parts of a split.
SHARD = re.compile(r"-[0-9]{5}-of-[0-9]{5}")


def open_source(source: str, split: str, config_name: str | None, revision: str | None = None) -> Folder | Table:
    """One split of a dataset, its columns not chosen yet.

    Raises:
        UserError: there is no such dataset, split or configuration, or it leads out of its own files.
    """
    built_in = zoo.sample_folder(source)
    local = Path(source)
    if built_in is not None and revision is not None:
        raise UserError(f"{source!r} is built in: `revision` names a commit, branch or tag on the Hub.")
    if built_in is not None:
        return open_table(source, str(built_in), split, config_name, LocalFiles(built_in))
    try:
        exists = local.exists()
    except (OSError, ValueError):
        exists = False
    if exists and revision is not None:
        raise UserError(f"{source!r} is on this machine: `revision` names a commit, branch or tag on the Hub.")
    if exists and local.is_dir():
        return _open_folder(source, local, split, config_name)
    if exists:
        return _open_file(source, local, split)
    if source.startswith(zoo.SAMPLE_PREFIX):
        raise UserError(f"There is no built-in sample {source!r}: {', '.join(zoo.sample_names())}.")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", source) or source.startswith("."):
        raise UserError(
            f"{source!r} is neither a folder here, nor a Hub id like 'ylecun/mnist', nor a built-in sample."
        )
    return _open_on_hub(source, split, config_name, revision)


def _open_folder(source: str, folder: Path, split: str, config_name: str | None) -> Folder | Table:
    if is_saved_dataset(folder):
        return open_saved(source, folder, split)
    tables = [Path(str(place)) for name, place in walk(source)[0] if place and name.lower().endswith(TABLE_SUFFIXES)]
    if not tables:
        return Folder(source, list_pictures(source), split)
    try:
        listing: Listing | None = list_pictures(source)
    except UserError:
        # It has tables and no images, or no order among these.
        listing = None
    # A repository of the Hub may show some of its images as files, and a table may name the files of its images.
    declared = LocalFiles(folder).declared() or any(SHARD.search(path.name) or names_files(path) for path in tables)
    if listing is None or declared:
        return open_table(source, str(folder.resolve()), split, config_name, LocalFiles(folder))
    if any(map(holds_images, tables)):
        raise UserError(
            f"{source!r} holds {counted(sum(map(len, listing.splits.values())), 'image')} and also {tables[0].name} with "
            "images of its own: give that file, or a folder with one of the two."
        )
    return Folder(source, listing, split)


def _open_file(source: str, path: Path, split: str) -> Folder | Table:
    if path.suffix.lower() in TABLE_SUFFIXES:
        return open_table(source, str(path.resolve()), split, None, LocalFiles(path.parent))
    if archive_suffix(path.name):
        return Folder(source, list_pictures(source), split)
    if is_picture(path.name):
        raise UserError(f"{source!r} is a single image: give the folder that it lies in.")
    raise UserError(
        f"{source!r} is a file of another kind: give a folder of images, a .zip or .tar of them, or parquet."
    )


def _open_on_hub(source: str, split: str, config_name: str | None, revision: str | None) -> Folder | Table:
    """Ask the Hub once what a dataset holds: load_dataset would try for half a minute before it said that there is none."""
    try:
        info = retry(lambda: HfApi().dataset_info(source, revision=revision, timeout=15), attempts=HUB_ATTEMPTS)
    except RevisionNotFoundError as error:
        raise UserError(
            f"The dataset {source!r} has no revision {revision!r}: give a commit, branch or tag."
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(
            f"The Hub has no dataset {source!r} that you may read: check the id and, if it is private, HF_TOKEN."
        ) from error
    # The client's transport errors have no base class of their own.
    except Exception as error:
        raise UserError(
            f"The dataset {source!r} cannot be reached: {describe(error)}. Check the network, or give a folder, or what is "
            f"built in: {', '.join(zoo.sample_names())}."
        ) from error
    names = [file.rfilename for file in info.siblings or [] if not is_junk(file.rfilename)]
    files = HubFiles(source, info.sha or revision or "main")
    archives = [name for name in names if archive_suffix(name)]
    if any(name.lower().endswith(TABLE_SUFFIXES) for name in names) or files.declared():
        archives = []
    elif any(map(is_picture, names)):
        listed = arrange(source, [File(name, HubFile(files, name)) for name in names])
        return Folder(source, listed, split, files.commit)
    # Archives that describe their images one by one are read as they come, of any size; others only as a whole.
    plain = are_parts(archives) and all(name.lower().endswith(".tar") for name in archives)
    if archives and not (plain and files.is_webdataset(archives[0])):
        listed = list_archives(source, {name: files.download(name) for name in archives})
        return Folder(source, listed, split, files.commit)
    return open_table(source, source, split, config_name, files)


class Folder:
    """One split of a folder or an archive of images. Each image is a shard, so that any number of workers shares them.

    Attributes:
        class_names: names of the labels in order; empty if the data has no labels.
        attribute_names: names of the attributes in order.
        label_columns: what could be given as label column.
        summary: what there is and what is left out, in a line.
        fingerprint: of the data: other data has another one.
        num_images: how many there are.
    """

    def __init__(self, name: str, listing: Listing, split: str, commit: str | None = None):
        self.name, self._listing, self._split = name, listing, split
        self._pictures = listing.pictures(split)
        self._commit = commit

    def select(
        self,
        image_column: str | None,
        label_column: str | None,
        classes: Sequence[str] | None,
        attributes: Sequence[str] | str | None,
    ) -> None:
        """Choose what of each image counts.

        Raises:
            UserError: there is no such column or class.
        """
        if image_column not in (None, "image"):
            raise UserError(f"{self.name!r} is a folder of images: it has no columns, and needs no image column.")
        listing = self._listing
        # `datasets` calls the folders of classes so.
        if label_column is not None and not (label_column == "label" not in listing.columns and listing.class_names):
            listing = listing.labelled_by(label_column)
        self._pictures = listing.pictures(self._split)
        self.label_columns = list(listing.columns)
        self.summary = listing.summary(self._split)
        self.fingerprint = self._commit or listing.fingerprint(self._split)
        has_labels = any(picture.class_name is not None for picture in self._pictures)
        names = listing.class_names if has_labels else []
        booleans = [
            column
            for column, values in self._listing.columns.items()
            if all(isinstance(values.get(picture.name), bool) for picture in self._pictures)
        ]
        self.attribute_names = find_attributes(booleans, attributes, self.name)
        keep = class_numbers(classes, names, self.name)
        self.class_names = [names[i] for i in keep] if keep else names
        self._numbers: dict[str | None, int] = {name: i for i, name in enumerate(self.class_names)}
        if keep:
            self._pictures = tuple(picture for picture in self._pictures if picture.class_name in self._numbers)

    def limit(self, count: int, seed: int) -> None:
        """Keep so many images, chosen at random, in their order."""
        if count < len(self._pictures):
            chosen = sorted(random.Random(seed).sample(range(len(self._pictures)), count))
            self._pictures = tuple(self._pictures[i] for i in chosen)

    def count_labels(self) -> int:
        """How many images of the wanted classes there are."""
        return self.num_images

    @property
    def num_images(self) -> int:
        return len(self._pictures)

    num_shards = num_images

    def batches(self, shard: int, size: int) -> Iterator[Rows]:
        """Undecoded images, labels and attributes of a shard, at most `size` at a time."""
        name, class_name, place = self._pictures[shard]
        label = self._numbers.get(class_name, 0)
        attributes = tuple(bool(self._listing.columns[column][name]) for column in self.attribute_names)
        yield [{"bytes": None, "path": name, "place": place}], [label], [attributes]

    def read(self, image: Cell) -> tuple[bytes, str]:
        """The bytes of an image and what to call it.

        Raises:
            UserError: they cannot be read.
        """
        # It is one that `batches` has handed out.
        struct = cast(Struct, image)
        name = str(struct["path"])
        try:
            return read_place(struct["place"]), name
        except UserError:
            raise
        except (OSError, ValueError) as error:
            raise UnreadableImageError(
                f"{name} cannot be read as an image ({first_line(error)}): repair or remove it."
            ) from error
