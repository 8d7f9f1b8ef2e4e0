"""Reads a widget's HTML and CSS from their files and makes a `gr.HTML` of them, which loads its JavaScript."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from weakref import WeakKeyDictionary

import gradio as gr

from . import Json
from .inputs import MAX_PAGE_SEED, MAX_SLIDER_GUIDANCE, MAX_SLIDER_PSI
from .modules import MAIN, address_of

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
# Gradio runs it when the tab is put together. On other pages that embed this one, they say where it lies.
START = """
const home = document.querySelector('gradio-app[src]')?.getAttribute('src') ?? document.baseURI;
import(new URL(%s, home)).then(({ start }) => start(element, JSON.parse(props.page), server, %s));
"""

# The JavaScript of each widget.
modules_of: WeakKeyDictionary[gr.blocks.Block, list[str]] = WeakKeyDictionary()


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
    html = html.replace("<!-- code -->", read("common/code.html")).replace("<!-- film -->", read("films/view.html"))
    views = [*parts, name]
    component = gr.HTML(
        label=label,
        html_template=html,
        css_template="".join(read(f"{view}/view.css") for view in (name, *parts)),
        js_on_load=START % (json.dumps(address_of(MAIN)), json.dumps(views)),
        apply_default_css=False,
        server_functions=functions,
        elem_id=f"{name.replace('_', '-')}-tab",
        elem_classes="suite-widget",
        # As text: of anything else Gradio makes a copy for each session.
        page=json.dumps({"tab": name, "here": here, **SHARED, **page}, separators=(",", ":")),
    )
    modules_of[component] = [MAIN, *(f"{view}/view.js" for view in views)]
    return component
