"""Assembles the tabs, and the functions that programs may call."""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import gradio as gr
from starlette.middleware import Middleware

from ..errors import UserError
from . import bulk, classes, cover, map, models, real_or_fake, samples, training
from .api import Page, add_api
from .front_door import MAX_CALLS, PROXIES_OF_SPACES, FrontDoor, names_of
from .in_page.files import PageFiles, usable
from .language import I18N
from .modules import Modules, preloads
from .widget import embed, modules_of, read
from .widget import tabs as tabs_of

NAME, TITLE = "genmodels", "Classic generative models, alive under your hands."
# What search engines and links to the page say of it.
DESCRIPTION = (
    "Drag over the latent map of a VAE, breed emoji, write numbers with a conditional GAN, tell real from fake and "
    "watch mode collapse: small models on a CPU."
)
# A tab's name, what stands above it when it is alone, and its module; the keys are those of `models.TABS`.
TABS = {
    "map": ("Map", "The latent map of a variational autoencoder, alive under your hands.", map),
    "samples": ("Samples", "A generative adversarial network, alive under your hands.", samples),
    "classes": ("Classes", "A conditional generative adversarial network, alive under your hands.", classes),
    "real_or_fake": ("Real or fake?", "What a discriminator takes for real.", real_or_fake),
    "training": ("Training", "Generative adversarial networks, learning before your eyes.", training),
}
# Sessions of which Gradio remembers what it has told them.
SESSIONS = 200
# The semibold file that comes with Gradio holds only a few glyphs; the bold one is whole.
FONT = (gr.themes.utils.fonts.LocalFont("Source Sans Pro", weights=(400, 700)), "system-ui", "sans-serif")
# Seconds after which temporary files are looked at and removed.
CACHE_SECONDS = 3600


def theme() -> gr.themes.Base:
    """Gradio's default, with a secondary text colour that is dark enough to read (WCAG AA)."""
    return gr.themes.Default(primary_hue="blue", neutral_hue="slate", font=FONT).set(
        body_text_color_subdued="*neutral_600", body_text_color_subdued_dark="*neutral_400"
    )


def build(store: models.ModelStore, tabs: Sequence[str] = models.TABS, page: Path | None = None) -> gr.Blocks:
    """The page; its networks may still be on their way.

    Args:
        store: made for these tabs, or for more.
        tabs: which tabs the page has, of `TABS`, in this order; a single one is shown without a bar of tabs.
        page: what visitors' browsers compute with, see `in_page.files.find_page`; None: the server alone computes.
    """
    store.here = usable(store, page) if page else None
    # Gradio's own folder is one for all users and all pages of a machine: not every user may write it, and every page serves it.
    if not os.environ.get("GRADIO_TEMP_DIR"):
        os.environ["GRADIO_TEMP_DIR"] = folder = tempfile.mkdtemp(prefix="genmodels-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    title = TITLE if len(tabs) > 1 else TABS[tabs[0]][1]
    page_title = f"{NAME}: {title[0].lower()}{title[1:].rstrip('.')}"
    with Page(title=page_title, analytics_enabled=False, delete_cache=(CACHE_SECONDS, CACHE_SECONDS)) as demo:
        gr.HTML(read("common/header.html").replace("<!-- title -->", str(I18N(title))), elem_id="suite-header")
        if len(tabs) == 1:
            embed(TABS[tabs[0]][2].build(store))
        else:
            with gr.Tabs(elem_id="suite-tabs"):
                for tab, (name, _, module) in ((tab, TABS[tab]) for tab in tabs):
                    with gr.Tab(I18N(name), id=name):
                        widget = module.build(store)
                    if tab == tabs[0]:
                        embed(widget)
        bulk.build(store)
        add_api(store, tabs)
    return demo.queue(default_concurrency_limit=None, max_size=MAX_CALLS)


def launch(
    demo: gr.Blocks,
    host: str,
    port: int,
    share: bool = False,
    mcp: bool = False,
    allow_origin: Sequence[str] = (),
    page: Path | None = None,
) -> None:
    """Serve the page in other threads and return; with `mcp` its public functions are tools at /gradio_api/mcp/ as well.

    Args:
        allow_origin: names of the page behind a proxy, and of other pages that may embed or call it; those in the environment
            variable GENMODELS_ALLOW_ORIGIN, with commas between, come on top.
        page: see `in_page.files.find_page`; None: the server alone computes.

    Raises:
        UserError: the address cannot be listened on, or the package `mcp` is missing.
    """
    if mcp and importlib.util.find_spec("mcp") is None:
        raise UserError('--mcp needs a package more: python -m pip install "gradio[mcp]"')
    demo.root_path = os.environ.get("GRADIO_ROOT_PATH", "")
    hosts, origins = names_of(host, demo.root_path, share)
    origins += [*allow_origin, *os.environ.get("GENMODELS_ALLOW_ORIGIN", "").split(",")]
    # Whose X-Forwarded-For is believed: nobody's, where nobody is named.
    os.environ.setdefault("FORWARDED_ALLOW_IPS", PROXIES_OF_SPACES if os.environ.get("SPACE_ID") else "")
    # Gradio asks itself over HTTP, which is no business of an office's proxy.
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "localhost,127.0.0.1,::1", host.strip("[]")]))
    # Threads that compute let go sooner, so that the page's own loop answers at once.
    sys.setswitchinterval(0.001)
    contents = tabs_of(demo.blocks.values())
    # The other tabs come when they are opened.
    first = next((modules_of(content) for content in contents.values()), [])
    pictures = cover.pictures()
    tags = partial(cover.tags, str(demo.title), DESCRIPTION, next(iter(pictures)))
    try:
        demo.launch(
            # In an address one of IPv6 stands in brackets.
            server_name=f"[{host}]" if ":" in host else host,
            server_port=port,
            share=share,
            theme=theme(),
            css=read("common/suite.css"),
            head=f'<meta name="description" content="{DESCRIPTION}">{preloads(first)}',
            ssr_mode=False,
            run_history=False,
            enable_monitoring=False,
            state_session_capacity=SESSIONS,
            # In which calls of the API wait for their lane, as coroutines; what computes has threads of its own.
            max_threads=MAX_CALLS,
            footer_links=["api"],
            i18n=I18N,
            mcp_server=mcp,
            prevent_thread_lock=True,
            # With --share, the public address must be printed.
            quiet=not share,
            # Else Gradio ends the program when the page does not answer itself within three seconds, as on a busy machine.
            _frontend=False,
            app_kwargs={
                "middleware": [
                    Middleware(FrontDoor, demo=demo, hosts=hosts, origins=origins, tags=tags),
                    Middleware(Modules, tabs=contents, pictures=pictures),
                    Middleware(PageFiles, folder=page),
                ]
            },
        )
    except OSError as error:
        raise UserError(f"Cannot listen on {host} port {port}: {error}") from error
