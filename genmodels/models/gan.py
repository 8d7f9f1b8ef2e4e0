"""The networks of the first GAN, multilayer perceptrons: Goodfellow et al., "Generative Adversarial Networks", 2014,
https://arxiv.org/abs/1406.2661, section 5.

There the generator has rectified linear layers and the discriminator maxout ones; here both may leak.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from ..checks import check_choice, check_integers, check_number, check_shares
from .dcgan import NORMS
from .modeling import (
    Network,
    check_image_shape,
    check_images,
    check_latents,
    spend_headroom,
)
from .stabilisers import minibatch_layers, normalise_spectrally


def check_hidden_dims(hidden_dims: Sequence[int]) -> None:
    """Raise ValueError unless there is at least one hidden layer and each has a positive width."""
    whole = isinstance(hidden_dims, list | tuple) and hidden_dims
    if not whole or any(isinstance(dim, bool) or not isinstance(dim, int) or dim < 1 for dim in hidden_dims):
        raise ValueError(f"hidden_dims must be a list of at least one positive integer, got {hidden_dims!r}.")


class VanillaGANGenerator(Network, ModelMixin):
    """Latents to images through dense layers.

    Args:
        sample_size: side of the images in pixels, 16 to 128.
        num_channels: 1 (grey), 3 (colour) or 4: colours premultiplied by their opacity, and that.
        latent_dim: length of a latent.
        hidden_dims: width of each hidden layer, from the latent to the image.
        negative_slope: of LeakyReLU; 0 makes it the paper's ReLU.
        norm: "batch" normalises each hidden layer but the first one, "none" as in the paper.
        headroom: as in `DCGANGenerator`.

    Raises:
        ValueError: an argument is out of its range; the message names the legal values.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 28,
        num_channels: int = 1,
        latent_dim: int = 100,
        hidden_dims: Sequence[int] = (256, 512, 1024),
        negative_slope: float = 0.2,
        norm: str = "batch",
        headroom: float = 0.0,
    ):
        super().__init__()
        check_image_shape(sample_size, num_channels)
        check_integers(latent_dim=latent_dim)
        check_hidden_dims(hidden_dims)
        check_shares(negative_slope=negative_slope)
        check_number("headroom", headroom, 0, 0.5)
        check_choice("norm", norm, NORMS)
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise([latent_dim, *hidden_dims])):
            normed = norm == "batch" and i > 0
            # A bias in front of BatchNorm would be subtracted again.
            layers += [nn.Linear(before, after, bias=not normed), *([nn.BatchNorm1d(after)] if normed else [])]
            layers += [nn.LeakyReLU(negative_slope)]
        # The paper's sigmoid, stretched to [-1, 1]: tanh(x) = 2 sigmoid(2 x) - 1.
        layers += [nn.Linear(hidden_dims[-1], num_channels * sample_size**2), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """(N, latent_dim) latents to `pixel_values` (N, num_channels, sample_size, sample_size) in [-1, 1]."""
        check_latents(latents, self.config.latent_dim)
        size = self.config.sample_size
        images = self.layers(latents).view(-1, self.config.num_channels, size, size)
        return spend_headroom(images, self.config.headroom)


class VanillaGANDiscriminator(Network, ModelMixin):
    """Images to one score each, the logit of being real, through dense layers.

    Args:
        sample_size, num_channels: as in `VanillaGANGenerator`.
        hidden_dims: width of each hidden layer, from the image to the score.
        negative_slope: of LeakyReLU.
        dropout: share of each hidden layer that is dropped in training.
        minibatch_stddev: whether `MinibatchStdDev` follows the last hidden layer. Then a score depends on the images beside it.
        minibatch_discrimination: number of kernels of the `MinibatchDiscrimination` behind that, 0 for none; the same holds.
        spectral_norm: whether every layer's weight is divided by its largest singular value.

    Raises:
        ValueError: an argument is out of its range; the message names the legal values.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 28,
        num_channels: int = 1,
        hidden_dims: Sequence[int] = (1024, 512, 256),
        negative_slope: float = 0.2,
        dropout: float = 0.0,
        minibatch_stddev: bool = False,
        minibatch_discrimination: int = 0,
        spectral_norm: bool = False,
    ):
        super().__init__()
        check_image_shape(sample_size, num_channels)
        check_hidden_dims(hidden_dims)
        check_shares(negative_slope=negative_slope, dropout=dropout)
        layers: list[nn.Module] = []
        for before, after in pairwise([num_channels * sample_size**2, *hidden_dims]):
            layers += [nn.Linear(before, after), nn.LeakyReLU(negative_slope)]
            layers += [nn.Dropout(dropout)] if dropout else []
        self.layers = nn.Sequential(*layers)
        self.minibatch = minibatch_layers(hidden_dims[-1], 1, minibatch_stddev, minibatch_discrimination)
        self.score = nn.Linear(hidden_dims[-1] + minibatch_stddev + minibatch_discrimination, 1)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(
        self, pixel_values: torch.Tensor, return_features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """(N, num_channels, sample_size, sample_size) in [-1, 1] to scores (N,), unbounded; higher is more real.

        With `return_features` to scores and what the last hidden layer makes of each image by itself, (N, features).
        """
        check_images(pixel_values, self.config.sample_size, self.config.num_channels)
        features = self.layers(pixel_values.flatten(1))
        scores = self.score(self.minibatch(features)).flatten()
        return (scores, features) if return_features else scores
