"""Who is served, and when: every call is admitted before it takes a thread, and no visitor gets more than a share.

Calls run in lanes: a few threads, and a line in front of them that is bounded in total and for each visitor. The next in
line is of the address, then of the session, that has not had a turn for longest. Who finds the line full, or waits for too
long, is told that the server is busy; who leaves is taken out of the line, and a network that runs for nobody stops.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

# Calls of a session, of an address and of all that wait or run in one lane.
MAX_OF_SESSION, MAX_OF_ADDRESS, MAX_IN_LINE = 8, 32, 256
# Seconds after which a call that waits is told to come again, and after which it may.
WAIT_SECONDS, RETRY_SECONDS = 15, 2
# Visitors whose last turn is remembered.
MAX_REMEMBERED = 10_000


class BusyError(Exception):
    """There is no room for this call now."""

    def __str__(self) -> str:
        return "The server is busy: try again in a few seconds."


class AbandonedError(Exception):
    """Nobody waits for this any more."""


class Visitor(NamedTuple):
    """Who calls.

    Attributes:
        address: where the call comes from; empty where it is not known, as behind a proxy of this machine that is not trusted.
        session: the page's or the client's random name.
    """

    address: str = ""
    session: str = ""


@dataclass(eq=False)
class Job:
    """A call that waits or runs."""

    visitor: Visitor
    run: Callable[[], Any]
    future: Future = field(default_factory=Future)
    abandoned: bool = False


_job: contextvars.ContextVar[Job | None] = contextvars.ContextVar("job", default=None)


def visitor() -> Visitor:
    """Who called the function that runs."""
    job = _job.get()
    return job.visitor if job else Visitor()


def stop_if_abandoned(*_: Any) -> None:
    """A hook in front of every pass through a network: raise AbandonedError if nobody waits for its result."""
    job = _job.get()
    if job is not None and job.abandoned:
        raise AbandonedError


class InLane(Protocol):
    """A function that says in which lane it runs: always, or by its arguments."""

    lane: Lane | Callable[..., Lane]


class Lane:
    """A few threads with a bounded, fair line in front of them. As a decorator it says in which lane a function belongs.

    Args:
        count: how many calls run at once.
        niceness: by how much their priority is lower, 0 to 19 (Linux alone counts it by thread; elsewhere all are alike).
        wait: seconds after which a call that waits is told to come again.
    """

    def __init__(self, count: int, niceness: int = 0, wait: float = WAIT_SECONDS):
        self.count, self.niceness, self.wait = count, niceness, wait
        self._changed = threading.Condition()
        self._waiting: list[Job] = []
        self._running: list[Job] = []
        self._turns: dict[Any, float] = {}
        self._threads = 0

    def __call__(self, function: F) -> F:
        cast(InLane, function).lane = self
        return function

    def submit(self, visitor: Visitor, function: Callable[..., Any], *args: Any) -> Job:
        """Put a call into the line.

        Raises:
            BusyError: the line is full, or has enough of this visitor.
        """
        job = Job(visitor, lambda: None)
        # Whose request it is must be known there, too: ZeroGPU asks.
        context = contextvars.copy_context()
        context.run(_job.set, job)
        job.run = functools.partial(context.run, function, *args)
        with self._changed:
            here = [other.visitor for other in (*self._waiting, *self._running)]
            of_address = sum(other.address == visitor.address for other in here) if visitor.address else 0
            if len(here) >= MAX_IN_LINE or here.count(visitor) >= MAX_OF_SESSION or of_address >= MAX_OF_ADDRESS:
                raise BusyError
            self._waiting.append(job)
            if self._threads < self.count:
                self._threads += 1
                threading.Thread(target=self._work, daemon=True).start()
            self._changed.notify()
        return job

    def withdraw(self, job: Job) -> bool:
        """Take a call out of the line; returns whether it still was there."""
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)
                return True
        return False

    def _last_turn(self, job: Job) -> tuple[float, float]:
        return self._turns.get(job.visitor.address, 0.0), self._turns.get(job.visitor, 0.0)

    def _next(self) -> Job:
        with self._changed:
            while not self._waiting:
                self._changed.wait()
            job = min(self._waiting, key=self._last_turn)
            self._waiting.remove(job)
            self._running.append(job)
            for name in job.visitor.address, job.visitor:
                self._turns.pop(name, None)
                self._turns[name] = time.monotonic()
            while len(self._turns) > MAX_REMEMBERED:
                del self._turns[next(iter(self._turns))]
        return job

    def _work(self) -> None:
        if sys.platform == "linux":
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(19, os.nice(0) + self.niceness))
        while True:
            job = self._next()
            try:
                result, error = job.run(), None
            except BaseException as raised:
                result, error = None, raised
            with self._changed:
                self._running.remove(job)
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)
            del job, result, error


# What follows the pointer; pictures that somebody has asked for by a click; jobs of seconds; turns of training, which are another
# process's work.
quick_lane = Lane(6)
normal_lane = Lane(max(2, os.cpu_count() or 1), 5)
slow_lane = Lane(1, 15, wait=120)
training_lane = Lane(1)


async def admitted(
    visitor: Visitor,
    function: Callable[..., T],
    *args: Any,
    lane: Lane | None = None,
    gone: Callable[[], bool] | None = None,
) -> T:
    """The result of `function(*args)`, run in its lane, by default `quick_lane`; a function in place of one chooses by `args`.

    Args:
        gone: asked twice a second, where the end of a connection cancels nothing by itself.

    Raises:
        BusyError: see `Lane`; or whatever the function raises.
    """
    chosen: Lane | Callable[..., Lane] = getattr(function, "lane", quick_lane) if lane is None else lane
    lane = chosen if isinstance(chosen, Lane) else chosen(*args)
    job = lane.submit(visitor, function, *args)
    future, start = asyncio.wrap_future(job.future), time.monotonic()
    try:
        while not (await asyncio.wait([future], timeout=0.5))[0]:
            if gone is not None and gone():
                raise AbandonedError
            if time.monotonic() - start > lane.wait and lane.withdraw(job):
                raise BusyError
        return future.result()
    except (asyncio.CancelledError, AbandonedError):
        job.abandoned = True
        lane.withdraw(job)
        # What its networks raise then is nobody's.
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        raise
