"""What comes from a visitor's page, made safe: server functions are called outside the queue and with anything at all."""

from __future__ import annotations

import base64
import binascii
import functools
import logging
import math
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from .. import images
from ..errors import UserError
from . import Json
from .admission import AbandonedError, InLane, Lane, normal_lane
from .models import ModelStore, NotReadyError

logger = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")

MAX_PAGE_SEED = 2**31 - 1
# Truncation: what the pipelines take, and how much of it a slider of the page offers.
MAX_PSI, MAX_SLIDER_PSI = 2.0, 1.5
# Guidance that a slider offers: more burns images out.
MAX_SLIDER_GUIDANCE = 5.0
# Characters of an image that comes as text: photos of 48 megapixels have 10 to 20 MB.
MAX_IMAGE_TEXT = 32 * 2**20
# Pixels of a JPEG, which is decoded at a part of its size, and of other images, which are not.
MAX_JPEG_PIXELS, MAX_IMAGE_PIXELS = 2**26, 2**25
# base64's alphabet in URLs, and the usual one.
URL_SAFE = str.maketrans("-_", "+/")
# What strangers may have decoded: formats of cameras and pages, none of the rare ones, whose decoders are less looked at.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")


def number(value: Any, low: float, high: float, default: float) -> float:
    """`value` as a float in [low, high]; `default` for what is no finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return default
    try:
        value = float(value[:32] if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return default
    return min(max(value, low), high) if math.isfinite(value) else default


def integer(value: Any, low: int, high: int, default: int) -> int:
    """`value` as an int in [low, high]; `default` for what is no finite number."""
    return int(number(value, low, high, default))


def seed_of(payload: Json, default: int = 0) -> int:
    """The seed that the page sends."""
    return integer(payload.get("seed"), 0, MAX_PAGE_SEED, default)


def psi_of(payload: Json) -> float:
    """The truncation that the page sends, rounded as the page and its Python show it."""
    return round(number(payload.get("psi"), 0.0, MAX_SLIDER_PSI, 1.0), 2)


def guidance_of(payload: Json) -> float:
    """The guidance that the page sends, rounded as the page and its Python show it."""
    return round(number(payload.get("guidance"), 0.0, MAX_SLIDER_GUIDANCE, 1.0), 2)


def one_of(value: Any, options: tuple | list, default: Any) -> Any:
    """The option that equals `value`, itself: 16 for 16.0. `default` if there is none."""
    return default if isinstance(value, bool) else next((option for option in options if option == value), default)


def point(value: Any, limit: float) -> list[float]:
    """`value` as a point of the plane, [x, y], both in [-limit, limit]; 0 for what is no finite number.

    Rounded to the two decimals that the page and its Python show, so that all three mean the same image.
    """
    pair = list(value[:2]) if isinstance(value, list | tuple) else []
    return [round(number(v, -limit, limit, 0.0), 2) for v in [*pair, 0.0, 0.0][:2]]


def read_image(value: Any, size: int, channels: int) -> np.ndarray:
    """An image file that came as text, in the shape of a model.

    Args:
        value: base64 of a PNG, JPEG, WebP, AVIF, GIF, BMP or TIFF file, maybe as a data URI; line breaks and the alphabet of
            URLs are fine.
        size, channels: of the model's images. What is not square is cut to the square in its middle.

    Returns:
        (size, size, channels) uint8; upright as EXIF says; transparent parts are black, or with 4 channels kept.

    Raises:
        UserError: it is no such image, or too large.
    """
    listed = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
    if not isinstance(value, str) or not value:
        raise UserError(f"image must be a {listed} file as base64, or as a data URI.")
    if len(value) > MAX_IMAGE_TEXT:
        raise UserError(f"The image is too large: its file may have {MAX_IMAGE_TEXT * 3 // 4 // 2**20} MiB.")
    text = value.split(",", 1)[-1] if value.startswith("data:") else value
    text = "".join(text.split()).rstrip("=")
    try:
        padded = text.translate(URL_SAFE).encode("ascii", "replace") + b"=" * (-len(text) % 4)
        data = base64.b64decode(padded, validate=True)
        # The header says how large the pixels are before any is read.
        header = images.open_image(data, "image", FORMATS)
        most = MAX_JPEG_PIXELS if header.format in ("JPEG", "MPO") else MAX_IMAGE_PIXELS
        if header.width * header.height > most:
            raise UserError(f"The image is too large: {header.width} by {header.height} pixels, of {most:,} at most.")
        image = images.to_8_bits(images.read_image(data, "image", size, FORMATS), channels)
    except (binascii.Error, images.UnreadableImageError) as error:
        raise UserError(f"image cannot be read: it must be a whole {listed} file as base64.") from error
    return np.array(images.make_square(image, size, "crop")).reshape(size, size, channels)


def answered(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """The function's result; what a caller did wrong, or a model that is still loading, as `gr.Error`."""
    # A view's process beside the page does without.
    import gradio as gr

    try:
        return function(*arguments, **options)
    except NotReadyError:
        raise gr.Error("The models are still loading: try again in a few seconds.", print_exception=False) from None
    except UserError as error:
        raise gr.Error(str(error), print_exception=False) from None


def server_function(
    lane: Lane | Callable[[Any], Lane],
) -> Callable[[Callable[[Json], Json]], Callable[[Any], Json]]:
    """Make `function(payload)` callable from the page: it gets a dict and never raises.

    The answer has "status": "ok", "loading" (ask again soon) or "error" (with "message"). Where the server is busy, it answers
    "busy" for the function; see `front_door`.

    Args:
        lane: in which it runs, or what chooses one by the payload.
    """

    def decorated(function: Callable[[Json], Json]) -> Callable[[Any], Json]:
        @functools.wraps(function)
        def answer(payload: Any = None) -> Json:
            try:
                return {"status": "ok", **function(payload if isinstance(payload, dict) else {})}
            except NotReadyError:
                return {"status": "loading"}
            except AbandonedError:
                raise
            except UserError as error:
                return {"status": "error", "message": str(error)}
            except Exception:
                logger.exception("%s failed", function.__name__)
                return {"status": "error", "message": "That did not work; the server's log says why."}

        cast(InLane, answer).lane = lane
        return answer

    return decorated


def start_function(store: ModelStore, tab: str, make: Callable[[ModelStore], Json]) -> Callable[[Any], Json]:
    """What a tab's page calls for its first pictures, where none are prepared."""

    @server_function(normal_lane)
    def start(payload: Json) -> Json:
        return store.first_page(tab, make)

    return start


def read_bytes(value: Any, *shape: int) -> np.ndarray | None:
    """An array of uint8 whose bytes came in base64, as the page sends what it has drawn; None for anything else."""
    count = math.prod(shape)
    if not isinstance(value, str) or len(value) > 4 * math.ceil(count / 3):
        return None
    try:
        data = base64.b64decode(value, validate=True)
    except ValueError:
        return None
    return np.frombuffer(data, np.uint8).reshape(shape) if len(data) == count else None
