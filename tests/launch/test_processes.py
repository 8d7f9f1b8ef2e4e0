"""Several processes train one model: the same weights everywhere, the gradients of one process with the whole batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import REPO, free_port, run_python, start_python
from PIL import Image
from safetensors.torch import load_file
from test_training_scripts import SAMPLE, TINY, launch, log_of, tiny, without_rate
from torch.testing import assert_close

from genmodels.training.checkpoints import complete_checkpoints, load_checkpoint, step_of

DRIVER = str(Path(__file__).parent / "parallel_driver.py")
# gloo on CPUs: --multi_gpu is how accelerate launch is told to start several processes itself.
TWO = ["accelerate.commands.launch", "--quiet", "--multi_gpu", "--num_processes", "2"]
ON_CPU = {**os.environ, "ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(REPO)}


def run_two(*command: str) -> str:
    """Run two processes that train one model, in an environment as the launcher's; returns what they print."""
    world = {
        **ON_CPU,
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
    }
    both = [start_python(*command, env={**world, "RANK": rank, "LOCAL_RANK": rank}) for rank in "01"]
    (out, err), (other_out, other_err) = (process.communicate() for process in both)
    assert [process.returncode for process in both] == [0, 0], err + other_err
    return out + other_out


# Scripts, and flags of theirs, that several processes train in turn.
TRAINED = [
    ("vae", []),
    ("dcgan", ["--classes", "3", "4", "--preset", "paper"]),
    ("gan", ["--preset", "classic", "--loss", "nonsaturating"]),
    ("wgan", ["--critic_steps", "2"]),
    ("wgan", ["--gradient_penalty", "--critic_steps", "2"]),
    ("lapgan", []),
    ("cgan", ["--gradient_accumulation_steps", "2", "--spectral_norm", "--minibatch_stddev", "--historical_averaging"]),
    ("cgan", ["--preset", "wgan-gp", "--auxiliary_classifier"]),
    ("evaluator", []),
]


def test_all_processes_hold_the_same_weights_after_every_step(tmp_path):
    commands = []
    for number, (script, arguments) in enumerate(TRAINED):
        small = [*SAMPLE, *(tiny(script) if script != "evaluator" else [*TINY[:4], "--test_split", "test"]), *arguments]
        watch = ["--monitor_steps", "2", "--validation_steps", "2"] if script == "dcgan" else []
        common = ["--max_train_steps", "4", "--report_to", "none", "--output_dir", str(tmp_path / str(number))]
        commands.append([f"train/{script}.py", *small, *watch, *common])
    out = run_two(DRIVER, "weights", json.dumps(commands))
    for number, command in enumerate(commands):
        assert out.count(f"{' '.join(command)}: identical after steps [1, 2, 3, 4]") == 2
        assert (tmp_path / f"{number}/model/training.json").is_file()


@pytest.fixture(scope="module")
def gradients(tmp_path_factory):
    """Gradients of the same batch, from one process and from two."""
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    done = run_python(DRIVER, "gradients", str(one), env=ON_CPU)
    assert done.returncode == 0, done.stderr
    run_two(DRIVER, "gradients", str(two))
    return load_file(one / "gradients.safetensors"), load_file(two / "gradients.safetensors")


@pytest.mark.parametrize("objective", ["wasserstein_gp", "relativistic", "generator"])
def test_two_processes_find_the_gradients_of_one_with_the_whole_batch(gradients, objective):
    one, two = gradients
    names = [name for name in one if name.startswith(f"{objective}.")]
    assert names
    assert any(one[name].abs().max() > 1e-3 for name in names)
    for name in names:
        assert_close(two[name], one[name], rtol=1e-4, atol=1e-6)


def test_batchnorm_uses_the_statistics_of_each_process_alone(gradients):
    one, two = gradients
    names = [name.removeprefix("batchnorm.") for name in one if name.startswith("batchnorm.")]
    for name in names:
        assert_close(two[f"batchnorm.{name}"], one[f"batchnorm_of_halves.{name}"], rtol=1e-4, atol=1e-6)
    assert any(not two[f"batchnorm.{name}"].allclose(one[f"batchnorm.{name}"], rtol=1e-2) for name in names)


def test_two_processes_resume_exactly(tmp_path):
    whole, part = tmp_path / "whole", tmp_path / "part"
    common = [*SAMPLE, *TINY, "--discriminator_channels", "4", "--lr_scheduler", "constant"]
    run_two("train/cgan.py", *common, "--max_train_steps", "6", "--output_dir", str(whole))
    run_two("train/cgan.py", *common, "--max_train_steps", "4", "--output_dir", str(part))
    resume = ["--max_train_steps", "6", "--resume_from_checkpoint", "latest"]
    run_two("train/cgan.py", *common, *resume, "--output_dir", str(part))
    state = "checkpoints/checkpoint-6/state.safetensors"
    assert (part / state).read_bytes() == (whole / state).read_bytes()
    assert without_rate(log_of(part)) == without_rate(log_of(whole))


def test_a_launch_that_would_lose_processes_is_refused(tmp_path):
    lost = ["accelerate.commands.launch", "--quiet", "--cpu", "--num_processes", "2"]
    done = launch("cgan", *SAMPLE, *TINY, "--output_dir", str(tmp_path / "run"), launcher=lost)
    assert done.returncode != 0
    assert "on CPUs it needs --multi_gpu" in done.stderr
    assert not (tmp_path / "run").exists()


def test_processes_agree_on_the_step_to_stop_after(tmp_path):
    common = [*SAMPLE, *TINY, "--discriminator_channels", "4", "--sample_steps", "100000"]
    endless = ["--max_train_steps", "100000", "--checkpointing_steps", "100000", "--output_dir", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", *TWO, "train/cgan.py", *common, *endless],
        cwd=REPO,
        env=ON_CPU,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 240
    while not (tmp_path / "metrics.jsonl").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.terminate()
    out, err = process.communicate(timeout=240)
    (checkpoint,) = complete_checkpoints(tmp_path / "checkpoints")
    assert f"Stopped after step {step_of(checkpoint):,}, with a checkpoint" in out, err
    assert load_checkpoint(checkpoint)["step"] == step_of(checkpoint)


@pytest.mark.parametrize("rank", [0, 1])
def test_one_process_that_fails_ends_all_and_the_training_is_saved(tmp_path, rank):
    """A picture that only one of them comes to cannot be read."""
    (tmp_path / "data").mkdir()
    for k in range(1200):
        pixels = np.random.default_rng(k).integers(0, 256, (16, 16), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / f"{k:04d}.png")
    broken = tmp_path / "data" / f"{1100 + rank}.png"
    broken.write_bytes(broken.read_bytes()[:100])
    flags = ["--dataset_name", str(tmp_path / "data"), *TINY, "--shuffle_buffer", "0"]
    began = time.monotonic()
    done = run_python("-m", *TWO, "train/vae.py", *flags, "--output_dir", str(tmp_path / "run"), env=ON_CPU)
    assert done.returncode == 1
    assert time.monotonic() - began < 200
    assert f"{broken.name} cannot be read as an image" in done.stderr
    (checkpoint,) = complete_checkpoints(tmp_path / "run/checkpoints")
    # The 512 images before it in each process, 16 a step.
    assert step_of(checkpoint) == 32
    assert f"The state after step {step_of(checkpoint):,} is saved" in done.stderr
    assert "vae.py: error: Another process of this run has ended, so this one does." in done.stderr
    assert load_checkpoint(checkpoint)["step"] == step_of(checkpoint)
