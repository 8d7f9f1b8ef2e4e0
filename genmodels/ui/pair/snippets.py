"""The Python for one point of two maps."""

from __future__ import annotations

from collections.abc import Sequence

from ..models import Model
from ..snippets import GRID, TORCH, listed, quoted


def decode_both(models: Sequence[Model], z: Sequence[float]) -> str:
    """One point of two maps."""
    loads = "".join(f"    {model.class_name}.from_pretrained({quoted(model.name)}),\n" for model in models)
    return (
        f"{TORCH}\n{GRID}\nfrom genmodels import {', '.join(sorted(model.class_name for model in models))}\n\n"
        f"pipes = [\n{loads}]\n"
        f"z = torch.tensor([{listed(z)}])\n"
        "images = [pipe.decode(z).images[0] for pipe in pipes]\n"
        'make_image_grid(images, rows=1, cols=2).save("both.png")\n'
    )
