"""Print how long the page takes to answer one visitor: `python tests/benchmarks/latency.py`.

- map: from a move to its picture, which the page decodes itself if the decoder is small;
- faces: from a move of an attribute's slider to the edited face, which the server decodes;
- sheet: from a click to another contact sheet of 64;
- guess, round: from a guess to the truth, and from "Next" to the next picture of the game.

Alone on the machine, in headless Chromium; each click waits for the answer to the last.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import Locator, Page, sync_playwright

sys.path.append(str(Path(__file__).parents[1]))
from suite_browser import FLAGS, chromium, drag_over_map, new_page, percentile, running_app

ROUNDS = 30
# Act, and wait until what `shown` tells of the tab is another, ten seconds at most: milliseconds.
MILLISECONDS = """([tab, act, shown, argument]) => new Promise((resolve, reject) => {
    const root = document.querySelector(tab);
    act = new Function('root', 'argument', act);
    shown = new Function('root', `return ${shown}`);
    const before = shown(root), start = performance.now();
    const look = () => (shown(root) === before ? setTimeout(look) : resolve(performance.now() - start));
    setTimeout(() => reject(new Error(`nothing changed in ${tab}`)), 10000);
    act(root, argument);
    look();
})"""
CLICK = "root.querySelector(argument).click()"
SLIDE = """const slider = root.querySelector('.face-sliders input');
slider.value = argument;
slider.dispatchEvent(new Event('input'));"""
GAME_PICTURE = "root.querySelector('.game-picture').toDataURL()"


def milliseconds(page: Page, tab: str, act: str, shown: str, argument: str | float) -> float:
    """How long it takes until the tab shows something else."""
    return page.evaluate(MILLISECONDS, [tab, act, shown, argument])


def open_tab(page: Page, name: str, ready: str, view: str | None = None) -> Locator:
    """Show a tab and one of its views, and wait until something is there."""
    page.get_by_role("tab", name=name).click()
    tab = page.locator("[role=tabpanel] .suite-widget:visible")
    if view is not None:
        tab.locator(".views").get_by_role("button", name=view, exact=True).click()
    tab.locator(ready).first.wait_for()
    return tab


def report(name: str, values: list[float]) -> None:
    """One line of medians."""
    values.sort()
    p50, p95 = percentile(values, 0.5), percentile(values, 0.95)
    print(
        f"{name:6} {len(values):4} answers, p50 {p50:.1f} ms, p95 {p95:.1f} ms, slowest {values[-1]:.1f} ms", flush=True
    )


def main() -> None:
    with running_app(*sys.argv[1:]) as (url, _, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = new_page(browser)
        page.goto(url)
        drag_over_map(page, 30)
        # The rest of the models may still be loading beside the first drag.
        page.wait_for_timeout(8000)
        report("map", drag_over_map(page, 300))

        open_tab(page, "Map", ".faces-view[data-seed]", "Faces")
        face = "root.querySelector('.face-after').toDataURL()"
        strengths = [(-1) ** i for i in range(3 * ROUNDS)]
        report("faces", [milliseconds(page, "#map-tab", SLIDE, face, strength) for strength in strengths])

        tab = open_tab(page, "Samples", ".sheet img[src^=data]")
        tab.locator(".count").get_by_role("button", name="64").click()
        page.wait_for_timeout(1000)
        sheet = "root.querySelector('.sheet img').src"
        report("sheet", [milliseconds(page, "#samples-tab", CLICK, sheet, ".new") for _ in range(ROUNDS)])

        open_tab(page, "Real or fake?", ".game-picture", "Game")
        guesses, rounds = [], []
        for _ in range(ROUNDS):
            truth = "root.querySelector('.game-truth').textContent"
            guesses.append(milliseconds(page, "#real-or-fake-tab", CLICK, truth, ".game-guess"))
            rounds.append(milliseconds(page, "#real-or-fake-tab", CLICK, GAME_PICTURE, ".game-next"))
        report("guess", guesses)
        report("round", rounds)
        browser.close()


if __name__ == "__main__":
    main()
