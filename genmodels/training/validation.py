"""A cheap FID during training, with recall beside it, that decides which averaged weights are saved."""

from __future__ import annotations

import torch
from diffusers import DiffusionPipeline
from torch.nn import functional as F

from .. import zoo
from ..evaluation.classifier import Classifier
from ..evaluation.evaluate import generate
from ..evaluation.evaluators import features_of
from ..evaluation.metrics import coverage_of, frechet_distance

NUM_IMAGES = 2048


def evaluator_for(num_channels: int, device: torch.device) -> Classifier:
    """The built-in evaluator for grey (1) or colour (3) images of any size; they are resized to its own."""
    name = "evaluator-mnist" if num_channels == 1 else "evaluator-cifar10"
    return Classifier.from_pretrained(str(zoo.model_folder(name))).eval().requires_grad_(False).to(device)


def to_evaluator(images: torch.Tensor, evaluator: Classifier) -> torch.Tensor:
    """`pixel_values` (N, C, H, W) on the evaluator's device, at its size."""
    images, size = images.to(evaluator.device), evaluator.config.sample_size
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True).clamp(-1, 1)


class Validation:
    """Compares fakes with as many real training images, on the evaluator's features.

    Args:
        images: uint8 (N, C, H, W), of which the first 2,048 are the reference; fewer make a noisier number.
        num_classes: how many classes the pipeline's `class_labels` have; 0 for an unconditional one.
        evaluator: a classifier for images of these channels.
        seed: of the fakes, the same at every step.
    """

    def __init__(self, images: torch.Tensor, num_classes: int, evaluator: Classifier, seed: int):
        self._evaluator, self._num_classes, self._seed = evaluator, num_classes, seed
        self.num_images = min(NUM_IMAGES, len(images))
        real = images[: self.num_images].float() / 127.5 - 1
        self._real = features_of(evaluator, to_evaluator(real, evaluator))

    def measure(self, pipeline: DiffusionPipeline, **options) -> dict[str, float]:
        """FID and recall of a pipeline's images, drawn with these further arguments of its call."""
        parts = generate(pipeline, self.num_images, self._seed, self._num_classes, **options)
        fakes = torch.cat([part for part, _ in parts])
        features = features_of(self._evaluator, to_evaluator(fakes, self._evaluator))
        return {"fid": frechet_distance(features, self._real), "recall": coverage_of(self._real, features)}
