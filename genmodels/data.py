"""Images from the Hub, a folder or the package, as endless batches of tensors, through `datasets` streams.

Batches are dicts: `pixel_values` float32 (N, C, H, W) in [-1, 1] and, where the data has labels, `class_labels` int64 (N,).
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import datasets
import fsspec
import numpy as np
import torch
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
from PIL import Image, UnidentifiedImageError
from torch.utils.data import DataLoader, IterableDataset

from . import zoo
from .errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
FITS = ("crop", "pad", "stretch")
# Rows that a worker hands over at once: passing them singly costs more than decoding them.
CHUNK = 64


def load_images(
    source: str,
    *,
    split: str = "train",
    config_name: str | None = None,
    batch_size: int = 64,
    image_column: str | None = None,
    label_column: str | None = None,
    classes: Sequence[str] | None = None,
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
        sample_size: side of the images in pixels; by default their own, if they are square.
        num_channels: 1 or 3; by default that of the first image.
        fit: how an image becomes square: "crop" its middle, "pad" with black, or "stretch".
        random_flip: mirror each image left to right with probability 1/2.
        shuffle_buffer: rows among which a stream is shuffled; 0 keeps the dataset's order.
        seed: of the shuffling. Each epoch has an order of its own.
        num_workers: processes that read and decode ahead; never more than the dataset has shards.
        cache_gb: if the decoded images fit into so many GB, epochs after the first come from memory.
        rank, world_size: this process takes every world_size-th row, from the rank-th on.

    Raises:
        UserError: there is no such dataset, split, column or class, no network, or an image does not fit.
    """
    if fit not in FITS:
        raise UserError(f"fit must be one of {', '.join(FITS)}, got {fit!r}.")
    rows = _open(source, split, config_name)
    image_column = _find_column(rows, image_column, datasets.Image, ("image", "img"), source, "--image_column")
    label_column = _find_label(rows, label_column, source)
    names = _class_names(rows, label_column)
    keep = _class_numbers(classes, names, source)
    columns = [image_column] + ([label_column] if label_column else [])
    rows = rows.select_columns(columns).cast_column(image_column, datasets.Image(decode=False))
    stream = _RowStream(rows, image_column, label_column, keep, shuffle_buffer, seed, rank, world_size)
    first = stream.first(f"{source!r}, split {split!r}" + (f", classes {', '.join(classes)}" if classes else ""))
    stream.sample_size = _choose_size(first, sample_size)
    stream.num_channels = num_channels or (1 if first.mode in ("1", "L", "LA", "I;16", "I", "F") else 3)
    stream.fit, stream.resize = fit, sample_size is not None
    return ImageStream(
        stream,
        class_names=[names[i] for i in keep] if keep else names,
        batch_size=batch_size,
        random_flip=random_flip,
        num_workers=min(num_workers, rows.num_shards),
        cache_gb=cache_gb,
    )


