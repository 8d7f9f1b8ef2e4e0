"""The Training tab's second view: the losses of a finished training beside its film, both at the same step."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ... import zoo
from ...errors import UserError
from ...folder import find_json
from .. import Json, films
from ..admission import normal_lane
from ..inputs import one_of, server_function
from ..models import ModelStore, commands_of, sources_of

FILE = "metrics.jsonl"
# Points of a curve at most: a plot has no room for more.
MAX_POINTS = 300
# Larger logs are of no training of ours.
MAX_BYTES = 20_000_000


def replays(store: ModelStore) -> dict[str, Path]:
    """Folders with film and log of a training, by name: of the models, and those that the package has without a model."""
    models = [*store.gallery, *store.shown]
    folders = {model.key: model.folder for model in models if model.reason is None and model.folder}
    folders |= {folder.name: folder for folder in zoo.replay_folders()}
    return {name: folder for name, folder in folders.items() if all((folder / f).is_file() for f in (films.FILE, FILE))}


def curves(path: Path) -> dict[str, list]:
    """The logged steps and every loss at them: {"step": [...], "loss_d": [...], ...}, None where a number is missing.

    Raises:
        UserError: it is no log of training.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError("too long")
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        rows = [row for row in rows if films.is_step(row.get("step"))]
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise UserError(f"{path.parent.name}/{path.name} is no log of training that can be read.") from error
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if is_loss(name)]
    rows = [row for row in rows if any(name in row for name in names)]
    if not rows:
        raise UserError(f"{path.parent.name}/{path.name} has no losses in it.")
    rows = rows[:: math.ceil(len(rows) / MAX_POINTS)]
    return {"step": [row["step"] for row in rows], **{name: [finite(row.get(name)) for row in rows] for name in names}}


def is_loss(name: str) -> bool:
    """Whether a logged number is what some network minimised, or what it estimates."""
    return name.startswith("loss") or name == "wasserstein_estimate"


def finite(value: Any) -> float | None:
    """A number for JSON with four digits, None for what is none."""
    return float(f"{value:.4g}") if isinstance(value, int | float) and math.isfinite(value) else None


def replay_answer(store: ModelStore, name: str) -> Json:
    """Film and curves of a training of `replays`.

    Raises:
        UserError: its files cannot be read.
    """
    folder = replays(store)[name]
    called = next((model.name for model in store.shown if model.key == name), name)
    film, training = films.sprite(folder / films.FILE), find_json(folder / "training.json")
    return {
        **film,
        "model": name,
        "title": str(training.get("title", name)),
        "steps": films.steps_of(training, film["count"]),
        "curves": curves(folder / FILE),
        "command": "\n".join(commands_of(training)),
        "papers": sources_of(training)["papers"],
        "code": films.snippets.film(called, folder, film["count"] - 1),
        "monitor": str(training.get("monitor") or ""),
    }


def functions(store: ModelStore) -> list[Callable]:
    """What the view's page may call."""

    @server_function(normal_lane)
    def replay(payload: Json) -> Json:
        known = list(replays(store))
        if not known:
            raise UserError("None of these models came with film and log of its training.")
        return replay_answer(store, one_of(payload.get("model"), known, known[0]))

    return [replay]
