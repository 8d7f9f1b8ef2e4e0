"""The Samples tab's views of one generator's latent space: children of two images, and a film without end."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from ..errors import UserError
from . import gallery, snippets
from .admission import unhurried
from .inputs import MAX_SEED, integer, number, server_function
from .models import Model, ModelStore
from .pictures import sheet_uri, to_bytes

# A litter in its rows, and the images that one may begin with.
CHILDREN, COLUMNS, FOUNDERS = 12, 4, 2
# No number of a latent lies farther out.
MAX_Z = 10.0
FRAMES, FRAME_MS, SCALE = 48, 60, 8


def breeds(model: Model) -> bool:
    """Whether a model draws from one latent alone, without classes."""
    return model.class_name in ("VanillaGANPipeline", "DCGANPipeline", "WGANPipeline")


def chosen(store: ModelStore, payload: dict):
    """The model that a visitor asks for, and its pipeline.

    Raises:
        UserError: it has no such latent space.
    """
    model = gallery.chosen(store, payload)
    if not breeds(model):
        raise UserError(f"{model.title} does not draw from a single latent: choose another model.")
    return model, store.pipe(model)


def latent_of(value, latent_dim: int) -> list[float]:
    """A latent as the page sends it, rounded as its Python shows it.

    Raises:
        UserError: it has another length.
    """
    if not isinstance(value, list) or len(value) != latent_dim:
        raise UserError(f"A parent is a list of {latent_dim} numbers: begin again.")
    return [round(number(v, -MAX_Z, MAX_Z, 0.0), 2) for v in value]


def rounded(latents) -> list[list[float]]:
    """(N, latent_dim) for the page."""
    return [[round(float(v), 2) for v in row] for row in latents]


def functions(store: ModelStore) -> list[Callable]:
    """What the views' page may call."""

    @server_function
    @unhurried
    def founders(payload: dict) -> dict:
        import torch

        from ..pipelines.base import draw_latents

        model, pipe = chosen(store, payload)
        seed = integer(payload.get("seed"), 0, MAX_SEED, 0)
        latents = rounded(draw_latents(FOUNDERS, pipe.latent_dim, seed=seed))
        images = pipe(latents=torch.tensor(latents), output_type="np").images
        return {"model": model.key, "latents": latents, "sheet": sheet_uri(to_bytes(images), FOUNDERS)}

    @server_function
    @unhurried
    def litter(payload: dict) -> dict:
        import torch

        from ..pipelines.base import cross_latents

        model, pipe = chosen(store, payload)
        given = payload.get("parents")
        given = given if isinstance(given, list) and len(given) == 2 else [None, None]
        parents = [latent_of(parent, pipe.latent_dim) for parent in given]
        mutation = round(number(payload.get("mutation"), 0.0, 1.0, 0.2), 2)
        seed = integer(payload.get("seed"), 0, MAX_SEED, 0)
        a, b = torch.tensor(parents)
        latents = cross_latents(a, b, CHILDREN, mutation, seed)
        images = pipe(latents=latents, output_type="np").images
        return {
            "model": model.key,
            "latents": rounded(latents),
            "sheet": sheet_uri(to_bytes(images), COLUMNS),
            "size": images.shape[1],
            "code": snippets.litter(model, parents, mutation, seed, CHILDREN),
        }

    @server_function
    @unhurried
    def loop(payload: dict) -> dict:
        model, pipe = chosen(store, payload)
        seed = integer(payload.get("seed"), 0, MAX_SEED, 0)
        a, b = pipe(num_images=2, seed=seed).latents
        images = to_bytes(pipe.loop(a, b, FRAMES, output_type="np").images)
        code = snippets.loop(model, seed, FRAMES, SCALE, FRAME_MS)
        return {
            "model": model.key,
            "seed": seed,
            "size": images.shape[1] * SCALE,
            "film": animated(images),
            "code": code,
        }

    return [founders, litter, loop]


def animated(images: np.ndarray) -> str:
    """(N, H, W, C) uint8 images as an endless WebP in a data URI, every pixel SCALE times as large and without loss."""
    frames = [Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).convert("RGB") for image in images]
    frames = [frame.resize((frame.width * SCALE, frame.height * SCALE), Image.Resampling.NEAREST) for frame in frames]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "WEBP", save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0, lossless=True, method=0
    )
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
