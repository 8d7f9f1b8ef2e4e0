"""A config is the source of a script's flags: typed, checked once, and the same from a shell and from Python."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from genmodels.errors import UserError
from genmodels.training import TrainingConfig
from genmodels.training.config import setting
from genmodels.training.options import AdamConfig
from genmodels.training.scripts import load_script, script_names


@dataclass(kw_only=True)
class Config(AdamConfig):
    PRESETS = {"small": {}, "large": {"width": 64, "learning_rate": 1e-4}}

    preset: str = setting("small", choices=("small", "large"))
    width: int = setting(8, "of it", low=1, high=512)
    depths: list[int] = setting([1, 2], low=1)
    weight: float = setting(0.0, low=0, const=0.5)
    learning_rate: float = 3e-3


def test_flags_and_arguments_make_the_same_config():
    words = ["--preset", "large", "--depths", "3", "4", "--weight", "--no-random_flip", "--push_to_hub"]
    chosen = {"preset": "large", "depths": [3, 4], "weight": 0.5, "random_flip": False, "push_to_hub": True}
    parsed = Config.parse(words)
    assert parsed == Config.resolve(chosen)
    assert (parsed.width, parsed.learning_rate, parsed.adam_beta2) == (64, 1e-4, 0.99)
    assert Config.parse([*words, "--width", "9"]).width == 9
    assert Config().learning_rate == Config.parse([]).learning_rate == 3e-3


def test_numbers_of_other_libraries_paths_and_single_words_are_taken():
    config = Config(width=np.int64(5), weight=1, output_dir=Path("a/b"), report_to="none", classes=[3, "8"])
    assert (config.width, config.weight, config.output_dir) == (5, 1.0, "a/b")
    assert type(config.width) is int
    assert type(config.weight) is float
    assert (config.report_to, config.classes) == (["none"], ["3", "8"])


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"width": 0}, r"`width` must be an integer from 1 to 512, got 0\."),
        ({"width": 2.5}, "must be an integer from 1 to 512, got 2.5"),
        ({"width": True}, "must be an integer"),
        ({"width": "8"}, "must be an integer from 1 to 512, got '8'"),
        ({"width": None}, "must be an integer"),
        ({"depths": [1, 0]}, r"`depths` must be an integer of at least 1, got \[1, 0\]"),
        ({"learning_rate": float("nan")}, "must be a number from 0 to 1"),
        ({"push_to_hub": 1}, "`push_to_hub` must be True or False, got 1"),
        ({"classes": []}, r"`classes` must hold at least one value, got \[\]: leave it out"),
        ({"report_to": ()}, "`report_to` must hold at least one value"),
        ({"depths": []}, "`depths` must hold at least one value"),
        ({"classes": {"1"}}, r"`classes` must be a list, got \{'1'\}\."),
        ({"depths": np.array([1, 2])}, r"`depths` must be a list, got array\(\[1, 2\]\)"),
        ({"report_to": None}, "`report_to` must be a list, got None"),
        ({"report_to": "tensorboad"}, r"`report_to` must be one of .*, got 'tensorboad'\."),
        ({"report_to": ["none", "tensorboard"]}, "`report_to`: 'none' stands alone"),
        ({"output_dir": ""}, "`output_dir` must not be empty: leave it out"),
        ({"output_dir": "a\0b"}, r"`output_dir`: 'a\\x00b' has a null character"),
        ({"output_dir": "a\udc80b"}, r"`output_dir`: 'a\\udc80b' is no UTF-8"),
        ({"classes": ["a", "\udc80"]}, "`classes`: .* is no UTF-8"),
        ({"train_batch_size": 10**30}, "must be an integer of at least 2 and at most 2147483647, got 1000"),
        ({"train_batch_size": 10**5000}, "got more digits than Python writes"),
        ({"resolution": -(10**5000)}, "`resolution` must be an integer, got more digits"),
        ({"weight": 10**400}, "`weight` must be a number of at least 0 and at most 2147483647"),
        ({"classes": [10**5000]}, "`classes` must be text, got more digits"),
        ({"preset": "medium"}, "`preset` must be one of 'small', 'large', got 'medium'"),
        ({"mixed_precision": "fp16"}, "fp16 overflows in gradient penalties"),
        ({"background": "greenish"}, "greenish"),
        ({"widht": 3}, "There is no argument `widht`: did you mean --width?"),
        ({"lr": 3}, "There is no argument `lr`: did you mean --learning_rate?"),
    ],
)
def test_what_does_not_fit_is_told(chosen, says):
    with pytest.raises(UserError, match=says):
        Config.resolve(chosen)


def test_a_flag_is_refused_in_the_words_of_a_shell():
    with pytest.raises(UserError, match=r"argument --width: must be an integer from 1 to 512, got 'wide'"):
        Config.parse(["--width", "wide"])
    with pytest.raises(UserError, match=r"argument --width: must be an integer from 1 to 512, got '111"):
        Config.parse(["--width", "1" * 5000])
    with pytest.raises(UserError, match="invalid choice: 'medium'"):
        Config.parse(["--preset", "medium"])
    with pytest.raises(UserError, match="--hub_private says where or how to push: add --push_to_hub"):
        TrainingConfig(hub_private=True)


def test_no_augmentation_stands_alone():
    with pytest.raises(UserError, match="`diffaugment`: 'none' stands alone"):
        load_script("cgan").Config(diffaugment=["none", "color"])


def test_help_has_every_setting_with_its_default():
    text = " ".join(Config.parser().format_help().split())
    for words in ("of it (default: 8)", "--no-random_flip", "--seed SEED (default: 0)", "--weight [WEIGHT]"):
        assert words in text


def test_a_script_shows_what_it_has_and_nothing_else():
    assert set(script_names()) == {
        *("autoencoder", "cgan", "consistency", "dcgan", "diffusion", "evaluator", "gan", "lapgan", "vae", "wgan"),
    }
    assert "sample_steps" not in load_script("evaluator").Config.settings()
    assert "r1" not in load_script("wgan").Config.settings()
    with pytest.raises(UserError, match=r"There is no training script 'cgn': did you mean cgan\?"):
        load_script("cgn")


@pytest.mark.parametrize(
    "name", ["autoencoder", "cgan", "consistency", "dcgan", "diffusion", "evaluator", "gan", "lapgan", "vae", "wgan"]
)
def test_the_defaults_of_every_script_and_preset_go_together(name):
    config = load_script(name).Config
    for preset in config.PRESETS or [None]:
        made = config.resolve({"preset": preset} if preset else {})
        assert made.output_dir.startswith("runs/")
