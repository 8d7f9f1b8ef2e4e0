"""What files beside images say of them: metadata.csv and metadata.jsonl, and the dataset.json of StyleGAN."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from ..errors import UserError

METADATA_NAMES = ("metadata.csv", "metadata.tsv", "metadata.jsonl")
FILE_NAME = "file_name"


def read_metadata(data: bytes, name: str) -> Iterator[tuple[str, dict[str, object]]]:
    """Each row of a metadata file: the image's name, relative to the file, and its other columns; None where there is nothing.

    Raises:
        UserError: it is no such file, or names an image outside of the folder.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 text (byte {error.start:,}): save it as UTF-8.") from error
    rows = _json_rows(text, name) if name.endswith(".jsonl") else _csv_rows(text, name)
    for number, row in rows:
        image = row.pop(FILE_NAME, None)
        if not isinstance(image, str) or not image:
            raise UserError(f"{name} has no {FILE_NAME} in line {number}: each row names the image that it describes.")
        image = image.replace("\\", "/")
        if image.startswith("/") or ".." in image.split("/") or "://" in image:
            raise UserError(
                f"{name} names {image!r} in line {number}, which leads out of the folder: give names inside of it."
            )
        yield image, row


def _json_rows(text: str, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UserError(f"{name} is no JSON in line {number}: {error}.") from error
        if not isinstance(row, dict):
            raise UserError(f"{name} holds no JSON object in line {number}: each line is one, with {FILE_NAME}.")
        yield number, row


def _csv_rows(text: str, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    header = text.split("\n", 1)[0]
    # Spreadsheets of some languages separate with semicolons.
    delimiter = max(",;\t", key=header.count)
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    if FILE_NAME not in [column.strip() for column in table.fieldnames or []]:
        raise UserError(
            f"{name} has no column {FILE_NAME}: its columns are {', '.join(table.fieldnames or []) or 'none'}."
        )
    for cells in table:
        row = {key.strip(): _csv_value(cell) for key, cell in cells.items() if key is not None}
        if any(value is not None for value in row.values()):
            yield table.line_num, row


def _csv_value(text: str | None) -> str | bool | None:
    """A cell: True and False as in CelebA's tables, None if it is empty."""
    text = (text or "").strip()
    return {"true": True, "false": False, "": None}.get(text.lower(), text)


def read_stylegan_labels(data: bytes, name: str) -> dict[str, object] | None:
    """The labels in the dataset.json of StyleGAN by image name, empty if it says that there are none; None if it is no such file.

    Raises:
        UserError: it is one, and its labels are of no use.
    """
    try:
        content = json.loads(data)
    except ValueError:
        return None
    if not isinstance(content, dict) or "labels" not in content:
        return None
    labels = content["labels"] or []
    try:
        found = {str(image).replace("\\", "/"): _class_of(label) for image, label in labels}
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{name} is to hold labels as pairs of a file name and a number, or null, as StyleGAN's dataset_tool writes them."
        ) from error
    return {image: label for image, label in found.items() if label is not None}


def _class_of(label: object) -> object:
    """A class number; of a one-hot vector the place of its one."""
    if isinstance(label, list):
        if sorted(label) != [0] * (len(label) - 1) + [1]:
            raise ValueError("no one-hot vector")
        return label.index(1)
    return label
