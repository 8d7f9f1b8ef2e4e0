"""Signals that end a run between two steps instead of in the middle of one."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# A launcher passes the terminal's Ctrl-C on to processes which had it already; a person needs longer for a second one.
ECHO_SECONDS = 1.0
PR_SET_PDEATHSIG = 1


class RunEnded(SystemExit):
    """A run has ended before its last step, and nothing is wrong: a dry run, or a signal, whose number it has."""

    def __init__(self, number: int = 0):
        super().__init__(0)
        self.number = number


class StopSignals:
    """While entered, SIGTERM, SIGHUP and Ctrl-C only set `requested`; a second Ctrl-C, a second later, interrupts.

    Left by an exception it goes on, until `restore`: whoever saves what there is to save is not to be ended meanwhile.

    Attributes:
        requested: the number of the signal that has come, 0 if none has.
        armed: whether there is a step to finish; before, Ctrl-C interrupts at once.
    """

    def __init__(self) -> None:
        self.requested, self.armed = 0, False
        self._first = 0.0
        self._previous: dict[int, Any] = {}
        self._held = self._late = False

    def __enter__(self) -> StopSignals:
        # Python lets only the main thread handle signals.
        if threading.current_thread() is threading.main_thread():
            numbers = [signal.SIGTERM, signal.SIGINT]
            # A terminal that is closed; nohup has it ignored, and Windows has none.
            if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
                numbers.append(signal.SIGHUP)
            self._previous = {number: signal.signal(number, self._handle) for number in numbers}
            follow_launcher()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        if kind is None or kind is GeneratorExit:
            self.restore()

    def restore(self) -> None:
        """Give the signals back to whom they were of."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    @contextmanager
    def held(self) -> Iterator[None]:
        """What must not be left half done: a Ctrl-C that would interrupt it does so afterwards."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._late:
            self._late = False
            raise KeyboardInterrupt

    def _handle(self, number: int, frame: object) -> None:
        again = self.requested and time.monotonic() - self._first > ECHO_SECONDS
        if not self.requested:
            self.requested, self._first = number, time.monotonic()
        if number == signal.SIGINT and (again or not self.armed):
            if not self._held:
                raise KeyboardInterrupt
            self._late = True


def follow_launcher() -> None:
    """Get a SIGTERM when `accelerate launch` dies: it does not pass on the one that it gets itself."""
    if sys.platform == "linux" and "ACCELERATE_MIXED_PRECISION" in os.environ:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
