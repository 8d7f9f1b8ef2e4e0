"""The page's texts in other languages: gettext's way, by the English text itself; a browser shows the one of its own."""

from __future__ import annotations

import json
from pathlib import Path

import gradio as gr

FOLDER = Path(__file__).parent / "languages"


def load() -> gr.I18n:
    """All translations, for `launch`; English is what is translated from."""
    catalogues = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in sorted(FOLDER.glob("*.json"))}
    # Gradio's own components know a text by its key alone.
    english = {text: text for catalogue in catalogues.values() for text in catalogue}
    return gr.I18n(en=english, **catalogues)


I18N = load()
