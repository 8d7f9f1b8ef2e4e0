"""Measure a pipeline against real images, each number beside its floor: what other real images score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

import torch

from .. import losses, zoo
from ..data import ImageStream, load_images
from ..errors import UserError
from ..pipelines import CGANPipeline, ImagePipeline, VAEPipeline
from ..pipelines.base import draw_latents
from .classifier import Classifier
from .metrics import coverage_of, frechet_distance, nearest_distances, within_class_distance

MAX_IMAGES = 10_000
BATCH = 500


@dataclass
class Metric:
    """One number: what the model scores, what real images score in its place, and which direction is better."""

    metric: str
    name: str
    value: float
    floor: float | None
    better: str


@dataclass
class Evaluation:
    """What `evaluate` measured, and how.

    Attributes:
        dataset, split: the real images compared with.
        n: number of generated images; as many training images make the floor.
        seed: of the generated images.
        evaluator: name of the classifier whose features are used.
        protocol: all of the above in a sentence or two.
        metrics: the numbers.
    """

    dataset: str
    split: str
    n: int
    seed: int
    evaluator: str
    protocol: str
    metrics: list[Metric] = field(default_factory=list)

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


def find_evaluator(pipeline: ImagePipeline) -> str:
    """Name of the built-in evaluator for the pipeline's images; raises UserError if there is none."""
    name = {(28, 1): "evaluator-mnist", (32, 3): "evaluator-cifar10"}.get((pipeline.sample_size, pipeline.num_channels))
    if name is None or zoo.model_folder(name) is None:
        shape = f"{pipeline.sample_size}x{pipeline.sample_size}, {pipeline.num_channels} channel(s)"
        raise UserError(
            f"There is no built-in evaluator for images of {shape}: give the folder of one with --evaluator."
        )
    return name


