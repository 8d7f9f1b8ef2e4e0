"""The table of measurements: every model with an evaluation, each number beside its floor."""

from __future__ import annotations

import json
import shutil

import pytest

from genmodels import zoo
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


def test_all_built_in_models_are_in_it():
    titles = [row["title"] for row in numbers.table(ModelStore())]
    # Also those that no tab shows.
    assert sorted(titles) == zoo.model_names()


def test_all_models_of_a_folder_are_in_it(usual_models, tmp_path, capsys):
    folder = shutil.copytree(usual_models, tmp_path / "models")
    path = folder / "vae" / "decoder" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "latent_dim": 16}))
    (folder / "vae" / "evaluation.json").write_text(json.dumps({"metrics": [FID, RECALL]}))
    titles = [row["title"] for row in numbers.table(ModelStore(f"{folder / 'vae'},{folder / 'dcgan'}"))]
    assert "vae" in titles
    assert "the map needs 2" in capsys.readouterr().err
