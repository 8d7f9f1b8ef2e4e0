"""N steps, a stop, and N more steps are 2N steps, bit for bit, whatever the script and whatever the stream."""

from __future__ import annotations

import json
import os
import signal

import pytest

from genmodels.training.loop import Loop

STEPS, STOP = 9, 5
DENSE = ["--generator_dims", "8", "8", "--discriminator_dims", "8"]
TINY = ["--base_channels", "4", "--max_train_steps", STEPS, "--logging_steps", "2", "--checkpointing_steps", "4"]
WATCH = ["--sample_steps", "3", "--monitor_steps", "3", "--validation_steps", "4"]
QUIET = ["--report_to", "none", "--train_batch_size", "16", "--shuffle_buffer", "20"]


@pytest.fixture
def stop_at(monkeypatch):
    """Send this process a signal while it takes a certain step."""

    def arrange(step: int, number: signal.Signals = signal.SIGTERM) -> None:
        after_step = Loop._after_step

        def kill_then_go_on(loop: Loop) -> None:
            if loop.progress.step + 1 == step:
                monkeypatch.setattr(Loop, "_after_step", after_step)
                os.kill(os.getpid(), number)
            after_step(loop)

        monkeypatch.setattr(Loop, "_after_step", kill_then_go_on)

    return arrange


def state_of(run, step: int = STEPS) -> tuple[bytes, list]:
    """A checkpoint's tensors as they lie in the file, and its other values, but for the time it took."""
    folder = run / "checkpoints" / f"checkpoint-{step}"
    values = dict(json.loads((folder / "state.json").read_text())["dict"])
    del values["seconds"]
    return (folder / "state.safetensors").read_bytes(), values


def log_of(run) -> list[dict]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "images_per_second"} for line in lines]


def assert_same_runs(part, whole) -> None:
    """The same last checkpoint, log and model."""
    assert state_of(part) == state_of(whole)
    assert log_of(part) == log_of(whole)
    weights = sorted(file.relative_to(whole) for file in (whole / "model").rglob("*.safetensors"))
    assert weights
    assert all((whole / file).read_bytes() == (part / file).read_bytes() for file in weights)


SCRIPTS = {
    "denoiser": ("autoencoder", ["--noise", "0.3", *WATCH]),
    "vae": ("vae", WATCH),
    "cvae": ("vae", ["--conditional", *WATCH]),
    "iwae": ("vae", ["--network", "dense", "--importance_samples", "3", *WATCH]),
    "vae-gan": ("vae", ["--adversarial", *WATCH]),
    "dcgan": ("dcgan", ["--classes", "1", "0", "7", "3", *WATCH]),
    "dcgan-paper": ("dcgan", ["--preset", "paper", "--classes", "1", "0", "7", "3", *WATCH]),
    "gan": ("gan", [*DENSE, "--label_flips", "0.1", *WATCH]),
    "gan-classic": ("gan", [*DENSE, "--preset", "classic", "--momentum_steps", "6", *WATCH]),
    "wgan": ("wgan", ["--critic_steps", "2", *WATCH]),
    "wgan-gp": ("wgan", ["--critic_steps", "3", "--gradient_penalty", *WATCH]),
    "lapgan": ("lapgan", ["--conditional", *WATCH]),
    "cgan": ("cgan", ["--discriminator_channels", "4", *WATCH]),
    "cgan-wgan-gp": (
        "cgan",
        ["--preset", "wgan-gp", "--auxiliary_classifier", "--discriminator_channels", "4", *WATCH],
    ),
    "diffusion": (
        "diffusion",
        ["--block_out_channels", "8", "--patch_size", "4", "--watch_inference_steps", "1", *WATCH],
    ),
    "evaluator": ("evaluator", ["--lr_warmup_steps", "2"]),
}
# Workers and accumulation: of one script all combinations, since the engine is the same; each worker is a process to start.
CASES = [(name, 0, 1 + i % 2) for i, name in enumerate(SCRIPTS) if name != "dcgan"]
CASES += [("dcgan", workers, accumulation) for workers in (0, 2) for accumulation in (1, 2)]


@pytest.mark.parametrize(("name", "num_workers", "accumulation"), CASES)
def test_a_stopped_run_ends_where_an_unbroken_one_does(
    train, two_shards, tmp_path, capsys, stop_at, name, num_workers, accumulation
):
    script, arguments = SCRIPTS[name]
    # 9 steps of 16 images reach into the second or third epoch: streamed first, then from memory.
    tiny = TINY[2:] if script in ("gan", "diffusion") or "dense" in arguments else TINY
    common = ["--dataset_name", two_shards, *tiny, *QUIET, *arguments, "--dataloader_num_workers", num_workers]
    common += ["--gradient_accumulation_steps", accumulation]
    whole, part = tmp_path / "whole", tmp_path / "part"
    train(script, *common, "--output_dir", whole)

    stop_at(STOP)
    with pytest.raises(SystemExit) as ended:
        train(script, *common, "--output_dir", part)
    assert ended.value.code == 0
    assert f"Stopped after step {STOP}" in capsys.readouterr().out
    assert not (part / "model").exists()
    train(script, *common, "--output_dir", part, "--resume_from_checkpoint", "latest")

    assert_same_runs(part, whole)


