"""Arrays of images to what a page can paint: PNG data URIs and raw bytes."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

PNG_PREFIX = "data:image/png;base64,"
# Frames of an interpolation, and how many of them lie between two pictures of the strip that is shown of it.
FRAMES, FRAMES_PER_STEP = 25, 3
STRIP = (FRAMES - 1) // FRAMES_PER_STEP + 1


def opaque(images: np.ndarray) -> np.ndarray:
    """(N, H, W, C) images, those with opacity (C = 4) laid on white, (N, H, W, 3); floats in [0, 1] or uint8."""
    if images.shape[-1] != 4:
        return images
    white = 255 if images.dtype == np.uint8 else 1
    share = images[..., 3:].astype(np.float32) / white
    return (images[..., :3] * share + white * (1 - share)).astype(images.dtype)


def to_bytes(images: np.ndarray) -> np.ndarray:
    """(N, H, W, C) floats in [0, 1], as pipelines return them for "np", to uint8."""
    return (images * 255).round().clip(0, 255).astype(np.uint8)


def sheet(images: np.ndarray, columns: int) -> np.ndarray:
    """(N, H, W, C) images as one (rows * H, columns * W, C) contact sheet in reading order; missing cells are 0."""
    n, height, width, channels = images.shape
    rows = -(-n // columns)
    padded = np.zeros((rows * columns, height, width, channels), images.dtype)
    padded[:n] = images
    grid = padded.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, channels)


def png_uri(image: np.ndarray) -> str:
    """A (H, W, C) uint8 image as a PNG data URI."""
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG", compress_level=6)
    return PNG_PREFIX + base64.b64encode(buffer.getvalue()).decode()


def sheet_uri(images: np.ndarray, columns: int) -> str:
    """A contact sheet as a PNG data URI; see `sheet`."""
    return png_uri(sheet(images, columns))


def raw(image: np.ndarray) -> str:
    """The bytes of one (H, W, C) uint8 image, grey or RGB, in base64: quicker than a PNG for what follows the pointer."""
    return base64.b64encode(opaque(image[None]).tobytes()).decode()
