"""The prepared pictures belong to the built-in models, are small, and need no torch."""

from __future__ import annotations

import pytest
from helpers import run_fresh_python

from genmodels import zoo
from genmodels.ui import first_page
from genmodels.ui.models import BUILT_IN, weights_digest
from genmodels.ui.prepare import PAGES

MAX_BYTES = 1_500_000


@pytest.mark.parametrize("name", PAGES)
def test_prepared_from_the_weights_in_the_package(name):
    page = first_page.read(name)
    assert page is not None, "run python -m genmodels.ui.prepare"
    assert set(page["weights"]) == {BUILT_IN[kind] for kind in PAGES[name][1]}, "run python -m genmodels.ui.prepare"
    for name, digest in page["weights"].items():
        assert digest == weights_digest(zoo.model_folder(name)), "run python -m genmodels.ui.prepare"


def test_small_and_of_plain_formats():
    files = [path for path in first_page.FOLDER.glob(f"*/{first_page.FIRST}/*") if path.is_file()]
    assert {path.suffix for path in files} <= {".png", ".json"}
    assert sum(path.stat().st_size for path in files) < MAX_BYTES


def test_written_and_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr(first_page, "FOLDER", tmp_path)
    page = {"a": {"b": first_page.PNG_PREFIX + "AAAA", "n": [1, 2]}, "c": None, "d": "text"}
    first_page.write("tab", page)
    assert first_page.read("tab") == page
    assert first_page.read("other") is None


@pytest.mark.slow
def test_the_page_is_built_without_torch_and_diffusers():
    code = (
        "import sys; from genmodels.ui.models import ModelStore; from genmodels.ui.suite import build; build(ModelStore());"
        "print([name for name in ('torch', 'diffusers') if name in sys.modules])"
    )
    result = run_fresh_python("-c", code)
    assert result.stdout.strip() == "[]", result.stderr
