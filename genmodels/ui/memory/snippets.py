"""The Python for distances to the nearest training images."""

from __future__ import annotations

from ..models import Model, RealImages
from ..snippets import GRID, PIL, head, neighbors_dataset, real_lines, spaced_indices_code


def memorised(model: Model, real: RealImages, count: int, seed: int, shown: int, nearest: int) -> str:
    """Distances of generated and of test images to the nearest training image, and the generated ones that come nearest."""
    lines, arguments = neighbors_dataset(model, real)
    return head(model, ["import numpy as np", PIL, GRID], modules=["zoo"]) + (
        f"{lines}images = pipe(num_images={count}, seed={seed}).images\n"
        f"near = pipe.neighbors(images, k={nearest}, {arguments})\n"
        f"{real_lines(model, real, 'real', 'test', spaced_indices_code(real, count))}"
        f"of_real = pipe.neighbors(real, k=1, {arguments}).distances\n"
        'print("median distance:", near.distances[:, 0].median(), "generated,", of_real.median(), "test images")\n'
        f"suspects = near.distances[:, 0].argsort()[:{shown}]\n"
        "pictures = [picture for i in suspects for picture in (images[i], *near.images[i])]\n"
        f'make_image_grid(pictures, rows={shown}, cols={nearest + 1}).save("by-heart.png")\n'
    )
