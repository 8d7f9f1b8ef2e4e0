"""The suite in a real browser, as a visitor uses it."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from suite_browser import Wire, drag_over_map, new_page, percentile, running_app, wait_until, wait_until_warm

TABS = {
    "Map": "#map-tab",
    "Samples": "#samples-tab",
    "Classes": "#classes-tab",
    "Real or fake?": "#real-or-fake-tab",
    "Training": "#training-tab",
}
PICTURES = {
    "Map": "canvas.picture",
    "Samples": ".sheet img",
    "Classes": "img.number",
    "Real or fake?": ".game-picture",
    "Training": ".live-stage",
}
# How many different brightnesses an element shows: a real picture has many, an empty one has one.
SHADES = """element => {
    const canvas = document.createElement('canvas');
    canvas.width = element.naturalWidth || element.width;
    canvas.height = element.naturalHeight || element.height;
    const context = canvas.getContext('2d');
    context.drawImage(element, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    return new Set(data.filter((_, i) => i % 4 === 1)).size;
}"""

# The largest difference between two canvases, in steps of 8 bits.
FARTHEST = """(one, other) => {
    const [a, b] = [one, other].map(e => e.getContext('2d').getImageData(0, 0, e.width, e.height).data);
    return a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), 0);
}"""

# By how much what is on the page has moved by itself since it was opened (Cumulative Layout Shift, https://web.dev/articles/cls),
# and what counts as good.
LAYOUT_SHIFT = """() => new Promise(resolve => {
    let sum = 0;
    new PerformanceObserver(list => { for (const shift of list.getEntries()) sum += shift.value; })
        .observe({ type: 'layout-shift', buffered: true });
    setTimeout(() => resolve(sum), 200);
})"""
GOOD_LAYOUT_SHIFT = 0.1


# Holds back the answers of one function of the server, and counts in window.most how many calls of it were under way at once.
SLOW = """([name, ms]) => {
    const ask = window.fetch;
    let now = 0;
    window.most = 0;
    window.fetch = async (url, options) => {
        if (!String(options?.body).includes(`"fn_name":"${name}"`)) return ask(url, options);
        window.most = Math.max(window.most, ++now);
        const answer = await ask(url, options);
        await new Promise(done => setTimeout(done, ms));
        now -= 1;
        return answer;
    };
}"""

# Views of maps: their names, where the pointer moves, what it draws, and what says that they are there.
MAPS = [
    ("the VAE", ".stage", "canvas.picture", ".where:has-text('z₁ = ')"),
    ("VAE and autoencoder", ".twin-stage", "canvas.twin-picture", ".twin-where:has-text('z = (')"),
]


def open_tab(page, name: str):
    page.get_by_role("tab", name=name).click()
    tab = page.locator(TABS[name])
    tab.locator(".body").wait_for(state="visible")
    return tab


def pixels(locator) -> str:
    return locator.evaluate("e => e.toDataURL ? e.toDataURL() : e.src")


def farthest(canvas, other) -> int:
    return canvas.evaluate(FARTHEST, other.element_handle())


def wait_for_change(page, locator, before: str) -> None:
    wait_until(page, lambda: pixels(locator) != before)


def wait_for_code(tab, part: str) -> None:
    wait_until(tab.page, lambda: part in tab.locator(".code code").inner_text())


@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (390, "dark")])
def test_every_tab_shows_a_picture_before_any_click(open_page, width, theme):
    page = open_page(width, 844, theme)
    for name in TABS:
        tab = open_tab(page, name)
        picture = tab.locator(PICTURES[name]).first
        picture.wait_for(state="visible")
        wait_until(page, lambda shown=picture: shown.evaluate(SHADES) > 8)
        assert picture.bounding_box()["width"] >= 28
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        assert tab.locator(".code code").inner_text().startswith(("from", "import"))


def test_what_comes_first_is_small_and_the_other_tabs_come_when_they_are_opened(browser, app):
    """Of a browser that has nothing of the page yet: what is ours, as it comes over the wire."""
    page = new_page(browser, locale="en-US")
    wire = Wire(page)
    page.goto(app)
    page.locator("#map-tab [data-ready]").wait_for()
    wait_until(page, lambda: page.locator("#map-tab canvas.picture").evaluate(SHADES) > 8)
    first = wire.ours()
    assert "/" in first
    assert sum(first.values()) <= 300_000, first
    assert not [path for path in first if "/tabs/" in path]
    for name in ("classes", "samples"):
        shown = open_tab(page, name.title()).locator(PICTURES[name.title()]).first
        shown.wait_for(state="visible")
        wait_until(page, lambda shown=shown: shown.evaluate(SHADES) > 8)
        (size,) = [size for path, size in wire.ours().items() if path.endswith(f"/tabs/{name}.json")]
        assert size > 20_000
    # It stays, and is asked for once.
    number = page.locator("#classes-tab .text")
    page.get_by_role("tab", name="Classes").click()
    number.fill("77")
    page.get_by_role("tab", name="Samples").click()
    page.get_by_role("tab", name="Classes").click()
    assert number.input_value() == "77"
    assert len([request for request in wire.requests if "/tabs/" in request.url]) == 2
    page.close()


def test_a_tab_says_that_it_comes_and_waits_for_a_network_that_is_lost(browser, app):
    page, held = new_page(browser, locale="en-US"), []
    page.route("**/tabs/classes.json", lambda route: held.append(route))
    page.goto(app)
    page.get_by_role("tab", name="Classes").click()
    tab = page.locator("#classes-tab")
    tab.get_by_text("Loading this tab.").wait_for()
    # Nothing half-made stands there.
    assert tab.locator("button, input, img, canvas").count() == 0
    wait_until(page, lambda: held)
    held.pop().abort()
    tab.get_by_text("The server does not answer; trying again.").wait_for()
    wait_until(page, lambda: held)
    held.pop().continue_()
    tab.locator("[data-ready]").wait_for()
    tab.locator("img.number").wait_for(state="visible")
    page.close()


def test_a_tab_that_is_gone_says_so(browser, app):
    page = new_page(browser, locale="en-US")
    page.route("**/tabs/classes.json", lambda route: route.fulfill(status=404))
    page.goto(f"{app}/?tab=classes")
    page.locator("#classes-tab").get_by_text("This tab cannot be loaded: reload the page").wait_for()
    # All else works.
    open_tab(page, "Samples").locator(".sheet img").first.wait_for(state="visible")
    page.close()


def test_the_picture_follows_the_pointer(open_page, capsys):
    page = open_page()
    picture = page.locator("#map-tab canvas.picture")
    before = pixels(picture)
    milliseconds = drag_over_map(page)
    assert pixels(picture) != before
    assert len(milliseconds) >= 30
    with capsys.disabled():
        print(
            f"\npointer to picture: p50 {percentile(milliseconds, 0.5):.1f} ms, p95 {percentile(milliseconds, 0.95):.1f} ms"
        )


def test_arrow_keys_walk_over_the_map(warm_page):
    stage, where = warm_page.locator("#map-tab .stage"), warm_page.locator("#map-tab .where")
    stage.focus()
    before = where.inner_text()
    for key in ("ArrowUp", "ArrowRight", "ArrowRight", "Shift+ArrowDown"):
        picture = pixels(warm_page.locator("#map-tab canvas.picture"))
        warm_page.keyboard.press(key)
        wait_for_change(warm_page, warm_page.locator("#map-tab canvas.picture"), picture)
    assert where.inner_text() != before


def test_touch_moves_over_the_map(open_page):
    page = open_page(390, 844, has_touch=True, is_mobile=True)
    box = page.locator("#map-tab .stage").bounding_box()
    before = page.locator("#map-tab .where").inner_text()
    page.touchscreen.tap(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.2)
    page.wait_for_function("text => document.querySelector('#map-tab .where').innerText !== text", arg=before)


@pytest.mark.parametrize(("moved", "other"), [("map", "autoencoder"), ("autoencoder", "map")])
def test_two_maps_have_one_cursor(warm_page, moved, other):
    tab = warm_page.locator("#map-tab")
    tab.get_by_role("button", name="VAE and autoencoder").click()
    stage, picture = tab.locator(f"[data-kind={moved}] .twin-stage"), tab.locator(f"[data-kind={other}] .twin-picture")
    tab.locator(f"[data-kind={other}] .twin-where", has_text="z = (").wait_for()
    for move in (lambda: stage.click(position={"x": 60, "y": 90}), lambda: stage.press("ArrowRight")):
        before, ring = pixels(picture), pixels(tab.locator(f"[data-kind={other}] .twin-stage"))
        move()
        wait_for_change(warm_page, picture, before)
        assert pixels(tab.locator(f"[data-kind={other}] .twin-stage")) != ring
    where = tab.locator(".twin-where").all_inner_texts()
    assert where[0] == where[1] != "z = (0.00, 0.00)"
    # A corner of the square is far from every test image.
    stage.click(position={"x": 2, "y": 2})
    tab.locator(f"[data-kind={moved}] .hole").wait_for()
    wait_for_code(tab, "AutoencoderPipeline")
    tab.get_by_role("button", name="the VAE", exact=True).click()
    assert tab.locator(".stage").is_visible()
    assert not stage.is_visible()


def test_moves_over_a_map_ask_nobody(warm_page):
    """The built-in decoders are so small that they run in the page."""
    tab, requests = warm_page.locator("#map-tab"), []
    warm_page.on("request", lambda request: requests.append(request.url))

    def moves_by_itself(stage, picture) -> bool:
        """From the first move on the decoder is on its way."""
        requests.clear()
        before = pixels(picture)
        stage.press("ArrowRight")
        at_once = pixels(picture) != before
        warm_page.wait_for_timeout(100)
        return at_once and requests == []

    for view, stage, picture, where in MAPS:
        tab.get_by_role("button", name=view, exact=True).click()
        tab.locator(where).first.wait_for()
        both = tab.locator(stage).first, tab.locator(picture).last
        wait_until(warm_page, lambda both=both: moves_by_itself(*both))


def test_a_browser_without_webassembly_draws_the_map_all_the_same(open_page):
    page = open_page()
    page.add_init_script("delete globalThis.WebAssembly")
    page.reload()
    wait_until(page, lambda: wait_until_warm(page) or page.evaluate("window.decoded.map(spot => spot.here)") == [True])


def test_an_anchor_is_dragged_and_the_line_changes(warm_page):
    strip = warm_page.locator("#map-tab .strip canvas").last
    before = pixels(strip)
    stage = warm_page.locator("#map-tab .stage")
    stage.focus()
    warm_page.keyboard.press("b")
    wait_for_change(warm_page, strip, before)
    # Now B lies where the ring is; from there it is dragged with the pointer.
    z = warm_page.evaluate("window.decoded.at(-1).z")
    box = stage.bounding_box()
    limit = float(stage.get_attribute("data-limit"))
    x = box["x"] + (z[0] / limit + 1) / 2 * box["width"]
    y = box["y"] + (1 - z[1] / limit) / 2 * box["height"]
    before = pixels(strip)
    warm_page.mouse.move(x, y)
    warm_page.mouse.down()
    warm_page.mouse.move(box["x"] + 40, box["y"] + 40, steps=8)
    warm_page.mouse.up()
    wait_for_change(warm_page, strip, before)
    picture = warm_page.locator("#map-tab canvas.picture")
    before = pixels(picture)
    warm_page.locator("#map-tab .t").fill("3")
    wait_for_change(warm_page, picture, before)


def test_a_drawing_is_placed_on_the_map(warm_page):
    pad, verdict = warm_page.locator("#map-tab .pad"), warm_page.locator("#map-tab .verdict")
    warm_page.locator("#map-tab .clear").click()
    assert "Draw" in verdict.inner_text()
    pad.scroll_into_view_if_needed()
    box, stage = pad.bounding_box(), pixels(warm_page.locator("#map-tab .stage"))
    warm_page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 25)
    warm_page.mouse.down()
    warm_page.mouse.move(box["x"] + box["width"] / 2 - 8, box["y"] + box["height"] - 25, steps=12)
    warm_page.mouse.up()
    warm_page.wait_for_function("document.querySelector('#map-tab .verdict').innerText.includes('z = (')")
    assert pixels(warm_page.locator("#map-tab .stage")) != stage
    assert warm_page.locator("#map-tab .seen").evaluate(SHADES) > 3
    assert warm_page.locator("#map-tab .back").evaluate(SHADES) > 8


def test_new_images_and_a_pair_of_them(warm_page):
    tab = open_tab(warm_page, "Samples")
    sheet, large = tab.locator(".sheet img"), tab.locator("canvas.large")
    before = pixels(sheet)
    tab.locator(".new").click()
    wait_for_change(warm_page, sheet, before)
    before = pixels(sheet)
    tab.locator(".seed").fill("12")
    wait_for_change(warm_page, sheet, before)
    wait_for_code(tab, "seed=12")
    before = pixels(sheet)
    tab.get_by_role("button", name="64").click()
    wait_for_change(warm_page, sheet, before)
    assert sheet.evaluate("e => e.naturalWidth") == 8 * 32
    before = pixels(large)
    tab.locator(".cells button").nth(40).click()
    tab.locator(".cells button").nth(63).click()
    wait_for_change(warm_page, large, before)
    assert tab.locator(".cells button[data-end]").count() == 2
    code = tab.locator(".code code")
    wait_until(warm_page, lambda: "latents[40], latents[63]" in code.inner_text())
    # A smaller sheet has two others of its own.
    tab.get_by_role("button", name="16", exact=True).click()
    wait_until(warm_page, lambda: tab.locator(".cells button").count() == 16)
    assert [tab.locator(f".cells [data-end={end}]").get_attribute("aria-label") for end in "AB"] == [
        "image 1, A",
        "image 2, B",
    ]
    wait_until(warm_page, lambda: "a=0&b=1" in warm_page.url)
    tab.get_by_role("button", name="From A to B").click()
    wait_until(warm_page, lambda: "latents[0], latents[1]" in code.inner_text())


def test_a_training_film_is_scrubbed(open_page):
    tab = open_tab(open_page(), "Samples")
    film = tab.locator(".training canvas")
    # It is fetched when it comes into view, whether the networks are loaded or not.
    tab.locator(".training").scroll_into_view_if_needed()
    film.wait_for()
    assert "step 10,000 of 10,000" in tab.locator(".training output").inner_text()
    last = pixels(film)
    tab.locator(".training .step").fill("0")
    assert "step 0 of 10,000" in tab.locator(".training output").inner_text()
    assert pixels(film) != last
    wait_for_code(tab, "film.seek(0)")


@pytest.fixture(scope="module")
def three_gans(browser, tmp_path_factory):
    """An open Samples tab with three tiny models."""
    from helpers import make_pipeline

    folder = tmp_path_factory.mktemp("gans")
    for kind in ("gan", "dcgan", "wgan"):
        make_pipeline(kind).save_pretrained(folder / kind)
    with running_app("--models", str(folder)) as (url, _, _):
        page = new_page(browser, 390, 844)
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        yield page
        page.close()
        assert errors == []


def test_all_models_draw_and_walk_at_once(three_gans):
    page = three_gans
    tab = open_tab(page, "Samples")
    tab.get_by_role("button", name="all side by side").click()
    tab.locator(".row-of[data-seed]").nth(2).wait_for()
    rows = tab.locator(".row-of[data-seed]")
    assert rows.count() == 3
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    walks = [rows.nth(i).locator(".walk") for i in range(3)]
    before = [pixels(walk) for walk in walks]
    tab.locator(".gallery-t").fill("24")
    assert all(pixels(walk) != old for walk, old in zip(walks, before, strict=True))
    # The end of the walk is the image in the column of B.
    for i, walk in enumerate(walks):
        assert pixels(walk) == pixels(rows.nth(i).locator(".cell-of").nth(3))
    before = pixels(walks[2])
    tab.get_by_role("button", name="Column 6").click()
    tab.get_by_role("button", name="Column 2").click()
    wait_for_change(page, walks[2], before)
    wait_for_code(tab, "load_pipeline")
    wait_until(page, lambda: page.url.endswith("?tab=samples&show=all&a=5&b=1"))
    page.goto(f"{page.url}&seed=3")
    tab.locator(".row-of[data-seed='3']").nth(2).wait_for()
    assert tab.locator(".heads [data-end]").evaluate_all("ends => ends.map(e => e.ariaLabel)") == [
        "Column 2, B",
        "Column 6, A",
    ]


def test_another_model_is_chosen(three_gans):
    tab = open_tab(three_gans, "Samples")
    tab.get_by_role("button", name="one model").click()
    sheet = tab.locator(".sheet img")
    tab.locator(".model").select_option(label="wgan")
    tab.locator(".code code", has_text="WGANPipeline").wait_for(state="attached")
    before = pixels(sheet)
    tab.locator(".model").select_option(label="gan")
    wait_for_change(three_gans, sheet, before)
    assert sheet.evaluate("e => e.naturalWidth") == 6 * 28
    assert not tab.locator(".training").is_visible()


def test_truncation_changes_the_pictures(warm_page):
    for name, picture in (("Samples", ".sheet img"), ("Classes", ".row canvas >> nth=0")):
        tab = open_tab(warm_page, name)
        shown = tab.locator(picture)
        before = pixels(shown)
        tab.locator(".psi").fill("0")
        wait_for_change(warm_page, shown, before)
        assert tab.locator(".psi-value").inner_text() == "0.00"
        # The snippet may come a moment after the picture.
        tab.locator(".code code", has_text="psi=0").wait_for(state="attached")


def test_a_number_is_written(warm_page):
    tab = open_tab(warm_page, "Classes")
    number = tab.locator("img.number")
    before = pixels(number)
    tab.locator(".text").fill("31")
    wait_for_change(warm_page, number, before)
    assert number.evaluate("e => [e.naturalWidth, e.naturalHeight]") == [2 * 28, 28]
    before = pixels(number)
    tab.locator(".text").fill("2026")
    wait_for_change(warm_page, number, before)
    assert number.evaluate("e => [e.naturalWidth, e.naturalHeight]") == [4 * 28, 28]
    tab.locator(".text").fill("20x6")
    tab.get_by_text("Only the digits 0 to 9").wait_for()
    tab.locator(".text").fill("")
    tab.get_by_text("Type a number").wait_for()


def test_classes_are_chosen_and_mixed(warm_page):
    tab = open_tab(warm_page, "Classes")
    samples, large = tab.locator(".samples canvas").first, tab.locator("canvas.large")
    before = pixels(samples)
    tab.get_by_role("button", name="5", exact=True).click()
    wait_for_change(warm_page, samples, before)
    before = pixels(large)
    tab.locator(".t").fill("24")
    wait_for_change(warm_page, large, before)
    assert "100% 8" in tab.locator(".share").inner_text()


def test_another_conditional_model_brings_its_own_classes(warm_page):
    tab = open_tab(warm_page, "Classes")
    tab.locator("img.number[src^=data]").wait_for()
    before = pixels(tab.locator(".samples canvas").first)
    tab.locator(".model").select_option("cgan-emoji")
    tab.locator(".pick").get_by_role("button", name="Flags", exact=True).click()
    wait_for_change(warm_page, tab.locator(".samples canvas").first, before)
    tab.locator(".row figcaption:has-text('Objects')").wait_for()
    assert tab.locator(".row canvas").first.evaluate("e => [e.width, e.height]") == [32, 32]
    assert not tab.locator(".writer").is_visible()
    assert tab.get_by_role("button", name="Number", exact=True).count() == 0
    assert tab.locator(".to option").all_inner_texts()[-1] == "Travel & Places"
    wait_until(warm_page, lambda: "model=cgan-emoji" in warm_page.url and "class=Flags" in warm_page.url)
    # The address brings it back; digits have their number again.
    warm_page.reload()
    tab.locator(".row figcaption:has-text('Objects')").wait_for()
    assert tab.locator(".pick [aria-pressed=true]").inner_text() == "Flags"
    tab.locator(".model").select_option("cgan-mnist")
    tab.locator("img.number").wait_for()
    assert tab.locator(".pick [aria-pressed=true]").inner_text() == "3"


def test_a_real_image_is_compared_with_training_images(warm_page):
    tab = open_tab(warm_page, "Real or fake?")
    tab.get_by_role("button", name="Side by side").click()
    tab.locator(".real .tiles button").nth(3).click()
    tab.get_by_text("Real image 4").wait_for()
    assert tab.locator(".near .found figure").count() == 5
    wait_for_code(tab, "pipe.neighbors(")
    # The histograms are there with the first page.
    assert tab.locator(".ranked").inner_text().startswith("Bars: 300 test images and 300 generated ones")
    for name, columns, rows in (("Nearest", 6, 1), ("Scores", 8, 4)):
        tab.locator(".code-choices").get_by_role("button", name=name).click()
        with warm_page.expect_download() as saved:
            tab.get_by_role("button", name="Save as PNG").click()
        # The longest side has about 1024 pixels, each of the picture's a whole number of them.
        image = Image.open(saved.value.path())
        assert image.width == columns * 28 * (1024 // (columns * 28))
        assert image.height * columns == image.width * rows
    before = pixels(tab.locator(".generated .tiles canvas").first)
    tab.get_by_role("button", name="Emoji").click()
    wait_for_change(warm_page, tab.locator(".generated .tiles canvas").first, before)
    tab.get_by_text("Out of 668 training images").wait_for()
    assert "of real images" in tab.locator(".plot").get_attribute("aria-label")
    wait_for_code(tab, '"cgan-emoji"')
    # Image, score and neighbours are of one draw, however late the draw comes.
    warm_page.evaluate(SLOW, ["compare", 700])
    chosen, large = tab.locator(".real .tiles button").nth(3), tab.locator(".near canvas.large")
    for button in ("New images", "Digits"):
        before = pixels(chosen.locator("canvas"))
        tab.get_by_role("button", name=button).click()
        wait_for_change(warm_page, chosen.locator("canvas"), before)
        wait_until(warm_page, lambda: pixels(large) == pixels(chosen.locator("canvas")))
        assert tab.locator(".chosen").inner_text().endswith(f"score {chosen.locator('.score').inner_text()}")


def test_a_child_takes_its_parents_place(warm_page):
    tab = open_tab(warm_page, "Samples")
    tab.get_by_role("button", name="breed", exact=True).click()
    children, parents = tab.locator(".breed-children canvas"), tab.locator(".breed-parents canvas")
    children.nth(11).wait_for()
    chosen, before, other = (pixels(canvas) for canvas in (children.nth(4), children.first, parents.nth(1)))
    # The keyboard stays where it was, at a parent's button and at a child's.
    tab.locator(".breed-parents button").first.press("Enter")
    assert warm_page.evaluate("document.activeElement.ariaLabel").startswith("Parent A")
    tab.locator(".breed-children button").nth(4).press("Enter")
    assert [pixels(parents.nth(i)) for i in (0, 1)] == [chosen, other]
    wait_for_change(warm_page, children.first, before)
    assert warm_page.evaluate("document.activeElement.ariaLabel").startswith("Child 5")
    assert tab.locator(".breed-parents [aria-pressed=true]").get_attribute("aria-label").startswith("Parent B")
    wait_for_code(tab, "pipe.breed(")
    before = pixels(children.first)
    tab.locator(".breed-mutation").fill("1")
    wait_for_change(warm_page, children.first, before)
    # The seed of a later litter means nothing without its parents.
    wait_until(warm_page, lambda: warm_page.url.endswith("tab=samples&show=breed&mutation=1"))


def test_a_loop_is_drawn_and_can_be_kept(warm_page):
    tab = open_tab(warm_page, "Samples")
    tab.get_by_role("button", name="loop", exact=True).click()
    film = tab.locator(".loop-film")
    wait_until(warm_page, lambda: (film.get_attribute("src") or "").startswith("data:image/webp"))
    with warm_page.expect_download() as download:
        tab.locator(".loop-save").click()
    assert download.value.suggested_filename == "cgan-emoji-0.webp"


def test_the_game_is_played_with_keys_and_counts(warm_page):
    tab = open_tab(warm_page, "Real or fake?")
    picture, truth = tab.locator(".game-picture"), tab.locator(".game-truth")
    right = 0
    for guess, said in (("1", "real"), ("2", "fake"), ("1", "real")):
        before = pixels(picture)
        warm_page.keyboard.press(guess)
        tab.locator(".game-near .found figure").nth(4).wait_for()
        right += truth.inner_text().startswith("Right")
        # A second guess is none.
        warm_page.keyboard.press("2")
        rows = tab.locator(".game-scores tbody tr")
        assert [cell.split("\t")[0] for cell in rows.all_inner_texts()] == ["You", "Discriminator", "Evaluator"]
        assert rows.first.locator("td").first.inner_text() == said
        warm_page.keyboard.press("3")
        wait_for_change(warm_page, picture, before)
        assert truth.inner_text() == ""
    assert rows.first.locator("td").nth(1).inner_text() == f"{right} of 3"
    tab.get_by_role("button", name="Emoji").click()
    warm_page.wait_for_function("document.querySelector('.game-picture').width === 32")
    assert rows.first.locator("td").nth(1).inner_text() == "0 of 0"


def test_the_best_streak_stays_in_the_browser(open_page):
    page = open_page()
    page.evaluate("localStorage.setItem('genmodels-best-streak', '17')")
    page.reload()
    tab = open_tab(page, "Real or fake?")
    tab.get_by_text("best: 17").wait_for()
    # What is no number is no record.
    page.evaluate("localStorage.setItem('genmodels-best-streak', 'NaN')")
    page.reload()
    open_tab(page, "Real or fake?").get_by_text("best: 0").wait_for()


def test_a_gan_is_trained_paused_and_started_again(warm_page):
    tab = open_tab(warm_page, "Training")
    stage, count, run = tab.locator(".live-stage"), tab.locator(".live-count"), tab.locator(".live-run")
    before = pixels(stage)
    tab.get_by_role("button", name="Mode collapse").click()
    wait_until(warm_page, lambda: count.inner_text() == "step 0")
    assert pixels(stage) != before
    assert tab.locator(".live-discriminator-rate").input_value() == "0.0001"
    recipe, most = tab.locator(".live-recipes [aria-pressed=true]"), tab.locator(".live-discriminator-steps")
    # What is not allowed is not shown as if it were trained; what makes another recipe of it is told as that.
    most.fill("99")
    most.press("Enter")
    assert most.input_value() == "1"
    assert recipe.inner_text() == "Mode collapse"
    most.fill("5")
    most.press("Enter")
    assert recipe.inner_text() == "Cure: five steps of it"
    tab.get_by_role("button", name="Mode collapse").click()
    wait_until(warm_page, lambda: "discriminator_steps" not in tab.locator(".code code").inner_text())
    run.click()
    wait_until(warm_page, lambda: steps_in(count) > 20)
    assert run.inner_text() == "Pause"
    run.click()
    assert run.inner_text() == "Go on"

    def stands_still() -> bool:
        before = steps_in(count)
        warm_page.wait_for_timeout(1000)
        return steps_in(count) == before

    # Once the turn that was under way has ended.
    wait_until(warm_page, stands_still)
    # The plane that is shown is that of the step.
    paused = steps_in(count)
    wait_for_code(tab, f"gan.train({paused})")
    tab.get_by_role("button", name="One step").click()
    wait_until(warm_page, lambda: steps_in(count) == paused + 1)
    # What is changed while it runs holds from then on: nothing begins anew, and the Python tells it.
    run.click()
    tab.locator(".live-loss").select_option("wasserstein")
    tab.get_by_label("gradient penalty").check()
    assert recipe.count() == 0
    wait_until(warm_page, lambda: steps_in(count) > paused + 30)
    wait_for_code(tab, 'loss="wasserstein", gradient_penalty=True')
    assert run.inner_text() == "Pause"
    tab.get_by_role("button", name="Back to step 0").click()
    wait_until(warm_page, lambda: steps_in(count) == 0)
    assert run.inner_text() == "Start"


def test_drawn_points_are_learned(warm_page):
    tab = open_tab(warm_page, "Training")
    stage, count, run = tab.locator(".live-stage"), tab.locator(".live-count"), tab.locator(".live-run")
    tab.get_by_role("button", name="Your own").click()
    tab.get_by_text("Draw on the plane").wait_for()
    box = stage.bounding_box()
    x, y = box["x"] + box["width"] / 4, box["y"] + box["height"] / 4
    warm_page.mouse.move(x, y)
    warm_page.mouse.down()
    warm_page.mouse.move(x + box["width"] / 2, y, steps=8)
    warm_page.mouse.up()
    # It starts by itself.
    wait_until(warm_page, lambda: steps_in(count) > 20)
    run.click()
    wait_for_code(tab, "torch.tensor([[-1.50, 1.50], [")
    # Points lie where they were drawn: each is a mode.
    points = tab.locator(".code code").inner_text().count("1.50]")
    assert 5 < points <= 9
    wait_until(warm_page, lambda: f" of {points} modes" in tab.locator(".live-modes").inner_text())
    tab.get_by_role("button", name="Your own").click()
    wait_until(warm_page, lambda: " of 0 modes" in tab.locator(".live-modes").inner_text())


def test_digits_are_trained_by_the_server(warm_page):
    tab = open_tab(warm_page, "Training")
    stage, count, run = tab.locator(".live-stage"), tab.locator(".live-count"), tab.locator(".live-run")
    # The first start of the process takes a while.
    tab.get_by_role("button", name="Digits").click()
    wait_until(warm_page, lambda: "two digits differ" in tab.locator(".live-modes").inner_text())
    # Whoever presses fast has one turn after another, and one loop.
    warm_page.evaluate(SLOW, ["live_train", 300])
    for _ in range(2):
        tab.get_by_role("button", name="One step").click()
    for _ in range(3):
        run.click()
    wait_until(warm_page, lambda: steps_in(count) > 3)
    assert run.inner_text() == "Pause"
    assert warm_page.evaluate("window.most") == 1
    run.click()
    # 6 by 6 digits of 28 pixels, each as many whole ones of the screen and of what is saved.
    assert stage.evaluate("e => e.width") == 168
    assert stage.bounding_box()["width"] % 168 == 0
    with warm_page.expect_download() as saved:
        tab.get_by_role("button", name="Save as PNG").click()
    large = np.asarray(Image.open(saved.value.path()).convert("L"))
    assert large.shape == (6 * 168, 6 * 168)
    assert (large == large[::6, ::6].repeat(6, 0).repeat(6, 1)).all()


def test_a_replay_has_one_cursor(warm_page):
    tab = open_tab(warm_page, "Training")
    tab.get_by_role("button", name="Replay").click()
    film, slider, at = tab.locator(".replay-film").first, tab.locator(".replay-step"), tab.locator(".replay-at")
    wait_until(warm_page, lambda: " of 10,000" in at.inner_text())
    last = pixels(film)
    slider.fill("0")
    assert pixels(film) != last
    assert at.inner_text().startswith("step 0 of")
    box = tab.locator(".replay-losses").bounding_box()
    warm_page.mouse.click(box["x"] + box["width"] - 9, box["y"] + 40)
    assert pixels(film) == last
    tab.locator(".replay-beside").select_option("dcgan-mnist")
    beside = tab.locator(".replay-film").nth(1)
    beside.wait_for()
    wait_until(
        warm_page,
        lambda: (
            beside.evaluate("e => e.width") > 0 and tab.locator(".replay-name").nth(1).inner_text() == "dcgan-mnist"
        ),
    )
    slider.fill("1")
    assert pixels(film) != pixels(beside)
    code = tab.locator(".code code")
    assert "film.seek(1)" in code.inner_text()
    assert "dcgan-mnist" in code.inner_text()
    tab.locator(".replay-beside").select_option("")
    assert tab.locator(".code-choices button").all_inner_texts() == ["Live", "Replay"]
    # Under each view stands its own.
    for view, part in (("By heart?", "suspects"), ("Live", "gan.train("), ("Replay", "film.seek(")):
        tab.locator(".views").get_by_role("button", name=view).click()
        code.get_by_text(part).wait_for()
    # The one that was chosen last is shown, in whatever order the answers come.
    warm_page.evaluate(SLOW, ["replay", 500])
    first = tab.locator(".replay-name").first.inner_text()
    tab.locator(".replay-model").select_option("wgan-mnist")
    tab.locator(".replay-model").select_option(label=first)
    warm_page.wait_for_timeout(1500)
    assert tab.locator(".replay-name").first.inner_text() == first


def steps_in(count) -> int:
    return int(count.inner_text().removeprefix("step ").replace(",", ""))


def test_own_models_and_a_broken_one(browser, tmp_path):
    import torch

    from genmodels import DCGANDiscriminator, DCGANGenerator, DCGANPipeline, VAEDecoder, VAEEncoder, VAEPipeline

    torch.manual_seed(0)
    generator = DCGANGenerator(sample_size=16, latent_dim=8, base_channels=4).eval()
    DCGANPipeline(generator, DCGANDiscriminator(sample_size=16, base_channels=4, norm="none")).save_pretrained(
        tmp_path / "tiny"
    )
    VAEPipeline(VAEEncoder(base_channels=4), VAEDecoder(base_channels=4)).save_pretrained(tmp_path / "torn")
    for weights in (tmp_path / "torn").rglob("*.safetensors"):
        weights.write_bytes(b"torn")
    with running_app("--models", str(tmp_path)) as (url, _, _):
        page = new_page(browser)
        page.goto(url)
        page.locator("#map-tab").get_by_text("does not load").wait_for()
        tab = open_tab(page, "Samples")
        page.wait_for_function("document.querySelector('#samples-tab .sheet img').naturalWidth === 6 * 16")
        assert tab.locator(".new").inner_text() == "New images"
        wait_for_code(tab, str(tmp_path / "tiny"))
        assert open_tab(page, "Classes").locator("img.number").evaluate(SHADES) > 8
        # Not prepared, so asked for.
        compared = open_tab(page, "Real or fake?")
        compared.get_by_role("button", name="Side by side").click()
        compared.get_by_text("Bars: 300 test images").wait_for()
        page.close()


@pytest.fixture(scope="module")
def faces_tab(browser, tmp_path_factory):
    """The Map tab beside a tiny VAE of colour images with attributes, at the view Faces."""
    import torch

    from genmodels import AttributeDirections, VAEDecoder, VAEEncoder, VAEPipeline

    torch.manual_seed(0)
    shape = {"sample_size": 16, "num_channels": 3, "latent_dim": 4, "base_channels": 4, "hidden_dim": 16}
    attributes = AttributeDirections(["Smiling", "Wearing_Hat"], latent_dim=4)
    attributes.directions.data = 9 * torch.randn(2, 4)
    folder = tmp_path_factory.mktemp("faces") / "vae-faces"
    VAEPipeline(VAEEncoder(**shape).eval(), VAEDecoder(**shape).eval(), attributes).save_pretrained(folder)
    with running_app("--models", str(folder)) as (url, _, _):
        page = new_page(browser, 390, 844)
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        tab = page.locator("#map-tab")
        tab.get_by_role("button", name="Faces", exact=True).click()
        tab.locator(".faces-view[data-seed]").wait_for()
        yield tab
        page.close()
        assert errors == []


def test_a_slider_changes_the_face(faces_tab):
    page, after = faces_tab.page, faces_tab.locator(".face-after")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    faces_tab.get_by_role("button", name="Face 3", exact=True).click()
    chosen = faces_tab.locator(".face-tiles canvas").nth(2)
    assert pixels(faces_tab.locator(".face-before")) == pixels(chosen)
    page.wait_for_function("document.querySelector('#map-tab .code code').innerText.includes('num_images=3')")
    before = pixels(after)
    faces_tab.get_by_role("slider", name="Wearing Hat").fill("1.5")
    wait_for_change(page, after, before)
    wait_for_code(faces_tab, '{"Wearing_Hat": 1.5}')
    edited = pixels(after)
    chosen.press("ArrowRight")
    wait_for_change(page, after, edited)
    faces_tab.get_by_role("button", name="Reset").click()
    assert faces_tab.get_by_role("slider", name="Wearing Hat").input_value() == "0"
    old = pixels(chosen)
    faces_tab.get_by_role("button", name="New faces").click()
    wait_for_change(page, chosen, old)


def test_a_photo_is_aligned_and_edited(faces_tab, tmp_path):
    from PIL import Image

    page, before = faces_tab.page, faces_tab.locator(".face-before")
    Image.effect_mandelbrot((300, 200), (-2, -1, 1, 1), 60).convert("RGB").save(tmp_path / "photo.png")
    drawn = pixels(before)
    faces_tab.locator(".photo-file").set_input_files(tmp_path / "photo.png")
    wait_for_change(page, before, drawn)
    assert pixels(before) == pixels(faces_tab.locator(".photo-back"))
    code = faces_tab.locator(".code code")
    code.get_by_text("crop((50, 0, 250, 200))").wait_for()
    for _ in range(3):
        faces_tab.locator(".photo-stage").press("ArrowRight")
    code.get_by_text("crop((38, 0, 238, 200))").wait_for()
    faces_tab.locator(".photo-zoom").fill("2")
    code.get_by_text("crop((88, 50, 188, 150))").wait_for()
    (tmp_path / "torn.png").write_bytes(b"torn")
    faces_tab.locator(".photo-file").set_input_files(tmp_path / "torn.png")
    faces_tab.get_by_text("no picture that this browser can show").wait_for()
    faces_tab.get_by_role("button", name="Face 1", exact=True).click()
    code.get_by_text("num_images=1").wait_for()


def test_a_spot_of_the_grid_sets_two_strengths(faces_tab):
    page, right, up = faces_tab.page, faces_tab.locator(".factor-a"), faces_tab.locator(".factor-b")
    corner = faces_tab.get_by_role("button", name="Smiling +2.00, Wearing Hat +2.00")
    corner.click()
    assert [faces_tab.get_by_role("slider", name=n).input_value() for n in ("Smiling", "Wearing Hat")] == ["2", "2"]
    page.wait_for_function("document.querySelector('#map-tab .code code').innerText.includes('\"Wearing_Hat\": 2')")
    assert farthest(faces_tab.locator(".face-after"), corner.locator("canvas")) <= 1
    right.select_option("Wearing_Hat")
    assert up.input_value() == "Smiling"
    faces_tab.locator(".factor-grid[data-axes='Wearing_Hat Smiling']").wait_for()
    wait_for_code(faces_tab, "pipe.traverse(")


def test_faces_are_spoken_of_only_with_a_model_of_them(open_page):
    from genmodels.ui.models import FACES, ModelStore

    built_in = FACES in ModelStore(tabs=("map",)).models
    page = open_page()
    views = page.locator("#map-tab .views button").all_inner_texts()
    assert views == ["the VAE", "VAE and autoencoder", *(["Faces"] if built_in else [])]
    assert page.locator(".faces-view").count() == built_in


# Of each view: an address, what it brings back, what is then changed, and to which address that leads. A control says its value,
# a button whether it is pressed, a download its file's name, and all else its text.
ADDRESSES = [
    ("classes", "seed=7&labels=2026", {".text": "2026", ".seed": "7"}, (".text", "12"), "labels=12"),
    (
        "classes",
        "labels=12&from=3&to=5&class=9",
        {".text": "12", ".from": "3", ".to": "5", "[data-value='9']": "true"},
        (".seed", "8"),
        "seed=8",
    ),
    (
        "samples",
        "seed=11&count=16&psi=0.5&a=3&b=4",
        {".seed": "11", ".psi": "0.5", ".count [data-value='16']": "true", "[data-end=A]": "true"},
        (".seed", "12"),
        "seed=12",
    ),
    (
        "training",
        "data=digits&loss=wasserstein&seed=3",
        {".live-data [data-value=digits]": "true", ".live-loss": "wasserstein", ".live-seed": "3"},
        (".live-seed", "4"),
        "seed=4",
    ),
    ("map", "z=1,-1.5&a=-2,0&b=0,2", {".where": "z₁ =  1.00\nz₂ = \u22121.50"}, (".t", "6"), "z=-1.5,0.5"),
    ("map", "show=pair&z=1,-1.5", {".twin-where": "z = (1.00, \u22121.50)"}, (".twin-stage", "ArrowUp"), "z=1,-1.34"),
    (
        "map",
        "show=faces&seed=3&face=2&add=0,1.5,0,0,0,0&axes=2,1&sum=4,5,6",
        {
            ".seed": "3",
            ".face-tiles button:nth-child(3)": "true",
            ".face-sliders label:nth-child(2) input": "1.5",
            ".factor-a": "Male",
            ".factor-b": "Eyeglasses",
            ".sum-rows div:nth-child(2) button:nth-of-type(6)": "true",
        },
        (".sum-rows div:nth-child(1) button:nth-of-type(12)", "click"),
        "sum=11,5,6",
    ),
    (
        "samples",
        "model=flow-mnist&seed=2&count=16&class=7&guidance=2.5",
        {".model": "flow-mnist", ".class": "7", ".guidance": "2.5", ".guidance-value": "2.50"},
        (".guidance", "3"),
        "guidance=3",
    ),
    ("samples", "show=breed&class=Flags", {".breed-class": "Flags"}, (".breed-class", "Objects"), "class=Objects"),
    (
        "map",
        "prior=fitted&seed=3",
        {".law [data-value=fitted]": "true"},
        (".law [data-value=normal]", "click"),
        "prior=normal",
    ),
    (
        "samples",
        "show=breed&model=gan-mnist&parents=7&mutation=0.5&seed=3",
        {
            ".breed-model": "gan-mnist",
            ".breed-m": "0.50",
            ".breed-generation": "Choose a child: it takes the place of the marked parent.",
        },
        (".breed-mutation", "0.6"),
        "mutation=0.6",
    ),
    (
        "samples",
        "show=loop&seed=4",
        {".loop-save": "cgan-emoji-4.webp"},
        (".loop-model", "gan-mnist"),
        "model=gan-mnist",
    ),
    (
        "real_or_fake",
        "show=sides&model=samples&seed=5&side=real&image=3",
        {".seed": "5", ".real .tiles button:nth-child(4)": "true", ".kind [data-value=samples]": "true"},
        (".real .tiles button:nth-child(6)", "click"),
        "image=5",
    ),
    (
        "training",
        "show=replay&model=wgan-mnist&beside=dcgan-mnist&step=2000",
        {".replay-model": "wgan-mnist", ".replay-beside": "dcgan-mnist", ".replay-at": "step 2,000 of 10,000"},
        (".replay-step", "0"),
        "step=0",
    ),
    (
        "training",
        "show=memory&seed=3",
        {".memory-kind [data-value=samples]": "false"},
        (".memory-kind [data-value=samples]", "click"),
        "model=samples",
    ),
]
SAID = """e => ({ BUTTON: e.getAttribute('aria-pressed'), INPUT: e.value, SELECT: e.value, A: e.download })[e.tagName]
    ?? e.textContent"""


def test_an_answer_leaves_alone_what_is_being_typed(open_page):
    page, held = open_page(address="tab=training&data=digits"), []
    wait_until(page, lambda: page.locator(".live-count").text_content() == "step 0")

    def hold(route):
        if not held and route.request.post_data_json["fn_name"] == "live_start":
            held.append(route)
        else:
            route.continue_()

    page.route("**/component_server/", hold)
    page.locator(".live-loss").select_option("wasserstein")
    wait_until(page, lambda: held)
    page.locator(".live-seed").fill("4")
    with page.expect_response("**/component_server/"):
        held[0].continue_()
    page.wait_for_timeout(500)
    assert page.locator(".live-seed").input_value() == "4"
    page.locator(".live-seed").press("Enter")
    wait_until(page, lambda: "loss=wasserstein&seed=4" in page.url)


@pytest.mark.parametrize(("tab", "address", "shown", "change", "changed"), ADDRESSES)
def test_an_address_says_what_is_shown(open_page, tab, address, shown, change, changed):
    page = open_page(address=f"tab={tab}&{address}")
    panel = page.locator(f"#{tab.replace('_', '-')}-tab")
    under_way = set()
    page.on("request", lambda request: under_way.add(request) if "component_server" in request.url else None)
    for ended in ("requestfinished", "requestfailed"):
        page.on(ended, lambda request: under_way.discard(request))

    def at_rest() -> bool:
        page.wait_for_timeout(500)
        return not under_way

    def shows(wanted: dict) -> None:
        for control, value in wanted.items():
            wait_until(page, lambda c=control, v=value: panel.locator(c).first.evaluate(SAID) == v)

    shows(shown)
    control, value = panel.locator(change[0]).first, change[1]
    match control.evaluate("e => e.tagName"):
        case "BUTTON":
            control.click()
        case "CANVAS":
            control.press(value)
        case "SELECT":
            control.select_option(value)
        case _:
            control.fill(value)
            control.press("Enter")
    # What was not changed stays in the address, and nothing of other views comes to it.
    kept = [part for part in address.split("&") if part.split("=")[0] not in changed]
    wait_until(page, lambda: all(part in page.url for part in [f"tab={tab}", *kept, *changed.split("&")]))
    wait_until(page, at_rest)
    shown = {name: panel.locator(name).first.evaluate(SAID) for name in shown}
    page.reload()
    shows(shown)


@pytest.mark.parametrize(
    ("address", "shown", "quiet"),
    [
        ("tab=training&show=replay&loss=wasserstein&seed=3", {".live-loss": "nonsaturating"}, "live_start"),
        ("tab=map&z=1,-1.5&seed=3", {".where": "z₁ =  1.00\nz₂ = \u22121.50"}, "faces"),
    ],
)
def test_an_address_asks_nothing_of_other_views(open_page, address, shown, quiet):
    page, asked = open_page(), []
    page.on("request", lambda r: asked.append(r.post_data_json["fn_name"]) if "component_server" in r.url else None)
    page.goto(f"{page.url.split('?')[0]}?{address}")
    for control, value in shown.items():
        wait_until(page, lambda c=control, v=value: page.locator(c).first.evaluate(SAID) == v)
    wait_until(page, lambda: asked)
    page.wait_for_timeout(800)
    assert page.url.endswith(address)
    assert quiet not in asked


def test_the_address_follows_and_leads_back(warm_page):
    # It was the map that the pointer moved over.
    wait_until(warm_page, lambda: "tab=map" in warm_page.url and "z=" in warm_page.url)
    tab = open_tab(warm_page, "Classes")
    wait_until(warm_page, lambda: "tab=classes" in warm_page.url and "z=" not in warm_page.url)
    number = tab.locator("img.number")
    before = pixels(number)
    tab.locator(".text").fill("4711")
    wait_for_change(warm_page, number, before)
    wait_until(warm_page, lambda: "labels=4711" in warm_page.url and "tab=classes" in warm_page.url)
    drawn = pixels(number)
    warm_page.reload()
    wait_until(warm_page, lambda: number.is_visible() and pixels(number) == drawn)
    # Of nonsense in an address is said, once, that it is not here.
    warm_page.goto(warm_page.url.split("?")[0] + "?tab=classes&seed=-1&labels=%3Cb%3E&psi=9&class=77&from=x")
    wait_until(warm_page, lambda: tab.locator(".problem").inner_text() != "")
    sentence = (
        "The address asks for seed=-1, psi=9, class=77, from=x, which this page does not have: it shows what it has."
    )
    assert warm_page.locator(".lost").all_inner_texts() == [sentence]
    assert tab.locator(".seed").input_value() == "10"


def test_back_and_forward_walk_through_tabs_and_views(warm_page):
    def shows(tab: str, view: str) -> bool:
        pressed = warm_page.locator(f"{TABS[tab]} .views [aria-pressed=true]:visible")
        return (
            pressed.count() == 1 and pressed.inner_text() == view and warm_page.title().startswith(f"{tab}: {view} · ")
        )

    # Where the pointer is on the map changes the address and makes no way back.
    first = warm_page.locator(f"{TABS['Map']} .views [aria-pressed=true]").inner_text()
    wait_until(warm_page, lambda: "z=" in warm_page.url and shows("Map", first))
    samples = open_tab(warm_page, "Samples")
    start = samples.locator(".views [aria-pressed=true]").inner_text()
    wait_until(warm_page, lambda: shows("Samples", start) and "tab=samples" in warm_page.url)
    samples.get_by_role("button", name="breed", exact=True).click()
    wait_until(warm_page, lambda: shows("Samples", "breed") and "show=breed" in warm_page.url)
    warm_page.go_back()
    wait_until(warm_page, lambda: shows("Samples", start))
    warm_page.go_back()
    wait_until(warm_page, lambda: shows("Map", first))
    warm_page.go_forward()
    warm_page.go_forward()
    wait_until(warm_page, lambda: shows("Samples", "breed") and "show=breed" in warm_page.url)


def test_a_picture_is_saved_in_whole_pixels(warm_page, tmp_path):
    warm_page.get_by_role("tab", name="Classes").click()
    panel = warm_page.locator("#classes-tab")
    panel.get_by_role("button", name="Table").click()
    with warm_page.expect_download() as saved:
        panel.get_by_role("button", name="Save as PNG").click()
    assert saved.value.suggested_filename == "classes-table.png"
    saved.value.save_as(tmp_path / "table.png")
    pixels = np.asarray(Image.open(tmp_path / "table.png").convert("L"))
    # 8 rows of 10 digits of 28 pixels, each pixel three wide.
    assert pixels.shape == (8 * 28 * 3, 10 * 28 * 3)
    small = pixels[::3, ::3]
    assert (pixels == small.repeat(3, 0).repeat(3, 1)).all()
    shown = panel.locator("img.table").get_attribute("src")
    original = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown.split(",")[1]))).convert("L"))
    assert (small == original).all()


def test_a_posterior_is_drawn_from_again_and_again(warm_page):
    panel = warm_page.locator("#map-tab")
    panel.get_by_role("button", name="A test digit").click()
    draws = panel.locator(".draws canvas")
    panel.get_by_role("button", name="Resample").click()
    draws.nth(7).wait_for()
    before = [pixels(draws.nth(i)) for i in range(8)]
    panel.get_by_role("button", name="Resample").click()
    wait_until(warm_page, lambda: [pixels(draws.nth(i)) for i in range(8)] != before)
    wait_for_code(panel, "deviation")
    panel.get_by_role("button", name="Clear").click()
    assert draws.count() == 0


def test_faces_are_added_and_subtracted(warm_page):
    panel = warm_page.locator("#map-tab")
    panel.get_by_role("button", name="Faces", exact=True).click()
    result = panel.locator(".face-sum")
    wait_until(warm_page, lambda: result.evaluate("canvas => canvas.width") == 64)
    before = pixels(result)
    panel.get_by_role("button", name="+ C: face 12").click()
    wait_for_change(warm_page, result, before)
    wait_for_code(panel, "latents[1] - latents[6] + latents[11]")
    # Nonsense in an address is passed over.
    nonsense = "seed=1e3&face=12&add=9,x&axes=1,1&sum=1,2,12"
    warm_page.goto(f"{warm_page.url.split('?')[0]}?tab=map&show=faces&{nonsense}")
    panel.locator(".faces-view[data-seed='10'] .factor-grid[data-axes='Smiling Eyeglasses']").wait_for()
    panel.get_by_role("button", name="Arithmetic").click()
    panel.locator(".code code", has_text="latents[1] - latents[6] + latents[3]").wait_for()
    assert panel.locator(".face-tiles [aria-pressed=true]").get_attribute("aria-label") == "Face 1"
    assert {slider.input_value() for slider in panel.locator(".face-sliders input").all()} == {"0"}


def test_emoji_move_along_their_directions(warm_page):
    panel = open_tab(warm_page, "Samples")
    panel.get_by_role("button", name="directions", exact=True).click()
    sliders = panel.locator(".directions-sliders input")
    sliders.nth(5).wait_for()
    moved = panel.locator(".directions-pairs canvas").nth(8)
    before = pixels(moved)
    assert before == pixels(panel.locator(".directions-pairs canvas").nth(0))
    sliders.first.fill("4")
    wait_for_change(warm_page, panel.locator(".directions-pairs canvas").nth(8), before)
    wait_for_code(panel, "4.00, 0.00")
    panel.get_by_role("button", name="Reset").click()
    wait_until(warm_page, lambda: pixels(panel.locator(".directions-pairs canvas").nth(8)) == before)


def test_the_page_speaks_the_browsers_language(open_page):
    page = open_page(locale="de-DE")
    page.get_by_role("tab", name="Echt oder nicht?").wait_for()
    panel = page.locator("#map-tab")
    assert "alle Modelle" not in panel.inner_text()
    assert "Ein Variational Autoencoder presst jedes Bild in zwei Zahlen" in panel.inner_text()
    panel.get_by_role("button", name="Eine Testziffer").wait_for()
    assert panel.locator(".code-choices button").first.inner_text() == "Stelle"
    assert panel.locator(".stage").get_attribute("aria-label").startswith("Latente Karte")
    assert "lebendig unter deinen Händen" in page.locator("#suite-header").inner_text()
    page.get_by_role("tab", name="Klassen").click()
    page.locator("#classes-tab .text").fill("12x")
    page.get_by_text("Nur die Ziffern 0 bis 9 lassen sich schreiben").wait_for()
    page.goto(f"{page.url.split('?')[0]}?tab=training")
    page.get_by_role("button", name="Rückblick").wait_for()
    page.get_by_role("button", name="Auswendig?").click()
    # Points and commas as Germans write them, in one sentence.
    page.get_by_text(re.compile(r"10\.000 Trainingsbilder.* 0,\d{3} ")).wait_for()
    page.get_by_role("tab", name="Echt oder nicht?").click()
    page.get_by_role("button", name="Nebeneinander").click()
    assert "MNIST-Ziffern" in page.locator("#real-or-fake-tab .about").inner_text()
    page.get_by_role("button", name="Zahlen", exact=True).click()
    numbers = page.locator(".numbers-table").inner_text()
    assert "Klassengenauigkeit" in numbers
    assert re.search(r"n = \d+\.\d{3}\b", numbers)
    assert re.search(r"\d,\d", numbers)


def test_other_languages_see_english(open_page):
    page = open_page(locale="ja-JP")
    page.get_by_role("tab", name="Real or fake?").wait_for()
    page.locator("#map-tab").get_by_role("button", name="A test digit").wait_for()


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_jumps_while_the_page_loads(open_page, width):
    shifts = []
    # Beside other tests the parts of a page can come one by one: one calm load of five is enough.
    while len(shifts) < 5 and min(shifts, default=1) >= GOOD_LAYOUT_SHIFT:
        page = open_page(width)
        page.wait_for_timeout(1500)
        shifts.append(page.evaluate(LAYOUT_SHIFT))
    assert min(shifts) < GOOD_LAYOUT_SHIFT, shifts


def test_search_engines_are_told_what_the_page_is(open_page):
    page = open_page()
    assert page.locator("html").get_attribute("lang") == "en"
    assert "genmodels: " in page.title()
    assert 50 <= len(page.locator("meta[name=description]").get_attribute("content")) <= 160


def test_links_to_the_page_show_it(open_page, app):
    page = open_page()
    said = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('meta[property^=og]')]
            .map(e => [e.attributes[0].value, e.content]))"""
    )
    assert said["og:title"].startswith("genmodels: ")
    assert said["og:url"] == app
    assert page.locator("meta[content*=Gradio]").count() == 0
    for address, size in ((said["og:image"], (1200, 630)), (f"{app}/favicon.ico", (192, 192))):
        with Image.open(io.BytesIO(page.request.get(address).body())) as image:
            assert (image.format, image.size) == ("PNG", size)


