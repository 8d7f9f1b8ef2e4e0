"""The table of measurements: every model with an evaluation, each number beside its floor."""

from __future__ import annotations

import json

import pytest

from genmodels.ui import numbers
from genmodels.ui.models import Model, ModelStore


def metric(name: str, value, floor) -> dict:
    return {"metric": name, "value": value, "floor": floor}


FID, RECALL = metric("fid", 1.23456, 0.5), metric("recall", 0.75, 0.875)


def model_with(tmp_path, evaluation) -> Model:
    (tmp_path / "evaluation.json").write_text(evaluation if isinstance(evaluation, str) else json.dumps(evaluation))
    return Model("samples", "someone/mine", folder=tmp_path)


def test_a_row_has_values_and_floors(tmp_path):
    evaluation = {"metrics": [FID, RECALL, metric("ssim", 1, 1)], "n": 5000, "dataset": "d", "evaluator": "e"}
    assert numbers.row_of(model_with(tmp_path, evaluation)) == {
        "title": "mine",
        "evaluator": "e",
        "n": 5000,
        "dataset": "d",
        "cells": {"fid": [1.23456, 0.5], "recall": [0.75, 0.875]},
    }


@pytest.mark.parametrize("metrics", [[FID], [RECALL], [], None, "x", [3, None], [metric("fid", 1, 1), 7]])
def test_no_quality_without_diversity(tmp_path, metrics):
    assert numbers.row_of(model_with(tmp_path, {"metrics": metrics})) is None


def test_what_is_not_measured_is_not_in_the_table(tmp_path, usual_store):
    assert numbers.row_of(model_with(tmp_path, "torn")) is None
    # Only what the package has beside the models that were given.
    assert {row["title"] for row in numbers.table(usual_store)} <= {"vae-celeba"}


def test_all_built_in_models_of_the_page_are_in_it():
    store = ModelStore()
    titles = [row["title"] for row in numbers.table(store)]
    assert {model.title for model in store.gallery} <= set(titles)
    assert len(titles) == len(set(titles))
    assert {"cgan-mnist", "vae-mnist", "autoencoder-mnist"} <= set(titles)
