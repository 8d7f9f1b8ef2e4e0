"""The Map tab's third view: arithmetic with the labelled attributes of a VAE's latent space, a smile added to a face."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from .. import Json
from ..admission import normal_lane, quick_lane
from ..inputs import integer, number, read_bytes, seed_of, server_function
from ..models import FACES, ModelStore
from ..pictures import raw, sheet_uri, to_bytes
from . import snippets

if TYPE_CHECKING:
    import torch

COUNT, FIRST_SEED = 12, 10
MAX_ATTRIBUTES = 8
# Strengths go from -LIMIT to LIMIT, in units of the difference of the means.
LIMIT = 2.0
# Images along a side of the grid over two attributes.
STEPS = 5
# No posterior mean of a photo lies farther out on any axis.
MAX_Z = 100.0
# Pixels of a photo from side to side.
MAX_PHOTO = 100_000


def names_of(store: ModelStore) -> list[str]:
    """The attributes that are shown, at most MAX_ATTRIBUTES."""
    return store.pipe(FACES).attribute_names[:MAX_ATTRIBUTES]


def check_name(value: Any, names: list[str]) -> str:
    """`value`, one of the names.

    Raises:
        UserError: it is none of them.
    """
    if not isinstance(value, str) or value not in names:
        raise UserError(f"There is no such attribute: known are {', '.join(names)}.")
    return value


def strengths_of(value: Any, names: list[str]) -> dict[str, float]:
    """The strengths that are not 0, each in [-LIMIT, LIMIT] and rounded as the Python shows it, in the order of `names`.

    Raises:
        UserError: an unknown attribute.
    """
    given = value if isinstance(value, dict) else {}
    for name in given:
        check_name(name, names)
    strengths = {name: round(number(given.get(name), -LIMIT, LIMIT, 0.0), 2) for name in names}
    return {name: strength for name, strength in strengths.items() if strength}


def square_of(payload: Json) -> tuple[int, int, int]:
    """Left, top and side of the part of the photo that was encoded, in pixels of the photo."""
    given = payload.get("square")
    numbers = [integer(v, 0, MAX_PHOTO, 0) for v in given[:3]] if isinstance(given, list) else []
    left, top, side = [*numbers, 0, 0, 0][:3]
    return left, top, max(side, 1)


def face_of(store: ModelStore, payload: Json) -> tuple[torch.Tensor, snippets.Face]:
    """The latent (1, latent_dim) that the page means, a photo's or that of face `index` of a seed, and what to call it.

    Raises:
        UserError: what came as a photo's latent is none.
    """
    import torch

    from ...latents import draw_latents

    pipe = store.pipe(FACES)
    z = payload.get("z")
    if z is None:
        seed = seed_of(payload, FIRST_SEED)
        index = integer(payload.get("index"), 0, COUNT - 1, 0)
        latents = pipe.from_normal(draw_latents(index + 1, pipe.latent_dim, seed=seed))
        return latents[index:], snippets.Face(seed, index)
    if not isinstance(z, list) or len(z) != pipe.latent_dim:
        raise UserError(f"A photo's latent is a list of {pipe.latent_dim} numbers: choose the photo again.")
    return torch.tensor([[number(v, -MAX_Z, MAX_Z, 0.0) for v in z]]), snippets.Face(square=square_of(payload))


def functions(store: ModelStore) -> list[Callable]:
    """What the view's page may call; nothing without a model."""
    if FACES not in store.models:
        return []
    model = store.models[FACES]

    @server_function(normal_lane)
    def faces(payload: Json) -> Json:
        pipe = store.pipe(FACES)
        seed = seed_of(payload, FIRST_SEED)
        drawn = pipe(num_images=COUNT, seed=seed, output_type="np")
        return {
            "sheet": sheet_uri(to_bytes(drawn.images), COUNT),
            "seed": seed,
            "names": names_of(store),
            "held_fixed": bool(pipe.attributes.config.decorrelated),
        }

    @server_function(quick_lane)
    def edit(payload: Json) -> Json:
        latents, face = face_of(store, payload)
        strengths = strengths_of(payload.get("strengths"), names_of(store))
        images = store.pipe(FACES).edit(latents=latents, attribute=strengths, output_type="np").images
        return {"picture": raw(to_bytes(images)[0]), "code": snippets.edit(model, face, strengths)}

    @server_function(normal_lane)
    def photo(payload: Json) -> Json:
        pipe = store.pipe(FACES)
        size = model.sample_size
        pixels = read_bytes(payload.get("photo"), size, size, 3)
        if pixels is None:
            raise UserError(f"That is no photo of {size} by {size} pixels: choose one with the button.")
        mean = pipe.encode(pixels[None]).mean
        z = [round(number(v, -MAX_Z, MAX_Z, 0.0), 4) for v in mean[0].tolist()]
        return {"picture": raw(to_bytes(pipe.decode(mean, output_type="np").images)[0]), "z": z}

    @server_function(quick_lane)
    def arithmetic(payload: Json) -> Json:
        from ...latents import draw_latents

        pipe = store.pipe(FACES)
        seed = seed_of(payload, FIRST_SEED)
        a, b, c = (integer(payload.get(name), 0, COUNT - 1, 0) for name in "abc")
        latents = pipe.from_normal(draw_latents(COUNT, pipe.latent_dim, seed=seed))
        images = pipe.decode((latents[a] - latents[b] + latents[c])[None], output_type="np").images
        return {"picture": raw(to_bytes(images)[0]), "code": snippets.arithmetic(model, seed, (a, b, c))}

    @server_function(normal_lane)
    def factors(payload: Json) -> Json:
        latents, face = face_of(store, payload)
        a, b = (check_name(payload.get(key), names_of(store)) for key in "ab")
        if a == b:
            raise UserError("Choose two different attributes.")
        grid = store.pipe(FACES).traverse(
            attributes=(a, b), latents=latents[0], steps=STEPS, limit=LIMIT, output_type="np"
        )
        return {
            "grid": sheet_uri(to_bytes(grid.images), STEPS * STEPS),
            "code": snippets.factors(model, face, (a, b), STEPS, LIMIT),
        }

    return [faces, edit, photo, arithmetic, factors]


def page(store: ModelStore) -> Json | None:
    """What the view's JavaScript finds in `page.faces`; None if there is no model for it."""
    if FACES not in store.models:
        return None
    model = store.models[FACES]
    return {
        "size": model.sample_size,
        "count": COUNT,
        "seed": FIRST_SEED,
        "limit": LIMIT,
        "steps": STEPS,
        "sources": model.sources,
    }
