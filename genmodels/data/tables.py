"""Datasets of rows, in parquet, Arrow or WebDataset files, here or on the Hub: one split as undecoded rows."""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import datasets
import pyarrow
from datasets.packaged_modules.parquet.parquet import Parquet
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError
from pyarrow import ArrowInvalid, parquet, types

from ..errors import UserError, first_line
from ..hub.retries import one_deadline, retry
from ..images import UnreadableImageError
from . import columns
from .columns import Cell, Classes, Rows, trouble
from .files import HUB_ATTEMPTS, DatasetFiles, LocalFiles
from .listing import SPLITS, TRAIN, natural_key

TABLE_SUFFIXES = (".parquet", ".arrow")
# What `datasets` may read a dataset with; others follow paths of their own or run code.
READERS = ("parquet", "arrow", "webdataset", "csv", "json")
# Files that save_to_disk writes.
SAVED, SAVED_SPLITS = "state.json", "dataset_dict.json"
LABEL_BATCH = 10_000
# A folder as Hive and Spark name it, and how they write that there is no value.
PARTITION, NO_VALUE = re.compile(r"([^=/]+)=([^/]+)"), "__HIVE_DEFAULT_PARTITION__"
# Of a table that are in memory at once.
READ_BYTES = 2**22
RETRIES = ("STREAMING_READ_MAX_RETRIES", "STREAMING_OPEN_MAX_RETRIES")
# A split, streamed, and all of a dataset; untyped in `datasets`.
Stream = Any
Splits = Mapping[str, Any]


_lock, _usual, _entered = threading.Lock(), dict[str, int](), 0


@contextmanager
def few_retries() -> Iterator[None]:
    """Have `datasets` read and open again what fails a few times only, by itself, while a thread is in here.

    20 times, its usual number, after up to a minute each, is no end to wait for.
    """
    global _entered
    with _lock:
        for name in () if _entered else RETRIES:
            _usual[name] = getattr(datasets.config, name)
            setattr(datasets.config, name, HUB_ATTEMPTS)
        _entered += 1
    try:
        yield
    finally:
        with _lock:
            _entered -= 1
            for name in () if _entered else RETRIES:
                setattr(datasets.config, name, _usual[name])


class Partition(NamedTuple):
    """A label that stands in the names of folders, as in label=cat/part-0.parquet, and in no file.

    Attributes:
        column: its name.
        class_names: its values in natural order.
        root: what the files' names have in front, up to where the dataset begins.
    """

    column: str
    class_names: list[str]
    root: str

    def number(self, file: str) -> int | None:
        """The class of a file."""
        ((_, value),) = values_in(file, self.root)
        return None if value == NO_VALUE else self.class_names.index(value)


def values_in(file: str, root: str) -> list[tuple[str, str]]:
    """Columns and values in the names of a file's folders."""
    folders = file.split(root, 1)[-1].split("/")[:-1]
    return [(match[1], unquote(match[2])) for match in map(PARTITION.fullmatch, folders) if match]


def find_partition(files: list[str], root: str) -> tuple[Partition | None, str | None]:
    """The label in the names of the folders of parquet files; and if these name what is no label, a sentence about it."""
    found = [values_in(file, root) for file in files]
    columns = list(dict.fromkeys(column for values in found for column, _ in values))
    if len(columns) == 1 and all(len(values) == 1 for values in found):
        names = {value for ((_, value),) in found} - {NO_VALUE}
        return Partition(columns[0], sorted(names, key=natural_key), root), None
    if not columns:
        return None, None
    where = (
        f"its folders name {' and '.join(columns)}" if len(columns) > 1 else f"only some files lie in {columns[0]}=..."
    )
    return None, f"the names of its folders are not used as labels: {where}; one name for all files would be"


