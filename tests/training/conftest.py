"""Running the training scripts inside the test's own process: a second each instead of ten."""

from __future__ import annotations

import runpy
import sys

import pytest
from accelerate.state import AcceleratorState, GradientState
from helpers import REPO, save_digits


@pytest.fixture(autouse=True)
def no_accelerator():
    """accelerate keeps its state for the life of a process; each test begins without."""
    forget_accelerator()


@pytest.fixture(autouse=True)
def few_fakes(monkeypatch):
    """What the monitor's looks at a tiny run cost; how many images it needs to be right is test_monitor.py's."""
    monkeypatch.setattr("genmodels.training.watching.MONITOR_FAKES", 32)


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
    shards = {"train-00000-of-00002": slice(40), "train-00001-of-00002": slice(40, 96), "test": slice(96, 128)}
    return save_digits(tmp_path_factory.mktemp("two-shards"), shards)
