"""What a user loads and calls."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from .autoencoder import AutoencoderPipeline, EncoderDecoderPipeline, add_noise
from .base import GenerationOutput, ImagePipeline, NeighborsOutput
from .diffusion import DiffusionOutput, PixelDiffusionPipeline
from .gan import CGANPipeline, DCGANPipeline, GANPipeline, VanillaGANPipeline, WGANPipeline
from .labels import ClassificationOutput
from .lapgan import LAPGANOutput, LAPGANPipeline
from .source import HUB_OPTIONS, describe_class, find_pipeline
from .vae import PosteriorOutput, VAEPipeline

__all__ = [
    "AutoencoderPipeline",
    "CGANPipeline",
    "ClassificationOutput",
    "DCGANPipeline",
    "DiffusionOutput",
    "EncoderDecoderPipeline",
    "GANPipeline",
    "GenerationOutput",
    "ImagePipeline",
    "LAPGANOutput",
    "LAPGANPipeline",
    "NeighborsOutput",
    "PixelDiffusionPipeline",
    "PosteriorOutput",
    "VAEPipeline",
    "VanillaGANPipeline",
    "WGANPipeline",
    "add_noise",
    "load_pipeline",
]

PIPELINES = {
    cls.__name__: cls
    for cls in (
        AutoencoderPipeline,
        VAEPipeline,
        VanillaGANPipeline,
        DCGANPipeline,
        WGANPipeline,
        LAPGANPipeline,
        CGANPipeline,
        PixelDiffusionPipeline,
    )
}


def load_pipeline(name_or_path: str | Path, **kwargs) -> ImagePipeline:
    """Load any model of the suite: a built-in name, a folder or a Hub id.

    Args:
        name_or_path, kwargs: as in `ImagePipeline.from_pretrained`.

    Raises:
        UserError: there is no such model, it is not one of ours, or its weights are damaged.
    """
    hub_options = {key: kwargs.pop(key) for key in HUB_OPTIONS if key in kwargs}
    source = find_pipeline(name_or_path, kwargs.pop("subfolder", None), **hub_options)
    if source.class_name not in PIPELINES:
        found = describe_class(source.class_name)
        raise UserError(f"{source.name!r} holds a {found}; genmodels loads {', '.join(PIPELINES)}.")
    return PIPELINES[source.class_name]._load(source, **kwargs)
