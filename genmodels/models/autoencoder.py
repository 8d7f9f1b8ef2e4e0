"""Autoencoder networks: Hinton, Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks", Science 2006,
https://doi.org/10.1126/science.1127647; with convolutions. Their trunks are those of the VAE, too.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from ..checks import check_integers
from .dcgan import upsample, widths
from .modeling import (
    Network,
    check_image_shape,
    check_images,
    check_latents,
    crop_to,
    pad_to,
)


def encoder_trunk(inner_size: int, num_channels: int, base_channels: int, hidden_dim: int) -> nn.Sequential:
    """(N, num_channels, inner_size, inner_size) to (N, hidden_dim): strided convolutions down to 4x4, then a dense layer."""
    channels = [num_channels, *widths(inner_size, base_channels)]
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.SiLU()]
    layers += [nn.Flatten(), nn.Linear(channels[-1] * 16, hidden_dim), nn.SiLU()]
    return nn.Sequential(*layers)


def decoder_trunk(
    latent_dim: int, inner_size: int, num_channels: int, base_channels: int, hidden_dim: int, upsampling: str
) -> nn.Sequential:
    """(N, latent_dim) to logits (N, num_channels, inner_size, inner_size): the encoder's trunk the other way round."""
    channels = widths(inner_size, base_channels)[::-1]
    layers: list[nn.Module] = [nn.Linear(latent_dim, hidden_dim), nn.SiLU()]
    layers += [nn.Linear(hidden_dim, channels[0] * 16), nn.SiLU(), nn.Unflatten(1, (channels[0], 4, 4))]
    for before, after in pairwise(channels):
        layers += [*upsample(before, after, 4, upsampling), nn.SiLU()]
    layers += upsample(channels[-1], num_channels, 4, upsampling)
    return nn.Sequential(*layers)


class AutoencoderEncoder(Network, ModelMixin):
    """Images to latents, the bottleneck.

    Args:
        sample_size: side of the images in pixels, 16 to 128; inside they lie on a canvas of the next power of two.
        num_channels: 1 (grey), 3 (colour) or 4: colours premultiplied by their opacity, and that.
        latent_dim: length of a latent, any positive integer.
        base_channels: channels after the first convolution; each further one has twice as many, at most 8 times.
        hidden_dim: width of the dense layer between the convolutions and the latent.
        noise: standard deviation of the Gaussian noise on the images that it was trained to see through, in units of
            brightness from 0 to 1; 0 for a plain autoencoder.

    Raises:
        ValueError: an argument is out of its range; the message names the legal values.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 28,
        num_channels: int = 1,
        latent_dim: int = 2,
        base_channels: int = 32,
        hidden_dim: int = 256,
        noise: float = 0.0,
    ):
        super().__init__()
        self.inner_size = check_image_shape(sample_size, num_channels)
        check_integers(latent_dim=latent_dim, base_channels=base_channels, hidden_dim=hidden_dim)
        if not 0 <= noise < float("inf"):
            raise ValueError(f"noise must be a number of at least 0, got {noise!r}.")
        self.layers = encoder_trunk(self.inner_size, num_channels, base_channels, hidden_dim)
        self.to_latents = nn.Linear(hidden_dim, latent_dim)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, num_channels, sample_size, sample_size) in [-1, 1] to latents (N, latent_dim)."""
        check_images(pixel_values, self.config.sample_size, self.config.num_channels)
        return self.to_latents(self.layers(pad_to(pixel_values, self.inner_size)))


class AutoencoderDecoder(Network, ModelMixin):
    """Latents to images.

    Args:
        sample_size, num_channels, latent_dim, base_channels, hidden_dim: as in `AutoencoderEncoder`.
        upsampling: "transposed" convolutions, or "nearest": nearest-neighbour upsampling, each time followed by a convolution.

    Raises:
        ValueError: an argument is out of its range; the message names the legal values.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 28,
        num_channels: int = 1,
        latent_dim: int = 2,
        base_channels: int = 32,
        hidden_dim: int = 256,
        upsampling: str = "transposed",
    ):
        super().__init__()
        inner_size = check_image_shape(sample_size, num_channels)
        check_integers(latent_dim=latent_dim, base_channels=base_channels, hidden_dim=hidden_dim)
        self.layers = decoder_trunk(latent_dim, inner_size, num_channels, base_channels, hidden_dim, upsampling)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """(N, latent_dim) latents to `pixel_values` (N, num_channels, sample_size, sample_size) in (-1, 1)."""
        check_latents(latents, self.config.latent_dim)
        return torch.tanh(crop_to(self.layers(latents), self.config.sample_size) / 2)
