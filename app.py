"""The suite in a browser: `python app.py`, then open http://127.0.0.1:7860."""

from __future__ import annotations

import argparse
import socket
import sys
import time

from genmodels.errors import UserError


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--models",
        metavar="FOLDER_OR_NAMESPACE",
        help="use these models instead of the built-in ones: a folder of saved pipelines, one such pipeline, "
        "a Hub id (name/model) or a Hub namespace (name)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (default: %(default)s)")
    parser.add_argument("--share", action="store_true", help="also open a public link through Gradio's tunnel")
    parser.add_argument(
        "--mcp", action="store_true", help="also offer the page's functions to assistants, as MCP tools"
    )
    return parser.parse_args(arguments)


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


def main() -> int:
    options = parse()
    try:
        check_address(options.host, options.port)
        from genmodels.ui.models import ModelStore
        from genmodels.ui.suite import build, launch

        store = ModelStore(options.models)
        launch(build(store), options.host, options.port, options.share, options.mcp)
    except UserError as error:
        print(f"app.py: {error}", file=sys.stderr)
        return 2
    # The page is up; now the networks, whose import alone takes seconds.
    store.load_in_background()
    address = f"http://{options.host}:{options.port}"
    print(f"Running on {address}", flush=True)
    if options.mcp:
        print(f"MCP tools on {address}/gradio_api/mcp/", flush=True)
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
