"""The Python for contact sheets and the way between two images."""

from __future__ import annotations

from .. import Json
from ..models import Model
from ..pictures import STRIP
from ..snippets import GRID, head, options_of, rows_of


def samples(model: Model, count: int, seed: int, options: Json) -> str:
    """A contact sheet."""
    rows = rows_of(count)
    return head(model, [GRID]) + (
        f"images = pipe(num_images={count}, seed={seed}{options_of(options)}).images\n"
        f'make_image_grid(images, rows={rows}, cols={count // rows}).save("samples.png")\n'
    )


def between(model: Model, a: int, b: int, seed: int, options: Json) -> str:
    """The strip between two images of a contact sheet."""
    return head(model, [GRID]) + (
        f"latents = pipe(num_images={max(a, b) + 1}, seed={seed}).latents\n"
        f"images = pipe.interpolate(latents[{a}], latents[{b}], steps={STRIP}{options_of(options)}).images\n"
        f'make_image_grid(images, rows=1, cols={STRIP}).save("between.png")\n'
    )


def stages(model: Model, count: int, seed: int, options: Json, steps: list[int] | None) -> str:
    """How images come about, a row for each level, or for each of these steps."""
    call = f"num_images={count}, seed={seed}{options_of(options)}"
    if steps is None:
        drawn = f"stages = pipe({call}, return_stages=True).stages\n"
    else:
        drawn = (
            f"steps = pipe({call}, return_trajectory=True).trajectory\n"
            f"stages = [steps[number - 1] for number in {steps}]\n"
        )
    return head(model, [GRID]) + (
        f"{drawn}"
        "images = [image.resize((64, 64), resample=0) for stage in stages for image in stage]\n"
        f'make_image_grid(images, rows=len(stages), cols={count}).save("stages.png")\n'
    )
