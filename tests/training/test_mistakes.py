"""A user's mistakes with the training scripts: one sentence each, before any work is done."""

import runpy
import sys

import pytest
from helpers import REPO


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
        ("vae", ["--resolution", "200"], "--resolution must be from 16 to 128, got 200."),
        ("vae", ["--resume_from_checkpoint", "latest"], "There is no checkpoint in"),
        ("vae", ["--dataset_name", "zoo:nothing"], "There is no built-in sample 'zoo:nothing'"),
        ("vae", ["--mixed_precision", "fp16"], "invalid choice: 'fp16'"),
        ("dcgan", ["--classes", "toad"], "has no class 'toad'"),
        ("dcgan", ["--hub_model_id", "alice/x"], "add --push_to_hub"),
        ("cgan", ["--label_noise", "0.1"], "add --loss nonsaturating"),
        ("dcgan", ["--discriminator_norm", "batch"], "give --discriminator_norm none"),
        ("cgan", ["--classes", "3"], "needs labels of at least two classes"),
        ("vae", ["--train_batch_size", "20000"], "fewer images than one batch"),
        ("evaluator", ["--push_to_hub"], "push its folder with"),
    ],
)
def test_a_mistake_gets_one_sentence(start, tmp_path, script, arguments, message):
    text = start(script, "--output_dir", str(tmp_path / "run"), "--report_to", "none", *arguments)
    assert message in text
    assert "Traceback" not in text


def test_another_runs_folder_is_not_overwritten(start, tmp_path):
    (tmp_path / "checkpoints" / "checkpoint-10").mkdir(parents=True)
    assert "holds another run: add --resume_from_checkpoint latest" in start("vae", "--output_dir", str(tmp_path))
