"""A saved model's folder, and what its files say: whoever reads or writes one does it here."""

from __future__ import annotations

import json
import math
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypedDict, cast, get_args, get_origin, get_type_hints, is_typeddict

from .errors import UserError, first_line
from .families import BY_PIPELINE, Family

INDEX, TRAINING, EVALUATION, CARD = "model_index.json", "training.json", "evaluation.json", "README.md"
# Larger JSON files are none of ours.
MAX_BYTES = 20_000_000


class SelectedFacts(TypedDict, total=False):
    """Which weights of a run were saved, by which numbers."""

    step: int
    fid: float
    recall: float
    last_fid: float
    last_recall: float
    n: int
    features: str
    features_of_this_data: bool
    floor: float
    floor_n: int


class TrainingFacts(TypedDict, total=False):
    """What training.json says: how the model was made, and before it the one that it started from."""

    title: str
    command: str
    dataset: str | None
    split: str
    test_split: str
    classes: list[str] | None
    max_train_samples: int
    seed: int
    steps: int
    all_steps: int
    batch_size: int
    images_seen: int
    minutes: float
    processes: int
    device: str
    mixed_precision: str
    commit: str | None
    version: str | None
    torch: str
    date: str
    papers: list[str]
    selected: SelectedFacts
    film_steps: list[int]
    monitor: str
    model: str | None
    started_from: TrainingFacts


class MetricFacts(TypedDict, total=False):
    """A number in evaluation.json; `evaluation.report.Metric` says what each is."""

    metric: str
    name: str
    value: float
    floor: float | None
    better: str
    args: dict[str, int]
    tolerance: float | None
    floor_tolerance: float | None
    baseline: float | None


class EvaluationFacts(TypedDict, total=False):
    """What evaluation.json says; `evaluation.report.Evaluation` says what each is."""

    dataset: str | None
    split: str
    train_split: str | None
    classes: list[str] | None
    n: int
    n_reference: int
    seed: int | None
    num_inference_steps: int | None
    guidance_scale: float | None
    evaluator: str | None
    evaluator_sha256: str | None
    protocol: str
    torch: str
    metrics: list[MetricFacts]
    floor_name: str
    baseline: TrainingFacts


class ConfigFacts(TypedDict, total=False):
    """What the config.json of a network of ours says of classes or a fitted law; those of other libraries say other things."""

    num_classes: int | None
    class_names: list[str] | None
    attribute_names: list[str] | None
    test_accuracy: float | None
    num_components: int


# What to call a JSON value of each type.
TYPES = {str: "text", int: "an integer", float: "a number", bool: "true or false", list: "a list", dict: "an object"}


class Facts(dict[str, Any]):
    """An object in a JSON file, which says what it lacks."""

    def __init__(self, content: dict[str, Any], path: Path, key: str):
        super().__init__(content)
        self.path, self.key = path, key

    def __missing__(self, key: str) -> Any:
        raise UserError(f"{self.path}: {f'{self.key}.{key}'.strip('.')} is missing; {remedy(self.path)}.")


def remedy(path: Path) -> str:
    """What to do about a file that is not as it should be."""
    return "remove it and measure again" if path.name == EVALUATION else "train or save it again"


def checked_facts(path: Path, value: Any, hint: Any, key: str = "") -> Any:
    """A value out of a JSON file, with the objects that a TypedDict describes as `Facts`.

    Args:
        path: of the file.
        value: what it says.
        hint: the type that it must have: of JSON, a TypedDict, or one of them or None.
        key: where in the file it stands.

    Raises:
        UserError: it, or something in it, is of another type.
    """
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if value is None and NoneType in kinds:
        return None
    kind = kinds[0]
    wanted = dict if is_typeddict(kind) else get_origin(kind) or kind
    whole = wanted is float and type(value) is int and abs(value) < 2**1023
    if type(value) is not wanted and not whole:
        shown = json.dumps(value)
        shown = shown if len(shown) <= 40 else f"{shown[:40]}..."
        raise UserError(f"{path}: {key} must be {TYPES[wanted]}, got {shown}; {remedy(path)}.")
    if wanted is list:
        return [checked_facts(path, item, get_args(kind)[0], f"{key}[{i}]") for i, item in enumerate(value)]
    if wanted is not dict:
        return value
    hints = get_type_hints(kind) if is_typeddict(kind) else dict.fromkeys(value, get_args(kind)[1])
    known = {
        name: checked_facts(path, value[name], of, f"{key}.{name}".strip("."))
        for name, of in hints.items()
        if name in value
    }
    return Facts({**value, **known}, path, key)


def read_facts(path: Path, kind: Any) -> Any:
    """The object in a JSON file that a TypedDict describes; empty if there is no such file.

    Raises:
        UserError: it is not readable as one.
    """
    try:
        return checked_facts(path, read_json(path), kind)
    except RecursionError:
        raise UserError(f"{path} is nested too deep; {remedy(path)}.") from None


