"""Signals that end a run between two steps instead of in the middle of one."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time

# A launcher passes the terminal's Ctrl-C on to processes which had it already; a person needs longer for a second one.
ECHO_SECONDS = 1.0
PR_SET_PDEATHSIG = 1


class StopSignals:
    """While entered, SIGTERM and Ctrl-C only set `requested`; a second Ctrl-C, a second later, interrupts at once.

    Attributes:
        requested: whether a signal has come.
    """

    def __init__(self):
        self.requested = False
        self._first = 0.0
        self._previous = {}

    def __enter__(self) -> StopSignals:
        # Python lets only the main thread handle signals.
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in (signal.SIGTERM, signal.SIGINT)}
            follow_launcher()
        return self

    def __exit__(self, *exception) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number, frame) -> None:
        if self.requested and number == signal.SIGINT and time.monotonic() - self._first > ECHO_SECONDS:
            raise KeyboardInterrupt
        if not self.requested:
            self.requested, self._first = True, time.monotonic()


def follow_launcher() -> None:
    """Get a SIGTERM when `accelerate launch` dies: it does not pass on the one that it gets itself."""
    if sys.platform == "linux" and "ACCELERATE_MIXED_PRECISION" in os.environ:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
