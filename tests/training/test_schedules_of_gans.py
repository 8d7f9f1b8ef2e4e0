"""What train/gan.py and train/wgan.py do between the updates: momentum that rises, critic steps, clipped weights."""

from __future__ import annotations

import json

import pytest
import torch

from genmodels import WGANPipeline
from genmodels.training.run import TrainingRun

QUIET = ["--report_to", "none", "--train_batch_size", "16", "--monitor_steps", "0", "--validation_steps", "0"]
WGAN = ["--diffaugment", "none", *QUIET, "--base_channels", "4", "--max_train_steps", "3"]


@pytest.fixture
def updates(monkeypatch) -> list[dict]:
    """Each update of a run: at which step, by which optimizer, with which momentum, on which images."""
    update, seen = TrainingRun.update, []

    def note(run, optimizer, loss_of, batch):
        (group,) = optimizer.param_groups
        images = batch["pixel_values"].clone()
        seen.append(
            {
                "step": run.step,
                "optimizer": type(optimizer).__name__,
                "name": next(name for name, other in run.networks.optimizers.items() if other is optimizer),
                "momentum": group.get("momentum"),
                "images": images,
            }
        )
        update(run, optimizer, loss_of, batch)

    monkeypatch.setattr(TrainingRun, "update", note)
    return seen


def test_momentum_rises_and_then_stays(train, two_shards, tmp_path, updates):
    dense = ["--generator_dims", "8", "--discriminator_dims", "8", "--preset", "classic"]
    flags = ["--max_train_steps", "6", "--momentum_steps", "4", "--logging_steps", "1", "--output_dir", tmp_path]
    train("gan", "--dataset_name", two_shards, *QUIET, *dense, *flags)
    found = {(update["step"], update["name"]): update["momentum"] for update in updates}
    for name in ("generator", "discriminator"):
        assert [found[step, name] for step in range(6)] == pytest.approx([0.5, 0.55, 0.6, 0.65, 0.7, 0.7])
    rates = [json.loads(line)["lr_generator"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rates == pytest.approx([0.1 * 0.1 ** (step / 6) for step in range(1, 7)])


@pytest.mark.parametrize(("penalty", "optimizer"), [([], "RMSprop"), (["--gradient_penalty"], "Adam")])
def test_the_critic_takes_its_steps_on_images_of_their_own(train, two_shards, tmp_path, updates, penalty, optimizer):
    train("wgan", "--dataset_name", two_shards, *WGAN, "--critic_steps", "2", *penalty, "--output_dir", tmp_path)
    assert [update["name"] for update in updates] == ["critic", "critic", "generator"] * 3
    assert {update["optimizer"] for update in updates} == {optimizer}
    images = torch.cat([update["images"] for update in updates if update["name"] == "critic"])
    # The three steps of two batches of 16 are the whole epoch of 96 images, each once.
    assert len(images.flatten(1).unique(dim=0)) == len(images) == 96


def test_the_plan_counts_the_images_of_all_critic_steps(train, two_shards, tmp_path, capsys):
    with pytest.raises(SystemExit):
        train("wgan", "--dataset_name", two_shards, *WGAN, "--critic_steps", "2", "--dry_run", "--output_dir", tmp_path)
    assert "3 of 32 images" in capsys.readouterr().out


def test_clipping_bounds_every_weight_of_the_critic_and_the_penalty_none(train, two_shards, tmp_path):
    for name, flags in (("clip", ["--weight_clip", "0.005"]), ("penalty", ["--gradient_penalty"])):
        train(
            "wgan", "--dataset_name", two_shards, *WGAN, *flags, "--critic_steps", "1", "--output_dir", tmp_path / name
        )
    clipped, free = (WGANPipeline.from_pretrained(tmp_path / name / "model") for name in ("clip", "penalty"))
    assert max(weight.abs().max() for weight in clipped.discriminator.parameters()) <= torch.tensor(0.005).half()
    assert max(weight.abs().max() for weight in free.discriminator.parameters()) > 0.1
    assert max(weight.abs().max() for weight in clipped.generator.parameters()) > 0.1
    assert [pipe.discriminator.config.norm for pipe in (clipped, free)] == ["batch", "none"]


def test_the_log_has_the_estimate_of_the_distance(train, two_shards, tmp_path):
    flags = [
        "--gradient_penalty",
        "--critic_steps",
        "2",
        "--logging_steps",
        "1",
        "--learning_rate",
        "1e-3",
        "--output_dir",
        tmp_path,
    ]
    train("wgan", "--dataset_name", two_shards, *WGAN, *flags)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert all({"wasserstein_estimate", "penalty", "loss_g"} <= line.keys() for line in lines)
    assert lines[-1]["wasserstein_estimate"] > lines[0]["wasserstein_estimate"]
    facts = json.loads((tmp_path / "model/training.json").read_text())
    assert (facts["batch_size"], facts["images_seen"], facts["papers"]) == (32, 96, ["1701.07875", "1704.00028"])
