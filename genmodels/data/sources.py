"""A source by its name to a stream of undecoded rows, and which of its columns mean what."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import datasets
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError
from PIL import Image

from .. import zoo
from ..errors import UserError
from ..retries import retry
from .listing import IMAGE_SUFFIXES

# How often the Hub is asked for what a dataset consists of; while it streams, `datasets` tries again itself.
HUB_ATTEMPTS = 4
ALL_ATTRIBUTES = "all"


def open_source(source: str, split: str, config_name: str | None) -> datasets.IterableDataset:
    """The undecoded stream of one split."""
    arguments = {"path": source}
    built_in = zoo.sample_folder(source)
    if built_in is not None:
        arguments = {"path": str(built_in)}
    elif Path(source).is_dir():
        files = [path for path in Path(source).rglob("*") if path.is_file()]
        if not any(path.suffix in (".parquet", ".arrow", ".tar") for path in files):
            if not any(path.suffix.lower() in IMAGE_SUFFIXES for path in files):
                raise UserError(
                    f"The folder {source} has neither images ({', '.join(IMAGE_SUFFIXES)}) nor parquet files."
                )
            arguments = {"path": "imagefolder", "data_dir": source}
    elif source.startswith(zoo.SAMPLE_PREFIX):
        raise UserError(f"There is no built-in sample {source!r}: {', '.join(zoo.sample_names())}.")
    elif not re.fullmatch(r"[\w.-]+/[\w.-]+", source) or source.startswith("."):
        raise UserError(
            f"{source!r} is neither a folder here, nor a Hub id like 'ylecun/mnist', nor a built-in sample."
        )
    else:
        _check_hub(source)
    try:
        splits = retry(
            lambda: datasets.load_dataset(**arguments, name=config_name, streaming=True), attempts=HUB_ATTEMPTS
        )
    except (OSError, HfHubHTTPError) as error:
        raise UserError(f"The dataset {source!r} cannot be read: {first_line(error)}") from error
    except ValueError as error:
        raise UserError(f"The dataset {source!r} cannot be opened: {first_line(error)}") from error
    if split not in splits:
        raise UserError(f"The dataset {source!r} has no split {split!r}: it has {', '.join(splits)}.")
    rows = splits[split]
    if rows.features is None:
        raise UserError(
            f"The dataset {source!r} does not declare its columns: save it as parquet with an Image column."
        )
    return rows


def _check_hub(source: str) -> None:
    """Ask the Hub once whether it has a dataset: load_dataset would try for half a minute before it said no."""
    try:
        retry(lambda: HfApi().dataset_info(source, timeout=15), attempts=HUB_ATTEMPTS)
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise UserError(
            f"The Hub has no dataset {source!r} that you may read: check the id and, if it is private, HF_TOKEN."
        ) from error
    # The client's transport errors have no base class of their own.
    except Exception as error:
        raise UserError(
            f"The dataset {source!r} cannot be reached on the Hub ({type(error).__name__}): check the network, or give a "
            f"folder or {zoo.sample_names()[-1]!r}."
        ) from error


def find_column(rows, wanted: str | None, kind: type, preferred: tuple[str, ...], source: str, flag: str) -> str:
    """The column of a type: the wanted one, the only one, or the first with a usual name."""
    names = [name for name, feature in rows.features.items() if isinstance(feature, kind)]
    if wanted is not None:
        if wanted not in names:
            listed = ", ".join(names) or "none"
            raise UserError(
                f"{source!r} has no {kind.__name__} column {wanted!r}: its {kind.__name__} columns are {listed}."
            )
        return wanted
    usual = [name for name in preferred if name in names]
    if usual or len(names) == 1:
        return (usual or names)[0]
    if not names:
        raise UserError(f"{source!r} has no image column: its columns are {', '.join(rows.features)}.")
    raise UserError(f"{source!r} has several image columns: choose one of {', '.join(names)} with {flag}.")


def find_label(rows, wanted: str | None, source: str) -> str | None:
    """The label column, or None if there is none. Booleans count as two classes, but only when asked for."""
    if wanted is None:
        labels = [name for name, feature in rows.features.items() if isinstance(feature, datasets.ClassLabel)]
        usual = [name for name in ("label", "labels") if name in labels]
        return (usual or labels or [None])[0]
    feature = rows.features.get(wanted)
    if isinstance(feature, datasets.ClassLabel) or getattr(feature, "dtype", None) == "bool":
        return wanted
    legal = [
        n for n, f in rows.features.items() if isinstance(f, datasets.ClassLabel) or getattr(f, "dtype", "") == "bool"
    ]
    raise UserError(
        f"{source!r} has no label column {wanted!r}: --label_column takes {', '.join(legal) or 'nothing here'}."
    )


def find_attributes(rows, wanted: Sequence[str] | str | None, source: str) -> list[str]:
    """The boolean columns that are wanted, in their order; "all", alone or in a list, means every one."""
    known = [name for name, feature in rows.features.items() if getattr(feature, "dtype", None) == "bool"]
    wanted = [wanted] if isinstance(wanted, str) else list(dict.fromkeys(wanted or []))
    if wanted == [ALL_ATTRIBUTES] and known:
        return known
    wrong = [name for name in wanted if name not in known]
    if wrong:
        has = f"its boolean columns are {', '.join(known)}" if known else "it has no boolean column at all"
        raise UserError(f"{source!r} has no attribute {wrong[0]!r}: {has}.")
    return wanted


def class_names_of(rows, label_column: str | None) -> list[str]:
    if label_column is None:
        return []
    feature = rows.features[label_column]
    return list(feature.names) if isinstance(feature, datasets.ClassLabel) else [f"not {label_column}", label_column]


def class_numbers(classes: Sequence[str] | None, names: list[str], source: str) -> list[int] | None:
    if not classes:
        return None
    if not names:
        raise UserError(f"{source!r} has no labels, so --classes cannot choose among them.")
    wrong = [name for name in classes if name not in names]
    if wrong:
        raise UserError(f"{source!r} has no class {wrong[0]!r}: its classes are {', '.join(names)}.")
    return [names.index(name) for name in dict.fromkeys(classes)]


def choose_size(first: Image.Image, sample_size: int | None) -> int:
    if sample_size is not None:
        return sample_size
    if first.width != first.height:
        raise UserError(f"The images are {first.width}x{first.height}, not square: give a size with --resolution.")
    return first.width


def first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
