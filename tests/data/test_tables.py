"""Reading tables through `datasets`."""

from __future__ import annotations

import contextlib

import datasets
import pytest
from helpers import run_fresh_python

from genmodels.data import load_images
from genmodels.data.files import HUB_ATTEMPTS
from genmodels.data.tables import RETRIES, few_retries


def counts() -> set[int]:
    return {getattr(datasets.config, name) for name in RETRIES}


@pytest.mark.slow
def test_importing_leaves_the_retries_of_datasets_alone():
    code = (
        "from datasets import config; names = [n for n in dir(config) if 'RETR' in n]; read = lambda: "
        "[getattr(config, n) for n in names]; before = read(); import genmodels.data.tables; print(len(names), read() == before)"
    )
    done = run_fresh_python("-c", code)
    assert done.stdout.split() == [str(sum("RETR" in name for name in dir(datasets.config))), "True"], done.stderr


def test_retries_are_few_while_any_reader_is_under_way():
    usual = counts()
    assert usual != {HUB_ATTEMPTS}
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        first.enter_context(few_retries())
        second.enter_context(few_retries())
        first.close()
        assert counts() == {HUB_ATTEMPTS}
        second.close()
    assert counts() == usual


def test_retries_are_few_while_rows_are_read_and_usual_between(monkeypatch):
    usual, seen = counts(), []
    iterate = datasets.IterableDataset.iter

    def watched(rows, size):
        for batch in iterate(rows, size):
            seen.append(counts())
            yield batch

    monkeypatch.setattr(datasets.IterableDataset, "iter", watched)
    for _ in load_images("zoo:mnist-sample", split="test", batch_size=1000, num_workers=0).once():
        assert counts() == usual
    assert seen
    assert all(found == {HUB_ATTEMPTS} for found in seen)
