"""Pipeline of the diffusion model."""

from __future__ import annotations

import inspect
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.schedulers.scheduling_ddim import DDIMScheduler
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
from diffusers.schedulers.scheduling_flow_match_lcm import FlowMatchLCMScheduler
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from torch.nn import functional as F

from ..checks import check_count, check_number
from ..latents import Generators, interpolate_latents
from ..models.diffusion import UNet
from ..pixels import OutputImages, check_output_type, to_output
from .base import CHUNK, GenerationOutput, as_in_diffusers, inference
from .labels import ClassLabels, ClassLabelsMixin

# Where a model says nothing else: more add time, and nothing that the evaluator sees.
NUM_INFERENCE_STEPS = 25
# Of guidance: what is more burns images out.
MAX_GUIDANCE = 20.0
# What a scheduler says by a broken shape, or by no numbers at all.
CANNOT = "cannot draw in num_inference_steps={}: take another number, such as 25, or another scheduler, such as DDIMScheduler."
# A SchedulerMixin, which declares nothing of what all schedulers have.
Scheduler = Any


@dataclass
class DiffusionOutput(GenerationOutput):
    """What the diffusion pipeline returns.

    Attributes:
        images, latents, class_labels: as in `GenerationOutput`; a latent is the noise that the image was made of.
        trajectory: one entry per step, each in the form of `images`: the clean image that the network expected at that step.
            The last one is the image. None unless it was asked for.
    """

    trajectory: list[OutputImages] | None = None


