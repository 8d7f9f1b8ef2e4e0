"""Variational autoencoder networks: Kingma, Welling, "Auto-Encoding Variational Bayes", ICLR 2014,
https://arxiv.org/abs/1312.6114.
"""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn

from .autoencoder import decoder_trunk, encoder_trunk
from .modeling import (
    StrictLoadingMixin,
    check_image_shape,
    check_images,
    check_latents,
    check_positive,
    crop_to,
    pad_to,
)

LIKELIHOODS = ("bernoulli", "gaussian")


class VAEEncoder(StrictLoadingMixin, ModelMixin, ConfigMixin):
    """Images to a Gaussian posterior q(z | x) with a diagonal covariance.

    Args:
        sample_size: side of the images in pixels, 16 to 128; inside they lie on a canvas of the next power of two.
        num_channels: 1 or 3.
        latent_dim: length of a latent, any positive integer.
        base_channels: channels after the first convolution; each further one has twice as many, at most 8 times.
        hidden_dim: width of the dense layer between the convolutions and the latent.

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
    ):
        super().__init__()
        self.inner_size = check_image_shape(sample_size, num_channels)
        check_positive(latent_dim=latent_dim, base_channels=base_channels, hidden_dim=hidden_dim)
        self.layers = encoder_trunk(self.inner_size, num_channels, base_channels, hidden_dim)
        self.mean = nn.Linear(hidden_dim, latent_dim)
        self.log_variance = nn.Linear(hidden_dim, latent_dim)

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, num_channels, sample_size, sample_size) in [-1, 1] to mean and log variance, each (N, latent_dim)."""
        check_images(pixel_values, self.config.sample_size, self.config.num_channels)
        features = self.layers(pad_to(pixel_values, self.inner_size))
        return self.mean(features), self.log_variance(features)


class VAEDecoder(StrictLoadingMixin, ModelMixin, ConfigMixin):
    """Latents to the parameters of p(x | z).

    Args:
        sample_size, num_channels, latent_dim, base_channels, hidden_dim: as in `VAEEncoder`.
        likelihood: "bernoulli" (each pixel's brightness in [0, 1] is a probability) or "gaussian" (mean and `sigma`).
        sigma: standard deviation of the Gaussian likelihood, in units of `pixel_values`.
        beta: weight of the KL term that the pair was trained with (Higgins et al. 2017); 1 is the plain VAE.
        upsampling: as in `AutoencoderDecoder`.

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
        likelihood: str = "bernoulli",
        sigma: float = 0.5,
        beta: float = 1.0,
        upsampling: str = "transposed",
    ):
        super().__init__()
        inner_size = check_image_shape(sample_size, num_channels)
        check_positive(latent_dim=latent_dim, base_channels=base_channels, hidden_dim=hidden_dim)
        if likelihood not in LIKELIHOODS:
            raise ValueError(f"likelihood must be one of {', '.join(LIKELIHOODS)}, got {likelihood!r}.")
        if not sigma > 0 or not beta >= 0:
            raise ValueError(f"sigma must be positive and beta at least 0, got sigma={sigma!r}, beta={beta!r}.")
        self.layers = decoder_trunk(latent_dim, inner_size, num_channels, base_channels, hidden_dim, upsampling)

    def forward(self, latents: torch.Tensor, return_logits: bool = False) -> torch.Tensor:
        """(N, latent_dim) latents to the mean image, `pixel_values` (N, num_channels, sample_size, sample_size) in
        (-1, 1); or, with `return_logits`, to the logits of its brightness, which losses need for precision."""
        check_latents(latents, self.config.latent_dim)
        logits = crop_to(self.layers(latents), self.config.sample_size)
        # 2 sigmoid(x) - 1 = tanh(x / 2)
        return logits if return_logits else torch.tanh(logits / 2)
