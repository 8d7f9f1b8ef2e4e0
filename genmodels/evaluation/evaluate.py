"""Measure a pipeline against real images, each number beside its floor: what other real images score."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch.nn import functional as F

from .. import losses, zoo
from ..data import ImageStream, load_images
from ..errors import UserError
from ..pipelines import (
    AutoencoderPipeline,
    CGANPipeline,
    EncoderDecoderPipeline,
    ImagePipeline,
    VAEPipeline,
    add_noise,
)
from ..pipelines.base import draw_latents
from ..pipelines.source import fetch, locate
from ..privacy import public_name
from .attributes import COMPARED, STRENGTHS, balanced_accuracies, edit_responses
from .classifier import Classifier
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
        evaluator: built-in name, folder or Hub id of one; by default the one for images of this shape.
        reference_split, train_split: the dataset's splits.
        seed: of the generated images, and of the choice of training images for the floor.

    Raises:
        UserError: no evaluator, no such data, or images of another shape than the pipeline's.
    """
    evaluator = evaluator or find_evaluator(pipeline)
    classifier, evaluator_sha256 = load_classifier(evaluator)
    shape = {"sample_size": pipeline.sample_size, "num_channels": pipeline.num_channels}
    options = {"classes": classes, "batch_size": BATCH, "num_workers": 0, **shape}
    stream = load_images(dataset_name, split=reference_split, **options)
    reference, _ = load_all(stream)
    train, train_labels = load_all(load_images(dataset_name, split=train_split, **options))
    numbers = class_numbers(classifier, stream)

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
    if (
        stream.class_names
        and not isinstance(pipeline, EncoderDecoderPipeline)
        and not classifier.config.attribute_names
    ):
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
        if pipeline.attribute_names and classifier.config.attribute_names:
            metrics += attribute_metrics(pipeline, classifier, evenly(reference, EDITED_IMAGES))
    if isinstance(pipeline, AutoencoderPipeline):
        # First what it is made for.
        metrics = [*autoencoder_metrics(pipeline, reference, train, seed), *metrics]
    dataset, evaluator = public_name(dataset_name), public_name(evaluator)
    protocol = (
        f"n = {n:,} generated images (seed {seed}, rounded to 8 bits) against all {len(reference):,} images of "
        f"{dataset or 'own images'}, split {reference_split}{in_classes(classes)}; real against real puts {n:,} images of "
        f"split {train_split} in their place. Features are those of {evaluator or 'an evaluator of its own'}"
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
        evaluator=evaluator,
        evaluator_sha256=evaluator_sha256,
        protocol=protocol,
        metrics=metrics,
    )


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


def class_numbers(classifier: Classifier, stream: ImageStream) -> torch.Tensor:
    """The classifier's number of each of the stream's classes, found by name where it has names: (num_classes,) int64."""
    names = list(classifier.config.class_names or [])
    return torch.tensor([names.index(c) if c in names else i for i, c in enumerate(stream.class_names)] or [0])


def evenly(images: torch.Tensor, count: int) -> torch.Tensor:
    """At most `count` of the images, evenly through the split: its beginning need not be typical."""
    return images[torch.linspace(0, len(images) - 1, min(count, len(images))).round().long()]


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
        right = scores.argmax(1) == class_numbers(classifier, stream)[labels]
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
def vae_metrics(pipeline: VAEPipeline, images: torch.Tensor) -> list[Metric]:
    """Reconstruction error and bounds of the likelihood on real images."""
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
    few = evenly(images, NLL_IMAGES)
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
            importance_weighted_nll(pipeline, few, NLL_DRAWS),
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
def importance_weighted_nll(pipeline: VAEPipeline, images: torch.Tensor, draws: int, seed: int = 0) -> float:
    """Upper bound of -log p(x) in nats per image, tighter than the negative ELBO, which it is for one draw.

    -log 1/K sum_k p(x | z_k) p(z_k) / q(z_k | x), z_k from q(z | x): Burda et al. 2016, https://arxiv.org/abs/1509.00519,
    equation 8.

    Args:
        pipeline: its decoder says which likelihood p(x | z) is.
        images: `pixel_values` (N, C, H, W).
        draws: K.
        seed: of the draws.
    """
    config = pipeline.decoder.config
    generator = torch.Generator().manual_seed(seed)
    bounds = []
    for chunk in images.split(max(1, BATCH // draws)):
        posterior = pipeline.encode(chunk)
        noise = torch.randn(len(chunk), draws, config.latent_dim, generator=generator)
        latents = posterior.mean[:, None] + (0.5 * posterior.log_variance).exp()[:, None] * noise
        logits = pipeline.decoder(latents.flatten(0, 1), return_logits=True)
        repeated = chunk.repeat_interleave(draws, 0)
        if config.likelihood == "bernoulli":
            pixels = F.binary_cross_entropy_with_logits(logits, (repeated + 1) / 2, reduction="none")
        else:
            error = (repeated - torch.tanh(logits / 2)).square() / (2 * config.sigma**2)
            pixels = error + math.log(config.sigma * math.sqrt(2 * math.pi))
        log_likelihood = -pixels.double().flatten(1).sum(1).view(len(chunk), draws)
        # log p(z) - log q(z | x); the constants of the two Gaussians cancel.
        log_ratio = 0.5 * (noise.square() - latents.square() + posterior.log_variance[:, None]).double().sum(2)
        bounds.append(math.log(draws) - (log_likelihood + log_ratio).logsumexp(1))
    return float(torch.cat(bounds).mean())
