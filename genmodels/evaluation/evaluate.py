"""Measure a pipeline against real images, each number beside its floor: what other real images score."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import nn

from .. import losses, zoo
from ..data import ImageStream, load_images
from ..errors import UserError
from ..pipelines import (
    AutoencoderPipeline,
    EncoderDecoderPipeline,
    ImagePipeline,
    PixelDiffusionPipeline,
    VAEPipeline,
    add_noise,
)
from ..pipelines.base import draw_latents
from ..pipelines.diffusion import NUM_INFERENCE_STEPS
from ..pipelines.source import fetch, locate
from ..privacy import public_name
from .attributes import COMPARED, STRENGTHS, balanced_accuracies, edit_responses
from .checkerboard import checkerboard_energy
from .classifier import Classifier
from .continuity import class_balance, jacobian_norms, recognizable_share
from .metrics import (
    coverage_of,
    eight_bit,
    frechet_distance,
    kernel_distance,
    nearest_distances,
    within_class_distance,
)
from .reconstruction import PCA, median_filter, psnr

MAX_IMAGES = 10_000
BATCH = 500
# Bits of each number of a compressed latent.
COMPRESSION_BITS = 8
KID_SUBSETS, KID_SUBSET_SIZE = 100, 1000
# Draws per image, and images, of the importance-weighted bound.
NLL_DRAWS, NLL_IMAGES = 64, 1000
# Latents at which decoders are differentiated, at most, and derivatives along an axis in all.
JACOBIANS, JVPS = 1000, 16_000
# Images that a generative model classifies, at most: a VAE needs one pass for each class, a GAN some twenty of them.
CLASSIFIED = {"VAEPipeline": 10_000, "CGANPipeline": 1000}
# Draws for each image and class there.
CLASSIFY_DRAWS = 1
# Images whose attributes are edited.
EDITED_IMAGES = 1000
# How far a repetition may be off, relative and absolute, whichever is more. The same machine with as many threads repeats
# every number exactly. Another thread count, processor or torch version differs in a float's last bits: one thread instead of
# two, or no AVX, moved distances by up to 3 in a million, and recall by one image of 10,000. The rest is room for other
# convolution algorithms and for pixels that round the other way.
DISTANCE, SHARE, LIKELIHOOD = (0.005, 0.0), (0.0, 0.003), (0.001, 0.0)
TOLERANCES = {
    # Means and products over thousands of features.
    "fid": DISTANCE,
    # A difference of means, which is near 0 for alike sets.
    "kid": (0.01, 0.00005),
    "within_class_distance": DISTANCE,
    "nearest_training_distance": DISTANCE,
    # Each image counts as a whole: one that lies on the border of a ball, or of a class, falls on either side. Balls of the
    # k nearest neighbours move with each other, and may be counted over as few as 1,000 images.
    "precision": SHARE,
    "recall": SHARE,
    "accuracy": (0.0, 0.001),
    # A ratio of sums over frequencies; rounded pixels are noise in all of them.
    "checkerboard_energy": DISTANCE,
    "generative_accuracy": SHARE,
    "recognizable": SHARE,
    "class_balance": SHARE,
    # The largest of singular values, and nearly so.
    "lipschitz_max": DISTANCE,
    "lipschitz_p99": DISTANCE,
    "monotone": SHARE,
    # One image is a larger share of few.
    "balanced_accuracy": (0.01, 0.0),
    # Means of probabilities.
    "response": (0.0, 0.001),
    "identity_distance": DISTANCE,
    "identity_distance_other": DISTANCE,
    # Sums over pixels, without a threshold.
    "mse": LIKELIHOOD,
    "mse_pca": LIKELIHOOD,
    "mse_compressed": LIKELIHOOD,
    "psnr": LIKELIHOOD,
    "psnr_noisy": LIKELIHOOD,
    "psnr_median": LIKELIHOOD,
    "negative_elbo": LIKELIHOOD,
    "kl": LIKELIHOOD,
    "nll": LIKELIHOOD,
    # Counted, not measured.
    "compression_ratio": (1e-6, 0.0),
}


def tolerance_of(metric: str, value: float | None) -> float | None:
    """How far a repeated measurement of `value` may be off; None for no value. What follows a slash is of one attribute."""
    if value is None:
        return None
    relative, absolute = TOLERANCES[metric.split("/")[0]]
    return max(relative * abs(value), absolute)


@dataclass
class Metric:
    """One number and how to read it.

    Attributes:
        metric: its short name; of one attribute, with that behind a slash.
        name: its name in tables.
        value: what the model scores.
        floor: what real images score in its place; None where that has no meaning.
        better: which direction is.
        args: its settings beside the protocol's.
        tolerance, floor_tolerance: how far a repetition of either number may be off.
    """

    metric: str
    name: str
    value: float
    floor: float | None
    better: str
    args: dict[str, int] = field(default_factory=dict)
    tolerance: float = field(init=False)
    floor_tolerance: float | None = field(init=False)

    def __post_init__(self):
        self.tolerance, self.floor_tolerance = (tolerance_of(self.metric, x) for x in (self.value, self.floor))


@dataclass
class Evaluation:
    """What `evaluate` measured, and how.

    Attributes:
        dataset, split, classes: the real images compared with; None for a local folder, and for all classes.
        train_split: the real images for the floor; None if there is no floor.
        n: number of generated images, of which as many training images make the floor; of a classifier the images read.
        n_reference: number of real images compared with.
        seed: of the generated images; None if none are.
        num_inference_steps: that a diffusion model drew them in; None for other models.
        evaluator, evaluator_sha256: name of the classifier whose features are used (None for a local folder), and of its
            weights.
        protocol: all of the above in a sentence or two.
        torch: the version it was measured with.
        metrics: the numbers.
        floor_name: what the floors are.
    """

    dataset: str | None
    split: str
    train_split: str | None
    classes: list[str] | None
    n: int
    n_reference: int
    seed: int | None
    evaluator: str | None
    evaluator_sha256: str | None
    protocol: str
    num_inference_steps: int | None = None
    torch: str = field(default=torch.__version__)
    metrics: list[Metric] = field(default_factory=list)
    floor_name: str = "real against real"

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


def find_evaluator(pipeline: ImagePipeline) -> str:
    """Name of the built-in evaluator for the pipeline's images; raises UserError if there is none."""
    names = {(28, 1): "evaluator-mnist", (32, 3): "evaluator-cifar10", (64, 3): "evaluator-celeba"}
    name = names.get((pipeline.sample_size, pipeline.num_channels))
    if name is None or zoo.model_folder(name) is None:
        shape = f"{pipeline.sample_size}x{pipeline.sample_size}, {pipeline.num_channels} channel(s)"
        raise UserError(
            f"There is no built-in evaluator for images of {shape}: give the folder of one with --evaluator."
        )
    return name


