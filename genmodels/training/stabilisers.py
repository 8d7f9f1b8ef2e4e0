"""What keeps adversarial training stable: flags, each with its paper, and what they add to the objectives of a script."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from .. import losses
from ..adversarial import Images, Regularization
from ..errors import UserError
from .arguments import at_least, in_range
from .run import TrainingRun
from .small_data import FEW, HELD_OUT, NO_AUGMENTATION


@dataclass
class Flag:
    """A stabiliser as a flag: what it does, whose it is, the arXiv id or else the address, and argparse's options for it."""

    what: str
    authors: str
    source: str
    options: dict = field(default_factory=lambda: {"action": "store_true"})


def number(high: float, default: float = 0.0, **options) -> dict:
    """argparse's options for a number from 0 to `high`."""
    return {"type": in_range(0, high), "default": default, **options}


SALIMANS = ("Salimans et al. 2016", "1606.03498")
CHINTALA = ("Chintala et al. 2016", "https://github.com/soumith/ganhacks")
MESCHEDER = ("Mescheder et al. 2018", "1801.04406")
WEIGHT = {"metavar": "WEIGHT"}
FLAGS = {
    "label_smoothing": Flag("the target of real images is 1 minus this, that of fakes 0", *SALIMANS, number(0.5)),
    "label_flips": Flag("share of targets that are wrong", *CHINTALA, number(0.5)),
    "label_noise": Flag("targets are off by up to this", *CHINTALA, number(0.5)),
    "instance_noise": Flag(
        "standard deviation of noise on all that the discriminator sees, whose pixels are from -1 to 1; it falls to 0 at the "
        "last step",
        "Sønderby et al. 2017",
        "1610.04490",
        number(10, metavar="STD"),
    ),
    "diffaugment": Flag(
        f"what the discriminator sees, real and fake, is changed at random: for a few thousand images, which it else knows by "
        f"heart; on where there are fewer than {FEW:,}, unless {NO_AUGMENTATION}",
        "Zhao et al. 2020",
        "2006.10738",
        {"nargs": "+", "choices": (*losses.AUGMENTATIONS, NO_AUGMENTATION)},
    ),
    "dropout": Flag(
        "share of each hidden layer of the discriminator dropped", "Hinton et al. 2012", "1207.0580", number(0.9)
    ),
    "spectral_norm": Flag(
        "divide each weight of the discriminator by its largest singular value", "Miyato et al. 2018", "1802.05957"
    ),
    "r1": Flag("penalty on the discriminator's gradient at real images", *MESCHEDER, number(1000, **WEIGHT)),
    "r2": Flag("the same at fake images", *MESCHEDER, number(1000, **WEIGHT)),
    "penalty_interval": Flag(
        "take both penalties every so many steps only, so many times as heavy: steps between need half the work",
        "Karras et al. 2020",
        "1912.04958",
        {"type": at_least(1), "default": 1, "metavar": "STEPS"},
    ),
    "minibatch_stddev": Flag(
        "show the discriminator how much the images of a batch differ", "Karras et al. 2018", "1710.10196"
    ),
    "minibatch_discrimination": Flag(
        "show it how close each image is to the others of its batch, by so many measures (without a number: 100)",
        *SALIMANS,
        {"type": at_least(0), "nargs": "?", "const": 100, "default": 0, "metavar": "KERNELS"},
    ),
    "feature_matching": Flag(
        "the generator's objective is to match the mean of the discriminator's last hidden layer on real images",
        *SALIMANS,
    ),
    "historical_averaging": Flag(
        "penalty on the distance of all weights from their mean over all steps (without a number: 0.001)",
        *SALIMANS,
        number(1000, nargs="?", const=0.001, **WEIGHT),
    ),
    "discriminator_learning_rate": Flag(
        "another than the generator's --learning_rate: the two time-scale update rule",
        "Heusel et al. 2017",
        "1706.08500",
        number(1, default=None, metavar="RATE"),
    ),
}
# Those that move the targets of the discriminator's labels.
TARGETS = ("label_smoothing", "label_flips", "label_noise")
# Those that are arguments of the discriminator's class.
LAYERS = ("dropout", "spectral_norm", "minibatch_stddev", "minibatch_discrimination")
# Those that go with any objective, so also with that of a critic.
ANY_LOSS = ("diffaugment", *LAYERS, "historical_averaging", "discriminator_learning_rate")
# Those that go with images which are judged in parts: all but what would change each part apart from the others.
OF_PARTS = tuple(name for name in FLAGS if name != "diffaugment")