class ImageStream:
    """Batches of one dataset, epoch after epoch, from a position that can be saved.

    Attributes:
        class_names: names of the labels in order; empty if the data has no labels.
        sample_size, num_channels: shape of the images.
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
        self.class_names = class_names
        self.sample_size, self.num_channels = rows.sample_size, rows.num_channels
        self.batch_size = batch_size
        self._rows, self._random_flip, self._num_workers = rows, random_flip, num_workers
        self._cache_bytes = cache_gb * 1e9
        self._cache: tuple[torch.Tensor, torch.Tensor] | None = None
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
            for images, labels in self._full_batches(self._epoch):
                self._batch += 1
                if self._batch > skip:
                    yield self._to_batch(images, labels)
            if self._batch == 0:
                raise UserError(
                    f"The dataset has fewer images than one batch of {self.batch_size}: lower the batch size."
                )
            self._epoch, self._batch = self._epoch + 1, 0

    def once(self) -> Iterator[dict[str, torch.Tensor]]:
        """All images once, in the dataset's order, the last batch as short as it comes: for evaluation."""
        images, labels = [], []
        for chunk_images, chunk_labels in self._chunks(epoch=None):
            images, labels = [*images, *chunk_images], [*labels, *chunk_labels]
            while len(images) >= self.batch_size:
                yield self._to_batch(torch.stack(images[: self.batch_size]), torch.stack(labels[: self.batch_size]))
                images, labels = images[self.batch_size :], labels[self.batch_size :]
        if images:
            yield self._to_batch(torch.stack(images), torch.stack(labels))

    def _to_batch(self, images: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        if self._random_flip:
            images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(-1), images)
        batch = {"pixel_values": images.float() / 127.5 - 1}
        return {**batch, "class_labels": labels} if self.class_names else batch

    def _full_batches(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches of uint8 images and labels in the order of an epoch: streamed, or permuted in memory."""
        size = self.batch_size
        if epoch > 0 and self._fill_cache():
            images, labels = self._cache
            generator = torch.Generator().manual_seed(self._rows.seed * 1_000_003 + epoch)
            order = torch.randperm(len(images), generator=generator)
            for index in order[: len(order) // size * size].split(size):
                yield images[index], labels[index]
            return
        images = torch.empty(0, dtype=torch.uint8)
        labels = torch.empty(0, dtype=torch.int64)
        seen, seen_bytes = [], 0
        for chunk_images, chunk_labels in self._chunks(epoch):
            if epoch == 0 and self._cache is None and seen_bytes <= self._cache_bytes:
                seen.append((chunk_images, chunk_labels))
                seen_bytes += chunk_images.numel()
            images = torch.cat([images, chunk_images]) if len(images) else chunk_images
            labels = torch.cat([labels, chunk_labels])
            while len(images) >= size:
                yield images[:size], labels[:size]
                images, labels = images[size:], labels[size:]
        if seen and seen_bytes <= self._cache_bytes:
            self._cache = tuple(torch.cat(part) for part in zip(*seen, strict=True))

    def _fill_cache(self) -> bool:
        """Whether the images are in memory; after a resume the first epoch is read again to put them there."""
        if self._cache is None and self._cache_bytes > 0:
            for _ in self._full_batches(0):
                pass
            if self._cache is None:
                self._cache_bytes = 0
        return self._cache is not None

    def _chunks(self, epoch: int | None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Decoded rows, at most CHUNK at a time; in the dataset's order if `epoch` is None."""
        self._rows.epoch = epoch
        options = {"prefetch_factor": 8} if self._num_workers else {}
        # Errors travel as values: raised in a worker they would arrive as a traceback.
        # A generator of its own: else every epoch would take a number from the one that training draws its noise from.
        own = torch.Generator().manual_seed(0)
        for chunk in DataLoader(self._rows, batch_size=None, num_workers=self._num_workers, generator=own, **options):
            if isinstance(chunk, str):
                raise UserError(chunk)
            yield chunk


class _RowStream(IterableDataset):
    """Rows of a `datasets` stream, filtered, sharded, shuffled, decoded."""

    sample_size: int
    num_channels: int
    fit: str
    resize: bool
    epoch: int | None = 0

    def __init__(self, rows, image_column, label_column, keep, shuffle_buffer, seed, rank, world_size):
        self.rows, self.image_column, self.label_column, self.keep = rows, image_column, label_column, keep
        self.shuffle_buffer, self.seed, self.rank, self.world_size = shuffle_buffer, seed, rank, world_size
        if keep:
            wanted = set(keep)
            self.rows = rows.filter(
                lambda labels: [label in wanted for label in labels], input_columns=label_column, batched=True
            )

    def first(self, described: str) -> Image.Image:
        """The first image, decoded; raises UserError if there is none."""
        try:
            row = next(iter(self.rows), None)
        except (OSError, HfHubHTTPError) as error:
            raise UserError(f"The dataset cannot be read: {_first_line(error)}") from error
        if row is None:
            raise UserError(f"There are no images in {described}.")
        return self._open_image(row[self.image_column])

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor] | str]:
        rows = self.rows
        if self.epoch is not None and self.shuffle_buffer:
            rows = rows.shuffle(seed=self.seed, buffer_size=self.shuffle_buffer)
            rows.set_epoch(self.epoch)
        images, labels = [], []
        try:
            for i, row in enumerate(rows):
                # Undecoded rows are cheap to pass over, so every process reads all and keeps its share.
                if i % self.world_size != self.rank:
                    continue
                images.append(self._decode(row[self.image_column]))
                labels.append(self._label(row))
                if len(images) == CHUNK:
                    yield torch.from_numpy(np.stack(images)), torch.tensor(labels)
                    images, labels = [], []
        except UserError as error:
            yield str(error)
            return
        except (OSError, HfHubHTTPError) as error:
            yield f"Reading the dataset broke off: {_first_line(error)}. Resume from the last checkpoint."
            return
        if images:
            yield torch.from_numpy(np.stack(images)), torch.tensor(labels)

    def _label(self, row: dict) -> int:
        if self.label_column is None:
            return 0
        label = int(row[self.label_column])
        return self.keep.index(label) if self.keep else label

    def _open_image(self, value: dict) -> Image.Image:
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
        splits = datasets.load_dataset(**arguments, name=config_name, streaming=True)
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
        HfApi().dataset_info(source, timeout=15)
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
