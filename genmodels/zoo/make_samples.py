"""Make the built-in image samples again from the full datasets.

python -m genmodels.zoo.make_samples --mnist ylecun/mnist --cifar10 uoft-cs/cifar10 --emoji googlefonts/noto-emoji
"""

from __future__ import annotations

import argparse
import io
import random
from pathlib import Path

import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, Features, Image, load_dataset

from ..images import make_square, to_8_bits
from . import ROOT

FROG = 6
# Emoji of one category at most: six in ten of all are people.
MOST_EMOJI = 100


def encoded(image, **options) -> dict:
    """A PIL image as the struct that an Image column stores."""
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return {"bytes": buffer.getvalue(), "path": None}


def write(folder: Path, split: str, rows: list[tuple], names: list[str]) -> None:
    """Write (image struct, label) rows as one parquet file in the Hub's layout, all images of it compressed together."""
    features = Features({"image": Image(), "label": ClassLabel(names=names)})
    images, labels = zip(*rows, strict=True)
    path = folder / "data" / f"{split}-00000-of-00001.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = Dataset.from_dict({"image": images, "label": labels}, features=features).data.table
    pq.write_table(table, path, compression="zstd", compression_level=19, use_dictionary=False, data_page_size=2**26)


def make_mnist(source: str) -> None:
    """10,000 training and 2,000 test digits, drawn with seed 0, as PNG that is left to the file's own compression."""
    for split, size in (("train", 10_000), ("test", 2_000)):
        data = load_dataset(source, split=split).shuffle(seed=0).select(range(size))
        rows = [(encoded(row["image"], format="PNG", compress_level=0), row["label"]) for row in data]
        write(ROOT / "samples" / "mnist-sample", split, rows, data.features["label"].names)


def make_frogs(source: str) -> None:
    """All 5,000 training frogs as WebP of quality 80, for looking up neighbours; all 1,000 test frogs without loss."""
    for split, options in (("train", {"quality": 80}), ("test", {"lossless": True, "quality": 100})):
        data = load_dataset(source, split=split)
        frogs = data.select([i for i, label in enumerate(data["label"]) if label == FROG])
        rows = [(encoded(row["img"], format="WEBP", method=6, **options), FROG) for row in frogs]
        write(ROOT / "samples" / "cifar10-frogs-sample", split, rows, data.features["label"].names)


def make_emoji(source: str) -> None:
    """Emoji of 32 pixels with opacity, drawn with seed 0: every fourth of a category without loss for the test, others as WebP.

    The dataset has one split, so a model that was trained on it knows the test images, too.
    """
    data = load_dataset(source, split="train").shuffle(seed=0)
    train, test = [], []
    for label in range(data.features["label"].num_classes):
        of_label = [i for i, found in enumerate(data["label"]) if found == label][:MOST_EMOJI]
        for number, image in enumerate(data.select(of_label)["image"]):
            small = make_square(to_8_bits(image, 4), 32, "crop")
            if number % 4 == 3:
                test.append((encoded(small, format="WEBP", method=6, lossless=True, quality=100, exact=True), label))
            else:
                lossy = {"quality": 80, "alpha_quality": 60}
                train.append((encoded(small, format="WEBP", method=6, **lossy), label))
    for split, rows in (("train", train), ("test", test)):
        # Categories are mixed, so that the first so many show all of them.
        mixed = [rows[i] for i in random.Random(0).sample(range(len(rows)), len(rows))]
        write(ROOT / "samples" / "noto-emoji-sample", split, mixed, data.features["label"].names)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", default="ylecun/mnist", help="Hub id or folder of MNIST")
    parser.add_argument("--cifar10", default="uoft-cs/cifar10", help="Hub id or folder of CIFAR-10")
    parser.add_argument("--emoji", default="googlefonts/noto-emoji", help="Hub id or folder of Noto Emoji")
    args = parser.parse_args()
    make_mnist(args.mnist)
    make_frogs(args.cifar10)
    make_emoji(args.emoji)
