"""The Python for several models side by side."""

from __future__ import annotations

from collections.abc import Sequence

from ..models import Model
from ..snippets import GRID, TORCH, quoted


def side_by_side(models: Sequence[Model], seed: int, columns: int, longest: int) -> str:
    """Several models from the same random numbers, a row each."""
    names = "".join(f"    {quoted(model.name)},\n" for model in models)
    return (
        f"{TORCH}\n{GRID}\nfrom genmodels import load_pipeline\n\n"
        f"vectors = torch.randn({columns}, {longest}, generator=torch.Generator().manual_seed({seed}))\n"
        f"names = [\n{names}]\nimages = []\nfor name in names:\n    pipe = load_pipeline(name)\n"
        "    images += pipe(latents=vectors[:, : pipe.latent_dim]).images\n"
        "images = [image.resize((64, 64)) for image in images]\n"
        f'make_image_grid(images, rows=len(names), cols={columns}).save("side-by-side.png")\n'
    )
