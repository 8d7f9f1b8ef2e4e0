"""Test images beside generated ones: the discriminator's scores and the nearest training images, for several views."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..errors import UserError
from . import Json, snippets
from .models import CLASSES, Model, ModelStore, RealImages
from .pictures import sheet_uri, to_bytes

if TYPE_CHECKING:
    import torch

COUNT, COLUMNS = 16, 4
NEIGHBOURS = 5
# Images of each side in the histograms of scores, and the seed of the generated ones: they are about the model, not a click.
SCORED, SCORED_SEED = 300, 1
# Makes a sheet of (N, H, W, C) uint8 images in so many columns: a PNG data URI, or a file for callers of the API.
Paint = Callable[[np.ndarray, int], object]


class Comparer:
    """Reals, fakes, scores and neighbours of the two GANs.

    Args:
        store: where the models come from.
    """

    def __init__(self, store: ModelStore):
        self.store = store
        self._histograms: dict[str, Json] = {}

    def real(self, kind: str) -> RealImages | None:
        """The real images beside a model, None if there are none that fit."""
        self.store.pipe(kind)
        return self.store.real_images(kind)

    def start_of(self, real: RealImages, seed: int) -> int:
        """Which run of test images a seed stands for."""
        return (seed * COUNT) % max(1, len(real.test) - COUNT + 1)

    def generated(self, kind: str, seed: int, count: int = COUNT) -> tuple[np.ndarray, torch.Tensor | None]:
        """(count, H, W, C) float32 images of a seed and their labels (None for a model without classes)."""
        output = self.store.pipe(kind)(num_images=count, seed=seed, output_type="np")
        return output.images, output.class_labels

    def scores(self, kind: str, images: np.ndarray, labels: torch.Tensor | list[int] | list[str] | None) -> list[float]:
        """The discriminator's scores."""
        pipe = self.store.pipe(kind)
        labelled = self.store.models[kind].labelled
        scores = pipe.discriminate(images, labels) if labelled else pipe.discriminate(images)
        return [round(float(s), 3) for s in np.nan_to_num(scores.numpy())]

    def compare(self, kind: str, seed: int, paint: Paint = sheet_uri) -> Json:
        """COUNT real and COUNT generated images with their scores."""
        model, real = self.judged(kind), self.real(kind)
        images, labels = self.generated(kind, seed)
        answer: Json = {
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
                "labels": [real.class_names[i] for i in real_labels] if model.labelled else None,
                "title": real.title,
                "unchanged": real.unchanged,
                "train": len(real.train),
            }
            answer["ranked"] = ranked(answer["real"]["scores"], answer["generated"]["scores"])
        answer["code"] = snippets.discriminate(model, real, COUNT, start, seed)
        return answer

    def histogram(self, kind: str) -> Json:
        """Scores of SCORED test and SCORED generated images, and their Python; made once for each model.

        Raises:
            NotReadyError, UserError: see `ModelStore.pipe`, or it was saved without its discriminator.
        """
        if kind not in self._histograms:
            model, real = self.judged(kind), self.real(kind)
            answer: Json = {"kind": kind, "real": None}
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

    def neighbours(self, kind: str, side: str, index: int, seed: int) -> Json:
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
        paint: Paint = sheet_uri,
    ) -> Json:
        """The training images nearest to one (H, W, C) uint8 image, which comes first on the sheet; see `compare`."""
        (found,), (distances,) = real.nearest(image[None], count)
        named = self.store.models[kind].labelled
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


def title_of(model: Model) -> str:
    """What the button for a model says."""
    if model.built_in:
        return "Digits" if model.kind == CLASSES else "Emoji"
    return model.name.rstrip("/").rsplit("/", 1)[-1]
