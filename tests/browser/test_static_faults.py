"""The page as files when something is wrong: a sentence says so, and everything else works."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from helpers import make_pipeline
from suite_browser import wait_until
from test_static_page import open_tab, see_all, served, watched
from test_suite import TABS, pixels, steps_in

from genmodels.export import Origin, export_model
from genmodels.ui import static

# A graph takes torch seconds.
pytestmark = pytest.mark.slow

# How often a page has been handed to a worker that keeps its files.
KEPT_BY = "navigator.serviceWorker.controller?.state ?? ''"


@pytest.fixture(scope="module")
def site(home, tmp_path_factory) -> Path:
    """The page of files with a tiny model of each kind, none of them built in."""
    store, root = home
    folder = shutil.copytree(root, tmp_path_factory.mktemp("site") / "site")
    static.write_page(store, folder)
    return folder


@pytest.fixture
def copy(site, tmp_path) -> Path:
    """One that a test may damage."""
    return shutil.copytree(site, tmp_path / "site")


def folder_of(site: Path, name: str) -> Path:
    """Where a model lies."""
    (index,) = site.glob("*/models.json")
    (folder,) = {entry["folder"] for entry in json.loads(index.read_text()) if entry["name"] == name}
    return site / "models" / folder


def another_gan(place: Path) -> Path:
    """The export of a model that has the shape of "gan" and other weights."""
    export_model(make_pipeline("gan", seed=9), place / "another", Origin())
    return place / "another"


def choose(tab, model: str) -> None:
    tab.locator(".model").first.select_option(model)


def draw_anew(page, tab) -> None:
    """Press the button, and wait for other images."""
    sheet = tab.locator(".sheet img").first
    before = pixels(sheet)
    tab.locator(".new").first.click()
    wait_until(page, lambda: pixels(sheet) != before)


@pytest.mark.parametrize("width", [1280, 390])
def test_own_models_have_every_view(browser, site, width):
    """Without a server nobody else makes the first pictures of a model that is not built in."""
    with served(site) as (url, _), watched(browser, url, width, 664 if width < 500 else 800) as page:
        see_all(page, width)
        for name in TABS:
            tab = open_tab(page, name)
            for view in tab.locator(".views button").all():
                view.click()
                assert view.get_attribute("aria-pressed") == "true"
            assert tab.locator(".notice.bad:visible").all_inner_texts() == []
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name


def test_a_torn_file_and_one_of_another_model_are_said(browser, copy):
    torn, foreign = (folder_of(copy, name) / "generator.onnx" for name in ("gan", "lapgan"))
    torn.write_bytes(torn.read_bytes()[:1500])
    foreign.write_bytes((folder_of(copy, "cgan") / "generator.onnx").read_bytes())
    with served(copy) as (url, _), watched(browser, url) as page:
        tab = open_tab(page, "Samples")
        for name, said in (("gan", "its file is damaged."), ("lapgan", "its file is of another model.")):
            choose(tab, name)
            notice = tab.locator(".notice").first
            notice.get_by_text(f"{name} cannot be computed in this page: {said}", exact=True).wait_for()
        choose(tab, "cgan")
        notice.wait_for(state="hidden")
        draw_anew(page, tab)


def test_a_model_of_the_same_shape_is_another_one_all_the_same(browser, copy, tmp_path):
    """It would draw, and nobody would see that it is not what the page says."""
    shutil.copyfile(another_gan(tmp_path) / "generator.onnx", folder_of(copy, "gan") / "generator.onnx")
    with served(copy) as (url, _), watched(browser, url) as page:
        tab = open_tab(page, "Samples")
        choose(tab, "gan")
        tab.locator(".notice.bad").get_by_text("its file is of another model.").wait_for()


def test_without_webassembly_one_sentence_and_what_needs_none(browser, site):
    with served(site) as (url, _), watched(browser, url, service_workers="block") as page:
        page.add_init_script("delete globalThis.WebAssembly")
        page.goto(url)
        see_all(page, 1280)
        for name in TABS:
            notes = open_tab(page, name).locator("p.note", has_text="This browser has no WebAssembly")
            assert notes.count() == 1, name
        # A small decoder is plain JavaScript, and so is the training of points.
        stage = open_tab(page, "Map").locator(".stage")
        stage.evaluate("""stage => {
            window.decoded = [];
            stage.addEventListener('decoded', ({ detail }) => window.decoded.push(detail.here));
        }""")
        stage.focus()
        page.keyboard.press("ArrowRight")
        wait_until(page, lambda: page.evaluate("window.decoded.includes(true)"))
        tab = open_tab(page, "Training")
        tab.locator(".live-run").click()
        wait_until(page, lambda: steps_in(tab.locator(".live-count")) > 0)
        # What draws by a model says why it does not.
        tab = open_tab(page, "Samples")
        tab.locator(".new").first.click()
        tab.locator(".notice.bad").get_by_text("This browser has no WebAssembly, which the models need.").wait_for()


def give_room(page, url: str, quota: int) -> None:
    """Let the browser give so many bytes to all that this page keeps."""
    session = page.context.new_cdp_session(page)
    session.send("Storage.overrideQuotaForOrigin", {"origin": url.rstrip("/"), "quotaSize": quota})


def test_where_no_room_is_left_the_page_works_from_the_network(browser, site):
    with served(site) as (url, _), watched(browser, url, permissions=[]) as page:
        wait_until(page, lambda: page.evaluate(KEPT_BY) == "activated")
        give_room(page, url, 1)
        page.goto(f"{url}?tab=samples")
        tab = open_tab(page, "Samples")
        draw_anew(page, tab)
        assert tab.locator(".notice:visible").all_inner_texts() == []


def test_where_nothing_can_be_kept_the_page_works_all_the_same(browser, site):
    with served(site) as (url, _), watched(browser, url, permissions=[]) as page:
        page.goto("about:blank")
        give_room(page, url, 1)
        page.goto(url)
        see_all(page, 1280)
        draw_anew(page, open_tab(page, "Samples"))


ADDRESSES = [
    ("tab=samples&model=gone-model&seed=3", "Samples", "model=gone-model"),
    ("tab=samples&show=magic", "Samples", "show=magic"),
    ("tab=classes&class=dragon&seed=-4", "Classes", "seed=-4, class=dragon"),
    ("tab=yesterday", "Map", "tab=yesterday"),
    ("tab=real_or_fake&show=sides&model=old&side=left", "Real or fake?", "model=old, side=left"),
    ("tab=training&loss=magic", "Training", "loss=magic"),
    ("tab=samples&model=gan&seed=3&psi=0.8&utm_source=mail", "Samples", None),
]


def test_an_address_of_yesterdays_page_is_told_once(browser, site):
    with served(site) as (url, _), watched(browser, url) as page:
        for address, tab, said in ADDRESSES:
            page.goto(f"{url}?{address}")
            shown = page.locator(TABS[tab])
            shown.locator("[data-ready]").wait_for()
            sentence = f"The address asks for {said}, which this page does not have: it shows what it has."
            assert page.locator(".lost").all_inner_texts() == ([sentence] if said else [])
            assert shown.locator(".notice.bad:visible").all_inner_texts() == []


def test_a_page_whose_files_are_gone_says_to_reload(browser, copy):
    """As one that a browser or a proxy has kept from before the page changed."""
    (version,) = (path.parent for path in copy.glob("*/models.json"))
    version.rename(copy / "another")
    with served(copy) as (url, _):
        page = browser.new_page({"width": 390, "height": 664}, service_workers="block")
        page.goto(url)
        page.get_by_text("This page has changed since your browser kept it: reload it.").wait_for()
        page.close()


def drawn_by_gan(page, url: str) -> str:
    """The images of seed 5, as the page opens with them."""
    page.goto(f"{url}?tab=samples&model=gan&seed=5")
    sheet = page.locator("#samples-tab .sheet img").first
    wait_until(page, lambda: "of seed 5 " in (sheet.get_attribute("alt") or ""))
    assert page.locator("#samples-tab .notice:visible").all_inner_texts() == []
    return pixels(sheet)


def test_files_of_an_older_version_are_not_taken_for_new_ones(browser, copy, home, tmp_path):
    """The worker of yesterday still answers when today's page opens, and has a model of the same name."""
    with served(copy) as (url, _), watched(browser, url, permissions=[]) as page:
        wait_until(page, lambda: page.evaluate(KEPT_BY) == "activated")
        before = drawn_by_gan(page, url)
        shutil.copytree(home[1] / "models", copy / "models", dirs_exist_ok=True)
        shutil.copytree(another_gan(tmp_path), copy / "models" / "gan", dirs_exist_ok=True)
        for version in copy.glob("*/models.json"):
            shutil.rmtree(version.parent)
        static.write_page(home[0], copy)
        assert drawn_by_gan(page, url) != before
