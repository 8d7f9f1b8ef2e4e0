"""What a user loads and calls. The class of each family is imported on first use."""

from __future__ import annotations

from pathlib import Path

from ..errors import UserError
from ..families import BY_PIPELINE, PIPELINE_HOMES, load_name
from ..hub.source import HUB_OPTIONS, describe_class, find_pipeline
from .base import GenerationOutput, ImagePipeline

__all__ = ["GenerationOutput", "ImagePipeline", "load_pipeline", *PIPELINE_HOMES]


def __getattr__(name: str):
    return load_name(name, PIPELINE_HOMES, __name__)


def load_pipeline(name_or_path: str | Path, **kwargs) -> ImagePipeline:
    """Load any model of the suite: a built-in name, a folder or a Hub id.

    Args:
        name_or_path, kwargs: as in `ImagePipeline.from_pretrained`.

    Raises:
        UserError: there is no such model, it is not one of ours, or its weights are damaged.
    """
    hub_options = {key: kwargs.pop(key) for key in HUB_OPTIONS if key in kwargs}
    source = find_pipeline(name_or_path, kwargs.pop("subfolder", None), **hub_options)
    if source.class_name not in BY_PIPELINE:
        found = describe_class(source.class_name)
        raise UserError(f"{source.name!r} holds a {found}; genmodels loads {', '.join(BY_PIPELINE)}.")
    return load_name(source.class_name, PIPELINE_HOMES, __name__)._load(source, **kwargs)
