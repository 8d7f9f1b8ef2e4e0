"""What `evaluate` measures: a row for each metric, or for those that are computed together. To add one is to add a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import nn

from ..features.classifier import Classifier
from ..features.evaluators import class_numbers, features_of, kept_features
from ..features.inception import inception_features
from ..features.metrics import (
    coverage_of,
    frechet_distance,
    kernel_distance,
    nearest_distances,
    within_class_distance,
)
from .ability_metrics import (
    EDITED_IMAGES,
    attribute_metrics,
    autoencoder_metrics,
    classification_metric,
    completeness_metrics,
    has_convolutions,
    lipschitz_metrics,
    spaced_indices,
    vae_metrics,
    within_class_recall_metrics,
)
from .c2st import two_sample_metrics
from .cas import IMAGES, cas_metric
from .checkerboard import checkerboard_energy
from .report import Metric

KID_SUBSETS, KID_SUBSET_SIZE = 100, 1000
# How far a repetition may be off, relative and absolute, whichever is more. The same machine with as many threads repeats
# every number exactly. Another thread count, processor or torch version differs in a float's last bits: one thread instead of
# two, or no AVX, moved distances by up to 3 in a million, and recall by one image of 10,000. The rest is room for other
# convolution algorithms and for pixels that round the other way. Of a share each image counts as a whole: one that lies on the
# border of a ball, or of a class, falls on either side.
Tolerance = tuple[float, float]
DISTANCE, SHARE, LIKELIHOOD = (0.005, 0.0), (0.0, 0.003), (0.001, 0.0)
# Of what is measured of a classifier itself; one image is a larger share of few.
OF_CLASSIFIERS: dict[str, Tolerance] = {"balanced_accuracy": (0.01, 0.0)}


@dataclass(frozen=True)
class Evidence:
    """What metrics are computed from: a pipeline, and real and generated images as an evaluator sees them.

    Attributes:
        pipeline, classifier: what is measured, and the evaluator.
        reference, train, fakes: `pixel_values` of the reference split, the training split, and of as many generated images as
            the floor has.
        others: indices of the training images that are not in the reference: all, but where it is one half of them.
        reference_labels, train_labels, fake_labels: the first two by `class_names`, the last by the model's numbers.
        normal_fakes: what the same latents draw as from N(0, I), of a model that draws from a fitted law; else None.
        class_names, own_names: the classes of the images and of the model, each in the order of its numbers.
        seed: of everything that is drawn.
        inception: the standard FID's network, if that is wanted.
        c2st, cas: whether what fresh networks tell is wanted.
        draw: from a number and a seed to so many more images, and their labels by the model's numbers.
    """

    # An ImagePipeline, of which a row asks only for what its family can do.
    pipeline: Any
    classifier: Classifier
    reference: torch.Tensor
    reference_labels: torch.Tensor
    train: torch.Tensor
    train_labels: torch.Tensor
    others: torch.Tensor
    fakes: torch.Tensor
    fake_labels: torch.Tensor
    normal_fakes: torch.Tensor | None
    class_names: list[str]
    own_names: list[str]
    seed: int
    inception: nn.Module | None
    c2st: bool
    cas: bool
    draw: Callable[[int, int], tuple[torch.Tensor, torch.Tensor]]

    @property
    def num_classes(self) -> int:
        """Of the model; 0 if it has none."""
        return self.pipeline.num_classes

    @property
    def is_labelled(self) -> bool:
        """Whether it is known which class a generated image should be: of an unconditional model if there is one alone."""
        alone = len(self.class_names) == 1 and not self.pipeline.family.encodes
        return bool(self.class_names) and bool(self.num_classes or alone)

    @property
    def knows_classes(self) -> bool:
        """Whether the evaluator does: one that has never seen the classes would name the nearest of its own."""
        # One without names numbers them.
        known = self.classifier.config.class_names or self.own_names
        return not self.classifier.config.attribute_names and set(self.own_names) <= set(known)

    @cached_property
    def chosen(self) -> torch.Tensor:
        """Which training images make the floor."""
        generator = torch.Generator().manual_seed(self.seed)
        return self.others[torch.randperm(len(self.others), generator=generator)[: len(self.fakes)]]

    @cached_property
    def reference_features(self) -> torch.Tensor:
        return kept_features(self.classifier, self.reference)

    @cached_property
    def train_features(self) -> torch.Tensor:
        return kept_features(self.classifier, self.train)

    @cached_property
    def fake_features(self) -> torch.Tensor:
        return features_of(self.classifier, self.fakes)

    @cached_property
    def floor_features(self) -> torch.Tensor:
        return self.train_features[self.chosen]

    @cached_property
    def floor_labels(self) -> torch.Tensor:
        return self.train_labels[self.chosen]

    @cached_property
    def numbers(self) -> torch.Tensor:
        """The evaluator's number of each class of the images."""
        return class_numbers(self.classifier.config.class_names, self.class_names)

    @cached_property
    def own_numbers(self) -> torch.Tensor:
        """The evaluator's number of each class of the model."""
        return class_numbers(self.classifier.config.class_names, self.own_names)

    @cached_property
    def in_own(self) -> torch.Tensor:
        """The model's number of each class of the images."""
        return class_numbers(self.own_names, self.class_names)

    @property
    def own_labels(self) -> torch.Tensor:
        """The numbers, of a model with classes, of what the reference images show."""
        return self.in_own[self.reference_labels]

    @property
    def drawn_and_floor(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Features of what is measured, and of real images in its place."""
        return self.fake_features, self.floor_features

    @torch.no_grad()
    def judged_right(self, features: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Whether the evaluator takes each image for what is wanted, by its numbers: bool (N,)."""
        return self.classifier.head(features).argmax(1) == wanted


def always(_: Evidence) -> bool:
    return True


@dataclass(frozen=True)
class Measure:
    """One row.

    Attributes:
        tolerances: of each metric that it makes; what follows a slash in the name of one is of one attribute.
        compute: the metrics, each with its floor.
        applies: whether it has a meaning, by what the model can do and what is known of the images.
    """

    tolerances: dict[str, Tolerance]
    compute: Callable[[Evidence], Iterable[Metric]]
    applies: Callable[[Evidence], Any] = always


def one(
    name: str,
    title: str,
    better: str,
    tolerance: Tolerance,
    compute: Callable[[Evidence], Iterable[float]],
    applies: Callable[[Evidence], Any] = always,
) -> Measure:
    """A row of a single metric; `compute` returns its value and its floor."""

    def metrics(e: Evidence) -> list[Metric]:
        value, floor = compute(e)
        return [Metric(name, title, value, floor, better)]

    return Measure({name: tolerance}, metrics, applies)


def kid(e: Evidence) -> list[Metric]:
    subsets = {"subsets": KID_SUBSETS, "subset_size": min(KID_SUBSET_SIZE, len(e.fakes), len(e.reference))}
    name = f"KID (evaluator features, {subsets['subsets']} subsets of {subsets['subset_size']:,})"
    value, floor = (kernel_distance(x, e.reference_features, **subsets, seed=e.seed) for x in e.drawn_and_floor)
    return [Metric("kid", name, value, floor, "lower", subsets)]


def of_normal(e: Evidence) -> list[Metric]:
    assert e.normal_fakes is not None  # Its row applies only then.
    drawn = features_of(e.classifier, e.normal_fakes)
    fid, recall = frechet_distance(drawn, e.reference_features), coverage_of(e.reference_features, drawn)
    return [
        Metric("fid_normal", "FID, latents from N(0, I)", fid, None, "lower"),
        Metric("recall_normal", "recall, latents from N(0, I)", recall, None, "higher"),
    ]


def inception_fid(e: Evidence) -> tuple[float, float]:
    assert e.inception is not None  # Its row applies only then.
    real = inception_features(e.inception, e.reference)
    fakes, floor = (inception_features(e.inception, images) for images in (e.fakes, e.train[e.chosen]))
    return frechet_distance(fakes, real), frechet_distance(floor, real)


def accuracy(e: Evidence) -> tuple[float, float]:
    fakes = e.judged_right(e.fake_features, e.own_numbers[e.fake_labels])
    floor = e.judged_right(e.floor_features, e.numbers[e.floor_labels])
    return float(fakes.double().mean()), float(floor.double().mean())


def cas(e: Evidence) -> list[Metric]:
    order = torch.randperm(len(e.others), generator=torch.Generator().manual_seed(e.seed))
    learned = e.others[order[:IMAGES]]
    real = (e.train[learned], e.in_own[e.train_labels[learned]])
    # Another seed than that of the images which all other numbers are about.
    fakes = e.draw(len(learned), (e.seed + 1) % 2**64)
    return [cas_metric(fakes, real, (e.reference, e.own_labels), e.num_classes, e.seed)]


def within_class_recall(e: Evidence) -> list[Metric]:
    fakes, floor = (e.fake_features, e.fake_labels), (e.floor_features, e.in_own[e.floor_labels])
    return within_class_recall_metrics((e.reference_features, e.own_labels), fakes, floor)


def generative_accuracy(e: Evidence) -> list[Metric]:
    right = e.judged_right(e.reference_features, e.numbers[e.reference_labels]) if e.knows_classes else None
    return [classification_metric(e.pipeline, e.reference, e.own_labels, right)]


def completeness(e: Evidence) -> list[Metric]:
    real = (e.reference_features, e.numbers[e.reference_labels])
    return completeness_metrics(e.classifier, e.fake_features, e.floor_features, *real)


def responses(e: Evidence) -> list[Metric]:
    return attribute_metrics(e.pipeline, e.classifier, e.reference[spaced_indices(len(e.reference), EDITED_IMAGES)])


def retrieval(e: Evidence) -> list[Metric]:
    labels = {"class_labels": e.own_labels} if e.num_classes else {}
    decoded = torch.as_tensor(e.pipeline.reconstruct(e.reference, "pt", **labels).images)
    nearest = nearest_distances(features_of(e.classifier, decoded), e.reference_features)[1][:, 0]
    found = float((nearest == torch.arange(len(nearest))).double().mean())
    name = f"share of reconstructions nearest to their own image, among all {len(nearest):,} (features)"
    return [Metric("retrieval", name, found, None, "higher")]


def edits(e: Evidence) -> bool:
    return e.pipeline.family.edits and e.pipeline.attribute_names and e.classifier.config.attribute_names


# In the order of the table.
MEASURES = (
    # First what an autoencoder is made for. Sums over pixels, without a threshold; the ratio is counted, not measured.
    Measure(
        {
            **dict.fromkeys(("mse", "mse_pca", "mse_compressed", "psnr", "psnr_noisy", "psnr_median"), LIKELIHOOD),
            "compression_ratio": (1e-6, 0.0),
        },
        lambda e: autoencoder_metrics(e.pipeline, e.reference, e.train, e.seed),
        lambda e: e.pipeline.family.compresses,
    ),
    # Means and products over thousands of features.
    one(
        "fid",
        "FID (evaluator features)",
        "lower",
        DISTANCE,
        lambda e: (frechet_distance(x, e.reference_features) for x in e.drawn_and_floor),
    ),
    # A difference of means, which is near 0 for alike sets.
    Measure({"kid": (0.01, 0.00005)}, kid),
    one(
        "precision",
        "precision (k = 3)",
        "higher",
        SHARE,
        lambda e: (coverage_of(x, e.reference_features) for x in e.drawn_and_floor),
    ),
    one(
        "recall",
        "recall (k = 3)",
        "higher",
        SHARE,
        lambda e: (coverage_of(e.reference_features, x) for x in e.drawn_and_floor),
    ),
    Measure({"fid_normal": DISTANCE, "recall_normal": SHARE}, of_normal, lambda e: e.normal_fakes is not None),
    # A network is trained for it: what differs in a float's last bits grows with every step.
    Measure(
        {"c2st": (0.0, 0.05), "c2st_coarse": (0.0, 0.03)},
        lambda e: two_sample_metrics(e.reference, e.train[e.others], e.fakes, e.seed),
        lambda e: e.c2st,
    ),
    Measure({"cas": (0.0, 0.03)}, cas, lambda e: e.cas and e.num_classes and e.class_names),
    one(
        "inception_fid",
        "Inception FID (2,048 features of ImageNet's Inception-v3; not to be compared with the FID above)",
        "lower",
        DISTANCE,
        inception_fid,
        lambda e: e.inception is not None,
    ),
    one(
        "accuracy",
        "class accuracy (evaluator)",
        "higher",
        (0.0, 0.001),
        accuracy,
        lambda e: e.is_labelled and e.knows_classes,
    ),
    one(
        "within_class_distance",
        "distance within a class (features)",
        "as real",
        DISTANCE,
        lambda e: (
            within_class_distance(e.fake_features, e.fake_labels),
            within_class_distance(e.floor_features, e.floor_labels),
        ),
        lambda e: e.is_labelled,
    ),
    Measure({"within_class_recall": SHARE}, within_class_recall, lambda e: e.is_labelled and e.num_classes),
    one(
        "nearest_training_distance",
        "median distance to the nearest training image (features)",
        "as real or above",
        DISTANCE,
        lambda e: (
            float(nearest_distances(e.fake_features, e.train_features)[0].median()),
            float(nearest_distances(e.reference_features, e.train_features[e.others])[0].median()),
        ),
    ),
    # A ratio of sums over frequencies; rounded pixels are noise in all of them.
    one(
        "checkerboard_energy",
        "checkerboard energy, period 2 (share of the spectrum)",
        "as real",
        DISTANCE,
        lambda e: (checkerboard_energy(e.fakes), checkerboard_energy(e.train[e.chosen])),
        lambda e: has_convolutions(e.pipeline),
    ),
    Measure(
        {"generative_accuracy": SHARE},
        generative_accuracy,
        lambda e: e.num_classes and e.class_names and e.pipeline.family.classifies,
    ),
    Measure(
        {"recognizable": SHARE, "class_balance": SHARE},
        completeness,
        lambda e: len(e.class_names) > 1 and e.knows_classes and e.pipeline.family.encodes,
    ),
    Measure({"retrieval": SHARE}, retrieval, lambda e: e.pipeline.family.encodes),
    # The largest of singular values, and nearly so.
    Measure(
        {"lipschitz_p99": DISTANCE, "lipschitz_max": DISTANCE},
        lambda e: lipschitz_metrics(e.pipeline, e.seed),
        lambda e: e.pipeline.family.encodes,
    ),
    Measure(
        dict.fromkeys(("mse", "negative_elbo", "kl", "nll"), LIKELIHOOD),
        lambda e: vae_metrics(e.pipeline, e.reference, e.own_labels if e.num_classes else None),
        lambda e: e.pipeline.family.has_likelihood,
    ),
    # Means of probabilities.
    Measure(
        {
            "response": (0.0, 0.001),
            "monotone": SHARE,
            "identity_distance": DISTANCE,
            "identity_distance_other": DISTANCE,
        },
        responses,
        edits,
    ),
)
TOLERANCES = OF_CLASSIFIERS | {name: tolerance for row in MEASURES for name, tolerance in row.tolerances.items()}


def tolerance_of(metric: str, value: float) -> float:
    """How far a repeated measurement of `value` may be off. What follows a slash is of one attribute."""
    relative, absolute = TOLERANCES[metric.split("/")[0]]
    return max(relative * abs(value), absolute)


def in_tolerance(metric: Metric) -> Metric:
    """A metric with the tolerances of its value and its floor."""
    floor = None if metric.floor is None else tolerance_of(metric.metric, metric.floor)
    return replace(metric, tolerance=tolerance_of(metric.metric, metric.value), floor_tolerance=floor)


def measure(evidence: Evidence) -> list[Metric]:
    """All that has a meaning."""
    rows = (row for row in MEASURES if row.applies(evidence))
    return [in_tolerance(metric) for row in rows for metric in row.compute(evidence)]
