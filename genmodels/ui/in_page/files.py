"""A folder with the engine and exported models, served to pages so that visitors' browsers compute."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ...errors import UserError
from .. import Json
from ..models import ModelStore, weights_digest
from ..modules import KEEP
from ..pressed import HEADERS, pressed, takes_gzip
from .engine import FILES, cache_folder, is_engine
from .models import INDEX, read_index

ROUTE = "/in_page/"
TYPES = {".mjs": "text/javascript", ".wasm": "application/wasm", ".json": "application/json", ".webp": "image/webp"}
# What is served of a folder, and what of it is worth being pressed.
SERVED = {*TYPES, ".onnx"}
PRESSED = {".mjs", ".wasm", ".json"}


def find_page(given: Path | None = None) -> Path | None:
    """The folder to serve: the given one, that of the environment variable GENMODELS_PAGE, `page` here, or the kept one.

    Raises:
        UserError: the given one is none.
    """
    named = given or (Path(os.environ["GENMODELS_PAGE"]) if os.environ.get("GENMODELS_PAGE") else None)
    if named is not None and not is_page(named):
        raise UserError(
            f"{str(named)!r} is no folder of a page that computes: let `python -m genmodels app --prepare_page` make one."
        )
    return named or next(filter(is_page, (Path("page"), cache_folder() / "page")), None)


def is_page(folder: Path) -> bool:
    """Whether a folder holds an index of models and the engine."""
    return (folder / "models" / INDEX).is_file() and is_engine(folder / "engine")


def holds_page(folder: Path) -> bool:
    """Whether a folder holds what `app --prepare_page` has written, and nothing else: another may take its place."""
    return (folder / "models" / INDEX).is_file() and {path.name for path in folder.iterdir()} <= {"engine", "models"}


def usable(store: ModelStore, folder: Path) -> Json | None:
    """What a tab's page finds in `page.here`: where the folder lies, and which of its models are those that the store shows.

    A model that was trained anew since has other weights; then the server draws.
    """
    entries = read_index(folder)
    shown = {model.key: model for model in store.shown if model.folder is not None}
    same = {
        entry["folder"]: entry["kind"]
        for entry in entries
        if entry.get("weights")
        and entry["name"] in shown
        # The first of a kind is meant where nothing is said.
        and entry["main"] == (shown[entry["name"]] is store.models.get(entry["kind"]))
        and entry["weights"] == weights_digest(shown[entry["name"]].folder)  # type: ignore[arg-type]
    }
    mains = {entry["kind"] for entry in entries if entry.get("main") and entry["folder"] in same}
    kept = [name for name, kind in same.items() if kind in mains]
    kept += [
        entry["folder"]
        for entry in entries
        if entry["kind"] in ("evaluator", "replay") or (entry["kind"] == "sample" and set(entry["of"]) <= mains)
    ]
    digest = hashlib.sha256(json.dumps([entries, FILES]).encode()).hexdigest()[:16]
    return {"root": f"{ROUTE[1:]}{digest}/", "models": kept} if mains else None


class PageFiles:
    """Answers what is asked below ROUTE.

    Args:
        app: whatever answers all else.
        folder: of `find_page`; None has nothing.
    """

    def __init__(self, app: ASGIApp, folder: Path | None):
        self.app, self.folder = app, folder.resolve() if folder else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(ROUTE):
            return await self.app(scope, receive, send)
        answer: Response = PlainTextResponse("There is nothing here.", 404)
        path = self.file(scope["path"].removeprefix(ROUTE).partition("/")[2])
        if path is not None:
            kind = TYPES.get(path.suffix, "application/octet-stream")
            # The address changes with the content. Pages elsewhere that embed this one load it, too.
            headers = {"Cache-Control": KEEP, "Access-Control-Allow-Origin": "*", "Vary": HEADERS["Vary"]}
            if path.suffix in PRESSED and takes_gzip(scope):
                content = await pressed(path, path.stat().st_mtime)
                answer = Response(content, media_type=kind, headers={**headers, **HEADERS})
            else:
                answer = FileResponse(path, media_type=kind, headers=headers)
        return await answer(scope, receive, send)

    def file(self, name: str) -> Path | None:
        """A file of the folder by its path in it; None if it is none to be served."""
        if self.folder is None or not name.startswith(("engine/", "models/")):
            return None
        path = (self.folder / name).resolve()
        return path if path.suffix in SERVED and path.is_relative_to(self.folder) and path.is_file() else None
