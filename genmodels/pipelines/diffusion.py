"""Pipeline of the diffusion model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from diffusers import DDIMScheduler
from torch.nn import functional as F

from ..models.diffusion import UNet
from .base import (
    CHUNK,
    GenerationOutput,
    ImagePipeline,
    check_count,
    check_output_type,
    draw_latents,
    inference,
    interpolate_latents,
    to_output,
)

# More add time, and nothing that the evaluator sees.
NUM_INFERENCE_STEPS = 25


@dataclass
class DiffusionOutput(GenerationOutput):
    """What the diffusion pipeline returns.

    Attributes:
        images, latents, class_labels: as in `GenerationOutput`; a latent is the noise that the image was made of.
        trajectory: one entry per step, each in the form of `images`: the clean image that the network expected at that step.
            The last one is the image. None unless it was asked for.
    """

    trajectory: list | None = None


class PixelDiffusionPipeline(ImagePipeline):
    """Images from noise in many small steps: https://arxiv.org/abs/2006.11239.

    The steps are those of DDIM with eta = 0 (Song et al. 2021, https://arxiv.org/abs/2010.02502, equation 12): nothing is
    drawn at random but the noise at the beginning, so that noise is a latent like a GAN's. Where the network sees patches
    (see `UNet`), noise is added to the same pixels, only ordered otherwise.

    Args:
        unet: noisy patches (N, C p^2, S/p, S/p) and timesteps (N,) to what the scheduler's `prediction_type` says.
        scheduler: how much noise belongs to a timestep, and the step from one to the next.

    Example:
        >>> from genmodels import PixelDiffusionPipeline
        >>> pipe = PixelDiffusionPipeline.from_pretrained("runs/diffusion/model")
        >>> output = pipe(num_images=4, seed=0, num_inference_steps=10, return_trajectory=True)
        >>> len(output.images), len(output.trajectory)
        (4, 10)
    """

    def __init__(self, unet: UNet, scheduler: DDIMScheduler):
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)

    @property
    def num_channels(self) -> int:
        """1 for grey images, 3 for colour."""
        return 3 if self.unet.config.in_channels % 3 == 0 else 1

    @property
    def patch_size(self) -> int:
        """Side in pixels of what the network sees as one position; 1 if that is a pixel."""
        return math.isqrt(self.unet.config.in_channels // self.num_channels)

    @property
    def sample_size(self) -> int:
        """Side of the images in pixels."""
        return self.unet.config.sample_size * self.patch_size

    @property
    def latent_dim(self) -> int:
        """Length of a latent: as many numbers as an image has."""
        return self.num_channels * self.sample_size**2

    def __call__(
        self,
        num_images: int = 1,
        *,
        generator: torch.Generator | None = None,
        seed: int | None = None,
        latents: torch.Tensor | None = None,
        num_inference_steps: int = NUM_INFERENCE_STEPS,
        output_type: str = "pil",
        return_trajectory: bool = False,
    ) -> DiffusionOutput:
        """Draw images.

        Args:
            num_images: how many; ignored if `latents` are given.
            generator, seed: source of the latents. Image i of a seed has the same latents whatever `num_images` is.
            latents: (N, latent_dim) to use instead.
            num_inference_steps: from 1 to as many as there were in training, 1,000: each is one pass through the network.
            output_type: "pil", "pt" or "np"; see `GenerationOutput`.
            return_trajectory: also return how the images emerge.

        Raises:
            ValueError: an argument is out of its range.
        """
        check_output_type(output_type)
        self.check_steps(num_inference_steps)
        latents = self._to_latents(num_images, self.latent_dim, generator, seed, latents)
        chunks = [self._denoise(chunk, num_inference_steps, return_trajectory) for chunk in latents.split(CHUNK)]
        steps = [to_output(torch.cat(step), output_type) for step in zip(*chunks, strict=True)]
        return DiffusionOutput(images=steps[-1], latents=latents, trajectory=steps if return_trajectory else None)

    def check_steps(self, num_inference_steps: int) -> int:
        """Return a number of inference steps if the scheduler has so many timesteps, else raise ValueError."""
        most = self.scheduler.config.num_train_timesteps
        if check_count("num_inference_steps", num_inference_steps) > most:
            raise ValueError(f"num_inference_steps must be at most {most:,}, got {num_inference_steps}.")
        return num_inference_steps

    def _denoise(self, latents: torch.Tensor, num_inference_steps: int, every_step: bool) -> list[torch.Tensor]:
        """The clean images (N, C, H, W) that the network expects at every step, or at the last one alone."""
        side = self.unet.config.sample_size
        # Rounding errors of so many steps would add up in half precision: only the network computes in that.
        noisy = latents.float().view(len(latents), -1, side, side)
        # A copy: to choose steps changes a scheduler, and calls may overlap.
        scheduler = DDIMScheduler.from_config(self.scheduler.config)
        scheduler.set_timesteps(num_inference_steps, device=self.device)
        expected = []
        with inference(self.unet) as network:
            for timestep in scheduler.timesteps:
                # In this layout, CPUs convolve in two thirds of the time.
                seen = noisy.to(self.dtype).contiguous(memory_format=torch.channels_last)
                step = scheduler.step(network(seen, timestep).sample.float(), timestep, noisy)
                noisy = step.prev_sample
                expected = [
                    *(expected if every_step else []),
                    F.pixel_shuffle(step.pred_original_sample, self.patch_size),
                ]
        return expected

    def interpolate(
        self,
        a: int | torch.Tensor,
        b: int | torch.Tensor,
        steps: int = 8,
        mode: str = "slerp",
        *,
        num_inference_steps: int = NUM_INFERENCE_STEPS,
        output_type: str = "pil",
    ) -> DiffusionOutput:
        """`steps` images on the way from noise (or seed) `a` to `b`, both included; see `interpolate_latents`.

        "lerp" passes through noise that is too weak, from which nothing sensible is drawn.
        """
        latents = interpolate_latents(self._latent_of(a), self._latent_of(b), steps, mode)
        return self(latents=latents, num_inference_steps=num_inference_steps, output_type=output_type)

    def _latent_of(self, which: int | torch.Tensor) -> torch.Tensor:
        """A seed, or a latent of any shape with latent_dim numbers, as (latent_dim,)."""
        if isinstance(which, torch.Tensor):
            if which.numel() != self.latent_dim:
                raise ValueError(f"A latent has {self.latent_dim} numbers, got shape {tuple(which.shape)}.")
            return which.flatten().to(self.device, self.dtype)
        return draw_latents(1, self.latent_dim, seed=which)[0].to(self.device, self.dtype)
