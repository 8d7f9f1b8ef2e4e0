"""The Training tab: a GAN that is trained while one watches, how the other models were, and what they know by heart."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from .. import live, memory, replay
from ..comparer import title_of
from ..models import GAN_KINDS, ModelStore
from ..widget import widget


def functions(store: ModelStore) -> list[Callable]:
    """What the tab's page may call."""
    return [*live.functions(), *replay.functions(store), *memory.functions(store)]


def build(store: ModelStore) -> gr.HTML:
    """The tab's contents."""
    known = replay.replays(store)
    # Beside other images than its own a model that has learned by heart would look as if it had not.
    compared = [kind for kind in GAN_KINDS if kind in store.models and store.models[kind].sample is not None]
    kinds = [[kind, title_of(store.models[kind])] for kind in compared]
    views = [
        ["live", "Live"],
        *([["replay", "Replay"]] if known else []),
        *([["memory", "By heart?"]] if kinds else []),
    ]
    page = {
        "views": views,
        "kinds": kinds,
        "sources": {kind: store.models[kind].sources for kind, _ in kinds},
        "live": live.page(),
        "replays": {name: name.rstrip("/").rsplit("/", 1)[-1] for name in known},
    }
    return widget("training", "Training", page, functions(store), parts=[name for name, _ in views], here=store.here)
