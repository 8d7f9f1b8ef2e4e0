"""The page's JavaScript, an ES module a file, and its tabs, which browsers load once and keep as long as they do not change."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from . import pressed

HOME = Path(__file__).parent
ROUTE, ICON = "/modules/", "/favicon.ico"
KINDS = {".js": "text/javascript", ".json": "application/json"}
# What all views share goes out as one, for a page comes sooner by one request than by ten: it starts a tab, too.
MAIN = "common/all.js"
# What computes in the page, in a worker of its own.
WORKER = "in_page/all.js"
# Folders whose modules are no view's.
JOINED = ("common", "in_page", "static")
IMPORT = re.compile(r"^import [^;]*? from '(\.{1,2}/[^']+)';\n", re.MULTILINE)


def joined(folder: Path) -> str:
    """The modules of a folder, which import nothing but each other, as one: each behind those that it imports."""
    texts: dict[str, str] = {}

    def add(name: str) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        for other in IMPORT.findall(text):
            if other[2:] not in texts:
                add(other[2:])
        texts[name] = IMPORT.sub("", text)

    for path in sorted(folder.glob("*.js")):
        if path.name not in texts:
            add(path.name)
    return "".join(texts.values())


def read() -> dict[str, bytes]:
    """What is served, by its path below HOME, with slashes."""
    paths = [path for path in HOME.glob("*/*.js") if path.parent.name not in JOINED]
    views = {path.relative_to(HOME).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    views = {name: re.sub(r" from '\.\./common/\w+\.js'", f" from '../{MAIN}'", text) for name, text in views.items()}
    shared = {name: joined(HOME / Path(name).parent) for name in (MAIN, WORKER)}
    return {name: text.encode() for name, text in {**shared, **dict(sorted(views.items()))}.items()}


MODULES = read()
VERSION = hashlib.sha256(repr(MODULES).encode()).hexdigest()[:16]
KEEP = "public, max-age=31536000, immutable"


def address_of(module: str) -> str:
    """Where a module lies, from the page on."""
    return f"{ROUTE[1:]}{VERSION}/{module}"


def with_imports(modules: Iterable[str]) -> list[str]:
    """The modules and all that they import."""
    found, left = [], list(modules)
    while left:
        module = left.pop()
        if module not in found:
            found.append(module)
            imported = IMPORT.findall(MODULES[module].decode())
            left += [posixpath.normpath(posixpath.join(posixpath.dirname(module), path)) for path in imported]
    return found


def preloads(modules: Iterable[str]) -> str:
    """HTML for the head of a page, so that its modules come while Gradio's own scripts do."""
    return "".join(f'<link rel="modulepreload" href="{address_of(module)}">' for module in with_imports(modules))


def address_of_tab(name: str, content: bytes) -> str:
    """Where a tab lies, from the page on."""
    return f"{ROUTE[1:]}{hashlib.sha256(content).hexdigest()[:16]}/tabs/{name}.json"


class Modules:
    """Answers what is asked below ROUTE.

    Args:
        app: whatever answers all else.
        tabs: what each tab is made of, as JSON; see `widget.tabs`.
        pictures: PNG of the page itself, by where they lie, from the page on.
    """

    def __init__(
        self, app: ASGIApp, tabs: Mapping[str, bytes] | None = None, pictures: Mapping[str, bytes] | None = None
    ):
        self.app = app
        tabs = {address_of_tab(name, content): content for name, content in (tabs or {}).items()}
        files = {**{address_of(module): text for module, text in MODULES.items()}, **tabs}
        # Behind the version, if there is one.
        files |= pictures or {}
        self.files = {path.split("/", 2)[-1]: (f"/{path}", content) for path, content in files.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith((ROUTE, ICON)):
            return await self.app(scope, receive, send)
        name = scope["path"].removeprefix(ROUTE).partition("/")[2]
        answer: Response = PlainTextResponse("There is nothing here.", 404)
        if name in self.files:
            path, content = self.files[name]
            # A page that is older than this server gets what there is now, and does not keep it. Pages elsewhere that embed this
            # one load it, too.
            keep = "no-store" if path != scope["path"] else KEEP if path.startswith(ROUTE) else "max-age=86400"
            kind = KINDS.get(Path(name).suffix, "image/png")
            headers = {"Cache-Control": keep, "Access-Control-Allow-Origin": "*"}
            answer = await pressed.answer(scope, content, kind, headers)
        return await answer(scope, receive, send)
