"""Pictures in: from the bytes of a file to pixels of 8 bits.

Training, push-dataset, evaluation, the page and the pipelines all read pictures here, so that one file is the same picture
everywhere. Of an animation (GIF, APNG, WebP) or of a file of several pages (TIFF) it is the first.
"""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageColor, UnidentifiedImageError

from .errors import UserError

FITS = ("crop", "pad", "stretch")
MODES = {1: "L", 3: "RGB", 4: "RGBA"}
BLACK = (0, 0, 0)
GREY_MODES = ("1", "L", "LA", "La", "I", "F")
# Numbers that may mean white, each with the largest that is still taken for it. Filters overshoot; what is little more than
# 1 cannot be meant for 255; and integers between those of 16 bits and these here would all be black.
FLOAT_RANGES = ((1, 2), (255, 287), (65_535, 73_727))
INTEGER_RANGES = ((255, 255), (65_535, 65_535), (2**31 - 1, 2**31 - 1), (2**32 - 1, 2**32 - 1))
DARK_INTEGERS = range(65_536, 2**23)
BITS_PER_SAMPLE, SAMPLE_FORMAT, ORIENTATION = 258, 339, 274
# Pillow can only name these, not decode them, or runs another program to do so, which a file may then command.
UNREADABLE = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
# EXIF's numbers for how a picture lies, and what puts it upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
WITH_ORIENTATION = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
# How many times longer than wide an image may be before it is cropped ahead of its resizing, not after it.
LONG = 4


@functools.cache
def readable_formats() -> tuple[str, ...]:
    """The formats that the installed Pillow decodes by itself."""
    Image.init()
    return tuple(name for name in Image.OPEN if name not in UNREADABLE)


class UnreadableImageError(UserError):
    """A file that is no whole picture, or whose numbers mean no brightness."""


def open_image(data: bytes, name: str, formats: tuple[str, ...] | None = None) -> Image.Image:
    """The picture in a file's bytes as far as its header tells: format, size and mode, no pixels yet.

    Args:
        data: the file's.
        name: of the file, for messages.
        formats: those of Pillow that may be tried; by default all that it decodes by itself.

    Raises:
        UnreadableImageError: there is no picture, or one of more pixels than Pillow takes, 179 million.
    """
    if not data:
        raise UnreadableImageError(f"{name} cannot be read as an image (empty file): repair or remove it.")
    # To try one format after the other takes a quarter of the time that a digit does.
    likely = "PNG" if data.startswith(b"\x89PNG") else "JPEG" if data.startswith(b"\xff\xd8\xff") else None
    if likely and (formats is None or likely in formats):
        formats = (likely,)
    formats = formats or readable_formats()
    with reading(name), warnings.catch_warnings():
        # Pillow warns of half of what it refuses.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(data), formats=formats)


