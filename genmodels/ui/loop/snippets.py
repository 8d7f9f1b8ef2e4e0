"""The Python for a film without end."""

from __future__ import annotations

from ..models import Model
from ..snippets import head


def loop(model: Model, seed: int, steps: int, scale: int, duration: int) -> str:
    """A film without end."""
    return head(model) + (
        f"a, b = pipe(num_images=2, seed={seed}).latents\n"
        f"images = pipe.loop(a, b, steps={steps}).images\n"
        f"frames = [image.resize((image.width * {scale}, image.height * {scale}), resample=0) for image in images]\n"
        f'frames[0].save("loop.webp", save_all=True, append_images=frames[1:], duration={duration}, loop=0, lossless=True)\n'
    )
