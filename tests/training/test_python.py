"""Training from Python: the same run as from a shell, in somebody else's process."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from test_exact_resume import state_of

from genmodels import CGANPipeline, VAEPipeline
from genmodels.errors import UserError
from genmodels.features.classifier import Classifier
from genmodels.training import TrainingRun, scripts
from genmodels.training import train as train_from_python
from genmodels.training.config import MOST
from genmodels.training.scripts import command_of, in_python, load_script, words_of

TINY = {"base_channels": 4, "train_batch_size": 16, "report_to": "none", "monitor_steps": 0, "validation_steps": 0}


def test_a_run_from_python_is_the_run_from_a_shell(train, two_shards, tmp_path, capsys):
    settings = {"dataset_name": two_shards, **TINY, "max_train_steps": 3, "discriminator_channels": 4}
    pipe = train_from_python("cgan", **settings, output_dir=tmp_path / "python")
    assert "step/s" in (told := capsys.readouterr()).err or "3/3" in told.err
    assert f"Saved {tmp_path / 'python/model'}" in told.out
    assert isinstance(pipe, CGANPipeline)
    assert pipe(class_labels=[0, 1], seed=0).images[0].size == (28, 28)
    assert pipe.generator.dtype == torch.float32
    words = words_of(load_script("cgan").Config, {**settings, "output_dir": tmp_path / "shell"})
    train("cgan", *words)
    assert state_of(tmp_path / "python", 3) == state_of(tmp_path / "shell", 3)
    facts = [json.loads((tmp_path / name / "model/training.json").read_text()) for name in ("python", "shell")]
    assert facts[0]["command"] == facts[1]["command"]
    assert facts[0]["command"].startswith("accelerate launch train/cgan.py --dataset_name PATH --base_channels 4")


def test_two_runs_in_one_process_and_what_others_have_there(two_shards, tmp_path):
    mine = Accelerator(mixed_precision="bf16", cpu=True)
    threads, handler = torch.get_num_threads(), signal.getsignal(signal.SIGINT)
    for seed in (0, 1):
        options = {"mixed_precision": "no", "max_train_steps": 1, "seed": seed, "output_dir": tmp_path / str(seed)}
        pipe = train_from_python("vae", dataset_name=two_shards, **TINY, **options)
        assert isinstance(pipe, VAEPipeline)
    assert AcceleratorState().mixed_precision == mine.mixed_precision == "bf16"
    assert (torch.get_num_threads(), signal.getsignal(signal.SIGINT)) == (threads, handler)
    # Neither run keeps its folder locked.
    again = train_from_python("vae", dataset_name=two_shards, **TINY, **options, resume_from_checkpoint="latest")
    assert isinstance(again, VAEPipeline)


def test_a_second_training_at_the_same_time_is_refused_and_the_first_goes_on(tmp_path, monkeypatch):
    started, refused, load = threading.Event(), threading.Event(), load_script

    def slow(name):
        started.set()
        assert refused.wait(60)
        return load(name)

    monkeypatch.setattr(scripts, "load_script", slow)
    results = []
    settings = {"dataset_name": "zoo:mnist-sample", **TINY, "dry_run": True, "output_dir": tmp_path / "run"}
    first = threading.Thread(target=lambda: results.append(train_from_python("vae", **settings)))
    first.start()
    assert started.wait(60)
    with pytest.raises(UserError, match="A training runs in this process already: wait for it, or start another"):
        train_from_python("vae", **settings)
    refused.set()
    first.join()
    assert results == [None]
    for _ in range(2):
        with pytest.raises(UserError, match="no training script"):
            train_from_python("nothing")


def test_an_evaluator_comes_back_as_itself(two_shards, tmp_path):
    options = {"base_channels": 4, "train_batch_size": 16, "report_to": "none", "max_train_steps": 1}
    judge = train_from_python("evaluator", dataset_name=two_shards, **options, output_dir=tmp_path)
    assert isinstance(judge, Classifier)


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("cgan", {"max_steps": 3}, r"There is no argument max_steps: did you mean max_train_steps\?"),
        ("cgan", {"max_step": 3}, r"There is no argument max_step: did you mean max_train_steps\?"),
        ("cgan", {"wibble": 3}, "There is no argument wibble: dry_run=True prints them all"),
        ("cgann", {}, r"There is no training script 'cgann': did you mean cgan\?"),
        (5, {}, "There is no training script 5: give one of autoencoder, cgan, consistency, dcgan"),
        (None, {}, "There is no training script None: give one of autoencoder"),
        (Path("cgan"), {}, r"There is no training script \w+\('cgan'\): did you mean cgan\?"),
        (
            "cgan",
            {"latent_dim": 10**9, "dataset_name": "zoo:mnist-sample"},
            "does not fit into the memory: give a smaller",
        ),
        (
            "cgan",
            {"latent_dim": MOST, "base_channels": MOST, "dataset_name": "zoo:mnist-sample"},
            "does not fit into the",
        ),
        ("cgan", {"max_train_steps": 0}, "max_train_steps must be an integer of at least 1, got 0"),
        ("cgan", {"label_noise": 0.1}, 'add loss="nonsaturating", or label_noise=0'),
        ("dcgan", {"preset": "papr"}, "preset must be one of 'r3gan', 'paper', got 'papr'"),
        ("vae", {"resolution": 200}, "resolution must be from 16 to 128, got 200"),
        ("vae", {"dataset_name": "zoo:nothing"}, "There is no built-in sample 'zoo:nothing'"),
        ("vae", {"classes": ["toad"], "dataset_name": "zoo:mnist-sample"}, "has no class 'toad'"),
        ("cgan", {"classes": ["3"], "dataset_name": "zoo:mnist-sample"}, "needs labels of at least two classes"),
    ],
)
def test_a_mistake_is_an_error_in_the_words_of_python(tmp_path, name, settings, says):
    with pytest.raises(UserError, match=says) as raised:
        train_from_python(name, **settings, output_dir=tmp_path / "run")
    assert "--" not in str(raised.value)
    assert not (tmp_path / "run").exists()


def test_another_run_in_the_folder_is_told_in_the_words_of_python(tmp_path):
    (tmp_path / "checkpoints/checkpoint-5").mkdir(parents=True)
    with pytest.raises(UserError, match='holds another run: add resume_from_checkpoint="latest" to go on with it'):
        train_from_python("vae", dataset_name="zoo:mnist-sample", output_dir=tmp_path)


def test_ctrl_c_leaves_a_checkpoint_and_says_so(two_shards, tmp_path, monkeypatch, capsys):
    update = TrainingRun.update

    def interrupted(self, *arguments):
        if self.step == 2:
            signal.raise_signal(signal.SIGINT)
        update(self, *arguments)

    monkeypatch.setattr(TrainingRun, "update", interrupted)
    with pytest.raises(KeyboardInterrupt, match='the same call with resume_from_checkpoint="latest" goes on'):
        train_from_python("vae", dataset_name=two_shards, **TINY, max_train_steps=9, output_dir=tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-3"]
    assert "Stopped after step 3, with a checkpoint" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_nobody_foresees_keeps_its_type_and_the_training(two_shards, tmp_path, monkeypatch):
    update = TrainingRun.update

    def broken(self, *arguments):
        if self.step == 2:
            raise ZeroDivisionError("some library")
        update(self, *arguments)

    monkeypatch.setattr(TrainingRun, "update", broken)
    with pytest.raises(ZeroDivisionError) as raised:
        train_from_python("vae", dataset_name=two_shards, **TINY, max_train_steps=9, output_dir=tmp_path)
    assert raised.value.__notes__ == [
        'The state after step 2 is saved: the same call with resume_from_checkpoint="latest" goes on from there.'
    ]


def test_a_dry_run_tells_its_plan_and_returns_nothing(tmp_path, capsys):
    run = tmp_path / "run"
    assert train_from_python("vae", dataset_name="zoo:mnist-sample", dry_run=True, output_dir=run) is None
    told = capsys.readouterr().out
    assert "networks: encoder" in told
    assert {"dry_run=True", "hub_private=False", "skip_unreadable=False"} <= set(told.split())
    assert not {"True", "False"} & set(told.split())
    assert not run.exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("give --resolution 32, fewer", "give resolution=32, fewer"),
        ("add --preset paper.", 'add preset="paper".'),
        ("(--no-random_flip turns that off)", "(random_flip=False turns that off)"),
        ("--diffaugment none turns", "diffaugment none turns"),
        ("add --push_to_hub, or leave it out", "add push_to_hub=True, or leave it out"),
        (
            "a lower --learning_rate, or with --mixed_precision no.",
            'a lower learning_rate, or with mixed_precision="no".',
        ),
        ("--feature_matching True (was False)", "feature_matching=True (was False)"),
        ("--random_flip False (was None)", "random_flip=False (was None)"),
        ("--resolution None (was 32)", "resolution=None (was 32)"),
        ("--r1 1 --r2 1", "r1=1 r2=1"),
        ("run `hf auth login --token`", "run `hf auth login --token`"),
    ],
)
def test_flags_are_said_as_arguments(text, expected):
    assert in_python(load_script("dcgan").Config, text) == expected


def test_the_command_of_a_call_says_the_same():
    settings = {"random_flip": False, "push_to_hub": True, "classes": ["a b", 3], "resolution": None, "r1": 0.5}
    words = words_of(load_script("dcgan").Config, settings)
    expected = "accelerate launch train/dcgan.py --no-random_flip --push_to_hub --classes 'a b' 3 --r1 0.5"
    assert command_of("train/dcgan.py", words) == expected
