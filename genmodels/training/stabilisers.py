"""What keeps adversarial training stable: settings, each with its paper, and what they add to the losses of a script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .. import losses
from ..adversarial import Images, Regularization
from ..errors import UserError
from .config import TrainingConfig, objective, setting
from .run import TrainingRun
from .small_data import FEW, HELD_OUT, NO_AUGMENTATION


def stabiliser(default: Any, source: str, what: str, **options: Any) -> Any:
    """A field: whose it is, by arXiv id or else by address, and what it does."""
    return setting(default, f"{what} ({PAPERS[source]}, {source})", group="stabilisers", source=source, **options)


GANHACKS = "https://github.com/soumith/ganhacks"
PAPERS = {
    "1606.03498": "Salimans et al. 2016",
    GANHACKS: "Chintala et al. 2016",
    "1610.04490": "Sønderby et al. 2017",
    "2006.10738": "Zhao et al. 2020",
    "1207.0580": "Hinton et al. 2012",
    "1802.05957": "Miyato et al. 2018",
    "1801.04406": "Mescheder et al. 2018",
    "1912.04958": "Karras et al. 2020",
    "1710.10196": "Karras et al. 2018",
    "1706.08500": "Heusel et al. 2017",
}
HALF, WEIGHT = {"low": 0, "high": 0.5}, {"low": 0, "high": 1000, "metavar": "WEIGHT"}
NOISE = "standard deviation of noise on all that the discriminator sees, from -1 to 1; it falls to 0 at the last step"
AUGMENTED = (
    f"what the discriminator sees is changed at random: by itself below {FEW:,} images, unless {NO_AUGMENTATION}"
)
SPACED = "take both penalties every so many steps only, so many times as heavy: steps between need half the work"
CLOSENESS = "show it how close each image is to the others of its batch, by so many measures (without a number: 100)"
MATCHING = "the generator's objective is to match the mean of the discriminator's last hidden layer on real images"
HISTORY = "penalty on the distance of all weights from their mean over all steps (without a number: 0.001)"
TWO_RATES = "another than the generator's --learning_rate: the two time-scale update rule"
ADVERSARY = "of a discriminator in the decoder's loss, without a number 1 (Larsen et al. 2016, 1512.09300)"
HELD = f"of the images, left out for the monitor to compare scores (default: {HELD_OUT} of fewer than {FEW:,}, else 0)"


@dataclass(kw_only=True)
class StabiliserConfig(TrainingConfig):
    """All of them, and all of them off."""

    # What they play for, and how fast; a script says more of both.
    loss: str = "wasserstein"
    learning_rate: float = 1e-3
    gradient_penalty: float = 0.0

    label_smoothing: float = stabiliser(0.0, "1606.03498", "the target of real images is 1 minus this", **HALF)
    label_flips: float = stabiliser(0.0, GANHACKS, "share of targets that are wrong", **HALF)
    label_noise: float = stabiliser(0.0, GANHACKS, "targets are off by up to this", **HALF)
    instance_noise: float = stabiliser(0.0, "1610.04490", NOISE, low=0, high=10, metavar="STD")
    diffaugment: list[str] | None = stabiliser(
        None, "2006.10738", AUGMENTED, choices=(*losses.AUGMENTATIONS, NO_AUGMENTATION)
    )
    dropout: float = stabiliser(0.0, "1207.0580", "share of each hidden layer of the discriminator", low=0, high=0.9)
    spectral_norm: bool = stabiliser(False, "1802.05957", "divide D's weights by their largest singular values")
    r1: float = stabiliser(0.0, "1801.04406", "penalty on the discriminator's gradient at real images", **WEIGHT)
    r2: float = stabiliser(0.0, "1801.04406", "the same at fake images", **WEIGHT)
    penalty_interval: int = stabiliser(1, "1912.04958", SPACED, low=1, metavar="STEPS")
    minibatch_stddev: bool = stabiliser(False, "1710.10196", "show D how much the images of a batch differ")
    minibatch_discrimination: int = stabiliser(0, "1606.03498", CLOSENESS, low=0, const=100, metavar="KERNELS")
    feature_matching: bool = stabiliser(False, "1606.03498", MATCHING)
    historical_averaging: float = stabiliser(0.0, "1606.03498", HISTORY, const=0.001, **WEIGHT)
    discriminator_learning_rate: float | None = stabiliser(None, "1706.08500", TWO_RATES, low=0, high=1, metavar="RATE")
    hold_out: float | None = setting(None, HELD, group="few images", metavar="SHARE", **HALF)

    def check(self) -> None:
        super().check()
        for name in TARGETS:
            if getattr(self, name) and not losses.ADVERSARIAL[self.loss].labelled:
                raise UserError(
                    f"--{name} moves targets that the {self.loss} loss does not have: add --loss nonsaturating, or --{name} 0."
                )
        if self.penalty_interval > 1 and not (self.r1 or self.r2):
            raise UserError("--penalty_interval spaces out penalties that are off: add --r1 or --r2, or leave it out.")


@dataclass(kw_only=True)
class AdversaryConfig(StabiliserConfig):
    """Of an autoencoder that may play against a discriminator, as R3GAN does."""

    ABSENT = ("hold_out", "feature_matching", "historical_averaging", "label_smoothing", "label_flips", "label_noise")

    adversarial: float = objective(0.0, ADVERSARY, low=0, high=1000, const=1.0, metavar="WEIGHT")
    loss: str = "relativistic"
    r1: float = 0.5
    r2: float = 0.5
    penalty_interval: int = 4
    # Nothing saved could judge them.
    hold_out: float | None = 0.0

    def check(self) -> None:
        super().check()
        if not self.adversarial:
            known = (*LAYERS, "instance_noise", "diffaugment", "r1", "r2", "penalty_interval")
            self.refuse("is of the discriminator: add --adversarial", *known, "discriminator_learning_rate")
            self.diffaugment = [NO_AUGMENTATION]

    def adam(self, *networks: nn.Module, rate: float | None = None) -> torch.optim.Adam:
        """Of all their parameters, at --learning_rate unless told otherwise; of players without momentum, as in R3GAN."""
        parameters = [parameter for network in networks for parameter in network.parameters()]
        betas = (0.0, 0.99) if self.adversarial else (0.9, 0.999)
        return torch.optim.Adam(parameters, self.learning_rate if rate is None else rate, betas, fused=True)


# Those that move the targets of the discriminator's labels.
TARGETS = ("label_smoothing", "label_flips", "label_noise")
# Those that are arguments of the discriminator's class.
LAYERS = ("dropout", "spectral_norm", "minibatch_stddev", "minibatch_discrimination")
# Those that do not go with a critic, whose slope is bounded in ways of its own.
NOT_OF_CRITICS = (*TARGETS, "instance_noise", "r1", "r2", "penalty_interval", "feature_matching")
OFF = StabiliserConfig.defaults({})


def levels_of(images: Images) -> list[torch.Tensor]:
    """The levels of a pyramid, or images alone."""
    return [images] if isinstance(images, torch.Tensor) else images


class Stabilisers(Regularization):
    """The chosen stabilisers of a run, as `AdversarialStep` asks for them.

    Args:
        run: knows the config, the step, and the mean of past weights.

    Attributes:
        layers: arguments of the discriminator's class.
        learning_rate: of the discriminator.
        papers: arXiv ids of those that are on.
    """

    def __init__(self, run: TrainingRun[Any]):
        config: StabiliserConfig = run.config
        self._config, self._run = config, run
        self.layers = {name: getattr(config, name) for name in LAYERS}
        self.targets = {name: getattr(config, name) for name in TARGETS if getattr(config, name)}
        self.feature_matching = config.feature_matching
        self.slope_penalty = config.gradient_penalty if config.loss == "wasserstein" else 0.0
        rate = config.discriminator_learning_rate
        self.learning_rate = config.learning_rate if rate is None else rate
        known = config.settings().items()
        used = [flag.source for name, flag in known if flag.source and getattr(config, name) != OFF[name]]
        used += ["1807.00734"] if config.loss == "relativistic" else []
        self.papers = [source for source in dict.fromkeys(used) if not source.startswith("https:")]

    def seen(self, images: Images) -> Images:
        """Images as the discriminator sees them in this step: augmented, and with instance noise, if so chosen."""
        return self._seen(images) if isinstance(images, torch.Tensor) else list(map(self._seen, images))

    def _seen(self, images: torch.Tensor) -> torch.Tensor:
        images = losses.augment(images, self._config.diffaugment or ())
        if not self._config.instance_noise:
            return images
        left = 1 - self._run.step / self._config.max_train_steps
        return losses.instance_noise(images, self._config.instance_noise * left)

    @property
    def _penalty_weights(self) -> tuple[float, float]:
        """Of R1 and of R2 in this step. Every --logging_steps-th step has them if that is a multiple of the interval."""
        interval = self._config.penalty_interval
        if (self._run.step + 1) % interval:
            return 0.0, 0.0
        return interval * self._config.r1, interval * self._config.r2

    def inputs(self, real: Images, fake: Images) -> tuple[Images, Images]:
        r1, r2 = self._penalty_weights
        learned = [
            (self._seen(x).detach().requires_grad_(r1 > 0), self._seen(y).detach().requires_grad_(r2 > 0))
            for x, y in zip(levels_of(real), levels_of(fake), strict=True)
        ]
        if isinstance(real, torch.Tensor):
            return learned[0]
        return [x for x, _ in learned], [y for _, y in learned]

    def penalty(self, real_scores: torch.Tensor, real: Images, fake_scores: torch.Tensor, fake: Images) -> torch.Tensor:
        if isinstance(real, torch.Tensor) and isinstance(fake, torch.Tensor):
            return self._penalty(real_scores, real, fake_scores, fake)
        # Of scores (N, levels) the mean over the levels.
        levels = list(zip(real_scores.T, levels_of(real), fake_scores.T, levels_of(fake), strict=True))
        return sum((self._penalty(*level) for level in levels), torch.zeros(())) / len(levels)

    def _penalty(
        self, real_scores: torch.Tensor, real: torch.Tensor, fake_scores: torch.Tensor, fake: torch.Tensor
    ) -> torch.Tensor:
        penalty = torch.zeros((), device=real.device)
        r1, r2 = self._penalty_weights
        if r1:
            penalty = penalty + r1 * losses.gradient_penalty(real_scores, real)
        if r2:
            penalty = penalty + r2 * losses.gradient_penalty(fake_scores, fake)
        return penalty

    def weight_penalty(self, network: str) -> torch.Tensor | float:
        """Of a network's distance from its mean over all steps, times its weight."""
        weight = self._config.historical_averaging
        if not weight:
            return 0.0
        return weight * losses.historical_averaging_penalty(*self._run.networks.history(network))
