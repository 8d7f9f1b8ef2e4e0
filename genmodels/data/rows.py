"""The rows of a stream in the order of an epoch, shared among processes and their workers, decoded."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Iterator, Sequence

import fsspec
import numpy as np
import torch
from huggingface_hub.errors import HfHubHTTPError
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ..errors import UserError
from ..images import make_square, read_image
from .sources import first_line

# Rows that a worker hands over at once: passing them singly costs more than decoding them.
CHUNK = 256
# Images uint8 (n, C, H, W), labels int64 (n,) and attributes bool (n, A).
Chunk = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def start_loader(loader: DataLoader) -> Iterator:
    """The loader's iterator; SIGTERM waits while workers start, who do not mind it from the beginning."""
    if not hasattr(signal, "pthread_sigmask"):
        return iter(loader)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def detach_worker(worker_id: int) -> None:
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


class RowStream(IterableDataset):
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
            raise UserError(f"The dataset cannot be read: {first_line(error)}") from error

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
            yield f"Reading the dataset broke off: {first_line(error)}. Resume from the last checkpoint."

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
        data = value["bytes"]
        if data is None:
            try:
                with fsspec.open(value["path"], "rb") as file:
                    data = file.read()
            except (OSError, ValueError) as error:
                raise UserError(
                    f"{name} cannot be read as an image ({first_line(error)}): repair or remove it."
                ) from error
        return read_image(data, name)

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
