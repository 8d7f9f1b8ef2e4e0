"""What a user loads and calls."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from .base import GenerationOutput, ImagePipeline, locate, read_index
from .gan import CGANPipeline, DCGANPipeline, GANPipeline
from .vae import PosteriorOutput, VAEPipeline

__all__ = [
    "CGANPipeline",
    "DCGANPipeline",
    "GANPipeline",
    "GenerationOutput",
    "ImagePipeline",
    "PosteriorOutput",
    "VAEPipeline",
    "load_pipeline",
]

PIPELINES = {cls.__name__: cls for cls in (VAEPipeline, DCGANPipeline, CGANPipeline)}


def load_pipeline(name_or_path: str | Path, **kwargs) -> ImagePipeline:
    """Load any model of the suite: a built-in name, a folder or a Hub id.

    Args:
        name_or_path, kwargs: as in `ImagePipeline.from_pretrained`.

    Raises:
        UserError: there is no such model, it is not one of ours, or its weights are damaged.
    """
    class_name = read_index(locate(name_or_path), **kwargs)
    if class_name not in PIPELINES:
        raise UserError(f"{str(name_or_path)!r} holds a {class_name}; genmodels loads {', '.join(PIPELINES)}.")
    return PIPELINES[class_name].from_pretrained(name_or_path, **kwargs)
