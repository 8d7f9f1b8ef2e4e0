"""The Real or fake? tab's third view: what was measured of every model, each number beside that of real images."""

from __future__ import annotations

from typing import Any

from .. import Json
from ..models import Model, ModelStore

# Larger numbers than any measurement are damage; nothing is larger than NaN.
MAX_VALUE = 1e12
# Metric and heading, in the order of the columns: quality never without diversity.
COLUMNS = {
    "fid": "FID",
    "kid": "KID",
    "precision": "precision",
    "recall": "recall",
    "c2st": "C2ST",
    "accuracy": "class accuracy",
    "cas": "CAS",
    "nearest_training_distance": "distance to the nearest training image",
}


def table(store: ModelStore) -> list[Json]:
    """One row for each model that came with an evaluation, shown in a tab or not, those that were measured alike together."""
    rows = [row for model in store.known if (row := row_of(model))]
    return sorted(rows, key=lambda row: (row["evaluator"], row["title"]))


def row_of(model: Model) -> Json | None:
    """Title, protocol and cells of a model; None if there is no evaluation of it that can be read."""
    evaluation = model.read("evaluation.json")
    cells = cells_of(evaluation)
    if not {"fid", "recall"} <= set(cells):
        return None
    return {
        "title": model.title,
        "evaluator": str(evaluation.get("evaluator", "")),
        "n": evaluation["n"] if isinstance(evaluation.get("n"), int) else None,
        "dataset": str(evaluation.get("dataset", "")),
        "cells": cells,
    }


def cells_of(evaluation: Json) -> dict[str, list[float | None]]:
    """Value and floor of each metric that has a column."""
    cells, metrics = {}, evaluation.get("metrics")
    for metric in metrics if isinstance(metrics, list) else []:
        name = metric.get("metric") if isinstance(metric, dict) else None
        if name in COLUMNS:
            cells[name] = [shown(metric.get("value")), shown(metric.get("floor"))]
    return cells


def shown(value: Any) -> float | None:
    """A number for the page, None for what is none."""
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return value if known and abs(value) < MAX_VALUE else None


def page(store: ModelStore) -> Json:
    """What the view's JavaScript finds in `page.numbers`."""
    return {"columns": list(COLUMNS.items()), "rows": table(store)}
