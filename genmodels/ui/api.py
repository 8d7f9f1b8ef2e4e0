"""The functions that programs may call over HTTP: few, typed, bounded."""

from __future__ import annotations

import math
from collections.abc import Sequence

import gradio as gr

from ..errors import UserError
from . import bulk, classes, map, models, real_or_fake, samples
from .inputs import MAX_SEED, answered
from .models import MAP, SAMPLES, ModelStore
from .pictures import png_uri, sheet_uri

MAX_IMAGES = 64
MAX_PSI = 2.0
# What a caller of `compare` gets of each side.
SCORED = ("sheet", "scores", "labels")


def bounded(name: str, value: float, low: float, high: float) -> float:
    """`value` if it is a finite number in [low, high].

    Raises:
        UserError: it is not.
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise UserError(f"{name} must be a number from {low:g} to {high:g}.")
    return value


def counted(name: str, value: int, low: int, high: int) -> int:
    """`value` if it is a whole number in [low, high].

    Raises:
        UserError: it is not.
    """
    if bounded(name, value, low, high) != int(value):
        raise UserError(f"{name} must be a whole number from {low} to {high}.")
    return int(value)


def add_api(store: ModelStore, tabs: Sequence[str] = models.TABS) -> None:
    """Add the public endpoints of these tabs to the Blocks under construction."""
    comparer = real_or_fake.Comparer(store)

    def sample(num_images: int = 16, seed: int = 0, psi: float = 1.0, model: str = "") -> str:
        """Draw images with an unconditional generator.

        Args:
            num_images: 1 to 64.
            seed: 0 to 2147483647; the same seed gives the same images.
            psi: truncation, 0 to 2; below 1 images get more typical and more alike. Diffusion models have none.
            model: one that the Samples tab offers, such as "dcgan-cifar10-frogs"; the first that it shows by default.

        Returns:
            One contact sheet as a PNG data URI.
        """

        def run() -> str:
            count = counted("num_images", num_images, 1, MAX_IMAGES)
            arguments = counted("seed", seed, 0, MAX_SEED), count, float(bounded("psi", psi, 0, MAX_PSI))
            names = {store.models[SAMPLES].title: store.models[SAMPLES]} | {m.title: m for m in store.gallery}
            if model and model not in names:
                raise UserError(f"model must be one of {', '.join(names)}.")
            return samples.sheet_answer(store, names[model or next(iter(names))], *arguments)["sheet"]

        return answered(run)

    def write(text: str = "2026", seed: int = 0, psi: float = 1.0) -> str:
        """Write a number in generated handwriting with the conditional GAN.

        Args:
            text: 1 to 12 digits.
            seed: 0 to 2147483647; the same seed gives the same handwriting.
            psi: truncation, 0 to 2.

        Returns:
            One strip of digits as a PNG data URI.
        """

        def run() -> str:
            checked = classes.check_text(text, store.models["classes"].class_names)
            arguments = counted("seed", seed, 0, MAX_SEED), float(bounded("psi", psi, 0, MAX_PSI))
            return classes.write_answer(store, checked, *arguments)["number"]

        return answered(run)

    def decode(x: float = 0.0, y: float = 0.0) -> str:
        """Decode one point of the VAE's latent plane.

        Args:
            x: -6 to 6.
            y: -6 to 6.

        Returns:
            The image as a PNG data URI.
        """

        def run() -> str:
            z = [float(bounded(name, v, -map.MAX_LIMIT, map.MAX_LIMIT)) for name, v in (("x", x), ("y", y))]
            store.pipe(MAP)
            return png_uri(map.pictures(store, [z])[0])

        return answered(run)

    def compare(kind: str = "classes", seed: int = 0) -> dict:
        """Let the discriminator score 16 real test images and 16 generated ones.

        Args:
            kind: "classes", the conditional GAN, or "samples", the unconditional one.
            seed: 0 to 2147483647; chooses the images of both sides.

        Returns:
            "real" (null where the package has no real images that fit) and "generated", each with "sheet", a contact sheet
            as a PNG data URI, "scores", higher for more real, and "labels"; "ranked", the share of pairs of a real and a
            generated image in which the real one scores higher.
        """

        def run() -> dict:
            if kind not in real_or_fake.KINDS:
                raise UserError(f"kind must be one of {', '.join(real_or_fake.KINDS)}.")
            answer = comparer.compare(kind, counted("seed", seed, 0, MAX_SEED))
            sides = {side: answer[side] and {key: answer[side][key] for key in SCORED} for side in real_or_fake.SIDES}
            return {**sides, "ranked": answer.get("ranked")}

        return answered(run)

    def sample_many(
        kind: str = next(iter(store.models)), num_images: int = 1000, seed: int = 0, psi: float = 1.0
    ) -> str:
        """Draw up to 1,000 images at once, on a GPU where the Space has one.

        Args:
            kind: "map", the VAE, "samples", the unconditional GAN, or "classes", the conditional one, which draws its
                classes in turn; "faces", a VAE with attributes; one that the page shows.
            num_images: 1 to 1000.
            seed: 0 to 2147483647; the same seed gives the same images.
            psi: truncation, 0 to 2.

        Returns:
            One contact sheet as a PNG data URI, as square as can be, in reading order.
        """

        def run() -> str:
            if kind not in store.models:
                raise UserError(f"kind must be one of {', '.join(store.models)}.")
            arguments = counted("seed", seed, 0, MAX_SEED), float(bounded("psi", psi, 0, MAX_PSI))
            images = bulk.draw_many(store, kind, counted("num_images", num_images, 1, bulk.MAX_IMAGES), *arguments)
            return sheet_uri(images, bulk.columns_of(len(images)))

        return answered(run)

    of_tab = {"samples": sample, "classes": write, "map": decode, "real_or_fake": compare}
    for tab in filter(of_tab.get, tabs):
        gr.api(of_tab[tab], api_name=of_tab[tab].__name__)
    gr.api(sample_many, api_name="sample_many", concurrency_limit=1, concurrency_id=bulk.QUEUE)
