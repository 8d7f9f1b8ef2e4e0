"""Mixtures of Gaussians in the plane: data whose modes can be counted, so that mode collapse can be seen and measured."""

from __future__ import annotations

from dataclasses import dataclass

import torch

# A point is of high quality within so many standard deviations of a centre.
NEAR = 3.0


@dataclass(frozen=True)
class Mixture:
    """Equal shares of isotropic Gaussians.

    Attributes:
        centers: (K, 2).
        std: standard deviation of each Gaussian along either axis.
    """

    centers: torch.Tensor
    std: float

    def sample(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """(count, 2) points; `generator` makes them repeatable."""
        chosen = torch.randint(len(self.centers), (count,), generator=generator)
        return self.centers[chosen] + self.std * torch.randn(count, 2, generator=generator)

    def coverage(self, points: torch.Tensor) -> tuple[int, float]:
        """How many modes have a point of high quality, and the share of points that are.

        Of high quality is what lies within three standard deviations of a centre, as counted by Srivastava et al. 2017,
        https://arxiv.org/abs/1705.07761, section 4.1. Points that are not finite are not.

        Args:
            points: (N, 2), N at least 1.

        Raises:
            ValueError: no points, or not of the plane.
        """
        if points.ndim != 2 or points.shape[1] != 2 or not len(points):
            raise ValueError(f"Expected points of shape (N, 2), got {tuple(points.shape)}.")
        distances, nearest = torch.cdist(points.double(), self.centers.double()).min(1)
        good = distances <= NEAR * self.std
        return len(nearest[good].unique()), float(good.double().mean())


def ring(modes: int = 8, radius: float = 1.0, std: float = 0.01) -> Mixture:
    """Gaussians on a circle: by default those of https://arxiv.org/abs/1705.07761."""
    angles = 2 * torch.pi * torch.arange(modes) / modes
    return Mixture(radius * torch.stack([angles.cos(), angles.sin()], dim=1), std)


def grid(side: int = 5, spacing: float = 2.0, std: float = 0.05) -> Mixture:
    """Gaussians on a square grid around 0: by default those of https://arxiv.org/abs/1705.07761."""
    line = spacing * (torch.arange(side) - (side - 1) / 2)
    return Mixture(torch.cartesian_prod(line, line), std)
