"""The classifiers that measure models: found, loaded, and read."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import torch
from huggingface_hub import cached_assets_path
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from .. import __version__, zoo
from ..errors import UserError
from ..folder import TRAINING, load_json
from ..hub.source import fetch, locate
from .classifier import Classifier

BATCH = 500
# Of the classifiers: with larger ones, what lies between their layers is memory that is asked for anew each time.
FEATURES_BATCH = 64
# Features of fewer images are computed in less than two seconds.
KEPT_FROM = 5000


def find_evaluator(sample_size: int, num_channels: int) -> str:
    """Name of the built-in evaluator for images of this shape; raises UserError if there is none."""
    name = zoo.EVALUATORS.get((sample_size, num_channels))
    if name is None or zoo.model_folder(name) is None:
        shape = f"{sample_size}x{sample_size}, {num_channels} channel(s)"
        raise UserError(
            f"There is no built-in evaluator for images of {shape}: give the folder of one with `evaluator`."
        )
    return name


def evaluator_folder(name_or_path: str) -> Path:
    """Where an evaluator lies that is called by a built-in name, a folder or a Hub id; raises UserError if nowhere."""
    folder = Path(name_or_path) if Path(name_or_path).is_dir() else zoo.model_folder(name_or_path)
    return folder or fetch(locate(name_or_path), ["config.json", TRAINING, "*.safetensors"])


def load_classifier(name_or_path: str, folded: bool = True) -> tuple[Classifier, str]:
    """An evaluator and the sha256 of its weights.

    Args:
        name_or_path: a built-in name, a folder or a Hub id.
        folded: whether it is to read images only; see `Classifier.folded`.

    Raises:
        UserError: there is no such evaluator, it is something else, or its weights are damaged.
    """
    folder = evaluator_folder(name_or_path)
    weights = folder / "diffusion_pytorch_model.safetensors"
    try:
        kind = load_json(folder / "config.json").get("_class_name")
        if kind != "Classifier":
            raise UserError(f"{name_or_path!r} holds a {kind}, not an evaluator: train one with train/evaluator.py.")
        classifier = Classifier.from_pretrained(str(folder)).eval()
        return classifier.folded() if folded else classifier, hashlib.sha256(weights.read_bytes()).hexdigest()
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(f"{name_or_path!r} does not load as an evaluator: {error}") from error


@torch.no_grad()
def features_of(classifier: Classifier, images: torch.Tensor) -> torch.Tensor:
    """(N, D) features of `pixel_values`."""
    return torch.cat([classifier.features(chunk) for chunk in images.split(FEATURES_BATCH)])


def kept_features(classifier: Classifier, images: torch.Tensor) -> torch.Tensor:
    """`features_of` images that will be read again: of many images they are kept in Hugging Face's cache of assets.

    They are found by the evaluator's weights and all pixels. A cache that cannot be read or written is done without.
    """
    if len(images) < KEPT_FROM:
        return features_of(classifier, images)
    digest = hashlib.sha256(f"{__version__} {torch.__version__}".encode())
    for tensor in (*classifier.state_dict().values(), images):
        digest.update(tensor.contiguous().numpy())
    file = None
    with suppress(OSError, ValueError, SafetensorError):
        file = cached_assets_path("genmodels", "features") / f"{digest.hexdigest()}.safetensors"
        return load_file(file)["features"]
    features = features_of(classifier, images)
    if file is not None:
        with suppress(OSError, SafetensorError), tempfile.TemporaryDirectory(dir=file.parent) as scratch:
            save_file({"features": features}, Path(scratch) / file.name)
            os.replace(Path(scratch) / file.name, file)
    return features


def class_numbers(class_names: list[str] | None, of: list[str]) -> torch.Tensor:
    """A model's number of each of these classes, found by name where it has that name: (len(of),) int64."""
    names = list(class_names or [])
    return torch.tensor([names.index(c) if c in names else i for i, c in enumerate(of)] or [0])
