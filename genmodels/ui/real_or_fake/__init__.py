"""The Real or fake? tab: test images beside generated ones, the discriminator's scores, the nearest training images."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr

from ...errors import UserError
from .. import Json, game, numbers
from .. import first_page as files
from ..admission import normal_lane, slow_lane
from ..comparer import COLUMNS, COUNT, NEIGHBOURS, Comparer, title_of
from ..inputs import integer, one_of, seed_of, server_function, start_function
from ..models import CLASSES, GAN_KINDS, ModelStore
from ..widget import widget

FIRST_SEED = 0
SIDES = ("real", "generated")


def prepared_page(store: ModelStore) -> Json:
    """`first_page` with the histograms, which take longer."""
    comparer, page = Comparer(store), first_page(store)
    return {
        kind: part if "reason" in part else {**part, "histogram": comparer.histogram(kind)}
        for kind, part in page.items()
    }


def first_page(store: ModelStore) -> Json:
    """What the tab shows before any click, for each of the models that work."""
    comparer = Comparer(store)
    page: dict[str, Json] = {}
    for kind in GAN_KINDS:
        try:
            answer = comparer.compare(kind, FIRST_SEED)
            near = comparer.neighbours(kind, "generated", 0, FIRST_SEED) if answer["real"] else None
        except UserError as error:
            page[kind] = {"reason": str(error)}
        else:
            page[kind] = {"compare": answer, "neighbours": near}
            if answer["real"]:
                page[kind]["game"] = game.shown(game.FIRST + kind, game.Game(comparer).first(kind))
    if all("reason" in part for part in page.values()):
        raise UserError(" ".join(part["reason"] for part in page.values()))
    return page


def functions(store: ModelStore) -> list[Callable]:
    """What the tab's page may call."""
    comparer = Comparer(store)

    def chosen(payload: Json) -> tuple[str, int]:
        return one_of(payload.get("kind"), GAN_KINDS, CLASSES), seed_of(payload)

    start = start_function(store, "real_or_fake", first_page)

    @server_function(normal_lane)
    def compare(payload: Json) -> Json:
        return comparer.compare(*chosen(payload))

    @server_function(slow_lane)
    def histogram(payload: Json) -> Json:
        return comparer.histogram(chosen(payload)[0])

    @server_function(normal_lane)
    def neighbours(payload: Json) -> Json:
        kind, seed = chosen(payload)
        side = one_of(payload.get("side"), SIDES, "generated")
        return comparer.neighbours(kind, side, integer(payload.get("index"), 0, COUNT - 1, 0), seed)

    return [start, compare, histogram, neighbours, *game.functions(game.Game(comparer))]


def build(store: ModelStore) -> gr.HTML:
    """The tab's contents."""
    models = {kind: store.models[kind] for kind in GAN_KINDS}
    built_in = all(model.built_in for model in models.values())
    page = {
        "kinds": [
            {"kind": kind, "title": title_of(model), "built_in": model.built_in, "sources": model.sources}
            for kind, model in models.items()
        ],
        "columns": COLUMNS,
        "neighbours": NEIGHBOURS,
        "numbers": numbers.page(store),
        "first": files.read("real_or_fake") if built_in else None,
    }
    return widget("real_or_fake", "Real or fake?", page, functions(store), parts=["game", "numbers"], here=store.here)
