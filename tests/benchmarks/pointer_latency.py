"""Print how long a picture takes to follow the pointer on the map: `python tests/benchmarks/pointer_latency.py`."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.append(str(Path(__file__).parents[1]))
from suite_browser import FLAGS, chromium, drag_over_map, percentile, running_app


def main() -> None:
    with running_app(*sys.argv[1:]) as (url, _, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        drag_over_map(page, 30)
        # The rest of the models may still be loading beside the first drag.
        page.wait_for_timeout(5000)
        milliseconds = drag_over_map(page, 300)
        browser.close()
    p50, p95 = percentile(milliseconds, 0.5), percentile(milliseconds, 0.95)
    print(f"pointer to picture: {len(milliseconds)} pictures, p50 {p50:.1f} ms, p95 {p95:.1f} ms")


if __name__ == "__main__":
    main()
