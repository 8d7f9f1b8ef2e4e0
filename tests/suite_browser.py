"""Start the real app, and drive it in headless Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from helpers import REPO, free_port

RUN = (sys.executable, str(REPO / "app.py"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
START_SECONDS = 300
# How long anything on a page may take: a machine may be busy with other tests, and only what fails takes as long.
PATIENCE = 120


def chromium() -> str | None:
    """The browser's path: $CHROMIUM, or what the system has."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


def fetch(url: str) -> str | None:
    """The text behind a URL, None if nobody answers yet."""
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return response.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


@contextmanager
def running_app(*arguments: str, command: tuple[str, ...] = RUN, **options) -> Iterator[tuple[str, str, float]]:
    """`python app.py`, or what else opens the page, stopped at the end; `options` are those of Popen.

    Yields:
        The address, the first page's text, and the seconds from the start of the process until that page was there.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    start = time.perf_counter()
    process = subprocess.Popen(
        [*command, "--port", str(port), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    try:
        while (page := fetch(url)) is None:
            if process.poll() is not None:
                raise RuntimeError(f"app.py ended with {process.returncode}: {process.stderr.read()}")
            if time.perf_counter() - start > START_SECONDS:
                raise TimeoutError(f"app.py did not answer within {START_SECONDS} s")
            time.sleep(0.01)
        yield url, page, time.perf_counter() - start
    finally:
        process.terminate()
        process.wait(10)
        process.stderr.close()


class Wire:
    """What a page has asked for since, with nothing in its cache if its context is fresh.

    Args:
        page: of which requests are noted from now on, those of its workers, too.
    """

    # Gradio's own.
    ASSETS = ("/assets/", "/static/", "/svelte/", "/theme.css", "/gradio_api/", "/manifest.json", "/favicon.ico")

    def __init__(self, page):
        self.requests = []
        page.on("requestfinished", lambda request: self.requests.append(request))

    def sizes(self) -> dict[str, int]:
        """Bytes on the wire, heads and bodies, of each answer by its path."""
        found = {}
        for request in self.requests:
            if request.url.startswith("http"):
                sizes = request.sizes()
                found[urlsplit(request.url).path] = sizes["responseHeadersSize"] + sizes["responseBodySize"]
        return found

    def ours(self) -> dict[str, int]:
        """Those of what is not Gradio's own."""
        return {path: size for path, size in self.sizes().items() if not path.startswith(self.ASSETS)}


def new_page(browser, width: int = 1280, height: int = 900, **options):
    """A page whose waits are patient."""
    page = browser.new_page(viewport={"width": width, "height": height}, **options)
    page.set_default_timeout(1000 * PATIENCE)
    return page


def wait_until(page, holds: Callable[[], bool]) -> None:
    """Return once `holds()` is true.

    Raises:
        AssertionError: it never is.
    """
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it did not come to be"
        page.wait_for_timeout(100)


def wait_until_warm(page) -> None:
    """Return once the networks are loaded: the server has decoded a point."""
    stage = page.locator("#map-tab .stage")
    stage.wait_for()
    page.evaluate(
        """() => {
            if (window.decoded) { window.decoded.length = 0; return; }
            window.decoded = [];
            document.querySelector('#map-tab .stage').addEventListener('decoded', e => window.decoded.push(e.detail));
        }"""
    )
    stage.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("window.decoded.length > 0")


def drag_over_map(page, moves: int = 120) -> list[float]:
    """Move the pointer over the map as a hand does, about 60 times a second.

    Returns:
        Milliseconds from each answered move to its picture, sorted.
    """
    wait_until_warm(page)
    stage = page.locator("#map-tab .stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    page.evaluate("window.decoded.length = 0")
    for i in range(moves):
        # A slanted zigzag that stays clear of the edges.
        x = box["x"] + 30 + (3.7 * i) % (box["width"] - 60)
        y = box["y"] + 30 + (9.1 * i) % (box["height"] - 60)
        page.mouse.move(x, y)
        page.wait_for_timeout(16)
    page.wait_for_timeout(300)
    return sorted(page.evaluate("window.decoded.map(d => d.ms)"))


def percentile(ordered: list[float], share: float) -> float:
    """The value below which `share` of the sorted values lie."""
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
