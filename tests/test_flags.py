"""Flags that other programs have are answered with ours."""

import pytest

from genmodels.__main__ import main
from genmodels.flags import BROUGHT, SAME, explain
from genmodels.training.options import AdamConfig


@pytest.fixture(scope="module")
def parser():
    return AdamConfig.parser()


@pytest.mark.parametrize(
    ("flag", "meant"),
    [
        ("--train_data_dir", "--dataset_name"),
        ("--batch_size", "--train_batch_size"),
        ("--lr", "--learning_rate"),
        ("--image-size", "--resolution"),
        ("--kimg", "--max_train_steps, which counts steps of one batch"),
        ("--use_ema", "--ema_decay, for the saved weights are always averaged"),
        ("--epochs", "--num_train_epochs"),
        ("--mirror", "--random_flip"),
        ("--outdir", "--output_dir"),
        ("--max_trian_steps", "--max_train_steps"),
        ("--dataset_nam", "--dataset_name"),
    ],
)
def test_a_flag_from_elsewhere_is_answered_with_ours(parser, flag, meant):
    assert f"{flag}: did you mean {meant}" in explain(parser, f"unrecognized arguments: {flag} 5")


def test_what_nothing_comes_near_stays(parser):
    assert explain(parser, "unrecognized arguments: --wibble") == "unrecognized arguments: --wibble"
    several = explain(parser, "unrecognized arguments: --lr 5 --wibble --epochs=3")
    assert several.endswith("--lr: did you mean --learning_rate?; --wibble; --epochs: did you mean --num_train_epochs?")


def test_each_name_has_one_meaning():
    assert len(BROUGHT) == sum(map(len, SAME.values()))
    assert not BROUGHT.keys() & SAME.keys()


def test_subcommands_answer_for_their_own_flags(capsys):
    with pytest.raises(SystemExit):
        main(["push-dataset", "photos", "alice/photos", "--image_size", "64"])
    assert "push-dataset: unrecognized arguments: --image_size: did you mean --resolution?" in capsys.readouterr().err
