"""The cheap FID tells good images from bad ones, and the weights that it liked best are the ones that are saved."""

from __future__ import annotations

import json
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from helpers import make_pipeline
from PIL import Image
from safetensors.torch import load_file

from genmodels import load_pipeline, zoo
from genmodels.hub.cards import selection_of
from genmodels.training.checkpoints import load_checkpoint
from genmodels.training.validation import Validation, evaluator_for, knows_data

CPU = torch.device("cpu")
TINY = ["--dataset_name", "zoo:mnist-sample", "--base_channels", "4", "--train_batch_size", "16", "--report_to", "none"]


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    """512 digits, uint8 (N, 1, 28, 28)."""
    return torch.from_numpy(zoo.load_sample("zoo:mnist-sample").images[:512].copy()).permute(0, 3, 1, 2)


@pytest.mark.slow
def test_a_trained_model_scores_far_better_than_a_random_one(digits):
    good = load_pipeline("cgan-mnist")
    bad = load_pipeline("cgan-mnist")
    for parameter in bad.generator.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    labels = torch.from_numpy(zoo.load_sample("zoo:mnist-sample").labels[:512])
    validation = Validation(digits, labels, evaluator_for("evaluator-mnist", CPU), seed=0)
    better, worse = validation.measure(good), validation.measure(bad)
    assert better["fid"] < worse["fid"] / 10
    assert better["recall"] > 0.5 > worse["recall"]
    assert validation.measure(good) == better


def test_fakes_show_as_many_of_each_class_as_the_real_images(digits):
    labels = torch.from_numpy(zoo.load_sample("zoo:mnist-sample").labels[:512])
    ones = (labels == 1).nonzero().flatten()
    # Nine ones in ten, as in data whose classes are not balanced.
    rows = torch.cat([ones.repeat(10)[:270], (labels == 7).nonzero().flatten()[:30]])
    drawn = []

    def draw(latents, class_labels, **_):
        drawn.append(class_labels)
        return SimpleNamespace(images=torch.zeros(len(latents), 1, 28, 28))

    pipeline = Mock(side_effect=draw, latent_dim=2, from_normal=lambda latents, _prior=None: latents)
    Validation(digits[rows], labels[rows], evaluator_for("evaluator-mnist", CPU), seed=0).measure(pipeline)
    assert torch.cat(drawn).bincount().tolist() == [0, 270, 0, 0, 0, 0, 0, 30]


def test_images_of_any_size_are_measured_at_the_evaluators(digits):
    colour = digits.expand(-1, 3, -1, -1)[:, :, :16, :16]
    pipeline = make_pipeline("dcgan")
    assert pipeline.sample_size != 16
    figures = Validation(colour[:64], None, evaluator_for("evaluator-cifar10", CPU), seed=0).measure(pipeline)
    assert figures["fid"] > 0
    assert 0 <= figures["recall"] <= 1


