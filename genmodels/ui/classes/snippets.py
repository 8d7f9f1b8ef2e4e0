"""The Python for images of chosen classes."""

from __future__ import annotations

from ..models import Model
from ..pictures import STRIP
from ..snippets import GRID, head, quoted


def every_class(model: Model, count: int, seed: int, psi: float) -> str:
    """One latent as every class."""
    return head(model, [GRID]) + (
        f"latent = pipe(seed={seed}).latents\n"
        f"images = pipe(latents=latent.repeat({count}, 1), psi={psi:g}).images\n"
        f'make_image_grid(images, rows=1, cols={count}).save("classes.png")\n'
    )


def table(model: Model, styles: int, count: int, seed: int, psi: float) -> str:
    """Several latents, a row each, as every class."""
    return head(model, [GRID]) + (
        f"latents = pipe(num_images={styles}, seed={seed}).latents.repeat_interleave({count}, 0)\n"
        f"images = pipe(latents=latents, class_labels=pipe.class_names[:{count}] * {styles}, psi={psi:g}).images\n"
        f'make_image_grid(images, rows={styles}, cols={count}).save("table.png")\n'
    )


def one_class(model: Model, name: str, count: int, seed: int, psi: float) -> str:
    """Several latents as one class."""
    return head(model, [GRID]) + (
        f"images = pipe(num_images={count}, class_labels={quoted(name)}, seed={seed}, psi={psi:g}).images\n"
        f'make_image_grid(images, rows=1, cols={count}).save("class.png")\n'
    )


def mix(model: Model, a: str, b: str, seed: int, psi: float) -> str:
    """From one class to another with the latent held."""
    return head(model, [GRID]) + (
        f"latent = pipe(seed={seed}).latents\n"
        f"mixed = pipe.label_path(({quoted(a)}, {quoted(b)}), steps={STRIP})\n"
        f"images = pipe(latents=latent.repeat({STRIP}, 1), class_labels=mixed, psi={psi:g}).images\n"
        f'make_image_grid(images, rows=1, cols={STRIP}).save("mix.png")\n'
    )


def write(model: Model, text: str, seed: int, psi: float) -> str:
    """A number in generated handwriting."""
    return head(model, [GRID]) + (
        f"images = pipe(class_labels=list({quoted(text)}), seed={seed}, psi={psi:g}).images\n"
        f'make_image_grid(images, rows=1, cols={len(text)}).save("number.png")\n'
    )
