"""The Samples tab's view of children: two images of one generator cross, again and again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from .. import Json, gallery
from ..admission import normal_lane
from ..inputs import number, seed_of, server_function
from ..models import Model, ModelStore, Pipeline
from ..pictures import sheet_uri, to_bytes
from ..snippets import GRID, TORCH, head, listed, options_of, rows_of

if TYPE_CHECKING:
    import torch

# A litter in its rows, and the images that one may begin with.
CHILDREN, COLUMNS, FOUNDERS = 12, 4, 2
# No number of a latent lies farther out.
MAX_Z = 10.0


def chosen(store: ModelStore, payload: Json) -> tuple[Model, Pipeline, Json]:
    """The model that a visitor asks for, its pipeline, and the class as an argument of that, if it has any.

    Raises:
        UserError: it has no such latent space.
    """
    model = gallery.chosen(store, payload)
    if not model.family.breeds:
        raise UserError(f"{model.title} does not draw from a single latent: choose another model.")
    return model, store.pipe(model), gallery.class_of(model, payload)


def latent_of(value: Any, latent_dim: int) -> list[float]:
    """A latent as the page sends it, rounded as its Python shows it.

    Raises:
        UserError: it has another length.
    """
    if not isinstance(value, list) or len(value) != latent_dim:
        raise UserError(f"A parent is a list of {latent_dim} numbers: begin again.")
    return [round(number(v, -MAX_Z, MAX_Z, 0.0), 2) for v in value]


def rounded(latents: torch.Tensor) -> list[list[float]]:
    """(N, latent_dim) for the page."""
    return [[round(float(v), 2) for v in row] for row in latents]


def program(
    model: Model, parents: Sequence[Sequence[float]], mutation: float, seed: int, count: int, label: Json
) -> str:
    """Children of two latents."""
    rows = rows_of(count)
    return head(model, [TORCH, GRID]) + (
        f"a, b = torch.tensor([\n    {listed(parents[0])},\n    {listed(parents[1])},\n])\n"
        f"images = pipe.breed(a, b, num_images={count}, mutation={mutation:g}, seed={seed}{options_of(label)}).images\n"
        f'make_image_grid(images, rows={rows}, cols={count // rows}).save("children.png")\n'
    )


def functions(store: ModelStore) -> list[Callable]:
    """What the view's page may call."""

    @server_function(normal_lane)
    def founders(payload: Json) -> Json:
        import torch

        from ...latents import draw_latents

        model, pipe, label = chosen(store, payload)
        seed = seed_of(payload)
        latents = rounded(draw_latents(FOUNDERS, pipe.latent_dim, seed=seed))
        images = pipe(latents=torch.tensor(latents), output_type="np", **label).images
        return {"model": model.key, "latents": latents, "sheet": sheet_uri(to_bytes(images), FOUNDERS)}

    @server_function(normal_lane)
    def litter(payload: Json) -> Json:
        import torch

        from ...latents import cross_latents

        model, pipe, label = chosen(store, payload)
        given = payload.get("parents")
        given = given if isinstance(given, list) and len(given) == 2 else [None, None]
        parents = [latent_of(parent, pipe.latent_dim) for parent in given]
        mutation = round(number(payload.get("mutation"), 0.0, 1.0, 0.2), 2)
        seed = seed_of(payload)
        a, b = torch.tensor(parents)
        latents = cross_latents(a, b, CHILDREN, mutation, seed)
        images = pipe(latents=latents, output_type="np", **label).images
        return {
            "model": model.key,
            "latents": rounded(latents),
            "sheet": sheet_uri(to_bytes(images), COLUMNS),
            "size": images.shape[1],
            "code": program(model, parents, mutation, seed, CHILDREN, label),
        }

    return [founders, litter]