def rounded(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.half() if tensor.is_floating_point() else tensor


def test_the_best_weights_are_saved_and_the_last_go_on(train, tmp_path, monkeypatch):
    scores = iter([5.0, 2.0, 3.0])
    monkeypatch.setattr(Validation, "measure", lambda self, pipeline: {"fid": next(scores), "recall": 0.5})
    steps = [
        "--max_train_steps",
        "6",
        "--validation_steps",
        "2",
        "--checkpointing_steps",
        "4",
        "--lr_scheduler",
        "constant",
    ]
    train("dcgan", *TINY, *steps, "--classes", "3", "4", "--output_dir", tmp_path)
    training = json.loads((tmp_path / "model/training.json").read_text())
    assert (training["steps"], training["selected"]["step"]) == (6, 4)
    assert (training["selected"]["fid"], training["selected"]["last_fid"]) == (2.0, 3.0)

    # Saved in half precision.
    saved = load_file(tmp_path / "model/generator/diffusion_pytorch_model.safetensors")
    assert saved["layers.0.weight"].dtype == torch.float16
    at = {step: load_checkpoint(tmp_path / f"checkpoints/checkpoint-{step}") for step in (4, 6)}
    average = at[4]["averages"]["generator"]["module"]
    assert all(torch.equal(saved[name], rounded(average[name])) for name in saved)
    last = at[6]["averages"]["generator"]["module"]
    assert not all(torch.equal(saved[name], rounded(last[name])) for name in saved)
    # The discriminator beside it is the one of the same step.
    judge = load_file(tmp_path / "model/discriminator/diffusion_pytorch_model.safetensors")
    assert all(torch.equal(judge[name], rounded(at[4]["models"]["discriminator"][name])) for name in judge)


def test_without_validation_the_last_weights_are_saved(train, tmp_path):
    train("vae", *TINY, "--max_train_steps", "3", "--output_dir", tmp_path)
    training = json.loads((tmp_path / "model/training.json").read_text())
    assert "selected" not in training


def test_the_floor_is_that_of_two_halves_of_the_real_images(digits):
    validation = Validation(digits, None, evaluator_for("evaluator-mnist", CPU), seed=0)
    assert (validation.num_images, validation.floor_images) == (512, 256)
    # Two halves of digits differ by chance alone; those sorted by class would differ by more.
    assert 0 < validation.floor < 60
    by_class = torch.from_numpy(zoo.load_sample("zoo:mnist-sample").labels[:512]).argsort()
    in_order = Validation(digits[by_class], None, evaluator_for("evaluator-mnist", CPU), seed=0)
    assert in_order.floor < 2 * validation.floor


@pytest.mark.parametrize(
    ("evaluator", "dataset", "knows"),
    [
        ("evaluator-mnist", "ylecun/mnist", True),
        ("evaluator-mnist", "zoo:mnist-sample", True),
        ("evaluator-mnist", "zalando-datasets/fashion_mnist", False),
        ("evaluator-mnist", "mnist", False),
        ("evaluator-cifar10", "zoo:cifar10-frogs-sample", True),
        ("evaluator-cifar10", "photos", False),
    ],
)
def test_what_an_evaluator_was_trained_on(evaluator, dataset, knows):
    assert knows_data(evaluator, dataset) == knows


def test_numbers_by_an_evaluator_of_other_images_say_so(train, tmp_path):
    """A folder of clothes, measured by features of digits: the log, training.json and the card name them and their floor."""
    (tmp_path / "data").mkdir()
    for k in range(24):
        pixels = np.random.default_rng(k).integers(0, 255, (28, 28), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / f"{k}.png")
    flags = ["--base_channels", "4", "--train_batch_size", "8", "--report_to", "none", "--max_train_steps", "2"]
    flags += ["--validation_steps", "1", "--monitor_steps", "0", "--dataset_name", str(tmp_path / "data")]
    train("dcgan", *flags, "--output_dir", tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    logged = [line["validation"] for line in lines if "validation" in line]
    assert [figures["features"] for figures in logged] == ["evaluator-mnist"] * 2
    selected = json.loads((tmp_path / "run/model/training.json").read_text())["selected"]
    assert (selected["features"], selected["features_of_this_data"]) == ("evaluator-mnist", False)
    assert (selected["n"], selected["floor_n"], selected["floor"]) == (24, 12, logged[0]["floor"])
    card = (tmp_path / "run/model/README.md").read_text()
    assert (
        "on the features of evaluator-mnist, which has never seen such images (two halves of the training images, 12"
        in card
    )
    assert "these numbers chose the weights, and so do not measure them" in card


def test_what_older_models_say_of_their_choice_stays_as_it_is():
    selected = {"step": 8, "n": 64, "fid": 1.09, "recall": 0.5, "last_fid": 2.0, "last_recall": 0.4}
    assert selection_of(selected) == (
        "average (EMA) after step 8, where FID of 64 images against training images was lowest: 1.09, recall 0.50; after the "
        "last step 2, recall 0.40"
    )
