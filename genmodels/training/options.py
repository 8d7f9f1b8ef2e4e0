"""Settings that several scripts have, and what they make of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..errors import UserError
from ..models.dcgan import UPSAMPLINGS
from .config import TrainingConfig, data, model, objective, setting

if TYPE_CHECKING:
    from ..pipelines.autoencoder import EncoderDecoderPipeline
    from .run import TrainingRun

CIFAR10 = "uoft-cs/cifar10"
# Parts of presets: without what is newer than the papers, and with the optimizer that Radford et al. 2016 found.
AS_PUBLISHED = {"random_flip": False, "diffaugment": ["none"], "headroom": 0.0}
NEAREST = (
    "nearest: plain convolutions behind nearest-neighbour upsampling, which leave no checkerboard (Odena et al. 2016)"
)
HEADROOM = "of the tanh's range, beyond black and white, so that pixels reach both; 0 as in the papers"
RESIDUAL = "of both networks, at 4x4 pixels, where depth is cheap: 0 to 8 (He et al. 2016, 1512.03385)"
FINE = "convolutions of both networks at the images' own resolution, 0 to 4: for sharp edges"
GAUSSIANS = "to fit to the latents after the training, and to draw from; 0 for N(0, I) (Ghosh et al. 2020, 1903.12436)"
latent = partial(setting, group="latents")
ADAM_OF_DCGAN = {"learning_rate": 2e-4, "adam_beta1": 0.5, "adam_beta2": 0.999}


@dataclass(kw_only=True)
class UpsamplingConfig(TrainingConfig):
    """How a generator or decoder doubles its resolution."""

    upsampling: str = model("transposed", NEAREST, choices=UPSAMPLINGS)


@dataclass(kw_only=True)
class AutoencoderConfig(UpsamplingConfig):
    """What an autoencoder and a VAE have in common."""

    latent_dim: int = model(2, "2 can be drawn as a map", low=1)
    fit_latents: int = latent(0, GAUSSIANS, low=0, high=100, metavar="COUNT")
    base_channels: int = model(32, "of both networks", low=1)
    hidden_dim: int = model(256, "of the dense layers", low=1)
    learning_rate: float = objective(1e-3, low=0, high=1)
    # Their losses do not oscillate as a GAN's do: the last weights are the best.
    validation_steps: int = 0
    train_batch_size: int = 128
    lr_scheduler: str = "cosine"


@dataclass(kw_only=True)
class HeadroomConfig(TrainingConfig):
    """How much of the tanh's range lies beyond black and white."""

    headroom: float = model(0.04, HEADROOM, low=0, high=0.5, metavar="SHARE")


@dataclass(kw_only=True)
class LayersConfig(UpsamplingConfig, HeadroomConfig):
    """How networks of the DCGAN kind are built."""

    latent_dim: int = model(64, low=1)
    base_channels: int = model(64, "of the generator", low=1)

    residual_layers: int = model(0, RESIDUAL, low=0, high=8, metavar="N")
    fine_layers: int = model(0, FINE, low=0, high=4, metavar="N")

    @property
    def generator(self) -> dict[str, Any]:
        """Arguments of the generator."""
        own = {"latent_dim": self.latent_dim, "base_channels": self.base_channels, "upsampling": self.upsampling}
        return {**own, "headroom": self.headroom, **self.depth}

    @property
    def depth(self) -> dict[str, int]:
        """Arguments of both networks."""
        return {"residual_layers": self.residual_layers, "fine_layers": self.fine_layers}


@dataclass(kw_only=True)
class AdamConfig(TrainingConfig):
    """Adam, as R3GAN has it."""

    learning_rate: float = objective(1e-3, low=0, high=1)
    adam_beta1: float = objective(0.0, low=0, high=0.999999)
    adam_beta2: float = objective(0.99, low=0, high=0.999999)

    def adam(self, network: nn.Module, learning_rate: float | None = None) -> torch.optim.Adam:
        """Of a network's parameters, with another learning rate than the config's if one is given."""
        rate = self.learning_rate if learning_rate is None else learning_rate
        return torch.optim.Adam(network.parameters(), lr=rate, betas=(self.adam_beta1, self.adam_beta2), fused=True)


@dataclass(kw_only=True)
class CriticStepsConfig(TrainingConfig):
    """How often the discriminator learns for one step of the generator, each time on images of its own."""

    critic_steps: int = objective(1, "of D for one of G", low=1)

    @property
    def batches_per_step(self) -> int:
        return self.critic_steps


@dataclass(kw_only=True)
class FrogsConfig(TrainingConfig):
    """CIFAR-10, of which the frogs are learned unless --classes or --conditional ask for others, and mirrored at random."""

    dataset_name: str = CIFAR10
    classes: list[str] | None = data(None, "keep only these (default: frogs of CIFAR-10, else all)", metavar="NAME")

    def check(self) -> None:
        super().check()
        if self.dataset_name == CIFAR10:
            if self.classes is None and not getattr(self, "conditional", False):
                self.classes = ["frog"]
            if self.random_flip is None:
                self.random_flip = True


@dataclass(kw_only=True)
class AttributesConfig(TrainingConfig):
    """Directions in the latent space to learn after the training."""

    attributes: list[str] | None = latent(None, "boolean columns to learn directions of, or all", metavar="COLUMN")
    decorrelate: bool = latent(False, "each attribute's direction with the others held fixed")

    def check(self) -> None:
        super().check()
        if not self.attributes:
            self.refuse("is about attributes: add --attributes", "decorrelate")


def complete_latents(run: TrainingRun[Any], pipe: EncoderDecoderPipeline) -> None:
    """What is learned of the latents of the whole training split, by the final weights: their law, and attributes."""
    config = run.config
    again = "The training is saved: the same command with --resume_from_checkpoint latest and"
    if config.fit_latents:
        try:
            pipe.fit_latents(run.whole_split(), config.fit_latents)
        except ValueError as error:
            raise UserError(f"--fit_latents: {error} {again} a lower --fit_latents goes on from there.") from error
    if getattr(config, "attributes", None):
        try:
            pipe.learn_attributes(run.data.attribute_names, run.whole_split(), config.decorrelate)
        except ValueError as error:
            raise UserError(
                f"--attributes: {error} {again} other --attributes, or without --decorrelate, goes on from there."
            ) from error


def layer_papers(config: Any) -> list[str]:
    """The DOI or arXiv id of who proposed the chosen layers, where they are not the usual ones."""
    papers = ["10.23915/distill.00003"] if config.upsampling == "nearest" else []
    papers += ["1903.12436"] if getattr(config, "fit_latents", 0) else []
    return papers + (["1512.03385"] if getattr(config, "residual_layers", 0) else [])