def load_classifier(name_or_path: str) -> tuple[Classifier, str]:
    """An evaluator and the sha256 of its weights.

    Args:
        name_or_path: a built-in name, a folder or a Hub id.

    Raises:
        UserError: there is no such evaluator, it is something else, or its weights are damaged.
    """
    folder = Path(name_or_path) if Path(name_or_path).is_dir() else zoo.model_folder(name_or_path)
    if folder is None:
        folder = fetch(locate(name_or_path), ["config.json", "*.safetensors"])
    weights = folder / "diffusion_pytorch_model.safetensors"
    try:
        kind = json.loads((folder / "config.json").read_text()).get("_class_name")
        if kind != "Classifier":
            raise UserError(f"{name_or_path!r} holds a {kind}, not an evaluator: train one with train/evaluator.py.")
        classifier = Classifier.from_pretrained(str(folder)).eval()
        return classifier, hashlib.sha256(weights.read_bytes()).hexdigest()
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"{name_or_path!r} does not load as an evaluator: {error}") from error


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
    pipeline: ImagePipeline, n: int, seed: int, num_classes: int, **options
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Images and labels in parts: n in all, of a model with classes equally many of each class, in the order of the classes.

    `options` are further arguments of the pipeline's call.
    """
    latents = draw_latents(n, pipeline.latent_dim, seed=seed)
    labels = torch.arange(n) * num_classes // n if num_classes else torch.zeros(n, dtype=torch.long)
    for part, part_labels in zip(latents.split(BATCH), labels.split(BATCH), strict=True):
        arguments = {"class_labels": part_labels} if num_classes else {}
        yield eight_bit(pipeline(latents=part, output_type="pt", **arguments, **options).images), part_labels


def evaluate(
    pipeline: ImagePipeline,
    dataset_name: str,
    *,
    classes: list[str] | None = None,
    evaluator: str | None = None,
    reference_split: str = "test",
    train_split: str = "train",
    seed: int = 0,
    num_inference_steps: int | None = None,
) -> Evaluation:
    """Measure a pipeline.

    Generated images are compared with all images of the reference split; the floor puts as many training images in their
    place. FID, precision and recall are on the evaluator's features. A number of quality never stands without one of
    diversity: recall, and the distance within a class.

    Args:
        pipeline: what to measure.
        dataset_name: what it was trained on, in any form that `load_images` takes.
        classes: the class names it was trained on, if not all.
        evaluator: built-in name, folder or Hub id of one; by default the one for images of this shape.
        reference_split, train_split: the dataset's splits.
        seed: of the generated images, and of the choice of training images for the floor.
        num_inference_steps: of a diffusion model, which needs as many passes through its network for each image; by default
            those of its pipeline.

    Raises:
        UserError: no evaluator, no such data, images of another shape than the pipeline's, or inference steps for a pipeline
            that takes none or not so many.
    """
    sampling = sampling_options(pipeline, num_inference_steps)
    evaluator = evaluator or find_evaluator(pipeline)
    classifier, evaluator_sha256 = load_classifier(evaluator)
    shape = {"sample_size": pipeline.sample_size, "num_channels": pipeline.num_channels}
    options = {"classes": classes, "batch_size": BATCH, "num_workers": 0, **shape}
    stream = load_images(dataset_name, split=reference_split, **options)
    reference, reference_labels = load_all(stream)
    train, train_labels = load_all(load_images(dataset_name, split=train_split, **options))
    num_classes = getattr(pipeline, "num_classes", 0)
    if num_classes and not stream.class_names and isinstance(pipeline, VAEPipeline):
        raise UserError(f"{dataset_name!r} has no labels, and the model has classes: give another --dataset_name.")
    numbers = class_numbers(classifier.config.class_names, stream)

    n = min(MAX_IMAGES, len(train))
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:n]
    parts = list(generate(pipeline, n, seed, num_classes, **sampling))
    fakes, fake_labels = (torch.cat(part) for part in zip(*parts, strict=True))

    fake_features, reference_features = features_of(classifier, fakes), features_of(classifier, reference)
    train_features = features_of(classifier, train)
    floor_features, floor_labels = train_features[chosen], train_labels[chosen]

    def judged_right(features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return classifier.head(features).argmax(1) == numbers[labels]

    def accuracy(features: torch.Tensor, labels: torch.Tensor) -> float:
        return float(judged_right(features, labels).double().mean())

    subsets = {"subsets": KID_SUBSETS, "subset_size": min(KID_SUBSET_SIZE, n, len(reference))}
    metrics = [
        Metric(
            "fid",
            "FID (evaluator features)",
            frechet_distance(fake_features, reference_features),
            frechet_distance(floor_features, reference_features),
            "lower",
        ),
        Metric(
            "kid",
            f"KID (evaluator features, {subsets['subsets']} subsets of {subsets['subset_size']:,})",
            kernel_distance(fake_features, reference_features, **subsets, seed=seed),
            kernel_distance(floor_features, reference_features, **subsets, seed=seed),
            "lower",
            subsets,
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
    # Of an unconditional model nobody knows which class an image should be, unless there is only one.
    one_class = len(stream.class_names) == 1 and not isinstance(pipeline, EncoderDecoderPipeline)
    knows_classes = not classifier.config.attribute_names
    if stream.class_names and knows_classes and (num_classes or one_class):
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
    if has_convolutions(pipeline):
        metrics.append(
            Metric(
                "checkerboard_energy",
                "checkerboard energy, period 2 (share of the spectrum)",
                checkerboard_energy(fakes),
                checkerboard_energy(train[chosen]),
                "as real",
            )
        )
    own_labels = class_numbers(pipeline.class_names, stream)[reference_labels] if num_classes else None
    if num_classes and stream.class_names and hasattr(pipeline, "classify"):
        metrics.append(
            classification_metric(pipeline, reference, own_labels, judged_right(reference_features, reference_labels))
        )
    if len(stream.class_names) > 1 and knows_classes and isinstance(pipeline, EncoderDecoderPipeline):

        def completeness(features: torch.Tensor) -> tuple[float, float]:
            with torch.no_grad():
                predicted = classifier.head(features).argmax(1)
            real_labels = numbers[reference_labels]
            share = recognizable_share(features, predicted, reference_features, real_labels)
            return share, class_balance(predicted, classifier.config.num_classes)

        drawn, real = completeness(fake_features), completeness(floor_features)
        metrics += [
            Metric("recognizable", "share like real images of a class (k = 3)", drawn[0], real[0], "higher"),
            Metric("class_balance", "balance of the classes drawn (entropy, 1 = even)", drawn[1], real[1], "higher"),
        ]
    if isinstance(pipeline, EncoderDecoderPipeline):
        metrics += lipschitz_metrics(pipeline, seed)
    if isinstance(pipeline, VAEPipeline):
        metrics += vae_metrics(pipeline, reference, own_labels)
        if pipeline.attribute_names and classifier.config.attribute_names:
            metrics += attribute_metrics(pipeline, classifier, reference[evenly(len(reference), EDITED_IMAGES)])
    if isinstance(pipeline, AutoencoderPipeline):
        # First what it is made for.
        metrics = [*autoencoder_metrics(pipeline, reference, train, seed), *metrics]
    dataset, evaluator = public_name(dataset_name), public_name(evaluator)
    protocol = (
        f"n = {n:,} generated images (seed {seed}, {in_steps(sampling)}rounded to 8 bits) against all {len(reference):,} "
        f"images of {dataset or 'own images'}, split {reference_split}{in_classes(classes)}; real against real puts {n:,} "
        f"images of split {train_split} in their place. Features are those of {evaluator or 'an evaluator of its own'}"
        f"{with_accuracy(classifier)}; images are {in_size(stream)}."
    )
    if any(metric.metric.startswith("response/") for metric in metrics):
        protocol += (
            " Attributes are edited in the posterior means of the split's images; a response is that evaluator's mean "
            "probability of the attribute, which it learnt from labels alone."
        )
    return Evaluation(
        dataset=dataset,
        split=reference_split,
        train_split=train_split,
        classes=classes,
        n=n,
        n_reference=len(reference),
        seed=seed,
        **sampling,
        evaluator=evaluator,
        evaluator_sha256=evaluator_sha256,
        protocol=protocol,
        metrics=metrics,
    )


def sampling_options(pipeline: ImagePipeline, num_inference_steps: int | None) -> dict[str, int]:
    """What of the way to draw belongs to the protocol, as arguments of the pipeline's call; raises UserError if it is wrong."""
    if not isinstance(pipeline, PixelDiffusionPipeline):
        if num_inference_steps is not None:
            raise UserError(f"A {type(pipeline).__name__} draws in one step: leave num_inference_steps out.")
        return {}
    try:
        steps = NUM_INFERENCE_STEPS if num_inference_steps is None else num_inference_steps
        return {"num_inference_steps": pipeline.check_steps(steps)}
    except ValueError as error:
        raise UserError(str(error)) from error


