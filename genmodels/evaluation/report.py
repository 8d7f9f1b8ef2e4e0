"""What a measurement says: numbers, their floors and tolerances, and the protocol."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import torch


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
    tolerance: float | None = None
    floor_tolerance: float | None = None


@dataclass
class Evaluation:
    """What `evaluate` measured, and how.

    Attributes:
        dataset, split, classes: the real images compared with; None for a local folder, and for all classes.
        train_split: the real images for the floor; None if there is no floor.
        n: number of generated images, of which as many training images make the floor; of a classifier the images read.
        n_reference: number of real images compared with.
        seed: of the generated images; None if none are.
        num_inference_steps, guidance_scale: that a diffusion model drew them in and with; None for other models, and for none.
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
    guidance_scale: float | None = None
    torch: str = field(default=torch.__version__)
    metrics: list[Metric] = field(default_factory=list)
    floor_name: str = "real against real"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
