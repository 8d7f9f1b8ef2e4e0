"""The notebook.ipynb of a model repository, which the Hub's Colab and Kaggle buttons open: the code of the card, in cells."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ..folder import ModelFolder, write_text

NOTEBOOK = "notebook.ipynb"
INSTALL = '%pip install -q "genmodels @ git+https://github.com/genmodels/genmodels"'
SHOW = "from diffusers.utils import make_image_grid\n\nmake_image_grid({images}, rows=1, cols=len({images}))"


def write_notebook(folder: Path) -> None:
    """Write `folder`/notebook.ipynb: install, load, draw, and what else the family can do.

    Args:
        folder: of a saved pipeline or evaluator with the README.md of `write_card`, whose first Python this is made from.
    """
    saved = ModelFolder(folder)
    card = saved.card.read_text(encoding="utf-8")
    title = re.search(r"^# .+$", card, re.MULTILINE)
    code = re.search(r"^```python\n(.+?)\n```$", card, re.DOTALL | re.MULTILINE)
    if title is None or code is None:
        return
    cells = [INSTALL, code[1]]
    if saved.family:
        load, draw = code[1].split("\nimages = ", 1)
        cells = [INSTALL, load, f"images = {draw}", SHOW.format(images="images")]
        # Between two images of one class an encoder would have to be told which.
        if not (saved.family.encodes and saved.config(saved.family.draws).get("num_classes")):
            ends = "images[0], images[1]" if saved.family.encodes else "0, 1"
            cells.append(f"way = pipe.interpolate({ends}, steps=8).images\nmake_image_grid(way, rows=1, cols=len(way))")
    content = {
        "cells": [cell("markdown", title[0]), *(cell("code", text) for text in cells)],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 4,
    }
    write_text(folder / NOTEBOOK, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def cell(kind: str, text: str) -> dict[str, Any]:
    """One cell in the format of Jupyter, a list of lines."""
    of_code: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": text.splitlines(keepends=True), **of_code}