class PixelDiffusionPipeline(ClassLabelsMixin):
    """Images from noise in many small steps: https://arxiv.org/abs/2006.11239.

    A model trained by flow matching (Lipman et al. 2023, https://arxiv.org/abs/2210.02747) follows dx/dt = v(x, t) from noise,
    t = 1, to the image, t = 0, by steps of Euler. One trained by v-prediction takes those of DDIM with eta = 0 (Song et al.
    2021, https://arxiv.org/abs/2010.02502, equation 12). A consistency model (Song et al. 2023, https://arxiv.org/abs/2303.01469)
    has learned where a flow's path ends, and jumps there in one step; each further one adds noise to where it came, and jumps
    again. Either way nothing is drawn at random but the noise at the beginning,
    so that noise is a latent like a GAN's. Where the network sees patches (see `UNet`), noise is added to the same pixels, only
    ordered otherwise. In place of DDIM, other schedulers of diffusers that take the same noise away by other steps will do:

        pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config)

    Of those that add noise on the way, that noise follows from the latent: an image is its latent's, whatever stands beside it.

    Args:
        unet: noisy patches (N, C p^2, S/p, S/p) and timesteps (N,) to what the scheduler's `prediction_type` says.
        scheduler: how much noise belongs to a timestep, and the step from one to the next. One that does not fit what the
            network was trained for is refused, here and when it is assigned.
        num_inference_steps: how many steps an image takes if a call says nothing else; it is saved with the model.

    Example:
        >>> from genmodels import PixelDiffusionPipeline
        >>> pipe = PixelDiffusionPipeline.from_pretrained("runs/diffusion/model")
        >>> output = pipe(num_images=4, seed=0, num_inference_steps=10, return_trajectory=True)
        >>> len(output.images), len(output.trajectory)
        (4, 10)
    """

    _drawing_component = "unet"
    unet: UNet
    scheduler: Scheduler

    def __init__(self, unet: UNet, scheduler: SchedulerMixin, num_inference_steps: int = NUM_INFERENCE_STEPS):
        super().__init__()
        self.register_modules(unet=unet, scheduler=scheduler)
        self.register_to_config(num_inference_steps=self.check_steps(num_inference_steps))

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "scheduler":
            check_scheduler_fits(value, self.__dict__.get("scheduler"))
        super().__setattr__(name, value)

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

    @as_in_diffusers
    def __call__(
        self,
        num_images: int | None = None,
        class_labels: ClassLabels | None = None,
        *,
        generator: Generators = None,
        seed: int | None = None,
        latents: torch.Tensor | np.ndarray | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float = 1.0,
        eta: float = 0.0,
        output_type: str = "pil",
        return_trajectory: bool = False,
        callback_on_step_end: Callable | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> DiffusionOutput:
        """Draw images.

        Args:
            num_images: how many; by default as many as there are labels, or else 1. Ignored if `latents` are given.
            class_labels: of a model with classes, as in `ClassLabelsMixin.__call__`.
            generator, seed: source of the latents. Image i of a seed has the same latents whatever `num_images` is.
            latents: (N, latent_dim) to use instead.
            num_inference_steps: from 1 to as many as there were in training, 1,000: each is one pass through the network. By
                default `pipe.config.num_inference_steps`.
            guidance_scale: of a model with classes, from 0 to 20: how far from images of no class towards those of the wanted
                one (Ho, Salimans 2022, https://arxiv.org/abs/2207.12598). 1 is what was learned; more makes images more typical
                of their class and more alike. Other numbers than 1 take two passes for each step.
            eta: of DDIM, from 0, nothing random, to 1, as much noise as DDPM adds; other schedulers do not have it.
            output_type: "pil", "pt" or "np"; see `GenerationOutput`.
            return_trajectory: also return how the images emerge.
            callback_on_step_end: called after every step, for each 256 images, with the pipeline, the step's number, its timestep
                and a dict that holds the noisy patches as "latents"; what it returns under that name takes their place.
            callback_on_step_end_tensor_inputs: names of what the dict holds: "latents" is all there is.

        Raises:
            ValueError: an argument is out of its range, or of classes for a model that has none.
        """
        check_output_type(output_type)
        num_inference_steps = self.check_steps(num_inference_steps)
        inputs, labels = self._inputs(num_images, class_labels, generator, seed, latents)
        if unknown := set(callback_on_step_end_tensor_inputs) - {"latents"}:
            raise ValueError(f"callback_on_step_end_tensor_inputs may name 'latents' alone, got {sorted(unknown)}.")
        check_number("eta", eta, 0, 1)
        if check_number("guidance_scale", guidance_scale, 0, MAX_GUIDANCE) != 1 and labels is None:
            raise ValueError("This model has no classes to guide towards: leave guidance_scale out.")
        options: dict[str, Any] = {"guidance_scale": guidance_scale, "num_inference_steps": num_inference_steps}
        options |= {"every_step": return_trajectory, "eta": eta, "callback": callback_on_step_end}
        parts = inputs.split(CHUNK)
        label_parts = [None] * len(parts) if labels is None else labels.split(CHUNK)
        chunks = [self._denoise(*part, **options) for part in zip(parts, label_parts, strict=True)]
        steps = [to_output(torch.cat(step), output_type) for step in zip(*chunks, strict=True)]
        trajectory = steps if return_trajectory else None
        return DiffusionOutput(images=steps[-1], latents=inputs, class_labels=labels, trajectory=trajectory)

    def check_steps(self, num_inference_steps: int | None) -> int:
        """Return a number of steps, by default the model's, if the scheduler has so many timesteps, else raise ValueError."""
        if num_inference_steps is None:
            num_inference_steps = self.config["num_inference_steps"]
        return check_count("num_inference_steps", num_inference_steps, high=self.scheduler.config.num_train_timesteps)

    def step_numbers(self, num_inference_steps: int | None = None) -> list[list[float]]:
        """The scheduler's steps as numbers, a row of six for each, as `DiffusionStep` takes them; by default the model's.

        Raises:
            ValueError: there are not so many steps, or they are not such as six numbers say: then the message says whose are.
        """
        num_inference_steps = self.check_steps(num_inference_steps)
        scheduler, name = type(self.scheduler).from_config(self.scheduler.config), type(self.scheduler).__name__
        choose_steps(scheduler, num_inference_steps)
        if is_consistent(scheduler) and num_inference_steps > 1:
            raise ValueError(
                f"{name} adds new noise between steps, of which six numbers say nothing: give `num_inference_steps` as 1."
            )
        if is_flow(scheduler):
            times = scheduler.sigmas.double().tolist()
            pairs = zip(scheduler.timesteps.tolist(), times, times[1:], strict=False)
            return [[timestep, 1.0, -now, 0.0, 1.0, then - now] for timestep, now, then in pairs]
        config = scheduler.config
        if name != DDIMScheduler.__name__ or config.thresholding or config.clip_sample_range != 1:
            raise ValueError(
                f"{name} of these settings takes steps that depend on more than the noise before them: assign "
                "DDIMScheduler.from_config(pipe.scheduler.config, thresholding=False, clip_sample_range=1.0)."
            )
        rows = []
        for timestep in scheduler.timesteps.tolist():
            before = timestep - config.num_train_timesteps // num_inference_steps
            share = scheduler.alphas_cumprod[timestep].double()
            share_then = (scheduler.alphas_cumprod[before] if before >= 0 else scheduler.final_alpha_cumprod).double()
            signal, noise, signal_then, noise_then = (
                math.sqrt(part) for part in (share, 1 - share, share_then, 1 - share_then)
            )
            # How much of the noisy image and of the prediction is in the clean image, and in the noise.
            (a, b), (of_noisy, of_predicted) = {
                "v_prediction": ((signal, -noise), (noise, signal)),
                "sample": ((0.0, 1.0), (1 / noise, -signal / noise)),
                "epsilon": ((1 / signal, -noise / signal), (0.0, 1.0)),
            }[config.prediction_type]
            c, d, e = signal_then, noise_then * of_noisy, noise_then * of_predicted
            # Where the clean image is not cut, it is part of the other two.
            rows.append([timestep, a, b, *((c, d, e) if config.clip_sample else (0.0, d + c * a, e + c * b))])
        return rows

    def _denoise(
        self,
        latents: torch.Tensor,
        labels: torch.Tensor | None,
        guidance_scale: float,
        num_inference_steps: int,
        every_step: bool,
        eta: float,
        callback: Callable | None,
    ) -> list[torch.Tensor]:
        """The clean images (N, C, H, W) that the network expects at every step, or at the last one alone."""
        side = self.unet.config.sample_size
        # A copy: to choose steps changes a scheduler, and calls may overlap.
        scheduler = type(self.scheduler).from_config(self.scheduler.config)
        try:
            choose_steps(scheduler, num_inference_steps, self.device)
        except (ValueError, IndexError) as error:
            raise ValueError(f"{type(scheduler).__name__} {CANNOT.format(num_inference_steps)}") from error
        # Rounding errors of so many steps would add up in half precision: only the network computes in that.
        noisy = latents.float().view(len(latents), -1, side, side) * getattr(scheduler, "init_noise_sigma", 1.0)
        names = inspect.signature(scheduler.step).parameters
        options: dict[str, Any] = {"eta": eta} if "eta" in names else {}
        if "generator" in names:
            # Noise of its own for each image, which does not depend on those beside it.
            seeds = [zlib.crc32(row.float().cpu().numpy().tobytes()) for row in latents]
            options["generator"] = [torch.Generator().manual_seed(seed) for seed in seeds]
        name = type(scheduler).__name__
        expected: list[torch.Tensor] = []
        with inference(self.unet) as network:
            for number, timestep in enumerate(scheduler.timesteps):
                scaled = seen_by_network(scheduler, noisy, timestep)
                # In this layout, CPUs convolve in two thirds of the time.
                seen = scaled.to(self.dtype).contiguous(memory_format=torch.channels_last)
                predicted = self._predict(network, seen, timestep, labels, guidance_scale).float()
                try:
                    step = scheduler.step(predicted, timestep, noisy, **options)
                except (ValueError, IndexError, RuntimeError) as error:
                    raise ValueError(f"{name} {CANNOT.format(num_inference_steps)}") from error
                noisy = step.prev_sample
                clean = getattr(step, "pred_original_sample", None)
                if clean is None:
                    last = number + 1 == len(scheduler.timesteps)
                    clean = noisy if last else clean_of(scheduler, scaled, predicted, timestep)
                if not isinstance(scheduler, DDIMScheduler):
                    # DDIM does so itself if its settings say so, and counts on it in the next step.
                    clean = clean.clamp(-1, 1)
                expected = [*(expected if every_step else []), F.pixel_shuffle(clean, self.patch_size)]
                if callback is not None:
                    noisy = self._changed(callback(self, number, timestep, {"latents": noisy}), noisy)
        if not torch.isfinite(expected[-1]).all():
            raise ValueError(f"{name} {CANNOT.format(num_inference_steps)}")
        return expected

    def _predict(
        self,
        network: torch.nn.Module,
        seen: torch.Tensor,
        timestep: torch.Tensor,
        labels: torch.Tensor | None,
        scale: float,
    ) -> torch.Tensor:
        """What the network says, guided: v_0 + scale (v_y - v_0), with v_0 of no class."""
        predicted = network(seen, timestep, labels).sample
        if scale == 1:
            return predicted
        without = network(seen, timestep, torch.full((len(seen),), self.num_classes, device=seen.device)).sample
        return without + scale * (predicted - without)

    @staticmethod
    def _changed(answer: dict[str, torch.Tensor] | None, noisy: torch.Tensor) -> torch.Tensor:
        """The noisy patches after what `callback_on_step_end` returned; raises ValueError if that is nothing to go on with."""
        latents = (answer or {}).get("latents", noisy) if isinstance(answer, dict | None) else None
        if not isinstance(latents, torch.Tensor) or latents.shape != noisy.shape:
            raise ValueError(
                f'callback_on_step_end must return None or a dict with "latents", a tensor of shape {tuple(noisy.shape)}.'
            )
        return latents

    def interpolate(
        self,
        a: int | torch.Tensor,
        b: int | torch.Tensor,
        steps: int = 8,
        mode: str = "slerp",
        *,
        class_labels: int | str | tuple[int | str, int | str] | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float = 1.0,
        output_type: str = "pil",
    ) -> DiffusionOutput:
        """`steps` images on the way from noise (or seed) `a` to `b`, both included; see `interpolate_latents`.

        "lerp" passes through noise that is too weak, from which nothing sensible is drawn.

        Args:
            class_labels: of a model with classes: one class for all, by default the first, or a pair to change from the first
                class to the second on the way.
        """
        latents = interpolate_latents(self._latent_of(a), self._latent_of(b), steps, mode)
        options = {"num_inference_steps": num_inference_steps, "guidance_scale": guidance_scale}
        return self(
            latents=latents, class_labels=self._path_if_any(class_labels, steps), **options, output_type=output_type
        )


def is_flow(scheduler: Scheduler) -> bool:
    """Whether a scheduler knows noise as flows along straight lines do, x_t = (1 - t) x + t e with timestep 1000 t."""
    return isinstance(scheduler, FlowMatchEulerDiscreteScheduler) or is_consistent(scheduler)


def is_consistent(scheduler: Scheduler) -> bool:
    """Whether a scheduler jumps to the end of a flow's path with each step, as a consistency model does."""
    return isinstance(scheduler, FlowMatchLCMScheduler)


def choose_steps(scheduler: Scheduler, num_inference_steps: int, device: torch.device | str = "cpu") -> None:
    """Settle the timesteps; those that a flow's scheduler chooses end one step before the image, and spend a pass on that."""
    if is_flow(scheduler):
        scheduler.set_timesteps(sigmas=np.linspace(1, 1 / num_inference_steps, num_inference_steps), device=device)
    else:
        scheduler.set_timesteps(num_inference_steps, device=device)


def seen_by_network(scheduler: Scheduler, noisy: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
    """What a scheduler holds at a timestep as the network was trained to see it."""
    return noisy if is_flow(scheduler) else scheduler.scale_model_input(noisy, timestep)


def parts_at(scheduler: Scheduler, timestep: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """How much of the image and of the noise the network sees at a timestep, which may lie between two of the training's."""
    if is_flow(scheduler):
        noise = timestep / scheduler.config.num_train_timesteps
        return 1 - noise, noise
    share = scheduler.alphas_cumprod[int(timestep.round().clamp(0, len(scheduler.alphas_cumprod) - 1))]
    return share.sqrt(), (1 - share).sqrt()


def clean_of(
    scheduler: Scheduler, noisy: torch.Tensor, predicted: torch.Tensor, timestep: torch.Tensor
) -> torch.Tensor:
    """The clean image that a network's prediction means; all (N, C, H, W).

    `noisy` is s x + r e, what the network saw, with the parts of `parts_at`. A flow predicts e - x, where s + r = 1; the others
    what the scheduler's `prediction_type` says, where s^2 + r^2 = 1.
    """
    signal, rest = (part.to(noisy) for part in parts_at(scheduler, timestep))
    if is_flow(scheduler):
        return noisy - rest * predicted
    if scheduler.config.prediction_type == "v_prediction":
        return signal * noisy - rest * predicted
    if scheduler.config.prediction_type == "sample":
        return predicted
    return (noisy - rest * predicted) / signal


def check_scheduler_fits(scheduler: Scheduler, before: Scheduler | None = None) -> None:
    """Raise ValueError unless a scheduler takes away the noise that another one has added in training, by steps of its own.

    Args:
        scheduler: what is to be used.
        before: what was, for the same network; None for the first one.
    """
    name = type(scheduler).__name__
    how = f"make it with {name}.from_config(pipe.scheduler.config)"
    if not issubclass(type(scheduler), SchedulerMixin):
        raise ValueError(f"A scheduler of diffusers is expected, such as DDIMScheduler, got {name}.")
    config, shares = scheduler.config, getattr(scheduler, "alphas_cumprod", None)
    if (
        before is not None
        and is_flow(before)
        and (is_flow(scheduler), is_consistent(scheduler)) != (True, is_consistent(before))
    ):
        trained = "as a consistency model" if is_consistent(before) else "by flow matching"
        raise ValueError(
            f"A {name} is for models of another kind: this one was trained {trained}, and draws by {type(before).__name__}."
        )
    step = getattr(scheduler, "step", None)
    arguments = inspect.signature(step).parameters.values() if step is not None else ()
    needed = {argument.name for argument in arguments if argument.default is argument.empty}
    if is_flow(scheduler) and (before is None or is_flow(before)):
        if config.get("stochastic_sampling"):
            raise ValueError("stochastic_sampling adds noise that no seed decides: leave it out.")
        if before is not None and config.num_train_timesteps != before.config.num_train_timesteps:
            raise ValueError(f"This {name} counts time in another way than the network was trained with: {how}.")
    elif shares is None or "prediction_type" not in config or needed != {"model_output", "timestep", "sample"}:
        raise ValueError(
            f"A {name} is for models of another kind: take one such as DDIMScheduler, EulerDiscreteScheduler, "
            "UniPCMultistepScheduler or DPMSolverMultistepScheduler."
        )
    elif before is not None:
        was = before.config.prediction_type
        if config.prediction_type != was:
            raise ValueError(
                f"This {name} expects a network that predicts {config.prediction_type!r}, and this one predicts {was!r}: {how}."
            )
        theirs = before.alphas_cumprod
        if len(shares) != len(theirs) or not torch.allclose(shares.cpu(), theirs.cpu(), atol=1e-3):
            raise ValueError(f"This {name} adds noise in another way than the network was trained with: {how}.")
    trial = type(scheduler).from_config(config)
    try:
        choose_steps(trial, NUM_INFERENCE_STEPS)
        sigma = float(getattr(trial, "init_noise_sigma", 1.0))
        works = trial.timesteps[0] > trial.timesteps[-1] and math.isfinite(sigma)
        deviation = deviation_of_known(trial) if works else math.nan
    except (ValueError, TypeError, IndexError, RuntimeError, AssertionError) as error:
        why = str(error) or type(error).__name__
        raise ValueError(f"This {name} does not work with the settings that it has ({why}): {how}.") from error
    # Less is blurred, as by few steps: 0.7 to 1.02 are those that draw as DDIM does. Heun's 1.24 is noise that is left.
    if not 0.6 < deviation / DATA_DEVIATION < 1.15:
        raise ValueError(f"A {name} of these settings does not take the noise away: take one such as DDIMScheduler.")


# Of the known data on which a scheduler is tried; that of images in [-1, 1] is about the same.
DATA_DEVIATION = 0.5


def deviation_of_known(scheduler: Scheduler, count: int = 256) -> float:
    """Standard deviation of what a scheduler draws in the steps that are set, of data N(0, DATA_DEVIATION^2).

    The best denoiser of such data is known: of s x0 + r e it expects x0 to be s d^2 / (s^2 d^2 + r^2) of it, d being the
    deviation. Where a flow's path ends is known, too: at as many deviations of the data as it is away of its own.
    """
    generator = torch.Generator().manual_seed(0)
    noisy = torch.randn(1, 1, 1, count, generator=generator, dtype=torch.float32)
    noisy = noisy * getattr(scheduler, "init_noise_sigma", 1.0)
    options = {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}
    for timestep in scheduler.timesteps:
        seen = seen_by_network(scheduler, noisy, timestep)
        signal, rest = (part.to(seen) for part in parts_at(scheduler, timestep))
        variance = (signal * DATA_DEVIATION) ** 2 + rest**2
        share = DATA_DEVIATION / variance.sqrt() if is_consistent(scheduler) else signal * DATA_DEVIATION**2 / variance
        clean = share * seen
        noise = (seen - signal * clean) / rest
        if is_flow(scheduler):
            predicted = noise - clean
        else:
            velocity = signal * noise - rest * clean
            predicted = {"v_prediction": velocity, "sample": clean}.get(scheduler.config.prediction_type, noise)
        noisy = scheduler.step(predicted, timestep, noisy, **options).prev_sample
    return float(noisy.std())
