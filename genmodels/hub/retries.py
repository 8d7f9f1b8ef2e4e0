"""Calling the Hub again when it was busy or the connection broke, and giving up when that has taken two minutes.

The clients try again by themselves, for as long as a server asks them to, and have no time limit for most requests. So while
one of our operations is under way, their connections are watched, too: see `watch_client`.
"""

from __future__ import annotations

import os
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from huggingface_hub import constants, set_client_factory
from huggingface_hub.errors import OfflineModeIsEnabled

ATTEMPTS = 6
FIRST_DELAY, LONGEST_DELAY = 0.5, 60.0
# Seconds that one operation, such as loading a model or pushing it, may spend on requests that fail and on waiting in between.
DEADLINE = 120.0
# A request without a limit of its own is answered in so many seconds; to connect takes less.
REQUEST_SECONDS, CONNECT_SECONDS = 60.0, 10.0
# Bytes a second, over at least so many pieces and HF_HUB_DOWNLOAD_TIMEOUT seconds: what comes slower does not arrive.
SLOWEST, FEWEST_PIECES = 500, 8
MOST_REDIRECTS = 20
# Too many requests, and what a gateway says when the server behind it does not answer.
TRANSIENT_STATUS = (429, 500, 502, 503, 504)

# hf_xet, which moves large files, has a client of its own that asks these variables when it starts. What it gives up is tried
# again as any other broken connection.
XET_LIMITS = {"CONNECT_TIMEOUT": "10s", "READ_TIMEOUT": "15s", "RETRY_MAX_ATTEMPTS": "1", "RETRY_MAX_DURATION": "30s"}
for _name, _limit in XET_LIMITS.items():
    os.environ.setdefault(f"HF_XET_CLIENT_{_name}", _limit)

REASON = re.compile(r"[^.\n]{1,200}")

T = TypeVar("T")


class TroubleError(ConnectionError):
    """What is wrong with the Hub's answers, in words for the user."""


class BusyError(TroubleError):
    """The server asks for more patience than is left; `response` is its answer."""

    def __init__(self, seconds: float, response: Any):
        super().__init__(f"the Hub asks to come back in {in_words(seconds)}")
        self.seconds, self.response = seconds, response


class Deadline:
    """How many seconds an operation has spent on requests that failed, and on the waits after them."""

    def __init__(self) -> None:
        self.spent = self._counted = 0.0

    def count(self, since: float) -> None:
        """Add the time from `since` until now, but what has been counted: several threads wait at once."""
        now = time.monotonic()
        self.spent += max(0.0, now - max(since, self._counted))
        self._counted = now


_deadline: ContextVar[Deadline | None] = ContextVar("deadline", default=None)
# Clients work in threads of their own, which do not know whose request they make: the operations under way, since when there are
# any, and when an answer was of use last.
_lock, _active, _started, _progress = threading.Lock(), set[Deadline](), 0.0, 0.0
# What makes the Hub's clients, once these are watched.
_factory: Callable[[], Any] | None = None


class _Thread(threading.local):
    """What a thread's request does: since when it has brought nothing, the status of its answer, the redirects that were followed
    to it; and since when the thread has had trouble, 0 for none."""

    since, redirects, trouble = 0.0, 0, 0.0
    status: int | None = None


_local = _Thread()


@contextmanager
def one_deadline() -> Iterator[Deadline]:
    """All that is tried again inside shares one deadline, that of the outermost such block."""
    global _started
    if (deadline := _deadline.get()) is not None:
        yield deadline
        return
    watch_client()
    deadline = Deadline()
    token = _deadline.set(deadline)
    with _lock:
        _started = _started if _active else time.monotonic()
        _active.add(deadline)
    try:
        yield deadline
    finally:
        _deadline.reset(token)
        with _lock:
            _active.remove(deadline)


def watch_client() -> None:
    """Have the Hub's client fail while an operation is under way, in place of waiting for what does not come."""
    from huggingface_hub.utils import _http

    global _factory
    # There is no public way to extend what the user has set.
    factory = getattr(_http, "_GLOBAL_CLIENT_FACTORY", None) or _http.default_client_factory
    if factory is _factory:
        return

    def watched() -> Any:
        client = factory()
        hooks = client.event_hooks
        client.event_hooks = {
            "request": [*hooks["request"], _before_request],
            "response": [*hooks["response"], _after_response],
        }
        return client

    _factory = watched
    set_client_factory(watched)


