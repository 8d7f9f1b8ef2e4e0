"""The page's JavaScript is served as modules that are whole, kept by browsers, and nothing else."""

from __future__ import annotations

import re

import pytest
from helpers import run_coroutine

from genmodels.ui import modules
from genmodels.ui.modules import MAIN


def answer(path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what lies behind a path."""
    sent = []

    async def passed_on(scope, receive, send):
        await send({"type": "http.response.start", "status": 299, "headers": []})

    async def send(message):
        sent.append(message)

    run_coroutine(
        modules.Modules(passed_on)({"type": "http", "method": method, "path": path, "headers": []}, None, send)
    )
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


def test_a_module_is_kept_until_one_of_them_changes():
    status, headers, body = answer(f"/{modules.address_of(MAIN)}")
    assert (status, body) == (200, modules.MODULES[MAIN])
    assert headers["content-type"].startswith("text/javascript")
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    status, headers, body = answer(f"{modules.ROUTE}0123/{MAIN}")
    assert (status, body, headers["cache-control"]) == (200, modules.MODULES[MAIN], "no-store")


@pytest.mark.parametrize(
    "name", ["suite.py", "common/tab.js", "../app.py", "%2e%2e/app.py", "common/suite.css", "common", ""]
)
def test_nothing_else_is_there(name):
    assert answer(f"{modules.ROUTE}{modules.VERSION}/{name}")[0] == 404


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
