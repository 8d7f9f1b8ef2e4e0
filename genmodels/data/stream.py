"""Images from the Hub, a folder or the package, as endless batches of tensors, through `datasets` streams.

Batches are dicts: `pixel_values` float32 (N, C, H, W) in [-1, 1] and, where the data has labels, `class_labels` int64 (N,);
where attributes are asked for, `attributes` bool (N, A).
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence

import torch
from tqdm.auto import tqdm

from ..errors import UserError
from ..hub.retries import one_deadline
from ..images import FITS, MODES, parse_colour
from .listing import counted
from .rows import Arrays, Chunk, RowStream, start_loader
from .sources import open_source

logger = logging.getLogger(__name__)

# Of decoded images that are kept to compare with.
SAMPLE_BYTES = 2**28
# Images are counted by reading them, where nobody says how many there are, up to so many bytes.
COUNTED_BYTES = 10**9


@one_deadline()
def load_images(
    source: str | os.PathLike,
    *,
    split: str = "train",
    config_name: str | None = None,
    revision: str | None = None,
    batch_size: int = 64,
    image_column: str | None = None,
    label_column: str | None = None,
    classes: Sequence[str] | None = None,
    max_samples: int | None = None,
    attributes: Sequence[str] | str | None = None,
    sample_size: int | None = None,
    num_channels: int | None = None,
    fit: str = "crop",
    background: str = "black",
    skip_unreadable: bool = False,
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
        source: a Hub id ("ylecun/mnist"); a folder of images, whose folders are classes, or a .zip or .tar of one; a dataset
            folder, a parquet file or what save_to_disk wrote; or a built-in sample ("zoo:mnist-sample"). Of a folder, folders
            train, validation and test at the top are splits.
        split: "train", "test", or what the dataset calls it.
        config_name: the dataset's configuration, if it has several.
        revision: commit, branch or tag of a dataset on the Hub.
        batch_size: images in a batch.
        image_column: by default found by its type.
        label_column: text, integers or booleans; by default a column that declares its classes, or the folders, also those of
            parquet files that are named like label=cat.
        classes: class names to keep; the labels are then renumbered in this order. By default all.
        max_samples: use so many images: of a folder chosen at random by `seed`, of other datasets the first ones.
        attributes: names of boolean columns, which become `attributes` in this order; "all" for every one there is.
        sample_size: side of the images in pixels; by default their own, if they are square.
        num_channels: 1, 3, or 4 to keep transparency; by default 3 if any of the first 256 images is of a mode with colour.
        fit: how an image becomes square: "crop" its middle, "pad" with the background, or "stretch".
        background: what transparent parts show: "black", "white" or a colour such as "#ff8000".
        skip_unreadable: leave out images that cannot be read, and say which; by default the first of them ends it.
        random_flip: mirror each image left to right with probability 1/2.
        shuffle_buffer: rows among which a stream is shuffled, fewer if they have more than 0.5 GB; 0 keeps the dataset's order.
        seed: of the shuffling. Each epoch has an order of its own.
        num_workers: processes that read and decode ahead, at most as many as the dataset has shards; 0 for none.
        cache_gb: if this process's decoded images fit into so many GB, epochs after the first come from memory.
        rank, world_size: which of how many processes this is. They share each epoch's rows, and all get equally many.

    Raises:
        UserError: there is no such dataset, split, column or class, no network, more workers than shards, or an image
            does not fit.

    An image of 16 bits, of 32 or of floats is scaled by its range, see `images.white_of`; of the first 256 the largest counts.
    """
    if num_channels not in (None, *MODES):
        raise UserError(f"`num_channels` must be 1, 3 or 4, got {num_channels!r}.")
    if fit not in FITS:
        raise UserError(f"`fit` must be one of {', '.join(FITS)}, got {fit!r}.")
    source = os.fspath(source)
    rows = open_source(source, split, config_name, revision)
    rows.select(image_column, label_column, classes, attributes)
    if max_samples is not None:
        rows.limit(max_samples, seed)
    described = f"{source!r}, split {split!r}" + (f", classes {', '.join(classes)}" if classes else "")
    if rows.num_images == 0:
        raise UserError(f"There are no images in {described}.")
    if num_workers > max(1, shards := rows.num_shards):
        raise UserError(
            f"`num_workers` is {num_workers}, but {source!r} (split {split}) has {counted(shards, 'shard')}, and each worker "
            f"needs one of its own: give at most {shards}."
        )
    colour = parse_colour(background)
    stream = RowStream(rows, shuffle_buffer, seed, rank, world_size, fit, colour, skip_unreadable)
    stream.look(described, num_channels, sample_size)
    return ImageStream(stream, background, batch_size, random_flip, num_workers, cache_gb)


