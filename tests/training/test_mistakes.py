"""A user's mistakes with the training scripts: one sentence each, before any work is done."""

import importlib.util
import runpy
import sys

import datasets
import numpy as np
import pytest
from helpers import REPO
from safetensors import SafetensorError

from genmodels.errors import UserError
from genmodels.training.checkpoints import save_checkpoint
from genmodels.training.trackers import check_trackers


@pytest.fixture
def start(monkeypatch, capsys):
    """Run a script in this process and return what a user reads as it ends."""

    def run(script: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [f"train/{script}.py", "--dataset_name", "zoo:mnist-sample", *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(REPO / "train" / f"{script}.py"), run_name="__main__")
        code = ended.value.code
        assert code != 0
        return code if isinstance(code, str) else capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("cgan", ["--train_batch_size", "0"], "must be an integer of at least 2, got '0'"),
        ("cgan", ["--learning_rate", "nan"], "must be a number from 0 to 1"),
        ("dcgan", ["--preset", "biggan"], "invalid choice: 'biggan'"),
        ("dcgan", ["--kernel_size", "3"], "invalid choice: 3"),
        (
            "vae",
            ["--hub_model_id", "me/caf\udce9"],
            "On the command line 'me/caf\\udce9' is no UTF-8: set PYTHONUTF8=1",
        ),
        ("vae", ["--resolution", "200"], "--resolution must be from 16 to 128, got 200."),
        ("vae", ["--dataset_name", "zoo:nothing"], "There is no built-in sample 'zoo:nothing'"),
        ("vae", ["--mixed_precision", "fp16"], "fp16 overflows in gradient penalties"),
        ("vae", ["--dataloader_num_workers", "9"], "--dataloader_num_workers is 9, but"),
        ("vae", ["--gradient_accumulation_steps", "0"], "must be an integer of at least 1"),
        ("vae", ["--resume_from_checkpoint", "no/such/folder"], "There is no checkpoint 'no/such/folder'"),
        ("vae", ["--report_to", "paper"], "invalid choice: 'paper'"),
        ("vae", ["--importance_samples", "5", "--beta", "2"], "weights the KL term by itself: leave out --beta"),
        ("dcgan", ["--classes", "toad"], "has no class 'toad'"),
        ("cgan", ["--adam_beta1", "1"], "must be a number from 0 to 0.999999"),
        ("vae", ["--seed", "5000000000"], "must be an integer from 0 to 2147483647, got '5000000000'"),
        ("vae", ["--decorrelate"], "--decorrelate is about attributes: add --attributes."),
        ("vae", ["--r1", "1"], "--r1 is of the discriminator: add --adversarial."),
        ("vae", ["--diffaugment", "color"], "--diffaugment is of the discriminator: add --adversarial."),
        (
            "vae",
            ["--adversarial", "--importance_samples", "5"],
            "judges one image for each: leave out --importance_samples",
        ),
        ("vae", ["--sigma", "0.3"], "--sigma is of the gaussian: add --likelihood gaussian."),
        ("vae", ["--network", "dense", "--upsampling", "nearest"], "--upsampling is of convolutions"),
        ("cgan", ["--gradient_penalty", "5"], "--gradient_penalty is of a critic: add --preset wgan-gp"),
        ("cgan", ["--preset", "wgan-gp", "--gradient_penalty", "0"], "Nothing bounds the critic's slope"),
        ("gan", ["--momentum_steps", "5"], "--momentum_steps is of gradient descent: add --optimizer sgd."),
        ("gan", ["--preset", "classic", "--adam_beta1", "0.1"], "--adam_beta1 is of Adam: add --optimizer adam."),
        ("wgan", ["--adam_beta2", "0.99"], "--adam_beta2 is of Adam, and clipping goes with RMSprop"),
        ("diffusion", ["--watch_inference_steps", "5000"], "must be an integer from 1 to 1000, got '5000'"),
        ("evaluator", ["--test_split", "exam", "--dry_run"], "has no split 'exam'"),
        ("dcgan", ["--hub_model_id", "alice/x"], "add --push_to_hub"),
        ("cgan", ["--label_noise", "0.1"], "add --loss nonsaturating"),
        ("gan", ["--loss", "relativistic"], "add --loss nonsaturating, or --label_smoothing 0"),
        ("dcgan", ["--label_flips", "0.1"], "--label_flips moves targets that the relativistic loss does not have"),
        ("dcgan", ["--minibatch_discrimination", "-1"], "must be an integer of at least 0, got '-1'"),
        ("dcgan", ["--upsampling", "bilinear"], "invalid choice: 'bilinear'"),
        ("wgan", ["--label_smoothing", "0.1"], "unrecognized arguments: --label_smoothing"),
        ("wgan", ["--spectral_norm", "--weight_clip", "0.01"], "or --weight_clip or --spectral_norm"),
        ("wgan", ["--spectral_norm", "--critic_norm", "batch"], "give --critic_norm none"),
        ("dcgan", ["--discriminator_norm", "batch"], "give --discriminator_norm none"),
        ("dcgan", ["--without", "noise"], "there are none: add --preset paper"),
        ("dcgan", ["--without", "divisible_kernel", "--upsampling", "nearest"], "leave out --upsampling nearest"),
        ("gan", ["--preset", "wide"], "invalid choice: 'wide'"),
        ("gan", ["--generator_dims", "64", "0"], "must be an integer of at least 1, got '0'"),
        ("wgan", ["--gradient_penalty", "--weight_clip", "0.01"], "either --gradient_penalty or --weight_clip"),
        ("wgan", ["--weight_clip", "0"], "either --gradient_penalty or --weight_clip"),
        ("wgan", ["--gradient_penalty", "10", "--critic_norm", "batch"], "give --critic_norm none"),
        ("diffusion", ["--block_out_channels", "20"], "block_out_channels must be multiples of 8, got [20]."),
        ("diffusion", ["--patch_size", "4", "--block_out_channels", "8", "8"], "take a resolution of 32, fewer"),
        ("cgan", ["--classes", "3"], "needs labels of at least two classes"),
        ("lapgan", ["--classes", "3", "--conditional"], "two classes; here there is one, '3'."),
        ("lapgan", ["--num_levels", "4"], "28 pixels are not divisible by 8"),
        ("dcgan", ["--lr", "1e-3"], "There is no --lr: did you mean --learning_rate?"),
        ("dcgan", ["--datset_name", "x"], "--datset_name: did you mean --dataset_name?"),
        ("vae", ["--train_data_dir", "x"], "--train_data_dir: did you mean --dataset_name?"),
        ("vae", ["--dataset_revision", "main"], "is built in: --dataset_revision names"),
        ("evaluator", ["--sample_steps", "5"], "unrecognized arguments: --sample_steps"),
        ("evaluator", ["--push_to_hub"], "run `hf auth login`"),
        ("vae", ["--hub_strategy", "every_save"], "--hub_strategy says where or how to push: add --push_to_hub"),
        ("vae", ["--hub_private"], "add --push_to_hub"),
        (
            "vae",
            ["--push_to_hub", "--hub_model_id", "alice"],
            "'alice' is not an id on the Hub: give your name, a slash",
        ),
    ],
)
def test_a_mistake_gets_one_sentence(start, tmp_path, script, arguments, message):
    text = start(script, "--output_dir", str(tmp_path / "run"), "--report_to", "none", *arguments)
    assert message in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["left", "dark"], "dark needs images with it and images without it"),
        (["left", "right", "--decorrelate"], "An attribute follows from the others"),
    ],
)
def test_attributes_that_cannot_be_learned_lose_no_training(start, tmp_path, arguments, message):
    rows = {
        "image": [np.zeros((28, 28), np.uint8)] * 8,
        "left": [True, False] * 4,
        "right": [False, True] * 4,
        "dark": [True] * 8,
    }
    types = {name: datasets.Value("bool") for name in ("left", "right", "dark")}
    features = datasets.Features(image=datasets.Image(), **types)
    (tmp_path / "data").mkdir()
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "data/train.parquet")
    few = ["--train_batch_size", "4", "--max_train_steps", "1", "--base_channels", "4", "--report_to", "none"]
    run = ["--dataset_name", str(tmp_path / "data"), "--output_dir", str(tmp_path / "run"), *few]
    (tmp_path / "run/checkpoints/.checkpoint-7.old").mkdir(parents=True)
    text = start("vae", *run, "--attributes", *arguments)
    assert message in text
    assert "The training is saved" in text
    # What a kill left of an older checkpoint is gone.
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == ["checkpoint-1"]