def in_steps(sampling: dict[str, int]) -> str:
    """The number of inference steps for the protocol's sentence, if there are such."""
    return f"{sampling['num_inference_steps']} steps of DDIM, " if sampling else ""


def has_convolutions(pipeline: ImagePipeline) -> bool:
    """Whether any network of a pipeline has convolutions: those that draw may leave checkerboards."""
    networks = [network for network in pipeline.components.values() if isinstance(network, nn.Module)]
    return any(isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) for network in networks for layer in network.modules())


def in_size(stream: ImageStream) -> str:
    """What was done to the images, for a protocol."""
    return f"cropped and resized to {stream.sample_size}x{stream.sample_size}" if stream.resized else "not resized"


def in_classes(classes: list[str] | None) -> str:
    """The chosen classes in brackets, if not all."""
    return f" (classes {', '.join(classes)})" if classes else ""


def with_accuracy(classifier: Classifier) -> str:
    """The evaluator's accuracy in brackets, if it was measured."""
    accuracy = classifier.config.test_accuracy
    return "" if accuracy is None else f" ({accuracy:.2%} test accuracy)"


def class_numbers(class_names: list[str] | None, stream: ImageStream) -> torch.Tensor:
    """A model's number of each of the stream's classes, found by name where it has that name: (num_classes,) int64."""
    names = list(class_names or [])
    return torch.tensor([names.index(c) if c in names else i for i, c in enumerate(stream.class_names)] or [0])