def _before_request(request: Any) -> None:
    # Connections outlive operations.
    request.extensions = {**request.extensions, "trace": _watch_request}
    if not _active:
        return
    if _local.trouble >= _started:
        # The client has waited, to try again.
        _count(_local.trouble)
    with _lock:
        left = DEADLINE - min((deadline.spent for deadline in _active), default=0.0)
    if left <= 0:
        raise TroubleError(f"the Hub has given nothing of use for {in_words(DEADLINE)}")
    _local.since, _local.status, _local.trouble = time.monotonic(), None, 0.0
    limits = {"connect": CONNECT_SECONDS, "read": REQUEST_SECONDS, "write": REQUEST_SECONDS, "pool": REQUEST_SECONDS}
    given = request.extensions.get("timeout") or {}
    limits = {key: min(left, limits[key] if given.get(key) is None else given[key]) for key in limits}
    request.extensions["timeout"] = limits


def _watch_request(event: str, info: dict[str, Any]) -> None:
    """Note how a request goes, by the events of the HTTP library: where it fails, and when its answer is whole."""
    _, name, outcome = event.split(".")
    if name in ("connect_tcp", "start_tls") and outcome == "complete":
        _measure(info["return_value"])
    if not _active:
        return
    if outcome == "failed" and isinstance(info["exception"], Exception):
        _count(_local.since)
    elif name == "receive_response_headers" and outcome == "complete":
        _local.status = next(part for part in info["return_value"] if isinstance(part, int))
        if _local.status in TRANSIENT_STATUS:
            _count(_local.since)
    elif name == "receive_response_body" and outcome == "complete":
        _note_progress()


def _measure(stream: Any) -> None:
    """Have a new connection notice how much it moves, and fail if that is next to nothing."""
    waited, moved, pieces = 0.0, 0, 0

    def measured(call: Callable[..., Any]) -> Callable[..., Any]:
        def read_or_write(data: int | bytes, timeout: float | None = None) -> bytes | None:
            nonlocal waited, moved, pieces
            started = time.monotonic()
            result = call(data, timeout)
            done = data if result is None else result
            moved += 0 if isinstance(done, int) else len(done)
            waited, pieces = waited + time.monotonic() - started, pieces + 1
            if moved > SLOWEST * max(waited, 1):
                waited, moved, pieces = 0.0, 0, 0
                _note_progress()
            elif _active and waited > constants.HF_HUB_DOWNLOAD_TIMEOUT and pieces >= FEWEST_PIECES:
                raise TroubleError(f"the Hub moves less than {SLOWEST} bytes a second")
            return result

        return read_or_write

    stream.read, stream.write = measured(stream.read), measured(stream.write)


def _note_progress() -> None:
    global _progress
    if _local.status not in TRANSIENT_STATUS:
        _progress = _local.since = time.monotonic()


def _count(since: float) -> None:
    """Count the time from `since` as trouble of what is under way."""
    with _lock:
        for deadline in _active:
            deadline.count(max(since, _started))
    _local.trouble = time.monotonic()


def _after_response(response: Any) -> None:
    if not _active:
        return
    status = response.status_code
    _local.redirects = _local.redirects + 1 if 300 <= status < 400 else 0
    if _local.redirects > MOST_REDIRECTS:
        _local.redirects = 0
        raise TroubleError(f"the Hub redirects more than {MOST_REDIRECTS} times")
    if status in TRANSIENT_STATUS and (seconds := wait_asked_for(response)) > LONGEST_DELAY / 6:
        # The client would sleep that long itself, again and again, and nobody could say why.
        raise BusyError(seconds, response)