STABILISED = ["--instance_noise", "0.5", "--dropout", "0.2", "--spectral_norm", "--minibatch_stddev", "--r1", "0.1"]
STABILISED += ["--minibatch_discrimination", "3", "--historical_averaging", "--discriminator_learning_rate", "0.002"]
STABILISED += ["--penalty_interval", "3"]


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("dcgan", ["--classes", "1", "0", "7", "3", "--r2", "0.1", "--upsampling", "nearest", *TINY]),
        ("gan", [*DENSE, "--feature_matching", "--label_flips", "0.1", "--label_noise", "0.1", *TINY[2:]]),
    ],
)
def test_stabilised_runs_resume_exactly_too(train, two_shards, tmp_path, stop_at, script, arguments):
    watch = ["--monitor_steps", "0", "--validation_steps", "0"]
    common = ["--dataset_name", two_shards, *QUIET, *watch, *arguments, *STABILISED]
    train(script, *common, "--output_dir", tmp_path / "whole")
    stop_at(STOP)
    with pytest.raises(SystemExit):
        train(script, *common, "--output_dir", tmp_path / "part")
    train(script, *common, "--output_dir", tmp_path / "part", "--resume_from_checkpoint", "latest")
    assert_same_runs(tmp_path / "part", tmp_path / "whole")


def test_epochs_that_are_streamed_again_resume_exactly_too(train, two_shards, tmp_path, stop_at):
    common = ["--dataset_name", two_shards, *TINY, *QUIET, *WATCH, "--cache_gb", "0"]
    train("vae", *common, "--output_dir", tmp_path / "whole")
    stop_at(8)
    with pytest.raises(SystemExit):
        train("vae", *common, "--output_dir", tmp_path / "part")
    train("vae", *common, "--output_dir", tmp_path / "part", "--resume_from_checkpoint", "latest")
    assert state_of(tmp_path / "part") == state_of(tmp_path / "whole")


def test_ctrl_c_stops_as_sigterm_does(train, two_shards, tmp_path, capsys, stop_at):
    stop_at(3, signal.SIGINT)
    with pytest.raises(SystemExit) as ended:
        train("vae", "--dataset_name", two_shards, *TINY, *QUIET, "--output_dir", tmp_path)
    assert ended.value.code == 0
    assert "--resume_from_checkpoint latest goes on" in capsys.readouterr().out
    assert [folder.name for folder in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-3"]


def test_resuming_a_finished_run_writes_its_model_again(train, two_shards, tmp_path):
    common = ["--dataset_name", two_shards, *TINY, *QUIET, *WATCH, "--output_dir", tmp_path]
    train("vae", *common)
    weights = tmp_path / "model/decoder/diffusion_pytorch_model.safetensors"
    before, state = weights.read_bytes(), state_of(tmp_path)
    weights.unlink()
    train("vae", *common, "--resume_from_checkpoint", "latest")
    assert weights.read_bytes() == before
    assert state_of(tmp_path) == state


def test_changed_settings_are_named_and_used(train, two_shards, tmp_path, capsys, stop_at):
    common = ["--dataset_name", two_shards, *TINY, *QUIET, "--output_dir", tmp_path, "--lr_scheduler", "constant"]
    stop_at(4)
    with pytest.raises(SystemExit):
        train("vae", *common)
    train("vae", *common, "--resume_from_checkpoint", "latest", "--learning_rate", "0.0005", "--logging_steps", "1")
    said = capsys.readouterr().out
    assert "--learning_rate 0.0005 (was 0.001)" in said
    assert "logging_steps" not in said
    assert log_of(tmp_path)[-1]["lr_vae"] == 0.0005
    weights = state_of(tmp_path)[1]["optimizers"]
    assert weights


def test_unchanged_settings_are_not_mentioned(train, two_shards, tmp_path, capsys, stop_at):
    common = ["--dataset_name", two_shards, *TINY, *QUIET, "--output_dir", tmp_path]
    stop_at(4)
    with pytest.raises(SystemExit):
        train("vae", *common)
    train("vae", *common, "--resume_from_checkpoint", "latest", "--checkpointing_steps", "2")
    assert "Settings have changed" not in capsys.readouterr().out


def test_going_on_from_an_older_checkpoint_loses_no_newer_one(train, two_shards, tmp_path, capsys):
    run = tmp_path / "run"
    common = ["--dataset_name", two_shards, *TINY, *QUIET]
    train("vae", *common, "--output_dir", run)
    with pytest.raises(SystemExit) as ended:
        train("vae", *common, "--output_dir", run, "--resume_from_checkpoint", "checkpoint-8")
    assert "holds later checkpoints (checkpoint-9)" in str(ended.value)
    branch = ["--output_dir", tmp_path / "branch", "--resume_from_checkpoint", run / "checkpoints/checkpoint-8"]
    train("vae", *common, *branch)
    assert state_of(tmp_path / "branch") == state_of(run)


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(train, two_shards, tmp_path):
    common = ["--dataset_name", two_shards, *QUIET, "--base_channels", "4", "--output_dir", tmp_path]
    good = [*common, "--max_train_steps", "2", "--lr_scheduler", "constant", "--logging_steps", "1"]
    train("vae", *good)
    with pytest.raises(SystemExit) as ended:
        train(
            "vae", *good, "--max_train_steps", "60", "--learning_rate", "1", "--likelihood", "gaussian", "--sigma", "0.001",
            "--beta", "1000", "--resume_from_checkpoint", "latest", "--checkpointing_steps", "1",
            "--checkpoints_total_limit", "1",
        )  # fmt: skip
    message = str(ended.value)
    assert "so training stopped" in message
    assert "lower --learning_rate" in message
    (kept,) = (tmp_path / "checkpoints").iterdir()
    assert str(kept) in message
    assert b"nan" not in (kept / "state.json").read_bytes().lower()
