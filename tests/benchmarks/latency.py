"""Print how long the page takes to answer one visitor: `python tests/benchmarks/latency.py`.

One table of what is measured and what it shall be. With the files of `app --prepare_page`, browsers compute; without, the server.

- first load: bytes on the wire until the first picture, of an empty cache: the page's own, and what Gradio brings;
- first picture: from the address to the map's picture on the screen;
- map, faces: from a move over the map, and of an attribute's slider, to the picture;
- sheet, table, flow: from "New" to another contact sheet of 36 digits, to the table of 8 latents and 10 classes, with which the
  rest of the tab is drawn, and to the first step of a sheet of 16 of the flow model; the first one of each also waits for the
  model's files, and is not counted;
- guess, round: from a guess to the truth, and from "Next" to the next picture of the game;
- ring: steps a second of the points' training, and frames.

Alone on the machine, in headless Chromium; each click waits for the answer to the last. Arguments are those of app.py, such as
--page DIR.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from playwright.sync_api import Locator, Page, sync_playwright

sys.path.append(str(Path(__file__).parents[1]))
from suite_browser import FLAGS, Wire, chromium, drag_over_map, new_page, percentile, running_app

ROUNDS, FEW = 30, 6
# Milliseconds in which whatever else a click has begun comes to its end, of pictures and of what draws in steps.
REST, LONG_REST = 500, 8000
# Act, and wait until an element of the tab gets another attribute or content, ten seconds at most: milliseconds.
MILLISECONDS = """([tab, act, watched, argument]) => new Promise((resolve, reject) => {
    const root = document.querySelector(tab), start = performance.now();
    const done = new MutationObserver(() => {
        done.disconnect();
        resolve(performance.now() - start);
    });
    const all = { attributes: true, childList: true, characterData: true, subtree: true };
    done.observe(root.querySelector(watched), all);
    setTimeout(() => reject(new Error(`nothing changed in ${tab}`)), 10000);
    new Function('root', 'argument', act)(root, argument);
})"""
# The same for a canvas that tells when it is painted, by an event of an element above it.
TOLD = """([view, event, act, argument]) => new Promise((resolve, reject) => {
    const root = document.querySelector(view);
    root.addEventListener(event, ({ detail }) => resolve(detail.ms), { once: true });
    setTimeout(() => reject(new Error(`no ${event} of ${view}`)), 10000);
    new Function('root', 'argument', act)(root, argument);
})"""
CLICK = "root.querySelector(argument).click()"
SLIDE = """const slider = root.querySelector('.face-sliders input');
slider.value = argument;
slider.dispatchEvent(new Event('input'));"""
# Steps and frames of some seconds of training.
TRAIN = """async seconds => {
    const root = document.querySelector('#training-tab'), count = root.querySelector('.live-count');
    const steps = () => Number((/[\\d.,]+/.exec(count.textContent)?.[0] ?? '').replace(/\\D/g, ''));
    const pause = ms => new Promise(done => setTimeout(done, ms));
    root.querySelector('.live-run').click();
    await pause(2000);
    let frames = 0, on = true;
    const frame = () => { frames++; if (on) requestAnimationFrame(frame); };
    const [before, start] = [steps(), performance.now()];
    requestAnimationFrame(frame);
    await pause(1000 * seconds);
    const passed = (performance.now() - start) / 1000;
    on = false;
    const found = [(steps() - before) / passed, frames / passed];
    root.querySelector('.live-run').click();
    return found;
}"""


def milliseconds(page: Page, tab: str, act: str, watched: str, argument: str | float) -> float:
    """How long it takes until something else of the tab is shown."""
    return page.evaluate(MILLISECONDS, [tab, act, watched, argument])


def open_tab(page: Page, name: str, ready: str, view: str | None = None) -> Locator:
    """Show a tab and one of its views, and wait until something is there."""
    page.get_by_role("tab", name=name).click()
    tab = page.locator("[role=tabpanel] .suite-widget:visible")
    tab.locator("[data-ready]").wait_for()
    if view is not None:
        tab.locator(".views").get_by_role("button", name=view, exact=True).click()
    tab.locator(ready).first.wait_for()
    return tab


def clicks(page: Page, tab: str, press: str, watched: str, rounds: int = ROUNDS, rest: int = REST) -> list[float]:
    """From each click to the picture, one after another; the first one waits for files."""
    found = []
    for _ in range(rounds + 1):
        found.append(milliseconds(page, tab, CLICK, watched, press))
        page.wait_for_timeout(rest)
    return found[1:]


def report(name: str, values: list[float], goal: float | None = None, unit: str = "ms") -> None:
    """One row of the table."""
    values = sorted(values)
    p50, p95 = percentile(values, 0.5), percentile(values, 0.95)
    shall = f"{'>=' if unit == '/s' else '<='} {goal:g} {unit}" if goal else ""
    print(
        f"{name:14} {shall:>11} {len(values):5} {p50:9.1f} {p95:9.1f} {values[-1]:9.1f} {unit}",
        flush=True,
    )


def first_load(browser, url: str) -> None:
    """The bytes and the time of the first picture, of an empty cache."""
    seconds, sizes, ours = [], {}, {}
    for _ in range(3):
        page = new_page(browser)
        wire, start = Wire(page), time.perf_counter()
        page.goto(url)
        page.locator("#map-tab [data-ready]").wait_for()
        seconds.append(1000 * (time.perf_counter() - start))
        sizes, ours = wire.sizes(), wire.ours()
        page.close()
    report("first picture", seconds)
    report("first load", [sum(ours.values()) / 1000], 300, "KB")
    report("  of Gradio", [(sum(sizes.values()) - sum(ours.values())) / 1000], None, "KB")
    for path, size in sorted(ours.items(), key=lambda entry: -entry[1])[:5]:
        print(f"    {size / 1000:6.1f} KB {path}")


def main() -> None:
    with running_app(*sys.argv[1:]) as (url, _, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        print(f"{'':14} {'shall be':>11} {'times':>5} {'p50':>9} {'p95':>9} {'slowest':>9}")
        first_load(browser, url)
        page = new_page(browser)
        page.goto(url)
        drag_over_map(page, 30)
        # The rest of the models may still be loading beside the first drag.
        page.wait_for_timeout(8000)
        report("map", drag_over_map(page, 300), 8)

        open_tab(page, "Map", ".faces-view[data-seed]", "Faces")
        strengths = [(-1) ** i for i in range(3 * ROUNDS)]
        edits = [page.evaluate(TOLD, [".faces-view", "edited", SLIDE, strength]) for strength in strengths]
        # The first ones wait for the model's files.
        report("faces", edits[5:], 20)

        tab = open_tab(page, "Samples", ".sheet img[src^=data]")
        tab.locator("select.model").select_option("dcgan-mnist")
        tab.locator(".count").get_by_role("button", name="36").click()
        page.wait_for_timeout(REST)
        report("sheet", clicks(page, "#samples-tab", ".new", ".sheet img"), 150)
        tab.locator("select.model").select_option("flow-mnist")
        tab.locator(".count").get_by_role("button", name="16").click()
        page.wait_for_timeout(LONG_REST)
        report("flow", clicks(page, "#samples-tab", ".new", ".sheet img", FEW, LONG_REST), 300)

        open_tab(page, "Classes", "img.table[src^=data]")
        report("table", clicks(page, "#classes-tab", ".new", "img.table"), 200)

        open_tab(page, "Real or fake?", ".game-picture")
        guesses, rounds = [], []
        for _ in range(ROUNDS):
            guesses.append(milliseconds(page, "#real-or-fake-tab", CLICK, ".game-truth", ".game-guess"))
            rounds.append(milliseconds(page, "#real-or-fake-tab", CLICK, ".game-picture", ".game-next"))
        report("guess", guesses)
        report("round", rounds)

        open_tab(page, "Training", ".live-stage")
        steps, frames = page.evaluate(TRAIN, 5)
        report("ring: steps", [steps], 300, "/s")
        report("ring: frames", [frames], 60, "/s")
        browser.close()


if __name__ == "__main__":
    main()
