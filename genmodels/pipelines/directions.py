"""Directions of a latent space that were not labelled by anybody: where a generator's images vary most."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers.utils import BaseOutput


@dataclass
class DirectionsOutput(BaseOutput):
    """Directions of a latent space, that of the most variance first.

    Attributes:
        directions: (K, latent_dim) float32, each of length 1: `latents + strength * directions[k]` moves along one.
        explained: (K,) float32, the share of the images' variance that lies along each one's principal component.
    """

    directions: torch.Tensor
    explained: torch.Tensor


def principal_directions(latents: torch.Tensor, images: torch.Tensor, num_directions: int) -> DirectionsOutput:
    """The latent directions along which images move on their principal components.

    As Härkönen et al., "GANSpace", 2020, https://arxiv.org/abs/2004.02546, section 2.2: a principal component analysis of
    what the generator computes, here the images y themselves, gives scores x = V^T (y - mean); then of all
    U = argmin sum_j |U x_j - z_j|^2 column k is the direction for component k. The scores are not correlated, so that
    column is mean(z x_k) / mean(x_k^2).

    Args:
        latents: (N, latent_dim) float from N(0, I).
        images: (N, ...) float, drawn from them.
        num_directions: K, below N.
    """
    centred = images.flatten(1).float()
    centred = centred - centred.mean(0)
    # The scores come from the (N, N) products of the images: N is smaller than their pixels squared.
    variances, scores = torch.linalg.eigh(centred @ centred.T)
    variances, scores = variances.flip(0)[:num_directions], scores.flip(1)[:, :num_directions]
    directions = torch.nn.functional.normalize(scores.T @ latents.float(), dim=1)
    # An eigenvector has no sign of its own: the largest number of each is positive.
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    explained = variances.clamp(min=0) / centred.square().sum().clamp(min=torch.finfo(torch.float32).tiny)
    return DirectionsOutput(directions=directions * largest.sign(), explained=explained)
