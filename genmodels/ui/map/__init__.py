"""The Map tab: a VAE's two-dimensional latent plane under the pointer; `pair` and `faces` are its other views."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import gradio as gr
import numpy as np
from PIL import Image

from ...errors import UserError
from .. import Json, faces, films, in_page, pair
from .. import first_page as files
from ..admission import normal_lane, quick_lane
from ..inputs import integer, one_of, point, read_bytes, seed_of, server_function, start_function
from ..models import MAP, Model, ModelStore, RealImages
from ..pictures import FRAMES, opaque, raw, sheet_uri, to_bytes
from ..plane import MAX_LIMIT, atlas_steps, pictures, scatter
from ..widget import widget
from . import snippets

# Side in pixels of the drawing that the page sends; MNIST's digits fill a box of 20 in their 28.
DRAWING = 112
INK_BOX, INK_FRAME = 20, 28
# Draws from the posterior of an image.
DRAWS = 8
# What latents are drawn from.
NORMAL, FITTED = PRIORS = ("normal", "fitted")
# Brightness from which a pixel counts as ink.
INK = 32


def centre_drawing(drawing: np.ndarray, size: int) -> np.ndarray | None:
    """Put a drawing where a VAE of MNIST digits expects it (LeCun et al. 1998, section III.A).

    The ink's bounding box is scaled to 20/28 of the side, and its centre of mass moved to the centre.

    Args:
        drawing: (H, W) uint8, ink bright on black.
        size: side of the result.

    Returns:
        (size, size) uint8, or None if there is no ink.
    """
    rows, columns = np.nonzero(drawing >= INK)
    if not len(rows):
        return None
    ink = drawing[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    scale = size * INK_BOX / INK_FRAME / max(ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    small = np.asarray(Image.fromarray(ink).resize((width, height), Image.Resampling.BOX), dtype=np.float64)
    # A thin line loses brightness when it shrinks; digits have full ink.
    small = small * (255 / max(small.max(), 1))
    mass = small.sum()
    top = round(size / 2 - (small.sum(1) @ (np.arange(height) + 0.5)) / mass)
    left = round(size / 2 - (small.sum(0) @ (np.arange(width) + 0.5)) / mass)
    top, left = min(max(top, 0), size - height), min(max(left, 0), size - width)
    centred = np.zeros((size, size), np.uint8)
    centred[top : top + height, left : left + width] = small.round().astype(np.uint8)
    return centred


def film(store: ModelStore, a: list[float], b: list[float]) -> Json:
    """The line between two anchors: FRAMES images in one row."""
    t = np.linspace(0, 1, FRAMES)[:, None]
    latents = (1 - t) * np.array(a) + t * np.array(b)
    return {
        "film": sheet_uri(pictures(store, latents), FRAMES),
        "code": snippets.line(store.models[MAP], a, b),
    }


def placed(store: ModelStore, image: np.ndarray, limit: float) -> Json:
    """Where an image (H, W, C) uint8 lies on the map, and what comes back from there."""
    pipe = store.pipe(MAP)
    posterior = pipe.encode(image[None])
    mean, deviation = posterior.mean[0].tolist(), (0.5 * posterior.log_variance[0]).exp().tolist()
    z = point(mean, 1e6)
    return {
        "seen": raw(image),
        "picture": raw(pictures(store, [z])[0]),
        "z": z,
        "deviation": [min(d, 2 * limit) if math.isfinite(d) else 0.0 for d in deviation],
    }


def example_answer(store: ModelStore, real: RealImages, index: int) -> Json:
    """A test image, placed."""
    model = store.models[MAP]
    answer = placed(store, real.test[index], MAX_LIMIT)
    code = snippets.reconstruct(model, real, index) if real.unchanged else snippets.decode(model, answer["z"])
    return {**answer, "label": real.class_names[real.test_labels[index]], "code": code}


def law_of(store: ModelStore) -> list[list[float]] | None:
    """The Gaussians of the law that was fitted to the latents, None if there is none.

    Of each its share, its mean, and the ellipse of one standard deviation: both half axes, and the angle of the first.
    """
    prior = store.pipe(MAP).prior
    if prior is None:
        return None
    law = []
    for share, mean, factor in zip(prior.weights.tolist(), prior.means.tolist(), prior.factors.double(), strict=True):
        axes, lengths, _ = factor.svd()
        angle = math.atan2(float(axes[1, 0]), float(axes[0, 0]))
        law.append([round(v, 3) for v in (share, *mean, *lengths.tolist(), angle)])
    return law


def first_anchors(points: Json | None, limit: float) -> tuple[list[float], list[float]]:
    """Where the two anchors stand at first: in the middle of the first and of the second class."""
    if points is None or len(set(points["labels"])) < 2:
        return [-limit / 2, -limit / 3], [limit / 2, limit / 3]
    labels = np.array(points["labels"])
    xy = np.stack([points["x"], points["y"]], axis=1)
    first, second = sorted(set(points["labels"]))[:2]
    a, b = ([round(float(v), 2) for v in np.median(xy[labels == c], axis=0)] for c in (first, second))
    return a, b


def first_page(store: ModelStore) -> Json:
    """What the tab shows before any click."""
    points, limit = scatter(store)
    model = store.models[MAP]
    steps = atlas_steps(model.sample_size)
    atlas = opaque(to_bytes(store.pipe(MAP).traverse(steps=steps, limit=limit, output_type="np").images))
    a, b = (point(anchor, limit) for anchor in first_anchors(points, limit))
    middle = [(u + v) / 2 for u, v in zip(a, b, strict=True)]
    page = {
        "limit": limit,
        "steps": steps,
        "atlas": sheet_uri(atlas, steps),
        "atlas_code": snippets.atlas(model, steps, limit),
        "points": points,
        "law": law_of(store),
        "anchors": [a, b],
        "z": middle,
        "picture": raw(pictures(store, [middle])[0]),
        "picture_code": snippets.decode(model, middle),
        "line": film(store, a, b),
    }
    real = store.real_images(MAP)
    if real is not None:
        page["example"] = example_answer(store, real, 0)
    return page


def functions(store: ModelStore) -> list[Callable]:
    """What the tab's page may call."""
    model: Model = store.models[MAP]

    start = start_function(store, "map", first_page)

    @server_function(quick_lane)
    def decode(payload: Json) -> Json:
        z = point(payload.get("z"), MAX_LIMIT)
        return {"picture": raw(pictures(store, [z])[0]), "z": z, "code": snippets.decode(model, z)}

    @cache
    def layers() -> list[Json] | None:
        return in_page.layers_of(store.pipe(MAP))

    @server_function(quick_lane)
    def decoder(payload: Json) -> Json:
        return {"layers": layers(), "code": snippets.decode(model, [0, 0])}

    @server_function(quick_lane)
    def resample(payload: Json) -> Json:
        import torch

        mean, deviation = (point(payload.get(name), MAX_LIMIT) for name in ("z", "deviation"))
        seed = seed_of(payload)
        noise = torch.randn(DRAWS, 2, generator=torch.Generator().manual_seed(seed))
        latents = (torch.tensor(mean) + torch.tensor(deviation) * noise).tolist()
        return {
            "sheet": sheet_uri(pictures(store, latents), DRAWS),
            "latents": [point(z, 2 * MAX_LIMIT) for z in latents],
            "code": snippets.resample(model, mean, deviation, DRAWS, seed),
        }

    @server_function(quick_lane)
    def drawn(payload: Json) -> Json:
        pipe, seed = store.pipe(MAP), seed_of(payload)
        prior = one_of(payload.get("prior"), PRIORS, NORMAL)
        if prior == FITTED and pipe.prior is None:
            raise UserError(f"No law was fitted to the latents of {model.title}: it draws from N(0, I).")
        output = pipe(num_images=DRAWS, seed=seed, prior=prior, output_type="np")
        return {
            "sheet": sheet_uri(to_bytes(output.images), DRAWS),
            "latents": [point(z, 1e6) for z in output.latents.tolist()],
            "code": snippets.drawn(model, DRAWS, seed, prior),
        }

    @server_function(normal_lane)
    def line(payload: Json) -> Json:
        return film(store, point(payload.get("a"), MAX_LIMIT), point(payload.get("b"), MAX_LIMIT))

    @server_function(quick_lane)
    def place(payload: Json) -> Json:
        store.pipe(MAP)
        drawing = read_bytes(payload.get("drawing"), DRAWING, DRAWING)
        centred = None if drawing is None else centre_drawing(drawing, model.sample_size)
        if centred is None:
            raise UserError("Draw something first.")
        answer = placed(store, np.repeat(centred[..., None], model.num_channels, axis=2), MAX_LIMIT)
        return {**answer, "code": snippets.decode(model, answer["z"])}

    @server_function(quick_lane)
    def example(payload: Json) -> Json:
        real = store.real_images_beside(MAP)
        index = integer(payload.get("index"), 0, len(real.test) - 1, 0)
        return example_answer(store, real, index)

    film_of_model = films.film_function(lambda payload: model)
    return [
        start,
        decode,
        decoder,
        resample,
        drawn,
        line,
        place,
        example,
        film_of_model,
        *pair.functions(store),
        *faces.functions(store),
    ]


def build(store: ModelStore) -> gr.HTML:
    """The tab's contents."""
    model = store.models[MAP]
    page = {
        "reason": model.reason,
        "size": model.sample_size,
        "channels": min(model.num_channels, 3),
        "draws": model.num_channels == 1,
        "resampled": DRAWS,
        "film": films.film_of(model),
        "sources": model.sources,
        "radius": pair.RADIUS,
        "pair": pair.sources(store),
        "first": files.read("map") if model.built_in else None,
        "faces": faces.page(store),
    }
    parts = ["pair", *(["faces"] if page["faces"] else [])]
    return widget("map", "Latent map", page, functions(store), parts, here=store.here)
