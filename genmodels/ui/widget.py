"""Reads a tab's HTML and CSS from their files, and makes a `gr.HTML` in which JavaScript puts it together once it is opened."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

import gradio as gr

from . import Json
from .inputs import MAX_PAGE_SEED, MAX_SLIDER_GUIDANCE, MAX_SLIDER_PSI
from .modules import MAIN, address_of, address_of_tab

FOLDER = Path(__file__).parent
# Colours of ten classes, told apart on black by people with any colour vision as far as ten can be.
CLASS_COLOURS = (
    "#5aa9ff",
    "#ffae42",
    "#5fd38a",
    "#ff6b5e",
    "#b794ff",
    "#d2a679",
    "#ff8fd0",
    "#c3ccd6",
    "#f2e24b",
    "#35d6d6",
)


def read(name: str) -> str:
    """The text of a file below this folder."""
    return (FOLDER / name).read_text(encoding="utf-8")


# What every tab's page has.
SHARED = {
    "colours": CLASS_COLOURS,
    "max_seed": MAX_PAGE_SEED,
    "max_psi": MAX_SLIDER_PSI,
    "max_guidance": MAX_SLIDER_GUIDANCE,
}
# Gradio runs it when the tab is opened. On other pages that embed this one, they say where it lies.
START = """
const home = document.querySelector('gradio-app[src]')?.getAttribute('src') ?? document.baseURI;
import(new URL(%s, home)).then(({ openTab, readTab }) =>
  openTab(element, () => (props.content ? JSON.parse(props.content) : readTab(new URL(props.address, home))), server));
"""

# What each tab is made of, as JSON: HTML, CSS, what its JavaScript finds in `page`, and the names of its views.
contents_of: WeakKeyDictionary[gr.blocks.Block, bytes] = WeakKeyDictionary()


def tabs(blocks: Iterable[gr.blocks.Block]) -> dict[str, bytes]:
    """The contents of the tabs among the blocks of a page, by name, in their order."""
    found = (contents_of[block] for block in blocks if block in contents_of)
    return {json.loads(content)["page"]["tab"]: content for content in found}


def modules_of(content: bytes) -> list[str]:
    """The JavaScript that a tab starts with."""
    return [MAIN, *(f"{view}/view.js" for view in json.loads(content)["views"])]


def embed(component: gr.HTML) -> None:
    """Let a tab's contents come with the page, for the one that is open at first."""
    # As text: of anything else Gradio makes a copy for each session.
    component.props["content"] = contents_of[component].decode()


def widget(
    name: str,
    label: str,
    page: Json,
    functions: list[Callable],
    parts: Sequence[str] = (),
    here: Json | None = None,
) -> gr.HTML:
    """The widget of one tab.

    Args:
        name: of its folder.
        label: what a screen reader calls it.
        page: what its JavaScript finds in `page`, beside the widget's name as `tab` and SHARED; JSON only.
        functions: what its JavaScript finds in `server`.
        parts: further views in folders of their own: their HTML goes where the tab's has <!-- parts -->, and their
            JavaScript runs before the tab's.
        here: what the page computes with by itself; see `in_page.files.usable`.
    """
    html = read(f"{name}/view.html").replace("<!-- parts -->", "".join(read(f"{part}/view.html") for part in parts))
    content = {
        "html": html.replace("<!-- code -->", read("common/code.html")).replace(
            "<!-- film -->", read("films/view.html")
        ),
        "css": "".join(read(f"{view}/view.css") for view in (name, *parts)),
        "page": {"tab": name, "here": here, **SHARED, **page},
        "views": [*parts, name],
    }
    text = json.dumps(content, separators=(",", ":")).encode()
    component = gr.HTML(
        label=label,
        html_template=" ",
        js_on_load=START % json.dumps(address_of(MAIN)),
        apply_default_css=False,
        server_functions=functions,
        elem_id=f"{name.replace('_', '-')}-tab",
        elem_classes="suite-widget",
        address=address_of_tab(name, text),
    )
    contents_of[component] = text
    return component