def test_a_model_that_does_not_fit_on_the_disk_is_no_traceback(start, tmp_path, monkeypatch):
    def full(*arguments):
        raise SafetensorError("I/O error: No space left on device")

    monkeypatch.setattr("genmodels.training.publish.save_in_half_precision", full)
    few = ["--train_batch_size", "4", "--max_train_steps", "1", "--base_channels", "4", "--report_to", "none"]
    text = start("vae", *few, "--output_dir", str(tmp_path / "run"))
    assert "model could not be saved (I/O error: No space left on device)" in text
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == ["checkpoint-1"]


def test_another_runs_folder_is_not_overwritten(start, tmp_path):
    (tmp_path / "checkpoints" / "checkpoint-10").mkdir(parents=True)
    assert "holds another run: add --resume_from_checkpoint latest" in start("vae", "--output_dir", str(tmp_path))


def test_a_trained_model_is_not_overwritten(start, tmp_path):
    (tmp_path / "model").mkdir()
    assert "holds a trained model: choose another --output_dir" in start("vae", "--output_dir", str(tmp_path))


def checkpoint_of(folder, **state):
    """A complete checkpoint with these values."""
    save_checkpoint(folder, state)
    return folder


def test_a_checkpoint_of_another_script_is_refused(start, tmp_path):
    checkpoint_of(tmp_path / "checkpoints/checkpoint-5", script="cgan.py", settings={}, step=5, processes=1)
    text = start("vae", "--output_dir", str(tmp_path), "--resume_from_checkpoint", "latest")
    assert "belongs to cgan.py, not to vae.py" in text


