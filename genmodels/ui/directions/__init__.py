"""The Samples tab's view of a generator's principal directions: sliders that nobody has labelled."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

from .. import gallery
from ..admission import quick_lane, slow_lane
from ..breed import chosen
from ..inputs import number, seed_of, server_function
from ..models import Model, ModelStore
from ..pictures import sheet_uri, to_bytes
from . import snippets

# Sliders, images that they move, and how far: in latent_dim dimensions N(0, I) lies about sqrt(latent_dim) from 0.
SLIDERS, IMAGES, LIMIT = 6, 8, 6.0
# Seeds whose images are kept: while a slider is dragged, they stay what they are.
STARTS = 64


class Directions:
    """The directions of each model, found when the first visitor asks.

    Attributes:
        found: those that are, by the model's name.
    """

    def __init__(self):
        self.found: dict[str, object] = {}
        self._locks: dict[str, threading.Lock] = {}

    def of(self, model: Model, pipe):
        """A `DirectionsOutput` of at most SLIDERS directions."""
        if model.name not in self.found:
            # Seconds: who asks for another model does not wait for them.
            with self._locks.setdefault(model.name, threading.Lock()):
                if model.name not in self.found:
                    self.found[model.name] = pipe.principal_directions(min(SLIDERS, pipe.latent_dim))
        return self.found[model.name]


@functools.lru_cache(STARTS)
def unmoved(pipe, seed: int) -> tuple:
    """The latents (IMAGES, latent_dim) of a seed, and their images as a sheet."""
    drawn = pipe(num_images=IMAGES, seed=seed, output_type="np")
    return drawn.latents, sheet_uri(to_bytes(drawn.images), IMAGES)


def functions(store: ModelStore) -> list[Callable]:
    """What the view's page may call."""
    directions = Directions()

    def asked(payload) -> str:
        return gallery.chosen(store, payload if isinstance(payload, dict) else {}).name

    @server_function
    def moved(payload: dict) -> dict:
        import torch

        model, pipe = chosen(store, payload)
        seed = seed_of(payload)
        found = directions.of(model, pipe)
        given = payload.get("strengths")
        given = given[: len(found.directions)] if isinstance(given, list) else []
        strengths = [round(number(v, -LIMIT, LIMIT, 0.0), 2) for v in given]
        strengths += [0.0] * (len(found.directions) - len(strengths))
        latents, before = unmoved(pipe, seed)
        after = pipe(latents=latents + torch.tensor(strengths) @ found.directions, output_type="np")
        return {
            "model": model.key,
            "seed": seed,
            "size": model.sample_size,
            "before": before,
            "after": sheet_uri(to_bytes(after.images), IMAGES),
            "strengths": strengths,
            "explained": [round(float(share), 4) for share in found.explained],
            "code": snippets.moved(model, seed, strengths, IMAGES),
        }

    # Finding them takes seconds, which nobody's pointer shall wait for.
    moved.lane = lambda payload: quick_lane if asked(payload) in directions.found else slow_lane
    return [moved]
