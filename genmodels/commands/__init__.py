"""One file per subcommand: `add_arguments(parser)`, and `run(args)`, which returns the exit code or None for 0."""

from __future__ import annotations

from collections.abc import Sequence


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """A table in lines, each column as wide as its longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def silence_libraries() -> None:
    """What goes wrong is said in one sentence, not in the libraries' warnings before it."""
    from diffusers.utils import logging

    logging.set_verbosity_error()
