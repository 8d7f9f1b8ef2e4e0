"""The output folder: one run at a time, and a sentence where it cannot be written to."""

from __future__ import annotations

import errno
import json
import os
import time

import pytest
from helpers import start_python

from genmodels.errors import UserError
from genmodels.training.output import LOCK, OutputFolder

HOLD = "import sys, time; from pathlib import Path; from genmodels.training.output import OutputFolder as O; "
HOLD += "o = O(Path(sys.argv[1])); Path(sys.argv[2]).touch(); time.sleep(600)"


@pytest.fixture
def holder(tmp_path):
    """Another process whose the folder `run` is."""
    process = start_python("-c", HOLD, str(tmp_path / "run"), str(tmp_path / "held"))
    while not (tmp_path / "held").exists():
        assert process.poll() is None
        time.sleep(0.01)
    yield process
    process.kill()


@pytest.mark.slow
def test_a_second_run_is_refused_while_the_first_lives(holder, tmp_path):
    with pytest.raises(UserError, match=rf"run is in use by process {holder.pid} on .* since 20.*another --output_dir"):
        OutputFolder(tmp_path / "run")
    assert (tmp_path / "run" / LOCK).is_file()
    # Killed, it leaves its name there, which is of no one then.
    holder.kill()
    folder = OutputFolder(tmp_path / "run")
    assert json.loads((tmp_path / "run" / LOCK).read_text())["pid"] == os.getpid()
    folder.release()
    assert not (tmp_path / "run" / LOCK).exists()


@pytest.mark.parametrize("left", [b"", b"{", b"[1]", b"\xff\xfe\0", b"null"])
def test_what_names_no_one_is_taken_over(tmp_path, left):
    (tmp_path / LOCK).write_bytes(left)
    folder = OutputFolder(tmp_path)
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    folder.release()


def test_a_full_disk_keeps_nothing_of_a_start(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UserError, match=r"run cannot be made \(No space left on device\)"):
        OutputFolder(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_name_of_another_machine_is_believed(tmp_path):
    (tmp_path / LOCK).write_text(json.dumps({"pid": 7, "host": "node-3", "started": "2026-11-29 20:00:00+00:00"}))
    says = f"is in use by process 7 on node-3, since 2026.* if that run is dead, remove {tmp_path / LOCK}"
    with pytest.raises(UserError, match=says):
        OutputFolder(tmp_path)
    (tmp_path / LOCK).unlink()
    OutputFolder(tmp_path).release()


def test_a_cut_off_name_is_of_no_one(tmp_path):
    (tmp_path / LOCK).write_text('{"pid": 7, "ho')
    OutputFolder(tmp_path).release()


def test_folders_that_were_made_for_nothing_are_removed(tmp_path):
    OutputFolder(tmp_path / "a/b/c").release()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    for path, says in (
        (tmp_path / "file", "--output_dir .*file is a file: give a folder"),
        (tmp_path / "file/below", "below lies below a file: give a folder"),
        ("/proc/run", r"--output_dir /proc/run cannot be made \(No such file or directory\): give another"),
        (tmp_path / ("x" * 300), r"cannot be made \(File name too long\)"),
        ("/sys/kernel", r"--output_dir /sys/kernel cannot be written to"),
    ):
        with pytest.raises(UserError, match=says):
            OutputFolder(type(tmp_path)(path))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
