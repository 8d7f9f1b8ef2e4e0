"""The page as files: what any file server has of it opens, draws, and stays without a network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import free_port
from PIL import Image
from suite_browser import fetch, new_page, wait_until
from test_page_backend import engine_files
from test_suite import PICTURES, SHADES, TABS, pixels, steps_in

from genmodels.ui import static
from genmodels.ui.in_page.models import INDEX, write_json, write_model
from genmodels.ui.models import SAMPLES, ModelStore

# Building takes seconds, and a graph some more.
pytestmark = pytest.mark.slow
# What lies in the caches of the page, once a service worker answers for it. `navigator.serviceWorker.ready` would wait for
# ever for one that cannot be installed.
KEPT = """async () => {
    const active = (await navigator.serviceWorker.getRegistration())?.active?.state === 'activated';
    return active ? (await caches.keys()).filter(name => name.startsWith('genmodels-')) : [];
}"""


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, subprocess.Popen]]:
    """The address of `python -m http.server`, and its process."""
    port = free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            url = f"http://127.0.0.1:{port}/"
            while fetch(url) is None:
                assert server.poll() is None
                time.sleep(0.05)
            yield url, server
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The page with one model, if there is an engine for it."""
    folder, engine = tmp_path_factory.mktemp("site"), engine_files()
    if engine is not None:
        shutil.copytree(engine, folder / "engine")
        store = ModelStore(tabs=("samples",))
        store.load(further=False)
        (folder / "models").mkdir()
        write_json(folder / "models" / INDEX, [write_model(store, store.models[SAMPLES], folder / "models")])
    static.write_page(ModelStore(), folder)
    return folder


@contextmanager
def watched(browser, url: str, width: int = 1280, height: int = 800, **options) -> Iterator:
    """A page of a fresh browser; at the end, no console error and no request to another host may have been seen."""
    errors, outside = [], []
    page = new_page(browser, width, height, color_scheme="dark" if width < 500 else "light", **options)
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda r: None if r.url.startswith((url, "data:", "blob:")) else outside.append(r.url))
    try:
        page.goto(url)
        yield page
    finally:
        page.close()
    assert (errors, outside) == ([], [])


def kept_version(page) -> str:
    """The name of the one cache there is in the end."""
    wait_until(page, lambda: len(page.evaluate(KEPT)) == 1)
    (name,) = page.evaluate(KEPT)
    return name


def open_tab(page, name: str):
    page.get_by_role("tab", name=name).click()
    tab = page.locator(TABS[name])
    tab.locator("[data-ready]").wait_for()
    return tab


def see_all(page, width: int) -> None:
    """Every tab has its picture."""
    for name, selector in PICTURES.items():
        picture = open_tab(page, name).locator(selector).first
        picture.wait_for(state="visible")
        wait_until(page, lambda shown=picture: shown.evaluate(SHADES) > 8)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name


@pytest.mark.parametrize("width", [1280, 390])
def test_every_view_is_drawn_and_nothing_is_asked_of_others(browser, site, width):
    with served(site) as (url, _), watched(browser, url, width, 664 if width < 500 else 800) as page:
        see_all(page, width)
        # What needs a server is not there.
        tab = open_tab(page, "Training")
        assert tab.locator(".live-data button").all_inner_texts() == ["Ring of 8", "Grid of 25", "Your own"]
        # Also views whose models are not here open.
        for name in TABS:
            for view in open_tab(page, name).locator(".views button").all():
                view.click()
                assert view.get_attribute("aria-pressed") == "true"


def test_it_opens_without_a_network_after_the_first_visit(browser, site):
    with served(site) as (url, server), watched(browser, url) as page:
        page.locator("#map-tab [data-ready]").wait_for()
        kept_version(page)
        server.terminate()
        server.wait()
        page.goto(f"{url}?tab=training")
        page.locator("#training-tab [data-ready]").wait_for()
        see_all(page, 1280)
        tab = open_tab(page, "Training")
        tab.locator(".live-run").click()
        wait_until(page, lambda: 0 < steps_in(tab.locator(".live-count")) != 600)


def test_a_new_version_takes_the_place_of_the_old(browser, site, tmp_path):
    folder = shutil.copytree(site, tmp_path / "site")
    with served(folder) as (url, _), watched(browser, url) as page:
        old = kept_version(page)
        index = folder / "index.html"
        index.write_text(index.read_text().replace("<title>", "<title>new "))
        static.write_offline(folder)
        page.reload()
        wait_until(page, lambda: "new " in page.title())
        wait_until(page, lambda: kept_version(page) != old)


def test_a_model_is_loaded_when_it_is_wanted(browser, site):
    if engine_files() is None:
        pytest.skip("npm has not brought the engine.")
    with served(site) as (url, _), watched(browser, url) as page:
        asked = []
        page.on("request", lambda request: asked.append(request.url.removeprefix(url).partition("?")[0]))
        sheet = open_tab(page, "Samples").locator(".sheet img").first
        before = pixels(sheet)
        assert not [path for path in asked if path.startswith("engine/")]
        page.locator("#samples-tab .new").first.click()
        wait_until(page, lambda: pixels(sheet) != before)
        assert [path for path in asked if path.endswith(".wasm.gz")]
        assert [path for path in asked if path.endswith("generator.onnx")]


def test_a_phone_can_install_it(site):
    manifest = json.loads((site / "manifest.webmanifest").read_text())
    assert (manifest["display"], manifest["start_url"]) == ("standalone", "./")
    sizes = []
    for icon in manifest["icons"]:
        with Image.open(site / icon["src"]) as image:
            assert icon["sizes"] == f"{image.width}x{image.height}"
            sizes.append(image.width)
    assert sizes == [192, 512]


def test_what_opens_it_is_small_and_whole(site):
    """Every file that the service worker keeps from the start is there, and it is less than a megabyte and a half."""
    text = (site / "offline.js").read_text()
    files = json.loads(re.search(r"JSON\.parse\('(.*)'\)", text)[1])
    assert not [name for name in files if name != "./" and not (site / name).is_file()]
    assert sum((site / name).stat().st_size for name in files if name != "./") < 1.5e6
    assert "<version>" not in text