def classification_metric(
    pipeline: ImagePipeline, images: torch.Tensor, labels: torch.Tensor, judged_right: torch.Tensor
) -> Metric:
    """How many images a generative model classifies right; the floor is the evaluator's share on the same images.

    Args:
        pipeline: with classes.
        images, labels: real ones, in the pipeline's numbers of the classes.
        judged_right: bool (N,), whether the evaluator is.
    """
    chosen = evenly(len(images), CLASSIFIED[type(pipeline).__name__])
    settings = {"num_draws": CLASSIFY_DRAWS} if isinstance(pipeline, VAEPipeline) else {}
    right = pipeline.classify(images[chosen], **settings).class_labels == labels[chosen]
    args = {"images": len(chosen), **({"draws": CLASSIFY_DRAWS} if settings else {})}
    shares = (float(which.double().mean()) for which in (right, judged_right[chosen]))
    name = f"classification accuracy on {len(chosen):,} of the real images (generative)"
    return Metric("generative_accuracy", name, *shares, "higher", args)


@torch.no_grad()
def evaluate_classifier(
    classifier: Classifier, dataset_name: str, *, classes: list[str] | None = None, split: str = "test"
) -> Evaluation:
    """Measure which share of a split's images a classifier reads right; of attributes, of each and on average.

    Args:
        classifier: what to measure.
        dataset_name, classes: as in `evaluate`.
        split: of the dataset; not the one it was trained on.

    Raises:
        UserError: no such data, no labels in it, or images of another shape than the classifier's.
    """
    shape = {"sample_size": classifier.config.sample_size, "num_channels": classifier.config.num_channels}
    names = classifier.config.attribute_names
    options = {"attributes": names, "batch_size": BATCH, "num_workers": 0, **shape}
    stream = load_images(dataset_name, split=split, classes=classes, **options)
    if not stream.class_names and not names:
        raise UserError(f"{dataset_name!r} has no labels to measure a classifier by: give another --dataset_name.")
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
        right = scores.argmax(1) == class_numbers(classifier.config.class_names, stream)[labels]
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
        metrics=metrics,
        floor_name="constant guess" if names else "real against real",
    )


