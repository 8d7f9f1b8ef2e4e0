"""Whatever ends a run from inside, the steps that it has taken are saved first, and going on from there is exact."""

from __future__ import annotations

import errno
import json
import multiprocessing
import shutil
import signal

import pytest
import torch
from helpers import set_clock
from PIL import Image
from test_exact_resume import QUIET, TINY, assert_same_runs

from genmodels.data import ImageStream
from genmodels.errors import UserError
from genmodels.training.checkpoints import complete_checkpoints, load_checkpoint, save_checkpoint
from genmodels.training.log import RunLog
from genmodels.training.run import TrainingRun
from genmodels.training.validation import Validation
from genmodels.training.watching import Watching

CHECKS = ["--sample_steps", "3", "--monitor_steps", "3", "--validation_steps", "3"]
# BatchNorm and spectral norm keep numbers of their own, which a failed update has changed already.
PAPER = ["--preset", "paper", "--spectral_norm", "--classes", "1", "0", "7", "3", "--random_flip"]


class BrokenError(Exception):
    """What no one foresees."""


def fail_once(monkeypatch, owner, name: str, call: int, error: BaseException, after: bool = False) -> None:
    """Let a method raise an error the n-th time it is called, before or after what it does, and work from then on."""
    method, calls = getattr(owner, name), []

    def wrapped(*args, **kwargs):
        calls.append(None)
        if len(calls) == call and not after:
            raise error
        answer = method(*args, **kwargs)
        if len(calls) == call:
            raise error
        return answer

    monkeypatch.setattr(owner, name, wrapped)


@pytest.fixture(scope="module")
def whole(two_shards, tmp_path_factory):
    """The folder of an unbroken run of `common`."""
    return {}


