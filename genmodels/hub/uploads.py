"""Checkpoints that go to the Hub while training goes on: `--hub_strategy every_save`."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from huggingface_hub.utils import logging
from tqdm import tqdm

from ..errors import UserError
from .contents import CHECKPOINT_KINDS, files_of
from .push import CHECKPOINT_FOLDER, push_folder

# How long the end of a run waits for an upload: a machine that is about to be taken away gives little more.
WAIT_SECONDS = 60.0
SNAPSHOT = ".upload-"


class CheckpointUploads:
    """Uploads one checkpoint at a time, each replacing the one before; a newer one that waits replaces an older one.

    The work is done in a process of low priority, so that training loses neither its interpreter nor its cores to it. A
    failure is one line on standard error. At the end of the program the newest checkpoint gets WAIT_SECONDS.
    """

    def __init__(self, repo_id: str, *, private: bool = False):
        self.repo_id, self.private = repo_id, private
        self._changed = threading.Condition()
        # The snapshot to upload next, the process at work, and whether anything is under way.
        self._next: Path | None = None
        self._process: subprocess.Popen[str] | None = None
        self._busy = self._closed = False
        self._thread: threading.Thread | None = None

    def __call__(self, checkpoint: Path) -> None:
        """Take a complete checkpoint folder; returns at once. The folder may be removed as soon as it does."""
        home = checkpoint.parent.parent
        if self._thread is None:
            for leftover in home.glob(f"{SNAPSHOT}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()
            atexit.register(self.close)
        snapshot = home / f"{SNAPSHOT}{os.getpid()}-{checkpoint.name}"
        try:
            # Before it has a second name, and every link in it is followed.
            files_of(checkpoint, CHECKPOINT_KINDS)
            shutil.copytree(checkpoint, snapshot, copy_function=link_or_copy)
        except (OSError, UserError) as error:
            return warn(f"{checkpoint.name} is not uploaded: {getattr(error, 'strerror', None) or error}")
        with self._changed:
            if self._next is not None:
                shutil.rmtree(self._next, ignore_errors=True)
            self._next = snapshot
            self._changed.notify_all()

    def close(self, seconds: float = WAIT_SECONDS, newest: bool = True) -> None:
        """Wait so long for what is under way and, with `newest`, for the checkpoint that waits; then give up on it."""
        deadline = time.monotonic() + seconds
        with self._changed:
            if self._closed:
                return
            if not newest:
                self._drop_next()
            while (self._busy or self._next) and self._changed.wait(deadline - time.monotonic()):
                pass
            self._closed, late = True, self._busy
            self._drop_next()
            if late and self._process:
                warn(f"The last checkpoint was not uploaded within {seconds:.0f} seconds; it is complete on disk.")
                self._process.terminate()
            self._changed.notify_all()
        if self._thread:
            self._thread.join(5)

    def _drop_next(self) -> None:
        if self._next is not None:
            shutil.rmtree(self._next, ignore_errors=True)
            self._next = None

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._next or self._closed)
                if self._closed or self._next is None:
                    return
                snapshot, self._next, self._busy = self._next, None, True
                self._process = self._start(snapshot)
            _, message = self._process.communicate()
            shutil.rmtree(snapshot, ignore_errors=True)
            if self._process.returncode and not self._closed:
                lines = message.strip().splitlines() or [f"Its process ended with {self._process.returncode}."]
                warn(f"{name_of(snapshot)} was not uploaded, training goes on: {lines[-1]}")
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _start(self, snapshot: Path) -> subprocess.Popen[str]:
        # In a session of its own: Ctrl-C is for training, which then waits for this.
        return subprocess.Popen(
            [sys.executable, "-m", __name__, str(snapshot), self.repo_id, *(["--private"] if self.private else [])],
            env={
                **os.environ,
                "HF_HUB_DISABLE_PROGRESS_BARS": "1",
                "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def link_or_copy(source: str, target: str) -> None:
    """A second name for a file that nobody writes to again; a copy where the file system has no such names."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def name_of(snapshot: Path) -> str:
    """The checkpoint's name."""
    return snapshot.name.split("-", 2)[2]


def warn(text: str) -> None:
    """One line on standard error, above the progress bar."""
    tqdm.write(f"Warning: {text}", file=sys.stderr)


def main() -> None:
    """Upload one snapshot: what the background process does."""
    folder, repo_id, *private = sys.argv[1:]
    snapshot = Path(folder)
    if hasattr(os, "nice"):
        os.nice(19)
    # A session of its own is, on Linux desktops and many servers, scheduled as a group, among which nice counts for nothing.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")
    logging.set_verbosity_error()
    name = name_of(snapshot)
    try:
        push_folder(
            snapshot,
            repo_id,
            private=bool(private),
            path_in_repo=CHECKPOINT_FOLDER,
            title=f"Upload {name}",
            source=Path("checkpoints") / name,
            kinds=CHECKPOINT_KINDS,
            linked=True,
            command=f"hf upload {repo_id} CHECKPOINT {CHECKPOINT_FOLDER}",
        )
    except UserError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
