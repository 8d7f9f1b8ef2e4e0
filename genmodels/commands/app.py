"""`genmodels app`: the suite in a browser, as `python app.py` opens it."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import time
from pathlib import Path

from ..errors import UserError
from ..folder import check_output, replacing_folder


def bare_address(text: str) -> str:
    """An argparse type: an address, with or without the brackets that it has in a link."""
    return text.removeprefix("[").removesuffix("]")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    # Gradio's own names; it reads them itself when it is imported, and takes fewer addresses than are possible.
    host, port = os.environ.pop("GRADIO_SERVER_NAME", ""), os.environ.pop("GRADIO_SERVER_PORT", "")
    parser.add_argument(
        "--models",
        metavar="FOLDER_OR_NAMESPACE",
        help="use these models instead of the built-in ones: a folder of saved pipelines, one such pipeline, "
        "a Hub id (name/model) or a Hub namespace (name)",
    )
    parser.add_argument(
        "--host",
        type=bare_address,
        default=host or "127.0.0.1",
        help="address to listen on, 0.0.0.0 or :: for all; GRADIO_SERVER_NAME is the default, else 127.0.0.1",
    )
    # A text is read like an argument.
    parser.add_argument(
        "--port",
        type=int,
        default=port or "7860",
        help="port to listen on; GRADIO_SERVER_PORT is the default, else 7860",
    )
    parser.add_argument(
        "--allow_origin",
        action="append",
        default=[],
        metavar="ORIGIN",
        help="let pages of this origin (https://example.com) embed and call this one, and let it be called so, as behind a "
        "proxy; once for each",
    )
    parser.add_argument(
        "--page",
        type=Path,
        metavar="DIR",
        help="what visitors' browsers compute with, so that the server mostly serves files: a folder that --prepare_page made; "
        "by default that of the variable GENMODELS_PAGE, ./page, or what --prepare_page keeps in ~/.cache/genmodels",
    )
    parser.add_argument(
        "--prepare_page",
        action="store_true",
        help="make that folder and stop: export the models, which takes minutes, and let npm bring onnxruntime-web",
    )
    parser.add_argument("--share", action="store_true", help="also open a public link through Gradio's tunnel")
    parser.add_argument(
        "--mcp", action="store_true", help="also offer the page's functions to assistants, as MCP tools"
    )


def check_address(host: str, port: int) -> None:
    """Raise UserError unless a server can listen there."""
    if not 1 <= port <= 65535:
        raise UserError(f"--port {port}: a port is a number from 1 to 65535.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"Cannot listen on {host} port {port}: {getattr(error, 'strerror', None) or error}. Try another --port or --host."
        ) from error


def address_of(host: str, port: int, root_path: str) -> str:
    """Where a browser finds the page: behind a proxy as GRADIO_ROOT_PATH says, on all addresses on this machine's own."""
    if root_path.startswith(("http://", "https://")):
        return root_path.rstrip("/")
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host) or (f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}{root_path.rstrip('/')}"


def prepare_page(options: argparse.Namespace) -> int:
    """Write the folder that `--page` takes; raises UserError if that is not possible."""
    from ..ui.in_page.engine import bring_engine, cache_folder
    from ..ui.in_page.files import holds_page
    from ..ui.in_page.models import left_out, write_models
    from ..ui.models import ModelStore

    folder = options.page or cache_folder() / "page"
    if not options.page:
        folder.parent.mkdir(parents=True, exist_ok=True)
    check_output(folder, holds_page)
    store = ModelStore(options.models)
    with replacing_folder(folder) as temporary:
        bring_engine(temporary / "engine")
        print("Loading and exporting the models: some minutes.", flush=True)
        store.load()
        entries = write_models(store, temporary)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    for sentence in left_out(entries):
        print(sentence, file=sys.stderr)
    print(f"{folder}: {sum('weights' in entry for entry in entries)} models, {size:.1f} MB.")
    return 0


def run(options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C; raises UserError if that is not possible."""
    from ..ui.in_page.files import find_page
    from ..ui.models import ModelStore
    from ..ui.suite import build, launch

    if options.prepare_page:
        return prepare_page(options)
    check_address(options.host, options.port)
    store, page = ModelStore(options.models), find_page(options.page)
    launch(build(store, page=page), options.host, options.port, options.share, options.mcp, options.allow_origin, page)
    # The page is up; now the networks, whose import alone takes seconds.
    store.load_in_background()
    address = address_of(options.host, options.port, os.environ.get("GRADIO_ROOT_PATH", ""))
    print(f"Running on {address}", flush=True)
    if options.mcp:
        print(f"MCP tools on {address}/gradio_api/mcp/", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return 0
