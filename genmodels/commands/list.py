"""`genmodels list`: the built-in models and one measured number of each, from their JSON and YAML alone."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import zoo
from ..errors import UserError, escaped
from ..folder import TRAINING, ModelFolder, find_json, shape_of
from . import in_columns

# By the number of channels.
COLOURS = {1: "grey", 3: "colour", 4: "colour and opacity"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def read_headline(card: Path) -> str:
    """The first metric of a model card's model-index, as "name value"; empty if it has none; or that it is broken."""
    import yaml

    try:
        parts = card.read_text(encoding="utf-8").split("---\n", 2) if card.is_file() else []
        metadata = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else {}
        for model in (metadata or {}).get("model-index", []):
            for result in model.get("results", []):
                for metric in result.get("metrics", []):
                    headline = f"{metric.get('name', metric['type'])} {metric['value']:.4g}"
                    return " ".join(headline.split())
    except (
        yaml.YAMLError,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        AttributeError,
        RecursionError,
    ):
        return f"{card.name} is broken"
    return ""


def describe_model(name: str) -> tuple[str, str, str, str, str]:
    """Name, kind, images, classes and headline number of a built-in model; of one that is damaged, what is broken."""
    folder = ModelFolder(zoo.ROOT / name)
    kind, images, config = "broken", "broken", {}
    try:
        kind = folder.family.title if folder.family else folder.class_name or "broken"
        config = find_json(folder.drawing_config)
        side, channels = shape_of(config)
        images = f"{side}x{side} {COLOURS.get(channels, 'colour')}"
        if isinstance(dataset := find_json(folder.path / TRAINING).get("dataset"), str):
            images += f", {dataset.rsplit('/', 1)[-1]}"
    except (UserError, LookupError, OverflowError, TypeError, ValueError):
        pass
    return name, kind, images, str(config.get("num_classes") or "-"), read_headline(folder.card)


def run(args: argparse.Namespace) -> None:
    """Print a table of the built-in models."""
    rows = [("NAME", "KIND", "IMAGES", "CLASSES", "MEASURED"), *map(describe_model, zoo.model_names())]
    print(escaped("\n".join(in_columns(rows))))
