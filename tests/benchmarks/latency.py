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

import psutil
from playwright.sync_api import Locator, Page, sync_playwright

sys.path.append(str(Path(__file__).parents[1]))
from suite_browser import FLAGS, Wire, chromium, drag_over_map, new_page, percentile, running_app

ROUNDS, FEW = 30, 6
# Counts in window.waiting what a page's workers have not answered yet.
COUNT = """window.waiting = 0;
window.Worker = class extends Worker {
    constructor(...given) {
        super(...given);
        this.addEventListener('message', ({ data }) => { if (data.id && data.answer) window.waiting--; });
    }
    postMessage(data, ...more) {
        if (data.id && data.tab) window.waiting++;
        super.postMessage(data, ...more);
    }
};"""
# Act, and wait until an element of the tab gets another attribute or content, a minute at most: milliseconds.
MILLISECONDS = """([tab, act, watched, argument]) => new Promise((resolve, reject) => {
    const root = document.querySelector(tab), start = performance.now();
    const done = new MutationObserver(() => {
        done.disconnect();
        resolve(performance.now() - start);
    });
    const all = { attributes: true, childList: true, characterData: true, subtree: true };
    done.observe(root.querySelector(watched), all);
    setTimeout(() => reject(new Error(`nothing changed in ${tab}`)), 60000);
    new Function('root', 'argument', act)(root, argument);
})"""
# The same for a canvas that tells when it is painted, by an event of an element above it.
TOLD = """([view, event, act, argument]) => new Promise((resolve, reject) => {
    const root = document.querySelector(view);
    root.addEventListener(event, ({ detail }) => resolve(detail.ms), { once: true });
    setTimeout(() => reject(new Error(`no ${event} of ${view}`)), 60000);
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


def rest(page: Page) -> None:
    """Return once nothing is computed any more."""
    page.wait_for_timeout(300)
    page.wait_for_function("!window.waiting")


class Table:
    """What is measured, row by row.

    The last column is the CPU time of the whole browser for each answer, with all else that a click draws: what others do on the
    machine changes it least.
    """

    def __init__(self):
        print(f"{'':14} {'shall be':>11} {'times':>5} {'p50':>9} {'p95':>9} {'slowest':>9}    {'CPU':>7}")
        self.processes, self.used = [], 0.0

    def begin(self) -> None:
        """Count the browser's CPU from now on."""
        self.processes = [p for p in psutil.Process().children(recursive=True) if "chrom" in p.name()]
        self.used = self._seconds()

    def _seconds(self) -> float:
        return sum(sum(process.cpu_times()[:2]) for process in self.processes if process.is_running())

    def row(self, name: str, values: list[float], goal: float | None = None, unit: str = "ms", each: int = 0) -> None:
        """One row, with the CPU time since `begin` divided by `each`."""
        ordered = sorted(values)
        p50, p95 = percentile(ordered, 0.5), percentile(ordered, 0.95)
        shall = f"{'>=' if unit == '/s' else '<='} {goal:g} {unit}" if goal else ""
        cpu = f"{1000 * (self._seconds() - self.used) / each:7.1f}" if each else ""
        print(
            f"{name:14} {shall:>11} {len(values):5} {p50:9.1f} {p95:9.1f} {ordered[-1]:9.1f} {unit} {cpu}", flush=True
        )


def clicks(page: Page, table: Table, tab: str, press: str, watched: str, rounds: int = ROUNDS) -> list[float]:
    """From each click to the picture, one after another; the first one waits for files."""
    milliseconds(page, tab, CLICK, watched, press)
    found = []
    rest(page)
    table.begin()
    for _ in range(rounds):
        found.append(milliseconds(page, tab, CLICK, watched, press))
        rest(page)
    return found


def first_load(browser, url: str, table: Table) -> None:
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
    table.row("first picture", seconds)
    table.row("first load", [sum(ours.values()) / 1000], 300, "KB")
    table.row("  of Gradio", [(sum(sizes.values()) - sum(ours.values())) / 1000], None, "KB")
    for path, size in sorted(ours.items(), key=lambda entry: -entry[1])[:5]:
        print(f"    {size / 1000:6.1f} KB {path}")


def main() -> None:
    with running_app(*sys.argv[1:]) as (url, _, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        table = Table()
        first_load(browser, url, table)
        page = new_page(browser)
        page.add_init_script(COUNT)
        page.goto(url)
        drag_over_map(page, 30)
        # The rest of the models may still be loading beside the first drag.
        page.wait_for_timeout(8000)
        table.begin()
        moves = drag_over_map(page, 300)
        table.row("map", moves, 8, each=len(moves))

        open_tab(page, "Map", ".faces-view[data-seed]", "Faces")
        rest(page)

        def edit(strength: float) -> float:
            return page.evaluate(TOLD, [".faces-view", "edited", SLIDE, strength])

        # The first ones warm the engine up.
        for i in range(FEW):
            edit((-1) ** i)
        table.begin()
        edits = [edit((-1) ** i) for i in range(3 * ROUNDS)]
        table.row("faces", edits, 20, each=len(edits))

        tab = open_tab(page, "Samples", ".sheet img[src^=data]")
        for name, model, count, goal, rounds in (
            ("sheet", "dcgan-mnist", "36", 150, ROUNDS),
            ("flow", "flow-mnist", "16", 300, FEW),
        ):
            tab.locator("select.model").select_option(model)
            tab.locator(".count").get_by_role("button", name=count).click()
            rest(page)
            times = clicks(page, table, "#samples-tab", ".new", ".sheet img", rounds)
            table.row(name, times, goal, each=rounds)

        open_tab(page, "Classes", "img.table[src^=data]")
        table.row("table", clicks(page, table, "#classes-tab", ".new", "img.table"), 200, each=ROUNDS)

        open_tab(page, "Real or fake?", ".game-picture")
        guesses, rounds = [], []
        for _ in range(ROUNDS):
            guesses.append(milliseconds(page, "#real-or-fake-tab", CLICK, ".game-truth", ".game-guess"))
            rounds.append(milliseconds(page, "#real-or-fake-tab", CLICK, ".game-picture", ".game-next"))
        table.row("guess", guesses)
        table.row("round", rounds)

        open_tab(page, "Training", ".live-stage")
        steps, frames = page.evaluate(TRAIN, 5)
        table.row("ring: steps", [steps], 300, "/s")
        table.row("ring: frames", [frames], 60, "/s")
        browser.close()


if __name__ == "__main__":
    main()
