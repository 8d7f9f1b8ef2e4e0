"""Where there are few images: how many epochs that is, what is done about it, and what is left alone."""

from __future__ import annotations

import argparse
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from genmodels.data import load_images
from genmodels.training.monitor import Monitor
from genmodels.training.small_data import choose_for, count_of, epochs_of, may_be_mirrored

TINY = ["--base_channels", "4", "--max_train_steps", "30", "--train_batch_size", "8", "--report_to", "none"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """400 colourful images of 16x16 pixels in two classes."""
    root, random = tmp_path_factory.mktemp("few"), np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (root / name).mkdir()
        for i in range(200):
            Image.fromarray(random.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(root / name / f"{i}.png")
    return root


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], True),
        (["frog"], True),
        (["0", "1", "7"], False),
        (["a", "b"], False),
        (["left hand", "right hand"], False),
        (["hand_left", "foot"], False),
        (["x", "cross"], True),
        (["copyright"], True),
    ],
)
def test_letters_digits_and_sides_are_not_mirrored(names, expected):
    assert may_be_mirrored(names) == expected


def settle(count: int | None, class_names=("cat", "dog"), **flags) -> tuple[argparse.Namespace, str | None, dict]:
    """What the flags become, what is said, and what the stream is told."""
    args = argparse.Namespace(**{"random_flip": None, "diffaugment": None, "hold_out": None, **flags})
    told = {}
    data = SimpleNamespace(class_names=list(class_names), hold_out=lambda share: told.update(hold_out=share))
    said = choose_for(args, data, count)
    return args, said, told | {"random_flip": data.random_flip}


def test_few_images_are_mirrored_augmented_and_held_out_in_a_line_that_says_how_to_turn_it_off():
    args, said, told = settle(857)
    assert (args.random_flip, args.diffaugment, args.hold_out) == (True, ["color", "translation", "cutout"], 0.05)
    assert told == {"random_flip": True, "hold_out": 0.05}
    assert said.startswith("857 images are few: ")
    for flag in ("--no-random_flip", "--diffaugment none", "--hold_out 0"):
        assert flag in said


def test_of_very_few_images_none_are_taken_away():
    args, said, told = settle(99)
    assert args.diffaugment
    assert args.hold_out == told["hold_out"] == 0.0
    assert "held out" not in said


@pytest.mark.parametrize(("count", "share"), [(100, 0.15), (200, 0.075), (300, 0.05), (9_999, 0.05)])
def test_enough_of_few_images_are_held_out_to_see_whether_they_are_learned_by_heart(count, share):
    args, said, told = settle(count)
    assert args.hold_out == told["hold_out"] == pytest.approx(share)
    assert f"{share:.0%} are held out" in said


def test_digits_are_augmented_but_not_mirrored():
    args, said, _ = settle(857, ("0", "1"))
    assert args.random_flip is False
    assert args.diffaugment
    assert "forbid to mirror" in said


@pytest.mark.parametrize("count", [10_000, 60_000, None])
def test_many_images_or_unknown_ones_are_left_alone(count):
    args, said, told = settle(count)
    assert (args.random_flip, args.diffaugment, args.hold_out, said) == (False, None, 0.0, None)
    assert told == {"random_flip": False, "hold_out": 0.0}


def test_what_the_user_says_counts():
    args, said, told = settle(857, random_flip=False, diffaugment=["none"], hold_out=0.0)
    assert (args.random_flip, args.diffaugment, args.hold_out, said) == (False, None, 0.0, None)
    args, said, told = settle(60_000, random_flip=True, diffaugment=["color"], hold_out=0.1)
    assert (args.random_flip, args.diffaugment, said) == (True, ["color"], None)
    assert told == {"random_flip": True, "hold_out": 0.1}


