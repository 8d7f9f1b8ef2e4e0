"""`genmodels list`: the built-in models and one measured number of each, from their JSON and YAML alone."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from .. import zoo


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def read_headline(card: Path) -> str:
    """The first metric of a model card's model-index, as "name value"; empty if the card has none."""
    import yaml

    parts = card.read_text(encoding="utf-8").split("---\n", 2) if card.is_file() else []
    metadata = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else {}
    for model in (metadata or {}).get("model-index", []):
        for result in model.get("results", []):
            for metric in result.get("metrics", []):
                return f"{metric.get('name', metric['type'])} {metric['value']:.4g}"
    return ""


def image_shape(config: dict) -> tuple[int, int]:
    """Side in pixels and channels of what a decoder, generator or U-Net draws, from its config.json."""
    if "num_channels" in config:
        return config["sample_size"], config["num_channels"]
    # A U-Net's input channels are the pixels of a patch.
    channels = 3 if config["in_channels"] % 3 == 0 else 1
    return config["sample_size"] * math.isqrt(config["in_channels"] // channels), channels


def describe_model(name: str) -> tuple[str, str, str, str, str]:
    """Name, kind, images, classes and headline number of a built-in model, from its JSON and YAML alone."""
    folder = zoo.model_folder(name)
    index = json.loads((folder / "model_index.json").read_text())
    component = next(name for name in ("decoder", "generator", "unet") if name in index)
    config = json.loads((folder / component / "config.json").read_text())
    side, channels = image_shape(config)
    size, colour = f"{side}x{side}", "grey" if channels == 1 else "colour"
    kind = index["_class_name"].removesuffix("Pipeline")
    return name, kind, f"{size} {colour}", str(config.get("num_classes") or "-"), read_headline(folder / "README.md")


def run(args: argparse.Namespace) -> None:
    """Print a table of the built-in models."""
    rows = [("NAME", "KIND", "IMAGES", "CLASSES", "MEASURED"), *map(describe_model, zoo.model_names())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
