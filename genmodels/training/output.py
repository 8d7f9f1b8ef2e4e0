"""The folder that a run writes to: that it can, and that no other run does so at the same time."""

from __future__ import annotations

import json
import os
import socket
import sys
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from ..errors import UserError
from .checkpoints import complete_checkpoints, find_checkpoint, remove_leftovers, restore_folders

# On Windows nothing keeps a second run out.
if sys.platform != "win32":
    import fcntl

LOCK = ".lock"


class OutputFolder:
    """A folder that is this process's own until `release`; made if it is missing.

    A file in it names the process, and is locked by the operating system, which frees it when the process ends, however that
    ends. A name of another machine is believed as long as the file is there: locks need not reach through a shared disk.

    Args:
        path: of the folder.

    Raises:
        UserError: it is no folder, it cannot be written to, or another run lives in it.
    """

    def __init__(self, path: Path):
        self._path = path
        self._made = [folder for folder in (path, *path.parents) if not os.path.exists(folder)]
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._file = self._open()
        except (FileExistsError, NotADirectoryError):
            self._remove_made()
            place = "is" if os.path.exists(path) else "lies below"
            raise UserError(f"--output_dir {path} {place} a file: give a folder.") from None
        except OSError as error:
            self._remove_made()
            what = "cannot be written to" if os.path.exists(path) else "cannot be made"
            raise UserError(f"--output_dir {path} {what} ({error.strerror}): give another folder.") from error

    def _open(self) -> TextIO:
        """The lock's file, locked and with this process's name in it."""
        while True:
            file = open(self._path / LOCK, "a+", encoding="utf-8", errors="replace")  # noqa: SIM115, open as long as the run lives
            free = True
            if sys.platform != "win32":
                try:
                    # Of this process alone: the processes that load its data cannot hold it any longer.
                    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except (BlockingIOError, PermissionError):
                    free = False
                except OSError:
                    pass  # a disk without locks
            file.seek(0)
            owner = parse(file.read())
            here = owner.get("host", socket.gethostname()) == socket.gethostname()
            if not free or not here:
                file.close()
                raise UserError(
                    f"{self._path} is in use by process {owner.get('pid', '?')} on {owner.get('host', 'this machine')}, since "
                    f"{owner.get('started', '?')}: choose another --output_dir"
                    + ("." if here else f", or, if that run is dead, remove {self._path / LOCK}.")
                )
            with suppress(FileNotFoundError):
                # Else its owner has removed it meanwhile.
                if os.fstat(file.fileno()).st_ino == os.stat(self._path / LOCK).st_ino:
                    break
            file.close()
        started = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        own = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": started})
        try:
            file.truncate(0)
            # At once: what a buffer holds on a full disk would fail again as the file is closed.
            os.write(file.fileno(), own.encode())
        except OSError:
            (self._path / LOCK).unlink()
            file.close()
            raise
        return file

    def release(self) -> None:
        """Let others in; folders that were made for nothing are removed."""
        if self._file.closed:
            return
        with suppress(OSError):
            (self._path / LOCK).unlink()
        self._file.close()
        self._remove_made()

    def _remove_made(self) -> None:
        with suppress(OSError):
            for folder in self._made:
                folder.rmdir()

    def checkpoint(self, resume_from: str | None, clean: bool) -> Path | None:
        """The checkpoint to go on from, if any, of a folder in which what a kill has left half done is mended first.

        Args:
            resume_from: "latest", which may be none yet, a checkpoint's name or its folder; None to begin anew.
            clean: whether to remove what was half written, too.

        Raises:
            UserError: there is no such checkpoint, or the run would write into the folder of another one.
        """
        checkpoints = self._path / "checkpoints"
        for parent in (self._path, checkpoints):
            restore_folders(parent)
            if clean:
                remove_leftovers(parent)
        holds_run, holds_model = bool(complete_checkpoints(checkpoints)), (self._path / "model").exists()
        if resume_from is not None and (resume_from != "latest" or holds_run):
            folder = find_checkpoint(checkpoints, resume_from)
            if folder.resolve().parent != checkpoints.resolve() and (holds_run or holds_model):
                raise UserError(
                    f"{self._path} holds a run that {folder} is no checkpoint of: give another --output_dir to go on from there."
                )
            return folder
        if holds_run:
            raise UserError(
                f"{self._path} holds another run: add --resume_from_checkpoint latest to go on with it, or choose another "
                "--output_dir."
            )
        if holds_model:
            raise UserError(f"{self._path} holds a trained model: choose another --output_dir.")
        return None


def parse(text: str) -> dict[str, Any]:
    """What the lock's file says; nothing if it is cut off."""
    try:
        owner = json.loads(text)
    except ValueError:
        return {}
    return owner if isinstance(owner, dict) else {}
