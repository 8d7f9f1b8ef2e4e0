"""Images from the Hub, a folder or the package, as endless batches of tensors, through `datasets` streams.

Batches are dicts: `pixel_values` float32 (N, C, H, W) in [-1, 1] and, where the data has labels, `class_labels` int64 (N,);
where attributes are asked for, `attributes` bool (N, A).
"""

from __future__ import annotations

import io
import itertools
import os
import re
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import datasets
import fsspec
import numpy as np
import torch
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
from PIL import Image, UnidentifiedImageError
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from . import zoo
from .errors import UserError
from .retries import retry

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
FITS = ("crop", "pad", "stretch")
# Rows that a worker hands over at once: passing them singly costs more than decoding them.
CHUNK = 256
# How often the Hub is asked for what a dataset consists of; while it streams, `datasets` tries again itself.
HUB_ATTEMPTS = 4
ALL_ATTRIBUTES = "all"
# Images uint8 (n, C, H, W), labels int64 (n,) and attributes bool (n, A).
Chunk = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def load_images(
    source: str,
    *,
    split: str = "train",
    config_name: str | None = None,
    batch_size: int = 64,
    image_column: str | None = None,
    label_column: str | None = None,
    classes: Sequence[str] | None = None,
    attributes: Sequence[str] | str | None = None,
    sample_size: int | None = None,
    num_channels: int | None = None,
    fit: str = "crop",
    random_flip: bool = False,
    shuffle_buffer: int = 10_000,
    seed: int = 0,
    num_workers: int = 1,
    cache_gb: float = 2.0,
    rank: int = 0,
    world_size: int = 1,
) -> ImageStream:
    """Open a stream of images.

    Args:
        source: a Hub id ("ylecun/mnist"), a local dataset folder, a folder of images (sub-folders are classes), or a
            built-in sample ("zoo:mnist-sample").
        split: "train", "test", or what the dataset calls it.
        config_name: the dataset's configuration, if it has several.
        batch_size: images in a batch.
        image_column, label_column: by default found by their types.
        classes: class names to keep; the labels are then renumbered in this order. By default all.
        attributes: names of boolean columns, which become `attributes` in this order; "all" for every one there is.
        sample_size: side of the images in pixels; by default their own, if they are square.
        num_channels: 1 or 3; by default that of the first image.
        fit: how an image becomes square: "crop" its middle, "pad" with black, or "stretch".
        random_flip: mirror each image left to right with probability 1/2.
        shuffle_buffer: rows among which a stream is shuffled; 0 keeps the dataset's order.
        seed: of the shuffling. Each epoch has an order of its own.
        num_workers: processes that read and decode ahead, at most as many as the dataset has shards; 0 for none.
        cache_gb: if this process's decoded images fit into so many GB, epochs after the first come from memory.
        rank, world_size: which of how many processes this is. They share each epoch's rows, and all get equally many.

    Raises:
        UserError: there is no such dataset, split, column or class, no network, more workers than shards, or an image
            does not fit.
    """
    if fit not in FITS:
        raise UserError(f"fit must be one of {', '.join(FITS)}, got {fit!r}.")
    rows = _open(source, split, config_name)
    if num_workers > max(1, rows.num_shards):
        shards = f"{rows.num_shards} shard" + ("s" if rows.num_shards > 1 else "")
        raise UserError(
            f"--dataloader_num_workers {num_workers}, but {source!r} (split {split}) has {shards}, and each worker needs "
            f"one of its own: give at most {rows.num_shards}."
        )
    image_column = _find_column(rows, image_column, datasets.Image, ("image", "img"), source, "--image_column")
    label_column = _find_label(rows, label_column, source)
    names = _class_names(rows, label_column)
    keep = _class_numbers(classes, names, source)
    attributes = _find_attributes(rows, attributes, source)
    columns = dict.fromkeys([image_column, *([label_column] if label_column else []), *attributes])
    rows = rows.select_columns(list(columns)).cast_column(image_column, datasets.Image(decode=False))
    stream = _RowStream(rows, image_column, label_column, attributes, keep, shuffle_buffer, seed, rank, world_size)
    first = stream.first(f"{source!r}, split {split!r}" + (f", classes {', '.join(classes)}" if classes else ""))
    stream.sample_size = _choose_size(first, sample_size)
    stream.num_channels = num_channels or (1 if first.mode in ("1", "L", "LA", "I;16", "I", "F") else 3)
    stream.fit, stream.resize = fit, sample_size is not None
    stream.resized = first.size != (stream.sample_size, stream.sample_size)
    return ImageStream(
        stream,
        class_names=[names[i] for i in keep] if keep else names,
        batch_size=batch_size,
        random_flip=random_flip,
        num_workers=num_workers,
        cache_gb=cache_gb,
    )


