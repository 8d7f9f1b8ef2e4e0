"""The Python for points, lines and the whole of the map."""

from __future__ import annotations

from collections.abc import Sequence

from ..models import Model, RealImages
from ..pictures import STRIP
from ..snippets import GRID, TORCH, head, listed, quoted


def decode(model: Model, z: Sequence[float]) -> str:
    """One point of the map."""
    return head(model, [TORCH]) + f'pipe.decode(torch.tensor([{listed(z)}])).images[0].save("picture.png")\n'


def resample(model: Model, mean: Sequence[float], deviation: Sequence[float], count: int, seed: int) -> str:
    """Draws from the posterior of an image."""
    return head(model, [TORCH, GRID]) + (
        f"mean, deviation = torch.tensor({listed(mean)}), torch.tensor({listed(deviation)})\n"
        f"noise = torch.randn({count}, 2, generator=torch.Generator().manual_seed({seed}))\n"
        f'make_image_grid(pipe.decode(mean + deviation * noise).images, rows=1, cols={count}).save("draws.png")\n'
    )


def drawn(model: Model, count: int, seed: int, prior: str) -> str:
    """Images from one of the laws that latents may follow."""
    return head(model, [GRID]) + (
        f"images = pipe(num_images={count}, seed={seed}, prior={quoted(prior)}).images\n"
        f'make_image_grid(images, rows=1, cols={count}).save("drawn.png")\n'
    )


def line(model: Model, a: Sequence[float], b: Sequence[float]) -> str:
    """The strip between two anchors of the map."""
    return head(model, [TORCH, GRID]) + (
        f"a, b = torch.tensor({listed(a)}), torch.tensor({listed(b)})\n"
        f"latents = torch.lerp(a, b, torch.linspace(0, 1, {STRIP})[:, None])\n"
        f'make_image_grid(pipe.decode(latents).images, rows=1, cols={STRIP}).save("line.png")\n'
    )


def atlas(model: Model, steps: int, limit: float) -> str:
    """The whole map."""
    return head(model, [GRID]) + (
        f"images = pipe.traverse(steps={steps}, limit={limit:g}).images\n"
        f'make_image_grid(images, rows={steps}, cols={steps}).save("atlas.png")\n'
    )


def reconstruct(model: Model, real: RealImages, index: int) -> str:
    """A test image through the bottleneck and back."""
    return head(model, modules=["zoo"]) + (
        f'images = zoo.load_sample({quoted(real.sample)}, "test").images[{index}:{index + 1}]\n'
        "print(pipe.encode(images).mean)\n"
        'pipe.reconstruct(images).images[0].save("reconstruction.png")\n'
    )