def lipschitz_metrics(pipeline: EncoderDecoderPipeline, seed: int) -> list[Metric]:
    """How fast decoded images change where the prior N(0, I) has its mass; of a model with classes each latent in one of them."""
    n = max(2, min(JACOBIANS, JVPS // pipeline.latent_dim))
    latents, numbers = draw_latents(n, pipeline.latent_dim, seed=seed), torch.arange(n)
    num_classes = getattr(pipeline, "num_classes", 0)
    if num_classes:
        weights = torch.eye(num_classes)[numbers % num_classes]
        norms = torch.cat(
            [
                jacobian_norms(lambda z, w=w: pipeline.decoder(z, w.expand(len(z), -1)) / 2, latents[weights @ w > 0])
                for w in weights.unique(dim=0)
            ]
        )
    else:
        norms = jacobian_norms(lambda z: pipeline.decoder(z) / 2, latents)
    args, of = (
        {"latents": n},
        "decoder's slope at latents from N(0, I) (spectral norm of the Jacobian, brightness in [0, 1])",
    )
    return [
        Metric("lipschitz_p99", f"{of}, 99th percentile", float(norms.quantile(0.99)), None, "lower", args),
        Metric("lipschitz_max", f"{of}, largest of {n:,}", float(norms.max()), None, "lower", args),
    ]


def part_of(labels: torch.Tensor | None, start: int, size: int) -> torch.Tensor | None:
    """`size` labels from `start` on, or None of none."""
    return None if labels is None else labels[start : start + size]


def evenly(n: int, most: int) -> torch.Tensor:
    """Numbers from 0 to n - 1, at most `most`, at equal distances: the beginning of a split need not be typical."""
    return torch.linspace(0, n - 1, min(most, n)).round().long()


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


@torch.no_grad()
def vae_metrics(pipeline: VAEPipeline, images: torch.Tensor, labels: torch.Tensor | None) -> list[Metric]:
    """Reconstruction error and bounds of the likelihood on real images, given their labels if there are any."""
    config = pipeline.decoder.config
    generator = torch.Generator().manual_seed(0)
    error = reconstruction = kl = 0.0
    for start in range(0, len(images), BATCH):
        chunk, chunk_labels = images[start : start + BATCH], part_of(labels, start, BATCH)
        share = len(chunk) / len(images)
        posterior = pipeline.encode(chunk, chunk_labels)
        decoded = pipeline.decode(posterior.mean, "pt", class_labels=chunk_labels).images
        error += share * float(((decoded - chunk) / 2).square().mean())
        logits = pipeline.decoder(posterior.sample(generator), chunk_labels, return_logits=True)
        if config.likelihood == "bernoulli":
            reconstruction += share * float(losses.bernoulli_nll(logits, chunk))
        else:
            reconstruction += share * float(losses.gaussian_nll(logits, chunk, config.sigma))
        kl += share * float(losses.gaussian_kl(posterior.mean, posterior.log_variance))
    few = evenly(len(images), NLL_IMAGES)
    draws = {"draws": NLL_DRAWS, "images": len(few)}
    return [
        Metric("mse", "reconstruction error (mean square, brightness in [0, 1])", error, 0.0, "lower"),
        Metric(
            "negative_elbo", f"negative ELBO, {config.likelihood} likelihood (nats)", reconstruction + kl, None, "lower"
        ),
        Metric("kl", "of which KL (nats)", kl, None, "-"),
        Metric(
            "nll",
            f"NLL, importance-weighted bound (K = {NLL_DRAWS}, {len(few):,} of the images, {config.likelihood} likelihood, nats)",
            importance_weighted_nll(
                pipeline, images[few], NLL_DRAWS, class_labels=None if labels is None else labels[few]
            ),
            None,
            "lower",
            draws,
        ),
    ]


def attribute_metrics(pipeline: VAEPipeline, classifier: Classifier, images: torch.Tensor) -> list[Metric]:
    """What editing attributes does to images, as a classifier sees it that was trained on labels alone."""
    found, other = edit_responses(pipeline, classifier, images)
    args, metrics = {"images": len(images)}, []
    for name, edited in found.items():
        metrics += [
            Metric(f"response/{name}/{strength}", f"{name}: response at strength {strength}", value, None, "-", args)
            for strength, value in zip(STRENGTHS, edited.responses, strict=True)
        ]
        rising = f"{name}: share of faces with a response that rises from each strength to the next"
        moved = f"{name}: distance of a face edited with strength {COMPARED} to the unedited one (features)"
        metrics += [
            Metric(f"monotone/{name}", rising, edited.monotone, None, "higher", args),
            Metric(f"identity_distance/{name}", moved, edited.distance, None, "lower", args),
        ]
    if found:
        name = "for comparison: distance of a face, decoded, to another face (features)"
        metrics.append(Metric("identity_distance_other", name, other, None, "-", args))
    return metrics


@torch.no_grad()
def autoencoder_metrics(
    pipeline: AutoencoderPipeline, images: torch.Tensor, train: torch.Tensor, seed: int
) -> list[Metric]:
    """Reconstruction error beside that of PCA, compression, and of a denoiser what it removes of noise with this seed."""
    bits = {"bits": COMPRESSION_BITS}

    def mean_square(decoded: torch.Tensor) -> float:
        return float(losses.mean_squared_error(decoded.double(), images.double()))

    pca = PCA(train, pipeline.latent_dim)
    of, size = "reconstruction error", f"{pipeline.latent_dim} numbers"
    metrics = [
        Metric(
            "mse",
            f"{of} (mean square, brightness in [0, 1])",
            mean_square(pipeline.reconstruct(images, "pt").images),
            0.0,
            "lower",
        ),
        Metric("mse_pca", f"{of} of PCA, {size} too", mean_square(pca.reconstruct(images)), 0.0, "-"),
        Metric(
            "mse_compressed",
            f"{of} through {COMPRESSION_BITS}-bit latents",
            mean_square(pipeline.decompress(pipeline.compress(images, **bits), "pt").images),
            0.0,
            "lower",
            bits,
        ),
        Metric(
            "compression_ratio",
            f"compression ratio (8-bit pixels to {COMPRESSION_BITS}-bit latents)",
            pipeline.compression_ratio(**bits),
            None,
            "-",
            bits,
        ),
    ]
    if not pipeline.noise:
        return metrics
    noisy = eight_bit(add_noise(images, pipeline.noise, torch.Generator().manual_seed(seed)))
    std = f"noise of standard deviation {pipeline.noise:g}"
    return [
        Metric(
            "psnr",
            f"PSNR of denoised images ({std}, dB)",
            psnr(pipeline.denoise(noisy, "pt").images, images),
            None,
            "higher",
        ),
        Metric("psnr_noisy", "PSNR of the noisy images (dB)", psnr(noisy, images), None, "-"),
        Metric("psnr_median", "PSNR after a 3x3 median filter (dB)", psnr(median_filter(noisy), images), None, "-"),
        *metrics,
    ]


@torch.no_grad()
def importance_weighted_nll(
    pipeline: VAEPipeline, images: torch.Tensor, draws: int, seed: int = 0, class_labels: torch.Tensor | None = None
) -> float:
    """Upper bound of -log p(x) in nats per image, tighter than the negative ELBO, which it is for one draw.

    -log 1/K sum_k p(x | z_k) p(z_k) / q(z_k | x), z_k from q(z | x): Burda et al. 2016, https://arxiv.org/abs/1509.00519,
    equation 8.

    Args:
        pipeline: its decoder says which likelihood p(x | z) is.
        images: `pixel_values` (N, C, H, W).
        draws: K.
        seed: of the draws.
        class_labels: (N,) int64; then the bound is of -log p(x | y).
    """
    config = pipeline.decoder.config
    generator = torch.Generator().manual_seed(seed)
    bounds, size = [], max(1, BATCH // draws)
    for start in range(0, len(images), size):
        chunk, labels = images[start : start + size], part_of(class_labels, start, size)
        posterior = pipeline.encode(chunk, labels)
        noise = torch.randn(len(chunk), draws, config.latent_dim, generator=generator)
        latents = posterior.mean[:, None] + (0.5 * posterior.log_variance).exp()[:, None] * noise
        repeated_labels = None if labels is None else labels.repeat_interleave(draws)
        logits = pipeline.decoder(latents.flatten(0, 1), repeated_labels, return_logits=True)
        log_likelihood = pipeline.decoder.log_likelihood(logits, chunk.repeat_interleave(draws, 0)).view(-1, draws)
        # log p(z) - log q(z | x); the constants of the two Gaussians cancel.
        log_ratio = 0.5 * (noise.square() - latents.square() + posterior.log_variance[:, None]).double().sum(2)
        bounds.append(math.log(draws) - (log_likelihood + log_ratio).logsumexp(1))
    return float(torch.cat(bounds).mean())
