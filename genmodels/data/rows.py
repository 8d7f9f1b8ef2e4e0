"""The rows of a stream in the order of an epoch, shared among processes and their workers, decoded."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from huggingface_hub.errors import HfHubHTTPError
from PIL import Image
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from ..errors import UserError
from ..images import BLACK, make_square, read_image, to_8_bits
from .columns import first_line

if TYPE_CHECKING:
    from .sources import Folder, Table

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
    """Rows of a source, sharded, filtered, shuffled, shared among processes, decoded.

    A process decodes its own row of each group of world_size rows. A worker's last group, if it is not complete, is the
    rest: every process decodes all of it.
    """

    sample_size: int
    num_channels: int
    background: tuple[int, int, int] = BLACK
    fit: str
    resize: bool = False
    resized: bool
    epoch: int | None = 0

    def __init__(self, source: Folder | Table, shuffle_buffer: int, seed: int, rank: int, world_size: int):
        self.source = source
        self.shuffle_buffer, self.seed, self.rank, self.world_size = shuffle_buffer, seed, rank, world_size

    def first(self, described: str) -> Image.Image:
        """The first image, decoded; raises UserError if there is none."""
        rows = self.head(1, epoch=None)
        if not rows:
            raise UserError(f"There are no images in {described}.")
        return read_image(*self.source.read(rows[0][0]))

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
            yield f"Reading the dataset broke off: {first_line(error)}."

    def decode(self, rows: Sequence[tuple]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Images (n, C, sample_size, sample_size) uint8, labels (n,) int64 and attributes (n, A) bool of n > 0 rows."""
        images, labels, attributes = zip(*rows, strict=True)
        images = np.stack([self._decode(image) for image in images])
        return images, np.array(labels, dtype=np.int64), np.array(attributes, dtype=bool)

    def _undecoded(self, epoch: int | None, worker: int, num_workers: int) -> Iterator[tuple]:
        """A worker's rows, as image, label and attributes, in the order of an epoch; in the dataset's if that is None.

        Shuffled here: `datasets` shuffles with threads, after which it sleeps five seconds when a parquet stream ends.
        """
        shards = np.arange(self.source.num_shards)[worker::num_workers]
        shuffled = epoch is not None and self.shuffle_buffer > 0
        if shuffled:
            random = np.random.default_rng((self.seed, epoch, worker))
            random.shuffle(shards)
        buffer = []
        for shard in shards:
            for images, labels, attributes in self.source.batches(int(shard), CHUNK):
                buffer += [row for row in zip(images, labels, attributes, strict=True) if row[1] is not None]
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

    def _decode(self, value: dict | bytes | None) -> np.ndarray:
        """(C, sample_size, sample_size) uint8."""
        data, name = self.source.read(value)
        size = self.sample_size
        image = read_image(data, name, near=size if self.resize else None)
        image = to_8_bits(image, self.num_channels, self.background, name=name)
        if image.size != (size, size):
            if not self.resize:
                raise UserError(
                    f"The images differ in size ({size}x{size} and {image.width}x{image.height}): give one with `sample_size`."
                )
            image = make_square(image, size, self.fit, self.background)
        array = np.asarray(image)
        return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
