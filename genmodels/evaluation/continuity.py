"""How continuous and how complete a latent space is: how fast images change in it, and whether all of it means something."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from ..features.metrics import coverage_of

# Latents whose derivatives are held at once.
CHUNK = 100


@torch.no_grad()
def jacobian_norms(decode: Callable[[torch.Tensor], torch.Tensor], latents: torch.Tensor) -> torch.Tensor:
    """Spectral norm of the decoder's Jacobian at each latent, (N,): the largest is a lower bound of its Lipschitz constant.

    How far the image moves at most, as Euclidean distance, for one unit of latent: the largest singular value of
    d decode(z) / dz, by forward differentiation along each axis.

    Args:
        decode: (N, latent_dim) to (N, ...), each row by itself.
        latents: (N, latent_dim).
    """
    norms = []
    for chunk in latents.split(CHUNK):
        columns = []
        for axis in torch.eye(chunk.shape[1], dtype=chunk.dtype):
            columns.append(torch.func.jvp(decode, (chunk,), (axis.expand_as(chunk).contiguous(),))[1].flatten(1))
        jacobian = torch.stack(columns, 2).double()
        norms.append(torch.linalg.eigvalsh(jacobian.mT @ jacobian)[:, -1].clamp_min(0).sqrt())
    return torch.cat(norms)


def recognizable_share(
    features: torch.Tensor, predicted: torch.Tensor, real_features: torch.Tensor, real_labels: torch.Tensor, k: int = 3
) -> float:
    """Share of images that look like real ones of the class that a classifier takes them for.

    Precision within each class: an image counts if it lies in the ball around a real image of that class which reaches that
    one's k-th neighbour in the class; see `coverage_of`. A classifier's certainty alone would also count texture.

    Args:
        features, predicted: (N, D) and (N,) of the images.
        real_features, real_labels: (M, D) and (M,) of real ones.
        k: of the neighbours.
    """
    inside = 0.0
    for label in predicted.unique():
        members, manifold = features[predicted == label], real_features[real_labels == label]
        if len(manifold) > k:
            inside += len(members) * coverage_of(members, manifold, k)
    return inside / len(features)


def class_balance(predicted: torch.Tensor, num_classes: int) -> float:
    """Entropy of the classes (N,) over that of equally many of each: 1 if all are drawn alike, 0 if only one is."""
    shares = predicted.bincount(minlength=num_classes).double() / len(predicted)
    return float(torch.special.entr(shares).sum() / math.log(num_classes))
