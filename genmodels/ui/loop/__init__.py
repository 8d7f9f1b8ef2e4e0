"""The Samples tab's view of a film without end through one generator's latent space."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from .. import Json
from ..admission import normal_lane
from ..breed import chosen
from ..inputs import seed_of, server_function
from ..models import Model, ModelStore
from ..pictures import to_bytes
from ..snippets import head, options_of

FRAMES, FRAME_MS, SCALE = 48, 60, 8


def program(model: Model, seed: int, steps: int, scale: int, duration: int, label: Json) -> str:
    """A film without end."""
    return head(model) + (
        f"a, b = pipe(num_images=2, seed={seed}).latents\n"
        f"images = pipe.loop(a, b, steps={steps}{options_of(label)}).images\n"
        f"frames = [image.resize((image.width * {scale}, image.height * {scale}), resample=0) for image in images]\n"
        f'frames[0].save("loop.webp", save_all=True, append_images=frames[1:], duration={duration}, loop=0, lossless=True)\n'
    )


def functions(store: ModelStore) -> list[Callable]:
    """What the view's page may call."""

    @server_function(normal_lane)
    def loop(payload: Json) -> Json:
        model, pipe, label = chosen(store, payload)
        seed = seed_of(payload)
        a, b = pipe(num_images=2, seed=seed).latents
        images = to_bytes(pipe.loop(a, b, FRAMES, output_type="np", **label).images)
        code = program(model, seed, FRAMES, SCALE, FRAME_MS, label)
        return {
            "model": model.key,
            "seed": seed,
            "size": images.shape[1] * SCALE,
            "film": animated(images),
            "code": code,
        }

    return [loop]


def animated(images: np.ndarray) -> str:
    """(N, H, W, C) uint8 images as an endless WebP in a data URI, every pixel SCALE times as large and without loss."""
    colours = images.repeat(3, axis=-1) if images.shape[-1] == 1 else images
    frames = [Image.fromarray(image) for image in colours]
    frames = [frame.resize((frame.width * SCALE, frame.height * SCALE), Image.Resampling.NEAREST) for frame in frames]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "WEBP", save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0, lossless=True, method=0
    )
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
