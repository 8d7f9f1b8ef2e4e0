"""Pieces of a run that can be wrong without a run failing: averages, precision, what the card says, grids."""

import sys

import pytest
import torch
from torch import nn

from genmodels.training.arguments import command_line
from genmodels.training.run import average_of, choose_mixed_precision


def test_the_average_starts_at_the_weights_and_follows_them():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = average_of(model, decay=0.9)
    nn.init.constant_(model[0].weight, 1.0)
    average.update_parameters(model)
    assert average.module[0].weight == 1
    nn.init.constant_(model[0].weight, 2.0)
    average.update_parameters(model)
    # n = 1: the decay is (1 + 1) / (10 + 1).
    assert average.module[0].weight.item() == pytest.approx(2 / 11 * 1 + 9 / 11 * 2)


def test_the_average_keeps_batch_statistics_and_their_count():
    model = nn.BatchNorm2d(2)
    average = average_of(model, decay=0.5)
    for _ in range(5):
        model(torch.randn(8, 2, 4, 4) + 3)
        average.update_parameters(model)
    assert average.module.num_batches_tracked == 5
    assert 0 < average.module.running_mean.mean() <= model.running_mean.mean() + 0.1


def test_precision_follows_the_hardware_unless_told():
    assert choose_mixed_precision("no") == "no"
    assert choose_mixed_precision("bf16") == "bf16"
    assert choose_mixed_precision("auto") in ("no", "bf16")


def test_the_command_on_the_card_names_no_place_of_this_machine(monkeypatch):
    monkeypatch.setattr(
        sys, "argv", ["/somewhere/train/cgan.py", "--dataset_name", "/home/ann/photos", "--classes", "a b"]
    )
    assert command_line() == "accelerate launch train/cgan.py --dataset_name .../photos --classes 'a b'"
