"""Images side by side on one sheet, for files: the command line, sample grids in training, cards."""

from __future__ import annotations

import math

from PIL import Image

# Pixels between the images, and their grey level.
PADDING, BACKGROUND = 2, 128


def make_grid(images: list[Image.Image], columns: int | None = None) -> Image.Image:
    """PIL images of one size in reading order, `columns` side by side; by default the sheet is nearly square. What is transparent
    lies on white."""
    if images[0].mode == "RGBA":
        white = Image.new("RGBA", images[0].size, "white")
        images = [Image.alpha_composite(white, image).convert("RGB") for image in images]
    columns = columns or math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    width, height = (side + PADDING for side in images[0].size)
    background = BACKGROUND if images[0].mode == "L" else (BACKGROUND,) * 3
    sheet = Image.new(images[0].mode, (columns * width + PADDING, rows * height + PADDING), background)
    for i, image in enumerate(images):
        sheet.paste(image, (PADDING + i % columns * width, PADDING + i // columns * height))
    return sheet
