"""Measure a pipeline against real images, each number beside its floor: what other real images score."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from ..data import ImageStream, load_images
from ..errors import UserError
from ..features.classifier import Classifier
from ..features.evaluators import BATCH, class_numbers, evaluator_folder, find_evaluator, load_classifier
from ..features.inception import load_inception
from ..features.metrics import eight_bit
from ..folder import ModelFolder
from ..latents import draw_latents
from ..pipelines.base import ImagePipeline
from ..privacy import public_name
from .classifiers import announce, in_classes, in_size, with_accuracy, without_labels
from .measures import Evidence, measure
from .report import Evaluation

MAX_IMAGES = 10_000
# Precision and recall look for the third neighbour of each image.
MIN_IMAGES = 4
# Up to this share of a split's images in other classes than equal ones would have, equally many are drawn of each class.
BALANCED = 0.05
EDITING = (
    " Attributes are edited in the posterior means of the split's images; a response is that evaluator's mean probability of "
    "the attribute, which it learnt from labels alone."
)


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
    guidance_scale: float | None = None,
    inception: bool = False,
    c2st: bool = True,
    cas: bool = True,
    max_train_samples: int | None = None,
    train_seed: int = 0,
    **reading,
) -> Evaluation:
    """Measure a pipeline.

    Generated images are compared with all images of the reference split; the floor puts as many training images in their
    place. Where both are one split, one random half of it is the reference and the other makes the floor. Of a model with
    classes as many images are drawn of each as `class_counts` says: FID would measure other shares of the classes, too.
    FID, precision and recall are on the evaluator's features. A number of quality never stands without one of diversity:
    recall, and of a model with classes recall and distance within a class. The former needs at least 4 images of each class
    in each set, and is left out where there are fewer.

    Args:
        pipeline: what to measure.
        dataset_name: what it was trained on, in any form that `load_images` takes.
        classes: the class names it was trained on, if not all.
        evaluator: built-in name, folder or Hub id of one; by default the one for images of this shape.
        reference_split, train_split: the dataset's splits; the same for data that has only one.
        seed: of the generated images, of the halves of a split, and of the choice of training images for the floor.
        num_inference_steps: of a diffusion model, which needs as many passes through its network for each image; by default
            those of its pipeline.
        guidance_scale: of a diffusion model with classes; by default 1, none.
        inception: whether to measure the standard FID too, on features of Inception; see `load_inception`.
        c2st: whether to train fresh networks that try to tell the images from real ones; see `two_sample_metrics`.
        cas: whether to train fresh networks on images of known classes, to name those of real ones; see `cas_metric`.
        max_train_samples, train_seed: of the training, if it had only so many images, chosen by that seed.
        reading: further arguments of `load_images` that were given in the training, such as `label_column`, `fit` or
            `revision`.

    Raises:
        UserError: no evaluator, no such data, fewer than 4 images, images of another shape or other classes than the
            pipeline's, inference steps for a pipeline that takes none or not so many, or no Inception.
    """
    network = load_inception() if inception else None
    sampling = sampling_options(pipeline, num_inference_steps, guidance_scale)
    evaluator = evaluator or find_evaluator(pipeline.sample_size, pipeline.num_channels)
    classifier, evaluator_sha256 = load_classifier(evaluator)
    options = {"classes": classes, **reading, **shared_shape(pipeline, classifier, evaluator)}
    stream, train = read_split(dataset_name, train_split, max_samples=max_train_samples, seed=train_seed, **options)
    in_halves = reference_split == train_split
    if in_halves:
        first, others = torch.randperm(len(train[0]), generator=torch.Generator().manual_seed(seed)).chunk(2)
        reference = train[0][first], train[1][first]
    else:
        others = torch.arange(len(train[0]))
        stream, reference = read_split(dataset_name, reference_split, **options)
    if pipeline.num_classes and not stream.class_names and pipeline.family.encodes:
        raise UserError(f"The model has classes: {without_labels(dataset_name, stream)}")
    own_names = own_class_names(pipeline, stream)
    n, n_reference = min(MAX_IMAGES, len(others)), len(reference[0])
    check_enough({reference_split: n_reference, train_split: len(train[0])})
    wanted = class_numbers(own_names, stream.class_names)[reference[1]] if stream.class_names else None

    def draw(count: int, draw_seed: int, prior: str | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        counts = class_counts(count, wanted, pipeline.num_classes)[0] if pipeline.num_classes else None
        images, labels = zip(*generate(pipeline, count, draw_seed, counts, prior, **sampling), strict=True)
        return torch.cat(images), torch.cat(labels)

    shares = class_counts(n, wanted, pipeline.num_classes)[1] if pipeline.num_classes else ""
    normal_fakes = None
    if fitted := getattr(pipeline, "prior", None):
        normal_fakes, _ = draw(n, seed, "normal")
        shares += f"latents from the fitted mixture of {fitted.config.num_components} Gaussians, "
    images = (*reference, *train, others, *draw(n, seed), normal_fakes)
    fresh = (network, c2st, cas, draw)
    metrics = measure(Evidence(pipeline, classifier, *images, stream.class_names, own_names, seed, *fresh))
    dataset, judge = public_name(dataset_name), public_name(evaluator)
    training = ModelFolder(evaluator_folder(evaluator)).training
    whole = f"images of {dataset or 'own images'}, split {reference_split}{in_classes(classes)}"
    compared, others_are = (f"all {n_reference:,} {whole}", f"images of split {train_split}")
    if in_halves:
        compared, others_are = (f"{n_reference:,} {whole}, a random half", "of the other half")
    protocol = (
        f"n = {n:,} generated images (seed {seed}, {shares}{in_steps(pipeline, sampling)}rounded to 8 bits) against "
        f"{compared}; real against real puts {n:,} {others_are} in their place. Features are those of "
        f"{judge or 'an evaluator of its own'}{with_accuracy(classifier, training)}; images are {in_size(stream)}."
    )
    if any(metric.metric.startswith("response/") for metric in metrics):
        protocol += EDITING
    return Evaluation(
        dataset=dataset,
        split=reference_split,
        train_split=train_split,
        classes=classes,
        n=n,
        n_reference=n_reference,
        seed=seed,
        num_inference_steps=sampling.get("num_inference_steps"),
        guidance_scale=sampling.get("guidance_scale"),
        evaluator=judge,
        evaluator_sha256=evaluator_sha256,
        protocol=protocol,
        metrics=metrics,
    )


def check_enough(counts: dict[str, int]) -> None:
    """Raise UserError unless each split, or of a single one each half, has images enough for the third neighbour."""
    if min(counts.values()) < MIN_IMAGES * 2 / len(counts):
        found = ", ".join(f"{split} has {count:,}" for split, count in counts.items())
        wanted = f"{MIN_IMAGES} images of each split" if len(counts) > 1 else f"{2 * MIN_IMAGES} images in two halves"
        raise UserError(f"Precision and recall need at least {wanted}: {found}.")


def shared_shape(pipeline: ImagePipeline, classifier: Classifier, evaluator: str) -> dict[str, int]:
    """Size and channels of the images, as arguments of `load_images`; raises UserError if the evaluator has others."""
    drawn, read = (
        {"sample_size": of.sample_size, "num_channels": of.num_channels} for of in (pipeline, classifier.config)
    )
    if read != drawn:
        sides = ["{0}x{0} pixels, {1} channel(s)".format(*shape.values()) for shape in (read, drawn)]
        raise UserError(
            f"The evaluator {evaluator!r} reads images of {sides[0]}, and the model draws {sides[1]}: give another `evaluator`."
        )
    return drawn


def read_split(dataset_name: str, split: str, **options) -> tuple[ImageStream, tuple[torch.Tensor, torch.Tensor]]:
    """A stream, and all its images (N, C, H, W) and labels (N,); these are zeros if it has none."""
    stream = load_images(dataset_name, split=split, **{"batch_size": BATCH, "num_workers": 0, **options})
    announce(split, stream.summary)
    batches = list(stream.once())
    images = torch.cat([batch["pixel_values"] for batch in batches])
    labels = torch.cat([batch["class_labels"] for batch in batches]) if stream.class_names else torch.zeros(len(images))
    return stream, (images, labels.long())


def own_class_names(pipeline: ImagePipeline, stream: ImageStream) -> list[str]:
    """The classes that a pipeline draws in the order of its numbers, which are all that the images show, in any order.

    One without classes draws those of the images, and one whose classes are mere numbers means their order.

    Raises:
        UserError: the images show other classes, or only some of them.
    """
    if not pipeline.num_classes:
        return stream.class_names
    names, wanted = pipeline.class_names, stream.class_names
    if not wanted or set(names) == set(wanted):
        return names
    if names == [str(i) for i in range(len(wanted))]:
        return wanted
    raise UserError(
        f"The model draws the classes {', '.join(names)}, and the images show {', '.join(wanted)}: give the classes that it was "
        "trained on."
    )


def class_counts(n: int, labels: torch.Tensor | None, num_classes: int) -> tuple[torch.Tensor, str]:
    """How many of `n` images to draw of each class, and that in words, for a protocol.

    In the shares that the classes have among real images, in whole images by largest remainders. Of classes that are balanced
    but for chance, equally many: such numbers compare among all data sets that have them.

    Args:
        n: the sum of all.
        labels: (N,) int64, of the real images by the model's numbers; None if nobody knows them, as if they were balanced.
        num_classes: of the model.

    Returns:
        (num_classes,) int64, and the words, which end in a comma and a space.
    """
    equal = (torch.arange(n) * num_classes // n).bincount(minlength=num_classes)
    if labels is None:
        return equal, "equally many of each class, "
    found = labels.bincount(minlength=num_classes)
    off = float((found / len(labels) - 1 / num_classes).abs().sum() / 2)
    if off <= BALANCED:
        reason = f", {off:.1%} off the split's shares" if found.min() < found.max() else ""
        return equal, f"equally many of each class{reason}, "
    counts = found * n // len(labels)
    most_left = (found * n % len(labels)).argsort(descending=True, stable=True)
    counts[most_left[: n - int(counts.sum())]] += 1
    return counts, "classes in the shares of the split, "


def generate(
    pipeline: ImagePipeline, n: int, seed: int, counts: torch.Tensor | None = None, prior: str | None = None, **options
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Images and labels in parts: n in all, of a model with classes so many of each, in the order of the classes.

    Args:
        pipeline: what draws.
        n: how many; the sum of `counts`.
        seed: of the latents.
        counts: (num_classes,) int64; None of a model without classes, whose labels are then 0.
        prior: what latents are drawn from, as in the call of an autoencoder.
        options: further arguments of the pipeline's call.
    """
    latents = draw_latents(n, pipeline.latent_dim, seed=seed)
    labels = torch.zeros(n).long() if counts is None else torch.arange(len(counts)).repeat_interleave(counts)
    for part, part_labels in zip(latents.split(BATCH), labels.split(BATCH), strict=True):
        arguments = {} if counts is None else {"class_labels": part_labels}
        drawn = pipeline(latents=pipeline.from_normal(part, prior), output_type="pt", **arguments, **options).images
        yield eight_bit(torch.as_tensor(drawn)), part_labels