def test_epochs_in_words():
    args = argparse.Namespace(max_train_steps=10_000, hold_out=0.0)
    assert epochs_of(args, 64, 857) == "747 epochs of 857 images"
    assert epochs_of(args, 64, 100_000) == "6.4 epochs of 100,000 images"
    assert epochs_of(args, 64, None) == ""
    assert epochs_of(argparse.Namespace(max_train_steps=100, hold_out=0.05), 64, 1000) == "6.7 epochs of 950 images"


def test_held_out_images_are_in_no_epoch_and_all_others_are(folder):
    def bytes_of(images: torch.Tensor) -> set[bytes]:
        return {image.numpy().tobytes() for image in images}

    whole = load_images(str(folder), batch_size=1, num_workers=0)
    assert count_of(whole) == 400
    everything = bytes_of(whole.sample(1000)[0])
    stream = load_images(str(folder), batch_size=1, num_workers=1, shuffle_buffer=50)
    stream.hold_out(0.1)
    held_out, labels = stream.sample(1000, held_out=True)
    assert 20 <= len(held_out) <= 60
    assert labels.unique().tolist() == [0, 1]
    batches = stream.forever()
    for _ in range(2):
        epoch = [((next(batches)["pixel_values"] + 1) * 127.5).round().byte() for _ in range(400 - len(held_out))]
        assert bytes_of(torch.cat([image[0][None] for image in epoch])) == everything - bytes_of(held_out)
    # In another process and order, the same.
    again = load_images(str(folder), batch_size=4, num_workers=0, seed=7)
    again.hold_out(0.1)
    assert bytes_of(again.sample(1000, held_out=True)[0]) == bytes_of(held_out)


def test_images_are_counted_by_reading_them_where_nobody_says(two_shards):
    stream = load_images(two_shards, num_workers=0)
    assert stream.count(1000) == 96
    assert stream.count(96) is None
    assert stream._rows.count(1000, max_bytes=500) is None


def test_a_run_of_few_images_says_so_and_watches_the_held_out_ones(folder, train, tmp_path, capsys):
    train("cgan", "--dataset_name", folder, *TINY, "--monitor_steps", "10", "--output_dir", tmp_path / "run")
    said = capsys.readouterr().out
    assert "400 images are few: they are mirrored at random" in said
    assert "30 steps are 0.6 epochs of 380 images." in said
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert any("by_heart" in line.get("monitor", {}) for line in lines)
    assert "2006.10738" in (tmp_path / "run/model/training.json").read_text()


def test_the_dry_run_says_how_many_epochs_the_steps_are(folder, train, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        train("vae", "--dataset_name", folder, *TINY, "--dry_run", "--output_dir", tmp_path)
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "30 of 8 images, 0.6 epochs of 400 images" in said
    assert "400 images are few: they are mirrored at random (--no-random_flip turns that off)." in said


def test_the_monitor_says_that_the_discriminator_learns_by_heart():
    images, labels = torch.randint(0, 255, (64, 1, 16, 16), dtype=torch.uint8), torch.zeros(64, dtype=torch.long)
    fakes = torch.rand(64, 1, 16, 16) * 2 - 1

    def watch(held_out: float, fake: float = -1.0) -> list:
        monitor, found = Monitor(images, labels, []), []
        for step in range(250, 1251, 250):
            scores = {"train": 1.0, "held_out": held_out, "fake": fake}
            scores = {name: torch.full((20,), value) for name, value in scores.items()}
            figures, findings = monitor.check(step, fakes, labels, {}, scores)
            found += findings
        assert ("by_heart" in figures) == (fake < 1)
        return found

    assert watch(0.9) == []
    # A discriminator that cannot tell at all has learned nothing by heart.
    assert watch(0.9, fake=1.0) == []
    (finding,) = watch(-0.6)
    assert finding.kind == "learning by heart"
    assert finding.message.startswith(
        "The discriminator has been learning the pictures by heart since step 250 (its scores put new real ones 80% of the way"
    )
    assert "--diffaugment" in finding.message
