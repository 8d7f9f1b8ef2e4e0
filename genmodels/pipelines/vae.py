"""Pipeline of the variational autoencoder: images to latents and back; with classes, images to their classes, too."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers.utils import BaseOutput

from ..checks import check_count
from ..latents import Generators, draw_latents, interpolate_latents
from ..models.attributes import AttributeDirections
from ..models.prior import LatentMixture
from ..models.vae import VAEDecoder, VAEEncoder
from ..pixels import Images, check_output_type, to_output
from .attributes import AttributeEditingMixin
from .autoencoder import EncoderDecoderPipeline
from .base import CHUNK, GenerationOutput, as_in_diffusers, in_chunks, inference
from .labels import ClassificationOutput, ClassLabels, ClassLabelsMixin


@dataclass
class PosteriorOutput(BaseOutput):
    """q(z | x) of some images: `mean` and `log_variance`, each (N, latent_dim) float32."""

    mean: torch.Tensor
    log_variance: torch.Tensor

    def sample(self, generator: torch.Generator | None = None) -> torch.Tensor:
        """One latent per image, mean + std * N(0, 1)."""
        noise = torch.randn(self.mean.shape, generator=generator, dtype=torch.float32)
        return self.mean + (0.5 * self.log_variance).exp() * noise


class VAEPipeline(ClassLabelsMixin, AttributeEditingMixin, EncoderDecoderPipeline):
    """A latent space to draw from, to place images in and to walk through: https://arxiv.org/abs/1312.6114.

    A model trained with `--conditional` has classes, and a latent space within each: https://arxiv.org/abs/1406.5298. Its
    methods take `class_labels`, a class number or name, one per image, or (N, num_classes) float weights that mix classes;
    and it classifies images. A model without classes refuses labels.

    Args:
        encoder: images to posterior mean and log variance.
        decoder: latents to images.
        attributes: directions of the latent space, such as that of a smile, for `edit`; see `AttributeEditingMixin`.
        prior: what latents are drawn from in place of N(0, I); see `fit_latents`.

    Example:
        >>> from genmodels import VAEPipeline
        >>> pipe = VAEPipeline.from_pretrained("vae-mnist")
        >>> images = pipe(num_images=2, seed=0).images
        >>> pipe.encode(images).mean.shape
        torch.Size([2, 2])
    """

    _optional_components = ["attributes", "prior"]
    encoder: VAEEncoder
    decoder: VAEDecoder

    def __init__(
        self,
        encoder: VAEEncoder,
        decoder: VAEDecoder,
        attributes: AttributeDirections | None = None,
        prior: LatentMixture | None = None,
    ):
        super().__init__()
        self.register_modules(encoder=encoder, decoder=decoder, attributes=attributes, prior=prior)

    @as_in_diffusers
    def __call__(
        self,
        num_images: int | None = None,
        class_labels: ClassLabels | None = None,
        *,
        generator: Generators = None,
        seed: int | None = None,
        latents: torch.Tensor | np.ndarray | None = None,
        psi: float = 1.0,
        prior: str | None = None,
        output_type: str = "pil",
    ) -> GenerationOutput:
        """Decode latents from the prior, or given ones.

        Args:
            num_images, class_labels, generator, seed, latents, output_type: as in `ClassLabelsMixin.__call__`.
            psi: as there; of a fitted prior 0 is the mean of one of its Gaussians.
            prior: "normal", N(0, I), or "fitted", what `fit_latents` found, which is the default where it was called.

        Raises:
            ValueError: an argument is out of its range; for a wrong class the message names the legal ones.
        """
        check_output_type(output_type)
        inputs, labels = self._inputs(num_images, class_labels, generator, seed, latents, psi, prior)
        pixel_values = torch.cat(in_chunks(self.decoder, inputs, labels))
        return GenerationOutput(images=to_output(pixel_values, output_type), latents=inputs, class_labels=labels)

    def encode(self, images: Images, class_labels: ClassLabels | None = None) -> PosteriorOutput:
        """The posterior of each image, given in any form that the pipeline returns.

        Args:
            images: (N) images.
            class_labels: what they show, for a model with classes.

        Raises:
            ValueError: wrong size, shape or values; labels missing or wrong.
        """
        pixel_values = self._to_pixels(images)
        parts = in_chunks(
            self.encoder, pixel_values, self._labels_if_any(class_labels, len(pixel_values), required=True)
        )
        mean, log_variance = (torch.cat(part).float().cpu() for part in zip(*parts, strict=True))
        return PosteriorOutput(mean=mean, log_variance=log_variance)

    def decode(
        self, latents: torch.Tensor, output_type: str = "pil", *, class_labels: ClassLabels | None = None
    ) -> GenerationOutput:
        """Images of the given (N, latent_dim) latents, of a model with classes as members of `class_labels`."""
        labels = self._labels_if_any(class_labels, len(latents), required=True)
        return self(latents=latents, class_labels=labels, output_type=output_type)

    def reconstruct(
        self, images: Images, output_type: str = "pil", *, class_labels: ClassLabels | None = None
    ) -> GenerationOutput:
        """Images through the bottleneck and back, the decoded posterior means; with classes, as members of `class_labels`."""
        return self.decode(self.encode(images, class_labels).mean, output_type, class_labels=class_labels)

    def interpolate(
        self,
        a: Images,
        b: Images,
        steps: int = 8,
        mode: str = "lerp",
        output_type: str = "pil",
        *,
        class_labels: int | str | tuple[int | str, int | str] | None = None,
    ) -> GenerationOutput:
        """`steps` images on the way from image `a` to image `b` in latent space, both ends reconstructed.

        Args:
            class_labels: of a model with classes: what both images show, or a pair, what each of them shows.

        Raises:
            ValueError: not one image at each end, labels missing or wrong, or see `interpolate_latents`.
        """
        pair = class_labels if isinstance(class_labels, tuple | list) else (class_labels, class_labels)
        if len(pair) != 2:
            raise ValueError(f"class_labels must be one class or a pair of them, got {class_labels!r}.")
        ends = [self.encode(images, label).mean for images, label in ((a, pair[0]), (b, pair[1]))]
        if any(len(latents) != 1 for latents in ends):
            raise ValueError("interpolate needs exactly one image at each end.")
        latents, weights = interpolate_latents(ends[0][0], ends[1][0], steps, mode), None
        if self.num_classes and pair[0] is not None and pair[1] is not None:
            weights = self.label_path((pair[0], pair[1]), steps)
        return self.decode(latents, output_type, class_labels=weights)

    def traverse(
        self,
        axes: tuple[int, int] = (0, 1),
        steps: int = 20,
        limit: float = 3.0,
        latents: torch.Tensor | None = None,
        output_type: str = "pil",
        *,
        attributes: tuple[str, str] | None = None,
        images: Images | None = None,
        class_labels: ClassLabels | None = None,
    ) -> GenerationOutput:
        """The manifold picture: a grid over two latent axes, or over two attributes, all else held fixed.

        Args:
            axes: the axis that grows to the right and the one that grows upwards.
            steps: images along each axis, at least 2; an odd number has the given image, reconstructed, in the middle.
            limit: the grid spans [-limit, limit] on both axes; of attributes, as strengths.
            latents: (latent_dim,) to stand on; zeros by default, the mean of the prior.
            output_type: "pil", "pt" or "np".
            attributes: two of `attribute_names` in place of axes.
            images: one image to stand on, in place of latents.
            class_labels: of a model with classes: the one to look at; the first by default.

        Returns:
            steps * steps images in reading order: rows from the top (+limit) down, each from left (-limit) to right.

        Raises:
            ValueError: an axis or attribute does not exist, the two are the same, or a number is out of range.
        """
        if class_labels is None and self.num_classes:
            class_labels = 0
        if images is not None:
            if latents is not None:
                raise ValueError("Give either images or latents.")
            latents = self.encode(images, class_labels).mean
            if len(latents) != 1:
                raise ValueError(f"traverse stands on exactly one image, got {len(latents)}.")
        if attributes is None:
            grid = self._axes_grid(axes, steps, limit, latents)
        else:
            grid = self._grid(self._two_directions(attributes), steps, limit, latents)
        return self.decode(grid, output_type, class_labels=class_labels)

    def classify(
        self,
        images: Images,
        *,
        num_draws: int = 4,
        class_priors: Sequence[float] | None = None,
        seed: int = 0,
    ) -> ClassificationOutput:
        """What images show, by how well the model explains them as members of each class.

        p(y | x) is p(y) p(x | y) / sum_y p(y) p(x | y), where of log p(x | y) only a lower bound is known: the evidence lower
        bound of https://arxiv.org/abs/1406.5298, equation 6, for one draw, and with K draws the tighter
        log 1/K sum_k p(x | z_k, y) p(z_k) / q(z_k | x, y) of https://arxiv.org/abs/1509.00519, equation 8. All images and
        classes are judged by the same draws of noise, so that an image's class does not depend on its neighbours.

        Args:
            images: (N) images in any form that the pipeline returns.
            num_draws: K.
            class_priors: p(y), num_classes numbers up to a common factor; all classes alike by default.
            seed: of the draws.

        Raises:
            ValueError: the model has no classes, or an argument is out of its range.
        """
        if not self.num_classes:
            raise ValueError(
                "This model has no classes: train one with train/vae.py --conditional, so that it can classify."
            )
        check_count("num_draws", num_draws)
        noise = draw_latents(num_draws, self.latent_dim, seed=seed).to(self.device, self.dtype)
        pixel_values = self._to_pixels(images)
        bounds = []
        with inference(self.encoder), inference(self.decoder):
            for chunk in pixel_values.split(CHUNK):
                parts = max(1, CHUNK // (self.num_classes * num_draws))
                # Only what follows the convolutions differs from class to class.
                pairs = zip(self.encoder.features(chunk).split(parts), chunk.split(parts), strict=True)
                bounds += [self._log_likelihood_bounds(*pair, noise) for pair in pairs]
        return self._classified(torch.cat(bounds), class_priors)

    def _log_likelihood_bounds(
        self, features: torch.Tensor, pixel_values: torch.Tensor, noise: torch.Tensor
    ) -> torch.Tensor:
        """Lower bounds of log p(x | y) in nats, (N, num_classes) float64; `noise` is (K, latent_dim)."""
        count, draws, classes = len(features), len(noise), self.num_classes
        labels = torch.arange(classes, device=features.device).repeat(count)
        mean, log_variance = self.encoder.posterior(features.repeat_interleave(classes, 0), labels)
        latents = mean[:, None] + (0.5 * log_variance).exp()[:, None] * noise
        logits = self.decoder(latents.flatten(0, 1), labels.repeat_interleave(draws), return_logits=True)
        log_likelihood = self.decoder.log_likelihood(logits, pixel_values.repeat_interleave(classes * draws, 0))
        # log p(z) - log q(z | x, y); the constants of the two Gaussians cancel.
        log_ratio = 0.5 * (noise.square() - latents.square() + log_variance[:, None]).double().sum(2)
        bounds = (log_likelihood.view(-1, draws) + log_ratio).logsumexp(1) - math.log(draws)
        return bounds.view(count, classes)

    def _latents_of(self, images: Images) -> torch.Tensor:
        return self.encode(images).mean

    def _codes_of(self, batch: Mapping[str, torch.Tensor], generator: torch.Generator) -> torch.Tensor:
        labels = batch["class_labels"] if self.num_classes else None
        return self.encode(batch["pixel_values"], labels).sample(generator)
