"""Record the README's film of the app: python tests/benchmarks/record_tour.py spaces/suite/tour.webp

Drives the real app in headless Chromium: over the map, along a frog's directions, through handwriting, a round of the game, and
a GAN that collapses and is cured.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1]))
from suite_browser import FLAGS, chromium, new_page, running_app, wait_until_warm

SIZE, SHOWN = (1180, 760), (885, 570)
FRAME_MS, SCENE_MS = 130, 900
# A file of the repository may have 8 MiB; what a reader has to load for one picture, far less.
MAX_BYTES = 1_500_000


def over_the_map(page: Page) -> Iterator[None]:
    wait_until_warm(page)
    box = page.locator("#map-tab .stage").bounding_box()
    for i in range(18):
        angle = 2 * math.pi * i / 18
        page.mouse.move(
            box["x"] + box["width"] * (0.48 + 0.24 * math.cos(angle)),
            box["y"] + box["height"] * (0.5 + 0.3 * math.sin(angle)),
        )
        page.wait_for_timeout(250)
        yield


def along_directions(page: Page) -> Iterator[None]:
    page.get_by_role("tab", name="Samples").click()
    tab = page.locator("#samples-tab")
    tab.get_by_role("button", name="directions", exact=True).click()
    sliders = tab.locator(".directions-sliders input")
    sliders.nth(5).wait_for()
    for slider, values in ((0, (-2, -4, -2, 0, 2, 4)), (1, (2, 4, 2, 0))):
        for value in values:
            sliders.nth(slider).fill(str(value))
            page.wait_for_timeout(400)
            yield


def in_handwriting(page: Page) -> Iterator[None]:
    page.get_by_role("tab", name="Classes").click()
    text = page.locator("#classes-tab .text")
    for number in ("3", "31", "314", "3141", "31415", "314159"):
        text.fill(number)
        page.wait_for_timeout(400)
        yield
    for _ in range(4):
        page.get_by_role("button", name="New latents").click()
        page.wait_for_timeout(600)
        yield


def a_game(page: Page) -> Iterator[None]:
    page.get_by_role("tab", name="Real or fake?").click()
    for key in "1323":
        page.wait_for_timeout(900)
        page.keyboard.press(key)
        page.wait_for_timeout(900)
        yield


def collapse_and_cure(page: Page) -> Iterator[None]:
    page.get_by_role("tab", name="Training").click()
    tab = page.locator("#training-tab")
    for recipe in ("Mode collapse", "Relativistic"):
        tab.get_by_role("button", name=recipe).click()
        page.wait_for_timeout(1500)
        tab.get_by_role("button", name="Start").click()
        for _ in range(10):
            page.wait_for_timeout(900)
            yield
        tab.get_by_role("button", name="Pause").click()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    frames, durations = [], []
    with running_app() as (url, _, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = new_page(browser, *SIZE)
        page.goto(f"{url}/?__theme=light")
        for scene in (over_the_map, along_directions, in_handwriting, a_game, collapse_and_cure):
            for _ in scene(page):
                page.evaluate("scrollTo(0, 0)")
                frames.append(
                    Image.open(io.BytesIO(page.screenshot())).convert("RGB").resize(SHOWN, Image.Resampling.LANCZOS)
                )
                durations.append(FRAME_MS)
            durations[-1] = SCENE_MS
        browser.close()
    partial = output.with_suffix(".partial.webp")
    frames[0].save(
        partial,
        save_all=True,
        append_images=frames[1:],
        duration=durations,
        loop=0,
        quality=60,
        method=6,
        minimize_size=True,
    )
    partial.replace(output)
    print(f"{output}: {len(frames)} frames, {output.stat().st_size:,} bytes")
    if output.stat().st_size > MAX_BYTES:
        sys.exit(f"That is more than {MAX_BYTES:,} bytes.")


if __name__ == "__main__":
    main()
