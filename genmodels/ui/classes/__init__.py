"""The Classes tab: conditional GANs and VAEs draw what their label says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from ...errors import UserError
from .. import Json, films
from .. import first_page as files
from ..admission import normal_lane
from ..inputs import integer, psi_of, seed_of, server_function, start_function
from ..models import CLASSES, Model, ModelStore, Pipeline
from ..pictures import FRAMES, sheet_uri, to_bytes
from ..widget import widget
from . import snippets

if TYPE_CHECKING:
    import torch

MAX_TEXT = 12
# Classes in the row that one latent goes through: a model may know a thousand. Rows of the table.
MAX_ROW, STYLES = 10, 8
PER_CLASS = 10
FIRST_SEED, FIRST_TEXT = 10, "2026"


def check_text(text: Any, class_names: list[str]) -> str:
    """The number to write.

    Raises:
        UserError: there is nothing, too much, or something that is no digit, or the model draws no digits.
    """
    if not writes_digits(class_names):
        raise UserError("This model has no classes 0 to 9, so it cannot write numbers.")
    text = text.strip() if isinstance(text, str) else ""
    if not text:
        raise UserError("Type a number: one to twelve digits, such as 2026.")
    if not all(c in "0123456789" for c in text):
        raise UserError("Only the digits 0 to 9 can be written: the model has learned nothing else.")
    if len(text) > MAX_TEXT:
        raise UserError(f"That is {len(text)} digits; at most {MAX_TEXT} fit." if len(text) < 1000 else "Too long.")
    return text


def writes_digits(class_names: list[str]) -> bool:
    """Whether the classes contain all ten digits."""
    return set("0123456789") <= set(class_names)


def scores_of(pipe: Pipeline, images: np.ndarray, labels: torch.Tensor) -> list[float] | None:
    """What the discriminator thinks of images of these classes, higher for more real; None without a discriminator."""
    if getattr(pipe, "discriminator", None) is None:
        return None
    return [round(float(score), 2) for score in np.nan_to_num(pipe.discriminate(images, labels).numpy())]


def row_answer(store: ModelStore, model: Model, seed: int, psi: float) -> Json:
    """One latent as every class."""
    from ...latents import draw_latents

    pipe = store.pipe(model)
    count = min(pipe.num_classes, MAX_ROW)
    latent = draw_latents(1, pipe.latent_dim, seed=seed)
    drawn = pipe(latents=latent.repeat(count, 1), psi=psi, output_type="np")
    return {
        "model": model.key,
        "row": sheet_uri(to_bytes(drawn.images), count),
        "scores": scores_of(pipe, drawn.images, drawn.class_labels),
        "code": snippets.every_class(model, count, seed, psi),
    }


def samples_answer(store: ModelStore, model: Model, label: int, seed: int, psi: float) -> Json:
    """Several latents as one class."""
    pipe = store.pipe(model)
    drawn = pipe(num_images=PER_CLASS, class_labels=pipe.class_names[label], seed=seed, psi=psi, output_type="np")
    return {
        "model": model.key,
        "samples": sheet_uri(to_bytes(drawn.images), PER_CLASS),
        "scores": scores_of(pipe, drawn.images, drawn.class_labels),
        "code": snippets.one_class(model, model.class_names[label], PER_CLASS, seed, psi),
    }


def table_answer(store: ModelStore, model: Model, seed: int, psi: float) -> Json:
    """STYLES latents, a row each, as every class, a column each."""
    from ...latents import draw_latents

    pipe = store.pipe(model)
    count = min(pipe.num_classes, MAX_ROW)
    latents = draw_latents(STYLES, pipe.latent_dim, seed=seed).repeat_interleave(count, 0)
    labels = pipe.class_names[:count] * STYLES
    images = pipe(latents=latents, class_labels=labels, psi=psi, output_type="np").images
    code = snippets.table(model, STYLES, count, seed, psi)
    return {"model": model.key, "table": sheet_uri(to_bytes(images), count), "code": code}


def mix_answer(store: ModelStore, model: Model, a: int, b: int, seed: int, psi: float) -> Json:
    """One latent from class `a` to class `b`: FRAMES images in one row."""
    from ...latents import draw_latents

    pipe = store.pipe(model)
    latents = draw_latents(1, pipe.latent_dim, seed=seed).repeat(FRAMES, 1)
    images = pipe(
        latents=latents,
        class_labels=pipe.label_path((pipe.class_names[a], pipe.class_names[b]), FRAMES),
        psi=psi,
        output_type="np",
    ).images
    code = snippets.mix(model, model.class_names[a], model.class_names[b], seed, psi)
    return {"model": model.key, "film": sheet_uri(to_bytes(images), FRAMES), "code": code}


def write_answer(store: ModelStore, model: Model, text: str, seed: int, psi: float) -> Json:
    """A number, one latent per digit; `text` has been checked."""
    pipe = store.pipe(model)
    images = pipe(class_labels=list(text), seed=seed, psi=psi, output_type="np").images
    return {
        "model": model.key,
        "number": sheet_uri(to_bytes(images), len(text)),
        "length": len(text),
        "code": snippets.write(model, text, seed, psi),
    }


def chosen(store: ModelStore, payload: Json) -> Model:
    """The model that a visitor asks for by its name, the tab's first one for any other."""
    return store.chosen(CLASSES, payload.get("model"))


