"""A cheap FID during training, with recall beside it, that decides which averaged weights are saved."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional as F

from .. import zoo
from ..evaluation.evaluate import generate
from ..features.classifier import Classifier
from ..features.evaluators import features_of
from ..features.metrics import coverage_of, frechet_distance
from ..folder import ModelFolder
from ..models.modeling import on_white
from ..pipelines import ImagePipeline

NUM_IMAGES = 2048
# With fewer there are no neighbours to tell recall by.
MIN_IMAGES = 4


def evaluator_name(num_channels: int) -> str:
    """Of the built-in evaluator for grey (1) or colour images of any size."""
    return "evaluator-mnist" if num_channels == 1 else "evaluator-cifar10"


def knows_data(evaluator: str, dataset: str) -> bool:
    """Whether a built-in evaluator was trained on this dataset, of which samples come with the package, too."""
    own = ModelFolder(zoo.ROOT / evaluator).training["dataset"] or ""
    return dataset == own or dataset.startswith(f"{zoo.SAMPLE_PREFIX}{own.split('/')[-1]}-")


def evaluator_for(name: str, device: torch.device) -> Classifier:
    """A built-in evaluator, to measure images of any size: they are resized to its own."""
    return Classifier.from_pretrained(str(zoo.ROOT / name)).eval().requires_grad_(False).to(device)


def to_evaluator(images: torch.Tensor, evaluator: Classifier) -> torch.Tensor:
    """`pixel_values` (N, C, H, W) on the evaluator's device, at its size; what is transparent lies on white."""
    images, size = on_white(images).to(evaluator.device), evaluator.config["sample_size"]
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True).clamp(-1, 1)


class Validation:
    """Compares fakes with as many real training images, on the evaluator's features.

    Args:
        images: uint8 (N, C, H, W), at least 4, of which the first 2,048 are the reference; fewer make a noisier number. With
            all of them, 4,096 at most, the floor is measured.
        labels: int64 (N,), of which classes they are: fakes are drawn of the same ones; None for an unconditional pipeline.
        evaluator: a classifier for images of these channels.
        seed: of the fakes, the same at every step.

    Attributes:
        num_images: how many fakes are compared with as many real images.
        floor: FID of one half of the real images against the other, as perfect fakes would have.
        floor_images: how many each half has.
    """

    def __init__(self, images: torch.Tensor, labels: torch.Tensor | None, evaluator: Classifier, seed: int):
        self._evaluator, self._seed = evaluator, seed
        self.num_images = min(NUM_IMAGES, len(images))
        self._counts = None if labels is None else labels[: self.num_images].bincount()
        real = images[: 2 * NUM_IMAGES].float() / 127.5 - 1
        features = features_of(evaluator, to_evaluator(real, evaluator))
        self._real = features[: self.num_images]
        self.floor_images = len(features) // 2
        # Every other one: the images may come in the order of their classes.
        halves = (features[half::2][: self.floor_images] for half in (0, 1))
        self.floor = frechet_distance(*halves)

    def measure(self, pipeline: ImagePipeline, **options: Any) -> dict[str, float]:
        """FID and recall of a pipeline's images, drawn with these further arguments of its call."""
        parts = generate(pipeline, self.num_images, self._seed, self._counts, **options)
        fakes = torch.cat([part for part, _ in parts])
        features = features_of(self._evaluator, to_evaluator(fakes, self._evaluator))
        return {"fid": frechet_distance(features, self._real), "recall": coverage_of(self._real, features)}
