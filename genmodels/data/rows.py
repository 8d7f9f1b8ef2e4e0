"""The rows of a stream in the order of an epoch, shared among processes and their workers, decoded."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import sys
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from huggingface_hub.errors import HfHubHTTPError
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from .. import images
from ..errors import UserError
from ..images import UnreadableImageError, reading
from .columns import Cell, trouble
from .sources import Folder
from .tables import Table

logger = logging.getLogger(__name__)

# Rows that a worker hands over at once: passing them singly costs more than decoding them.
CHUNK = 256
# Of how many images are looked at before training for colour and for what is white.
LOOKED_AT = 256
# Which share of white the brightest number must have, or it is said: 12 bits in 16 have a sixteenth.
DARK = 1 / 8
# Of large images fewer are read at once, and fewer wait to be shuffled: so many bytes at most.
READ_BYTES, BUFFER_BYTES = 2**22, 2**29
# Images uint8 (n, C, H, W), labels int64 (n,) and attributes bool (n, A).
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]
# What a worker hands over: arrays, whether they are the rest, and what was skipped; or an error's text, and nothing more.
Part = tuple[Arrays, bool, list[str]] | str
# An image, its label and its attributes; of what waits to be shuffled the image may be decoded already.
Row = tuple[Cell | np.ndarray, int, tuple[bool, ...]]
Decoded = tuple[np.ndarray, int, tuple[bool, ...]]
T = TypeVar("T")


class Chunk(NamedTuple):
    """Decoded rows: images uint8 (n, C, H, W), labels int64 (n,) and attributes bool (n, A)."""

    images: torch.Tensor
    labels: torch.Tensor
    attributes: torch.Tensor

    @classmethod
    def of(cls, parts: Iterable[Arrays]) -> Chunk:
        """Parts, one behind the other, as tensors."""
        return cls(*(torch.from_numpy(np.concatenate(arrays)) for arrays in zip(*parts, strict=True)))

    @classmethod
    def join(cls, chunks: Iterable[Chunk]) -> Chunk:
        """Chunks, one behind the other."""
        return cls(*map(torch.cat, zip(*chunks, strict=True)))

    def take(self, index: torch.Tensor | slice) -> Chunk:
        """Some of the rows."""
        return Chunk(*(part[index] for part in self))


def start_loader(rows: RowStream, num_workers: int) -> Iterator[Part]:
    """Read rows, ahead if there are workers; SIGTERM waits while these start, who do not mind it from the beginning."""
    loader = DataLoader(
        rows,
        batch_size=None,
        # Arrays travel by value. Tensors would each keep a shared file open as long as the cache holds them.
        collate_fn=_unchanged,
        num_workers=num_workers,
        # Its own, else every epoch would take a number from the one that training draws its noise from.
        generator=torch.Generator().manual_seed(0),
        prefetch_factor=4 if num_workers else None,
        worker_init_fn=detach_worker if num_workers else None,
    )
    if not hasattr(signal, "pthread_sigmask"):
        return iter(loader)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _unchanged(part: T) -> T:
    return part


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


def is_held_out(value: Cell, share: float) -> bool:
    """Whether an undecoded image is among those held out: by a hash of what it is, so in any order and in every process the
    same, and copies of an image together."""
    if not share:
        return False
    data = (value.get("bytes") or value.get("path") or "") if isinstance(value, dict) else value
    # Of a file, its name and folder: where that lies is another matter on each machine.
    key = data if isinstance(data, bytes) else "/".join(Path(str(data)).parts[-2:]).encode()
    return zlib.crc32(key) % 10_000 < 10_000 * share


class RowStream(IterableDataset):
    """Rows of a source, sharded, filtered, shuffled, shared among processes, decoded.

    A process decodes its own row of each group of world_size rows. A worker's last group, if it is not complete, is the
    rest: every process decodes all of it.

    Attributes:
        sample_size, num_channels: shape of the images.
        background: what transparent parts show, red, green and blue.
        white: what is white at least in images of numbers beyond 8 bits; None if there are none among the first.
        fit, resize: how images become square, and whether they may.
        resized: whether the first image is of another size in the dataset.
        skip: whether images that cannot be read are left out.
        skipped: why, for each that was since somebody has taken them.
    """

    sample_size: int
    num_channels: int
    white: int | None = None
    resize: bool = False
    resized: bool
    epoch: int | None = 0
    # Rows that are read at once.
    step = 1
    # Share of the images that no epoch has: for looking at them beside those that are learned from.
    held_out: float = 0.0

    def __init__(
        self,
        source: Folder | Table,
        shuffle_buffer: int,
        seed: int,
        rank: int,
        world_size: int,
        fit: str,
        background: tuple[int, int, int],
        skip: bool,
    ):
        self.source, self.fit, self.background, self.skip = source, fit, background, skip
        self.shuffle_buffer, self.seed, self.rank, self.world_size = shuffle_buffer, seed, rank, world_size
        self.skipped: list[str] = []

    def look(self, described: str, num_channels: int | None, sample_size: int | None) -> None:
        """Find out how large rows are, what is white and, unless the arguments say it, whether there is colour and the size.

        Raises:
            UserError: there is no image, the first cannot be read, or is not square.
        """
        for value, _, _ in self.head(LOOKED_AT, epoch=None):
            try:
                data, name = self._read(value)
                first = images.read_image(data, name)
                break
            except UnreadableImageError:
                if not self.skip:
                    raise
        else:
            raise UserError(f"There are no images{' that can be read' if self.skip else ''} in {described}.")
        while self.step < CHUNK and 2 * self.step * len(data) <= READ_BYTES:
            self.step *= 2
        colour, self.white, brightest = images.has_colour(first, self.background), images.white_of(first, name), 0.0
        if self.white or not (colour or num_channels):
            for value, _, _ in self.head(LOOKED_AT, epoch=None):
                try:
                    data, name = self._read(value)
                    image = images.open_image(data, name)
                    with reading(name):
                        if white := images.white_of(image, name):
                            self.white = max(self.white or 0, white)
                            brightest = max(brightest, float(images.numbers_of(image).max()))
                # It is answered in its turn.
                except UnreadableImageError:
                    continue
                colour = colour or images.has_colour(image, self.background)
                if colour and not self.white:
                    break
        if self.white and brightest < DARK * self.white and self.rank == 0:
            logger.warning(
                "The images are dark: their numbers go up to %s, where %s is white. Scale them, if that is not meant.",
                f"{brightest:,.4g}" if brightest < 10 else f"{brightest:,.0f}",
                f"{self.white:,}",
            )
        self.num_channels = num_channels or (3 if colour else 1)
        if sample_size is None and first.width != first.height:
            raise UserError(f"The images are {first.width}x{first.height}, not square: give a size with `sample_size`.")
        self.sample_size, self.resize = first.width if sample_size is None else sample_size, sample_size is not None
        self.resized = first.size != (self.sample_size, self.sample_size)

    def head(self, n: int, epoch: int | None, held_out: bool = False) -> Iterator[Row]:
        """The first undecoded rows of an epoch's order, as it is without workers, or of those that are held out."""
        try:
            yield from itertools.islice(self._undecoded(epoch, 0, 1, held_out), n)
        except (OSError, HfHubHTTPError) as error:
            raise UserError(f"The dataset cannot be read: {trouble(error)}.") from error

    def count(self, limit: int, max_bytes: int) -> int | None:
        """How many rows there are, those held out left out; None from so many rows or bytes on."""
        count = read = 0
        for row in self.head(limit, epoch=None):
            count, read = count + 1, read + size_of(row[0])
            if count >= limit or read > max_bytes:
                return None
        return count

    def decoded_head(self, n: int, epoch: int | None, held_out: bool = False) -> Iterator[Arrays]:
        """The first n images that can be read in an epoch's order, as it is without workers, or of those that are held out; as
        in `decode`, in parts."""
        rows = self.head(sys.maxsize, epoch, held_out)
        while n > 0 and (part := list(itertools.islice(rows, min(n, self.step)))):
            decoded = self.decode(part)
            n -= len(decoded[0])
            yield decoded

    def __iter__(self) -> Iterator[Part]:
        info = get_worker_info()
        rows = self._undecoded(self.epoch, info.id if info else 0, info.num_workers if info else 1)
        if self.skip and self.world_size > 1:
            # All processes take equally many, so all must know which are skipped.
            rows = filter(None, map(self._decoded, rows))
        try:
            own: list[Row] = []
            while len(group := list(itertools.islice(rows, self.world_size))) == self.world_size:
                own.append(group[self.rank])
                if len(own) == self.step:
                    yield self.decode(own), False, self.take_skipped()
                    own = []
            if own:
                yield self.decode(own), False, self.take_skipped()
            if group:
                yield self.decode(group), True, self.take_skipped()
        except UserError as error:
            yield str(error)
        except (OSError, HfHubHTTPError) as error:
            yield f"Reading the dataset broke off: {trouble(error)}."

    def take_skipped(self) -> list[str]:
        """Why images were skipped since this was asked."""
        taken, self.skipped = self.skipped, []
        return taken

    def decode(self, rows: Sequence[Row]) -> Arrays:
        """Images (n, C, sample_size, sample_size) uint8, labels (n,) int64 and attributes (n, A) bool of rows.

        n is their number, less those that are skipped.
        """
        decoded = [row for row in map(self._decoded, rows) if row is not None]
        shape = (len(decoded), self.num_channels, self.sample_size, self.sample_size)
        images = np.stack([row[0] for row in decoded]) if decoded else np.empty(shape, np.uint8)
        labels = np.array([row[1] for row in decoded], dtype=np.int64)
        attributes = np.array([row[2] for row in decoded], dtype=bool)
        return images, labels, attributes.reshape(len(decoded), len(self.source.attribute_names))

    def _decoded(self, row: Row) -> Decoded | None:
        """A row with its image decoded; None if it is to be skipped."""
        try:
            return self._decode(row[0]), *row[1:]
        except UnreadableImageError as error:
            if not self.skip:
                raise
            self.skipped.append(str(error))
            return None

    def _arrived(self, row: Row) -> Row:
        """A row as it waits to be shuffled: decoded, if its file is larger than its image in the wanted size.

        Several processes each decode only their own images, when it is their turn.
        """
        if self.world_size == 1 and size_of(row[0]) > self.num_channels * self.sample_size**2:
            # It is answered in its turn.
            with suppress(UserError):
                return self._decode(row[0]), *row[1:]
        return row

    def _undecoded(self, epoch: int | None, worker: int, num_workers: int, held_out: bool = False) -> Iterator[Row]:
        """A worker's rows, as image, label and attributes, in the order of an epoch; in the dataset's if that is None.

        Shuffled here: `datasets` shuffles with threads, after which it sleeps five seconds when a parquet stream ends.
        """
        shards = np.arange(self.source.num_shards)[worker::num_workers]
        random = None
        if epoch is not None and self.shuffle_buffer > 0:
            random = np.random.default_rng((self.seed, epoch, worker))
            random.shuffle(shards)
        # Rows that wait and their bytes; how many of them are new since some were let go, and bytes that were read for these.
        waiting: list[Row] = []
        waiting_bytes, new, new_bytes = 0, 0, 0
        for shard in shards:
            read = 0
            for batch in itertools.chain(self.source.batches(int(shard), self.step), [None]):
                rows: list[Row] = [
                    (image, label, attributes)
                    for image, label, attributes in (zip(*batch, strict=True) if batch else ())
                    if label is not None and is_held_out(image, self.held_out) == held_out
                ]
                if random is None:
                    yield from rows
                    continue
                for row in rows:
                    waiting.append(self._arrived(row))
                    new, new_bytes = new + 1, new_bytes + size_of(row[0])
                    waiting_bytes += size_of(waiting[-1][0])
                # However many are read at once, the order is that of reading CHUNK of them.
                read += len(batch[0]) if batch else 0
                whole = read % CHUNK == 0 if batch else read % CHUNK > 0
                if (whole and len(waiting) >= self.shuffle_buffer) or waiting_bytes >= BUFFER_BYTES:
                    left = len(waiting) // 2
                elif new_bytes >= BUFFER_BYTES:
                    # Of large files some go before the buffer is full, so that training need not wait for so many.
                    left = len(waiting) - new // 2
                else:
                    continue
                random.shuffle(waiting)
                yield from waiting[left:]
                del waiting[left:]
                waiting_bytes, new, new_bytes = sum(size_of(row[0]) for row in waiting), 0, 0
        if random is not None:
            random.shuffle(waiting)
        yield from waiting

    def _read(self, value: Cell | np.ndarray) -> tuple[bytes, str]:
        assert not isinstance(value, np.ndarray)
        return self.source.read(value)

    def _decode(self, value: Cell | np.ndarray) -> np.ndarray:
        """(C, sample_size, sample_size) uint8; with four channels, colours premultiplied by their opacity."""
        if isinstance(value, np.ndarray):
            return value
        data, name = self.source.read(value)
        size = self.sample_size
        image = images.read_image(data, name, near=size if self.resize else None)
        with reading(name):
            image = images.to_8_bits(image, self.num_channels, self.background, self.white, name)
        if image.size != (size, size):
            if not self.resize:
                raise UserError(
                    f"The images differ in size ({size}x{size} and {image.width}x{image.height}): give one with `sample_size`."
                )
            image = images.make_square(image, size, self.fit, self.background)
        # In Pillow the mode of premultiplied colours: what is hidden under a transparent pixel counts for nothing.
        array = np.asarray(image.convert("RGBa") if image.mode == "RGBA" else image)
        return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def size_of(image: Cell | np.ndarray) -> int:
    """How many bytes an image holds in memory; 0 if only its place is known."""
    if isinstance(image, np.ndarray):
        return image.nbytes
    data = image.get("bytes") if isinstance(image, dict) else image
    return len(data) if data is not None else 0
