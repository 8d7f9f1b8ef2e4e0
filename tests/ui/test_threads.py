"""Work that gives way: elsewhere, with a lower priority, and otherwise as if it were called right here."""

from __future__ import annotations

import contextvars
import os
import sys
import threading
import time

import pytest

from genmodels.ui.threads import GivingWay

WHOSE = contextvars.ContextVar("whose")


@pytest.fixture
def slowly():
    return GivingWay(2, 7)


def test_arguments_results_errors_and_context_come_through(slowly):
    @slowly
    def answer(a, b=1):
        """What it is."""
        if b == 0:
            raise ZeroDivisionError(WHOSE.get())
        return threading.get_ident(), WHOSE.get(), a / b

    WHOSE.set("mine")
    thread, whose, ratio = answer(6, b=3)
    assert (whose, ratio, answer.__name__, answer.__doc__) == ("mine", 2, "answer", "What it is.")
    assert thread != threading.get_ident()
    with pytest.raises(ZeroDivisionError, match="mine"):
        answer(1, b=0)


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux has priorities of threads.")
def test_only_the_work_is_of_lower_priority(slowly):
    def niceness():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = niceness()
    assert slowly(niceness)() == before + 7
    assert niceness() == before


def test_no_more_than_so_many_run_at_once(slowly):
    running, most, lock = 0, 0, threading.Lock()

    @slowly
    def work():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.05)
        with lock:
            running -= 1

    callers = [threading.Thread(target=work) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert most == 2
