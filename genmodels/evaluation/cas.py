"""The classification accuracy score: what a fresh network learns from generated images, it must know of real ones.

Ravuri, Vinyals, "Classification Accuracy Score for Conditional Generative Models", NeurIPS 2019,
https://arxiv.org/abs/1905.10887, section 3. An evaluator that names the class of a generated image forgives what real images
have and these lack; a network that has seen nothing else does not.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from .c2st import BATCH, make_classifier, train_fresh
from .report import Metric

# Images to learn from, of each kind.
IMAGES = 20_000


def learned_accuracy(
    images: torch.Tensor,
    labels: torch.Tensor,
    real: torch.Tensor,
    real_labels: torch.Tensor,
    num_classes: int,
    seed: int = 0,
) -> float:
    """Share of real images that a fresh network names rightly after learning from others.

    Args:
        images, labels: `pixel_values` (N, C, H, W) of 8 bits and (N,) int64 to learn from.
        real, real_labels: (M, C, H, W) and (M,) to name.
        num_classes: what labels are less than.
        seed: of the network's weights and the order of the batches. No other random state changes.
    """
    generator = torch.Generator().manual_seed(seed)
    network = make_classifier(images.shape[1], num_classes, seed)
    train_fresh(network, images, lambda logits, index: F.cross_entropy(logits, labels[index]), generator)
    with torch.no_grad():
        named = torch.cat([network(part).argmax(1) for part in real.split(BATCH)])
    return float((named == real_labels).double().mean())


def cas_metric(
    fakes: tuple[torch.Tensor, torch.Tensor],
    train: tuple[torch.Tensor, torch.Tensor],
    reference: tuple[torch.Tensor, torch.Tensor],
    num_classes: int,
    seed: int,
) -> Metric:
    """The score of generated images, beside that of as many training images; images and labels of each by the model's numbers."""
    value, floor = (learned_accuracy(*learned, *reference, num_classes, seed) for learned in (fakes, train))
    args = {"images": len(fakes[0])}
    name = f"accuracy on real images of a fresh network that learned from {len(fakes[0]):,} generated ones (CAS)"
    return Metric("cas", name, value, floor, "higher", args)
