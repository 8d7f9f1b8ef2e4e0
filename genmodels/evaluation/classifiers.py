"""Measuring a classifier itself, an evaluator before it measures others."""

from __future__ import annotations

import functools
import math
import sys
from typing import TYPE_CHECKING

import torch

from ..errors import UserError
from ..features.classifier import Classifier
from ..features.evaluators import FEATURES_BATCH, class_numbers
from ..folder import TrainingFacts
from ..privacy import public_name
from .attributes import balanced_accuracies
from .measures import in_tolerance
from .report import Evaluation, Metric

if TYPE_CHECKING:
    from ..data import ImageStream


@torch.no_grad()
def evaluate_classifier(
    classifier: Classifier,
    dataset_name: str,
    *,
    classes: list[str] | None = None,
    split: str = "test",
    **reading,
) -> Evaluation:
    """Measure which share of a split's images a classifier reads right; of attributes, of each and on average.

    Args:
        classifier: what to measure.
        dataset_name, classes, reading: as in `evaluate`.
        split: of the dataset; not the one it was trained on.

    Raises:
        UserError: no such data, no labels in it, or images of another shape than the classifier's.
    """
    # It needs `datasets`, which a Space has not.
    from ..data import load_images

    shape = {"sample_size": classifier.config.sample_size, "num_channels": classifier.config.num_channels}
    names = classifier.config.attribute_names
    options = {"attributes": names, "batch_size": FEATURES_BATCH, "num_workers": 0, **shape}
    stream = load_images(dataset_name, split=split, classes=classes, **options, **reading)
    announce(split, stream.summary)
    if not stream.class_names and not names:
        raise UserError(f"A classifier is measured by labels: {without_labels(dataset_name, stream)}")
    key = "attributes" if names else "class_labels"
    pairs = [(classifier(batch["pixel_values"]), batch[key]) for batch in stream.once()]
    scores, labels = (torch.cat(part) for part in zip(*pairs, strict=True))
    n = len(scores)
    dataset = public_name(dataset_name)
    protocol = f"All {n:,} images of {dataset or 'own images'}, split {split}{in_classes(classes)}, {in_size(stream)}."
    if names:
        metrics = attribute_classifier_metrics(scores > 0, labels, names)
        protocol += (
            " A constant guess is each attribute's more frequent answer in this split; balanced accuracy is the mean of the "
            "shares told right among images with the attribute and among those without."
        )
    else:
        right = scores.argmax(1) == class_numbers(classifier.config.class_names, stream.class_names)[labels]
        metrics = [Metric("accuracy", "accuracy", int(right.sum()) / n, None, "higher")]
    return Evaluation(
        dataset=dataset,
        split=split,
        train_split=None,
        classes=classes,
        n=n,
        n_reference=n,
        seed=None,
        evaluator=None,
        evaluator_sha256=None,
        protocol=protocol,
        metrics=[in_tolerance(metric) for metric in metrics],
        floor_name="constant guess" if names else "real against real",
    )


def attribute_classifier_metrics(predicted: torch.Tensor, attributes: torch.Tensor, names: list[str]) -> list[Metric]:
    """How well attributes, both (N, A) bool, are told: on average, and each that the images do not all agree in."""
    share, balanced = attributes.double().mean(0), balanced_accuracies(predicted, attributes)
    told = balanced[~balanced.isnan()]
    metrics = [
        Metric(
            "accuracy",
            f"accuracy, mean of {len(names)} attributes",
            float((predicted == attributes).double().mean()),
            float(torch.maximum(share, 1 - share).mean()),
            "higher",
        )
    ]
    if len(told):
        name = f"balanced accuracy, mean of {len(told)} attributes"
        metrics.append(Metric("balanced_accuracy", name, float(told.mean()), 0.5, "higher"))
    for name, value in zip(names, balanced.tolist(), strict=True):
        if not math.isnan(value):
            metrics.append(Metric(f"balanced_accuracy/{name}", f"{name}: balanced accuracy", value, 0.5, "higher"))
    return metrics


def without_labels(dataset_name: str, stream: ImageStream) -> str:
    """That the images have no labels, and what to do, for the end of a sentence."""
    if stream.label_columns:
        return f"give the column of {dataset_name!r} that holds labels as `label_column`, {' or '.join(stream.label_columns)}."
    return f"{dataset_name!r} has no labels, so give another `dataset_name`."


def in_size(stream: ImageStream) -> str:
    """What was done to the images, for a protocol."""
    done = {"crop": "cropped", "pad": "padded", "stretch": "stretched"}[stream.fit]
    size = f"{done} and resized to {stream.sample_size}x{stream.sample_size}" if stream.resized else "not resized"
    return size + (f", transparent parts {stream.background}" if stream.background != "black" else "")


@functools.cache
def announce(split: str, summary: str | None) -> None:
    """Say once what a folder holds and what is left out of it."""
    if summary:
        print(f"{split}: {summary}", file=sys.stderr)


def in_classes(classes: list[str] | None) -> str:
    """The chosen classes in brackets, if not all."""
    return f" (classes {', '.join(classes)})" if classes else ""


def with_accuracy(classifier: Classifier, training: TrainingFacts) -> str:
    """The evaluator's accuracy in brackets, if it was measured, and on what, by its training.json."""
    accuracy, own = classifier.config.test_accuracy, training.get("test_split", "test") == training.get("split")
    of = "accuracy on its own training images" if own else "test accuracy"
    return "" if accuracy is None else f" ({accuracy:.2%} {of})"
