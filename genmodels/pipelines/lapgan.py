"""Pipeline of LAPGAN: images from coarse to fine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..latents import Generators
from ..models.lapgan import LAPGANDiscriminator, LAPGANGenerator
from ..pixels import Images, OutputImages, check_output_type, to_output
from .base import GenerationOutput, as_in_diffusers, in_chunks
from .gan import ConditionalGANPipeline
from .labels import ClassLabels


@dataclass
class LAPGANOutput(GenerationOutput):
    """What `LAPGANPipeline` returns.

    Attributes:
        stages: with `return_stages`, the images of each level in the form of `images`, the coarsest level's first and `images`
            last; else None.
    """

    stages: list[OutputImages] | None = None


class LAPGANPipeline(ConditionalGANPipeline):
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

    generator: LAPGANGenerator

    def __init__(self, generator: LAPGANGenerator, discriminator: LAPGANDiscriminator | None = None):
        super().__init__()
        self.register_modules(generator=generator, discriminator=discriminator)

    @property
    def num_levels(self) -> int:
        """How many sizes an image passes through."""
        return self.generator.config.num_levels

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
        output_type: str = "pil",
        return_stages: bool = False,
    ) -> LAPGANOutput:
        """Draw images.

        Args:
            num_images, class_labels, generator, seed, latents, psi, output_type: as in `ClassLabelsMixin.__call__`.
            return_stages: whether to return the images of every level too, each at its own size. All of them, the last
                included, are clamped to [-1, 1], and the next level starts from the clamped ones.

        Raises:
            ValueError: an argument is out of its range, or there are labels for a model without classes.
        """
        check_output_type(output_type)
        inputs, labels = self._inputs(num_images, class_labels, generator, seed, latents, psi)
        drawn = in_chunks(self.generator, inputs, labels, return_stages=True)
        stages = [to_output(torch.cat(parts), output_type) for parts in zip(*drawn, strict=True)]
        return LAPGANOutput(
            images=stages[-1], latents=inputs, class_labels=labels, stages=stages if return_stages else None
        )

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
        pixel_values = self._to_pixels(images)
        scores = self._scores(pixel_values, self._labels_if_any(class_labels, len(pixel_values)))
        return scores if per_level else scores.sum(1)
