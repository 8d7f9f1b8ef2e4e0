"""Which images of a set are most like given ones; loads torch when it is asked, not with the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


class Neighbours:
    """Nearest images by the Euclidean distance of their pixels, as a root mean square: 0 the same, 1 black from white.

    Args:
        images: (N, H, W, C) uint8.
    """

    def __init__(self, images: np.ndarray):
        self.points = points_of(images)

    def nearest(self, images: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers and distances (M, count) of the images nearest to each of (M, H, W, C) uint8 ones, the nearest first."""
        from ..features.neighbours import nearest_points

        distances, found = nearest_points(points_of(images), self.points, count)
        return found.numpy(), distances.numpy()


def points_of(images: np.ndarray) -> torch.Tensor:
    """(N, H, W, C) uint8 as `pixel_points`."""
    import torch

    from ..features.neighbours import pixel_points

    return pixel_points(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1)
