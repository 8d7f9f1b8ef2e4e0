"""The film of a run: what became of the same latents, as an animated WebP."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

from PIL import Image, ImageSequence

MAX_FRAMES = 60
FRAME_MS, LAST_MS = 150, 2000


def step_of(grid: Path) -> int:
    """The step at which the grid of this name was drawn."""
    return int(grid.stem.removeprefix("step-"))


def frames_of(folder: Path) -> list[Path]:
    """The sample grids of a run, oldest first; evenly chosen if there are more than a film takes."""
    paths = sorted(folder.glob("step-*.png"), key=step_of)
    if len(paths) <= MAX_FRAMES:
        return paths
    return [paths[round(i * (len(paths) - 1) / (MAX_FRAMES - 1))] for i in range(MAX_FRAMES)]


def save_film(folder: Path, target: Path) -> list[int]:
    """Write the grids in `folder` as one animated WebP, the last grid held; nothing if there are fewer than two to be seen.

    Returns:
        The training step of each frame, the last one of grids that look alike: those become one frame.
    """
    paths = frames_of(folder)
    if len(paths) < 2:
        return []
    frames = [Image.open(path).convert("RGB") for path in paths]
    durations = [FRAME_MS] * (len(frames) - 1) + [LAST_MS]
    frames[0].save(target, save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=60, method=6)
    steps = [step_of(path) for path in paths]
    with Image.open(target) as film:
        shown = [frame.copy().info["duration"] for frame in ImageSequence.Iterator(film)]
    if len(shown) < 2:
        target.unlink()
        return []
    ends = [round(end / FRAME_MS) for end in accumulate(shown[:-1])]
    return [*(steps[end - 1] for end in ends), steps[-1]]
