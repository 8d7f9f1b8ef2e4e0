"""Pipeline of LAPGAN: images from coarse to fine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from ..latents import check_count, interpolate_latents, truncated
from ..models.lapgan import LAPGANDiscriminator, LAPGANGenerator
from ..pixels import Images, check_output_type, to_output, to_pixel_values
from .base import CHUNK, GenerationOutput, as_in_diffusers, inference
from .gan import GANPipeline
from .labels import ClassLabels, ClassLabelsMixin


@dataclass
class LAPGANOutput(GenerationOutput):
    """What `LAPGANPipeline` returns.

    Attributes:
        stages: with `return_stages`, the images of each level in the form of `images`, the coarsest level's first and `images`
            last; else None.
    """

    stages: list[list[Image.Image]] | list[torch.Tensor] | list[np.ndarray] | None = None


class LAPGANPipeline(ClassLabelsMixin, GANPipeline):
    """Images from noise, from coarse to fine: https://arxiv.org/abs/1506.05751.

    Args:
        generator: (N, latent_dim) latents, and class labels if it has classes, to images. A latent is the levels' latents one
            after the other, the coarsest level's first.
        discriminator: images to a score per level; optional, only `discriminate` needs it.

    Example:
        >>> from genmodels import LAPGANPipeline
        >>> pipe = LAPGANPipeline.from_pretrained("runs/lapgan/model")
        >>> output = pipe(num_images=4, seed=0, return_stages=True)
        >>> [stage[0].size for stage in output.stages]
        [(8, 8), (16, 16), (32, 32)]
    """

    def __init__(self, generator: LAPGANGenerator, discriminator: LAPGANDiscriminator | None = None):
        super().__init__()
        self.register_modules(generator=generator, discriminator=discriminator)

    @property
    def num_levels(self) -> int:
        """How many sizes an image passes through."""
        return self.generator.config.num_levels

    def _labels_or_none(self, class_labels: ClassLabels | None, num_images: int) -> torch.Tensor | None:
        """`_to_labels`, or None if the model has no classes."""
        if self.num_classes:
            return self._to_labels(class_labels, num_images)
        if class_labels is not None:
            raise ValueError("This model has no classes: leave class_labels out.")
        return None

    @as_in_diffusers
    def __call__(
        self,
        num_images: int | None = None,
        class_labels: ClassLabels | None = None,
        *,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        seed: int | None = None,
        latents: torch.Tensor | np.ndarray | None = None,
        psi: float = 1.0,
        output_type: str = "pil",
        return_stages: bool = False,
    ) -> LAPGANOutput:
        """Draw images.

        Args:
            num_images: how many; by default as many as there are labels, or else 1.
            class_labels: for models with classes only: as in `CGANPipeline.__call__`.
            generator, seed, latents, psi, output_type: as in `UnconditionalGANPipeline.__call__`.
            return_stages: whether to return the images of every level too, each at its own size. All of them, the last
                included, are clamped to [-1, 1], and the next level starts from the clamped ones.

        Raises:
            ValueError: an argument is out of its range, or there are labels for a model without classes.
        """
        check_output_type(output_type)
        num_images = self._to_count(num_images, class_labels, latents)
        labels = self._labels_or_none(class_labels, num_images)
        latents = truncated(self._to_latents(num_images, self.latent_dim, generator, seed, latents), psi)
        chunks = latents.split(CHUNK)
        label_chunks = [None] * len(chunks) if labels is None else labels.to(self.device).split(CHUNK)
        with inference(self.generator) as network:
            drawn = [network(*chunk, return_stages=True) for chunk in zip(chunks, label_chunks, strict=True)]
        stages = [to_output(torch.cat(parts), output_type) for parts in zip(*drawn, strict=True)]
        return LAPGANOutput(
            images=stages[-1], latents=latents, class_labels=labels, stages=stages if return_stages else None
        )

    def interpolate(
        self,
        a: int | torch.Tensor,
        b: int | torch.Tensor,
        steps: int = 8,
        mode: str = "slerp",
        *,
        class_labels: int | str | tuple[int | str, int | str] | None = None,
        psi: float = 1.0,
        output_type: str = "pil",
        return_stages: bool = False,
    ) -> LAPGANOutput:
        """`steps` images on the way from latent (or seed) `a` to `b`, both included; see `interpolate_latents`.

        Args:
            class_labels: of models with classes: one class for all, or a pair to change from the first class to the second
                on the way; by default class 0.
            psi, output_type, return_stages: as in `__call__`.
        """
        check_count("steps", steps, low=2)
        latents = interpolate_latents(self._latent_of(a), self._latent_of(b), steps, mode)
        if self.num_classes:
            class_labels = self.label_path(self.class_names[0] if class_labels is None else class_labels, steps)
        options = {"psi": psi, "output_type": output_type, "return_stages": return_stages}
        return self(latents=latents, class_labels=class_labels, **options)

    def discriminate(
        self, images: Images, class_labels: ClassLabels | None = None, *, per_level: bool = False
    ) -> torch.Tensor:
        """The discriminators' scores of images: higher is more real.

        Args:
            images: in any form that the pipeline returns.
            class_labels: of models with classes; by default the classes in turn.
            per_level: whether to return each level's score of its part of the image: the coarsest image, then the residuals.

        Returns:
            (N,): the sum over the levels. A level's score estimates the log of how much likelier real images are than drawn ones
            to have this part, given the coarser ones, so that the sum is the score of the whole image. (N, num_levels) with
            `per_level`, the coarsest first.

        Raises:
            ValueError: wrong images or labels, or the model has no discriminator.
        """
        discriminator = self._require_discriminator()
        pixel_values = to_pixel_values(images, self.sample_size, self.num_channels).to(self.device, self.dtype)
        labels = self._labels_or_none(class_labels, len(pixel_values))
        chunks = pixel_values.split(CHUNK)
        label_chunks = [None] * len(chunks) if labels is None else labels.to(self.device).split(CHUNK)
        with inference(discriminator):
            scores = [discriminator(*chunk) for chunk in zip(chunks, label_chunks, strict=True)]
        scores = torch.cat(scores).float().cpu()
        return scores if per_level else scores.sum(1)