def test_a_checkpoint_of_more_processes_is_refused(start, tmp_path):
    checkpoint_of(tmp_path / "checkpoints/checkpoint-5", script="vae.py", settings={}, step=5, processes=2)
    text = start("vae", "--output_dir", str(tmp_path), "--resume_from_checkpoint", "latest")
    assert "is of 2 process(es): resume with as many" in text


def test_a_run_that_is_over_says_how_to_go_on(start, tmp_path):
    checkpoint_of(tmp_path / "checkpoints/checkpoint-500", script="vae.py", settings={}, step=500, processes=1)
    arguments = ["--output_dir", str(tmp_path), "--resume_from_checkpoint", "latest", "--max_train_steps", "400"]
    assert "is at step 500 already: raise --max_train_steps" in start("vae", *arguments)


def test_another_runs_checkpoint_does_not_mix_with_this_folders(start, tmp_path):
    checkpoint_of(tmp_path / "mine/checkpoints/checkpoint-5", script="vae.py")
    other = checkpoint_of(tmp_path / "other/checkpoints/checkpoint-5", script="vae.py")
    text = start("vae", "--output_dir", str(tmp_path / "mine"), "--resume_from_checkpoint", str(other))
    assert "is no checkpoint of: give another --output_dir" in text


def test_a_tracker_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="`python -m pip install wandb`"):
        check_trackers(["wandb"])