def open_table(source: str, path: str, split: str, config_name: str | None, files: DatasetFiles) -> Table:
    """One split of a dataset: a folder, a file of rows, or a repository on the Hub.

    Raises:
        UserError: it cannot be opened, has no such split or configuration, or names files outside of itself.
    """
    declared = files.declared()
    listed = ", ".join(declared)
    if config_name is None and len(declared) > 1 and "default" not in declared and not any(declared.values()):
        raise UserError(f"{source!r} has several configurations: choose one of {listed} with `config_name`.")
    if config_name is not None and declared and config_name not in declared:
        raise UserError(f"{source!r} has no configuration {config_name!r}: it has {listed}.")
    reader = Reader(source, path, config_name, files)
    try:
        builder, splits = reader.open()
    except UserError:
        raise
    except OSError as error:
        home = os.path.abspath(constants.HF_HOME)
        if isinstance(error, PermissionError | NotADirectoryError | FileExistsError) or error.errno == 30:
            raise UserError(
                f"The cache {home!r} cannot be written ({error.strerror or first_line(error)}): set HF_HOME to a folder that "
                "can."
            ) from error
        raise UserError(f"The dataset {source!r} cannot be read: {trouble(error)}.") from error
    # What the libraries raise for a dataset that they do not understand is of any kind.
    except Exception as error:
        raise UserError(f"The dataset {source!r} cannot be opened: {trouble(error)}.") from error
    split = find_split(source, split, splits)
    columnar = builder_reads(builder, "parquet")

    def read_column(column: str, train: bool) -> Stream:
        if columnar:
            return _of(reader.open([column])[1], split, train)
        return _of(splits, split, train).select_columns([column])

    return Table(
        source,
        splits[split],
        files,
        _count(builder, split),
        fingerprint=files.commit or _fingerprint(builder, split),
        read_column=read_column,
        columnar=columnar,
        partition=reader.partition,
        summary=reader.told,
    )


@dataclass
class Reader:
    """Has `datasets` open one dataset; arguments are those of `open_table`.

    Attributes:
        partition: the label in the names of its folders, once it has been opened.
        told: what these names say and is no label, in a sentence.
    """

    source: str
    path: str
    config_name: str | None
    files: DatasetFiles
    partition: Partition | None = None
    told: str | None = None

    def open(self, columns: list[str] | None = None) -> tuple[datasets.DatasetBuilder, Splits]:
        """Its builder and its splits, of parquet with these columns only."""
        path, options = self.path, dict[str, Any]()
        if os.path.isfile(path):
            kind = "parquet" if path.lower().endswith(".parquet") else "arrow"
            options = {"path": kind, "data_files": {"train": [path]}}
        else:
            options = {"path": path, "name": self.config_name}
            options |= {} if os.path.isdir(path) else {"revision": self.files.commit}
        options |= {"columns": columns} if columns else {}
        with few_retries():
            builder = retry(lambda: datasets.load_dataset_builder(**options), attempts=HUB_ATTEMPTS)
            names = [str(file) for names in (builder.config.data_files or {}).values() for file in names]
            self.files.check_data_files(names)
            if builder.dataset_name is None or not any(builder_reads(builder, kind) for kind in READERS):
                raise UserError(
                    f"The dataset {self.source!r} is of a kind that is not read here: save it as parquet with an Image column, "
                    "or give a folder of images."
                )
            if builder_reads(builder, "parquet"):
                root = f"{path}/" if os.path.exists(path) else f"@{self.files.commit}/"
                self.partition, self.told = find_partition(names, root)
                builder._generate_tables = functools.partial(read_parquet, builder, self.partition)
            splits = retry(builder.as_streaming_dataset, attempts=HUB_ATTEMPTS)
            if self.partition is not None and not columns and self.partition.column not in builder.info.features:
                builder.info.features[self.partition.column] = datasets.ClassLabel(names=self.partition.class_names)
                splits = retry(builder.as_streaming_dataset, attempts=HUB_ATTEMPTS)
        return builder, splits


def _of(splits: Splits, split: str, train: bool) -> Stream:
    """A split; or that of training, whose classes number those of all splits, if there is one."""
    if not train:
        return splits[split]
    same = [name for name in splits if SPLITS.get(name.lower()) == TRAIN]
    return splits[same[0] if same else split]


def read_parquet(
    builder: Parquet, partition: Partition | None, files: list[str], row_groups_list: list[Sequence[int] | None]
) -> Iterator[tuple[str, pyarrow.Table]]:
    """What `Parquet._generate_tables` yields, with the labels that are in the names of folders."""
    for number, (file, groups) in enumerate(zip(files, row_groups_list, strict=True)):
        for part, table in enumerate(read_parts(builder, file, groups)):
            at = table.schema.get_field_index(partition.column) if partition else -1
            if partition and at >= 0 and table.column(at).null_count == len(table):
                labels = pyarrow.array([partition.number(file)] * len(table), table.schema.field(at).type)
                table = table.set_column(at, table.schema.field(at), labels)
            yield f"{number}_{part}", table


