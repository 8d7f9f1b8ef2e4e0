"""The Python for a sheet of many images."""

from __future__ import annotations

from ..models import Model
from ..snippets import GRID, PIL, TORCH, head, psi_of


def many(model: Model, count: int, columns: int, seed: int, psi: float) -> str:
    """A sheet of many images, the last row filled up."""
    missing = -count % columns
    text = f"images = pipe(num_images={count}, seed={seed}{psi_of(psi)}).images\n"
    extra = [GRID]
    if not model.family.truncates:
        text = f"images = pipe(num_images={count}, seed={seed}).images\n"
        if psi != 1:
            extra = [TORCH, GRID]
            text = (
                f"generator = torch.Generator().manual_seed({seed})\n"
                f"latents = torch.stack([torch.randn(pipe.latent_dim, generator=generator) for _ in range({count})])\n"
                f"images = pipe(latents=latents * {psi:g}).images\n"
            )
    if missing:
        extra = [PIL, *extra]
        text += f"images += {missing} * [Image.new(images[0].mode, images[0].size)]\n"
    rows = -(-count // columns)
    return head(model, extra) + text + f'make_image_grid(images, rows={rows}, cols={columns}).save("sheet.png")\n'
