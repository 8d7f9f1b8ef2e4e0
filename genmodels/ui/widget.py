"""Reads a widget's HTML, CSS and JavaScript from their files and makes a `gr.HTML` of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import gradio as gr

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


def widget(
    name: str,
    label: str,
    page: dict,
    functions: list[Callable],
    parts: Sequence[str] = (),
    scripts: Sequence[str] = (),
) -> gr.HTML:
    """The widget of one tab.

    Args:
        name: of its files: `map` for map.html, map.css and map.js.
        label: what a screen reader calls it.
        page: what its JavaScript finds in `page`, beside the widget's name as `tab`; JSON only.
        functions: what its JavaScript finds in `server`.
        parts: further views with files of their own: their HTML goes where the tab's has <!-- parts -->, and their
            JavaScript runs before the tab's, each in a function of its own.
        scripts: further JavaScript whose functions the tab and its parts call.
    """
    html = read(f"{name}/view.html").replace("<!-- parts -->", "".join(read(f"{part}/view.html") for part in parts))
    html = html.replace("<!-- code -->", read("shared/code.html")).replace("<!-- film -->", read("films/view.html"))
    shared = [read(f"shared/{script}.js") for script in ("common", *scripts)]
    views = [f"(() => {{\n{read(f'{part}/view.js')}}})();\n" for part in parts]
    return gr.HTML(
        label=label,
        html_template=html,
        css_template="".join(read(f"{file}/view.css") for file in (name, *parts)),
        js_on_load="".join([*shared, *views, read(f"{name}/view.js")]),
        apply_default_css=False,
        server_functions=functions,
        elem_id=f"{name.replace('_', '-')}-tab",
        elem_classes="suite-widget",
        # As text: of anything else Gradio makes a copy for each session.
        page=json.dumps({"tab": name, "colours": CLASS_COLOURS, **page}, separators=(",", ":")),
    )
