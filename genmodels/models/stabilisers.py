"""Layers that let a discriminator see a batch as a whole, and a bound on how steep it can get."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import parametrizations

from ..checks import check_integers

# Numbers in a row of a minibatch discrimination kernel, as in the code of its paper.
KERNEL_DIM = 5


def in_float32(features: torch.Tensor) -> torch.Tensor:
    """Features in float32, or in what they are if that is more: half precision cannot tell near images apart."""
    return features.to(torch.promote_types(features.dtype, torch.float32))


class MinibatchStdDev(nn.Module):
    """Appends one feature map: how much the images of a batch differ, one number for all.

    The standard deviation over the batch of every feature at every place, averaged: Karras et al. 2018,
    https://arxiv.org/abs/1710.10196, section 3. Where fakes are alike it is low, and the discriminator sees it.
    """

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, ...) to (N, C + 1, ...)."""
        # The root has no derivative at 0, which is what a dead feature has.
        deviation = (in_float32(features).var(0, correction=0) + 1e-8).sqrt().mean().to(features.dtype)
        return torch.cat([features, deviation.expand_as(features[:, :1])], dim=1)


class MinibatchDiscrimination(nn.Module):
    """Appends to an image's features how close those of the other images of the batch are, by several learned measures.

    o(x_i)_b = sum_j exp(-||M_ib - M_jb||_1), M_i = f(x_i) T: Salimans et al. 2016, https://arxiv.org/abs/1606.03498,
    section 3.2. The sum grows with the batch.

    Args:
        in_features: numbers in the features of one image, A in the paper.
        num_kernels: how many measures, B.
        kernel_dim: numbers that each compares, C.
    """

    def __init__(self, in_features: int, num_kernels: int, kernel_dim: int = KERNEL_DIM):
        super().__init__()
        self.num_kernels = num_kernels
        self.kernels = nn.Linear(in_features, num_kernels * kernel_dim, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, C, ...) with in_features numbers an image to (N, C + num_kernels, ...), the new ones equal at all places."""
        matrices = in_float32(self.kernels(features.flatten(1))).unflatten(1, (self.num_kernels, -1))
        closeness = (-(matrices[:, None] - matrices).abs().sum(3)).exp().sum(1).to(features.dtype)
        maps = closeness.view(*closeness.shape, *[1] * (features.ndim - 2))
        return torch.cat([features, maps.expand(-1, -1, *features.shape[2:])], dim=1)


def minibatch_layers(
    channels: int, places: int, minibatch_stddev: bool, minibatch_discrimination: int
) -> nn.Sequential:
    """The chosen layers behind each other, for features (N, channels, ...) at so many places; none: the identity.

    Each of them makes a score depend on the batch that the image is in.

    Raises:
        ValueError: the one is not a bool, or the other not a number of kernels.
    """
    if not isinstance(minibatch_stddev, bool):
        raise ValueError(f"minibatch_stddev must be True or False, got {minibatch_stddev!r}.")
    check_integers(0, minibatch_discrimination=minibatch_discrimination)
    layers: list[nn.Module] = [MinibatchStdDev()] if minibatch_stddev else []
    if minibatch_discrimination:
        layers.append(MinibatchDiscrimination((channels + len(layers)) * places, minibatch_discrimination))
    return nn.Sequential(*layers)


def normalise_spectrally(network: nn.Module) -> None:
    """Divide the weight of each dense or convolutional layer by its largest singular value from now on.

    Then no layer stretches any difference of its inputs: Miyato et al. 2018, https://arxiv.org/abs/1802.05957, equation 8, by
    one power iteration for each pass in training mode. (Of a convolution it is the value of its kernel as a matrix.)
    """
    for layer in list(network.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            parametrizations.spectral_norm(layer)
