"""Variational autoencoder networks: Kingma, Welling, "Auto-Encoding Variational Bayes", ICLR 2014,
https://arxiv.org/abs/1312.6114.

With `num_classes` both are conditional on a class, p(x | z, y) and q(z | x, y): Kingma et al., "Semi-supervised Learning with
Deep Generative Models", NIPS 2014, https://arxiv.org/abs/1406.5298, section 2 (M2), of which this is the supervised part.
"""

from __future__ import annotations

import math

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn
from torch.nn import functional as F

from ..checks import check_choice, check_integers
from .autoencoder import decoder_trunk, encoder_trunk
from .dcgan import UPSAMPLINGS
from .modeling import (
    Network,
    check_classes,
    check_image_shape,
    check_images,
    check_latents,
    crop_to,
    optional_labels,
    pad_to,
)

LIKELIHOODS = ("bernoulli", "gaussian")
NETWORKS = ("convolutional", "dense")


def dense_encoder(sample_size: int, num_channels: int, hidden_dim: int) -> nn.Sequential:
    """(N, num_channels, sample_size, sample_size) to (N, hidden_dim): one dense layer, as in appendix C, but SiLU, not tanh."""
    return nn.Sequential(nn.Flatten(), nn.Linear(num_channels * sample_size**2, hidden_dim), nn.SiLU())


def dense_decoder(latent_dim: int, sample_size: int, num_channels: int, hidden_dim: int) -> nn.Sequential:
    """(N, latent_dim) to logits (N, num_channels, sample_size, sample_size): the same the other way round."""
    pixels = num_channels * sample_size**2
    layers = [nn.Linear(latent_dim, hidden_dim), nn.SiLU(), nn.Linear(hidden_dim, pixels)]
    return nn.Sequential(*layers, nn.Unflatten(1, (num_channels, sample_size, sample_size)))


def beside(inputs: torch.Tensor, class_labels: torch.Tensor | None, num_classes: int) -> torch.Tensor:
    """(N, D) inputs with one-hot labels beside them, (N, D + num_classes); as they are for a network without classes."""
    weights = optional_labels(class_labels, num_classes)
    return inputs if weights is None else torch.cat([inputs, weights.to(inputs.dtype)], dim=1)


