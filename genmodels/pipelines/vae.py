"""Pipeline of the variational autoencoder: images to latents and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers.utils import BaseOutput

from ..models.attributes import AttributeDirections
from ..models.vae import VAEDecoder, VAEEncoder
from .attributes import AttributeEditingMixin
from .autoencoder import EncoderDecoderPipeline
from .base import Images


@dataclass
class PosteriorOutput(BaseOutput):
    """q(z | x) of some images: `mean` and `log_variance`, each (N, latent_dim) float32."""

    mean: torch.Tensor
    log_variance: torch.Tensor

    def sample(self, generator: torch.Generator | None = None) -> torch.Tensor:
        """One latent per image, mean + std * N(0, 1)."""
        noise = torch.randn(self.mean.shape, generator=generator)
        return self.mean + (0.5 * self.log_variance).exp() * noise


class VAEPipeline(AttributeEditingMixin, EncoderDecoderPipeline):
    """A latent space to draw from, to place images in and to walk through: https://arxiv.org/abs/1312.6114.

    Args:
        encoder: images to posterior mean and log variance.
        decoder: latents to images.
        attributes: directions of the latent space, such as that of a smile, for `edit`; see `AttributeEditingMixin`.

    Example:
        >>> from genmodels import VAEPipeline
        >>> pipe = VAEPipeline.from_pretrained("vae-mnist")
        >>> images = pipe(num_images=2, seed=0).images
        >>> pipe.encode(images).mean.shape
        torch.Size([2, 2])
    """

    _optional_components = ["attributes"]

    def __init__(self, encoder: VAEEncoder, decoder: VAEDecoder, attributes: AttributeDirections | None = None):
        super().__init__()
        self.register_modules(encoder=encoder, decoder=decoder, attributes=attributes)

    def encode(self, images: Images) -> PosteriorOutput:
        """The posterior of each image, given in any form that the pipeline returns.

        Raises:
            ValueError: wrong size, shape or values.
        """
        mean, log_variance = (torch.cat(part).float().cpu() for part in zip(*self._encode(images), strict=True))
        return PosteriorOutput(mean=mean, log_variance=log_variance)

    def _latents_of(self, images: Images) -> torch.Tensor:
        return self.encode(images).mean