def test_a_lost_connection_is_told_and_mended(browser, app):
    page = new_page(browser)
    page.goto(app)
    wait_until_warm(page)
    tab = open_tab(page, "Samples")
    field = page.locator("#samples-tab .seed")
    notice = page.locator(".body.samples > .notice")
    field.fill("3")
    wait_for_code(tab, "seed=3")
    page.context.set_offline(True)
    field.fill("4")
    wait_until(page, lambda: notice.text_content() == "The server does not answer; trying again.")
    page.wait_for_timeout(2000)
    assert "seed=3" in tab.locator(".code code").inner_text()
    page.context.set_offline(False)
    wait_for_code(tab, "seed=4")
    wait_until(page, notice.is_hidden)
    page.close()


def test_a_busy_server_is_told_and_asked_again(browser, app):
    page = new_page(browser)
    asked = []

    def answer(route):
        call = json.loads(route.request.post_data)
        if call["fn_name"] != "sheet":
            return route.continue_()
        asked.append(call["data"]["seed"])
        busy = {"status": "busy", "message": "The server is busy: try again in a few seconds.", "retry": 1}
        return route.continue_() if told else route.fulfill(json=busy)

    told = []
    page.route("**/component_server/", answer)
    page.goto(app)
    wait_until_warm(page)
    tab = open_tab(page, "Samples")
    page.locator("#samples-tab .seed").fill("5")
    # Busy until that is seen: on a loaded machine a second may pass unseen.
    page.get_by_text("The server is busy; trying again.").wait_for()
    told.append(True)
    wait_for_code(tab, "seed=5")
    assert asked[:2] == [5, 5]
    page.close()