class VAEEncoder(Network, ModelMixin):
    """Images to a Gaussian posterior q(z | x) with a diagonal covariance.

    Args:
        sample_size: side of the images in pixels, 16 to 128; inside they lie on a canvas of the next power of two.
        num_channels: 1 (grey), 3 (colour) or 4: colours premultiplied by their opacity, and that.
        latent_dim: length of a latent, any positive integer.
        base_channels: channels after the first convolution; each further one has twice as many, at most 8 times.
        hidden_dim: width of the dense layers between the convolutions and the latent.
        network: "convolutional", or "dense": a single dense layer in place of the convolutions, as in the paper (whose tanh
            is SiLU here).
        num_classes: how many classes the posterior is conditional on, at least 2; 0 for none.
        class_names: their names in order.

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
        num_classes: int = 0,
        class_names: list[str] | None = None,
        network: str = "convolutional",
    ):
        super().__init__()
        self.inner_size = check_image_shape(sample_size, num_channels)
        check_integers(latent_dim=latent_dim, base_channels=base_channels, hidden_dim=hidden_dim)
        check_classes(num_classes, class_names, optional=True)
        check_choice("network", network, NETWORKS)
        if network == "dense":
            self.inner_size = sample_size
            self.layers = dense_encoder(sample_size, num_channels, hidden_dim)
        else:
            self.layers = encoder_trunk(self.inner_size, num_channels, base_channels, hidden_dim)
        # What an image means depends on the class that it is taken for, and not by a mere shift.
        self.join = nn.Sequential(nn.Linear(hidden_dim + num_classes, hidden_dim), nn.SiLU()) if num_classes else None
        self.mean = nn.Linear(hidden_dim, latent_dim)
        self.log_variance = nn.Linear(hidden_dim, latent_dim)

    def features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, num_channels, sample_size, sample_size) in [-1, 1] to what is the same for every class, (N, hidden_dim)."""
        check_images(pixel_values, self.config.sample_size, self.config.num_channels)
        return self.layers(pad_to(pixel_values, self.inner_size))

    def posterior(
        self, features: torch.Tensor, class_labels: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`features` and labels, as in `forward`, to mean and log variance, each (N, latent_dim)."""
        features = beside(features, class_labels, self.config.num_classes)
        if self.join is not None:
            features = self.join(features)
        return self.mean(features), self.log_variance(features)

    def forward(
        self, pixel_values: torch.Tensor, class_labels: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Images to posteriors.

        Args:
            pixel_values: (N, num_channels, sample_size, sample_size) in [-1, 1].
            class_labels: (N,) integers from 0 to num_classes - 1, or (N, num_classes) weights; None without classes.

        Returns:
            Mean and log variance, each (N, latent_dim).
        """
        return self.posterior(self.features(pixel_values), class_labels)


class VAEDecoder(Network, ModelMixin):
    """Latents to the parameters of p(x | z).

    Args:
        sample_size, num_channels, latent_dim, base_channels, hidden_dim, num_classes, class_names, network: as in
            `VAEEncoder`.
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
        num_classes: int = 0,
        class_names: list[str] | None = None,
        network: str = "convolutional",
    ):
        super().__init__()
        inner_size = check_image_shape(sample_size, num_channels)
        check_integers(latent_dim=latent_dim, base_channels=base_channels, hidden_dim=hidden_dim)
        check_classes(num_classes, class_names, optional=True)
        check_choice("likelihood", likelihood, LIKELIHOODS)
        if not sigma > 0 or not beta >= 0:
            raise ValueError(f"sigma must be positive and beta at least 0, got sigma={sigma!r}, beta={beta!r}.")
        check_choice("network", network, NETWORKS)
        check_choice("upsampling", upsampling, UPSAMPLINGS)
        inputs = latent_dim + num_classes
        if network == "dense":
            self.layers = dense_decoder(inputs, sample_size, num_channels, hidden_dim)
        else:
            self.layers = decoder_trunk(inputs, inner_size, num_channels, base_channels, hidden_dim, upsampling)

    def forward(
        self, latents: torch.Tensor, class_labels: torch.Tensor | None = None, return_logits: bool = False
    ) -> torch.Tensor:
        """Latents to mean images.

        Args:
            latents: (N, latent_dim) float.
            class_labels: (N,) integers from 0 to num_classes - 1, or (N, num_classes) weights; None without classes.
            return_logits: return the logits of the brightness instead, which losses need for precision.

        Returns:
            `pixel_values` (N, num_channels, sample_size, sample_size) in (-1, 1), or logits of that shape.
        """
        check_latents(latents, self.config.latent_dim)
        inputs = beside(latents, class_labels, self.config.num_classes)
        logits = crop_to(self.layers(inputs), self.config.sample_size)
        # 2 sigmoid(x) - 1 = tanh(x / 2)
        return logits if return_logits else torch.tanh(logits / 2)

    def log_likelihood(self, logits: torch.Tensor, pixel_values: torch.Tensor) -> torch.Tensor:
        """log p(x | z) of each image in nats, (N,) float64, from the logits that `forward` returned for its latent.

        Appendices C.1 (bernoulli) and C.2 (gaussian, with `sigma`) of https://arxiv.org/abs/1312.6114; `pixel_values` are
        (N, num_channels, sample_size, sample_size) in [-1, 1].
        """
        if self.config.likelihood == "bernoulli":
            pixels = F.binary_cross_entropy_with_logits(logits, (pixel_values + 1) / 2, reduction="none")
        else:
            sigma = self.config.sigma
            error = (pixel_values - torch.tanh(logits / 2)).square() / (2 * sigma**2)
            pixels = error + math.log(sigma * math.sqrt(2 * math.pi))
        return -pixels.double().flatten(1).sum(1)
