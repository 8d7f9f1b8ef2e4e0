"""Pipeline of the variational autoencoder: images to latents and back."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers.utils import BaseOutput

from ..models.vae import VAEDecoder, VAEEncoder
from .base import (
    CHUNK,
    GenerationOutput,
    ImagePipeline,
    Images,
    check_count,
    check_output_type,
    inference,
    interpolate_latents,
    to_output,
    to_pixel_values,
)


@dataclass
class PosteriorOutput(BaseOutput):
    """q(z | x) of some images: `mean` and `log_variance`, each (N, latent_dim) float32."""

    mean: torch.Tensor
    log_variance: torch.Tensor

    def sample(self, generator: torch.Generator | None = None) -> torch.Tensor:
        """One latent per image, mean + std * N(0, 1)."""
        noise = torch.randn(self.mean.shape, generator=generator)
        return self.mean + (0.5 * self.log_variance).exp() * noise


class VAEPipeline(ImagePipeline):
    """A latent space to draw from, to place images in and to walk through: https://arxiv.org/abs/1312.6114.

    Args:
        encoder: images to posterior mean and log variance.
        decoder: latents to images.

    Example:
        >>> from genmodels import VAEPipeline
        >>> pipe = VAEPipeline.from_pretrained("vae-mnist")
        >>> images = pipe(num_images=2, seed=0).images
        >>> pipe.encode(images).mean.shape
        torch.Size([2, 2])
    """

    def __init__(self, encoder: VAEEncoder, decoder: VAEDecoder):
        super().__init__()
        self.register_modules(encoder=encoder, decoder=decoder)

    @property
    def sample_size(self) -> int:
        """Side of the images in pixels."""
        return self.decoder.config.sample_size

    @property
    def num_channels(self) -> int:
        """1 for grey images, 3 for colour."""
        return self.decoder.config.num_channels

    @property
    def latent_dim(self) -> int:
        """Length of a latent."""
        return self.decoder.config.latent_dim

    def __call__(
        self,
        num_images: int = 1,
        *,
        generator: torch.Generator | None = None,
        seed: int | None = None,
        latents: torch.Tensor | None = None,
        output_type: str = "pil",
    ) -> GenerationOutput:
        """Decode latents from the prior N(0, I), or given ones.

        Args:
            num_images: how many; ignored if `latents` are given.
            generator, seed: source of the latents. Image i of a seed has the same latents whatever `num_images` is.
            latents: (N, latent_dim) to use instead.
            output_type: "pil", "pt" or "np"; see `GenerationOutput`.

        Raises:
            ValueError: an argument is out of its range.
        """
        check_output_type(output_type)
        latents = self._to_latents(num_images, self.latent_dim, generator, seed, latents)
        with inference(self.decoder) as network:
            pixel_values = torch.cat([network(chunk) for chunk in latents.split(CHUNK)])
        return GenerationOutput(images=to_output(pixel_values, output_type), latents=latents)

    def encode(self, images: Images) -> PosteriorOutput:
        """The posterior of each image, given in any form that the pipeline returns.

        Raises:
            ValueError: wrong size, shape or values.
        """
        pixel_values = to_pixel_values(images, self.sample_size, self.num_channels).to(self.device, self.dtype)
        with inference(self.encoder) as network:
            parts = [network(chunk) for chunk in pixel_values.split(CHUNK)]
        mean, log_variance = (torch.cat(part).float().cpu() for part in zip(*parts, strict=True))
        return PosteriorOutput(mean=mean, log_variance=log_variance)

    def decode(self, latents: torch.Tensor, output_type: str = "pil") -> GenerationOutput:
        """Images of the given (N, latent_dim) latents."""
        return self(latents=latents, output_type=output_type)

    def reconstruct(self, images: Images, output_type: str = "pil") -> GenerationOutput:
        """Images through the bottleneck and back: the decoded posterior means."""
        return self.decode(self.encode(images).mean, output_type)

    def interpolate(
        self, a: Images, b: Images, steps: int = 8, mode: str = "lerp", output_type: str = "pil"
    ) -> GenerationOutput:
        """`steps` images on the way from image `a` to image `b` in latent space, both ends reconstructed.

        Raises:
            ValueError: not one image at each end, or see `interpolate_latents`.
        """
        means = [self.encode(images).mean for images in (a, b)]
        if any(len(mean) != 1 for mean in means):
            raise ValueError("interpolate needs exactly one image at each end.")
        return self.decode(interpolate_latents(means[0][0], means[1][0], steps, mode), output_type)

    def traverse(
        self,
        axes: tuple[int, int] = (0, 1),
        steps: int = 20,
        limit: float = 3.0,
        latents: torch.Tensor | None = None,
        output_type: str = "pil",
    ) -> GenerationOutput:
        """The manifold picture: a grid over two latent axes, the others held fixed.

        Args:
            axes: the axis that grows to the right and the one that grows upwards.
            steps: images along each axis, at least 2.
            limit: the grid spans [-limit, limit] on both axes.
            latents: (latent_dim,) to stand on; zeros by default, the mean of the prior.
            output_type: "pil", "pt" or "np".

        Returns:
            steps * steps images in reading order: rows from the top (+limit) down, each from left (-limit) to right.

        Raises:
            ValueError: an axis does not exist, the two are the same, or a number is out of range.
        """
        check_count("steps", steps, low=2)
        if (
            len(axes) != 2
            or len(set(axes)) != 2
            or not all(isinstance(i, int) and 0 <= i < self.latent_dim for i in axes)
        ):
            raise ValueError(f"axes must be two different numbers from 0 to {self.latent_dim - 1}, got {axes!r}.")
        if not 0 < limit < float("inf"):
            raise ValueError(f"limit must be a positive number, got {limit!r}.")
        base = torch.zeros(self.latent_dim) if latents is None else latents.flatten()
        if len(base) != self.latent_dim:
            raise ValueError(f"A latent has {self.latent_dim} numbers, got shape {tuple(latents.shape)}.")
        line = torch.linspace(-limit, limit, steps)
        up, right = torch.meshgrid(line.flip(0), line, indexing="ij")
        grid = base.repeat(steps * steps, 1)
        grid[:, axes[0]], grid[:, axes[1]] = right.flatten(), up.flatten()
        return self.decode(grid, output_type)
