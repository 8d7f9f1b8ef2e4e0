"""Pieces of a run that can be wrong without a run failing: averages, precision, what the card says, grids."""

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from genmodels.training.film import frames_of, step_of
from genmodels.training.networks import beyond_half_precision, half_precision
from genmodels.training.optimization import (
    Average,
    average_gradients,
    choose_mixed_precision,
    make_scheduler,
    restore_optimizer,
    split_batch,
)
from genmodels.training.options import AdamConfig
from genmodels.training.scripts import command_of


def test_the_average_starts_at_the_weights_and_follows_them():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = Average(model, decay=0.9)
    nn.init.constant_(model[0].weight, 1.0)
    average.update(model)
    assert average.module[0].weight == 1
    nn.init.constant_(model[0].weight, 2.0)
    average.update(model)
    # n = 1: the decay is (1 + 1) / (10 + 1).
    assert average.module[0].weight.item() == pytest.approx(2 / 11 * 1 + 9 / 11 * 2)


def test_the_average_keeps_batch_statistics_and_their_count():
    model = nn.BatchNorm2d(2)
    average = Average(model, decay=0.5)
    for _ in range(5):
        model(torch.randn(8, 2, 4, 4) + 3)
        average.update(model)
    assert average.module.num_batches_tracked == 5
    assert 0 < average.module.running_mean.mean() <= model.running_mean.mean() + 0.1


def test_precision_follows_the_hardware_unless_told():
    assert choose_mixed_precision("no") == "no"
    assert choose_mixed_precision("bf16") == "bf16"
    assert choose_mixed_precision("auto") in ("no", "bf16")


def test_the_command_on_the_card_names_no_place_of_this_machine():
    words = ["--dataset_name", "/home/ann/photos", "--classes", "a b"]
    assert command_of("train/cgan.py", words) == "accelerate launch train/cgan.py --dataset_name PATH --classes 'a b'"
    assert command_of("train/cgan.py", []) == "accelerate launch train/cgan.py"


@pytest.mark.parametrize("words", [["--resume_from_checkpoint", "latest"], ["--resume_from_checkpoint=latest"]])
def test_the_command_on_the_card_is_that_of_the_whole_run(words):
    whole = command_of("train/vae.py", ["--beta", "2", *words, "--seed", "3"])
    assert whole == "accelerate launch train/vae.py --beta 2 --seed 3"
    other = command_of("train/vae.py", ["--resume_from_checkpoint", "checkpoint-5"])
    assert other == "accelerate launch train/vae.py --resume_from_checkpoint checkpoint-5"


@pytest.mark.parametrize("name", ["constant", "linear", "cosine", "trapezoid", "exponential"])
def test_a_schedule_depends_on_the_step_alone(name):
    def rates(steps_taken: int) -> list[float]:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
        scheduler = make_scheduler(name, optimizer, 3, 20, steps_taken)
        found = []
        for _ in range(20 - steps_taken):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
        return found

    assert rates(7) == rates(0)[7:]
    # Three steps of warm-up.
    assert rates(0)[0] < rates(0)[1] < rates(0)[2] < 0.1


def test_moments_come_back_in_the_layout_of_their_weights():
    weights = nn.Conv2d(4, 4, 3).to(memory_format=torch.channels_last).weight
    optimizer = torch.optim.Adam([weights], lr=0.1, fused=True)
    weights.grad = torch.randn_like(weights)
    optimizer.step()
    state = {0: {name: value.clone().contiguous() for name, value in optimizer.state[weights].items()}}
    other = torch.optim.Adam([weights], lr=0.5, fused=True)
    restore_optimizer(other, state)
    assert other.state[weights]["exp_avg"].stride() == weights.stride()
    assert torch.equal(other.state[weights]["exp_avg"], optimizer.state[weights]["exp_avg"])
    assert other.param_groups[0]["lr"] == 0.5


def test_the_parts_of_a_batch_are_the_batch():
    batch = {"pixel_values": torch.arange(12.0).view(6, 2), "class_labels": torch.arange(6)}
    parts = list(split_batch(batch, 3))
    assert [len(part["class_labels"]) for part in parts] == [2, 2, 2]
    assert torch.equal(torch.cat([part["pixel_values"] for part in parts]), batch["pixel_values"])


def test_one_process_keeps_its_gradients_as_they_are():
    parameter = nn.Parameter(torch.ones(2))
    average_gradients(Accelerator(cpu=True), [parameter])
    assert parameter.grad is None


def test_both_networks_of_a_gan_have_their_own_rate():
    config = AdamConfig(learning_rate=1e-3, adam_beta1=0.1, adam_beta2=0.8)
    optimizers = [config.adam(nn.Linear(2, 3)), config.adam(nn.Linear(4, 5), 5e-4)]
    assert [o.param_groups[0]["lr"] for o in optimizers] == [1e-3, 5e-4]
    assert [o.param_groups[0]["betas"] for o in optimizers] == [(0.1, 0.8)] * 2
    assert [o.param_groups[0]["params"][0].shape for o in optimizers] == [(3, 2), (5, 4)]


def test_numbers_that_float16_cannot_hold_are_counted():
    states = {
        "generator": {"a": torch.tensor([1e6, 1.0, -7e4]), "n": torch.tensor(10**9)},
        "encoder": {"a": torch.ones(3)},
    }
    assert beyond_half_precision(states) == {"generator": 2}
    rounded = half_precision(states)
    assert rounded["generator"]["a"].tolist() == [65504, 1, -65504]
    assert rounded["generator"]["n"] == 10**9
    assert beyond_half_precision({"generator": {"a": torch.tensor([65504.0])}}) == {}


def test_the_frames_of_a_film_are_in_the_order_of_their_steps(tmp_path):
    for step in (500, 999_500, 1_000_000):
        (tmp_path / f"step-{step:06d}.png").touch()
    assert [step_of(path) for path in frames_of(tmp_path)] == [500, 999_500, 1_000_000]