def add_stabiliser_arguments(parser: argparse.ArgumentParser, flags: Iterable[str] = tuple(FLAGS)) -> None:
    """Add these flags in the group "stabilisers", all of them off."""
    group = parser.add_argument_group("stabilisers")
    for name in flags:
        flag = FLAGS[name]
        default = "; default: %(default)s" if flag.options.get("default") is not None else ""
        group.add_argument(f"--{name}", help=f"{flag.what} ({flag.authors}, {flag.source}{default})", **flag.options)
    parser.add_argument_group("few images").add_argument(
        "--hold_out",
        type=in_range(0, 0.5),
        metavar="SHARE",
        help="of the images, left out of the training: the monitor compares the discriminator's scores of them with those of "
        f"the others (default: {HELD_OUT} of fewer than {FEW:,} images, else 0)",
    )


def check_stabilisers(args: argparse.Namespace) -> None:
    """Raise UserError if targets are to be moved that --loss does not have, or penalties to be spaced out that are off."""
    for name in TARGETS:
        if getattr(args, name) and not losses.ADVERSARIAL[args.loss].labelled:
            raise UserError(
                f"--{name} moves targets that the {args.loss} loss does not have: add --loss nonsaturating, or --{name} 0."
            )
    if args.penalty_interval > 1 and not (args.r1 or args.r2):
        raise UserError("--penalty_interval spaces out penalties that are off: add --r1 or --r2, or leave it out.")


class Stabilisers(Regularization):
    """The chosen stabilisers of a run, as `AdversarialStep` asks for them.

    Args:
        args: with any of the flags.
        run: knows the step, and the mean of past weights.

    Attributes:
        layers: arguments of the discriminator's class.
        discriminator_learning_rate: of its optimizer.
        historical: of which networks `TrainingRun.prepare` must keep the mean of past weights.
        papers: arXiv ids of those that are on.
    """

    def __init__(self, args: argparse.Namespace, run: TrainingRun):
        values = vars(args)
        self._args, self._run = args, run
        self.layers = {name: values[name] for name in LAYERS if name in values}
        self.targets = {name: values[name] for name in TARGETS if values.get(name)}
        self.feature_matching = values.get("feature_matching", False)
        if values.get("loss", "wasserstein") == "wasserstein":
            self.slope_penalty = values.get("gradient_penalty", 0.0)
        self._augmentations, self._noise = values.get("diffaugment") or (), values.get("instance_noise", 0.0)
        rate = args.discriminator_learning_rate
        self.discriminator_learning_rate = args.learning_rate if rate is None else rate
        self.historical = ("generator", "discriminator") if args.historical_averaging else ()
        off = {
            name: flag.options.get("default", False if flag.options.get("action") else None)
            for name, flag in FLAGS.items()
        }
        used = [flag.source for name, flag in FLAGS.items() if name in values and values[name] != off[name]]
        used += ["1807.00734"] if values.get("loss") == "relativistic" else []
        self.papers = [source for source in dict.fromkeys(used) if not source.startswith("https:")]

    def seen(self, images: Images) -> Images:
        """Images as the discriminator sees them in this step: augmented, and with instance noise, if so chosen."""
        if not isinstance(images, torch.Tensor):
            return [self.seen(level) for level in images]
        images = losses.augment(images, self._augmentations)
        if not self._noise:
            return images
        left = 1 - self._run.step / self._args.max_train_steps
        return losses.instance_noise(images, self._noise * left)

    @property
    def _penalty_weights(self) -> tuple[float, float]:
        """Of R1 and of R2 in this step. Every --logging_steps-th step has them if that is a multiple of the interval."""
        interval = getattr(self._args, "penalty_interval", 1)
        if (self._run.step + 1) % interval:
            return 0.0, 0.0
        return interval * getattr(self._args, "r1", 0.0), interval * getattr(self._args, "r2", 0.0)

    def inputs(self, real: Images, fake: Images) -> tuple[Images, Images]:
        if not isinstance(real, torch.Tensor):
            return tuple(zip(*map(self.inputs, real, fake), strict=True))
        real, fake = self.seen(real), self.seen(fake)
        r1, r2 = self._penalty_weights
        return real.detach().requires_grad_(r1 > 0), fake.detach().requires_grad_(r2 > 0)

    def penalty(self, real_scores: torch.Tensor, real: Images, fake_scores: torch.Tensor, fake: Images) -> torch.Tensor:
        if not isinstance(real, torch.Tensor):
            # Of scores (N, levels) the mean over the levels.
            levels = zip(real_scores.T, real, fake_scores.T, fake, strict=True)
            return sum(self.penalty(*level) for level in levels) / len(real)
        penalty = torch.zeros((), device=real.device)
        r1, r2 = self._penalty_weights
        if r1:
            penalty = penalty + r1 * losses.gradient_penalty(real_scores, real)
        if r2:
            penalty = penalty + r2 * losses.gradient_penalty(fake_scores, fake)
        return penalty

    def weight_penalty(self, network: str) -> torch.Tensor | float:
        """Of a network's distance from its mean over all steps, times its weight."""
        weight = self._args.historical_averaging
        if not weight:
            return 0.0
        return weight * losses.historical_averaging_penalty(*self._run.history(network))
