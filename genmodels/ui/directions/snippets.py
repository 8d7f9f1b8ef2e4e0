"""The Python for images moved along principal directions."""

from __future__ import annotations

from collections.abc import Sequence

from ..models import Model
from ..snippets import GRID, TORCH, head, listed


def moved(model: Model, seed: int, strengths: Sequence[float], count: int) -> str:
    """Images moved along the principal directions of their generator."""
    return head(model, [TORCH, GRID]) + (
        f"directions = pipe.principal_directions({len(strengths)}).directions\n"
        f"latents = pipe(num_images={count}, seed={seed}).latents\n"
        f"images = pipe(latents=latents + torch.tensor({listed(strengths)}) @ directions).images\n"
        f'make_image_grid(images, rows=1, cols={count}).save("moved.png")\n'
    )
