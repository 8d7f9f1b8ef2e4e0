"""The built-in checkpoints and image samples, each folder exactly as it would lie on the Hub.

Imports neither torch nor diffusers.
"""

from __future__ import annotations

import copy
import functools
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import UserError

ROOT = Path(__file__).parent
SAMPLE_PREFIX = "zoo:"
# Which built-in evaluator measures images of so many pixels a side and channels.
EVALUATORS = {
    (28, 1): "evaluator-mnist",
    (32, 3): "evaluator-cifar10",
    (32, 4): "evaluator-emoji",
    (64, 3): "evaluator-celeba",
}


def model_names() -> list[str]:
    """Names of the built-in pipelines, sorted."""
    return sorted(index.parent.name for index in ROOT.glob("*/model_index.json"))


def sample_names() -> list[str]:
    """Names of the built-in image samples, with their prefix: `zoo:mnist-sample`."""
    return sorted(f"{SAMPLE_PREFIX}{card.parent.name}" for card in (ROOT / "samples").glob("*/README.md"))


def replay_folders() -> list[Path]:
    """Folders with film, log and facts of trainings that are shown without a model, such as failures; sorted."""
    return sorted(film.parent for film in (ROOT / "replays").glob("*/film.webp"))


def model_folder(name: str) -> Path | None:
    """The folder of a built-in pipeline or evaluator, or None if there is none of that name."""
    folder = ROOT / name
    is_plain_name = name and Path(name).name == name
    return (
        folder if is_plain_name and any((folder / f).is_file() for f in ("model_index.json", "config.json")) else None
    )


def sample_folder(name: str) -> Path | None:
    """The dataset folder of a built-in sample (`zoo:mnist-sample`), or None if there is none of that name."""
    return ROOT / "samples" / name.removeprefix(SAMPLE_PREFIX) if name in sample_names() else None


@dataclass
class Sample:
    """Real images that come with the package.

    Attributes:
        images: (N, H, W, C) uint8, C being 1, 3 or 4.
        labels: (N,) int64.
        class_names: names of the labels in order.
    """

    images: np.ndarray
    labels: np.ndarray
    class_names: list[str]


def load_sample(name: str, split: str = "train") -> Sample:
    """A built-in sample in memory, in the order of its file.

    Args:
        name: `zoo:mnist-sample`, `zoo:cifar10-frogs-sample` or `zoo:noto-emoji-sample`.
        split: "train" or "test"; disjoint, as in the datasets they come from.

    Raises:
        UserError: there is no such sample or split.
    """
    folder = sample_folder(name)
    files = sorted(folder.glob(f"data/{split}-*.parquet")) if folder else []
    if not files:
        raise UserError(f"There is no built-in sample {name!r} with split {split!r}: {', '.join(sample_names())}.")
    # Whoever gets them may change them.
    return copy.deepcopy(decoded(tuple(files)))


@functools.cache
def decoded(files: tuple[Path, ...]) -> Sample:
    """The images of Parquet files, read once: thousands of PNG files take seconds."""
    from PIL import Image
    from pyarrow import parquet

    table = parquet.read_table(list(files))
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    images = [np.asarray(Image.open(io.BytesIO(row["bytes"]))) for row in table["image"].to_pylist()]
    stacked = np.stack(images)
    return Sample(
        images=stacked if stacked.ndim == 4 else stacked[..., None],
        labels=table["label"].to_numpy(),
        class_names=features["label"]["names"],
    )
