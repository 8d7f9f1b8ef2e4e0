"""Checks of arguments: the error says which values are legal, and which one came."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def check_count(
    name: str, value: int, low: int = 1, high: int | None = None, types: tuple[type, ...] = (int, np.integer)
) -> int:
    """Return `value` if it is an integer from `low` to `high`, else raise ValueError."""
    if isinstance(value, bool) or not isinstance(value, types) or not low <= value <= (high or value):
        wanted = f"from {low} to {high:,}" if high else f"of at least {low}"
        raise ValueError(f"{name} must be an integer {wanted}, got {value!r}.")
    return int(value)


def check_integers(low: int = 1, high: int | None = None, **values: int) -> None:
    """`check_count` of what goes into a config.json, which cannot hold NumPy's integers."""
    for name, value in values.items():
        check_count(name, value, low, high, types=(int,))


def check_number(name: str, value: float, low: float, high: float) -> float:
    """Return `value` if it is a number from `low` to `high`, else raise ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, got {value!r}.")
    return value


def check_shares(**values: float) -> None:
    """Raise ValueError unless every value is a number from 0 to below 1."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise ValueError(f"{name} must be at least 0 and below 1, got {value!r}.")


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raise ValueError unless `value` is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")
