"""Two machines train one model: each in a network of its own, where the system allows such; else two launchers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from helpers import REPO, free_port
from test_processes import DRIVER
from test_training_scripts import SAMPLE, TINY

from genmodels.training.checkpoints import complete_checkpoints, load_checkpoint, step_of

TRAIN = ["train/cgan.py", *SAMPLE, *TINY, "--discriminator_channels", "4", "--lr_scheduler", "constant"]
TRAIN += ["--monitor_steps", "0", "--sample_steps", "100000"]
NAMES = ("genmodels-0", "genmodels-1")


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def machines():
    """How to run a command on each of two machines, environment included, and the address of the first one."""
    try:
        for name in NAMES:
            ip("netns", "add", name)
        ip("link", "add", "gmtest0", "netns", NAMES[0], "type", "veth", "peer", "name", "gmtest1", "netns", NAMES[1])
        for number, name in enumerate(NAMES):
            ip("-n", name, "addr", "add", f"10.99.0.{number + 1}/24", "dev", f"gmtest{number}")
            for device in ("lo", f"gmtest{number}"):
                ip("-n", name, "link", "set", device, "up")
        prefixes = [
            ["ip", "netns", "exec", name, "env", f"GLOO_SOCKET_IFNAME=gmtest{number}"]
            for number, name in enumerate(NAMES)
        ]
        yield prefixes, "10.99.0.1"
    except (OSError, subprocess.CalledProcessError):
        yield [[], []], "127.0.0.1"
    finally:
        if shutil.which("ip"):
            for name in NAMES:
                subprocess.run(["ip", "netns", "del", name], capture_output=True)


@pytest.fixture
def start(machines, tmp_path):
    """Start both machines, each with a folder of its own, and return their launchers."""
    (prefixes, address), started = machines, []

    def run(*flags: str, compare: bool = False) -> list[subprocess.Popen]:
        port, both = str(free_port()), []
        for number, prefix in enumerate(prefixes):
            launcher = ["accelerate.commands.launch", "--quiet", "--multi_gpu"]
            launcher += ["--num_machines", "2", "--num_processes", "2"]
            launcher += ["--machine_rank", str(number), "--main_process_ip", address, "--main_process_port", port]
            train = [*TRAIN, *flags, "--output_dir", str(tmp_path / str(number))]
            train = [DRIVER, "weights", json.dumps([train])] if compare else train
            command = [sys.executable, "-m", *launcher, *train]
            log = open(tmp_path / f"{number}.log", "w")  # noqa: SIM115, the process writes to it
            environment = {**os.environ, "PYTHONPATH": str(REPO), "ACCELERATE_USE_CPU": "true"}
            options = {"cwd": REPO, "env": environment, "stdout": log, "stderr": log, "start_new_session": True}
            both.append(subprocess.Popen([*prefix, *command], **options))
        started.extend(both)
        return both

    yield run
    for process in started:
        kill_machine(process)


def kill_machine(launcher: subprocess.Popen) -> None:
    """kill -9 for all processes of a machine: the launcher's, and what it has started in sessions of their own."""
    pids, found = [launcher.pid], [launcher.pid]
    while pids:
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", ",".join(map(str, pids))], capture_output=True, text=True
        )
        pids = [int(pid) for pid in children.stdout.split()]
        found += pids
    for pid in found:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    launcher.wait()


def wait_all(launchers: list[subprocess.Popen], tmp_path) -> None:
    for number, launcher in enumerate(launchers):
        assert launcher.wait(timeout=300) == 0, (tmp_path / f"{number}.log").read_text()


def test_two_machines_train_and_resume_one_model(start, tmp_path):
    wait_all(start("--max_train_steps", "6", "--checkpointing_steps", "4", compare=True), tmp_path)
    for number in range(2):
        assert "identical after steps [1, 2, 3, 4, 5, 6]" in (tmp_path / f"{number}.log").read_text()
    assert not (tmp_path / "1").exists(), "what there is to write is the first one's"
    whole = (tmp_path / "0").rename(tmp_path / "whole")
    middle = str(whole / "checkpoints/checkpoint-4")
    wait_all(start("--max_train_steps", "6", "--resume_from_checkpoint", middle), tmp_path)
    state = "checkpoints/checkpoint-6/state.safetensors"
    assert (tmp_path / "0" / state).read_bytes() == (whole / state).read_bytes()


@pytest.mark.parametrize("victim", [1, 0])
def test_when_one_machine_dies_the_other_says_so_and_ends(start, tmp_path, victim):
    launchers = start("--max_train_steps", "100000", "--checkpointing_steps", "5")
    deadline = time.monotonic() + 200
    while not complete_checkpoints(tmp_path / "0/checkpoints"):
        assert time.monotonic() < deadline, (tmp_path / "0.log").read_text()
        time.sleep(0.2)
    kill_machine(launchers[victim])
    other = 1 - victim
    assert launchers[other].wait(timeout=200) == 1
    log = (tmp_path / f"{other}.log").read_text()
    assert "cgan.py: error: Another process of this run has ended, so this one does." in log
    if victim == 1:
        last = complete_checkpoints(tmp_path / "0/checkpoints")[-1]
        assert f"The state after step {step_of(last):,} is saved" in log
        assert load_checkpoint(last)["step"] == step_of(last)
    else:
        assert "The first process writes the checkpoints; there is none here." in log
