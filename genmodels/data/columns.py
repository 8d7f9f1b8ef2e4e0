"""Which columns of a dataset hold images, labels and attributes, and what their values mean."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import datasets

from ..errors import UserError, first_line
from ..hub.retries import describe, is_transient
from .archives import Place
from .listing import label_name, natural_key, without_point

ALL_ATTRIBUTES = "all"
# More different labels than this are no classes.
MAX_CLASSES = 10_000
Data = bytes


class Struct(TypedDict):
    """An image in a column of them, of a folder also the place of its bytes."""

    bytes: Data | None
    path: str | None
    place: NotRequired[Place]


# An undecoded image.
Cell = Struct | bytes | None
# Images, their labels, None for those of a class that is not wanted, and their attributes.
Rows = tuple[list[Cell], list[int | None], list[tuple[bool, ...]]]
# What the columns of a dataset hold, by their names, as `datasets` says it.
Features = Mapping[str, Any]
# Names of classes, and the number of each value of a column.
Classes = tuple[list[str], dict[Any, int]]
# Columns of a WebDataset that name its samples, and the one in which pandas numbers rows.
OWN_COLUMNS = ("__key__", "__url__", "__index_level_0__")
BINARY, TEXT = ("binary", "large_binary", "binary_view"), ("string", "large_string", "string_view")


def is_image_column(feature: Any) -> bool:
    """Whether a column holds images: as such, or as pandas writes them, as bytes or as bytes and a path."""
    if isinstance(feature, datasets.Image):
        return True
    if isinstance(feature, dict):
        # Where only files are named, they are of type null.
        return getattr(feature.get("bytes"), "dtype", "") in (*BINARY, "null")
    return getattr(feature, "dtype", "") in BINARY


def find_image_column(features: Features, wanted: str | None, source: str) -> str:
    """The column of images: the wanted one, the only one, or the one with a usual name."""
    names = [name for name, feature in features.items() if is_image_column(feature)]
    if wanted is not None:
        if wanted not in names:
            raise UserError(
                f"{source!r} has no image column {wanted!r}: its image columns are {', '.join(names) or 'none'}."
            )
        return wanted
    usual = [name for name in ("image", "img") if name in names]
    if usual or len(names) == 1:
        return (usual or names)[0]
    if names:
        raise UserError(f"{source!r} has several image columns: choose one of {', '.join(names)} with `image_column`.")
    for name, feature in features.items():
        inner = getattr(feature, "feature", None)
        if isinstance(feature, datasets.Array2D | datasets.Array3D):
            raise UserError(
                f"The column {name} of {source!r} holds arrays of pixels: save them as images, with "
                "rows.cast_column(name, datasets.Image()), or as files."
            )
        if isinstance(inner, datasets.Image):
            raise UserError(f"The column {name} of {source!r} holds lists of images: save one image in each row.")
    raise UserError(
        f"{source!r} has no image column: its columns are {', '.join(features)}, and images are columns of bytes, each a whole "
        "file such as a PNG, or of what datasets.Image() makes."
    )


def label_columns(features: Features) -> list[str]:
    """The columns that could be labels, those within a column of records as "json.label"."""
    found = []
    for name, feature in features.items():
        if isinstance(feature, dict) and not is_image_column(feature):
            found += [f"{name}.{inner}" for inner, kind in feature.items() if _is_label(kind)]
        elif name not in OWN_COLUMNS and _is_label(feature):
            found.append(name)
    return found


def _is_label(feature: Any) -> bool:
    kind = getattr(feature, "dtype", None)
    return isinstance(feature, datasets.ClassLabel) or (
        isinstance(kind, str) and (kind in ("bool", *TEXT) or kind.startswith(("int", "uint", "float")))
    )


def find_label_column(features: Features, wanted: str | None, source: str) -> str | None:
    """The label column: the wanted one, else the first that declares its classes, if any."""
    if wanted is None:
        declared = [name for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
        usual = [name for name in ("label", "labels") if name in declared]
        return (usual or declared or [None])[0]
    known = label_columns(features)
    within = [name for name in known if name.split(".", 1)[-1] == wanted]
    if wanted in known or len(within) == 1:
        return wanted if wanted in known else within[0]
    if wanted in features:
        feature = features[wanted]
        kind = getattr(feature, "dtype", None) or ("list" if hasattr(feature, "feature") else type(feature).__name__)
        raise UserError(
            f"The column {wanted} of {source!r} is of type {kind}, which holds no classes: save it as text, integers or booleans."
        )
    raise UserError(
        f"{source!r} has no label column {wanted!r}: `label_column` takes {', '.join(known) or 'nothing here'}."
    )


def feature_of(features: Features, column: str) -> Any:
    """What a column holds, also one within a column of records."""
    if column in features:
        return features[column]
    outer, inner = column.split(".", 1)
    return features[outer][inner]


def values_of(batch: Mapping[str, list[Any]], column: str) -> list[Any]:
    """A column of a batch of rows, also one within a column of records; None where there is no value."""
    if column in batch:
        return batch[column]
    outer, inner = column.split(".", 1)
    return [None if record is None else record.get(inner) for record in batch[outer]]


def declared_classes(feature: Any, column: str) -> Classes | None:
    """The classes, where the column's type says them; else None."""
    if isinstance(feature, datasets.ClassLabel):
        return list(feature.names), {number: number for number in range(len(feature.names))}
    if getattr(feature, "dtype", None) == "bool":
        return [label_name(column, value, "") for value in (False, True)], {False: 0, True: 1}
    return None


