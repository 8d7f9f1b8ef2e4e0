"""The page's JavaScript: an ES module a file, each loaded once, which browsers keep as long as none of them changes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from starlette.responses import PlainTextResponse, Response

HOME = Path(__file__).parent
ROUTE = "/modules/"
# By their path below HOME, with slashes.
MODULES = {path.relative_to(HOME).as_posix(): path.read_bytes() for path in sorted(HOME.glob("*/*.js"))}
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
            imports = re.findall(r"^(?:import|}).* from '\.{1,2}/(.+)';$", MODULES[module].decode(), re.MULTILINE)
            # A file beside it, or in a folder beside its own.
            left += [path if "/" in path else f"{module.split('/')[0]}/{path}" for path in imports]
    return found


def preloads(modules: Iterable[str]) -> str:
    """HTML for the head of a page, so that its modules come while Gradio's own scripts do."""
    return "".join(f'<link rel="modulepreload" href="{address_of(module)}">' for module in with_imports(modules))


class Modules:
    """Answers what is asked below ROUTE.

    Args:
        app: whatever answers all else.
    """

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(ROUTE):
            return await self.app(scope, receive, send)
        version, _, module = scope["path"].removeprefix(ROUTE).partition("/")
        answer: Response = PlainTextResponse("There is nothing here.", 404)
        if module in MODULES:
            # A page that is older than this server gets what there is now, and does not keep it. Pages elsewhere that embed this
            # one load it, too.
            headers = {"Cache-Control": KEEP if version == VERSION else "no-store", "Access-Control-Allow-Origin": "*"}
            answer = Response(MODULES[module], media_type="text/javascript", headers=headers)
        return await answer(scope, receive, send)