def eight_bit(pixel_values: torch.Tensor) -> torch.Tensor:
    """`pixel_values` rounded as a saved image would be: real ones are, so fakes must be."""
    return ((pixel_values + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1


def load_all(stream: ImageStream) -> tuple[torch.Tensor, torch.Tensor]:
    """All images (N, C, H, W) and labels (N,) of a stream; zeros if it has no labels."""
    batches = list(stream.once())
    images = torch.cat([batch["pixel_values"] for batch in batches])
    labels = torch.cat([batch["class_labels"] for batch in batches]) if stream.class_names else torch.zeros(len(images))
    return images, labels.long()


@torch.no_grad()
def features_of(classifier: Classifier, images: torch.Tensor) -> torch.Tensor:
    """(N, D) features of `pixel_values`."""
    return torch.cat([classifier.features(chunk) for chunk in images.split(BATCH)])


def generate(
    pipeline: ImagePipeline, n: int, seed: int, num_classes: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Images and labels in parts: n in all, of a CGAN equally many of each class, in the order of the classes."""
    latents = draw_latents(n, pipeline.latent_dim, seed=seed)
    labels = torch.arange(n) * num_classes // n if num_classes else torch.zeros(n, dtype=torch.long)
    for part, part_labels in zip(latents.split(BATCH), labels.split(BATCH), strict=True):
        arguments = {"class_labels": part_labels} if isinstance(pipeline, CGANPipeline) else {}
        yield eight_bit(pipeline(latents=part, output_type="pt", **arguments).images), part_labels


def evaluate(
    pipeline: ImagePipeline,
    dataset_name: str,
    *,
    classes: list[str] | None = None,
    evaluator: str | None = None,
    reference_split: str = "test",
    train_split: str = "train",
    seed: int = 0,
) -> Evaluation:
    """Measure a pipeline.

    Generated images are compared with all images of the reference split; the floor puts as many training images in their
    place. FID, precision and recall are on the evaluator's features. A number of quality never stands without one of
    diversity: recall, and the distance within a class.

    Args:
        pipeline: what to measure.
        dataset_name: what it was trained on, in any form that `load_images` takes.
        classes: the class names it was trained on, if not all.
        evaluator: name of a built-in evaluator or folder of one; by default the one for images of this shape.
        reference_split, train_split: the dataset's splits.
        seed: of the generated images, and of the choice of training images for the floor.

    Raises:
        UserError: no evaluator, no such data, or images of another shape than the pipeline's.
    """
    evaluator = evaluator or find_evaluator(pipeline)
    classifier = Classifier.from_pretrained(str(zoo.model_folder(evaluator) or evaluator)).eval()
    shape = {"sample_size": pipeline.sample_size, "num_channels": pipeline.num_channels}
    options = {"classes": classes, "batch_size": BATCH, "num_workers": 0, **shape}
    stream = load_images(dataset_name, split=reference_split, **options)
    reference, _ = load_all(stream)
    train, train_labels = load_all(load_images(dataset_name, split=train_split, **options))
    # The evaluator's number of each of the stream's classes.
    class_names = list(classifier.config.class_names or [])
    numbers = torch.tensor(
        [class_names.index(c) if c in class_names else i for i, c in enumerate(stream.class_names)] or [0]
    )

    n = min(MAX_IMAGES, len(train))
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:n]
    num_classes = pipeline.num_classes if isinstance(pipeline, CGANPipeline) else 0
    parts = list(generate(pipeline, n, seed, num_classes))
    fakes, fake_labels = (torch.cat(part) for part in zip(*parts, strict=True))

    fake_features, reference_features = features_of(classifier, fakes), features_of(classifier, reference)
    train_features = features_of(classifier, train)
    floor_features, floor_labels = train_features[chosen], train_labels[chosen]

    def accuracy(features: torch.Tensor, labels: torch.Tensor) -> float:
        with torch.no_grad():
            return float((classifier.head(features).argmax(1) == numbers[labels]).double().mean())

    metrics = [
        Metric(
            "fid",
            "FID (evaluator features)",
            frechet_distance(fake_features, reference_features),
            frechet_distance(floor_features, reference_features),
            "lower",
        ),
        Metric(
            "precision",
            "precision (k = 3)",
            coverage_of(fake_features, reference_features),
            coverage_of(floor_features, reference_features),
            "higher",
        ),
        Metric(
            "recall",
            "recall (k = 3)",
            coverage_of(reference_features, fake_features),
            coverage_of(reference_features, floor_features),
            "higher",
        ),
    ]
    if stream.class_names and not isinstance(pipeline, VAEPipeline):
        metrics += [
            Metric(
                "accuracy",
                "class accuracy (evaluator)",
                accuracy(fake_features, fake_labels),
                accuracy(floor_features, floor_labels),
                "higher",
            ),
            Metric(
                "within_class_distance",
                "distance within a class (features)",
                within_class_distance(fake_features, fake_labels),
                within_class_distance(floor_features, floor_labels),
                "as real",
            ),
        ]
    metrics += [
        Metric(
            "nearest_training_distance",
            "median distance to the nearest training image (features)",
            float(nearest_distances(fake_features, train_features)[0].median()),
            float(nearest_distances(reference_features, train_features)[0].median()),
            "as real or above",
        )
    ]
    if isinstance(pipeline, VAEPipeline):
        metrics += vae_metrics(pipeline, reference)
    chosen_classes = f" (classes {', '.join(classes)})" if classes else ""
    protocol = (
        f"n = {n:,} generated images (seed {seed}, rounded to 8 bits) against all {len(reference):,} images of {dataset_name}, "
        f"split {reference_split}{chosen_classes}; real against real puts {n:,} images of split {train_split} in their "
        f"place. Features are those of {evaluator} ({classifier.config.test_accuracy:.2%} test accuracy); images are not "
        "resized."
    )
    return Evaluation(dataset_name, reference_split, n, seed, evaluator, protocol, metrics)


@torch.no_grad()
def vae_metrics(pipeline: VAEPipeline, images: torch.Tensor) -> list[Metric]:
    """Reconstruction error and evidence lower bound on real images."""
    config = pipeline.decoder.config
    generator = torch.Generator().manual_seed(0)
    error = reconstruction = kl = 0.0
    for chunk in images.split(BATCH):
        share = len(chunk) / len(images)
        posterior = pipeline.encode(chunk)
        decoded = pipeline.decode(posterior.mean, "pt").images
        error += share * float(((decoded - chunk) / 2).square().mean())
        logits = pipeline.decoder(posterior.sample(generator), return_logits=True)
        if config.likelihood == "bernoulli":
            reconstruction += share * float(losses.bernoulli_nll(logits, chunk))
        else:
            reconstruction += share * float(losses.gaussian_nll(logits, chunk, config.sigma))
        kl += share * float(losses.gaussian_kl(posterior.mean, posterior.log_variance))
    return [
        Metric("mse", "reconstruction error (mean square, brightness in [0, 1])", error, 0.0, "lower"),
        Metric(
            "negative_elbo", f"negative ELBO, {config.likelihood} likelihood (nats)", reconstruction + kl, None, "lower"
        ),
        Metric("kl", "of which KL (nats)", kl, None, "-"),
    ]
