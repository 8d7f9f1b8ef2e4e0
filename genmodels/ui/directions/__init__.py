"""The Samples tab's view of a generator's principal directions: sliders that nobody has labelled."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .. import Json, gallery
from ..admission import Lane, quick_lane, slow_lane
from ..breed import chosen
from ..inputs import number, seed_of, server_function
from ..models import Model, ModelStore, Pipeline
from ..pictures import sheet_uri, to_bytes
from ..snippets import GRID, TORCH, head, listed, options_of

if TYPE_CHECKING:
    import torch

    from ...pipelines.directions import DirectionsOutput

# Sliders, images that they move, and how far: in latent_dim dimensions N(0, I) lies about sqrt(latent_dim) from 0.
SLIDERS, IMAGES, LIMIT = 6, 8, 6.0
# Seeds whose images are kept: while a slider is dragged, they stay what they are.
STARTS = 64


class Directions:
    """The directions of each model, of one with classes those within each, found when the first visitor asks.

    Attributes:
        found: those that are, by the model's name and class.
    """

    def __init__(self) -> None:
        self.found: dict[tuple[str, ...], DirectionsOutput] = {}
        self._locks: dict[tuple[str, ...], threading.Lock] = {}

    def of(self, model: Model, pipe: Pipeline, label: Json) -> DirectionsOutput:
        """At most SLIDERS directions."""
        key = (model.name, *label.values())
        if key not in self.found:
            # Seconds: who asks for another model does not wait for them.
            with self._locks.setdefault(key, threading.Lock()):
                if key not in self.found:
                    self.found[key] = pipe.principal_directions(min(SLIDERS, pipe.latent_dim), **label)
        return self.found[key]


@functools.lru_cache(STARTS)
def unmoved(pipe: Pipeline, seed: int, *label: str) -> tuple[torch.Tensor, str]:
    """The latents (IMAGES, latent_dim) of a seed, and their images as a sheet; with a label, of that class."""
    drawn = pipe(num_images=IMAGES, seed=seed, output_type="np", **({"class_labels": label[0]} if label else {}))
    return drawn.latents, sheet_uri(to_bytes(drawn.images), IMAGES)


def program(model: Model, seed: int, strengths: Sequence[float], count: int, label: Json) -> str:
    """Images moved along the principal directions of their generator."""
    return head(model, [TORCH, GRID]) + (
        f"directions = pipe.principal_directions({len(strengths)}{options_of(label)}).directions\n"
        f"latents = pipe(num_images={count}, seed={seed}).latents\n"
        f"images = pipe(latents=latents + torch.tensor({listed(strengths)}) @ directions{options_of(label)}).images\n"
        f'make_image_grid(images, rows=1, cols={count}).save("moved.png")\n'
    )


def functions(store: ModelStore) -> list[Callable]:
    """What the view's page may call."""
    directions = Directions()

    def lane(payload: Any) -> Lane:
        """Finding them takes seconds, which nobody's pointer shall wait for."""
        payload = payload if isinstance(payload, dict) else {}
        model = gallery.chosen(store, payload)
        return quick_lane if (model.name, *gallery.class_of(model, payload).values()) in directions.found else slow_lane

    @server_function(lane)
    def moved(payload: Json) -> Json:
        import torch

        model, pipe, label = chosen(store, payload)
        seed = seed_of(payload)
        found = directions.of(model, pipe, label)
        given = payload.get("strengths")
        given = given[: len(found.directions)] if isinstance(given, list) else []
        strengths = [round(number(v, -LIMIT, LIMIT, 0.0), 2) for v in given]
        strengths += [0.0] * (len(found.directions) - len(strengths))
        latents, before = unmoved(pipe, seed, *label.values())
        after = pipe(latents=latents + torch.tensor(strengths) @ found.directions, output_type="np", **label)
        return {
            "model": model.key,
            "seed": seed,
            "size": model.sample_size,
            "before": before,
            "after": sheet_uri(to_bytes(after.images), IMAGES),
            "strengths": strengths,
            "explained": [round(float(share), 4) for share in found.explained],
            "code": program(model, seed, strengths, IMAGES, label),
        }

    return [moved]
