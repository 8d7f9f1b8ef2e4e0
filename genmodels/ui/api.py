"""The functions that programs may call over HTTP: few, typed, bounded."""

from __future__ import annotations

import math

import gradio as gr

from ..errors import UserError
from . import classes, map, samples
from .inputs import MAX_SEED
from .models import MAP, ModelStore, NotReadyError
from .pictures import png_uri

MAX_IMAGES = 64
MAX_PSI = 2.0


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


def answered(function, *arguments):
    """The function's result; what a caller did wrong, or a model that is still loading, as `gr.Error`."""
    try:
        return function(*arguments)
    except NotReadyError:
        raise gr.Error("The models are still loading: try again in a few seconds.", print_exception=False) from None
    except UserError as error:
        raise gr.Error(str(error), print_exception=False) from None


def add_api(store: ModelStore) -> None:
    """Add the public endpoints to the Blocks under construction."""

    def sample(num_images: int = 16, seed: int = 0, psi: float = 1.0) -> str:
        """Draw images with the unconditional GAN.

        Args:
            num_images: 1 to 64.
            seed: 0 to 2147483647; the same seed gives the same images.
            psi: truncation, 0 to 2; below 1 images get more typical and more alike.

        Returns:
            One contact sheet as a PNG data URI.
        """

        def run() -> str:
            count = counted("num_images", num_images, 1, MAX_IMAGES)
            arguments = counted("seed", seed, 0, MAX_SEED), count, float(bounded("psi", psi, 0, MAX_PSI))
            return samples.sheet_answer(store, *arguments)["sheet"]

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

    for function in (sample, write, decode):
        gr.api(function, api_name=function.__name__)
