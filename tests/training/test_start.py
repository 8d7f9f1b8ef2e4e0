"""A run that starts from a trained model goes on from its weights, and its card says how both were made."""

from __future__ import annotations

import json

import pytest
import torch
from helpers import make_pipeline
from PIL import Image, ImageSequence

from genmodels import load_pipeline
from genmodels.errors import UserError
from genmodels.hub.cards import earlier_trainings, write_card
from genmodels.training.start import start_from

DATA = [
    "--dataset_name",
    "zoo:mnist-sample",
    "--train_batch_size",
    "16",
    "--report_to",
    "none",
    "--validation_steps",
    "0",
]
SMALL = ["--base_channels", "4", "--classes", "3", "4", "--sample_steps", "2", "--logging_steps", "1"]


@pytest.fixture
def first(train, tmp_path):
    """A model of four steps."""
    train("dcgan", *DATA, *SMALL, "--max_train_steps", "4", "--output_dir", tmp_path / "first")
    return tmp_path / "first/model"


def test_weights_film_log_and_card_go_on_where_the_other_model_ended(train, first, tmp_path):
    # With a rate of 0 the weights stay what they are.
    flags = [*DATA, *SMALL, "--learning_rate", "0", "--pretrained_model_name_or_path", first]
    train("dcgan", *flags, "--max_train_steps", "2", "--output_dir", tmp_path / "second")
    second = tmp_path / "second/model"
    before, after = (load_pipeline(folder) for folder in (first, second))
    for component in ("generator", "discriminator"):
        other = dict(getattr(after, component).named_parameters())
        assert all(torch.equal(weight, other[name]) for name, weight in getattr(before, component).named_parameters())
    log = [json.loads(line)["step"] for line in (second / "metrics.jsonl").read_text().splitlines()]
    assert log == [1, 2, 3, 4, 5, 6]

    # The last frames look alike, and are one.
    training = json.loads((second / "training.json").read_text())
    assert training["film_steps"][-1] == 6
    assert training["film_steps"][0] < 4
    with Image.open(second / "film.webp") as film:
        assert len(list(ImageSequence.Iterator(film))) == len(training["film_steps"])
    assert (training["steps"], training["images_seen"]) == (2, 6 * 16)
    start = training["started_from"]
    assert (start["all_steps"], start["seed"], start["steps"]) == (4, 0, 4)
    assert start["model"] is None, "a local path must not be published"

    flags = [*DATA, *SMALL, "--pretrained_model_name_or_path", second]
    train("dcgan", *flags, "--max_train_steps", "1", "--output_dir", tmp_path / "third")
    third = tmp_path / "third/model"
    assert json.loads((third / "training.json").read_text())["film_steps"][-1] == 7
    write_card(third)
    card = (third / "README.md").read_text()
    commands = [f"--max_train_steps {steps}" for steps in (4, 2, 1)]
    assert [card.index(command) for command in commands] == sorted(card.index(command) for command in commands)
    assert "weights after step 4 of 4" in card
    assert "112 images seen in all" in card
    assert str(tmp_path) not in card


def test_what_does_not_fit_is_one_sentence_and_starts_nothing(train, first, tmp_path, capsys):
    make_pipeline("vae").save_pretrained(tmp_path / "vae")
    wrong = {
        first: ("the generator of", "base_channels 4 (here 8)", "give the flags that it was trained with"),
        tmp_path / "vae": ("holds a VAEPipeline without generator",),
        "cgan-mnst": ("There is no model 'cgan-mnst': did you mean 'cgan-mnist'?",),
    }
    small = ["--base_channels", "8", "--classes", "3", "4", "--dry_run"]
    for name, says in wrong.items():
        with pytest.raises(SystemExit) as error:
            train("dcgan", *DATA, *small, "--pretrained_model_name_or_path", name, "--output_dir", tmp_path / "run")
        assert all(text.lower() in str(error.value).lower() for text in says), error.value
        assert not (tmp_path / "run").exists()


def test_a_model_of_which_no_training_is_known(train, tmp_path):
    pipeline = make_pipeline("dcgan")
    pipeline.save_pretrained(tmp_path / "model")
    flags = ["--base_channels", "4", "--latent_dim", "8", "--discriminator_norm", "batch", "--r1", "0", "--r2", "0"]
    flags += [
        "--pretrained_model_name_or_path",
        tmp_path / "model",
        "--output_dir",
        tmp_path / "run",
        "--max_train_steps",
        "1",
    ]
    train("dcgan", "--dataset_name", "zoo:cifar10-frogs-sample", *DATA[2:], *flags)
    write_card(tmp_path / "run/model")
    assert "of which no training is known" in (tmp_path / "run/model/README.md").read_text()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("training.json", '{"started_from": 5}', "started_from must be an object, got 5; train or save it again."),
        ("training.json", '{"steps": "many"}', "steps must be an integer"),
        ("training.json", '{"film_steps": 5}', "film_steps must be a list"),
        ("training.json", '{"selected": 5}', "selected must be an object"),
        ("film.webp", "version https://git-lfs.github.com/spec/v1\n", "is not a readable film: download it again"),
        ("metrics.jsonl", b"\xff\xfe", "is not readable: download it again, or remove it."),
    ],
)
def test_odd_files_beside_a_model_are_found_before_the_training(file, content, said, tmp_path):
    make_pipeline("dcgan").save_pretrained(tmp_path)
    (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as error:
        start_from(str(tmp_path), {})
    assert str(error.value).startswith(str(tmp_path / file))
    assert said in str(error.value)


def test_of_a_start_that_says_too_little_no_training_is_known():
    start = {"model": "someone/model", "command": "accelerate launch train/dcgan.py"}
    assert earlier_trainings({"started_from": start}) == [
        "It started from the weights of `someone/model`, of which no training is known."
    ]
