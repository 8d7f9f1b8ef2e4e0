"""A server of one's own models, whose visitors' browsers compute with what `--prepare_page` has made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from suite_browser import new_page, running_app, wait_until
from test_suite import open_tab, pixels

from genmodels.commands.space import files_of_page
from genmodels.errors import UserError
from genmodels.ui.models import ModelStore


def models_of(home) -> str:
    """The folder of the tiny models."""
    return str(Path(home[0].models["map"].folder).parent)


def test_visitors_browsers_draw_from_own_models(browser, home):
    asked = []
    with running_app("--models", models_of(home), "--page", str(home[1])) as (url, _, _):
        page = new_page(browser)
        page.on("request", lambda r: asked.append(r.post_data_json["fn_name"]) if "component_server" in r.url else None)
        page.goto(url)
        page.locator("#map-tab [data-ready]").wait_for()
        tab = open_tab(page, "Samples")
        for model in ("gan", "lapgan"):
            tab.locator(".model").first.select_option(model)
            sheet = tab.locator(".sheet img").first
            before = pixels(sheet)
            tab.locator(".new").first.click()
            wait_until(page, lambda shown=sheet, old=before: pixels(shown) != old)
        tab = open_tab(page, "Map")
        picture = tab.locator("canvas.picture")
        before = pixels(picture)
        tab.locator(".stage").focus()
        page.keyboard.press("ArrowRight")
        wait_until(page, lambda: pixels(picture) != before)
        assert page.locator(".notice.bad:visible").all_inner_texts() == []
        page.close()
    # What a tab begins with is the server's, since it is not prepared.
    assert not [name for name in asked if name not in ("start", "decoder")]


def test_a_space_takes_the_page_of_its_models_along(home):
    files = files_of_page(home[1], ModelStore(models_of(home)))
    assert {"page/models/index.json", "page/engine/ort.wasm.bundle.min.mjs", "page/models/gan/generator.onnx"} <= set(
        files
    )
    assert all(path == home[1] / name.removeprefix("page/") for name, path in files.items())
    with pytest.raises(UserError, match=r"none of its models is one that this Space shows: make it"):
        files_of_page(home[1], ModelStore())
    with pytest.raises(UserError, match="is no folder of a page that computes"):
        files_of_page(home[1] / "models", ModelStore())
