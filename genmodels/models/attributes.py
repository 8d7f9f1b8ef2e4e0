"""Attributes as directions of a latent space: Larsen et al., "Autoencoding beyond pixels using a learned similarity metric",
ICML 2016, https://arxiv.org/abs/1512.09300: "visual attribute vectors".
"""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from ..checks import check_integers
from .modeling import Network


class AttributeDirections(Network, ModelMixin):
    """How far a latent moves for each attribute: `directions` (A, latent_dim), all 0 until they are learnt.

    Args:
        attribute_names: A different names, in order.
        latent_dim: length of a latent.
        decorrelated: whether each direction was learnt with the other attributes held fixed; see `attribute_directions`.

    Raises:
        ValueError: the names are not different ones, or latent_dim is not a positive integer.
    """

    @register_to_config
    def __init__(self, attribute_names: list[str], latent_dim: int, decorrelated: bool = False):
        super().__init__()
        check_integers(latent_dim=latent_dim)
        names = list(attribute_names)
        if not names or len(set(names)) != len(names) or not all(isinstance(name, str) and name for name in names):
            raise ValueError(f"attribute_names must be at least one name, each different, got {attribute_names!r}.")
        self.directions = nn.Parameter(torch.zeros(len(names), latent_dim), requires_grad=False)

    def forward(self, strengths: torch.Tensor) -> torch.Tensor:
        """Strengths (N, A) to what is added to as many latents (N, latent_dim); 1 is the whole difference of the means."""
        return strengths @ self.directions


def attribute_directions(latents: torch.Tensor, attributes: torch.Tensor, decorrelate: bool = False) -> torch.Tensor:
    """The direction of each attribute, (A, latent_dim) float32.

    The mean latent of the images that have it minus the mean of those that have not: the "visual attribute vectors" of
    Larsen et al. 2016, https://arxiv.org/abs/1512.09300. Attributes that come together, such as beards and men, then move
    together. With `decorrelate` it is the least-squares coefficient of each attribute in z = b + sum_a attribute_a v_a, the
    difference between images that are alike in all the other attributes; against the same bias White 2016,
    https://arxiv.org/abs/1609.04468, section 3, repeats samples until the labels are balanced. Of one attribute both are
    the same.

    Args:
        latents: (N, latent_dim).
        attributes: (N, A), bool or 0 and 1.
        decorrelate: which of the two.

    Raises:
        ValueError: some attribute is the same in all images, or follows from the others.
    """
    latents, attributes = latents.double(), attributes.double()
    share = attributes.mean(0)
    constant = [int(i) for i in ((share == 0) | (share == 1)).nonzero()]
    if constant or not len(attributes):
        raise ValueError(f"Attribute {constant[0] if constant else 0} needs images with it and images without it.")
    centred = attributes - share
    covariance = centred.T @ centred / len(centred)
    products = centred.T @ (latents - latents.mean(0)) / len(latents)
    if not decorrelate:
        # cov(attribute, z) = p (1 - p) (mean with - mean without).
        return (products / covariance.diagonal()[:, None]).float()
    if torch.linalg.matrix_rank(covariance) < len(covariance):
        raise ValueError("An attribute follows from the others, so it cannot change without them: leave it out.")
    return torch.linalg.solve(covariance, products).float()
