"""Watches a training run's images and says in words when it goes wrong: cheap enough to stay on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
from torch.nn import functional as F

from ..features.classifier import Classifier
from ..features.metrics import nearest_distances

# Distances are between images averaged to 16x16 pixels: a copy with a little noise on it is still a copy, and a check
# costs the same at every size.
SIDE = 16
# Real images that make each baseline, at most; as many as there are fakes in a check.
BASELINE = 256
# A condition is spoken of when it has held in so many checks in a row, and for so many steps. Healthy generators draw
# nearly the same grey thing for up to 250 steps, and their discriminators win for half of that time.
CHECKS, STEPS = 3, 500
# Unless it is getting better: a narrow healthy CGAN takes 600 steps to leave its beginning, but doubles in the meantime.
RISING, SLACK, LOW_IS_BAD = 1.25, 0.02, ("mode collapse", "missing classes", "labels ignored")
# Distance among fakes over that among real images. Healthy runs end at 0.73 (a VAE with 2 latents) to 1.0, no class of a
# CGAN below 0.82; CGANs that draw one picture a class end at 0.05 to 0.27.
COLLAPSED = 0.3
# Distance to the nearest training image over that to the second nearest. No fake of healthy GANs and VAEs is below 0.54;
# 2% of CIFAR-10's test frogs are below, which have near copies among the training images.
COPY = 0.5
# Share of fakes that are copies. Healthy: 0; a GAN that knows 16 digits by heart: 0.73.
MEMORISED = 0.1
# How far held-out real images lie on the way from training images to fakes, by the discriminator's scores: r_v of Karras et al.
# 2020, https://arxiv.org/abs/2006.06676, section 3; 0 if it knows no image by heart, 1 if a new one is as fake to it as a fake.
BY_HEART = 0.5
# Share of (real, fake) pairs that the discriminator ranks right. Healthy runs end at 0.6 to 0.96, lost ones at 0.996 to 1.
WINNING = 0.995
# A class's share of the fakes over its share of the real images; 0.4 for the rarest one of the VAE with 2 latents.
MISSING = 0.15
# Fakes of so many checks count together, and only classes that so many of them should be of.
WINDOW, EXPECTED = 4, 20
# (class accuracy of fakes - chance) / (that of real images - chance). Healthy CGANs are above 0.7 after 100 steps.
IGNORED = 0.2
# The evaluator knows the data if it recognises so many of the real images; on its own data it is 0.96 or 1.0.
KNOWN = 0.8

ADVICE = {
    "mode collapse": "try a lower --learning_rate or a larger --train_batch_size",
    "missing classes": "try a lower --learning_rate or a larger --train_batch_size",
    "labels ignored": "check that the labels belong to the images, or try a lower --learning_rate",
    "discriminator winning": "try a lower --learning_rate, or more images",
    "memorising": "train on more images, with --random_flip if they may be mirrored, or for fewer steps",
    "learning by heart": "train on more images, with --diffaugment color translation cutout, and with --random_flip if they may "
    "be mirrored, or for fewer steps",
}
SENTENCES = {
    "mode collapse": "Fakes{of} have been nearly identical since step {step:,} (their distance is {share} of real ones')",
    "missing classes": "Fakes{of} have been missing since step {step:,} (they are {share} as frequent as real ones)",
    "labels ignored": "Fakes have not been of the wanted classes since step {step:,} (the evaluator recognises {share})",
    "discriminator winning": "The discriminator has told fakes from real images since step {step:,} (now in {share} of pairs)",
    "memorising": "Fakes have been near copies of training images since step {step:,} (now {share} of them)",
    "learning by heart": "The discriminator has been learning the pictures by heart since step {step:,} (its scores put new real "
    "ones {share} of the way towards fakes)",
}
# What each figure is evidence of.
WATCHED = {
    "diversity": "mode collapse",
    "class_share_min": "missing classes",
    "class_accuracy": "labels ignored",
    "accuracy_d": "discriminator winning",
    "copies": "memorising",
    "by_heart": "learning by heart",
}
# In place of a class: the images of all of them together.
ALL = -1


@dataclass(frozen=True)
class Finding:
    """Something that has gone wrong.

    Attributes:
        kind: a key of `ADVICE`.
        step: since when.
        message: one sentence for the user, with advice at its end.
    """

    kind: str
    step: int
    message: str


class Monitor:
    """Compares fakes with training images, and speaks once of each thing that stays wrong.

    Mode collapse: fakes nearly identical, in the mean distance of two of them, of each class if the model is conditional.
    Missing classes or, of a conditional model, labels ignored: as the evaluator sees it. Memorising: fakes far nearer to one
    training image than to any other; nearest neighbours as in Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, figure 2,
    the ratio as in Gu et al. 2023, https://arxiv.org/abs/2310.02664. Learning by heart: real images that are held out score like
    fakes. No random numbers are drawn.

    Args:
        images: uint8 (n, C, H, W), training images. Copies of others go unseen.
        labels: int64 (n,).
        class_names: names of the labels in order; empty if there are none.
        evaluator: a classifier; without effect unless it knows these classes and recognises the images.
        conditional: whether fakes are of wanted classes.
        advice: by kind of finding, instead of `ADVICE`.
    """

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        class_names: Sequence[str],
        *,
        evaluator: Classifier | None = None,
        conditional: bool = False,
        advice: dict[str, str] | None = None,
    ):
        # Whole images would be half a gigabyte.
        self._bank = torch.cat([shrink(block.float() / 127.5 - 1) for block in images.split(BASELINE)])
        self._images, self._labels, self._class_names = images[:BASELINE].clone(), labels, list(class_names)
        self._evaluator, self._conditional = evaluator, conditional
        self._advice = {**ADVICE, **(advice or {})}
        self.findings: list[Finding] = []
        self._checks = 0
        self._figures: dict[str, float] = {}
        # By condition: step and number of each check since it holds.
        self._streaks: dict[str, list[list[float]]] = {}
        self._spoken: list[str] = []
        # Fakes of each class in the last checks, and last all of them.
        self._counts: list[list[int]] = []

    def check(
        self,
        step: int,
        fakes: torch.Tensor,
        labels: torch.Tensor,
        losses: dict[str, float],
        scores: dict[str, torch.Tensor] | None = None,
    ) -> tuple[dict[str, float], list[Finding]]:
        """Look at a run.

        Args:
            step: where it is.
            fakes: `pixel_values` (n, C, H, W) of the averaged generator, about 256.
            labels: int64 (n,), their wanted classes; without effect if the model is unconditional.
            losses: means since the last check; of interest is "accuracy_d", see `losses.pair_accuracy`.
            scores: the discriminator's (n,) of "train", training images, "held_out", other real ones, and "fake".

        Returns:
            Figures to log, and the findings that are new.
        """
        figures: dict[str, float] = {}
        points = shrink(fakes)
        # By kind the classes that it holds for, with the number that shows it.
        holds = {"mode collapse": self._collapsed(points, labels, figures), "memorising": self._copied(points, figures)}
        if self._known is not None:
            # The evaluator's number of each class, its accuracy on real images, and what it takes the fakes for.
            evaluator, numbers, real = self._known
            answers = recognise(evaluator, fakes)
            if self._conditional:
                holds["labels ignored"] = self._ignored(answers == numbers[labels], real, figures)
            else:
                holds["missing classes"] = self._missing(answers[:, None] == numbers, figures)
        if "accuracy_d" in losses:
            accuracy = figures["accuracy_d"] = losses["accuracy_d"]
            if accuracy >= WINNING:
                holds["discriminator winning"] = {ALL: accuracy}
                # A generator that learns nothing learns no labels: one finding is enough.
                holds.pop("labels ignored", None)
        if scores is not None:
            train, held_out, fake = (float(scores[name].mean()) for name in ("train", "held_out", "fake"))
            # Where fakes score like training images, there is nothing to compare with.
            if train > fake:
                by_heart = figures["by_heart"] = (train - held_out) / (train - fake)
                if by_heart >= BY_HEART:
                    holds["learning by heart"] = {ALL: by_heart}
        self._checks += 1
        self._figures = figures
        return dict(figures), self._speak(step, holds)

    @property
    def training(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Some training images, uint8 (n, C, H, W), and their labels (n,)."""
        return self._images, self._labels[: len(self._images)]

    def verdict(self) -> str:
        """What there is to say about the whole run, in a few sentences; nothing if there was no check."""
        checks = f"{self._checks:,} check" + ("s" if self._checks != 1 else "")
        if not self.findings:
            watched = [kind for figure, kind in WATCHED.items() if figure in self._figures]
            last = ", ".join(f"{name} {value:.2f}" for name, value in self._figures.items())
            return f"Watched for {_listed(watched)}: no sign in {checks}; last figures: {last}." if watched else ""
        holding = {key.split(":")[0] for key in self._streaks}
        said = []
        for finding in self.findings:
            text = finding.message.removesuffix(f"; {self._advice[finding.kind]}.")
            said.append(text + ("." if finding.kind in holding else "; no longer so at the last check."))
        return f"In {checks}: {' '.join(said)}"

    def state_dict(self) -> dict[str, Any]:
        """Plain values: with them, a monitor of the same images goes on exactly as this one."""
        return {
            "checks": self._checks,
            "figures": dict(self._figures),
            "streaks": {key: list(streak) for key, streak in self._streaks.items()},
            "spoken": list(self._spoken),
            "counts": [list(counts) for counts in self._counts],
            "findings": [asdict(finding) for finding in self.findings],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._checks, self._figures = state["checks"], dict(state["figures"])
        self._streaks = {key: list(streak) for key, streak in state["streaks"].items()}
        self._spoken, self._counts = list(state["spoken"]), [list(counts) for counts in state["counts"]]
        self.findings = [Finding(**finding) for finding in state["findings"]]

    @cached_property
    def _real_nearest(self) -> float:
        """Median distance of a training image to the nearest other one."""
        # An image is its own nearest neighbour.
        return float(nearest_distances(self._bank[:BASELINE], self._bank, 2)[0][:, 1].median())

    @cached_property
    def _real_spread(self) -> dict[int, float]:
        """Mean distance of two training images of each class."""
        return {label: spread(self._bank[rows[:BASELINE]]) for label, rows in self._groups(self._labels).items()}

    @cached_property
    def _known(self) -> tuple[Classifier, torch.Tensor, float] | None:
        """The evaluator, its number of each class and its accuracy on real images; None if it does not know them."""
        if self._evaluator is None or len(self._class_names) < 2:
            return None
        config = self._evaluator.config
        names = list(config["class_names"] or [])
        shape = (config["num_channels"], config["sample_size"], config["sample_size"])
        if not set(self._class_names) <= set(names) or tuple(self._images.shape[1:]) != shape:
            return None
        numbers = torch.tensor([names.index(name) for name in self._class_names])
        # The same names may stand for other pictures: digits in print, or on their side.
        recognised = recognise(self._evaluator, self._images.float() / 127.5 - 1)
        accuracy = _share(recognised == numbers[self._labels[: len(recognised)]])
        return (self._evaluator, numbers, accuracy) if accuracy >= KNOWN else None

    def _groups(self, labels: torch.Tensor) -> dict[int, torch.Tensor]:
        """Which images to compare with each other: indices, by class if the model is conditional."""
        if not self._conditional:
            return {ALL: torch.arange(len(labels))}
        return {int(label): (labels == label).nonzero().flatten() for label in labels.unique()}

    def _collapsed(self, points: torch.Tensor, labels: torch.Tensor, figures: dict[str, float]) -> dict[int, float]:
        ratios = {}
        for label, rows in self._groups(labels).items():
            real = self._real_spread.get(label, 0.0)
            if len(rows) > 1 and real > 0:
                ratios[label] = spread(points[rows]) / real
        if ratios:
            figures["diversity"] = sum(ratios.values()) / len(ratios)
        if ratios and self._conditional:
            figures["diversity_min"] = min(ratios.values())
        return {label: ratio for label, ratio in ratios.items() if ratio < COLLAPSED}

    def _copied(self, points: torch.Tensor, figures: dict[str, float]) -> dict[int, float]:
        if len(self._bank) < 2:
            return {}
        nearest, second = nearest_distances(points, self._bank, 2)[0].T
        if self._real_nearest > 0:
            figures["nearest_ratio"] = float(nearest.median()) / self._real_nearest
        copies = figures["copies"] = _share(nearest < COPY * second)
        return {ALL: copies} if copies >= MEMORISED else {}

    def _ignored(self, right: torch.Tensor, real: float, figures: dict[str, float]) -> dict[int, float]:
        chance = 1 / len(self._class_names)
        accuracy = figures["class_accuracy"] = _share(right)
        return {ALL: accuracy} if accuracy - chance < IGNORED * (real - chance) else {}

    def _missing(self, of_class: torch.Tensor, figures: dict[str, float]) -> dict[int, float]:
        self._counts = [*self._counts[1 - WINDOW :], [*of_class.sum(0).tolist(), len(of_class)]]
        *counts, total = (sum(column) for column in zip(*self._counts, strict=True))
        expected = self._labels.bincount(minlength=len(counts)).double() / len(self._labels) * total
        shares = {k: counts[k] / n for k, n in enumerate(expected.tolist()) if n >= EXPECTED}
        if shares:
            figures["class_share_min"] = min(shares.values())
        return {label: share for label, share in shares.items() if share < MISSING}

    def _speak(self, step: int, holds: dict[str, dict[int, float]]) -> list[Finding]:
        """The findings that are new, now that these conditions hold."""
        streaks, new = {}, []
        for kind, numbers in holds.items():
            ripe = []
            for label, number in numbers.items():
                key = f"{kind}:{label}"
                streak = streaks[key] = [*self._streaks.get(key, []), [step, number]]
                before = [value for at, value in streak if at <= step - STEPS]
                better = bool(before) and kind in LOW_IS_BAD and number > RISING * before[-1] + SLACK
                if len(streak) >= CHECKS and before and not better and key not in self._spoken:
                    ripe.append(label)
            if ripe:
                keys = [f"{kind}:{label}" for label in ripe]
                self._spoken += keys
                since = int(max(streaks[key][0][0] for key in keys))
                text = self._describe(kind, since, {label: numbers[label] for label in ripe})
                new.append(Finding(kind, since, f"{text}: {kind}; {self._advice[kind]}."))
        self._streaks = streaks
        self.findings += new
        return new

    def _describe(self, kind: str, since: int, numbers: dict[int, float]) -> str:
        shares = numbers.values()
        low, high = (f"{value:.1%}" if value > 0.98 else f"{value:.0%}" for value in (min(shares), max(shares)))
        names = [self._class_names[label] if self._class_names else str(label) for label in numbers if label != ALL]
        of = f" of class{'es' if len(names) > 1 else ''} {_listed(names)}" if names else ""
        if len(names) > 1 and len(names) == len(self._class_names):
            of = " of all classes"
        return SENTENCES[kind].format(of=of, step=since, share=low if low == high else f"{low} to {high}")


def recognise(evaluator: Classifier, pixel_values: torch.Tensor) -> torch.Tensor:
    """The evaluator's class numbers (N,)."""
    # In this layout and these parts, which stay in the processor's cache, it takes half as long.
    parts = pixel_values.to(evaluator.device).contiguous(memory_format=torch.channels_last).split(64)
    with torch.no_grad():
        return torch.cat([evaluator(part).argmax(1) for part in parts]).cpu()


def shrink(pixel_values: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) to points (N, C * SIDE * SIDE), distances between which stand for those between images."""
    return F.adaptive_avg_pool2d(pixel_values, SIDE).flatten(1)


def spread(points: torch.Tensor) -> float:
    """Mean distance of two points."""
    return float(F.pdist(points).mean()) if len(points) > 1 else 0.0


def _share(values: torch.Tensor) -> float:
    return float(values.double().mean())


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
