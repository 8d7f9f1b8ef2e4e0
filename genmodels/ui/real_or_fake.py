"""The Real or fake? tab: test images beside generated ones, the discriminator's scores, the nearest training images."""

from __future__ import annotations

from collections.abc import Callable

import gradio as gr
import numpy as np

from ..errors import UserError
from . import first_page as files
from . import game, numbers, snippets
from .admission import patient, unhurried
from .inputs import MAX_SEED, integer, one_of, server_function
from .models import CLASSES, KINDS_SHOWN, Model, ModelStore, RealImages
from .pictures import sheet_uri, to_bytes
from .widget import widget

KINDS = KINDS_SHOWN["real_or_fake"]
COUNT, COLUMNS = 16, 4
NEIGHBOURS = 5
# Images of each side in the histograms of scores, and the seed of the generated ones: they are about the model, not a click.
SCORED, SCORED_SEED = 300, 1
FIRST_SEED = 0
SIDES = ("real", "generated")


class Comparer:
    """Reals, fakes, scores and neighbours of the two GANs.

    Args:
        store: where the models come from.
    """

    def __init__(self, store: ModelStore):
        self.store = store
        self._histograms: dict[str, dict] = {}

    def real(self, kind: str) -> RealImages | None:
        """The real images beside a model, None if there are none that fit."""
        self.store.pipe(kind)
        return self.store.real_images(kind)

    def start_of(self, real: RealImages, seed: int) -> int:
        """Which run of test images a seed stands for."""
        return (seed * COUNT) % max(1, len(real.test) - COUNT + 1)

    def generated(self, kind: str, seed: int, count: int = COUNT) -> tuple[np.ndarray, object]:
        """(count, H, W, C) float32 images of a seed and their labels (None for a model without classes)."""
        output = self.store.pipe(kind)(num_images=count, seed=seed, output_type="np")
        return output.images, output.class_labels

    def scores(self, kind: str, images: np.ndarray, labels) -> list[float]:
        """The discriminator's scores."""
        pipe = self.store.pipe(kind)
        scores = pipe.discriminate(images, labels) if kind == CLASSES else pipe.discriminate(images)
        return [round(float(s), 3) for s in np.nan_to_num(scores.numpy())]

    def compare(self, kind: str, seed: int, paint: Callable[[np.ndarray, int], object] = sheet_uri) -> dict:
        """COUNT real and COUNT generated images with their scores; `paint` makes a sheet of images in so many columns."""
        model, real = self.judged(kind), self.real(kind)
        images, labels = self.generated(kind, seed)
        answer = {
            "kind": kind,
            "seed": seed,
            "size": model.sample_size,
            "generated": {
                "sheet": paint(to_bytes(images), COLUMNS),
                "scores": self.scores(kind, images, labels),
                "labels": None if labels is None else [model.class_names[int(i)] for i in labels],
            },
            "real": None,
        }
        start = 0
        if real is not None:
            start = self.start_of(real, seed)
            chosen = slice(start, start + COUNT)
            real_labels = real.test_labels[chosen].tolist()
            answer["real"] = {
                "sheet": paint(real.test[chosen], COLUMNS),
                "scores": self.scores(kind, real.test[chosen], real_labels),
                "labels": [real.class_names[i] for i in real_labels] if kind == CLASSES else None,
                "title": real.title,
                "unchanged": real.unchanged,
                "train": len(real.train),
            }
            answer["ranked"] = ranked(answer["real"]["scores"], answer["generated"]["scores"])
        answer["code"] = snippets.discriminate(model, real, COUNT, start, seed)
        return answer

    def histogram(self, kind: str) -> dict:
        """Scores of SCORED test and SCORED generated images, and their Python; made once for each model.

        Raises:
            NotReadyError, UserError: see `ModelStore.pipe`, or it was saved without its discriminator.
        """
        if kind not in self._histograms:
            model, real = self.judged(kind), self.real(kind)
            answer = {"kind": kind, "real": None}
            answer["generated"] = self.scores(kind, *self.generated(kind, SCORED_SEED, SCORED))
            if real is not None:
                chosen = np.linspace(0, len(real.test) - 1, min(SCORED, len(real.test))).astype(int)
                answer["real"] = self.scores(kind, real.test[chosen], real.test_labels[chosen].tolist())
                answer["ranked"] = ranked(answer["real"], answer["generated"])
            answer["code"] = snippets.histogram(model, real, SCORED, SCORED_SEED)
            self._histograms[kind] = answer
        return self._histograms[kind]

    def judged(self, kind: str) -> Model:
        """The model of a kind.

        Raises:
            NotReadyError, UserError: see `ModelStore.pipe`, or it was saved without its discriminator.
        """
        model: Model = self.store.models[kind]
        if getattr(self.store.pipe(kind), "discriminator", None) is None:
            raise UserError(f"{model.title!r} was saved without its discriminator, so it cannot score images.")
        return model

    def neighbours(self, kind: str, side: str, index: int, seed: int) -> dict:
        """The training images nearest to one image of `compare`."""
        real = self.store.real_images_beside(kind)
        model = self.store.models[kind]
        if side == "real":
            index = min(index, len(real.test) - 1)
            number = self.start_of(real, seed) + index
            image, code = real.test[number], snippets.nearest(model, real, number, NEIGHBOURS)
        else:
            image = to_bytes(self.generated(kind, seed)[0])[index]
            code = snippets.nearest(model, real, index, NEIGHBOURS, seed)
        return {"side": side, "index": index, "code": code, **self.nearest(kind, real, image)}

    def nearest(
        self,
        kind: str,
        real: RealImages,
        image: np.ndarray,
        count: int = NEIGHBOURS,
        paint: Callable[[np.ndarray, int], object] = sheet_uri,
    ) -> dict:
        """The training images nearest to one (H, W, C) uint8 image, which comes first on the sheet; see `compare`."""
        (found,), (distances,) = real.neighbours.nearest(image[None], count)
        named = kind == CLASSES
        return {
            "sheet": paint(np.concatenate([image[None], real.train[found]]), count + 1),
            "distances": [round(float(d), 3) for d in distances],
            "labels": [real.class_names[real.train_labels[i]] for i in found] if named else None,
            "total": len(real.train),
        }


