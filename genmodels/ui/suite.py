"""Assembles the tabs, and the functions that programs may call."""

from __future__ import annotations

import gradio as gr

from ..errors import UserError
from . import classes, map, real_or_fake, samples
from .api import add_api
from .models import ModelStore
from .widget import read

TITLE = "genmodels: classic generative models, alive"
TABS = {"Map": map, "Samples": samples, "Classes": classes, "Real or fake?": real_or_fake}
# Events that run at once, and that wait: more than that is told to come back.
CONCURRENCY, QUEUE_SIZE = 4, 64
# The semibold file that comes with Gradio holds only a few glyphs; the bold one is whole.
FONT = (gr.themes.utils.fonts.LocalFont("Source Sans Pro", weights=(400, 700)), "system-ui", "sans-serif")
# Seconds after which temporary files are looked at and removed.
CACHE_SECONDS = 3600


def theme() -> gr.themes.Base:
    """Gradio's default, with a secondary text colour that is dark enough to read (WCAG AA)."""
    return gr.themes.Default(primary_hue="blue", neutral_hue="slate", font=FONT).set(
        body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_400"
    )


def build(store: ModelStore) -> gr.Blocks:
    """The suite's page; its networks may still be on their way."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(CACHE_SECONDS, CACHE_SECONDS)) as demo:
        gr.HTML(read("header.html"), elem_id="suite-header")
        with gr.Tabs(elem_id="suite-tabs"):
            for name, tab in TABS.items():
                # Rendered at once though hidden, so that every tab has its picture when it is opened.
                with gr.Tab(name, id=name, render_children=True):
                    tab.build(store)
        add_api(store)
    return demo.queue(default_concurrency_limit=CONCURRENCY, max_size=QUEUE_SIZE)


def launch(demo: gr.Blocks, host: str, port: int, share: bool = False) -> None:
    """Serve the page in other threads and return.

    Raises:
        UserError: the address cannot be listened on.
    """
    try:
        demo.launch(
            server_name=host,
            server_port=port,
            share=share,
            theme=theme(),
            css=read("suite.css"),
            ssr_mode=False,
            run_history=False,
            footer_links=["api"],
            prevent_thread_lock=True,
            # With --share, the public address must be printed.
            quiet=not share,
        )
    except OSError as error:
        raise UserError(f"Cannot listen on {host} port {port}: {error}") from error
