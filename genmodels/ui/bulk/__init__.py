"""Many images at once: the one job that is worth a GPU. On ZeroGPU it runs in a process that holds one."""

from __future__ import annotations

import asyncio
import math
import os
from typing import Any

import gradio as gr
import numpy as np

from .. import Json
from ..admission import F, slow_lane
from ..front_door import queued
from ..inputs import MAX_PAGE_SEED, MAX_PSI, answered, integer, number, one_of
from ..language import I18N
from ..models import Model, ModelStore, Pipeline
from ..pictures import sheet, to_bytes
from ..snippets import GRID, PIL, TORCH, head, psi_of

MAX_IMAGES = 1000
# Seconds for which a GPU is asked: most of it is the start of the process, and short jobs get their turn sooner.
GPU_SECONDS = 20
# For so long a visitor's job waits for its network.
WARM_UP_SECONDS = 60
ON_ZERO_GPU = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")

# Pipelines by name. A process on ZeroGPU is forked from this one, maybe before all models were loaded.
_pipes: dict[str, Pipeline] = {}


def gpu(function: F) -> F:
    """`function`, run on a GPU where there is ZeroGPU: its arguments and its result are pickled then."""
    try:
        from spaces import GPU
    except ImportError:
        return function
    return GPU(duration=GPU_SECONDS)(function)


@gpu
def draw(name: str, count: int, seed: int, psi: float) -> np.ndarray:
    """Images of a model on the device at hand.

    Args:
        name: what `load_pipeline` takes.
        count, seed: of the latents.
        psi: what the latents are scaled by.

    Returns:
        (count, H, W, C) uint8.
    """
    from ...latents import draw_latents
    from ...pipelines import load_pipeline

    if name not in _pipes:
        _pipes[name] = load_pipeline(name)
    pipe = _pipes[name]
    if ON_ZERO_GPU:
        pipe = pipe.to("cuda")
    latents = pipe.from_normal(draw_latents(count, pipe.latent_dim, seed=seed), psi=psi)
    return to_bytes(pipe(latents=latents, output_type="np").images)


def draw_many(store: ModelStore, model: Model, count: int, seed: int, psi: float) -> np.ndarray:
    """See `draw`.

    Raises:
        NotReadyError, UserError: see `ModelStore.pipe`.
    """
    _pipes[model.name] = store.pipe(model)
    return draw(model.name, count, seed, psi)


def columns_of(count: int) -> int:
    """Columns of a contact sheet that is as square as can be."""
    return math.ceil(math.sqrt(count))


def program(model: Model, count: int, columns: int, seed: int, psi: float) -> str:
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


def build(store: ModelStore) -> None:
    """A closed accordion under the tabs, with the form and the sheet that comes back."""
    names = {kind: model.title for kind, model in store.models.items()}

    async def run(kind: Any, count: Any, seed: Any, psi: Any) -> tuple[Json, Json]:
        kind = one_of(kind, list(names), next(iter(names)))
        # A visitor who presses the button while the networks load has only to wait.
        for _ in range(WARM_UP_SECONDS):
            if store.models[kind].pipe is not None or store.models[kind].reason is not None:
                break
            await asyncio.sleep(1)
        return await queued(drawn)(kind, count, seed, psi)

    @slow_lane
    def drawn(kind: str, count: Any, seed: Any, psi: Any) -> tuple[Json, Json]:
        count, seed = integer(count, 1, MAX_IMAGES, MAX_IMAGES), integer(seed, 0, MAX_PAGE_SEED, 0)
        psi = round(number(psi, 0.0, MAX_PSI, 1.0), 2)
        images = answered(draw_many, store, store.models[kind], count, seed, psi)
        picture = sheet(images, columns_of(count))
        text = program(store.models[kind], count, columns_of(count), seed, psi)
        return (
            gr.update(value=picture.repeat(3, axis=2) if picture.shape[2] == 1 else picture, visible=True),
            gr.update(value=text, visible=True),
        )

    with gr.Accordion(I18N(f"Up to {MAX_IMAGES:,} images at once"), open=False, elem_id="bulk"):
        choices = [(name, kind) for kind, name in names.items()]
        kind = gr.Radio(choices, value=choices[0][1], label=I18N("Model"), visible=len(choices) > 1)
        with gr.Row(equal_height=True):
            count = gr.Slider(1, MAX_IMAGES, value=MAX_IMAGES, step=1, label=I18N("Images"))
            seed = gr.Number(value=0, minimum=0, maximum=MAX_PAGE_SEED, precision=0, label=I18N("Seed"))
            psi = gr.Slider(0, MAX_PSI, value=1, step=0.05, label=I18N("Truncation ψ"))
        button = gr.Button(I18N("Draw"), variant="primary")
        picture = gr.Image(
            format="png",
            visible=False,
            show_label=False,
            buttons=["download", "fullscreen"],
            alt_text=str(I18N("The sheet of generated images")),
        )
        # No gr.Code: its colours are too light on white, and keys do not scroll it.
        code = gr.Textbox(
            label=I18N("The Python for this image"), interactive=False, visible=False, lines=8, buttons=["copy"]
        )
    button.click(
        run,
        [kind, count, seed, psi],
        [picture, code],
        api_visibility="private",
    )
