"""Pictures in: from the bytes of a file to pixels."""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

from .errors import UserError

FITS = ("crop", "pad", "stretch")


def read_image(data: bytes, name: str) -> Image.Image:
    """The picture in a file's bytes, loaded.

    Raises:
        UserError: it cannot be read; the message names `name`.
    """
    try:
        image = Image.open(io.BytesIO(data))
        image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{name} cannot be read as an image ({reason}): repair or remove it.") from error
    return image


def make_square(image: Image.Image, size: int, fit: str) -> Image.Image:
    """An image as size x size pixels: its middle cropped, padded with black, or stretched."""
    if fit == "stretch":
        return image.resize((size, size), Image.Resampling.LANCZOS)
    side = (min if fit == "crop" else max)(image.size)
    scaled = image.resize(tuple(max(1, round(length * size / side)) for length in image.size), Image.Resampling.LANCZOS)
    left, top = (scaled.width - size) // 2, (scaled.height - size) // 2
    # Cropping beyond the border pads with black.
    return scaled.crop((left, top, left + size, top + size))
