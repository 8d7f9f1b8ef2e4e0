"""Threads that give way: while a sheet is drawn for one visitor, another's pointer is followed at once."""

from __future__ import annotations

import contextvars
import functools
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


class GivingWay:
    """A decorator: the function runs in a few threads of lower priority, and its caller waits for it.

    Args:
        count: how many run at once; further ones wait for their turn.
        niceness: by how much the priority is lower, 0 to 19 (Linux alone counts it by thread; elsewhere all are alike).
    """

    def __init__(self, count: int, niceness: int):
        self.niceness = niceness
        self._threads = ThreadPoolExecutor(count, initializer=self._give_way)

    def _give_way(self) -> None:
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(19, os.nice(0) + self.niceness))

    def __call__(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def wait(*args, **options):
            # Whose request it is must be known there, too: ZeroGPU asks.
            context = contextvars.copy_context()
            return self._threads.submit(context.run, function, *args, **options).result()

        return wait


# Pictures that somebody has asked for by a click, and jobs of seconds.
unhurried = GivingWay(max(2, os.cpu_count() or 1), 5)
patient = GivingWay(1, 15)