def load_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        OSError, ValueError: it cannot be read, is no JSON, is larger than any of ours, or nested deeper than can be read.
    """
    # A pipe or a device would be read without end.
    if path.exists() and not path.is_file():
        raise ValueError("it is no file")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError("it is too long")
    text = path.read_text(encoding="utf-8")
    if text.startswith("\ufeff"):
        raise ValueError("it begins with a byte order mark: save it as UTF-8 without one")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def find_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is none that can be read."""
    try:
        content = load_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is no such file.

    Raises:
        UserError: it is not readable as one.
    """
    if not path.exists():
        return {}
    try:
        content = load_json(path)
        if not isinstance(content, dict):
            raise ValueError("it is not an object")
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a readable {path.name}: {first_line(error)}") from error
    return content


def write_text(path: Path, text: str) -> bool:
    """Write a file, unless it has this text already, under a temporary name, then rename: a reader never meets half of it.

    Returns:
        Whether it was written.

    Raises:
        OSError: it cannot be written.
    """
    if path.is_file() and path.read_bytes() == text.encode():
        return False
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return True


def as_json(content: Mapping[str, Any]) -> str:
    """An object as the JSON files here are written."""
    return json.dumps(content, indent=2) + "\n"


@dataclass(frozen=True)
class ModelFolder:
    """The folder of a saved pipeline, or of a single network such as an evaluator."""

    path: Path

    @property
    def card(self) -> Path:
        """What the Hub shows of it."""
        return self.path / CARD

    @property
    def samples(self) -> Path:
        """A grid of images that it drew."""
        return self.path / "samples.png"

    @property
    def neighbors(self) -> Path:
        """Images that it drew, each beside the training images nearest to it."""
        return self.path / "neighbors.png"

    @property
    def film(self) -> Path:
        """What became of the same latents during the training."""
        return self.path / "film.webp"

    @property
    def log(self) -> Path:
        """The losses of its training, a line of JSON each."""
        return self.path / "metrics.jsonl"

    @property
    def training(self) -> TrainingFacts:
        """training.json; empty if there is none.

        Raises:
            UserError: it is not readable as one.
        """
        return cast(TrainingFacts, read_facts(self.path / TRAINING, TrainingFacts))

    @property
    def evaluation(self) -> EvaluationFacts:
        """evaluation.json; empty if there is none.

        Raises:
            UserError: it is not readable as one.
        """
        return cast(EvaluationFacts, read_facts(self.path / EVALUATION, EvaluationFacts))

    def write(self, name: str, content: str | Mapping[str, Any]) -> bool:
        """Write one of its files, a mapping as JSON; see `write_text`."""
        return write_text(self.path / name, content if isinstance(content, str) else as_json(content))

    @cached_property
    def index(self) -> dict[str, Any]:
        """model_index.json; empty if there is none.

        Raises:
            UserError: it is not readable as one.
        """
        return read_json(self.path / INDEX)

    def config(self, component: str = "") -> dict[str, Any]:
        """The config.json of a component, or of the network that this is; empty if there is none.

        Raises:
            UserError: it is not readable as one.
        """
        return cast(dict[str, Any], read_facts(self.path / component / "config.json", ConfigFacts))

    @cached_property
    def class_name(self) -> str | None:
        """The pipeline class that the index names, alone or behind the file that a repository carries for it."""
        found = self.index.get("_class_name")
        found = found[1] if isinstance(found, list) and len(found) == 2 else found
        return found if isinstance(found, str) else None

    @property
    def family(self) -> Family | None:
        """That of its class; None for pipelines of others."""
        return BY_PIPELINE.get(self.class_name or "")

    @property
    def components(self) -> list[str]:
        """Names of the components that it was saved with."""
        return [
            name
            for name, of in self.index.items()
            if name.isidentifier() and not name.startswith("_") and isinstance(of, list) and of and of[0]
        ]

    @property
    def drawing_config(self) -> Path:
        """The config.json of the network that draws; where it has another name, that with the largest images."""

        def size(path: Path) -> int:
            try:
                return int(load_json(path)["sample_size"])
            except (OSError, ValueError, LookupError, TypeError, OverflowError):
                return 0

        usual = self.path / (self.family.draws if self.family else "generator") / "config.json"
        found = [] if usual.is_file() else sorted(self.path.glob("*/config.json"))
        return max(found, key=size, default=usual)


def shape_of(config: dict[str, Any]) -> tuple[int, int]:
    """Side in pixels and channels of what a network draws, from its config.

    Raises:
        LookupError, OverflowError, TypeError, ValueError: the config does not say.
    """
    size = int(config["sample_size"])
    if "in_channels" not in config:
        return size, int(config["num_channels"])
    # A U-Net's input channels are the pixels of a patch.
    channels = 3 if int(config["in_channels"]) % 3 == 0 else 1
    return size * math.isqrt(int(config["in_channels"]) // channels), channels


def check_output(output: Path, may_replace: Callable[[Path], bool] = lambda folder: False) -> None:
    """Raise UserError unless a folder can be made there: known before the minutes that making it may take.

    Args:
        output: it may be there if it is empty.
        may_replace: says of a folder with something in it whether that may go.
    """
    place = output.absolute()
    if output.is_file():
        raise UserError(f"{str(output)!r} is a file: name a folder that does not exist yet.")
    if output.is_dir() and any(output.iterdir()) and not may_replace(output):
        raise UserError(f"{str(output)!r} is not empty: name a folder that does not exist yet.")
    if not place.parent.is_dir():
        raise UserError(f"{str(output)!r} is to lie in {str(place.parent)!r}, which is not a folder: make it first.")
    if not os.access(place.parent, os.W_OK):
        raise UserError(f"{str(output)!r} is to lie in {str(place.parent)!r}, where you may not write: name another.")


@contextmanager
def replacing_folder(output: Path) -> Iterator[Path]:
    """A temporary folder to write to, which becomes `output` in the end: a reader never meets half of it."""
    place = output.absolute()
    temporary, before = (place.with_name(f".{place.name}.{os.getpid()}.{kind}") for kind in ("tmp", "old"))
    try:
        temporary.mkdir()
        yield temporary
        if place.is_dir():
            place.rename(before)
        temporary.rename(place)
    except OSError as error:
        raise UserError(f"{str(output)!r} cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if before.is_dir() and not place.exists():
            before.rename(place)
        shutil.rmtree(before, ignore_errors=True)