def read_parts(builder: Parquet, file: str, groups: Sequence[int] | None) -> Iterator[pyarrow.Table]:
    """A file in parts, where it lies here of 4 MB: `datasets` would read a row group, 100 MB or all, at once, and ahead."""
    if not os.path.isfile(file):
        yield from (table for _, table in type(builder)._generate_tables(builder, [file], [groups]))
        return
    metadata = parquet.read_metadata(file)
    for group in range(metadata.num_row_groups) if groups is None else groups:
        count, size = metadata.row_group(group).num_rows, metadata.row_group(group).total_byte_size
        # What was mapped counts as memory of this process until the map is closed.
        with pyarrow.memory_map(file) as mapped:
            reader = parquet.ParquetFile(mapped, metadata=metadata, pre_buffer=False)
            batches = reader.iter_batches(
                max(1, min(count, READ_BYTES * count // max(1, size))),
                row_groups=[group],
                columns=builder.config.columns,
                use_threads=False,
            )
            for batch in batches:
                yield builder._cast_table(pyarrow.Table.from_batches([batch]))


def builder_reads(builder: datasets.DatasetBuilder, kind: str) -> bool:
    """Whether a builder reads files of a kind."""
    return f".{kind}." in type(builder).__module__


def find_split(source: str, split: str, splits: Splits) -> str:
    """What a dataset calls a split, which may go by another usual name, such as "val".

    Raises:
        UserError: it has no such split.
    """
    if split in splits:
        return split
    same = [name for name in splits if SPLITS.get(name.lower(), name) == SPLITS.get(split.lower(), split)]
    if len(same) != 1:
        raise UserError(f"The dataset {source!r} has no split {split!r}: it has {', '.join(splits)}.")
    return same[0]


def _data_files(builder: datasets.DatasetBuilder, split: str) -> list[str]:
    files = builder.config.data_files or {}
    return [str(file) for name, names in files.items() if str(name) == split for file in names]


def _count(builder: datasets.DatasetBuilder, split: str) -> int | None:
    """How many rows there are, if that is known before they are read."""
    files = _data_files(builder, split)
    if builder_reads(builder, "parquet") and files and all(map(os.path.isfile, files)):
        return sum(parquet.read_metadata(file).num_rows for file in files)
    info = (builder.info.splits or {}).get(split)
    return info.num_examples or None if info else None


def _fingerprint(builder: datasets.DatasetBuilder, split: str) -> str | None:
    files = [file for file in _data_files(builder, split) if os.path.isfile(file)]
    return (
        datasets.fingerprint.Hasher.hash([(os.path.basename(f), os.path.getsize(f)) for f in files]) if files else None
    )


def holds_images(path: Path) -> bool:
    """Whether a file of rows has a column of images."""
    if path.suffix.lower() != ".parquet":
        return True
    try:
        schema = parquet.read_schema(path)
    except (OSError, ArrowInvalid):
        return False
    return any(
        types.is_binary(field.type)
        or types.is_large_binary(field.type)
        or (types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0)
        for field in schema
    )


def names_files(path: Path) -> bool:
    """Whether a parquet file has images by their path alone: its first row has no bytes."""
    if path.suffix.lower() != ".parquet":
        return False
    try:
        batch = next(parquet.ParquetFile(path).iter_batches(batch_size=1), None)
    except (OSError, ArrowInvalid):
        return False
    rows = batch.to_pylist() if batch is not None else []
    images = [value for row in rows for value in row.values() if isinstance(value, dict) and "bytes" in value]
    return any(image["bytes"] is None and image.get("path") for image in images)


def is_saved_dataset(folder: Path) -> bool:
    """Whether save_to_disk has written this folder."""
    return (folder / SAVED_SPLITS).is_file() or (
        (folder / SAVED).is_file() and (folder / "dataset_info.json").is_file()
    )


def open_saved(source: str, folder: Path, split: str) -> Table:
    """One split of what save_to_disk wrote.

    Raises:
        UserError: it has no such split, is broken, or names files outside of itself.
    """
    try:
        names = json.loads((folder / SAVED_SPLITS).read_text())["splits"] if (folder / SAVED_SPLITS).is_file() else [""]
        for name in names:
            state = json.loads((folder / name / SAVED).read_text()) if os.path.basename(name) == name else {}
            data_files = [entry["filename"] for entry in state["_data_files"]]
            if any(os.path.basename(file) != file for file in data_files):
                raise KeyError("_data_files")
        found = datasets.load_from_disk(str(folder.resolve()))
    except KeyError as error:
        raise UserError(
            f"{source!r} names files outside of itself, or is incomplete ({error}): save it again."
        ) from error
    except Exception as error:
        raise UserError(f"The dataset {source!r} cannot be opened: {first_line(error)}") from error
    splits = found if isinstance(found, datasets.DatasetDict) else {"train": found}
    split = find_split(source, split, splits)
    rows = splits[split]
    shards = max(1, min(64, len(rows) // 100))
    return Table(
        source,
        rows.to_iterable_dataset(num_shards=shards),
        LocalFiles(folder),
        len(rows),
        fingerprint=rows._fingerprint,
        read_column=lambda column, train: _of(splits, split, train).select_columns([column]).to_iterable_dataset(),
    )


class Table:
    """One split of a dataset of rows. Attributes and methods are those of `Folder`; `num_images` is None if unknown."""

    def __init__(
        self,
        name: str,
        rows: Stream,
        files: DatasetFiles,
        num_images: int | None,
        fingerprint: str | None,
        read_column: Callable[[str, bool], Stream],
        columnar: bool = True,
        partition: Partition | None = None,
        summary: str | None = None,
    ):
        if rows.features is None:
            with few_retries():
                rows = rows._resolve_features()
        if rows.features is None:
            raise UserError(
                f"The dataset {name!r} does not declare its columns: save it as parquet with an Image column."
            )
        self.name, self._rows, self._files = name, rows, files
        self.num_images, self.fingerprint, self._read_column = num_images, fingerprint, read_column
        # Whether a column can be read without the others; and how many rows count.
        self._columnar, self._limit = columnar, sys.maxsize
        self._partition, self.summary = partition, summary

    def select(
        self,
        image_column: str | None,
        label_column: str | None,
        classes: Sequence[str] | None,
        attributes: Sequence[str] | str | None,
    ) -> None:
        """Choose columns and classes.

        Raises:
            UserError: there is no such column or class.
        """
        rows, features = self._rows, self._rows.features
        self.label_columns = columns.label_columns(features)
        self._image = columns.find_image_column(features, image_column, self.name)
        self._label = columns.find_label_column(features, label_column, self.name)
        booleans = [name for name, feature in features.items() if getattr(feature, "dtype", None) == "bool"]
        self.attribute_names = columns.find_attributes(booleans, attributes, self.name)
        names, self._numbers = self._classes(self._label) if self._label else ([], {})
        keep = columns.class_numbers(classes, names, self.name)
        self.class_names = [names[i] for i in keep] if keep else names
        self._all_wanted = keep is None
        if keep:
            renumbered = {number: i for i, number in enumerate(keep)}
            self._numbers = {v: renumbered[n] for v, n in self._numbers.items() if n in renumbered}
            self.num_images = None
        label = [] if self._label is None else [self._outer(self._label)]
        self._rows = rows.select_columns(list(dict.fromkeys([self._image, *label, *self.attribute_names])))
        if isinstance(features[self._image], datasets.Image):
            self._rows = self._rows.cast_column(self._image, datasets.Image(decode=False))

    def _outer(self, column: str) -> str:
        """A column, or that of records which it lies within."""
        return column if column in self._rows.features else column.split(".")[0]

    def _classes(self, label: str) -> Classes:
        declared = columns.declared_classes(columns.feature_of(self._rows.features, label), label)
        if declared is not None:
            return declared
        try:
            return columns.found_classes(self._label_values(label, of_train=True), label, self.name)
        except OSError as error:
            raise UserError(f"The dataset {self.name!r} cannot be read: {trouble(error)}.") from error

    def __getstate__(self) -> dict[str, Any]:
        # Workers get a copy of this object, where they are not forked.
        return {**self.__dict__, "_read_column": None}

    def count_labels(self) -> int | None:
        """How many images of the wanted classes there are, by the column of labels alone; None if it cannot be read alone."""
        in_names = self._partition is not None and self._label == self._partition.column
        if self._label is None or not self._columnar or in_names:
            return None
        values = (value for batch in self._label_values(self._label, of_train=False) for value in batch)
        return sum(
            value in self._numbers for value in itertools.islice(values, self._limit) if not columns.is_missing(value)
        )

    def _label_values(self, label: str, of_train: bool) -> Iterator[list[Any]]:
        """The label column in batches, of the training split or of this one; of parquet nothing else is read."""
        for batch in self._read(self._read_column(self._outer(label), of_train), LABEL_BATCH):
            yield columns.values_of(batch, label)

    def _read(self, rows: Stream, size: int) -> Iterator[dict[str, list[Any]]]:
        """Batches of rows.

        Raises:
            UserError: the dataset is not what it says.
            OSError: the connection breaks.
        """
        try:
            # In batches: `datasets` takes ten times as long row by row. Each has a deadline of its own.
            batches = rows.iter(size)
            while True:
                with one_deadline(), few_retries():
                    batch = next(batches, None)
                if batch is None:
                    return
                yield batch
        except (UserError, OSError, HfHubHTTPError):
            raise
        except datasets.table.CastError as error:
            columns = (", ".join(names) for names in (error.requested_column_names, error.table_column_names))
            raise UserError(
                f"The files of {self.name!r} have different columns, {' and '.join(columns)}: save them with the same ones, of "
                "the same types."
            ) from error
        # What the libraries raise for rows that they do not understand is of any kind.
        except Exception as error:
            raise UserError(f"The dataset {self.name!r} cannot be read: {trouble(error)}.") from error

    def limit(self, count: int, seed: int) -> None:
        """Keep the first rows, so many: which others there are is not known before they are read."""
        self._rows, self._limit = self._rows.take(count), count
        self.num_images = None if self.num_images is None else min(count, self.num_images)

    @property
    def num_shards(self) -> int:
        return self._rows.num_shards

    def batches(self, shard: int, size: int) -> Iterator[Rows]:
        """Undecoded images, labels and attributes of a shard, at most `size` at a time.

        Raises:
            UserError: a row has no label, or no value of an attribute.
        """
        rows = self._rows if self.num_shards == 1 else self._rows.shard(self.num_shards, shard)
        for batch in self._read(rows, size):
            images = batch[self._image]
            yield images, self._labels(batch, len(images)), self._attributes(batch, len(images))

    def _labels(self, batch: dict[str, list[Any]], count: int) -> list[int | None]:
        """Labels by their numbers; None for a class that is not wanted."""
        if self._label is None:
            return [0] * count
        values = columns.values_of(batch, self._label)
        labels = [None if columns.is_missing(value) else self._numbers.get(value) for value in values]
        if self._all_wanted and None in labels:
            new = [value for value in values if not columns.is_missing(value) and value not in self._numbers]
            if new:
                raise UserError(f"The column {self._label} has the class {str(new[0])!r}, which the split train lacks.")
            raise UserError(
                f"The column {self._label} has no label for some images: choose the labelled ones with `classes`, or remove the "
                "others from the dataset."
            )
        return labels

    def _attributes(self, batch: dict[str, list[Any]], count: int) -> list[tuple[bool, ...]]:
        """The attributes of each row, as many as are asked for."""
        for name in self.attribute_names:
            if None in batch[name]:
                raise UserError(f"The column {name} has no value for some images: leave it out of the attributes.")
        if not self.attribute_names:
            return [()] * count
        return list(zip(*(batch[name] for name in self.attribute_names), strict=True))

    def read(self, image: Cell) -> tuple[bytes, str]:
        """The bytes of an image and what to call it.

        Raises:
            UserError: there are none, or they are in a file outside of the dataset.
        """
        data, name = (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, None)
        if data is not None:
            return data, name or "an image of the dataset"
        if not name:
            raise UnreadableImageError(
                f"The column {self._image} has rows without an image: remove them from the dataset."
            )
        try:
            return self._files.read(name), name
        except (OSError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            raise UnreadableImageError(
                f"{name} cannot be read as an image ({first_line(error)}): repair or remove it."
            ) from error
