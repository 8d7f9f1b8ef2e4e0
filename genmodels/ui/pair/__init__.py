"""The Map tab's second view: a VAE and an autoencoder side by side, with one cursor at the same latent of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from ...errors import UserError
from .. import Json, in_page
from .. import first_page as files
from ..admission import quick_lane
from ..inputs import point, server_function
from ..models import AUTOENCODER, MAP, Model, ModelStore
from ..pictures import opaque, raw, sheet_uri, to_bytes
from ..plane import MAX_LIMIT, atlas_steps, pictures, scatter
from ..snippets import GRID, TORCH, listed, quoted

PAIR = (MAP, AUTOENCODER)
# The radius of the cursor: a spot with no test image inside it is a hole.
RADIUS = 0.2
# Latents drawn from N(0, I) to count how many fall into holes.
DRAWS = 2000


def models_of(store: ModelStore) -> list[Model]:
    """The two models.

    Raises:
        UserError: they cannot stand side by side; the text says why.
    """
    models = [store.models[kind] for kind in PAIR]
    for model in models:
        if model.reason is not None:
            raise UserError(model.reason)
    vae, autoencoder = models
    if vae.num_channels != autoencoder.num_channels:
        raise UserError(
            f"{vae.title} and {autoencoder.title} have learned from other images, so their maps do not compare."
        )
    return models


def to_nearest(spots: np.ndarray, points: Json) -> np.ndarray:
    """Distances (N,) from (N, 2) spots of a map to the nearest test image on it."""
    images = np.stack([points["x"], points["y"]], axis=1)
    return np.sqrt(((spots[:, None] - images[None]) ** 2).sum(2).min(1))


def in_holes(points: Json) -> float:
    """Share of latents drawn from N(0, I) that have no test image within RADIUS."""
    draws = np.random.default_rng(0).standard_normal((DRAWS, 2))
    return round(float((to_nearest(draws, points) > RADIUS).mean()), 3)


def first_spot(vae: Json, autoencoder: Json) -> list[float]:
    """Where the cursor stands at first: deepest in a hole of the autoencoder's where the VAE has none, two from 0 at most."""
    line = np.arange(-20, 21) / 10
    spots = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    spots = spots[(spots**2).sum(1) <= 4]
    depth = to_nearest(spots, autoencoder) - 10 * (to_nearest(spots, vae) > RADIUS)
    return point(spots[int(depth.argmax())].tolist(), MAX_LIMIT)


def first_page(store: ModelStore) -> Json:
    """Both maps on the same square, and what lies under the cursor."""
    models = models_of(store)
    for kind in PAIR:
        store.real_images_beside(kind)
    scatters = [scatter(store, kind) for kind in PAIR]
    limit = max(limit for _, limit in scatters)
    dots = [points for points, _ in scatters if points is not None]
    z = first_spot(*dots)
    page: Json = {"limit": limit, "z": z, "code": program(models, z)}
    for kind, model, points in zip(PAIR, models, dots, strict=True):
        steps = atlas_steps(model.sample_size)
        atlas = opaque(to_bytes(store.pipe(kind).traverse(steps=steps, limit=limit, output_type="np").images))
        page[kind] = {
            "name": model.title,
            "size": model.sample_size,
            "channels": min(model.num_channels, 3),
            "atlas": sheet_uri(atlas, steps),
            "points": points,
            "in_holes": in_holes(points),
            "picture": raw(pictures(store, [z], kind)[0]),
        }
    return page


def sources(store: ModelStore) -> list[tuple[str, Json]]:
    """Titles of the two models, and where they come from."""
    return [(store.models[kind].title, store.models[kind].sources) for kind in PAIR if kind in store.models]


def program(models: Sequence[Model], z: Sequence[float]) -> str:
    """One point of two maps."""
    loads = "".join(f"    {model.class_name}.from_pretrained({quoted(model.name)}),\n" for model in models)
    return (
        f"{TORCH}\n{GRID}\nfrom genmodels import {', '.join(sorted(model.class_name for model in models))}\n\n"
        f"pipes = [\n{loads}]\n"
        f"z = torch.tensor([{listed(z)}])\n"
        "images = [pipe.decode(z).images[0] for pipe in pipes]\n"
        'make_image_grid(images, rows=1, cols=2).save("both.png")\n'
    )


def functions(store: ModelStore) -> list[Callable]:
    """What the view's page may call."""

    @server_function(quick_lane)
    def pair(payload: Json) -> Json:
        prepared = files.read("pair") if all(model.built_in for model in models_of(store)) else None
        return prepared or store.first_page("pair", first_page)

    @server_function(quick_lane)
    def decode_both(payload: Json) -> Json:
        models = models_of(store)
        z = point(payload.get("z"), MAX_LIMIT)
        shown = {kind: raw(pictures(store, [z], kind)[0]) for kind in PAIR}
        return {**shown, "z": z, "code": program(models, z)}

    @cache
    def layers() -> dict[str, list[Json] | None] | None:
        found = {kind: in_page.layers_of(store.pipe(kind)) for kind in PAIR}
        return found if all(found.values()) else None

    @server_function(quick_lane)
    def decoders(payload: Json) -> Json:
        return {"layers": layers(), "code": program(models_of(store), [0, 0])}

    return [pair, decode_both, decoders]
