"""`pixel_values`, float32 (N, C, H, W) in [-1, 1], from and to the images that users hold: PIL, arrays, tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image

from .images import to_8_bits, upright

OUTPUT_TYPES = ("pil", "pt", "np")
Images = Image.Image | Sequence[Image.Image] | torch.Tensor | np.ndarray
# What a pipeline returns for "pil", "pt" and "np".
OutputImages = list[Image.Image] | torch.Tensor | np.ndarray


def to_uint8(pixel_values: torch.Tensor) -> np.ndarray:
    """`pixel_values` (N, C, H, W) in [-1, 1] to (N, H, W, C) uint8, rounded."""
    scaled = ((pixel_values.detach().float().cpu() + 1) * 127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).numpy()


def to_pil(pixel_values: torch.Tensor) -> list[Image.Image]:
    """`pixel_values` (N, C, H, W) in [-1, 1] to PIL images, mode L, RGB or RGBA."""
    arrays = to_uint8(pixel_values)
    if arrays.shape[-1] == 4:
        # Pillow's name for premultiplied colours.
        return [Image.frombytes("RGBa", a.shape[1::-1], a.tobytes()).convert("RGBA") for a in arrays]
    return [Image.fromarray(a[..., 0] if a.shape[-1] == 1 else a) for a in arrays]


def to_output(pixel_values: torch.Tensor, output_type: str) -> OutputImages:
    """`pixel_values` in the form that `output_type` names; see `GenerationOutput`."""
    check_output_type(output_type)
    if output_type == "pil":
        return to_pil(pixel_values)
    pixel_values = pixel_values.detach().float().cpu()
    if output_type == "pt":
        return pixel_values
    array = ((pixel_values + 1) / 2).permute(0, 2, 3, 1).numpy()
    if array.shape[-1] == 4:
        opacity = array[..., 3:]
        array = np.concatenate([np.clip(array[..., :3] / np.maximum(opacity, 1 / 255), 0, 1), opacity], axis=-1)
    return array


def check_output_type(output_type: str) -> None:
    """Raise ValueError unless `output_type` is "pil", "pt" or "np"."""
    if output_type not in OUTPUT_TYPES:
        beside = ": the latents are there beside the images, as `.latents`" if output_type == "latent" else ""
        raise ValueError(f"output_type must be one of {', '.join(OUTPUT_TYPES)}, got {output_type!r}{beside}.")


def premultiplied(image: Image.Image) -> Image.Image:
    """An image with its colours premultiplied by their opacity, if it has any; Pillow calls that mode RGBa."""
    return image.convert("RGBa") if image.mode == "RGBA" else image


def to_pixel_values(images: Images, sample_size: int, num_channels: int) -> torch.Tensor:
    """Any form in which a pipeline returns images, back to `pixel_values` (N, C, H, W) float32 in [-1, 1].

    Args:
        images: a PIL image or a list of them (turned as their EXIF says, transparent parts black, numbers beyond 8 bits
            scaled by their range), a tensor (N, C, H, W) in [-1, 1], or an array (N, H, W, C) of floats in [0, 1] or of uint8.
        sample_size, num_channels: what the model takes.

    Raises:
        ValueError: no images, a wrong size or shape, or values out of range. Images are never resized silently.
    """
    if isinstance(images, Image.Image):
        images = [images]
    if isinstance(images, torch.Tensor):
        pixel_values = images.detach().float()
        low, high, form = -1.0, 1.0, "tensors hold pixel_values (N, C, H, W) in [-1, 1]"
    elif isinstance(images, np.ndarray):
        form = "arrays are (N, H, W, C) with floats in [0, 1] or uint8"
        if images.ndim != 4:
            raise ValueError(f"Got an array of shape {images.shape}; {form}.")
        scaled = images.astype(np.float32) / 255 if images.dtype == np.uint8 else images.astype(np.float32)
        if scaled.shape[-1] == 4:
            scaled = np.concatenate([scaled[..., :3] * scaled[..., 3:], scaled[..., 3:]], axis=-1)
        pixel_values = torch.from_numpy(scaled).permute(0, 3, 1, 2)
        low, high = 0.0, 1.0
    elif isinstance(images, Sequence) and images and all(isinstance(image, Image.Image) for image in images):
        images = [upright(image) for image in images]
        for image in images:
            if image.size != (sample_size, sample_size):
                raise ValueError(
                    f"Expected images of {sample_size}x{sample_size} pixels, got {image.width}x{image.height}: resize them, "
                    f"for example with image.resize(({sample_size}, {sample_size}))."
                )
        arrays = np.stack([np.asarray(premultiplied(to_8_bits(image, num_channels))) for image in images])
        return (
            torch.from_numpy(arrays).reshape(-1, sample_size, sample_size, num_channels).permute(0, 3, 1, 2).float()
            / 127.5
            - 1
        )
    else:
        raise ValueError("images must be a PIL image, a non-empty list of them, a tensor or an array.")
    if pixel_values.shape[1:] != (num_channels, sample_size, sample_size):
        raise ValueError(
            f"Expected {num_channels} channel(s) of {sample_size}x{sample_size} pixels, got shape {tuple(images.shape)}; {form}."
        )
    if not len(pixel_values):
        raise ValueError("There are no images: give one or more.")
    if not torch.isfinite(pixel_values).all() or pixel_values.min() < low - 1e-3 or pixel_values.max() > high + 1e-3:
        raise ValueError(f"The images have values out of range; {form}.")
    return pixel_values if low < 0 else pixel_values * 2 - 1
