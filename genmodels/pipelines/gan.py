"""Pipelines of the GANs: unconditional (vanilla GAN, DCGAN, WGAN) and class-conditional (CGAN)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..checks import check_count
from ..latents import Generators, circle_latents, cross_latents, draw_latents, interpolate_latents, truncated
from ..models.cgan import CGANDiscriminator, CGANGenerator
from ..models.dcgan import DCGANDiscriminator, DCGANGenerator
from ..models.gan import VanillaGANDiscriminator, VanillaGANGenerator
from ..models.modeling import Network
from ..pixels import Images, check_output_type, to_output, to_pixel_values
from .base import GenerationOutput, ImagePipeline, as_in_diffusers, in_chunks, inference
from .directions import DirectionsOutput, principal_directions
from .inversion import class_energies
from .labels import ClassificationOutput, ClassLabels, ClassLabelsMixin

# Images that are kept at once to look for directions.
MAX_DRAWN = 10_000
# Of the inversion of a generator.
MAX_STEPS, MAX_STARTS = 1000, 10_000


class GANPipeline(ImagePipeline):
    """What all GAN pipelines share. `generator` and `discriminator` are its components."""

    _optional_components = ["discriminator"]
    discriminator: Network | None

    def _scores(self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        if self.discriminator is None:
            raise ValueError("This model was saved without its discriminator, so it cannot score images.")
        return torch.cat(in_chunks(self.discriminator, pixel_values, labels)).float().cpu()


class BreedingGANPipeline(GANPipeline):
    """What the pipelines share that draw from a single latent: it can be crossed, walked through and looked for directions."""

    def breed(
        self,
        a: int | torch.Tensor,
        b: int | torch.Tensor,
        num_images: int = 8,
        mutation: float = 0.2,
        seed: int = 0,
        **options,
    ) -> GenerationOutput:
        """Children of latents (or seeds) `a` and `b`; see `cross_latents`.

        Args:
            options: further arguments of `__call__`: psi, output_type, and class_labels of a model with classes.
        """
        return self(
            latents=cross_latents(self._latent_of(a), self._latent_of(b), num_images, mutation, seed), **options
        )

    def loop(self, a: int | torch.Tensor, b: int | torch.Tensor, steps: int = 48, **options) -> GenerationOutput:
        """`steps` images of a film without end that passes through latents (or seeds) `a` and `b`; see `circle_latents`.

        Args:
            options: further arguments of `__call__`, as in `breed`.
        """
        return self(latents=circle_latents(self._latent_of(a), self._latent_of(b), steps), **options)

    def principal_directions(
        self, num_directions: int = 8, num_images: int = 2000, seed: int = 0, **options
    ) -> DirectionsOutput:
        """Directions of the latent space along which the images change most; see `directions.principal_directions`.

            found = pipe.principal_directions()
            images = pipe(latents=latents + 3 * found.directions[0]).images

        Args:
            num_directions: how many, at most latent_dim.
            num_images: drawn to find them, more than num_directions and at most 10,000. With 2,000 a direction that is found
                with another seed is almost the same, for the first ones.
            seed: of those images.
            options: further arguments of `__call__`: of a model with classes, one of class_labels, or their differences hide
                those within one.

        Raises:
            ValueError: a number is out of its range.
        """
        check_count("num_directions", num_directions, high=self.latent_dim)
        check_count("num_images", num_images, num_directions + 1, MAX_DRAWN)
        drawn = self(num_images=num_images, seed=seed, output_type="pt", **options)
        return principal_directions(drawn.latents, torch.as_tensor(drawn.images), num_directions)


class UnconditionalGANPipeline(BreedingGANPipeline):
    """What the pipelines share that draw images from noise alone."""

    @as_in_diffusers
    def __call__(
        self,
        num_images: int = 1,
        *,
        generator: Generators = None,
        seed: int | None = None,
        latents: torch.Tensor | np.ndarray | None = None,
        psi: float = 1.0,
        output_type: str = "pil",
    ) -> GenerationOutput:
        """Draw images.

        Args:
            num_images: how many; ignored if `latents` are given.
            generator, seed: source of the latents. Image i of a seed has the same latents whatever `num_images` is.
            latents: (N, latent_dim) to use instead.
            psi: truncation, from 0 to 2: latents are scaled by it, so below 1 images get more typical and more alike
                (Karras et al. 2019, https://arxiv.org/abs/1812.04948, section B, in latent space, whose mean is 0).
            output_type: "pil", "pt" or "np"; see `GenerationOutput`.

        Raises:
            ValueError: an argument is out of its range.
        """
        check_output_type(output_type)
        latents = truncated(self._to_latents(num_images, generator, seed, latents), psi)
        pixel_values = torch.cat(in_chunks(self._drawing_network, latents))
        return GenerationOutput(images=to_output(pixel_values, output_type), latents=latents)

    def interpolate(
        self,
        a: int | torch.Tensor,
        b: int | torch.Tensor,
        steps: int = 8,
        mode: str = "slerp",
        *,
        psi: float = 1.0,
        output_type: str = "pil",
    ) -> GenerationOutput:
        """`steps` images on the way from latent (or seed) `a` to `b`, both included; see `interpolate_latents`."""
        latents = interpolate_latents(self._latent_of(a), self._latent_of(b), steps, mode)
        return self(latents=latents, psi=psi, output_type=output_type)

    def discriminate(self, images: Images) -> torch.Tensor:
        """The discriminator's scores (N,) of images in any form that the pipeline returns: higher is more real.

        A discriminator with minibatch layers compares the images of a batch (up to 256 here): then a score depends on the images
        beside it, and is what training made it only among about as many, all real or all generated.

        Raises:
            ValueError: wrong images, or the model has no discriminator.
        """
        return self._scores(self._to_pixels(images))


class VanillaGANPipeline(UnconditionalGANPipeline):
    """Images from noise through dense layers: https://arxiv.org/abs/1406.2661.

    Args:
        generator: (N, latent_dim) latents to images.
        discriminator: images to scores; optional, only `discriminate` needs it.

    Example:
        >>> from genmodels import VanillaGANPipeline
        >>> pipe = VanillaGANPipeline.from_pretrained("runs/gan/model")
        >>> images = pipe(num_images=4, seed=0).images
        >>> images[0].size
        (28, 28)
    """

    def __init__(self, generator: VanillaGANGenerator, discriminator: VanillaGANDiscriminator | None = None):
        super().__init__()
        self.register_modules(generator=generator, discriminator=discriminator)


class DCGANPipeline(UnconditionalGANPipeline):
    """Images from noise: https://arxiv.org/abs/1511.06434.

    Args:
        generator: (N, latent_dim) latents to images.
        discriminator: images to scores; optional, only `discriminate` needs it.

    Example:
        >>> from genmodels import DCGANPipeline
        >>> pipe = DCGANPipeline.from_pretrained("dcgan-cifar10-frogs")
        >>> images = pipe(num_images=4, seed=0).images
        >>> images[0].size
        (32, 32)
    """

    def __init__(self, generator: DCGANGenerator, discriminator: DCGANDiscriminator | None = None):
        super().__init__()
        self.register_modules(generator=generator, discriminator=discriminator)


class WGANPipeline(UnconditionalGANPipeline):
    """Images from noise, of a generator that a critic taught: https://arxiv.org/abs/1701.07875.

    Args:
        generator: (N, latent_dim) latents to images; a DCGAN's.
        discriminator: the critic, a DCGAN's discriminator without a sigmoid behind it; optional, only `discriminate` needs it.

    Example:
        >>> from genmodels import WGANPipeline
        >>> pipe = WGANPipeline.from_pretrained("runs/wgan/model")
        >>> images = pipe(num_images=4, seed=0).images
        >>> pipe.discriminate(images).shape
        torch.Size([4])
    """

    def __init__(self, generator: DCGANGenerator, discriminator: DCGANDiscriminator | None = None):
        super().__init__()
        self.register_modules(generator=generator, discriminator=discriminator)

    def discriminate(self, images: Images) -> torch.Tensor:
        """The critic's scores (N,) of images in any form that the pipeline returns: higher is more real.

        They are unbounded, and no logits: a sigmoid of them is no probability, and 0 is no border. Only differences count; that
        of the means over real and over generated images is the critic's estimate of the distance between the two. With minibatch
        layers they depend on the images beside them, as in `UnconditionalGANPipeline.discriminate`.

        Raises:
            ValueError: wrong images, or the model has no critic.
        """
        return super().discriminate(images)


class ConditionalGANPipeline(ClassLabelsMixin, GANPipeline):
    """What the pipelines share of GANs that may have classes."""

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
        **options,
    ) -> GenerationOutput:
        """`steps` images on the way from latent (or seed) `a` to `b`, both included; see `interpolate_latents`.

        Args:
            class_labels: of a model with classes: one class for all, by default the first, or a pair to change from the first
                class to the second on the way; with a == b only the class changes.
            psi, output_type, options: as in `__call__`.
        """
        latents = interpolate_latents(self._latent_of(a), self._latent_of(b), steps, mode)
        labels = self._path_if_any(class_labels, steps)
        return self(latents=latents, class_labels=labels, psi=psi, output_type=output_type, **options)


class CGANPipeline(ConditionalGANPipeline, BreedingGANPipeline):
    """Images of a wanted class from noise: https://arxiv.org/abs/1411.1784.

    Args:
        generator: latents and class labels to images.
        discriminator: images and class labels to scores; optional, only `discriminate` needs it.

    Example:
        >>> from genmodels import CGANPipeline
        >>> pipe = CGANPipeline.from_pretrained("cgan-mnist")
        >>> output = pipe(num_images=4, class_labels=[2, 0, 2, 6], seed=0)
        >>> output.class_labels.tolist()
        [2, 0, 2, 6]
    """

    def __init__(self, generator: CGANGenerator, discriminator: CGANDiscriminator | None = None):
        super().__init__()
        self.register_modules(generator=generator, discriminator=discriminator)

    def discriminate(self, images: Images, class_labels: ClassLabels) -> torch.Tensor:
        """The discriminator's scores (N,) of images as members of `class_labels`: higher is more real.

        With minibatch layers they depend on the images beside them, as in `UnconditionalGANPipeline.discriminate`.

        Raises:
            ValueError: wrong images or labels, or the model has no discriminator.
        """
        pixel_values = self._to_pixels(images)
        return self._scores(pixel_values, self._labels_if_any(class_labels, len(pixel_values)))

    def classify(
        self,
        images: Images,
        *,
        steps: int = 20,
        candidates: int = 3,
        num_starts: int = 2000,
        sigma: float = 1.0,
        learning_rate: float = 0.1,
        class_priors: Sequence[float] | None = None,
        seed: int = 0,
    ) -> ClassificationOutput:
        """What images show, by how near the generator comes to them as members of each class.

        For each class y a latent is sought that draws the image: p(y | x) is proportional to p(y) max_z p(x | z, y) p(z), with
        log p(x | z, y) = -|x - G(z, y)|^2 / (2 sigma^2) and p(z) = N(0, I). Inversion by descent on the latent as in Zhu et al.
        2016, https://arxiv.org/abs/1609.03552, section 3.1. It starts from a regression on `num_starts` images that the
        generator drew of each class, which ranks the classes; only the first `candidates` are then descended, so that of the
        others log p(y | x) is somewhat too low. No image's class depends on its neighbours, but for rounding.

        Args:
            images: (N) images in any form that the pipeline returns.
            steps: of Adam, from 0 to 1,000.
            candidates: how many classes to descend, at most all of them.
            num_starts: images of each class for the regression, from 2 to 10,000.
            sigma: of the pixels, in units of `pixel_values`. What stays of the error is not independent from pixel to pixel, so
                this is larger than its root mean square.
            learning_rate: of Adam, at the first step.
            class_priors: p(y), num_classes numbers up to a common factor; all classes alike by default.
            seed: of the latents for the regression.

        Raises:
            ValueError: an argument is out of its range.
        """
        check_count("steps", steps, 0, MAX_STEPS)
        check_count("candidates", candidates)
        check_count("num_starts", num_starts, 2, MAX_STARTS)
        for name, value in (("sigma", sigma), ("learning_rate", learning_rate)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
                raise ValueError(f"{name} must be a positive number, got {value!r}.")
        log_priors = self._to_log_priors(class_priors).to(self.device)
        pixel_values = to_pixel_values(images, self.sample_size, self.num_channels).to(self.device)
        starts = draw_latents(num_starts, self.latent_dim, seed=seed).to(self.device)
        with inference(self._drawing_network) as network:

            def draw(latents: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
                return network(latents.to(self.dtype), labels).float()

            energies = class_energies(
                draw, pixel_values, starts, log_priors, min(candidates, self.num_classes), steps, sigma, learning_rate
            )
        return self._classified(-energies, class_priors)
