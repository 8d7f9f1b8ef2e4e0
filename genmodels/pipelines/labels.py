"""What pipelines of models with classes share: labels in any form, and images sorted into classes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from diffusers.utils import BaseOutput

from ..latents import check_count, interpolate_latents

ClassLabels = int | str | Sequence[int | str] | torch.Tensor


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


class ClassLabelsMixin:
    """Class labels of a pipeline, to the left of `ImagePipeline`."""

    # Whose config has `num_classes` and `class_names`.
    _labelled_component = "generator"

    @property
    def _class_config(self) -> dict:
        return getattr(self, self._labelled_component).config

    @property
    def num_classes(self) -> int:
        """How many classes the model knows; 0 if it knows none."""
        return self._class_config.get("num_classes", 0)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes in the order of their numbers; the numbers themselves if the model has no names."""
        return list(self._class_config.get("class_names") or map(str, range(self.num_classes)))

    def _to_count(self, num_images: int | None, class_labels: ClassLabels | None, latents: torch.Tensor | None) -> int:
        """How many images are meant: those of the latents, else as said, else one per label, else 1."""
        if latents is not None:
            num_images = len(latents)
        elif num_images is None:
            several = class_labels is not None and not isinstance(class_labels, int | str)
            num_images = len(class_labels) if several and getattr(class_labels, "ndim", 1) > 0 else 1
        return check_count("num_images", num_images)

    def _to_labels(self, class_labels: ClassLabels | None, num_images: int) -> torch.Tensor:
        """Labels in any form, as (N,) int64 or (N, num_classes) weights; the classes in turn if there are none."""
        if class_labels is None:
            return torch.arange(num_images) % self.num_classes
        if isinstance(class_labels, torch.Tensor) and class_labels.is_floating_point():
            if class_labels.shape != (num_images, self.num_classes) or not torch.isfinite(class_labels).all():
                raise ValueError(
                    f"Class weights must be finite and of shape ({num_images}, {self.num_classes}), got "
                    f"{tuple(class_labels.shape)}."
                )
            return class_labels
        single = isinstance(class_labels, str | int) or getattr(class_labels, "ndim", 1) == 0
        labels = [self._to_label(label) for label in ([class_labels] if single else class_labels)]
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
