"""What pipelines of models with classes share: labels in any form, and images sorted into classes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers.utils import BaseOutput

from ..checks import check_count
from ..latents import Generators, interpolate_latents, truncated
from ..pixels import check_output_type, to_output
from .base import GenerationOutput, ImagePipeline, as_in_diffusers, in_chunks

ClassLabels = int | str | Sequence[int | str] | torch.Tensor | np.ndarray


@dataclass
class ClassificationOutput(BaseOutput):
    """What a generative model thinks that images show.

    Attributes:
        class_labels: (N,) int64, the most probable class of each image.
        log_probabilities: (N, num_classes) float32, log p(y | x): their exponentials sum to 1 in each row.
        class_names: names of the classes in the order of their numbers.
    """

    class_labels: torch.Tensor
    log_probabilities: torch.Tensor
    class_names: list[str]


def one_by_one(class_labels: ClassLabels) -> Sequence[int | str] | torch.Tensor | np.ndarray:
    """Labels to iterate over, also where there is a single one."""
    if isinstance(class_labels, torch.Tensor | np.ndarray):
        return class_labels if class_labels.ndim else class_labels.reshape(1)
    return [class_labels] if isinstance(class_labels, int | str | np.integer) else class_labels


class ClassLabelsMixin(ImagePipeline):
    """What pipelines share whose models may have classes."""

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
    ) -> GenerationOutput:
        """Draw images of given classes.

        Args:
            num_images: how many; by default as many as there are labels, or else 1. Ignored if `latents` are given.
            class_labels: of a model with classes: a class number or name, one per image, or (N, num_classes) float weights that
                mix classes; by default the classes in turn.
            generator, seed: source of the latents. Image i of a seed has the same latents whatever `num_images` is.
            latents: (N, latent_dim) to use instead.
            psi: truncation, from 0 to 2: latents are scaled by it, so below 1 images get more typical and more alike; 0 is the
                mean of N(0, I).
            output_type: "pil", "pt" or "np"; see `GenerationOutput`.

        Raises:
            ValueError: an argument is out of its range; for a wrong class the message names the legal ones.
        """
        check_output_type(output_type)
        inputs, labels = self._inputs(num_images, class_labels, generator, seed, latents, psi)
        pixel_values = torch.cat(in_chunks(self._drawing_network, inputs, labels))
        return GenerationOutput(images=to_output(pixel_values, output_type), latents=inputs, class_labels=labels)

    def _inputs(
        self,
        num_images: int | None,
        class_labels: ClassLabels | None,
        generator: Generators,
        seed: int | None,
        latents: torch.Tensor | np.ndarray | None,
        psi: float = 1.0,
        prior: str | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Latents and labels of a call; as many as there are latents, else as said, else one per label, else 1."""
        if latents is not None:
            num_images = len(latents)
        elif num_images is None:
            num_images = 1 if class_labels is None else len(one_by_one(class_labels))
        num_images = check_count("num_images", num_images)
        labels = self._labels_if_any(class_labels, num_images)
        drawn = self._to_latents(num_images, generator, seed, latents)
        return self.from_normal(drawn, prior, psi) if latents is None else truncated(drawn, psi), labels

    def _labels_if_any(
        self, class_labels: ClassLabels | None, num_images: int, required: bool = False
    ) -> torch.Tensor | None:
        """Labels as `_to_labels` returns them, by default the classes in turn; None for a model without classes."""
        if not self.num_classes:
            if class_labels is not None:
                raise ValueError("This model has no classes: leave class_labels out, or train one with --conditional.")
            return None
        if class_labels is None and required:
            raise ValueError(
                f"This model has classes, {', '.join(self.class_names)}: give class_labels, for example those of "
                "pipe.classify(images).class_labels."
            )
        labels = torch.arange(num_images) % self.num_classes if class_labels is None else class_labels
        return self._to_labels(labels, num_images).to(self.device)

    def _to_labels(self, class_labels: ClassLabels, num_images: int) -> torch.Tensor:
        """Labels in any form, as (N,) int64 or (N, num_classes) weights."""
        if isinstance(class_labels, torch.Tensor) and class_labels.is_floating_point():
            if class_labels.shape != (num_images, self.num_classes) or not torch.isfinite(class_labels).all():
                raise ValueError(
                    f"Class weights must be finite and of shape ({num_images}, {self.num_classes}), got "
                    f"{tuple(class_labels.shape)}."
                )
            return class_labels
        labels = [self._to_label(label) for label in one_by_one(class_labels)]
        if len(labels) == 1:
            labels *= num_images
        if len(labels) != num_images:
            raise ValueError(f"Give one class label or one per image: {num_images} images, {len(labels)} labels.")
        return torch.tensor(labels)

    def _to_label(self, label: int | str) -> int:
        if isinstance(label, str):
            if label in self.class_names:
                return self.class_names.index(label)
        elif hasattr(label, "__index__") and not isinstance(label, bool):
            # What counts as a whole number in Python: int, NumPy's integers, a tensor of one integer.
            try:
                number = operator.index(label)
            except TypeError:
                number = -1
            if 0 <= number < self.num_classes:
                self._check_number(label, number)
                return number
            # Names that are numbers need not begin at 0, nor be without gaps.
            if str(number) in self.class_names:
                return self.class_names.index(str(number))
        names = self.class_names
        listed = f" or one of {', '.join(names)}" if names != [str(i) for i in range(len(names))] else ""
        raise ValueError(f"There is no class {label!r}: give a number from 0 to {self.num_classes - 1}{listed}.")

    def _check_number(self, label: int, number: int) -> None:
        """Raise ValueError where the class of a number and the class that is named so are two."""
        names = self.class_names
        # A tensor holds numbers as training has them.
        if (
            isinstance(label, torch.Tensor)
            or not all(name.isdecimal() for name in names)
            or int(names[number]) == number
        ):
            return
        other = f", and '{number}' is a class, too" if str(number) in names else ""
        raise ValueError(
            f"Class number {number} is the class named {names[number]!r} here{other}: give the name as text."
        )

    def label_path(self, class_labels: int | str | tuple[int | str, int | str], steps: int = 8) -> torch.Tensor:
        """(steps, num_classes) weights, to give as `class_labels`: of one class, or from the first of a pair to the second.

        Raises:
            ValueError: no such class, not one or two of them, or fewer than two steps.
        """
        pair = class_labels if isinstance(class_labels, tuple | list) else (class_labels, class_labels)
        if len(pair) != 2:
            raise ValueError(f"class_labels must be one class or a pair of them, got {class_labels!r}.")
        ends = torch.eye(self.num_classes, dtype=torch.float32)[[self._to_label(label) for label in pair]]
        return interpolate_latents(ends[0], ends[1], steps, mode="lerp")

    def _path_if_any(
        self, class_labels: int | str | tuple[int | str, int | str] | None, steps: int
    ) -> ClassLabels | None:
        """`label_path`, by default of the first class; of a model without classes what was given, which a call refuses."""
        if self.num_classes:
            return self.label_path(self.class_names[0] if class_labels is None else class_labels, steps)
        return class_labels

    def _to_log_priors(self, class_priors: Sequence[float] | None) -> torch.Tensor:
        """log p(y), (num_classes,) float64; all classes alike if nothing else is said."""
        priors = (
            torch.ones(self.num_classes, dtype=torch.float64) if class_priors is None else torch.as_tensor(class_priors)
        )
        priors = priors.double().cpu()
        if priors.shape != (self.num_classes,) or not (priors >= 0).all() or not 0 < priors.sum() < float("inf"):
            raise ValueError(
                f"class_priors must be {self.num_classes} numbers of at least 0, not all 0, got {class_priors!r}."
            )
        return (priors / priors.sum()).log()

    def _classified(self, log_likelihoods: torch.Tensor, class_priors: Sequence[float] | None) -> ClassificationOutput:
        """Bayes' rule, p(y | x) = p(x | y) p(y) / sum: from (N, num_classes) log p(x | y), whatever they share."""
        joint = log_likelihoods.double().cpu() + self._to_log_priors(class_priors)
        log_probabilities = joint.log_softmax(1)
        return ClassificationOutput(
            class_labels=log_probabilities.argmax(1),
            log_probabilities=log_probabilities.float(),
            class_names=self.class_names,
        )
