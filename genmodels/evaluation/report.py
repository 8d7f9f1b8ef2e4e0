"""What a measurement says: numbers, their floors and tolerances, and the protocol."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import torch

# How far a repetition may be off, relative and absolute, whichever is more. The same machine with as many threads repeats
# every number exactly. Another thread count, processor or torch version differs in a float's last bits: one thread instead of
# two, or no AVX, moved distances by up to 3 in a million, and recall by one image of 10,000. The rest is room for other
# convolution algorithms and for pixels that round the other way.
DISTANCE, SHARE, LIKELIHOOD = (0.005, 0.0), (0.0, 0.003), (0.001, 0.0)
TOLERANCES = {
    # Means and products over thousands of features.
    "fid": DISTANCE,
    "inception_fid": DISTANCE,
    # A difference of means, which is near 0 for alike sets.
    "kid": (0.01, 0.00005),
    "within_class_distance": DISTANCE,
    "nearest_training_distance": DISTANCE,
    # Each image counts as a whole: one that lies on the border of a ball, or of a class, falls on either side. Balls of the
    # k nearest neighbours move with each other, and may be counted over as few as 1,000 images.
    "precision": SHARE,
    "recall": SHARE,
    "within_class_recall": SHARE,
    "accuracy": (0.0, 0.001),
    # A network is trained for it: what differs in a float's last bits grows with every step.
    "c2st": (0.0, 0.05),
    "c2st_coarse": (0.0, 0.03),
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