def first_page(store: ModelStore) -> Json:
    """What the tab shows before any click."""
    model = store.models[CLASSES]
    a, b = first_mix(model)
    seed, psi = FIRST_SEED, 1.0
    return {
        "row": row_answer(store, model, seed, psi),
        "samples": samples_answer(store, model, a, seed, psi),
        "table": table_answer(store, model, seed, psi),
        "mix": mix_answer(store, model, a, b, seed, psi),
        "number": write_answer(store, model, FIRST_TEXT, seed, psi) if writes_digits(model.class_names) else None,
    }


def first_mix(model: Model) -> tuple[int, int]:
    """The two classes that the page mixes at first; it opens with several images of the first of them."""
    a, b = (model.class_names.index(name) for name in model.featured)
    return a, b


def functions(store: ModelStore) -> list[Callable]:
    """What the tab's page may call."""

    def label(payload: Json, name: str) -> int:
        return integer(payload.get(name), 0, len(chosen(store, payload).class_names) - 1, 0)

    def common(payload: Json) -> tuple[int, float]:
        return seed_of(payload), psi_of(payload)

    start = start_function(store, "classes", first_page)

    @server_function(normal_lane)
    def row(payload: Json) -> Json:
        return row_answer(store, chosen(store, payload), *common(payload))

    @server_function(normal_lane)
    def samples(payload: Json) -> Json:
        return samples_answer(store, chosen(store, payload), label(payload, "label"), *common(payload))

    @server_function(normal_lane)
    def table(payload: Json) -> Json:
        return table_answer(store, chosen(store, payload), *common(payload))

    @server_function(normal_lane)
    def mix(payload: Json) -> Json:
        a, b = label(payload, "a"), label(payload, "b")
        return mix_answer(store, chosen(store, payload), a, b, *common(payload))

    @server_function(normal_lane)
    def write(payload: Json) -> Json:
        model = chosen(store, payload)
        return write_answer(store, model, check_text(payload.get("text"), model.class_names), *common(payload))

    film = films.film_function(lambda payload: chosen(store, payload))
    return [start, row, samples, table, mix, write, film]


def described(model: Model) -> Json:
    """What the page knows of a model before it draws."""
    names = model.class_names
    return {
        "title": model.title,
        "reason": model.reason,
        "size": model.sample_size,
        "class_names": names,
        "row": min(len(names), MAX_ROW),
        "pair": first_mix(model),
        "writes": writes_digits(names),
        "film": films.film_of(model),
        "sources": model.sources,
    }


def build(store: ModelStore) -> gr.HTML:
    """The tab's contents."""
    model = store.models[CLASSES]
    page = {
        "reason": model.reason,
        "models": {other.key: described(other) for other in store.conditional},
        "main": model.key,
        "per_class": PER_CLASS,
        "styles": STYLES,
        "text": FIRST_TEXT,
        "seed": FIRST_SEED,
        "first": files.read("classes") if model.built_in else None,
    }
    return widget("classes", "Classes", page, functions(store), here=store.here)
