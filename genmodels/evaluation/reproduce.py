"""Measure a model again by the protocol that its evaluation.json states, and compare number by number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data import stated_reading
from ..errors import UserError
from ..features.classifier import Classifier
from ..features.evaluators import load_classifier
from ..folder import INDEX
from ..pipelines import ImagePipeline, load_pipeline
from .classifiers import evaluate_classifier
from .evaluate import evaluate
from .measures import tolerance_of
from .report import Evaluation


@dataclass
class Comparison:
    """One number as stated and as measured again; `measured` is None if it is not measured any more."""

    name: str
    stated: float
    measured: float | None
    tolerance: float

    @property
    def reproduced(self) -> bool:
        """Whether the two agree within the tolerance; never for NaN."""
        return self.measured is not None and abs(self.measured - self.stated) <= self.tolerance


def load_model(folder: Path, folded: bool = True) -> ImagePipeline | Classifier:
    """The pipeline or evaluator in a folder, this `folded` to measure; raises UserError if it does not load."""
    if (folder / INDEX).is_file():
        return load_pipeline(folder)
    return load_classifier(str(folder), folded)[0]


def measure_again(
    model: ImagePipeline | Classifier,
    stated: Mapping[str, Any],
    dataset_name: str | None = None,
    evaluator: str | None = None,
) -> Evaluation:
    """Repeat the measurement that an evaluation.json describes.

    Args:
        model: what to measure.
        stated: the content of evaluation.json.
        dataset_name, evaluator: in place of the stated ones, where these were folders of whoever measured.

    Raises:
        UserError: the data, the evaluator or Inception cannot be loaded, or the evaluator is another than the stated one.
    """
    dataset_name = dataset_name or stated.get("dataset")
    if dataset_name is None:
        raise UserError("The numbers were measured on somebody's own images: give their folder with `dataset_name`.")
    reading = stated_reading(stated)
    if not isinstance(model, ImagePipeline):
        options = {"classes": stated.get("classes"), "split": stated["split"], **reading}
        return evaluate_classifier(model, dataset_name, **options)
    evaluator = evaluator or stated.get("evaluator")
    if evaluator is None:
        raise UserError("The numbers were measured with somebody's own evaluator: give its folder with `evaluator`.")
    sha256 = load_classifier(evaluator)[1]
    if stated.get("evaluator_sha256", sha256) != sha256:
        raise UserError(
            f"The evaluator {evaluator!r} has other weights (sha256 {sha256[:12]}...) than the one that the numbers were "
            f"measured with ({stated['evaluator_sha256'][:12]}...): give that one with `evaluator`."
        )
    return evaluate(
        model,
        dataset_name,
        classes=stated.get("classes"),
        evaluator=evaluator,
        reference_split=stated["split"],
        train_split=stated.get("train_split") or "train",
        seed=stated["seed"],
        num_inference_steps=stated.get("num_inference_steps"),
        guidance_scale=stated.get("guidance_scale"),
        inception=any(row["metric"] == "inception_fid" for row in stated["metrics"]),
        c2st=any(row["metric"] == "c2st" for row in stated["metrics"]),
        cas=any(row["metric"] == "cas" for row in stated["metrics"]),
        max_train_samples=stated.get("max_train_samples"),
        train_seed=stated.get("train_seed", 0),
        **reading,
    )


def protocol_differences(stated: Mapping[str, Any], measured: Evaluation) -> list[str]:
    """What of the stated protocol did not hold in the repetition, in words."""
    now = measured.to_dict()
    found = [
        f"{name} is {now[name]}, stated {stated[name]}"
        for name in ("n", "n_reference", "num_inference_steps", "guidance_scale")
        if name in stated and stated[name] != now[name]
    ]
    args = {row["metric"]: row["args"] for row in now["metrics"]}
    return found + [
        f"{row['name']}: settings are {args[row['metric']]}, stated {row['args']}"
        for row in stated["metrics"]
        if row["metric"] in args and row.get("args", args[row["metric"]]) != args[row["metric"]]
    ]


def compare(stated: Mapping[str, Any], measured: Evaluation) -> list[Comparison]:
    """Every stated value and floor beside the repeated one; the numbers of a baseline are left out.

    A stated tolerance counts only as far as it is not wider than the usual one: a card cannot excuse any number.
    """
    metrics = {metric.metric: metric for metric in measured.metrics}
    found = []
    for row in stated["metrics"]:
        metric = metrics.get(row["metric"])
        for suffix, name, tolerance in (
            ("", "value", "tolerance"),
            (f", {stated.get('floor_name', 'real against real')}", "floor", "floor_tolerance"),
        ):
            value = row.get(name)
            if value is None:
                continue
            usual = tolerance_of(row["metric"], value) if metric else 0.0
            stated_tolerance = row.get(tolerance)
            limit = usual if stated_tolerance is None or math.isnan(usual) else min(usual, stated_tolerance)
            found.append(Comparison(f"{row['name']}{suffix}", value, getattr(metric, name) if metric else None, limit))
    return found
