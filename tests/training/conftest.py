"""Running the training scripts inside the test's own process: a second each instead of ten."""

from __future__ import annotations

import runpy
import sys

import datasets
import pytest
from accelerate.state import AcceleratorState, GradientState
from helpers import REPO

from genmodels import zoo


@pytest.fixture(autouse=True)
def no_accelerator():
    """accelerate keeps its state for the life of a process; each test begins without."""
    forget_accelerator()


def forget_accelerator() -> None:
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.fixture
def train(monkeypatch):
    """Run a script with arguments; SystemExit passes through."""

    def run(script: str, *arguments: str) -> None:
        forget_accelerator()
        monkeypatch.setattr(sys, "argv", [f"train/{script}.py", *map(str, arguments)])
        runpy.run_path(str(REPO / "train" / f"{script}.py"), run_name="__main__")

    return run


@pytest.fixture(scope="session")
def two_shards(tmp_path_factory) -> str:
    """A dataset folder of 96 digits in two parquet files of different length, and 32 for testing."""
    root = tmp_path_factory.mktemp("two-shards")
    sample = zoo.load_sample("zoo:mnist-sample")
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=sample.class_names))
    for name, start, stop in (("train-00000", 0, 40), ("train-00001", 40, 96), ("test-00000", 96, 128)):
        images = [datasets.Image().encode_example(image[..., 0]) for image in sample.images[start:stop]]
        rows = {"image": images, "label": sample.labels[start:stop]}
        total = "00001" if name.startswith("test") else "00002"
        datasets.Dataset.from_dict(rows, features=features).to_parquet(root / f"{name}-of-{total}.parquet")
    return str(root)
