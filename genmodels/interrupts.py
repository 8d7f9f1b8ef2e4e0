"""Ctrl-C while a script is still being loaded, which takes seconds: a script calls `leave_at_ctrl_c` before its other imports.

Imports nothing heavy, and changes nothing by being imported: a notebook's Ctrl-C is its own.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

# What a shell says of a program that Ctrl-C has ended.
EXIT_CODE = 130


def sentence(what: str = " before the first step.", script: str = "") -> str:
    """What a script says when Ctrl-C ends it."""
    return f"{script or Path(sys.argv[0]).name}: interrupted{what}"


def leave(number, frame) -> None:
    """End at once: there is nothing to save, and libraries that are half imported would swallow an exception."""
    os.write(2, f"{sentence()}\n".encode())
    os._exit(EXIT_CODE)


def leave_at_ctrl_c() -> None:
    """Let Ctrl-C end this process with a sentence, unless something else handles it."""
    mine = threading.current_thread() is threading.main_thread()
    if mine and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)


def raise_from_now_on() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, for there are things to give back."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
