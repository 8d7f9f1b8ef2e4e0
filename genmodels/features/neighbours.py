"""The training images nearest to given ones: whether a model has learned or copied."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from diffusers.utils import BaseOutput
from PIL import Image

from .. import zoo
from ..checks import check_choice, check_count
from ..errors import UserError
from ..pixels import Images, check_output_type, to_output, to_pixel_values
from .evaluators import BATCH, features_of, find_evaluator, load_classifier
from .metrics import nearest_distances

SPACES = ("features", "pixels")
# The built-in images of a size and number of channels.
SAMPLES = {(28, 1): "zoo:mnist-sample", (32, 3): "zoo:cifar10-frogs-sample", (32, 4): "zoo:noto-emoji-sample"}


@dataclass
class NeighborsOutput(BaseOutput):
    """The training images nearest to N given ones, the nearest first.

    Attributes:
        images: N lists of k PIL images ("pil"), `pixel_values` (N, k, C, H, W) float32 in [-1, 1] ("pt"), or an array
            (N, k, H, W, C) float32 in [0, 1] ("np").
        distances: (N, k) float32: Euclidean between the evaluator's features, or the root mean square of the difference in
            brightness, from 0 for the same image to 1 for black and white.
        indices: (N, k) int64, their numbers in the dataset's order.
    """

    images: list[list[Image.Image]] | torch.Tensor | np.ndarray
    distances: torch.Tensor
    indices: torch.Tensor


# Points for which a matrix product, which needs the references' norms first, takes longer than the distances one by one.
FEW = 4


def pixel_points(pixel_values: torch.Tensor) -> torch.Tensor:
    """(N, C, H, W) in [-1, 1] to points (N, C * H * W) whose distance is the root mean square of the brightness, from 0 to 1."""
    points = pixel_values.flatten(1).float()
    return points / (2 * points.shape[1] ** 0.5)


def nearest_points(points: torch.Tensor, references: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`nearest_distances` with exact distances, and of equal ones the first reference first."""
    k = min(k, len(references))
    if len(points) <= FEW:
        near = (
            torch.cdist(points, references, compute_mode="donot_use_mm_for_euclid_dist").topk(k, largest=False).indices
        )
    else:
        near = nearest_distances(points, references, k)[1]
    near = near.sort(1).values
    # The matrix product that finds them is off by some ten thousandths where a distance is 0.
    exact = torch.stack([(point - references[row]).norm(dim=1) for point, row in zip(points, near, strict=True)])
    distances, order = exact.sort(dim=1, stable=True)
    return distances, near.gather(1, order)


def nearest_images(
    images: torch.Tensor, batches: Iterable[torch.Tensor], k: int, embed: Callable[[torch.Tensor], torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The k nearest of the images that come in batches, which are not kept.

    Args:
        images: `pixel_values` (N, C, H, W) to find neighbours of.
        batches: `pixel_values` (M, C, H, W) each, M may differ.
        k: how many; fewer are found if fewer come.
        embed: from `pixel_values` to the points whose Euclidean distance counts.

    Returns:
        The neighbours (N, k, C, H, W), their distances and their numbers in the order in which they came, each (N, k), the
        nearest first and of equals the one that came first.
    """
    points, start = embed(images), 0
    distances, indices = torch.empty(len(images), 0), torch.empty(len(images), 0, dtype=torch.long)
    found = images[:, None][:, :0]
    for batch in batches:
        more, near = nearest_points(points, embed(batch), k)
        distances, order = torch.cat([distances, more], 1).sort(dim=1, stable=True)
        distances, order = distances[:, :k], order[:, :k]
        indices = torch.cat([indices, near + start], 1).gather(1, order)
        rows = torch.arange(len(images))[:, None]
        found = torch.cat([found, batch[near]], 1)[rows, order]
        start += len(batch)
    return found, distances, indices


def neighbors(
    size: int,
    channels: int,
    images: Images,
    k: int,
    dataset: str | Path | torch.Tensor | None,
    split: str,
    space: str | None,
    output_type: str,
    **reading,
) -> NeighborsOutput:
    """`ImagePipeline.neighbors` of a pipeline that draws images of this size and number of channels."""
    check_count("k", k)
    check_output_type(output_type)
    described = f"{size}x{size} pixels, {channels} channel(s)"
    try:
        evaluator = find_evaluator(size, channels) if space != "pixels" else None
    except UserError:
        evaluator = None
    space = space or ("features" if evaluator else "pixels")
    check_choice("space", space, SPACES)
    embed: Callable[[torch.Tensor], torch.Tensor] = pixel_points
    if space == "features":
        if evaluator is None:
            raise ValueError(f"There is no built-in evaluator for images of {described}: give space='pixels'.")
        embed = partial(features_of, load_classifier(evaluator)[0])
    queries = to_pixel_values(images, size, channels)
    if dataset is None:
        dataset = SAMPLES.get((size, channels))
        if dataset is None or zoo.sample_folder(dataset) is None:
            raise ValueError(
                f"There are no built-in training images of {described}: give dataset, a Hub id, a folder or a tensor."
            )
    if isinstance(dataset, str | Path):
        # It needs `datasets`, which a Space has not.
        from ..data import load_images

        shape = {"sample_size": size, "num_channels": channels}
        stream = load_images(str(dataset), split=split, batch_size=BATCH, num_workers=0, **shape, **reading)
        batches = (batch["pixel_values"] for batch in stream.once())
    else:
        batches = to_pixel_values(dataset, size, channels).split(BATCH)
    found, distances, indices = nearest_images(queries, batches, k, embed)
    if distances.shape[1] < k:
        raise ValueError(f"k is {k}, and there are only {distances.shape[1]} images to choose from.")
    flat = to_output(found.flatten(0, 1), output_type)
    shaped: list[list[Image.Image]] | torch.Tensor | np.ndarray
    if isinstance(flat, list):
        shaped = [flat[i : i + k] for i in range(0, len(flat), k)]
    else:
        shaped = flat.reshape(len(queries), k, *flat.shape[1:])
    return NeighborsOutput(images=shaped, distances=distances, indices=indices)
