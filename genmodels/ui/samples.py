"""The Samples tab: contact sheets of a DCGAN, and the way from one of its images to another."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from . import first_page as files
from . import snippets
from .inputs import MAX_SEED, integer, number, one_of, server_function
from .models import SAMPLES, ModelStore
from .pictures import FRAMES, sheet_uri, to_bytes
from .widget import widget

COUNTS = (16, 36, 64)
# The range of truncation that the page offers; the pipeline takes 0 to 2.
MAX_PSI = 1.5
FIRST_SEED, FIRST_COUNT, FIRST_PAIR = 0, 36, (0, 8)


def sheet_answer(store: ModelStore, seed: int, count: int, psi: float) -> dict:
    """A contact sheet and its Python."""
    pipe = store.pipe(SAMPLES)
    images = to_bytes(pipe(num_images=count, seed=seed, psi=psi, output_type="np").images)
    return {
        "sheet": sheet_uri(images, round(count**0.5)),
        "seed": seed,
        "count": count,
        "psi": psi,
        "code": snippets.samples(store.models[SAMPLES], count, seed, psi),
    }


def between_answer(store: ModelStore, seed: int, a: int, b: int, psi: float) -> dict:
    """FRAMES images in one row, from image `a` of a seed to image `b`."""
    from ..pipelines.base import draw_latents

    pipe = store.pipe(SAMPLES)
    latents = draw_latents(max(a, b) + 1, pipe.latent_dim, seed=seed)
    images = to_bytes(pipe.interpolate(latents[a], latents[b], steps=FRAMES, psi=psi, output_type="np").images)
    return {
        "film": sheet_uri(images, FRAMES),
        "a": a,
        "b": b,
        "code": snippets.between(store.models[SAMPLES], a, b, seed, psi),
    }


def first_page(store: ModelStore) -> dict:
    """What the tab shows before any click."""
    return {
        "sheet": sheet_answer(store, FIRST_SEED, FIRST_COUNT, 1.0),
        "between": between_answer(store, FIRST_SEED, *FIRST_PAIR, 1.0),
    }


def functions(store: ModelStore) -> list[Callable]:
    """What the tab's page may call."""

    @server_function
    def start(payload: dict) -> dict:
        return store.first_page("samples", first_page)

    @server_function
    def sheet(payload: dict) -> dict:
        seed = integer(payload.get("seed"), 0, MAX_SEED, 0)
        count = one_of(payload.get("count"), COUNTS, FIRST_COUNT)
        return sheet_answer(store, seed, count, round(number(payload.get("psi"), 0.0, MAX_PSI, 1.0), 2))

    @server_function
    def between(payload: dict) -> dict:
        seed = integer(payload.get("seed"), 0, MAX_SEED, 0)
        a, b = (integer(payload.get(end), 0, max(COUNTS) - 1, 0) for end in "ab")
        return between_answer(store, seed, a, b, round(number(payload.get("psi"), 0.0, MAX_PSI, 1.0), 2))

    return [start, sheet, between]


def build(store: ModelStore) -> gr.HTML:
    """The tab's contents."""
    model = store.models[SAMPLES]
    page = {
        "reason": model.reason,
        "size": model.sample_size,
        "frogs": model.built_in,
        "counts": COUNTS,
        "max_psi": MAX_PSI,
        "max_seed": MAX_SEED,
        "first": files.read("samples") if model.built_in else None,
    }
    return widget("samples", "Samples", page, functions(store))
