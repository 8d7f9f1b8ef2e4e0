"""The Python for faces with more or less of some attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..models import Model
from ..snippets import GRID, head, quoted


@dataclass
class Face:
    """Which face is edited: number `index` of those drawn with `seed`, or the visitor's photo.

    Attributes:
        square: of the photo: left, top and side of the part that is used, in its pixels.
    """

    seed: int = 0
    index: int = 0
    square: tuple[int, int, int] | None = None


def face_lines(model: Model, face: Face, extra: Sequence[str]) -> str:
    """The program as far as `latents`, (1, latent_dim)."""
    if face.square is None:
        return (
            head(model, extra)
            + f"latents = pipe(num_images={face.index + 1}, seed={face.seed}).latents[{face.index}:]\n"
        )
    (left, top, side), size = face.square, model.sample_size
    return head(model, [*extra, "from PIL import Image, ImageOps"]) + (
        'photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")\n'
        f"photo = photo.crop(({left}, {top}, {left + side}, {top + side})).resize(({size}, {size}))\n"
        "latents = pipe.encode(photo).mean\n"
    )


def edit(model: Model, face: Face, strengths: Mapping[str, float]) -> str:
    """A face with more or less of some attributes."""
    listed_strengths = ", ".join(f"{quoted(name)}: {strength:g}" for name, strength in strengths.items())
    called = f"edit(latents=latents, attribute={{{listed_strengths}}})" if strengths else "decode(latents)"
    return face_lines(model, face, []) + f'pipe.{called}.images[0].save("face.png")\n'


def arithmetic(model: Model, seed: int, which: tuple[int, int, int]) -> str:
    """Face A minus face B plus face C."""
    a, b, c = which
    return head(model) + (
        f"latents = pipe(num_images={max(which) + 1}, seed={seed}).latents\n"
        f"z = latents[{a}] - latents[{b}] + latents[{c}]\n"
        'pipe.decode(z[None]).images[0].save("face.png")\n'
    )


def factors(model: Model, face: Face, attributes: tuple[str, str], steps: int, limit: float) -> str:
    """A face with two attributes on two axes."""
    a, b = attributes
    return face_lines(model, face, [GRID]) + (
        "images = pipe.traverse(\n"
        f"    attributes=({quoted(a)}, {quoted(b)}), latents=latents[0], steps={steps}, limit={limit:g}\n"
        f').images\nmake_image_grid(images, rows={steps}, cols={steps}).save("grid.png")\n'
    )
