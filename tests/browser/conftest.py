"""One app and one browser for all browser tests; one page, watched for errors and outside requests, for each."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

import pytest
from suite_browser import FLAGS, chromium, new_page, running_app, wait_until_warm


class Browser:
    """Chromium: pages of one profile, which keeps compiled scripts, and pages with settings, each of a profile of its own."""

    def __init__(self, chromium, profile: Path, **options):
        self._chromium, self._options = chromium, options
        self._shared = chromium.launch_persistent_context(profile, **options)

    @cached_property
    def _others(self):
        return self._chromium.launch(**self._options)

    def new_page(self, viewport: dict[str, int], **settings):
        if settings:
            return self._others.new_page(viewport=viewport, **settings)
        page = self._shared.new_page()
        page.set_viewport_size(viewport)
        return page

    def close(self) -> None:
        self._shared.close()
        if "_others" in vars(self):
            self._others.close()


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    path = chromium()
    if path is None:
        missing = "There is no Chromium: install one, or set CHROMIUM to its path."
        pytest.fail(missing) if os.environ.get("GENMODELS_REQUIRE_BROWSER") == "1" else pytest.skip(missing)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        profile = tmp_path_factory.mktemp("profile")
        browser = Browser(playwright.chromium, profile, executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A store of tiny models, and the folder of a page with all of them."""
    from test_page_backend import make_home

    root = tmp_path_factory.mktemp("page")
    return make_home(tmp_path_factory.mktemp("models"), root), root


@pytest.fixture(scope="session")
def app(browser):
    """The address of a running app."""
    with running_app() as (url, _, _):
        yield url


@pytest.fixture
def open_page(browser, app):
    """A function that opens the app; at the end, no console error and no request to another host may have been seen."""
    pages, errors, outside = [], [], []

    def open_page(width: int = 1280, height: int = 900, theme: str = "light", address: str = "", **options):
        page = new_page(browser, width, height, **options)
        pages.append(page)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith((app, "data:", "blob:")) else outside.append(r.url))
        page.goto(f"{app}/?{'&'.join(part for part in (f'__theme={theme}', address) if part)}")
        page.locator(".suite-widget:visible" if address else "#map-tab .stage").first.wait_for()
        return page

    yield open_page
    for page in pages:
        page.close()
    assert errors == []
    assert outside == []


@pytest.fixture
def warm_page(open_page):
    page = open_page()
    wait_until_warm(page)
    return page
