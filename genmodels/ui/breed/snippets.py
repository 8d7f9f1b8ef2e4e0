"""The Python for children of two latents."""

from __future__ import annotations

from collections.abc import Sequence

from ..models import Model
from ..snippets import GRID, TORCH, head, listed, rows_of


def litter(model: Model, parents: Sequence[Sequence[float]], mutation: float, seed: int, count: int) -> str:
    """Children of two latents."""
    rows = rows_of(count)
    return head(model, [TORCH, GRID]) + (
        f"a, b = torch.tensor([\n    {listed(parents[0])},\n    {listed(parents[1])},\n])\n"
        f"images = pipe.breed(a, b, num_images={count}, mutation={mutation:g}, seed={seed}).images\n"
        f'make_image_grid(images, rows={rows}, cols={count // rows}).save("children.png")\n'
    )
