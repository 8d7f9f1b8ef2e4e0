"""What a hosted Space's app.py calls: `from genmodels.ui.space import serve; serve("map")`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from threading import Event

# On ZeroGPU this package changes torch, so it comes before it; it also refuses to be imported by a half-loaded gradio.
with suppress(ImportError):
    import spaces  # noqa: F401

from ..errors import UserError
from .in_page.files import find_page
from .models import TABS, ModelStore
from .suite import build, launch

DEFAULT_PORT = 7860


def port_of(environment: Mapping[str, str]) -> int:
    """The port that the host asks for.

    Raises:
        UserError: it is no port.
    """
    text = environment.get("GRADIO_SERVER_PORT") or environment.get("PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise UserError(f"GRADIO_SERVER_PORT or PORT is {text!r}: a port is a number from 1 to 65535.")
    return int(text)


def serve(*tabs: str, models: str | None = None) -> None:
    """Show these tabs on all addresses of the machine, for ever; the networks follow once the page is up.

    Their public functions are MCP tools as well, where the package for that is there, as in the Spaces' requirements.

    Args:
        tabs: of `models.TABS`; all by default.
        models: as in `ModelStore`; the environment variable GENMODELS_MODELS goes before it.
    """
    tabs = tabs or TABS
    try:
        store = ModelStore(os.environ.get("GENMODELS_MODELS") or models, tabs)
        page = find_page()
        launch(build(store, tabs, page), "0.0.0.0", port_of(os.environ), mcp=find_spec("mcp") is not None, page=page)
    except UserError as error:
        raise SystemExit(f"app.py: {error}") from error
    store.load_in_background()
    Event().wait()