def in_words(seconds: float) -> str:
    """ "40 seconds", "5 minutes", "2 hours"."""
    for size, word in ((3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = round(seconds / size)
            return f"{count:,} {word}{'s' * (count != 1)}"
    return "a moment"


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from: the clients wrap a refused request in errors of their own."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        yield cause
        cause = cause.__cause__ or cause.__context__


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error, or None if no answer of the server is."""
    for cause in causes_of(error):
        response = getattr(cause, "response", None)
        if response is not None:
            return response.status_code
    return None


def describe(error: Exception) -> str:
    """An error of the Hub in a few words, without the addresses that the clients put into theirs."""
    status = status_of(error)
    for cause in causes_of(error):
        if isinstance(cause, TroubleError):
            return str(cause)
    if status is None:
        if is_unreadable(error):
            return f"what the Hub answers cannot be read ({type(error).__name__}), as with a page to sign in to the network"
        if is_transient(error):
            return f"the Hub cannot be reached or breaks the connection ({type(error).__name__})"
        return f"{type(error).__name__}, {str(error).strip().splitlines()[0]}" if str(error) else type(error).__name__
    reason = REASON.match(getattr(error, "server_message", None) or "")
    return f"the Hub answered {status}" + (f", {reason[0]!r}" if reason else "")


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a moment later: the server was busy, or the connection broke."""
    status = status_of(error)
    if status is not None:
        return status in TRANSIENT_STATUS
    # It is a ConnectionError too, but one that the user wants.
    if any(isinstance(cause, OfflineModeIsEnabled) for cause in causes_of(error)):
        return False
    return any(is_broken_connection(cause) for cause in causes_of(error))


def is_unreadable(error: BaseException) -> bool:
    """Whether an answer came that is none: no JSON, or not packed as it says."""
    names = ("DecodingError", "JSONDecodeError", "TooManyRedirects")
    return any(type(cause).__name__ in names for cause in causes_of(error))


def is_broken_connection(error: BaseException) -> bool:
    """Whether the connection failed before the answer was whole, or the answer cannot be read.

    By name, since huggingface_hub speaks through httpx in some versions and through httpx2 in others: TransportError is what
    breaks on the way, DecodingError a body that is not packed as it says, JSONDecodeError one that is no JSON.
    """
    names = {kind.__name__ for kind in type(error).__mro__}
    broken = {"TransportError", "DecodingError", "TooManyRedirects", "JSONDecodeError"}
    # hf_xet raises RuntimeError, with the names of its own errors.
    of_xet = isinstance(error, RuntimeError) and "CAS Client Error" in str(error)
    return of_xet or isinstance(error, ConnectionError | TimeoutError) or bool(names & broken)


def wait_asked_for(response: Any) -> float:
    """Seconds after which a server wants to be asked again, by its headers; 0 if it does not say."""
    asked = [response.headers.get("Retry-After", "").strip()]
    # As the Hub says it: "api";r=0;t=55
    limits = dict(part.strip().partition("=")[::2] for part in response.headers.get("RateLimit", "").split(";"))
    if limits.get("r") == "0":
        asked.append(limits.get("t", ""))
    return max((float(seconds) for seconds in asked if seconds.isdecimal()), default=0.0)


def delay_before(attempt: int, error: BaseException) -> float:
    """Seconds to wait before attempt number `attempt` (1 is the second): what the server asks for, or twice as long each
    time, with a random part so that many clients do not come back together."""
    for cause in causes_of(error):
        if (response := getattr(cause, "response", None)) is not None and (asked := wait_asked_for(response)):
            return asked
    return min(FIRST_DELAY * 2 ** (attempt - 1), LONGEST_DELAY) * random.uniform(0.75, 1.25)


def retry(
    call: Callable[[], T], done: Callable[[BaseException], T | None] | None = None, attempts: int = ATTEMPTS
) -> T:
    """Return `call()`, calling again after transient errors, until the operation's deadline.

    What succeeds may take as long as it takes: only failures, and the waits after them, count.

    Args:
        call: what to try; it must be harmless to do twice, or `done` must find out.
        done: asked after a transient error whether the call took effect although its answer was lost; its result, unless
            None, is returned in place of another try.
        attempts: how often `call` is tried, at most.

    Raises:
        the last error of `call`: at once if it is not transient, or if the server asks for a longer wait than is left.
    """
    with one_deadline() as deadline:
        for attempt in range(1, attempts + 1):
            started = time.monotonic()
            try:
                return call()
            except Exception as error:
                deadline.count(max(started, _progress))
                delay = delay_before(attempt, error)
                if attempt == attempts or not is_transient(error) or deadline.spent + delay > DEADLINE:
                    raise
                time.sleep(delay)
                deadline.spent += delay
                deadline.count(time.monotonic())
                if done is not None and (result := done(error)) is not None:
                    return result
    raise AssertionError("unreachable")
