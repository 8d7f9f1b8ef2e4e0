"""The page's JavaScript is served as modules that are whole, kept by browsers, and nothing else."""

from __future__ import annotations

import gzip
import re
from functools import partial

import pytest
from helpers import run_coroutine

from genmodels.ui import modules
from genmodels.ui.modules import MAIN

TABS = {"map": b'{"page": {"tab": "map"}}'}


def answer(path: str, method: str = "GET", headers=()) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what lies behind a path."""
    sent = []

    async def passed_on(scope, receive, send):
        await send({"type": "http.response.start", "status": 299, "headers": []})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": list(headers)}
    run_coroutine(modules.Modules(passed_on, TABS)(scope, None, send))
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


def test_a_module_is_kept_until_one_of_them_changes():
    status, headers, body = answer(f"/{modules.address_of(MAIN)}")
    assert (status, body) == (200, modules.MODULES[MAIN])
    assert headers["content-type"].startswith("text/javascript")
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    status, headers, body = answer(f"{modules.ROUTE}0123/{MAIN}")
    assert (status, body, headers["cache-control"]) == (200, modules.MODULES[MAIN], "no-store")


def test_a_tab_is_kept_until_it_changes():
    address = modules.address_of_tab("map", TABS["map"])
    status, headers, body = answer(f"/{address}")
    assert (status, body, headers["content-type"]) == (200, TABS["map"], "application/json")
    assert "immutable" in headers["cache-control"]
    # A page of yesterday asks for yesterday's.
    old = modules.address_of_tab("map", b"{}")
    status, headers, body = answer(f"/{old}")
    assert (old != address, status, body, headers["cache-control"]) == (True, 200, TABS["map"], "no-store")


@pytest.mark.parametrize("address", [modules.address_of(MAIN), modules.address_of_tab("map", TABS["map"])])
def test_who_can_unpack_gets_gzip(address):
    _, plain, whole = answer(f"/{address}")
    _, headers, body = answer(f"/{address}", headers=[(b"accept-encoding", b"gzip, deflate, br")])
    assert (plain.get("content-encoding"), headers["content-encoding"]) == (None, "gzip")
    assert plain["vary"] == headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(body) == whole
    assert headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    "name",
    [
        "tabs/samples.json",
        "tabs/map",
        "suite.py",
        "common/tab.js",
        "../app.py",
        "%2e%2e/app.py",
        "common/suite.css",
        "common",
        "",
    ],
)
def test_nothing_else_is_there(name):
    assert answer(f"{modules.ROUTE}{modules.VERSION}/{name}")[0] == 404


def test_pictures_of_the_page_are_told_as_such(monkeypatch):
    name = f"{modules.ROUTE[1:]}0/cover.png"
    monkeypatch.setattr(modules, "Modules", partial(modules.Modules, pictures={name: b"card", "favicon.ico": b"icon"}))
    assert answer(f"/{name}")[::2] == (200, b"card")
    status, headers, body = answer("/favicon.ico")
    assert (status, headers["content-type"], body) == (200, "image/png", b"icon")
    # It has no version in its address.
    assert headers["cache-control"] == "max-age=86400"


def test_all_other_paths_are_passed_on():
    assert answer("/")[0] == answer("/assets/x.js")[0] == 299


def test_every_import_leads_to_a_module_that_is_fetched_ahead():
    found = modules.with_imports(modules.MODULES)
    assert set(found) == set(modules.MODULES)
    head = modules.preloads(["training/view.js", "map/view.js", "map/view.js"])
    hrefs = re.findall(r'<link rel="modulepreload" href="([^"]+)">', head)
    assert len(set(hrefs)) == len(hrefs)
    assert modules.address_of("films/view.js") in hrefs
    assert modules.address_of("game/view.js") not in hrefs


@pytest.mark.parametrize("name", [MAIN, modules.WORKER])
def test_what_is_shared_is_one_module(name):
    text = modules.MODULES[name].decode()
    assert "import {" not in text
    for path in (modules.HOME / name).parent.glob("*.js"):
        assert all(line in text for line in path.read_text(encoding="utf-8").splitlines() if "export" in line)
    names = re.findall(r"^(?:export )?(?:async )?(?:const|let|function) (\w+)", text, re.MULTILINE)
    assert len(names) > 40
    assert len(set(names)) == len(names), "two modules have a name in common: they share one scope"
    views = {name: text.decode() for name, text in modules.MODULES.items() if name.endswith("view.js")}
    assert not [name for name, text in views.items() if re.search(r" from '\.\./common/(?!all\.js')", text)]