def read_image(data: bytes, name: str, near: int | None = None, formats: tuple[str, ...] | None = None) -> Image.Image:
    """The picture in a file's bytes, decoded, and upright as its EXIF says.

    Args:
        data, name, formats: as in `open_image`.
        near: to how many pixels its sides will be resized. A JPEG is then decoded at 1/2, 1/4 or 1/8 of its size, as long as
            both sides keep twice as many.

    Raises:
        UnreadableImageError: it is empty, damaged, no picture, or too large.
    """
    image = open_image(data, name, formats)
    with reading(name):
        width, height = image.size
        if near is not None and image.format in ("JPEG", "MPO"):
            image.draft(None, (2 * near, 2 * near))
        image.load()
        if (parts := round(width / image.width)) > 1:
            # The last column and row may stand for fewer pixels than the others, and would move these.
            image = image.crop((0, 0, width // parts, height // parts))
    return upright(image)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn what reading a picture raises into `UnreadableImageError`: damaged files fail in as many ways as decoders."""
    try:
        yield
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise UnreadableImageError(f"{name} has more than {limit:,} pixels: make it smaller or remove it.") from error
    except UnidentifiedImageError as error:
        # Pillow would name the object in memory.
        raise UnreadableImageError(
            f"{name} cannot be read as an image (unknown format): repair or remove it."
        ) from error
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UnreadableImageError(f"{name} cannot be read as an image ({reason}): repair or remove it.") from error


def upright(image: Image.Image) -> Image.Image:
    """An image turned as its EXIF says; as it is where that says nothing or is damaged."""
    # To ask each image takes half as long as decoding a digit.
    if not any(key in image.info for key in WITH_ORIENTATION):
        return image
    try:
        turn = UPRIGHT.get(image.getexif().get(ORIENTATION, 1))
    except Exception:
        turn = None
    if turn is None:
        return image
    turned = image.transpose(turn)
    # Whoever asks again must not turn it again.
    turned.info = {key: value for key, value in image.info.items() if key not in WITH_ORIENTATION}
    return turned


def has_colour(image: Image.Image, background: tuple[int, int, int] = BLACK) -> bool:
    """Whether an image, decoded or not, is of a mode with colour, or lets a coloured background through."""
    grey = image.mode in GREY_MODES or image.mode.startswith("I;16")
    return not grey or (len(set(background)) > 1 and image.has_transparency_data)


def white_of(image: Image.Image, name: str = "The image") -> int | None:
    """The number that is white in an image of integers or floats beyond 8 bits; None for all others. 0 is black.

    Of files that say that they have 16 bits it is their largest number: 65,535, with a sign 32,767. Of other integers it is
    the first of 255, 65,535, 2,147,483,647 and 4,294,967,295 that none exceeds; of floats the first of 1, 255 and 65,535,
    where numbers up to 2, or an eighth more than the others, are taken for overshoot.

    Raises:
        UnreadableImageError: the numbers are not finite, below zero by more than overshoot, or in none of these ranges.
    """
    if image.mode.startswith("I;16"):
        return 65_535
    if image.mode not in ("I", "F"):
        return None
    numbers = numbers_of(image)
    low, high = float(numbers.min()), float(numbers.max())
    if not np.isfinite(numbers).all():
        raise UnreadableImageError(f"{name} holds numbers that are not finite: replace them or remove it.")
    if image.mode == "F":
        white = next((white for white, largest in FLOAT_RANGES if high <= largest), None)
    elif image.format in ("PNG", "PPM"):
        white = 65_535
    elif getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE) == (16,):
        white = 32_767
    else:
        white = next(white for white, largest in INTEGER_RANGES if high <= largest)
    overshoot = white / 8 if white and image.mode == "F" else 0
    if white is None or low < -overshoot or (image.mode == "I" and int(high) in DARK_INTEGERS):
        raise UnreadableImageError(
            f"{name} holds numbers from {low:g} to {high:g}: rescale them to 0 to 1, 0 to 255 or 0 to 65,535, or remove it."
        )
    return white


def numbers_of(image: Image.Image) -> np.ndarray:
    """The numbers (H, W) of an image of integers or floats beyond 8 bits."""
    numbers = np.asarray(image)
    tags = getattr(image, "tag_v2", {})
    # Pillow has no unsigned integers of 32 bits.
    unsigned = image.mode == "I" and tags.get(SAMPLE_FORMAT) == (1,) and tags.get(BITS_PER_SAMPLE) == (32,)
    return numbers.view(np.uint32) if unsigned else numbers


def to_8_bits(
    image: Image.Image,
    num_channels: int,
    background: tuple[int, int, int] = BLACK,
    white: int | None = None,
    name: str = "The image",
) -> Image.Image:
    """An image of any mode as one of 8 bits: mode L, RGB or RGBA for 1, 3 or 4 channels.

    Args:
        image: decoded, and upright.
        num_channels: without 4 of them, transparent parts show `background`: alpha a of 255 gives a/255 of the colour and
            the rest of the background, in sRGB numbers. With 4, wholly transparent pixels lose the colour that nobody saw.
        background: red, green and blue, 0 to 255.
        white: of numbers beyond 8 bits, what is white at least; by default what `white_of` says.
        name: of the file, for messages.

    Raises:
        UnreadableImageError: see `white_of`.
    """
    own_white, key = white_of(image, name), image.info.get("transparency")
    if own_white is not None:
        numbers = numbers_of(image)
        share = np.clip(numbers / max(own_white, white or 0), 0, 1)
        image = Image.fromarray(np.rint(share * 255).astype(np.uint8))
        if isinstance(key, int):
            image.putalpha(Image.fromarray(np.where(numbers == key, 0, 255).astype(np.uint8)))
    elif image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:
        # Of 16 bits Pillow keeps the upper 8, but not of the colour that is transparent.
        image = image.copy()
        image.info["transparency"] = tuple(value >> 8 for value in key)
    if image.mode in ("La", "LAB"):
        # From here Pillow goes no other way.
        image = image.convert("LA" if image.mode == "La" else "RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if num_channels == 4:
            pixels = np.array(image)
            pixels[pixels[..., 3] == 0] = 0
            return Image.fromarray(pixels)
        flat = Image.new("RGB", image.size, background)
        flat.paste(image, mask=image)
        image = flat
    mode = MODES[num_channels]
    return image if image.mode == mode else image.convert(mode)


def make_square(image: Image.Image, size: int, fit: str, background: tuple[int, int, int] = BLACK) -> Image.Image:
    """An image of 8 bits as size x size pixels: its middle cropped, padded with the background, or stretched.

    With alpha it is padded with nothing.
    """
    if fit == "stretch":
        return image.resize((size, size), Image.Resampling.LANCZOS)
    side = (min if fit == "crop" else max)(image.size)
    if fit == "crop" and max(image.size) > LONG * side:
        # Resized whole, a sliver of 1 x 6000 pixels would have 64 x 384,000 on the way.
        left, top = (image.width - side) // 2, (image.height - side) // 2
        return image.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
    width, height = (max(1, round(length * size / side)) for length in image.size)
    scaled = image.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (scaled.width - size) // 2, (scaled.height - size) // 2
    if fit == "crop":
        return scaled.crop((left, top, left + size, top + size))
    colour = Image.new("RGB", (1, 1), background).convert(image.mode).getpixel((0, 0))
    square = Image.new(image.mode, (size, size), 0 if image.mode == "RGBA" else colour)
    square.paste(scaled, (-left, -top))
    return square


def parse_colour(text: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a colour such as "white" or "#ff8000".

    Raises:
        UserError: it is none.
    """
    try:
        red, green, blue, *alpha = ImageColor.getrgb(text)
    except (ValueError, AttributeError, TypeError):
        alpha = [0]
    if alpha:
        raise UserError(f"background must be black, white or a colour such as #ff8000, got {text!r}.")
    return red, green, blue
