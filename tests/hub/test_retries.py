"""Trying again: which errors are worth it, how long to wait, and when to stop."""

from __future__ import annotations

import httpx
import pytest
from helpers import set_clock
from huggingface_hub.errors import HfHubHTTPError

from genmodels.hub import retries
from genmodels.hub.retries import delay_before, is_transient, retry, status_of


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> list[float]:
    """The seconds that would have been slept."""
    slept = []
    monkeypatch.setattr(retries.time, "sleep", slept.append)
    return slept


def http_error(status: int, **headers: str) -> HfHubHTTPError:
    request = httpx.Request("GET", "http://hub")
    return HfHubHTTPError(f"{status}", response=httpx.Response(status, headers=headers, request=request))


class Flaky:
    """Raises the errors in turn, then returns "done"."""

    def __init__(self, *errors: Exception):
        self.errors, self.calls = list(errors), 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def wrapped(error: Exception) -> Exception:
    """As the clients do: another error, raised from it."""
    try:
        raise ValueError("could not fetch") from error
    except ValueError as outer:
        return outer


TRANSIENT = [*map(http_error, (429, 502, 503, 504)), httpx.ReadTimeout(""), ConnectionResetError(), TimeoutError()]


@pytest.mark.parametrize("error", [*TRANSIENT, *map(wrapped, TRANSIENT)], ids=repr)
def test_what_may_pass_is_tried_again(error):
    call = Flaky(error)
    assert retry(call) == "done"
    assert call.calls == 2


@pytest.mark.parametrize(
    "error", [http_error(403), http_error(404), wrapped(http_error(400)), OSError(), KeyError()], ids=repr
)
def test_what_will_not_pass_is_raised_at_once(error, waits):
    call = Flaky(error)
    with pytest.raises(type(error)):
        retry(call)
    assert (call.calls, waits) == (1, [])


def test_errors_of_the_clients_own_http_library_are_known():
    # huggingface_hub speaks through httpx or httpx2: take whichever it does.
    from huggingface_hub.utils import get_session

    with pytest.raises(Exception) as caught:  # noqa: PT011
        get_session().get("http://127.0.0.1:9")
    assert is_transient(caught.value)


def test_the_last_error_is_raised_in_the_end(waits):
    call = Flaky(*[http_error(503)] * 9)
    with pytest.raises(HfHubHTTPError):
        retry(call, attempts=4)
    assert call.calls == 4
    assert len(waits) == 3
    # Twice as long each time, give or take a quarter.
    for n, seconds in enumerate(waits):
        assert 0.75 <= seconds / (retries.FIRST_DELAY * 2**n) <= 1.25


def test_what_the_server_asks_for_is_waited(waits):
    assert retry(Flaky(wrapped(http_error(429, **{"Retry-After": "7"})))) == "done"
    assert waits == [7.0]


def test_no_server_makes_us_wait_for_hours(waits):
    call = Flaky(http_error(429, **{"Retry-After": "3600"}), http_error(429))
    with pytest.raises(HfHubHTTPError):
        retry(call)
    assert (call.calls, waits) == (1, [])
    assert delay_before(50, http_error(503)) <= retries.LONGEST_DELAY * 1.25


def test_all_of_an_operation_shares_one_deadline(waits):
    with retries.one_deadline():
        for _ in range(4):
            with pytest.raises(HfHubHTTPError):
                retry(Flaky(*[http_error(503, **{"Retry-After": "25"})] * 9), attempts=20)
    # Five times 25 seconds are more than two minutes.
    assert waits == [25.0] * 4


def test_what_succeeds_may_take_its_time(monkeypatch):
    """Trouble is counted since the last useful answer: an hour's download that breaks once goes on."""
    now = [0.0]
    set_clock(monkeypatch, lambda: now[0])
    monkeypatch.setattr(retries, "_progress", 0.0)

    def download():
        now[0] += 3600
        retries._progress = now[0] - 1
        if now[0] < 5000:
            raise httpx.ReadError("cut")
        return "done"

    assert retry(download) == "done"
    assert now[0] == 7200


def test_the_hub_says_in_its_own_header_how_long_to_wait():
    assert delay_before(1, http_error(429, RateLimit='"api";r=0;t=55')) == 55
    assert delay_before(1, http_error(429, RateLimit='"api";r=3;t=55')) < 1


@pytest.mark.parametrize(
    ("seconds", "words"), [(3600, "1 hour"), (86400, "24 hours"), (150, "2 minutes"), (1, "1 second"), (0, "a moment")]
)
def test_seconds_in_words(seconds, words):
    assert retries.in_words(seconds) == words


def test_an_effect_without_an_answer_is_not_repeated():
    call = Flaky(httpx.ReadError("cut"))
    assert retry(call, done=lambda error: "there already") == "there already"
    assert call.calls == 1
    call = Flaky(httpx.ReadError("cut"))
    assert retry(call, done=lambda error: None) == "done"


def test_the_status_is_found_under_other_errors():
    assert status_of(wrapped(http_error(412))) == 412
    assert status_of(KeyError()) is None


def test_what_hf_xet_gives_up_may_succeed_a_moment_later():
    error = RuntimeError("Task error: File reconstruction error: CAS Client Error: error sending request for url (…)")
    assert is_transient(error)
    assert not is_transient(RuntimeError("out of memory"))
