"""What lies where on a two-dimensional latent plane, a VAE's or an autoencoder's."""

from __future__ import annotations

import math

import numpy as np

from ..errors import UserError
from . import Json
from .models import AUTOENCODER, MAP, ModelStore
from .pictures import opaque, to_bytes

# Pixels of the atlas from side to side, about: as wide as the page shows it.
ATLAS_PIXELS = 504
MIN_LIMIT, MAX_LIMIT = 2.0, 6.0
MAX_POINTS = 2000


def atlas_steps(size: int) -> int:
    """Images along a side of the atlas."""
    return min(max(round(ATLAS_PIXELS / size), 6), 24)


def pictures(store: ModelStore, latents: np.ndarray | list[list[float]], kind: str = MAP) -> np.ndarray:
    """(N, H, W, C) uint8 of (N, 2) numbers."""
    import torch

    return opaque(
        to_bytes(store.pipe(kind).decode(torch.tensor(latents, dtype=torch.float32), output_type="np").images)
    )


def scatter(store: ModelStore, kind: str = MAP) -> tuple[Json | None, float]:
    """Where the test images lie, and the half-width of the square that holds nearly all of them."""
    real = store.real_images(kind)
    if real is None:
        return None, 3.0
    encoded = store.pipe(kind).encode(real.test[:MAX_POINTS])
    mean = (encoded if kind == AUTOENCODER else encoded.mean).numpy()
    if not np.isfinite(mean).all():
        raise UserError(f"{store.models[kind].title!r} encodes images to numbers that are not finite.")
    reach = float(np.quantile(np.abs(mean), 0.995))
    limit = min(max(math.ceil(reach * 2) / 2, MIN_LIMIT), MAX_LIMIT)
    return {
        "x": [round(float(v), 2) for v in mean[:, 0]],
        "y": [round(float(v), 2) for v in mean[:, 1]],
        "labels": [int(v) for v in real.test_labels[:MAX_POINTS]],
        "class_names": real.class_names,
        "title": real.title,
        "total": len(mean),
    }, limit