def ranked(real: list[float], generated: list[float]) -> float:
    """The share of pairs of a real and a generated image in which the real one scores higher; of equals one half."""
    differences = np.subtract.outer(real, generated)
    return round(float((differences > 0).mean() + (differences == 0).mean() / 2), 3)


def prepared_page(store: ModelStore) -> dict:
    """`first_page` with the histograms, for which it else would wait."""
    comparer, page = Comparer(store), first_page(store)
    return {
        kind: part if "reason" in part else {**part, "histogram": comparer.histogram(kind)}
        for kind, part in page.items()
    }


def first_page(store: ModelStore) -> dict:
    """What the tab shows before any click, for each of the models that work."""
    comparer = Comparer(store)
    page = {}
    for kind in KINDS:
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

    def chosen(payload: dict) -> tuple[str, int]:
        return one_of(payload.get("kind"), KINDS, CLASSES), integer(payload.get("seed"), 0, MAX_SEED, 0)

    @server_function
    @unhurried
    def start(payload: dict) -> dict:
        return store.first_page("real_or_fake", first_page)

    @server_function
    @unhurried
    def compare(payload: dict) -> dict:
        return comparer.compare(*chosen(payload))

    @server_function
    @patient
    def histogram(payload: dict) -> dict:
        return comparer.histogram(chosen(payload)[0])

    @server_function
    @unhurried
    def neighbours(payload: dict) -> dict:
        kind, seed = chosen(payload)
        side = one_of(payload.get("side"), SIDES, "generated")
        return comparer.neighbours(kind, side, integer(payload.get("index"), 0, COUNT - 1, 0), seed)

    return [start, compare, histogram, neighbours, *game.functions(game.Game(comparer))]


def build(store: ModelStore) -> gr.HTML:
    """The tab's contents."""
    models = {kind: store.models[kind] for kind in KINDS}
    built_in = all(model.built_in for model in models.values())
    page = {
        "kinds": [
            {"kind": kind, "title": title_of(model), "built_in": model.built_in, "sources": model.sources}
            for kind, model in models.items()
        ],
        "columns": COLUMNS,
        "neighbours": NEIGHBOURS,
        "numbers": numbers.page(store),
        "max_seed": MAX_SEED,
        "first": files.read("real_or_fake") if built_in else None,
    }
    return widget("real_or_fake", "Real or fake?", page, functions(store), parts=["game", "numbers"])


def title_of(model: Model) -> str:
    """What the button for a model says."""
    if model.built_in:
        return "Digits" if model.kind == CLASSES else "Frogs"
    return model.name.rstrip("/").rsplit("/", 1)[-1]
