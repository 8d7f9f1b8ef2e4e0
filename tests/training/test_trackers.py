"""The trackers really get figures and sample grids, and the film shows the run."""

from __future__ import annotations

import json
import os
import subprocess

import numpy as np
import pytest
from helpers import run_python
from PIL import Image

from genmodels.training.film import MAX_FRAMES, frames_of, save_film

TINY = [
    "--dataset_name", "zoo:mnist-sample", "--base_channels", "4", "--train_batch_size", "16", "--max_train_steps", "4",
    "--sample_steps", "2", "--logging_steps", "2", "--dataloader_num_workers", "0",
]  # fmt: skip

READ_TENSORBOARD = """
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from pathlib import Path
(folder,) = {path.parent for path in Path(sys.argv[1]).rglob("events.out.tfevents.*") if path.parent.name == "genmodels"}
events = EventAccumulator(str(folder)).Reload()
print([event.step for event in events.Scalars("loss")], [event.step for event in events.Images("samples")])
"""


def run(*command: str, **environment: str) -> subprocess.CompletedProcess:
    return run_python(*command, env={**os.environ, **environment})


@pytest.mark.slow
def test_tensorboard_has_losses_and_grids(tmp_path):
    done = run("train/vae.py", *TINY, "--output_dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    read = run("-c", READ_TENSORBOARD, str(tmp_path / "logs"))
    assert read.stdout.strip() == "[1, 2, 4] [0, 2, 4]", read.stderr


@pytest.mark.slow
def test_wandb_keeps_an_offline_run(tmp_path):
    pytest.importorskip("wandb")
    environment = {"WANDB_MODE": "offline", "WANDB_DIR": str(tmp_path), "HOME": str(tmp_path)}
    done = run("train/vae.py", *TINY, "--output_dir", str(tmp_path / "run"), "--report_to", "wandb", **environment)
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*.wandb"))
    assert len(list(tmp_path.rglob("media/images/samples_*.png"))) == 3


@pytest.mark.slow
def test_trackio_keeps_a_local_run(tmp_path):
    pytest.importorskip("trackio")
    environment = {"TRACKIO_DIR": str(tmp_path / "trackio"), "HOME": str(tmp_path)}
    done = run("train/vae.py", *TINY, "--output_dir", str(tmp_path / "run"), "--report_to", "trackio", **environment)
    assert done.returncode == 0, done.stderr
    (database,) = (tmp_path / "trackio").glob("genmodels*.db")
    assert database.stat().st_size > 0
    assert list((tmp_path / "trackio").rglob("*.png"))


def frame(step: int) -> Image.Image:
    return Image.fromarray(np.full((8, 8), step % 256, dtype=np.uint8))


def test_the_film_shows_every_grid_in_order_and_holds_the_last(tmp_path):
    for step in (0, 100, 40):
        frame(step).save(tmp_path / f"step-{step:06d}.png")
    assert save_film(tmp_path, tmp_path / "film.webp") == [0, 40, 100]
    film = Image.open(tmp_path / "film.webp")
    assert film.n_frames == 3
    shown = []
    for i in range(3):
        film.seek(i)
        shown.append(int(np.asarray(film.convert("L")).mean()))
    assert shown == pytest.approx([0, 40, 100], abs=3)
    assert film.info["loop"] == 0


def test_grids_that_look_alike_are_one_frame_of_the_film(tmp_path):
    """The encoder makes one of them, and the steps must stay those of the frames that are left."""
    for step, shade in ((0, 0), (10, 80), (20, 80), (30, 160), (40, 160)):
        frame(shade).save(tmp_path / f"step-{step:06d}.png")
    assert save_film(tmp_path, tmp_path / "film.webp") == [0, 20, 40]
    assert Image.open(tmp_path / "film.webp").n_frames == 3


def test_a_long_run_makes_a_film_of_bounded_length(tmp_path):
    for step in range(200):
        frame(step).save(tmp_path / f"step-{step:06d}.png")
    frames = [path.stem for path in frames_of(tmp_path)]
    assert len(frames) == len(set(frames)) == MAX_FRAMES
    assert (frames[0], frames[-1]) == ("step-000000", "step-000199")


@pytest.mark.parametrize("count", [1, 2])
def test_no_film_of_one_picture(tmp_path, count):
    for step in range(count):
        frame(0).save(tmp_path / f"step-{step:06d}.png")
    assert save_film(tmp_path, tmp_path / "film.webp") == []
    assert not (tmp_path / "film.webp").exists()


@pytest.mark.slow
def test_a_run_ends_with_its_film_and_its_validation(tmp_path):
    arguments = ["--classes", "3", "4", "--validation_steps", "2", "--monitor_steps", "2", "--report_to", "none"]
    # Fast enough for the frames to differ.
    arguments += ["--learning_rate", "0.05", "--ema_decay", "0"]
    done = run("train/dcgan.py", *TINY, *arguments, "--output_dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    measured = {line["step"]: line["validation"] for line in lines if "validation" in line}
    assert list(measured) == [2, 4]
    assert {line["step"] for line in lines if "monitor" in line} == {2, 4}
    training = json.loads((tmp_path / "model/training.json").read_text())
    best = min(measured, key=lambda step: measured[step]["fid"])
    assert training["selected"]["step"] == best
    assert training["selected"]["fid"] == pytest.approx(measured[best]["fid"], abs=1e-4)
    assert training["selected"]["last_fid"] == pytest.approx(measured[4]["fid"], abs=1e-4)
    assert f"after step {best}" in done.stdout
    assert training["film_steps"] == [0, 2, 4]
    assert Image.open(tmp_path / "model/film.webp").n_frames == 3
    card = (tmp_path / "model/README.md").read_text()
    assert "film.webp" in card
    assert f"after step {best}, where FID" in card
    assert training["monitor"] in card
