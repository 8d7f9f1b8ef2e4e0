"""The Training tab: a GAN that is trained while one watches, and how the other models were."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from . import first_page as files
from . import live, replay
from .inputs import MAX_SEED
from .models import ModelStore
from .widget import widget


def functions(store: ModelStore) -> list[Callable]:
    """What the tab's page may call."""
    return [*live.functions(), *replay.functions(store)]


def build(store: ModelStore) -> gr.HTML:
    """The tab's contents."""
    known = replay.replays(store)
    views = [["live", "Live"], *([["replay", "Replay"]] if known else [])]
    page = {
        "views": views,
        "max_seed": MAX_SEED,
        "live": {
            **files.read("training"),
            "recipes": [
                {"name": name, "settings": live.settings_of({"settings": r})} for name, r in live.RECIPES.items()
            ],
            "rates": live.RATES,
            "max_discriminator_steps": live.MAX_DISCRIMINATOR_STEPS,
        },
        "replays": {name: model.title for name, model in known.items()},
    }
    return widget("training", "Training", page, functions(store), parts=["live", *(["replay"] if known else [])])
