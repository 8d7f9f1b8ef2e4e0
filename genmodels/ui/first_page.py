"""The pictures that stand in each tab before the networks are loaded: small files made ahead from the built-in models."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

from . import Json
from .pictures import PNG_PREFIX

# A view's own lies in this folder of it.
FOLDER, FIRST = Path(__file__).parent, "first"
# Stands in page.json in front of the name of a PNG beside it.
FILE_PREFIX = "file:"


def write(view: str, page: Json) -> None:
    """Write a view's first page: page.json, and a PNG for each picture in it."""
    folder = FOLDER / view / FIRST
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

    def store(value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {key: store(v, f"{name}-{key}" if name else key) for key, v in value.items()}
        if isinstance(value, str) and value.startswith(PNG_PREFIX):
            file = f"{name}.png"
            (folder / file).write_bytes(base64.b64decode(value.removeprefix(PNG_PREFIX)))
            return FILE_PREFIX + file
        return value

    (folder / "page.json").write_text(json.dumps(store(page, ""), separators=(",", ":")) + "\n")


def read(view: str) -> Json | None:
    """A view's first page with its pictures as data URIs; None if it has not been prepared."""
    folder = FOLDER / view / FIRST

    def restore(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: restore(v) for key, v in value.items()}
        if isinstance(value, str) and value.startswith(FILE_PREFIX):
            data = (folder / value.removeprefix(FILE_PREFIX)).read_bytes()
            return PNG_PREFIX + base64.b64encode(data).decode()
        return value

    try:
        return restore(json.loads((folder / "page.json").read_text()))
    except (OSError, ValueError):
        return None
