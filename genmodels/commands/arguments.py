"""Types of arguments that several commands take."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable

MAX_SEED = 2**63 - 1


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """An argparse type: an integer from `low` to `high`."""

    def parse(text: str) -> int:
        with contextlib.suppress(ValueError):
            if low <= (value := int(text)) <= high:
                return value
        raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}, got {text!r}")

    return parse


def factor(text: str) -> float:
    """An argparse type: a number; its range is the pipeline's to judge."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None


def share(text: str) -> float:
    """An argparse type: a number of at least 0 and below 1."""
    value = factor(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to below 1, got {text!r}")
    return value


def add_steps(command: argparse.ArgumentParser) -> None:
    """Add --num_inference_steps."""
    command.add_argument(
        "--num_inference_steps",
        type=whole_number(1, 1000),
        help="of diffusion models only: more take longer; default: the model's",
    )


def guidance(text: str) -> float:
    """An argparse type: a number from 0 to 20."""
    value = factor(text)
    if not 0 <= value <= 20:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 20, got {text!r}")
    return value
