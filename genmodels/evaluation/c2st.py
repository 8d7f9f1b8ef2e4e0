"""A classifier two-sample test: can a fresh network tell generated images from real ones?

Lopez-Paz, Oquab, "Revisiting Classifier Two-Sample Tests", ICLR 2017, https://arxiv.org/abs/1610.06545, section 3: the share
of held-out images that it sorts right, 1/2 where there is nothing to be seen. Unlike FID it needs no evaluator that knows the
data, and forgives nothing that each single image shows: it sees pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional as F

from ..features.metrics import eight_bit
from .report import Metric

# Images of each kind, half of them held out.
IMAGES = 10_000
EPOCHS, BATCH, LEARNING_RATE = 6, 100, 3e-3
# Levels of brightness that are left of 256 without the tells of single values.
LEVELS = 16


def make_classifier(num_channels: int, outputs: int, seed: int) -> nn.Sequential:
    """(N, num_channels, H, W) to logits (N, outputs): the same small network for every model, with weights of a seed."""
    widths = (num_channels, 16, 32, 64, 128)
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for i, (before, after) in enumerate(pairwise(widths)):
            # The first one at full resolution: what gives images away is often as fine as a pixel.
            kernel_size, stride = (4, 2) if i else (3, 1)
            layers += [
                nn.Conv2d(before, after, kernel_size, stride, 1, bias=False),
                nn.BatchNorm2d(after),
                nn.LeakyReLU(0.2),
            ]
        layers += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * widths[-1], outputs)]
    # torch declares no `to` with a memory format.
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def train_fresh(
    network: nn.Module,
    images: torch.Tensor,
    loss_of: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    generator: torch.Generator,
) -> None:
    """Train a network for EPOCHS passes over images, and leave it in eval mode.

    Args:
        network: from `make_classifier`.
        images: `pixel_values` (N, C, H, W).
        loss_of: from the logits of a batch and the numbers of its images to a scalar.
        generator: of the order.
    """
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.01, fused=True)
    steps = EPOCHS * -(-len(images) // BATCH)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    for _ in range(EPOCHS):
        for index in torch.randperm(len(images), generator=generator).split(BATCH):
            loss = loss_of(network(images[index].contiguous(memory_format=torch.channels_last)), index)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    network.eval()


def coarsened(pixel_values: torch.Tensor) -> torch.Tensor:
    """Images in 16 levels: of the bytes 0 to 255 the upper four bits, again in [-1, 1].

    No single value can tell any more: a black that is 3 instead of 0, or a white that is never 254.
    """
    levels = ((pixel_values + 1) * 127.5).round().clamp(0, 255).div(256 / LEVELS, rounding_mode="floor")
    return levels / ((LEVELS - 1) / 2) - 1


def two_sample_accuracy(real: torch.Tensor, fake: torch.Tensor, seed: int = 0) -> float:
    """Share of held-out images that a fresh network sorts into real and fake after learning from as many others.

    Args:
        real, fake: `pixel_values` (N, C, H, W) of 8 bits, at least 4 each; of the longer set as many as of the other are taken
            at random. Half of each is held out.
        seed: of the choice, the network's weights and the order of the batches. No other random state changes.

    Returns:
        1/2 for sets from one source, up to 1.

    Raises:
        ValueError: fewer images, or of different shapes.
    """
    count = min(len(real), len(fake), IMAGES)
    if count < 4 or real.shape[1:] != fake.shape[1:]:
        raise ValueError(f"Need at least 4 images each, of one shape, got {tuple(real.shape)} and {tuple(fake.shape)}.")
    generator = torch.Generator().manual_seed(seed)
    real, fake = (images[torch.randperm(len(images), generator=generator)[:count]] for images in (real, fake))
    half = count // 2
    images, held_out = torch.cat([real[:half], fake[:half]]), torch.cat([real[half:], fake[half:]])
    is_real = torch.arange(len(images)) < half
    network = make_classifier(real.shape[1], 1, seed)
    train_fresh(
        network,
        images,
        lambda logits, index: F.binary_cross_entropy_with_logits(logits.flatten(), is_real[index].float()),
        generator,
    )
    with torch.no_grad():
        called_real = torch.cat([network(part).flatten() > 0 for part in held_out.split(BATCH)])
    return float((called_real == (torch.arange(len(held_out)) < count - half)).double().mean())


def two_sample_metrics(reference: torch.Tensor, train: torch.Tensor, fakes: torch.Tensor, seed: int) -> list[Metric]:
    """The test on images as they are, and in 16 levels, each beside what it says of real images.

    Args:
        reference, train: real images; where there are fewer than 10,000 of the first, others come from the second.
        fakes: as `eight_bit` rounds them.
        seed: of the test, and of the choice of training images.
    """
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    real = torch.cat([reference, train[order[: 2 * IMAGES]]])
    count = min(IMAGES, len(fakes), len(real))
    # Two sets of real images that have none in common.
    floor_count = min(count, len(real) // 2)
    floor = two_sample_accuracy(real[:floor_count], real[floor_count : 2 * floor_count], seed)
    args = {"images": count, "floor_images": floor_count}
    name = "share of {}real and generated images told apart by a fresh network (C2ST)"
    values = (two_sample_accuracy(change(real[:count]), change(fakes), seed) for change in (eight_bit, coarsened))
    names = (name.format(""), name.format(f"{LEVELS}-level "))
    return [
        Metric(metric, name, value, floor, "lower", args)
        for metric, name, value in zip(("c2st", "c2st_coarse"), names, values, strict=True)
    ]
