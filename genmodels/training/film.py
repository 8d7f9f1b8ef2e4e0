"""The film of a run: what became of the same latents, as an animated WebP."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import TypeVar

from PIL import Image, ImageSequence

from .start import Start

T = TypeVar("T")

MAX_FRAMES = 60
FRAME_MS, LAST_MS = 150, 2000


def step_of(grid: Path) -> int:
    """The step at which the grid of this name was drawn."""
    return int(grid.stem.removeprefix("step-"))


def frames_of(folder: Path) -> list[Path]:
    """The sample grids of a run, oldest first; evenly chosen if there are more than a film takes."""
    return evenly_chosen(sorted(grids_of(folder), key=step_of))


def grids_of(folder: Path) -> list[Path]:
    """The sample grids of a run, without what else has come to lie beside them."""
    return [path for path in folder.glob("step-*.png") if path.stem.removeprefix("step-").isdecimal()]


def read_grid(path: Path) -> Image.Image | None:
    """None if it cannot be read: a film with a frame less is better than a model that is not saved."""
    try:
        with Image.open(path) as grid:
            return grid.convert("RGB")
    except (OSError, ValueError, SyntaxError):
        return None


def evenly_chosen(frames: list[T]) -> list[T]:
    """As many as a film takes, the first and the last among them."""
    if len(frames) <= MAX_FRAMES:
        return frames
    return [frames[round(i * (len(frames) - 1) / (MAX_FRAMES - 1))] for i in range(MAX_FRAMES)]


def save_film(folder: Path, target: Path, start: Start | None = None) -> list[int]:
    """Write the grids in `folder` as one animated WebP, the last grid held; nothing if there are fewer than two to be seen.

    Args:
        folder: of the run's sample grids.
        target: file to write.
        start: the model that the run started from: its film comes first, and the steps are counted on.

    Returns:
        The training step of each frame, the last one of grids that look alike: those become one frame.
    """
    offset = start.steps if start else 0
    grids = [(step_of(path) + offset, read_grid(path)) for path in frames_of(folder)]
    shown = [(step, grid) for step, grid in grids if grid]
    before = start.frames() if start else []
    # The first grid of this run is what the last of that one shows.
    if before and shown and before[-1][1].size == shown[0][1].size:
        shown = evenly_chosen(before + shown[1:])
    if len(shown) < 2:
        return []
    steps, frames = zip(*shown, strict=True)
    durations = [FRAME_MS] * (len(frames) - 1) + [LAST_MS]
    frames[0].save(target, save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=60, method=6)
    with Image.open(target) as film:
        lengths = [frame.copy().info["duration"] for frame in ImageSequence.Iterator(film)]
    if len(lengths) < 2:
        target.unlink()
        return []
    ends = [round(end / FRAME_MS) for end in accumulate(lengths[:-1])]
    return [*(steps[end - 1] for end in ends), steps[-1]]
