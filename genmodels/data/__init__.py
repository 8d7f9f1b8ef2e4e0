"""The one door for data: a Hub id, a folder, a file or a built-in sample in, checked batches out.

Names resolve on first use, so that the listing of folders loads without torch and `datasets`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..errors import FLAGS

_OF_STREAM = ("ImageStream", "load_images")

__all__ = [*_OF_STREAM, "stated_reading", "unusual_reading"]

# How images and labels are read where nothing else is said, as arguments of `load_images`.
_USUAL = {
    "fit": "crop",
    "background": "black",
    "image_column": None,
    "label_column": None,
    "config_name": None,
    "revision": None,
    "skip_unreadable": False,
}


def __getattr__(name: str) -> Any:
    if name not in _OF_STREAM:
        raise AttributeError(f"module 'genmodels.data' has no attribute {name!r}")
    return getattr(import_module("genmodels.data.stream"), name)


def unusual_reading(options: Mapping[str, Any]) -> dict[str, Any]:
    """Of arguments of `load_images`, by their flags' names, how images and labels are read otherwise than usual.

    It is written down with a model and with its evaluation, so that whoever reads the data again does likewise.
    """
    flags = {FLAGS.get(name, name): usual for name, usual in _USUAL.items()}
    return {flag: options[flag] for flag, usual in flags.items() if options.get(flag, usual) != usual}


def stated_reading(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `load_images`, from what `unusual_reading` wrote into a training.json or an evaluation.json."""
    return {name: facts[FLAGS.get(name, name)] for name in _USUAL if FLAGS.get(name, name) in facts}