def found_classes(values: Iterable[list[Any]], column: str, source: str) -> Classes:
    """The classes in natural order, from batches of a column's values.

    Values that stand for no label, None and numbers below 0, have no number.
    """
    distinct: set[Any] = set()
    for batch in values:
        distinct.update(value for value in batch if not is_missing(value))
        if len(distinct) > MAX_CLASSES:
            raise UserError(
                f"The column {column} of {source!r} has more than {MAX_CLASSES:,} different values: it holds no classes."
            )
    named: dict[Any, str] = {}
    for value in distinct:
        if isinstance(value, float) and not value.is_integer():
            raise UserError(
                f"The column {column} of {source!r} holds fractions such as {value:g}, which are no classes."
            )
        named[value] = label_name(column, value, source)
    named = without_point(named)
    names = sorted(set(named.values()), key=natural_key)
    if not names:
        raise UserError(f"The column {column} of {source!r} has no label for any image.")
    numbers = {name: i for i, name in enumerate(names)}
    return names, {value: numbers[name] for value, name in named.items()}


def is_missing(value: Any) -> bool:
    """Whether a value says that there is no label."""
    return value is None or value == "" or (not isinstance(value, str) and not value >= 0)


def find_attributes(known: list[str], wanted: Sequence[str] | str | None, source: str) -> list[str]:
    """The boolean columns that are wanted, in their order; "all", alone or in a list, means every one."""
    wanted = [wanted] if isinstance(wanted, str) else list(dict.fromkeys(wanted or []))
    if wanted == [ALL_ATTRIBUTES] and known:
        return known
    wrong = [name for name in wanted if name not in known]
    if wrong:
        has = f"its boolean columns are {', '.join(known)}" if known else "it has no boolean column at all"
        raise UserError(f"{source!r} has no attribute {wrong[0]!r}: {has}.")
    return wanted


def class_numbers(classes: Sequence[str] | None, names: list[str], source: str) -> list[int] | None:
    """The numbers of the classes that are wanted, in their order; None for all."""
    if not classes:
        return None
    if not names:
        raise UserError(f"{source!r} has no labels, so `classes` cannot choose among them.")
    wrong = [name for name in classes if name not in names]
    if wrong:
        raise UserError(f"{source!r} has no class {wrong[0]!r}: its classes are {', '.join(names)}.")
    return [names.index(name) for name in dict.fromkeys(classes)]


def trouble(error: Exception) -> str:
    """What went wrong in reading, without a full stop; if it is the connection to the Hub, with what to do."""
    if is_transient(error):
        return f"{describe(error)}: check the network, and try again later"
    return first_line(error).rstrip(".")
