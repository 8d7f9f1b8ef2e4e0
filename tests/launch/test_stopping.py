"""Real stops of real launches: signals, kill -9 at any instant, a full disk."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import REPO, run_python, start_python
from test_training_scripts import ACCELERATE, SAMPLE, TINY, log_of, train, without_rate

from genmodels.training.checkpoints import complete_checkpoints, load_checkpoint

RUN = [*SAMPLE, *TINY, "--discriminator_channels", "4", "--shuffle_buffer", "100"]
ENDLESS = ["--max_train_steps", "100000", "--sample_steps", "100000", "--checkpointing_steps", "100000"]


def start(*command: str, **options) -> subprocess.Popen:
    return subprocess.Popen(
        command,
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def wait_for(condition, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def has_logged(run: Path):
    return lambda: (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").stat().st_size > 0


def state_of(run: Path, step: int) -> tuple[bytes, list]:
    folder = run / "checkpoints" / f"checkpoint-{step}"
    values = dict(json.loads((folder / "state.json").read_text())["dict"])
    del values["seconds"]
    return (folder / "state.safetensors").read_bytes(), values


def processes_with(text: str) -> list[int]:
    """Those whose command line has the text in it, as `pkill -f` finds them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if text in command:
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize("how", ["sigterm", "ctrl-c", "pkill"])
def test_a_signal_ends_the_step_saves_and_says_how_to_go_on(tmp_path, how):
    # Without a cache there is always a process that reads the stream, which a signal may reach as well.
    where = ["--output_dir", str(tmp_path / "run"), "--cache_gb", "0", "--dataloader_num_workers", "1"]
    process = start(sys.executable, "train/cgan.py", *RUN, *ENDLESS, *where, start_new_session=True)
    wait_for(has_logged(tmp_path / "run"))
    if how == "pkill":
        wait_for(lambda: len(processes_with(str(tmp_path))) > 1)
        for pid in processes_with(str(tmp_path)):
            os.kill(pid, signal.SIGTERM)
    else:
        os.killpg(process.pid, signal.SIGTERM if how == "sigterm" else signal.SIGINT)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "the same command with --resume_from_checkpoint latest goes on" in out
    assert "Traceback" not in err
    (checkpoint,) = complete_checkpoints(tmp_path / "run/checkpoints")
    resumed = train(
        "cgan", *RUN, *ENDLESS, "--max_train_steps", str(int(checkpoint.name[11:]) + 2), *where,
        "--resume_from_checkpoint", "latest",
    )  # fmt: skip
    assert resumed.returncode == 0, resumed.stderr


def test_killing_the_launcher_lets_the_run_save(tmp_path):
    run = tmp_path / "run"
    process = start(sys.executable, "-m", *ACCELERATE, "train/cgan.py", *RUN, *ENDLESS, "--output_dir", str(run))
    wait_for(has_logged(run))
    process.terminate()
    # Its pipes close when the script, which outlives the launcher, has ended too.
    out, err = process.communicate(timeout=240)
    assert "with a checkpoint" in out, err
    assert len(complete_checkpoints(run / "checkpoints")) == 1


def test_killed_at_any_instant_a_run_goes_on_from_its_last_complete_checkpoint(tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    steps = 24
    common = [
        *RUN, "--max_train_steps", str(steps), "--checkpointing_steps", "1", "--sample_steps", "7", "--monitor_steps", "10",
        "--validation_steps", "12", "--checkpoints_total_limit", "2",
    ]  # fmt: skip
    assert train("cgan", *common, "--output_dir", str(whole)).returncode == 0

    instants, kills, resume = random.Random(0), 0, []
    for _ in range(40):
        process = start_python("train/cgan.py", *common, *resume, "--output_dir", str(run))
        wait_for(lambda: complete_checkpoints(run / "checkpoints") or process.poll() is not None)  # noqa: B023
        if resume:
            # From here on it is resuming, training, writing checkpoints, samples or the log.
            before = {path.name for path in complete_checkpoints(run / "checkpoints")}
            wait_for(
                lambda: (
                    {path.name for path in complete_checkpoints(run / "checkpoints")} != before  # noqa: B023
                    or process.poll() is not None  # noqa: B023
                )
            )
        time.sleep(instants.uniform(0, 0.4))
        if process.poll() is None and kills < 3:
            process.send_signal(signal.SIGKILL)
            kills += 1
        _, err = process.communicate(timeout=120)
        for checkpoint in complete_checkpoints(run / "checkpoints"):
            assert load_checkpoint(checkpoint)["step"] == int(checkpoint.name[11:])
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, err
        resume = ["--resume_from_checkpoint", "latest"]
    assert kills == 3
    assert state_of(run, steps) == state_of(whole, steps)
    assert without_rate(log_of(run)) == without_rate(log_of(whole))
    weights = "model/generator/diffusion_pytorch_model.safetensors"
    assert (run / weights).read_bytes() == (whole / weights).read_bytes()
    assert sorted(p.name for p in (run / "samples").iterdir()) == sorted(p.name for p in (whole / "samples").iterdir())


def test_a_full_disk_leaves_the_older_checkpoint(tmp_path):
    run = tmp_path / "run"
    common = [*RUN, "--lr_scheduler", "constant", "--monitor_steps", "0", "--output_dir", str(run)]
    assert train("cgan", *common, "--max_train_steps", "2").returncode == 0
    before = state_of(run, 2)
    largest = (run / "checkpoints/checkpoint-2/state.safetensors").stat().st_size

    # A limit on the size of files fails as a full disk does: in the middle of a write.
    limited = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, 2 * [int(sys.argv.pop(1))]); "
        "sys.argv[0] = 'train/cgan.py'; sys.path.insert(0, 'train'); runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    resume = [*common, "--max_train_steps", "4", "--resume_from_checkpoint", "latest"]
    process = run_python("-c", limited, str(largest // 2), *resume)
    err = process.stderr
    assert process.returncode == 1
    assert "checkpoint-4 could not be saved" in err
    assert "Checkpoints written before are intact" in err
    assert "Traceback" not in err
    assert state_of(run, 2) == before
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["checkpoint-2"]
    resumed = train("cgan", *resume)
    assert resumed.returncode == 0, resumed.stderr