class ImageStream:
    """Batches of one dataset, epoch after epoch, from a position that can be saved.

    Attributes:
        class_names: names of the labels in order; empty if the data has no labels.
        attribute_names: names of the attributes in order; empty if none were asked for.
        sample_size, num_channels: shape of the images.
        resized: whether the first image is of another size in the dataset.
        batch_size: images in a batch.
    """

    def __init__(
        self,
        rows: _RowStream,
        class_names: list[str],
        batch_size: int,
        random_flip: bool,
        num_workers: int,
        cache_gb: float,
    ):
        self.class_names, self.attribute_names = class_names, list(rows.attributes)
        self.sample_size, self.num_channels = rows.sample_size, rows.num_channels
        self.resized = rows.resized
        self.batch_size = batch_size
        self._rows, self._random_flip, self._num_workers = rows, random_flip, num_workers
        self._cache_bytes = cache_gb * 1e9
        self._cache: Chunk | None = None
        self._epoch = self._batch = 0

    @property
    def num_classes(self) -> int:
        """How many classes there are; 0 if the data has no labels."""
        return len(self.class_names)

    def state_dict(self) -> dict[str, int]:
        """The position: how many epochs are over, and how many batches of the next one have been handed out."""
        return {"epoch": self._epoch, "batch": self._batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go to a position that `state_dict` returned; the same batches follow as then."""
        self._epoch, self._batch = state["epoch"], state["batch"]

    def forever(self) -> Iterator[dict[str, torch.Tensor]]:
        """Full batches without end, from the current position; the rest of an epoch that fills no batch is left out.

        Raises:
            UserError: an image is unreadable, the connection breaks, or an epoch has less than one batch.
        """
        while True:
            skip, self._batch = self._batch, 0
            for chunk in self._full_batches(self._epoch):
                self._batch += 1
                if self._batch > skip:
                    yield self._to_batch(*chunk)
            if self._batch == 0:
                raise UserError(
                    f"The dataset has fewer images than one batch of {self.batch_size}: lower the batch size."
                )
            self._epoch, self._batch = self._epoch + 1, 0

    def once(self) -> Iterator[dict[str, torch.Tensor]]:
        """All images of this process once, unshuffled, the last batch as short as it comes: for evaluation."""
        for chunk in _regroup(self._chunks(epoch=None), self.batch_size):
            yield self._to_batch(*chunk)

    def sample(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The first n > 0 images of the first epoch's order: the same in every process, wherever the stream is.

        Neither the stream's position nor any random state changes.

        Returns:
            Images uint8 (n, C, H, W) and labels int64 (n,), 0 if the data has none; fewer if the dataset is smaller.

        Raises:
            UserError: an image is unreadable, or the dataset is.
        """
        images, labels, _ = self._rows.decode(self._rows.head(n, epoch=0))
        return torch.from_numpy(images), torch.from_numpy(labels)

    def _to_batch(
        self, images: torch.Tensor, labels: torch.Tensor, attributes: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        if self._random_flip:
            images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(-1), images)
        batch = {"pixel_values": images.float() / 127.5 - 1}
        if self.class_names:
            batch["class_labels"] = labels
        if self.attribute_names:
            batch["attributes"] = attributes
        return batch

    def _full_batches(self, epoch: int) -> Iterator[Chunk]:
        """Full batches in the order of an epoch, images still uint8: streamed, or permuted in memory."""
        size = self.batch_size
        if epoch > 0 and self._fill_cache():
            generator = torch.Generator().manual_seed(self._rows.seed * 1_000_003 + epoch)
            order = torch.randperm(len(self._cache[0]), generator=generator)
            for index in order[: len(order) // size * size].split(size):
                yield tuple(part[index] for part in self._cache)
            return
        chunks = self._chunks(epoch)
        if epoch == 0 and self._cache is None:
            chunks = self._remembered(chunks)
        for chunk in _regroup(chunks, size):
            if len(chunk[0]) == size:
                yield chunk

    def _remembered(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """The chunks of the first epoch; once all have passed they are the cache, if they fit.

        All processes have equally many rows, so either all of them have a cache or none has.
        """
        seen, seen_bytes = [], 0
        for chunk in chunks:
            seen_bytes += chunk[0].numel()
            if seen_bytes > self._cache_bytes:
                self._cache_bytes, seen = 0, []
            else:
                seen.append(chunk)
            yield chunk
        if seen:
            self._cache = tuple(torch.cat(part) for part in zip(*seen, strict=True))

    def _fill_cache(self) -> bool:
        """Whether the images are in memory; after a resume the first epoch is read again to put them there."""
        if self._cache is None:
            batches = self._full_batches(0)
            while self._cache_bytes > 0 and next(batches, None) is not None:
                pass
        return self._cache is not None

    def _chunks(self, epoch: int | None) -> Iterator[Chunk]:
        """Decoded rows of this process, at most CHUNK at a time; in the dataset's order if `epoch` is None."""
        self._rows.epoch = epoch
        rank, world_size = self._rows.rank, self._rows.world_size
        options = {"prefetch_factor": 4, "worker_init_fn": _detach_worker} if self._num_workers else {}
        loader = DataLoader(
            self._rows,
            batch_size=None,
            # Arrays travel by value. Tensors would each keep a shared file open as long as the cache holds them.
            collate_fn=_unchanged,
            num_workers=self._num_workers,
            # Its own, else every epoch would take a number from the one that training draws its noise from.
            generator=torch.Generator().manual_seed(0),
            **options,
        )
        rests = []
        for chunk in _start(loader):
            # Errors travel as values: raised in a worker they would arrive as a traceback.
            if isinstance(chunk, str):
                raise UserError(chunk)
            *parts, is_rest = chunk
            if is_rest:
                rests.append(parts)
            else:
                yield tuple(map(torch.from_numpy, parts))
        if rests:
            # Every process has the same rests in the same order, and takes its share of the groups they still make.
            parts = [torch.from_numpy(np.concatenate(part)) for part in zip(*rests, strict=True)]
            share = slice(rank, len(parts[0]) // world_size * world_size, world_size)
            yield tuple(part[share] for part in parts)


def _regroup(chunks: Iterable[Chunk], size: int) -> Iterator[Chunk]:
    """Chunks of `size`, the last one as short as it comes, from chunks of any length."""
    rest: list[Chunk] = []
    for chunk in chunks:
        parts = [torch.cat(part) for part in zip(*rest, chunk, strict=True)]
        whole = len(parts[0]) // size * size
        yield from zip(*(part[:whole].split(size) for part in parts), strict=True)
        rest = [tuple(part[whole:] for part in parts)]
    if rest and len(rest[0][0]):
        yield rest[0]


def _unchanged(chunk):
    return chunk


def _start(loader: DataLoader) -> Iterator:
    """The loader's iterator; SIGTERM waits while workers start, who do not mind it from the beginning."""
    if not hasattr(signal, "pthread_sigmask"):
        return iter(loader)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _detach_worker(worker_id: int) -> None:
    """Leave signals to the main process, which finishes its step, saves, and then ends the workers."""
    # In a session of its own no Ctrl-C in the terminal and no signal to the process group reaches the worker.
    if hasattr(os, "setsid"):
        os.setsid()
    # A forked worker inherits the main process's handlers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # `pkill -f` finds workers by the command line that they share with the main process.
    if hasattr(signal, "sigtimedwait"):
        threading.Thread(target=_end_with_parent, args=[os.getppid()], daemon=True).start()


def _end_with_parent(parent: int) -> None:
    """End this worker when the main process says so, or is killed: writing to a dead process waits forever."""
    while os.getppid() == parent:
        received = signal.sigtimedwait({signal.SIGTERM}, 1.0)
        if received is not None and received.si_pid == parent:
            break
    os._exit(0)


class _RowStream(IterableDataset):
    """Rows of a `datasets` stream, sharded, filtered, shuffled, shared among processes, decoded.

    A process decodes its own row of each group of world_size rows. A worker's last group, if it is not complete, is the
    rest: every process decodes all of it.
    """

    sample_size: int
    num_channels: int
    fit: str
    resize: bool
    resized: bool
    epoch: int | None = 0

    def __init__(self, rows, image_column, label_column, attributes, keep, shuffle_buffer, seed, rank, world_size):
        self.rows, self.image_column, self.label_column = rows, image_column, label_column
        self.attributes = attributes
        self.numbers = {label: i for i, label in enumerate(keep)} if keep else None
        self.shuffle_buffer, self.seed, self.rank, self.world_size = shuffle_buffer, seed, rank, world_size

    def first(self, described: str) -> Image.Image:
        """The first image, decoded; raises UserError if there is none."""
        rows = self.head(1, epoch=None)
        if not rows:
            raise UserError(f"There are no images in {described}.")
        return self._open_image(rows[0][0])

    def head(self, n: int, epoch: int | None) -> list[tuple]:
        """The first undecoded rows of an epoch's order, as it is without workers."""
        try:
            return list(itertools.islice(self._undecoded(epoch, worker=0, num_workers=1), n))
        except (OSError, HfHubHTTPError) as error:
            raise UserError(f"The dataset cannot be read: {_first_line(error)}") from error

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, bool] | str]:
        """Chunks of `decode`, and whether they are the rest; or an error's text, and nothing more."""
        info = get_worker_info()
        rows = self._undecoded(self.epoch, info.id if info else 0, info.num_workers if info else 1)
        try:
            own = []
            while len(group := list(itertools.islice(rows, self.world_size))) == self.world_size:
                own.append(group[self.rank])
                if len(own) == CHUNK:
                    yield *self.decode(own), False
                    own = []
            if own:
                yield *self.decode(own), False
            if group:
                yield *self.decode(group), True
        except UserError as error:
            yield str(error)
        except (OSError, HfHubHTTPError) as error:
            yield f"Reading the dataset broke off: {_first_line(error)}. Resume from the last checkpoint."

    def decode(self, rows: Sequence[tuple]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Images (n, C, sample_size, sample_size) uint8, labels (n,) int64 and attributes (n, A) bool of n > 0 rows."""
        images, labels, attributes = zip(*rows, strict=True)
        images = np.stack([self._decode(image) for image in images])
        return images, np.array(labels, dtype=np.int64), np.array(attributes, dtype=bool)

    def _undecoded(self, epoch: int | None, worker: int, num_workers: int) -> Iterator[tuple]:
        """A worker's rows, as image, label and attributes, in the order of an epoch; in the dataset's if that is None.

        Shuffled here: `datasets` shuffles with threads, after which it sleeps five seconds when a parquet stream ends.
        """
        shards = np.arange(self.rows.num_shards)[worker::num_workers]
        shuffled = epoch is not None and self.shuffle_buffer > 0
        if shuffled:
            random = np.random.default_rng((self.seed, epoch, worker))
            random.shuffle(shards)
        buffer = []
        for shard in shards:
            # In batches: `datasets` takes ten times as long row by row.
            for batch in self.rows.shard(self.rows.num_shards, int(shard)).iter(CHUNK):
                rows = zip(batch[self.image_column], self._labels(batch), self._attributes(batch), strict=True)
                buffer += rows if self.numbers is None else [row for row in rows if row[1] is not None]
                if not shuffled:
                    yield from buffer
                    buffer = []
                elif len(buffer) >= self.shuffle_buffer:
                    random.shuffle(buffer)
                    half = len(buffer) // 2
                    yield from buffer[half:]
                    del buffer[half:]
        if shuffled:
            random.shuffle(buffer)
        yield from buffer

    def _labels(self, batch: dict) -> list[int | None]:
        """Labels by their new numbers; None for a class that is not wanted."""
        if self.label_column is None:
            return [0] * len(batch[self.image_column])
        labels = batch[self.label_column]
        if self.numbers is not None:
            return [self.numbers.get(label) for label in labels]
        if None in labels or min(labels) < 0:
            raise UserError(
                f"The column {self.label_column} has no label for some images: choose the labelled ones with --classes, or "
                "remove the others from the dataset."
            )
        return labels

    def _attributes(self, batch: dict) -> list[tuple[bool, ...]]:
        """The attributes of each row, as many as are asked for."""
        for name in self.attributes:
            if None in batch[name]:
                raise UserError(f"The column {name} has no value for some images: leave it out of the attributes.")
        if not self.attributes:
            return [()] * len(batch[self.image_column])
        return list(zip(*(batch[name] for name in self.attributes), strict=True))

    def _open_image(self, value: dict | None) -> Image.Image:
        if value is None:
            raise UserError(f"The column {self.image_column} has rows without an image: remove them from the dataset.")
        name = value.get("path") or "an image of the dataset"
        try:
            if value["bytes"] is None:
                with fsspec.open(value["path"], "rb") as file:
                    value = {"bytes": file.read()}
            image = Image.open(io.BytesIO(value["bytes"]))
            image.load()
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise UserError(
                f"{name} cannot be read as an image ({_first_line(error)}): repair or remove it."
            ) from error
        return image

    def _decode(self, value: dict) -> np.ndarray:
        """(C, sample_size, sample_size) uint8."""
        image = self._open_image(value)
        size = self.sample_size
        mode = "L" if self.num_channels == 1 else "RGB"
        if image.mode != mode:
            image = image.convert(mode)
        if image.size != (size, size):
            if not self.resize:
                raise UserError(
                    f"The images differ in size ({size}x{size} and {image.width}x{image.height}): give one with --resolution."
                )
            image = make_square(image, size, self.fit)
        array = np.asarray(image)
        return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def make_square(image: Image.Image, size: int, fit: str) -> Image.Image:
    """An image as size x size pixels: its middle cropped, padded with black, or stretched."""
    if fit == "stretch":
        return image.resize((size, size), Image.Resampling.LANCZOS)
    side = (min if fit == "crop" else max)(image.size)
    scaled = image.resize(tuple(max(1, round(length * size / side)) for length in image.size), Image.Resampling.LANCZOS)
    left, top = (scaled.width - size) // 2, (scaled.height - size) // 2
    # Cropping beyond the border pads with black.
    return scaled.crop((left, top, left + size, top + size))


def _open(source: str, split: str, config_name: str | None) -> datasets.IterableDataset:
    """The undecoded stream of one split."""
    arguments = {"path": source}
    built_in = zoo.sample_folder(source)
    if built_in is not None:
        arguments = {"path": str(built_in)}
    elif Path(source).is_dir():
        files = [path for path in Path(source).rglob("*") if path.is_file()]
        if not any(path.suffix in (".parquet", ".arrow", ".tar") for path in files):
            if not any(path.suffix.lower() in IMAGE_SUFFIXES for path in files):
                raise UserError(
                    f"The folder {source} has neither images ({', '.join(IMAGE_SUFFIXES)}) nor parquet files."
                )
            arguments = {"path": "imagefolder", "data_dir": source}
    elif source.startswith(zoo.SAMPLE_PREFIX):
        raise UserError(f"There is no built-in sample {source!r}: {', '.join(zoo.sample_names())}.")
    elif not re.fullmatch(r"[\w.-]+/[\w.-]+", source) or source.startswith("."):
        raise UserError(
            f"{source!r} is neither a folder here, nor a Hub id like 'ylecun/mnist', nor a built-in sample."
        )
    else:
        _check_hub(source)
    try:
        splits = retry(
            lambda: datasets.load_dataset(**arguments, name=config_name, streaming=True), attempts=HUB_ATTEMPTS
        )
    except (OSError, HfHubHTTPError) as error:
        raise UserError(f"The dataset {source!r} cannot be read: {_first_line(error)}") from error
    except ValueError as error:
        raise UserError(f"The dataset {source!r} cannot be opened: {_first_line(error)}") from error
    if split not in splits:
        raise UserError(f"The dataset {source!r} has no split {split!r}: it has {', '.join(splits)}.")
    rows = splits[split]
    if rows.features is None:
        raise UserError(
            f"The dataset {source!r} does not declare its columns: save it as parquet with an Image column."
        )
    return rows


def _check_hub(source: str) -> None:
    """Ask the Hub once whether it has a dataset: load_dataset would try for half a minute before it said no."""
    try:
        retry(lambda: HfApi().dataset_info(source, timeout=15), attempts=HUB_ATTEMPTS)
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(
            f"The Hub has no dataset {source!r} that you may read: check the id and, if it is private, HF_TOKEN."
        ) from error
    # The client's transport errors have no base class of their own.
    except Exception as error:
        raise UserError(
            f"The dataset {source!r} cannot be reached on the Hub ({type(error).__name__}): check the network, or give a "
            f"folder or {zoo.sample_names()[-1]!r}."
        ) from error


def _find_column(rows, wanted: str | None, kind: type, preferred: tuple[str, ...], source: str, flag: str) -> str:
    """The column of a type: the wanted one, the only one, or the first with a usual name."""
    names = [name for name, feature in rows.features.items() if isinstance(feature, kind)]
    if wanted is not None:
        if wanted not in names:
            listed = ", ".join(names) or "none"
            raise UserError(
                f"{source!r} has no {kind.__name__} column {wanted!r}: its {kind.__name__} columns are {listed}."
            )
        return wanted
    usual = [name for name in preferred if name in names]
    if usual or len(names) == 1:
        return (usual or names)[0]
    if not names:
        raise UserError(f"{source!r} has no image column: its columns are {', '.join(rows.features)}.")
    raise UserError(f"{source!r} has several image columns: choose one of {', '.join(names)} with {flag}.")


def _find_label(rows, wanted: str | None, source: str) -> str | None:
    """The label column, or None if there is none. Booleans count as two classes, but only when asked for."""
    if wanted is None:
        labels = [name for name, feature in rows.features.items() if isinstance(feature, datasets.ClassLabel)]
        usual = [name for name in ("label", "labels") if name in labels]
        return (usual or labels or [None])[0]
    feature = rows.features.get(wanted)
    if isinstance(feature, datasets.ClassLabel) or getattr(feature, "dtype", None) == "bool":
        return wanted
    legal = [
        n for n, f in rows.features.items() if isinstance(f, datasets.ClassLabel) or getattr(f, "dtype", "") == "bool"
    ]
    raise UserError(
        f"{source!r} has no label column {wanted!r}: --label_column takes {', '.join(legal) or 'nothing here'}."
    )


def _find_attributes(rows, wanted: Sequence[str] | str | None, source: str) -> list[str]:
    """The boolean columns that are wanted, in their order; "all", alone or in a list, means every one."""
    known = [name for name, feature in rows.features.items() if getattr(feature, "dtype", None) == "bool"]
    wanted = [wanted] if isinstance(wanted, str) else list(dict.fromkeys(wanted or []))
    if wanted == [ALL_ATTRIBUTES] and known:
        return known
    wrong = [name for name in wanted if name not in known]
    if wrong:
        has = f"its boolean columns are {', '.join(known)}" if known else "it has no boolean column at all"
        raise UserError(f"{source!r} has no attribute {wrong[0]!r}: {has}.")
    return wanted


def _class_names(rows, label_column: str | None) -> list[str]:
    if label_column is None:
        return []
    feature = rows.features[label_column]
    return list(feature.names) if isinstance(feature, datasets.ClassLabel) else [f"not {label_column}", label_column]


def _class_numbers(classes: Sequence[str] | None, names: list[str], source: str) -> list[int] | None:
    if not classes:
        return None
    if not names:
        raise UserError(f"{source!r} has no labels, so --classes cannot choose among them.")
    wrong = [name for name in classes if name not in names]
    if wrong:
        raise UserError(f"{source!r} has no class {wrong[0]!r}: its classes are {', '.join(names)}.")
    return [names.index(name) for name in dict.fromkeys(classes)]


def _choose_size(first: Image.Image, sample_size: int | None) -> int:
    if sample_size is not None:
        return sample_size
    if first.width != first.height:
        raise UserError(f"The images are {first.width}x{first.height}, not square: give a size with --resolution.")
    return first.width


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
