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
from helpers import REPO, Started, start_python

RUN = ["train/dcgan.py", "--base_channels", "4", "--report_to", "none"]


def interrupt(process: subprocess.Popen | Started) -> None:
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "dcgan.py: interrupted before the first step."
    assert "Traceback" not in err
    assert "checkpoint" not in err


@pytest.mark.parametrize("library", ["libtorch", "pyarrow"])
def test_while_modules_are_imported(tmp_path, library):
    command = [sys.executable, *RUN, "--dataset_name", "zoo:mnist-sample", "--output_dir", str(tmp_path / "run")]
    env = {**os.environ, "PYTHONPATH": str(REPO)}
    process = subprocess.Popen(command, cwd=REPO, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while library not in Path(f"/proc/{process.pid}/maps").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    interrupt(process)
    assert not (tmp_path / "run").exists()


def test_while_data_is_opened(tmp_path):
    """A Hub that takes the question and does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(120)
        env = {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{server.getsockname()[1]}"}
        process = start_python(*RUN, "--dataset_name", "a/b", "--output_dir", str(tmp_path / "run"), env=env)
        connection, _ = server.accept()
        time.sleep(0.2)
        interrupt(process)
        connection.close()
    assert not (tmp_path / "run").exists(), "what it had made for itself is gone"
