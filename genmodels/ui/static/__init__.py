"""The page without a server: files that any host can serve, of which browsers do all the computing."""

from __future__ import annotations

import gzip
import hashlib
import html
import json
from pathlib import Path

import gradio as gr

from ...errors import UserError
from .. import cover
from ..in_page.models import INDEX
from ..language import FOLDER as LANGUAGES
from ..models import ModelStore
from ..modules import MODULES, with_imports
from ..suite import DESCRIPTION, NAME, TABS, TITLE
from ..widget import modules_of, read, tabs

HOME = Path(__file__).parent
# What opens the page is kept by browsers from the first visit on; what lies in these folders, when it is used.
WHEN_USED = ("engine/", "models/")
ICON_SIZES = (192, 512)
STALE = "This page has changed since your browser kept it: reload it."


def write_page(store: ModelStore, folder: Path) -> None:
    """Write the page of a store into a folder that may hold its `engine` and `models` already; without, it shows first pictures.

    Raises:
        OSError: the folder cannot be written.
    """
    own = {"static/page.js": (HOME / "page.js").read_bytes(), "models.json": models_of(folder)}
    contents = tabs_of(store)
    languages = {f"languages/{path.name}": path.read_bytes() for path in sorted(LANGUAGES.glob("*.json"))}
    files = {**MODULES, **own, **languages, **{f"tabs/{name}.json": text for name, text in contents.items()}}
    version = hashlib.sha256(repr([sorted(files.items()), digest_of(folder)]).encode()).hexdigest()[:16]
    for name, data in files.items():
        (folder / version / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / version / name).write_bytes(data)
    (folder / "index.html").write_text(page_html(version, modules_of(next(iter(contents.values())))), encoding="utf-8")
    (folder / cover.CARD_NAME).write_bytes(cover.picture(*cover.CARD))
    icons = []
    for size in ICON_SIZES:
        (folder / f"icon-{size}.png").write_bytes(cover.picture(size, size))
        icons.append({"src": f"icon-{size}.png", "sizes": f"{size}x{size}", "type": "image/png"})
    manifest = {
        **{"name": NAME, "short_name": NAME, "description": DESCRIPTION, "start_url": "./", "scope": "./"},
        **{"display": "standalone", "background_color": "#ffffff", "theme_color": "#1d4ed8", "icons": icons},
    }
    (folder / "manifest.webmanifest").write_text(json.dumps(manifest, indent=1) + "\n")
    press(folder)
    write_offline(folder)


def models_of(folder: Path) -> bytes:
    """The index of the models there, which goes from them to the files of this version: an older page's is no help."""
    index = folder / "models" / INDEX
    if not index.is_file():
        return b"[]\n"
    content = index.read_bytes()
    index.unlink()
    return content


def digest_of(folder: Path, *without: Path) -> str:
    """sha256 over all files of a folder, with their names."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path not in without):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def press(folder: Path) -> None:
    """Put gzip files in place of what is worth it and only page_backend.js reads: hosts of files do not compress."""
    for path in [
        *(folder / "engine").glob("*.wasm"),
        *(folder / "models").glob("*/*.json"),
        *(folder / "models").glob("pair.json"),
    ]:
        # No time in it: the same files make the same bytes.
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))
        path.unlink()


def tabs_of(store: ModelStore) -> dict[str, bytes]:
    """What each tab is made of, as JSON by its name."""
    with gr.Blocks():
        found = tabs([module.build(store) for _, _, module in TABS.values()])
    return {name: with_first(store, name, text) for name, text in found.items()}


def with_first(store: ModelStore, tab: str, content: bytes) -> bytes:
    """A tab that has the first pictures of models which are not built in, too, for there is no server that makes them."""
    parts, (_, _, module) = json.loads(content), TABS[tab]
    page = parts["page"]
    if page.get("reason") or page.get("first", page) is not None:
        return content
    try:
        page["first"] = store.first_page(tab, module.first_page)
    except UserError as error:
        page["reason"] = str(error)
    return json.dumps(parts, separators=(",", ":")).encode()


def page_html(version: str, modules: list[str]) -> str:
    """index.html, all of whose files lie below a folder that is named by the version."""
    buttons, panels = [], []
    for name, (title, _, _) in TABS.items():
        identity = f"{name.replace('_', '-')}-tab"
        buttons.append(
            f'<button type="button" role="tab" id="open-{identity}" data-name="{name}" aria-controls="panel-{identity}" '
            f'aria-selected="false">{title}</button>'
        )
        panels.append(
            f'<div role="tabpanel" id="panel-{identity}" aria-labelledby="open-{identity}" hidden><div class="suite-widget" '
            f'id="{identity}"></div></div>'
        )
    links = [f'<link rel="modulepreload" href="{version}/{module}">' for module in with_imports(modules)]
    title = f"{NAME}: {TITLE[0].lower()}{TITLE[1:].rstrip('.')}"
    filled = {
        "title": html.escape(title),
        "tags": cover.tags(title, DESCRIPTION, cover.CARD_NAME),
        "description": html.escape(DESCRIPTION),
        "preloads": "\n".join(links),
        "css": read("common/suite.css") + read("static/page.css"),
        "header": read("common/header.html").replace("<!-- title -->", str(TITLE)),
        "tabs": "".join(buttons),
        "panels": "\n".join(panels),
        "start": f"{version}/static/page.js",
    }
    text = read("static/page.html").replace("<main ", f'<main data-languages="{" ".join(languages())}" ')
    # Nothing is there that would translate it when it is shown.
    for path in sorted(LANGUAGES.glob("*.json")):
        said = json.loads(path.read_text(encoding="utf-8"))[STALE]
        text = text.replace(STALE, f'{STALE} <span lang="{path.stem}">{said}</span>', 1)
    for name, value in filled.items():
        text = text.replace(f"<!-- {name} -->", value)
    return text


def languages() -> list[str]:
    """Languages that the page has beside English."""
    return [path.stem for path in sorted(LANGUAGES.glob("*.json"))]


def write_offline(folder: Path) -> None:
    """The service worker, which knows all files by one digest: a new version of any replaces what browsers keep."""
    offline = folder / "offline.js"
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    later = (".md", cover.CARD_NAME, offline.name)
    opens = [name for name in names if not name.startswith(WHEN_USED) and not name.endswith(later)]
    text = (HOME / "offline.js").read_text(encoding="utf-8")
    text = text.replace("<version>", digest_of(folder, offline)[:16]).replace("<files>", json.dumps(["./", *opens]))
    offline.write_text(text, encoding="utf-8")
