"""Calls wait in lanes: bounded, fair, elsewhere with a lower priority, and otherwise as if they were called right here."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import threading
import time

import pytest
from helpers import run_coroutine

from genmodels.ui import admission
from genmodels.ui.admission import AbandonedError, BusyError, Lane, Visitor, admitted

WHOSE = contextvars.ContextVar("whose")
ANN, BOB = Visitor(session="ann"), Visitor(session="bob")


class Gate:
    """A call that runs until it is let through, and tells what ran before it."""

    def __init__(self):
        self.open, self.ran = threading.Event(), []

    def __call__(self, name: str) -> str:
        self.ran.append(name)
        assert self.open.wait(60)
        return name

    def started(self, count: int = 1) -> None:
        """Return once so many run."""
        end = time.monotonic() + 60
        while len(self.ran) < count:
            assert time.monotonic() < end
            time.sleep(0.001)


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open.set()


def test_arguments_results_errors_and_context_come_through():
    lane = Lane(2, 7)

    @lane
    def answer(a, b=1):
        """What it is."""
        if b == 0:
            raise ZeroDivisionError(WHOSE.get())
        return threading.get_ident(), WHOSE.get(), a / b, admission.visitor()

    WHOSE.set("mine")
    thread, whose, ratio, who = run_coroutine(admitted(ANN, answer, 6, 3))
    assert (whose, ratio, who, answer.__doc__, answer.lane) == ("mine", 2, ANN, "What it is.", lane)
    assert thread != threading.get_ident()
    assert admission.visitor() == Visitor()
    with pytest.raises(ZeroDivisionError, match="mine"):
        run_coroutine(admitted(ANN, answer, 1, 0))


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux has priorities of threads.")
def test_only_the_work_is_of_lower_priority():
    def niceness():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()
    assert Lane(1, 7).submit(ANN, niceness).future.result(60) == before + 7
    assert niceness() == before


def test_no_more_than_so_many_run_at_once(gate):
    lane = Lane(2)
    jobs = [lane.submit(Visitor(session=str(i)), gate, str(i)) for i in range(6)]
    gate.started(2)
    time.sleep(0.05)
    assert len(gate.ran) == 2
    gate.open.set()
    assert sorted(job.future.result(60) for job in jobs) == list("012345")


def test_who_had_no_turn_for_longest_is_next(gate):
    lane = Lane(1)
    jobs = [lane.submit(ANN, gate, f"ann {i}") for i in range(3)]
    gate.started()
    jobs += [lane.submit(BOB, gate, "bob"), lane.submit(Visitor("10.0.0.1", "cid"), gate, "cid")]
    gate.open.set()
    for job in jobs:
        job.future.result(60)
    # An address is asked first: Ann and Bob share one, which is not known.
    assert gate.ran == ["ann 0", "cid", "bob", "ann 1", "ann 2"]


@pytest.mark.parametrize(
    ("limit", "most", "visitors"),
    [
        ("MAX_OF_SESSION", 3, lambda i: ANN),
        ("MAX_OF_ADDRESS", 3, lambda i: Visitor("10.0.0.1", str(i))),
        ("MAX_IN_LINE", 3, lambda i: Visitor(f"10.0.0.{i}", str(i))),
    ],
)
def test_the_line_is_bounded(gate, monkeypatch, limit, most, visitors):
    monkeypatch.setattr(admission, limit, most)
    lane = Lane(1)
    for i in range(most):
        lane.submit(visitors(i), gate, "")
    with pytest.raises(BusyError, match="busy: try again"):
        lane.submit(visitors(most), gate, "")
    if limit != "MAX_IN_LINE":
        lane.submit(BOB, gate, "")


def test_who_waits_too_long_is_told_to_come_again(gate):
    lane = Lane(1, wait=0.1)
    lane.submit(ANN, gate, "")
    with pytest.raises(BusyError):
        run_coroutine(admitted(BOB, gate, "bob", lane=lane))
    gate.open.set()
    assert run_coroutine(admitted(BOB, gate, "bob", lane=lane)) == "bob"
    assert gate.ran == ["", "bob"]


@pytest.mark.parametrize("way", ["cancelled", "gone"])
def test_who_leaves_is_taken_out_of_the_line(gate, way):
    lane = Lane(1)
    lane.submit(ANN, gate, "ann")
    gate.started()

    async def leave():
        task = asyncio.ensure_future(admitted(BOB, gate, "bob", lane=lane, gone=lambda: way == "gone"))
        await asyncio.sleep(0.1)
        if way == "cancelled":
            task.cancel()
        await task

    with pytest.raises(AbandonedError if way == "gone" else asyncio.CancelledError):
        run_coroutine(leave())
    gate.open.set()
    assert lane.submit(ANN, lambda: list(gate.ran)).future.result(60) == ["ann"]


def test_a_network_that_runs_for_nobody_stops():
    import torch

    lane, passes, begun = Lane(1), [], threading.Event()
    network = torch.nn.Linear(1, 1)
    network.register_forward_pre_hook(admission.stop_if_abandoned)

    def draw():
        for i in range(10_000):
            network(torch.zeros(1, 1))
            passes.append(i)
            begun.set()
            time.sleep(0.005)

    async def leave():
        task = asyncio.ensure_future(admitted(ANN, draw, lane=lane))
        await asyncio.to_thread(begun.wait, 60)
        task.cancel()
        await asyncio.wait([task])

    run_coroutine(leave())
    # The lane's only thread is free again.
    assert lane.submit(BOB, lambda: "free").future.result(60) == "free"
    assert len(passes) < 5000
    # Outside of any call nothing is in the way.
    network(torch.zeros(1, 1))