class ImageStream:
    """Batches of one dataset, epoch after epoch, from a position that can be saved.

    Attributes:
        class_names: names of the labels in order; empty if the data has no labels.
        attribute_names: names of the attributes in order; empty if none were asked for.
        label_columns: columns that could be given as `label_column`.
        num_images: how many images there are, in all processes; None if that is unknown before they are read.
        summary: what a folder or archive holds and what is left out, or of what in a dataset nothing is made, in a line; or None.
        fingerprint: other data has another one; the commit of a dataset on the Hub; None if unknown.
        sample_size, num_channels: shape of the images.
        fit, background: as they were given.
        resized: whether the first image is of another size in the dataset.
        skipped: what was said of images that cannot be read, and how many times in an epoch.
        batch_size: images in a batch.
        random_flip: whether images are mirrored at random.
    """

    def __init__(
        self,
        rows: RowStream,
        background: str,
        batch_size: int,
        random_flip: bool,
        num_workers: int,
        cache_gb: float,
    ):
        source = rows.source
        self.class_names, self.attribute_names = source.class_names, source.attribute_names
        self.label_columns, self.num_images = source.label_columns, source.num_images
        self.summary, self.fingerprint = source.summary, source.fingerprint
        self.sample_size, self.num_channels = rows.sample_size, rows.num_channels
        self.fit, self.background, self.resized = rows.fit, background, rows.resized
        self.batch_size = batch_size
        self._rows, self.random_flip, self._num_workers = rows, random_flip, num_workers
        self._cache_bytes = cache_gb * 1e9
        self._cache: Chunk | None = None
        self._seen: list[Chunk] = []
        self._epoch = self._batch = 0
        self.skipped: Counter[str] = Counter()

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

    def few(self) -> int | None:
        """How many images there are if they are fewer than a batch in every process; else None."""
        wanted = self.batch_size * self._rows.world_size
        if self.num_images is not None and self.num_images >= 2 * wanted:
            return None
        if self._rows.skip:
            count = sum(len(part[0]) for part in self._rows.decoded_head(wanted, epoch=None))
        else:
            count = sum(1 for _ in self._rows.head(wanted, epoch=None))
        return count if count < wanted else None

    def forever(self) -> Generator[dict[str, torch.Tensor], None, None]:
        """Full batches without end, from the current position; the rest of an epoch that fills no batch is left out.

        Fewer images than a batch in every process fill it by being gone through again: see `few`.

        Raises:
            UserError: an image is unreadable, the connection breaks, or an epoch has less than one batch.
        """
        if self.few():
            yield from self._filled()
        while True:
            skip, self._batch = self._batch, 0
            for chunk in self._full_batches(self._epoch):
                self._batch += 1
                if self._batch > skip:
                    yield self._to_batch(chunk)
            if self._batch == 0:
                raise UserError(
                    f"The dataset has fewer images than one batch of {self.batch_size}: lower the batch size."
                )
            self._epoch, self._batch = self._epoch + 1, 0

    def _filled(self) -> Iterator[dict[str, torch.Tensor]]:
        """Batches of few images, cut from one pass over them after the other, each in an order of its own."""
        rows = self._rows
        all_of_them = Chunk.of(rows.decoded_head(self.batch_size * rows.world_size, epoch=None))
        count = len(all_of_them.images)
        while True:
            start = (self._batch * rows.world_size + rows.rank) * self.batch_size
            self._batch += 1
            first, last = start // count, (start + self.batch_size - 1) // count
            passes = range(first, last + 1)
            orders = [torch.arange(count)] * len(passes)
            if rows.shuffle_buffer:
                orders = [_permutation(count, rows.seed, number) for number in passes]
            order = torch.cat(orders)
            yield self._to_batch(all_of_them.take(order[start - first * count :][: self.batch_size]))

    def once(self) -> Iterator[dict[str, torch.Tensor]]:
        """All images of this process once, unshuffled, the last batch as short as it comes: for evaluation."""
        for chunk in _regroup(self._chunks(epoch=None), self.batch_size):
            yield self._to_batch(chunk)

    def sample(self, n: int, held_out: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """The first n > 0 images of the first epoch's order, or of those held out: the same in every process, wherever the
        stream is.

        Neither the stream's position nor any random state changes. What is in memory already is taken from there; else the
        images are decoded once more, with a progress bar if that takes more than three seconds.

        Returns:
            Images uint8 (n, C, H, W) and labels int64 (n,), 0 if the data has none; fewer if the dataset is smaller, or if
            they would have more than 0.25 GB.

        Raises:
            UserError: an image is unreadable, or the dataset is.
        """
        rows = self._rows
        n = max(1, min(n, SAMPLE_BYTES // (rows.num_channels * rows.sample_size**2)))
        # A single process with a single worker has seen the images in this very order.
        parts = [self._cache] if self._cache is not None else self._seen
        alone = rows.world_size == 1 and self._num_workers <= 1 and not held_out
        if not alone or (self._cache is None and sum(len(part[0]) for part in parts) < n):
            parts = []
            with tqdm(total=n, desc="Decoding images", unit="image", delay=3, leave=False) as bar:
                for part in rows.decoded_head(n, 0, held_out):
                    parts.append(Chunk.of([part]))
                    bar.update(len(part[0]))
            self._note(rows.take_skipped(), Counter())
        if not parts:
            shape = (0, rows.num_channels, rows.sample_size, rows.sample_size)
            return torch.empty(shape, dtype=torch.uint8), torch.empty(0, dtype=torch.long)
        first = Chunk.join(parts).take(slice(n))
        return first.images.clone(), first.labels.clone()

    def hold_out(self, share: float) -> None:
        """Leave about this share of the images out of every epoch, from the first batch on; `sample` has them."""
        self._rows.held_out = share

    def count_labels(self) -> int | None:
        """How many images of the wanted classes there are, by the column of labels alone; None if that alone cannot be read."""
        return self._rows.source.count_labels()

    def count(self, limit: int) -> int | None:
        """How many images there are, those held out left out; None if there are `limit` or more, or more than a GB of them.

        So many rows are read, and none is decoded.
        """
        return self._rows.count(limit, COUNTED_BYTES)

    def _to_batch(self, chunk: Chunk) -> dict[str, torch.Tensor]:
        images = chunk.images
        if self.random_flip:
            images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(-1), images)
        batch = {"pixel_values": images.float() / 127.5 - 1}
        if self.class_names:
            batch["class_labels"] = chunk.labels
        if self.attribute_names:
            batch["attributes"] = chunk.attributes
        return batch

    def _full_batches(self, epoch: int) -> Iterator[Chunk]:
        """Full batches in the order of an epoch, images still uint8: streamed, or permuted in memory."""
        size = self.batch_size
        if epoch > 0 and (cache := self._filled_cache()) is not None:
            order = _permutation(len(cache.images), self._rows.seed, epoch)
            for index in order[: len(order) // size * size].split(size):
                yield cache.take(index)
            return
        chunks = self._chunks(epoch)
        if epoch == 0 and self._cache is None:
            chunks = self._remembered(chunks)
        for chunk in _regroup(chunks, size):
            if len(chunk.images) == size:
                yield chunk

    def _remembered(self, chunks: Iterable[Chunk]) -> Iterator[Chunk]:
        """The chunks of the first epoch; once all have passed they are the cache, if they fit.

        All processes have equally many rows, so either all of them have a cache or none has.
        """
        self._seen, seen_bytes = [], 0
        for chunk in chunks:
            seen_bytes += chunk.images.numel()
            if seen_bytes > self._cache_bytes:
                self._cache_bytes, self._seen = 0, []
            else:
                self._seen.append(chunk)
            yield chunk
        if self._seen:
            self._cache, self._seen = Chunk.join(self._seen), []

    def _filled_cache(self) -> Chunk | None:
        """The images in memory, if they fit; after a resume the first epoch is read again to put them there."""
        if self._cache is None:
            batches = self._full_batches(0)
            while self._cache_bytes > 0 and next(batches, None) is not None:
                pass
        return self._cache

    def _chunks(self, epoch: int | None) -> Iterator[Chunk]:
        """Decoded rows of this process, at most CHUNK at a time; in the dataset's order if `epoch` is None."""
        self._rows.epoch = epoch
        rank, world_size = self._rows.rank, self._rows.world_size
        rests: list[Arrays] = []
        skipped: Counter[str] = Counter()
        for part in start_loader(self._rows, self._num_workers):
            # Errors travel as values: raised in a worker they would arrive as a traceback.
            if isinstance(part, str):
                raise UserError(part)
            arrays, is_rest, unreadable = part
            self._note(unreadable, skipped)
            if is_rest:
                rests.append(arrays)
            else:
                yield Chunk.of([arrays])
        if rests:
            # Every process has the same rests in the same order, and takes its share of the groups they still make.
            rest = Chunk.of(rests)
            yield rest.take(slice(rank, len(rest.images) // world_size * world_size, world_size))

    def _note(self, unreadable: list[str], skipped: Counter[str]) -> None:
        """Count what was skipped in a pass, and say it where an earlier pass has not."""
        for message in unreadable:
            skipped[message] += 1
            if skipped[message] > self.skipped[message]:
                self.skipped[message] = skipped[message]
                if self._rows.rank == 0:
                    logger.warning("Skipped: %s", message)


def _regroup(chunks: Iterable[Chunk], size: int) -> Iterator[Chunk]:
    """Chunks of `size`, the last one as short as it comes, from chunks of any length."""
    rest: list[Chunk] = []
    for chunk in chunks:
        joined = Chunk.join([*rest, chunk])
        whole = len(joined.images) // size * size
        for start in range(0, whole, size):
            yield joined.take(slice(start, start + size))
        rest = [joined.take(slice(whole, None))]
    if rest and len(rest[0].images):
        yield rest[0]


def _permutation(count: int, seed: int, epoch: int) -> torch.Tensor:
    """The order of so many images in memory in an epoch."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
