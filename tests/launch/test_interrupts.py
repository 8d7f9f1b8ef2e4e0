"""Ctrl-C before there is anything to save: while modules are imported, while data is opened, before the first step."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers import REPO

RUN = [sys.executable, "train/dcgan.py", "--base_channels", "4", "--report_to", "none", "--output_dir"]


@pytest.fixture
def start(tmp_path):
    """Start a script, and end it."""
    started = []

    def run(*flags: str, **environment: str) -> subprocess.Popen:
        env = {**os.environ, "PYTHONPATH": str(REPO), **environment}
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [*RUN, str(tmp_path / "run"), *flags], cwd=REPO, env=env, stdout=pipe, stderr=pipe, text=True
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def interrupt(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "dcgan.py: interrupted before the first step."
    assert "Traceback" not in err
    assert "checkpoint" not in err


@pytest.mark.parametrize("library", ["libtorch", "pyarrow"])
def test_while_modules_are_imported(start, tmp_path, library):
    process = start("--dataset_name", "zoo:mnist-sample")
    deadline = time.monotonic() + 60
    while library not in Path(f"/proc/{process.pid}/maps").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    interrupt(process)
    assert not (tmp_path / "run").exists()


def test_while_data_is_opened(start, tmp_path):
    """A Hub that takes the question and does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(120)
        process = start("--dataset_name", "a/b", HF_ENDPOINT=f"http://127.0.0.1:{server.getsockname()[1]}")
        connection, _ = server.accept()
        time.sleep(0.2)
        interrupt(process)
        connection.close()
    assert not (tmp_path / "run").exists(), "what it had made for itself is gone"
