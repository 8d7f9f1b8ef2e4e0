"""What the views' programs are made of: Python for the image on the page that uses only the public API and runs as it is."""

from __future__ import annotations

import json
from collections.abc import Sequence

from . import Json
from .models import Model, RealImages


def head(model: Model, extra: Sequence[str] = (), modules: Sequence[str] = ()) -> str:
    """Imports and the line that loads the model."""
    class_name = model.class_name
    ours = f"from genmodels import {', '.join([class_name, *modules])}"
    imports = "\n".join([*extra, ours])
    return f"{imports}\n\npipe = {class_name}.from_pretrained({quoted(model.name)})\n"


TORCH = "import torch"
PIL = "from PIL import Image"
GRID = "from diffusers.utils import make_image_grid"


def quoted(text: str) -> str:
    """A string literal with double quotes."""
    return json.dumps(text, ensure_ascii=False)


def listed(numbers: Sequence[float]) -> str:
    """[0.5, -1.25] with as few digits as the page shows."""
    return "[" + ", ".join(f"{v:.2f}" for v in numbers) + "]"


def rows_of(count: int) -> int:
    """Rows of a square contact sheet."""
    return max(1, round(count**0.5))


def psi_of(psi: float | None) -> str:
    """`psi` as a further argument, nothing for models that have none."""
    return options_of({} if psi is None else {"psi": psi})


def options_of(options: Json) -> str:
    """Further arguments of a call."""
    return "".join(f", {name}={f'{v:g}' if isinstance(v, float) else literal(v)}" for name, v in options.items())


def literal(value: str | tuple[str, str]) -> str:
    """A class, or a pair of them."""
    return quoted(value) if isinstance(value, str) else f"({', '.join(map(quoted, value))})"


def real_lines(model: Model, real: RealImages, name: str, split: str, chosen: str = "") -> str:
    """Lines that make PIL images of a split as the model takes them, their numbers in `sample` being `kept`.

    Args:
        name: what the images are called.
        chosen: Python for the numbers among those images that are wanted; all by default.
    """
    text, resize = f"sample = zoo.load_sample({quoted(real.sample)}, {quoted(split)})\n", ""
    if not real.unchanged:
        resize = f".resize(({model.sample_size}, {model.sample_size}), Image.Resampling.BILINEAR)"
    if real.unchanged or not model.labelled:
        text += f"kept = {chosen or 'range(len(sample.images))'}\n"
    else:
        # The discriminator wants a label with each image: only classes that it knows can be shown to it.
        text += "kept = [i for i, label in enumerate(sample.labels) if sample.class_names[label] in pipe.class_names]\n"
        text += f"kept = [kept[i] for i in {chosen}]\n" if chosen else ""
    return text + f"{name} = [Image.fromarray(sample.images[i].squeeze()){resize} for i in kept]\n"


def spaced_indices_code(real: RealImages, count: int) -> str:
    """Python for so many numbers of test images, from the first to the last."""
    return f"np.linspace(0, {len(real.test) - 1}, {min(count, len(real.test))}).astype(int)"


def neighbors_dataset(model: Model, real: RealImages) -> tuple[str, str]:
    """Lines that make the training images `train` if they are not those that `neighbors` takes by itself, and its arguments."""
    if real.unchanged:
        return "", 'space="pixels"'
    return real_lines(model, real, "train", "train"), 'dataset=train, space="pixels"'


def discriminate(model: Model, real: RealImages | None, count: int, start: int, seed: int) -> str:
    """The scores of real and generated images, and both: the real ones on the left."""
    labelled = model.labelled
    rows = rows_of(count)
    columns = count // rows
    text = f"fake = pipe(num_images={count}, seed={seed})\n"
    text += f"print(pipe.discriminate(fake.images{', fake.class_labels' if labelled else ''}))\n"
    # A model of one rare class may have fewer test images than places.
    if real is None or len(real.test) < count:
        text += f'make_image_grid(fake.images, rows={rows}, cols={columns}).save("scores.png")\n'
        return head(model, [GRID]) + text
    labels = ", [sample.class_names[sample.labels[i]] for i in kept]" if labelled else ""
    text += real_lines(model, real, "real", "test", f"range({start}, {start + count})")
    text += f"print(pipe.discriminate(real{labels}))\n"
    text += (
        f"both = [image for i in range(0, {count}, {columns}) "
        f"for image in real[i : i + {columns}] + fake.images[i : i + {columns}]]\n"
        f'make_image_grid(both, rows={rows}, cols={2 * columns}).save("scores.png")\n'
    )
    return head(model, [PIL, GRID], modules=["zoo"]) + text


def histogram(model: Model, real: RealImages | None, count: int, seed: int) -> str:
    """The scores of many real and generated images, and how often a real one wins."""
    labelled = model.labelled
    text = f"fake = pipe(num_images={count}, seed={seed})\n"
    text += f"of_fake = pipe.discriminate(fake.images{', fake.class_labels' if labelled else ''})\n"
    text += 'print("median score of generated images:", of_fake.median())\n'
    if real is None:
        return head(model) + text
    labels = ", [sample.class_names[sample.labels[i]] for i in kept]" if labelled else ""
    text += real_lines(model, real, "real", "test", spaced_indices_code(real, count))
    text += (
        f"of_real = pipe.discriminate(real{labels})\n"
        'print("median score of real images:", of_real.median())\n'
        'print("pairs in which the real one scores higher:", (of_real[:, None] > of_fake).float().mean())\n'
    )
    return head(model, ["import numpy as np", PIL], modules=["zoo"]) + text


def nearest(model: Model, real: RealImages, index: int, count: int, seed: int | None = None) -> str:
    """The training images nearest to generated image `index` of a seed; without a seed, to test image `index`."""
    lines, arguments = neighbors_dataset(model, real)
    if seed is None:
        image = real_lines(model, real, "real", "test", f"[{index}]") + "image = real[0]\n"
    else:
        image = f"image = pipe(num_images={index + 1}, seed={seed}).images[{index}]\n"
    uses_sample = seed is None or bool(lines)
    return head(model, [PIL, GRID] if uses_sample else [GRID], modules=["zoo"] if uses_sample else []) + (
        f"{image}{lines}near = pipe.neighbors(image, k={count}, {arguments})\n"
        "print(near.distances)\n"
        f'make_image_grid([image, *near.images[0]], rows=1, cols={count + 1}).save("nearest.png")\n'
    )