def sampling_options(
    pipeline: ImagePipeline, num_inference_steps: int | None, guidance_scale: float | None
) -> dict[str, Any]:
    """What of the way to draw belongs to the protocol, as arguments of the pipeline's call; raises UserError if it is wrong."""
    if guidance_scale is not None and not (pipeline.family.takes_steps and pipeline.num_classes):
        raise UserError("Guidance is for diffusion models with classes, which this is not: leave `guidance_scale` out.")
    if not pipeline.family.takes_steps:
        if num_inference_steps is not None:
            raise UserError(f"A {type(pipeline).__name__} draws in one step: leave `num_inference_steps` out.")
        return {}
    try:
        guided = {} if guidance_scale is None else {"guidance_scale": guidance_scale}
        return {"num_inference_steps": pipeline.check_steps(num_inference_steps), **guided}
    except ValueError as error:
        raise UserError(str(error)) from error


def in_steps(pipeline: ImagePipeline, sampling: dict[str, Any]) -> str:
    """The number of inference steps and the guidance for the protocol's sentence, if there are such."""
    if not sampling:
        return ""
    name = type(pipeline.components["scheduler"]).__name__
    # What is short for those that training saves.
    name = {
        "DDIMScheduler": "DDIM",
        "FlowMatchEulerDiscreteScheduler": "Euler",
        "FlowMatchLCMScheduler": "consistency",
    }.get(name, name)
    guided = f"guidance {sampling['guidance_scale']:g}, " if "guidance_scale" in sampling else ""
    return f"{sampling['num_inference_steps']} steps of {name}, {guided}"
