"""What comes from a visitor's page, made safe: server functions are called outside the queue and with anything at all."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable
from typing import Any

import gradio as gr

from ..errors import UserError
from .models import NotReadyError

logger = logging.getLogger(__name__)

MAX_SEED = 2**31 - 1


def number(value: Any, low: float, high: float, default: float) -> float:
    """`value` as a float in [low, high]; `default` for what is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return default
    try:
        value = float(value[:32] if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return default
    return min(max(value, low), high) if math.isfinite(value) else default


def integer(value: Any, low: int, high: int, default: int) -> int:
    """`value` as an int in [low, high]; `default` for what is no finite number."""
    return int(number(value, low, high, default))


def one_of(value: Any, options: tuple | list, default: Any) -> Any:
    """`value` if it is one of the options, else `default`."""
    try:
        return value if not isinstance(value, bool) and value in options else default
    except (TypeError, ValueError):
        return default


def point(value: Any, limit: float) -> list[float]:
    """`value` as a point of the plane, [x, y], both in [-limit, limit]; 0 for what is no finite number.

    Rounded to the two decimals that the page and its Python show, so that all three mean the same image.
    """
    pair = list(value[:2]) if isinstance(value, list | tuple) else []
    return [round(number(v, -limit, limit, 0.0), 2) for v in [*pair, 0.0, 0.0][:2]]


def answered(function, *arguments):
    """The function's result; what a caller did wrong, or a model that is still loading, as `gr.Error`."""
    try:
        return function(*arguments)
    except NotReadyError:
        raise gr.Error("The models are still loading: try again in a few seconds.", print_exception=False) from None
    except UserError as error:
        raise gr.Error(str(error), print_exception=False) from None


def server_function(function: Callable[[dict], dict]) -> Callable[[Any], dict]:
    """Make `function(payload)` callable from the page: it gets a dict and never raises.

    The answer has "status": "ok", "loading" (ask again soon) or "error" (with "message").
    """

    @functools.wraps(function)
    def answer(payload: Any = None) -> dict:
        try:
            return {"status": "ok", **function(payload if isinstance(payload, dict) else {})}
        except NotReadyError:
            return {"status": "loading"}
        except UserError as error:
            return {"status": "error", "message": str(error)}
        except Exception:
            logger.exception("%s failed", function.__name__)
            return {"status": "error", "message": "That did not work; the server's log says why."}

    return answer
