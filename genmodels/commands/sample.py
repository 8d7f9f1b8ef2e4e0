"""`genmodels sample`: draw images into one grid. torch is imported only once there is something to draw."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import UserError
from . import silence_libraries
from .arguments import MAX_SEED, add_steps, factor, guidance, whole_number

MAX_IMAGES = 10_000
MAX_SCALE = 32
FORMATS = {".png": "PNG", ".webp": "WEBP", ".jpg": "JPEG", ".jpeg": "JPEG"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a built-in name, a folder, or a Hub id such as name/model")
    parser.add_argument(
        "--num_images",
        type=whole_number(1, MAX_IMAGES),
        help=f"1 to {MAX_IMAGES}; default: one per class label, or else 16",
    )
    parser.add_argument("--seed", type=whole_number(0, MAX_SEED), default=0, help="0 or more; default: %(default)s")
    parser.add_argument(
        "--class_labels",
        metavar="LABELS",
        help="class numbers or names with commas between: one for all images, or one per image, which then stand in one row; "
        "only for models with classes; default: all classes in turn",
    )
    parser.add_argument(
        "--psi", type=factor, help="truncation of the latents of GANs and VAEs, 0 (all alike) to 2; default: 1"
    )
    add_steps(parser)
    parser.add_argument(
        "--guidance_scale",
        type=guidance,
        help="of diffusion models with classes only, 0 to 20: above 1 images are more typical of their class; default: 1",
    )
    parser.add_argument(
        "--scale",
        type=whole_number(1, MAX_SCALE),
        default=1,
        help=f"1 to {MAX_SCALE}: each pixel becomes a square of so many; default: %(default)s",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help=f"the grid: a {', '.join(FORMATS)} file in a folder that exists; an old file of that name is replaced",
    )


def check_output(output: Path) -> None:
    """Raise UserError unless an image can be written to `output`: known before a model is loaded."""
    if output.suffix.lower() not in FORMATS:
        raise UserError(f"--output must end in {', '.join(FORMATS)}, got {str(output)!r}.")
    if not output.parent.is_dir():
        raise UserError(f"--output is to lie in {str(output.parent)!r}, which is not a folder: make it first.")
    if output.is_dir():
        raise UserError(f"--output {str(output)!r} is a folder: name a file in it.")
    if not os.access(output.parent, os.W_OK):
        raise UserError(f"--output is to lie in {str(output.parent)!r}, where you may not write.")


def read_labels(text: str, class_names: list[str]) -> list[int | str]:
    """Comma-separated class names or numbers; a name that looks like a number is taken as the name."""
    labels = [label.strip() for label in text.split(",")]
    # Python reads no integers of thousands of digits.
    return [int(x) if x not in class_names and re.fullmatch(r"-?\d{1,18}", x) else x for x in labels]


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """A temporary name to write to, renamed to `output` in the end: a reader never meets half a file."""
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, output)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"{str(output)!r} cannot be written: {error.strerror or error}.") from error


def save_image(image, output: Path) -> None:
    """Write an image in the format that the file's name asks for."""
    options = {"lossless": True} if output.suffix.lower() == ".webp" else {}
    with replacing(output) as temporary:
        image.save(temporary, format=FORMATS[output.suffix.lower()], **options)


def run(args: argparse.Namespace) -> None:
    """Draw images and save them as one grid.

    Raises:
        UserError: a wrong argument, no such model, or one that does not load.
    """
    check_output(args.output)
    silence_libraries()
    from PIL import Image

    from ..grid import make_grid
    from ..pipelines import load_pipeline

    pipe = load_pipeline(args.model)
    options = {}
    if args.psi is not None:
        if not pipe.family.truncates:
            raise UserError(f"--psi works for GANs and VAEs only: {args.model} is a {type(pipe).__name__}.")
        options["psi"] = args.psi
    if args.num_inference_steps is not None:
        if not pipe.family.takes_steps:
            raise UserError(
                f"--num_inference_steps works for diffusion models only: {args.model} is a {type(pipe).__name__}."
            )
        options["num_inference_steps"] = args.num_inference_steps
    if args.guidance_scale is not None:
        if not (pipe.family.takes_steps and pipe.num_classes):
            raise UserError(f"--guidance_scale works for diffusion models with classes only, and {args.model} is none.")
        options["guidance_scale"] = args.guidance_scale
    num_images, columns = args.num_images, None
    if args.class_labels is not None:
        if not getattr(pipe, "num_classes", 0):
            raise UserError(f"--class_labels works for models with classes only: {args.model} has none.")
        labels = read_labels(args.class_labels, pipe.class_names)
        options["class_labels"] = labels
        if num_images is None and len(labels) > 1:
            num_images = columns = len(labels)
    try:
        images = pipe(num_images=num_images or 16, seed=args.seed, **options).images
    except ValueError as error:
        raise UserError(str(error)) from error
    assert isinstance(images, list)  # As the call returns them by default.
    sheet = make_grid(images, columns)
    sheet = sheet.resize((args.scale * sheet.width, args.scale * sheet.height), Image.Resampling.NEAREST)
    save_image(sheet, args.output)
    count = f"{len(images)} image{'s' if len(images) > 1 else ''}"
    print(f"{args.output}: {count} of {args.model}, {sheet.width}x{sheet.height} pixels, seed {args.seed}")
