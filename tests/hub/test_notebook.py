"""The notebook of a pushed model: well-formed, made from the card, and each of its cells runs, for every family."""

from __future__ import annotations

import json
import shutil

import pytest

from genmodels import zoo
from genmodels.families import FAMILIES
from genmodels.folder import ModelFolder
from genmodels.hub.cards import write_card
from genmodels.hub.notebook import INSTALL, write_notebook

OF_FAMILY = {ModelFolder(zoo.model_folder(name)).class_name: name for name in reversed(zoo.model_names())}
MODELS = [*OF_FAMILY.values(), "vae-celeba", "denoiser-mnist", "evaluator-mnist"]


def test_every_family_is_tried():
    assert OF_FAMILY.keys() == {family.class_name for family in FAMILIES}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_its_cells_run_in_their_order(tmp_path, monkeypatch, name):
    folder = shutil.copytree(zoo.model_folder(name), tmp_path / name)
    write_card(folder, f"alice/{name}")
    write_notebook(folder)
    notebook = json.loads((folder / "notebook.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"], notebook["metadata"]["kernelspec"]["name"]) == (
        4,
        4,
        "python3",
    )
    title, install, *cells = notebook["cells"]
    assert (title["cell_type"], title["source"]) == ("markdown", [f"# {name}"])
    assert install["source"] == [INSTALL]
    monkeypatch.chdir(tmp_path)
    card, scope = (folder / "README.md").read_text(encoding="utf-8"), {}
    for cell in cells:
        assert (cell["cell_type"], cell["outputs"], cell["execution_count"]) == ("code", [], None)
        code = "".join(cell["source"])
        assert code in card or "make_image_grid(" in code
        exec(code.replace(f'"alice/{name}"', repr(str(folder))), scope)
    if name.startswith("evaluator"):
        return
    assert len(scope["images"]) == 4
    assert len(scope.get("way", [])) == (0 if name == "cvae-mnist" else 8)
    assert (tmp_path / "sample.png").is_file()
