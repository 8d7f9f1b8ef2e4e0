"""Calling the Hub again when it was busy or the connection broke: the clients give up at once on most requests."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from huggingface_hub.errors import OfflineModeIsEnabled

ATTEMPTS = 6
FIRST_DELAY, LONGEST_DELAY = 0.5, 60.0
# Too many requests, and what a gateway says when the server behind it does not answer.
TRANSIENT_STATUS = (429, 500, 502, 503, 504)

T = TypeVar("T")


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from: the clients wrap a refused request in errors of their own."""
    seen = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__ or error.__context__


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error, or None if no answer of the server is."""
    for cause in causes_of(error):
        response = getattr(cause, "response", None)
        if response is not None:
            return response.status_code
    return None


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later: the server was busy, or the connection broke."""
    status = status_of(error)
    if status is not None:
        return status in TRANSIENT_STATUS
    # It is a ConnectionError too, but one that the user wants.
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in causes_of(error)):
        return False
    return any(is_broken_connection(cause) for cause in causes_of(error))


def is_broken_connection(error: BaseException) -> bool:
    """Whether the connection failed before the answer was whole.

    By name, since huggingface_hub speaks through httpx in some versions and through httpx2 in others.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    return isinstance(error, ConnectionError | TimeoutError) or "TransportError" in names


def delay_before(attempt: int, error: BaseException) -> float:
    """Seconds to wait before attempt number `attempt` (1 is the second): what the server asks for, or twice as long each
    time, with a random part so that many clients do not come back together."""
    for cause in causes_of(error):
        asked = getattr(getattr(cause, "response", None), "headers", {}).get("Retry-After", "")
        if asked.isdecimal():
            return min(float(asked), LONGEST_DELAY)
    return min(FIRST_DELAY * 2 ** (attempt - 1), LONGEST_DELAY) * random.uniform(0.75, 1.25)


def retry(
    call: Callable[[], T], done: Callable[[BaseException], T | None] | None = None, attempts: int = ATTEMPTS
) -> T:
    """Return `call()`, calling again after transient errors.

    Args:
        call: what to try; it must be harmless to do twice, or `done` must find out.
        done: asked after a transient error whether the call took effect although its answer was lost; its result, unless
            None, is returned in place of another try.
        attempts: how often `call` is tried, at most.

    Raises:
        the last error of `call`, at once if it is not transient.
    """
    for attempt in range(1, attempts + 1):
        try:
            return call()
        except Exception as error:
            if attempt == attempts or not is_transient(error):
                raise
            time.sleep(delay_before(attempt, error))
            if done is not None and (result := done(error)) is not None:
                return result
    raise AssertionError("unreachable")