# What fails, at which call, after what it does; the step that is saved, its updates, and the chores done after it.
FAILURES = {
    "between D and G": ((torch.optim.Adam, "step", 10), False, (4, 1, 5)),
    "in G's backward pass": (("accelerate.Accelerator", "backward", 10), False, (4, 1, 5)),
    "after D's backward pass": (("accelerate.Accelerator", "backward", 9), True, (4, 0, 5)),
    "while samples are drawn": ((Watching, "save_samples", 2), False, (3, 0, 1)),
    "while the monitor looks": ((Watching, "draw_fakes", 1), True, (3, 0, 3)),
    "while validating": ((Validation, "measure", 1), False, (3, 0, 4)),
    "as the log is written": ((RunLog, "append", 5), True, (4, 0, 0)),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_saves_what_is_done_and_the_rest_follows_exactly(
    train, two_shards, tmp_path, tmp_path_factory, monkeypatch, capsys, whole, name
):
    common = ["--dataset_name", two_shards, *TINY, *QUIET, *CHECKS, *PAPER]
    if not whole:
        whole["run"] = tmp_path_factory.mktemp("whole")
        train("dcgan", *common, "--output_dir", whole["run"])
    (owner, method, call), after, expected = FAILURES[name]
    with monkeypatch.context() as patch:
        if isinstance(owner, str):
            from accelerate import Accelerator as owner  # noqa: N813
        fail_once(patch, owner, method, call, BrokenError("some library"), after)
        with pytest.raises(SystemExit) as ended:
            train("dcgan", *common, "--output_dir", tmp_path)
    assert "The training broke off with the BrokenError above. The state after step" in str(ended.value)
    assert "some library" in capsys.readouterr().err
    state = load_checkpoint(complete_checkpoints(tmp_path / "checkpoints")[-1])
    assert (state["step"], state["updates"], state["reported"]) == expected
    train("dcgan", *common, "--output_dir", tmp_path, "--resume_from_checkpoint", "latest")
    assert_same_runs(tmp_path, whole["run"])


def test_an_interrupted_update_waits_until_it_is_whole(train, two_shards, tmp_path, monkeypatch, capsys):
    """A second Ctrl-C, in the middle of an optimizer's step."""
    step, calls = torch.optim.Adam.step, []

    def interrupted(self, *args):
        calls.append(None)
        if len(calls) == 5:
            for _ in range(2):
                signal.raise_signal(signal.SIGINT)
                set_clock(monkeypatch, lambda: 1e9)
        return step(self, *args)

    monkeypatch.setattr(torch.optim.Adam, "step", interrupted)
    with pytest.raises(SystemExit) as ended:
        train("vae", "--dataset_name", two_shards, *TINY, *QUIET, "--output_dir", tmp_path)
    assert ended.value.code == 130
    assert "interrupted. The state after step 4 is saved" in capsys.readouterr().err
    state = load_checkpoint(tmp_path / "checkpoints/checkpoint-4")
    assert (state["step"], state["updates"]) == (4, 1)
    assert next(iter(state["optimizers"].values()))[0]["step"] == 5


def test_a_disk_that_fills_up_while_validating(train, two_shards, tmp_path, monkeypatch):
    common = ["--dataset_name", two_shards, *TINY, *QUIET, "--validation_steps", "3", "--monitor_steps", "0"]
    full = OSError(errno.ENOSPC, "No space left on device", "metrics.jsonl")
    fail_once(monkeypatch, RunLog, "append", 3, full)
    with pytest.raises(SystemExit) as ended:
        train("vae", *common, "--output_dir", tmp_path)
    assert "No space left on device while writing metrics.jsonl: make room. The state after step 3 is saved" in str(
        ended.value
    )
    assert [path.name for path in complete_checkpoints(tmp_path / "checkpoints")] == ["checkpoint-3"]


def test_an_output_folder_that_is_taken_away_is_a_sentence(train, two_shards, tmp_path, monkeypatch, capsys):
    append = RunLog.append

    def taken_away(self, step, figures, group=None):
        if step == 4:
            shutil.rmtree(tmp_path / "run")
        append(self, step, figures, group)

    monkeypatch.setattr(RunLog, "append", taken_away)
    with pytest.raises(SystemExit) as ended:
        train("vae", "--dataset_name", two_shards, *TINY, *QUIET, "--output_dir", tmp_path / "run")
    assert f"No such file or directory while writing {tmp_path / 'run/metrics.jsonl'}: mend the output" in str(
        ended.value
    )
    assert "The state after step 4 is saved" in str(ended.value)
    assert "Traceback" not in capsys.readouterr().err
    assert load_checkpoint(tmp_path / "run/checkpoints/checkpoint-4")["step"] == 4


def test_what_others_left_in_the_output_folder_stops_no_run(train, two_shards, tmp_path):
    common = ["--dataset_name", two_shards, *TINY, *QUIET, "--sample_steps", "2", "--output_dir", tmp_path]
    train("vae", *common, "--max_train_steps", "4")
    with open(tmp_path / "metrics.jsonl", "ab") as file:
        file.write(b"\xff\0\0")
    (tmp_path / "samples/step-by-step.png").write_bytes(b"of the user")
    (tmp_path / "samples/step-000002.png").write_bytes(b"cut off")
    train("vae", *common, "--max_train_steps", "6", "--resume_from_checkpoint", "latest")
    log = [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert log == [1, 2, 4, 6]
    training = json.loads((tmp_path / "model/training.json").read_text())
    assert 2 not in training["film_steps"]
    assert (tmp_path / "samples/step-by-step.png").read_bytes() == b"of the user"


@pytest.mark.parametrize(
    "error", [BrokenPipeError(errno.EPIPE, "Broken pipe"), OSError(errno.EIO, "Input/output error")]
)
def test_a_reader_that_has_gone_is_a_sentence(train, two_shards, tmp_path, monkeypatch, capsys, error):
    fail_once(monkeypatch, RunLog, "write", 3, error)
    before = set(multiprocessing.active_children())
    with pytest.raises(SystemExit) as ended:
        train("vae", "--dataset_name", two_shards, *TINY, *QUIET, "--output_dir", tmp_path)
    # Those that read ahead have ended, though the error still holds on to the run.
    assert set(multiprocessing.active_children()) <= before
    says = f"What it prints is read by no one any more ({error.strerror}): redirect it to a file. The state after step 4 is"
    assert says in str(ended.value)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal here")
def test_a_terminal_that_is_closed_ends_a_run_with_a_checkpoint(train, two_shards, tmp_path, monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    update = TrainingRun.update

    def closed(self, *arguments):
        if self.step == 3:
            signal.raise_signal(signal.SIGHUP)
        update(self, *arguments)

    monkeypatch.setattr(TrainingRun, "update", closed)
    try:
        with pytest.raises(SystemExit) as ended:
            train("vae", "--dataset_name", two_shards, *TINY, *QUIET, "--output_dir", tmp_path)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)
    assert ended.value.code == 0
    assert load_checkpoint(tmp_path / "checkpoints/checkpoint-4")["step"] == 4


def test_the_oldest_checkpoint_makes_room_for_the_newest(train, two_shards, tmp_path, monkeypatch):
    common = ["--dataset_name", two_shards, *TINY[2:], "--base_channels", "4", *QUIET, "--checkpointing_steps", "2"]

    def no_room_for_three(folder, state):
        if len(complete_checkpoints(folder.parent)) > 1:
            raise UserError("full")
        save_checkpoint(folder, state)

    monkeypatch.setattr("genmodels.training.resuming.save_checkpoint", no_room_for_three)
    train("vae", *common, "--checkpoints_total_limit", "2", "--output_dir", tmp_path)
    assert [path.name for path in complete_checkpoints(tmp_path / "checkpoints")] == ["checkpoint-8", "checkpoint-9"]


def test_a_checkpoint_lies_there_before_the_last_validation(train, two_shards, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        Validation,
        "measure",
        lambda self, pipeline: (
            seen.append([path.name for path in complete_checkpoints(tmp_path / "checkpoints")])
            or {"fid": 1.0, "recall": 0.5}
        ),
    )
    common = ["--dataset_name", two_shards, *TINY, *QUIET, "--validation_steps", "4", "--monitor_steps", "0"]
    train("vae", *common, "--output_dir", tmp_path)
    assert seen == [["checkpoint-4"], ["checkpoint-4", "checkpoint-8"], ["checkpoint-8", "checkpoint-9"]]


def test_a_clock_that_stands_still_or_runs_back_breaks_nothing(train, two_shards, tmp_path, monkeypatch):
    readings = iter([100.0] * 4 + [100.0 - k for k in range(1000)])
    set_clock(monkeypatch, lambda: next(readings))
    set_clock(monkeypatch, lambda: 1.0, clock="time")
    train("vae", "--dataset_name", two_shards, *TINY, *QUIET, "--monitor_steps", "0", "--output_dir", tmp_path)
    assert json.loads((tmp_path / "model/training.json").read_text())["minutes"] == 0


def test_ctrl_c_before_the_first_step(train, two_shards, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Watching, "save_samples", lambda self, step: signal.raise_signal(signal.SIGINT))
    with pytest.raises(SystemExit) as ended:
        train("vae", "--dataset_name", two_shards, *TINY, *QUIET, "--output_dir", tmp_path)
    assert ended.value.code == 130
    assert capsys.readouterr().err.splitlines()[-1] == "vae.py: interrupted before the first step."


def test_what_an_interrupted_start_would_have_gone_on_from_is_still_there(
    train, two_shards, tmp_path, monkeypatch, capsys
):
    common = ["--dataset_name", two_shards, *TINY, *QUIET, "--monitor_steps", "0", "--output_dir", tmp_path]
    train("vae", *common, "--max_train_steps", "2", "--lr_scheduler", "constant")
    before = (tmp_path / "checkpoints/checkpoint-2/state.json").read_bytes()
    monkeypatch.setattr(RunLog, "start", lambda *arguments: signal.raise_signal(signal.SIGINT))
    with pytest.raises(SystemExit) as ended:
        train("vae", *common, "--lr_scheduler", "constant", "--resume_from_checkpoint", "latest")
    assert ended.value.code == 130
    assert (tmp_path / "checkpoints/checkpoint-2/state.json").read_bytes() == before


def test_unreadable_data_saves_what_was_trained(train, two_shards, tmp_path, monkeypatch):
    forever = ImageStream.forever

    def broken(self):
        batches = forever(self)
        for _ in range(3):
            yield next(batches)
        raise UserError("cat.png cannot be read as an image.")

    monkeypatch.setattr(ImageStream, "forever", broken)
    with pytest.raises(SystemExit) as ended:
        train("vae", "--dataset_name", two_shards, *TINY, *QUIET, "--monitor_steps", "0", "--output_dir", tmp_path)
    assert str(ended.value) == (
        "vae.py: error: cat.png cannot be read as an image. The state after step 3 is saved: the same command with "
        "--resume_from_checkpoint latest goes on from there."
    )
    assert [path.name for path in complete_checkpoints(tmp_path / "checkpoints")] == ["checkpoint-3"]


def test_latest_of_a_first_start_begins_anew(train, two_shards, tmp_path, capsys):
    common = ["--dataset_name", two_shards, *TINY, *QUIET, "--monitor_steps", "0", "--max_train_steps", "2"]
    train("vae", *common, "--resume_from_checkpoint", "latest", "--output_dir", tmp_path)
    assert f"There is no checkpoint in {tmp_path} yet: the run begins anew." in capsys.readouterr().out
    assert [path.name for path in complete_checkpoints(tmp_path / "checkpoints")] == ["checkpoint-2"]


@pytest.mark.parametrize("dry", [[], ["--dry_run"]])
def test_other_networks_than_the_checkpoints_name_the_flags(train, two_shards, tmp_path, dry):
    common = ["--dataset_name", two_shards, *TINY, *QUIET, "--monitor_steps", "0", "--output_dir", tmp_path]
    train("vae", *common, "--max_train_steps", "1", "--lr_scheduler", "constant")
    changed = ["--base_channels", "8", "--latent_dim", "3", "--resume_from_checkpoint", "latest"]
    with pytest.raises(SystemExit) as ended:
        train("vae", *common, "--lr_scheduler", "constant", *changed, *dry)
    assert "is another network: resume with the flags that it was made with" in str(ended.value)
    assert "Changed since: --base_channels 8 (was 4); --latent_dim 3 (was 2)." in str(ended.value)


def test_images_of_other_channels_than_the_checkpoints_are_named(train, tmp_path):
    (tmp_path / "data").mkdir()
    for mode in ("L", "RGB"):
        for k in range(3):
            Image.new(mode, (32, 32), k if mode == "L" else (k, 200, 0)).save(tmp_path / f"data/{k}.png")
        common = ["--dataset_name", tmp_path / "data", *TINY, *QUIET, "--monitor_steps", "0", "--max_train_steps", "1"]
        common += ["--resume_from_checkpoint", "latest", "--output_dir", tmp_path / "run"]
        if mode == "L":
            train("vae", *common)
    with pytest.raises(SystemExit) as ended:
        train("vae", *common)
    assert "is another network: resume with the flags" in str(ended.value)
    assert str(ended.value).endswith("Changed since: the images.")


def test_a_dry_run_refuses_what_the_run_would(train, two_shards, tmp_path):
    (tmp_path / "file").touch()
    for folder, says in ((tmp_path / "file", "is a file"), ("/proc/run", "cannot be made")):
        with pytest.raises(SystemExit) as ended:
            # The folder is looked at before the data, which is nowhere.
            train("vae", "--dataset_name", "/nowhere", "--dry_run", "--output_dir", folder)
        assert says in str(ended.value)
