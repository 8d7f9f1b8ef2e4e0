"""Exported models beside a page, and what its JavaScript has to know of each: `models/index.json` and a folder a model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from .. import Json
from ..models import Model, ModelStore

if TYPE_CHECKING:
    from ...export import Origin

INDEX = "index.json"


def write_models(store: ModelStore, root: Path) -> list[Json]:
    """Export every model that a store shows to `root/models`, one folder each, with an index of them.

    The models must have been loaded. One that cannot be exported is left out; its entry says why.

    Args:
        store: which models.
        root: of the page, where its `engine` lies, too; made if it is not there.

    Returns:
        What `pageBackend` takes as `models`, and `models/index.json` holds.

    Raises:
        UserError: the folder cannot be written.
        ModuleNotFoundError: see `export.export_model`.
    """
    folder = root / "models"
    folder.mkdir(parents=True, exist_ok=True)
    entries = [write_model(store, model, folder) for model in store.shown]
    (folder / INDEX).write_text(json.dumps(entries, separators=(",", ":")) + "\n", encoding="utf-8")
    return entries


def write_model(store: ModelStore, model: Model, folder: Path) -> Json:
    """Export one model to a folder of its own in `folder`; returns its entry."""
    from ...export import export_model

    pipe = store.pipe(model)
    name = re.sub(r"[^\w.-]+", "-", model.key).strip(".-")
    facts = export_model(pipe, folder / name, origin_of(model), class_weights=bool(pipe.num_classes))
    return {
        "name": model.key,
        "folder": name,
        "kind": model.kind,
        "main": model is store.models.get(model.kind),
        "saved": model.name,
        "class_name": model.class_name,
        "bytes": sum(network["bytes"] for network in facts["networks"].values()),
    }


def origin_of(model: Model) -> Origin:
    """Where a model comes from, for its export."""
    from ...export import Origin
    from ...folder import ModelFolder
    from ...privacy import public_name

    return Origin(public_name(model.name), ModelFolder(model.folder) if model.folder else None)
