"""The Samples tab: contact sheets of a generator and the way from one of its images to another; `gallery` is its second view."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from ...errors import UserError
from .. import Json, breed, directions, films, gallery, loop
from .. import first_page as files
from ..admission import normal_lane
from ..inputs import guidance_of, integer, one_of, psi_of, seed_of, server_function, start_function
from ..models import SAMPLES, Model, ModelStore
from ..pictures import FRAMES, sheet_uri, to_bytes
from ..widget import widget
from . import snippets

COUNTS = (16, 36, 64)
# Images whose stages are shown, and most of the steps among them.
STAGED, STEPS_SHOWN = 4, 6
FIRST_SEED, FIRST_COUNT, FIRST_PAIR = 0, 36, (0, 8)


def options_of(model: Model, payload: Json) -> Json:
    """What a visitor asks for beside the seed, as arguments of the model's pipeline."""
    options: Json = {"psi": psi_of(payload)} if model.family.truncates else {}
    options |= gallery.class_of(model, payload)
    # 1 is what was learned.
    guidance = guidance_of(payload) if is_guided(model) else 1
    return options if guidance == 1 else {**options, "guidance_scale": guidance}


def sheet_answer(store: ModelStore, model: Model, seed: int, count: int, options: Json) -> Json:
    """A contact sheet and its Python; `options` are those of `options_of`."""
    images = to_bytes(store.pipe(model)(num_images=count, seed=seed, output_type="np", **options).images)
    return {
        "sheet": sheet_uri(images, round(count**0.5)),
        "size": images.shape[1],
        "model": model.key,
        "seed": seed,
        "count": count,
        "code": snippets.samples(model, count, seed, options),
    }


def between_answer(store: ModelStore, model: Model, seed: int, a: int, b: int, options: Json) -> Json:
    """FRAMES images in one row, from image `a` of a seed to image `b`."""
    from ...latents import draw_latents

    pipe = store.pipe(model)
    latents = pipe.from_normal(draw_latents(max(a, b) + 1, pipe.latent_dim, seed=seed))
    options = {**gallery.classes_of(pipe, a, b), **options}
    images = pipe.interpolate(latents[a], latents[b], FRAMES, output_type="np", **options).images
    return {
        "film": sheet_uri(to_bytes(images), FRAMES),
        "a": a,
        "b": b,
        "code": snippets.between(model, a, b, seed, options),
    }


def stages_answer(store: ModelStore, model: Model, seed: int, options: Json) -> Json:
    """How the first images of a seed come about, a sheet of one row for each stage: the levels of a LAPGAN, the coarsest first,
    or some steps of a diffusion model, each the picture that the network expects then.
    """
    if not is_staged(model):
        raise UserError(f"{model.title} draws its images in one go, not in stages.")
    pipe, call = store.pipe(model), {"num_images": STAGED, "seed": seed, "output_type": "np", **options}
    numbers = None
    if model.family.takes_steps:
        drawn = pipe(**call, return_trajectory=True).trajectory
        shown = min(len(drawn), STEPS_SHOWN)
        numbers = [1 + i * (len(drawn) - 1) // max(shown - 1, 1) for i in range(shown)]
        drawn = [drawn[number - 1] for number in numbers]
    else:
        drawn = pipe(**call, return_stages=True).stages
    return {
        "model": model.key,
        "sheets": [sheet_uri(to_bytes(images), STAGED) for images in drawn],
        "sizes": [images.shape[1] for images in drawn],
        "steps": numbers,
        "code": snippets.stages(model, STAGED, seed, options, numbers),
    }


def is_staged(model: Model) -> bool:
    """Whether an image of this model comes about in stages that can be looked at."""
    return model.family.draws_in_stages or model.family.takes_steps


def is_guided(model: Model) -> bool:
    """Whether its images can be pushed towards their class."""
    return model.family.takes_steps and model.labelled


def first_page(store: ModelStore) -> Json:
    """What the tab shows before any click."""
    model = store.models[SAMPLES]
    options = options_of(model, {})
    return {
        "sheet": sheet_answer(store, model, FIRST_SEED, FIRST_COUNT, options),
        "between": between_answer(store, model, FIRST_SEED, *FIRST_PAIR, options),
    }


def functions(store: ModelStore) -> list[Callable]:
    """What the tab's page may call."""

    def common(payload: Json) -> tuple[Model, int, Json]:
        model = gallery.chosen(store, payload)
        return model, seed_of(payload), options_of(model, payload)

    start = start_function(store, "samples", first_page)

    @server_function(normal_lane)
    def sheet(payload: Json) -> Json:
        model, seed, options = common(payload)
        return sheet_answer(store, model, seed, one_of(payload.get("count"), COUNTS, FIRST_COUNT), options)

    @server_function(normal_lane)
    def between(payload: Json) -> Json:
        model, seed, options = common(payload)
        a, b = (integer(payload.get(end), 0, max(COUNTS) - 1, 0) for end in "ab")
        return between_answer(store, model, seed, a, b, options)

    @server_function(normal_lane)
    def stages(payload: Json) -> Json:
        return stages_answer(store, *common(payload))

    film = films.film_function(lambda payload: gallery.chosen(store, payload))
    return [
        start,
        sheet,
        between,
        stages,
        film,
        *gallery.functions(store),
        *breed.functions(store),
        *loop.functions(store),
        *directions.functions(store),
    ]


def build(store: ModelStore) -> gr.HTML:
    """The tab's contents."""
    model = store.models[SAMPLES]
    page = {
        "reason": model.reason,
        "models": {
            other.key: {
                **gallery.described(other),
                "stages": is_staged(other),
                "steps": other.family.takes_steps,
                "guided": is_guided(other),
                "breeds": other.family.breeds,
            }
            for other in store.gallery
        },
        "staged": STAGED,
        "main": model.key,
        "columns": gallery.COLUMNS,
        "litter_columns": breed.COLUMNS,
        "moves": {"limit": directions.LIMIT, "images": directions.IMAGES},
        "counts": COUNTS,
        "first": files.read("samples") if model.built_in else None,
    }
    parts = [
        "gallery",
        *(["breed", "loop", "directions"] if any(model.family.breeds for model in store.gallery) else []),
    ]
    return widget("samples", "Samples", page, functions(store), parts, here=store.here)
