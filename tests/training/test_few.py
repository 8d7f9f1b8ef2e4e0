"""Fewer images than a batch, down to one: they fill it by being gone through again, the same in every process."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from genmodels import load_pipeline
from genmodels.data import load_images
from genmodels.training.checkpoints import load_checkpoint

TINY = ["--base_channels", "4", "--report_to", "none", "--resolution", "32", "--dataloader_num_workers", "0"]
# Every kind of watching meets the few images.
WATCH = ["--sample_steps", "2", "--monitor_steps", "2", "--validation_steps", "2"]


def pictures(folder, count: int) -> str:
    folder.mkdir()
    for k in range(count):
        Image.fromarray(np.full((32, 32), 40 * k, np.uint8)).save(folder / f"{k}.png")
    return str(folder)


def seen(batches, count: int) -> list[list[int]]:
    return [((next(batches)["pixel_values"][:, 0, 0, 0] + 1) * 127.5 / 40).round().int().tolist() for _ in range(count)]


def test_processes_share_one_pass_after_the_other(tmp_path):
    source = pictures(tmp_path / "five", 5)
    options = {"batch_size": 4, "num_workers": 0, "world_size": 2}
    streams = [load_images(source, rank=rank, **options) for rank in range(2)]
    assert [stream.few() for stream in streams] == [5, 5]
    both = [seen(stream.forever(), 5) for stream in streams]
    passes = np.array([part for pair in zip(*both, strict=True) for part in pair]).reshape(8, 5)
    assert (np.sort(passes) == np.arange(5)).all()
    assert len({tuple(one) for one in passes.tolist()}) > 4
    # From a position it goes on as it would have.
    again = load_images(source, rank=1, **options)
    again.load_state_dict({"epoch": 0, "batch": 3})
    assert seen(again.forever(), 2) == both[1][3:]
    assert again.state_dict() == {"epoch": 0, "batch": 5}


def test_in_their_own_order_without_shuffling(tmp_path):
    stream = load_images(pictures(tmp_path / "three", 3), batch_size=4, num_workers=0, shuffle_buffer=0)
    assert seen(stream.forever(), 2) == [[0, 1, 2, 0], [1, 2, 0, 1]]


def test_a_batch_that_the_data_fills_is_none_of_this(tmp_path):
    source = pictures(tmp_path / "four", 4)
    assert load_images(source, batch_size=4, num_workers=0).few() is None
    assert load_images(source, batch_size=5, num_workers=0).few() == 4


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_a_handful_of_images_trains_and_is_watched(train, tmp_path, capsys, count):
    common = ["--dataset_name", pictures(tmp_path / "data", count), *TINY, *WATCH, "--max_train_steps", "5"]
    train("dcgan", *common, "--output_dir", tmp_path / "run")
    out = capsys.readouterr().out
    images = "is 1 image" if count == 1 else f"are {count} images"
    share = f"{64 / count:.3g}"
    assert (
        f"There {images}, fewer than the 64 of a step (--train_batch_size 64): each step goes through them {share} times."
        in out
    )
    assert (f"FID takes 4 images, and there are {count}: the last weights will be saved." in out) == (count < 4)
    training = json.loads((tmp_path / "run/model/training.json").read_text())
    assert ("selected" in training) == (count == 4)


@pytest.mark.parametrize("script", ["autoencoder", "vae", "diffusion"])
def test_one_image_trains_without_a_discriminator_too(train, tmp_path, script):
    unet = ["--block_out_channels", "8", "--patch_size", "4", "--watch_inference_steps", "1"]
    flags = [*unet, *TINY[2:]] if script == "diffusion" else TINY
    common = ["--dataset_name", pictures(tmp_path / "data", 1), *flags, *WATCH, "--train_batch_size", "4"]
    train(script, *common, "--max_train_steps", "2", "--output_dir", tmp_path / "run")
    pipe = load_pipeline(tmp_path / "run/model")
    assert np.isfinite(pipe(num_images=2, seed=0, output_type="np").images).all()


def test_the_plan_says_it_in_the_users_own_numbers(train, tmp_path, capsys):
    flags = ["--train_batch_size", "8", "--gradient_accumulation_steps", "2", "--critic_steps", "3", "--dry_run"]
    with pytest.raises(SystemExit) as ended:
        train("wgan", "--dataset_name", pictures(tmp_path / "data", 3), *TINY, *flags, "--output_dir", tmp_path / "run")
    assert ended.value.code == 0
    product = "--train_batch_size 8 x --gradient_accumulation_steps 2 x 3 batches = 48"
    assert f"There are 3 images, fewer than the 48 of a step ({product}): each step goes through them 16 times." in (
        capsys.readouterr().out
    )
    assert not (tmp_path / "run").exists()


def test_few_images_resume_exactly_and_other_images_are_said(train, tmp_path, capsys):
    source = pictures(tmp_path / "data", 3)
    common = ["--dataset_name", source, *TINY, "--monitor_steps", "0", "--lr_scheduler", "constant", "--random_flip"]
    train("dcgan", *common, "--max_train_steps", "4", "--output_dir", tmp_path / "whole")
    train("dcgan", *common, "--max_train_steps", "2", "--output_dir", tmp_path / "part")
    resume = ["--resume_from_checkpoint", "latest", "--output_dir", tmp_path / "part"]
    train("dcgan", *common, "--max_train_steps", "4", *resume)
    assert_same_steps(tmp_path)
    assert "The data has changed" not in capsys.readouterr().out
    Image.fromarray(np.full((32, 32), 200, np.uint8)).save(tmp_path / "data/3.png")
    train("dcgan", *common, "--max_train_steps", "5", *resume)
    assert "The data has changed since that checkpoint (3 images then, 4 now)" in capsys.readouterr().out


def assert_same_steps(folder) -> None:
    states = [load_checkpoint(folder / name / "checkpoints/checkpoint-4") for name in ("whole", "part")]
    for network in ("generator", "discriminator"):
        one, other = (state["models"][network] for state in states)
        assert all(torch.equal(one[name], other[name]) for name in one)
