"""What stands in front of Gradio's server: it lets in what the page and its API need, in bounded number, size and time.

Gradio checks no Origin on public addresses, takes uploads of any size, gives each session a copy of every component's properties,
and calls the page's functions in threads that the page's own files need. Here such calls are answered directly, by `admission`.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import json
import os
import secrets
import socket
import time
import weakref
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

import gradio as gr
from gradio.context import LocalContext
from gradio.routes import ORJSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response

from .admission import RETRY_SECONDS, AbandonedError, BusyError, Visitor, admitted

API = "/gradio_api"
# Requests that are open at once, of them streams of events, which stay open, and calls of tools, for each of which Gradio holds a
# thread that its files need, too; and all of one address.
MAX_OPEN, MAX_STREAMS, MAX_TOOLS, MAX_OPEN_OF_ADDRESS = 1000, 500, 16, 100
# Bytes of one request, of those that carry no photo, of all that are being read or answered, and seconds for sending one.
MAX_BODY, MAX_SMALL_BODY, MAX_BODIES, BODY_SECONDS = 36 * 2**20, 2**20, 128 * 2**20, 30
# Answers of the API that a session has not fetched, and calls of all.
MAX_UNFETCHED, MAX_CALLS = 8, 256
# Seconds after which a connection is closed on which no whole request has come, or whose answer is not taken; between two looks.
SILENT_SECONDS, STALLED_SECONDS, LOOK_SECONDS = 20, 180, 5
# How long a request is held that finds no room, so that who asks again at once asks no more than once in that time.
HOLD_SECONDS = 0.5
# Addresses of a reverse proxy on Spaces.
PROXIES_OF_SPACES = "127.0.0.1,::1,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7"
# Names that no public name server gives to anybody, so that no page of a stranger can be called so.
PRIVATE_NAMES = ("localhost", "local", "lan", "internal", "home", "home.arpa", "test")
# What may be read and what may be called: exactly, or up to the end of a name.
READ = {"/", "/config", "/config/", "/theme.css", "/favicon.ico", "/robots.txt", "/manifest.json"}
READ |= {
    API + path for path in ("/theme.css", "/info", "/info/", "/openapi.json", "/app_id", "/app_id/", "/queue/status")
}
READ |= {API + path for path in ("/startup-events", "/login_check", "/user", "/token")}
READ_BELOW = ("/static/", "/assets/", "/svelte/", f"{API}/file=/", f"{API}/file=", f"{API}/mcp")
STREAMS = (f"{API}/queue/data", f"{API}/call/", f"{API}/heartbeat/")
SERVER_FUNCTION = f"{API}/component_server"
JOINS = (f"{API}/queue/join", f"{API}/call/")
CALLED = (*JOINS, f"{API}/cancel", f"{API}/reset", f"{API}/mcp")
# Pages that are the same for everybody who asks for them by the same name.
KEPT, MAX_KEPT = ("/", "/config", "/config/"), 16
NAMED_BY = ("host", "x-forwarded-host", "x-forwarded-proto", "x-gradio-server")
# Tells the visitor behind a tool's call, which Gradio makes itself.
BEHALF, SECRET = "x-genmodels-visitor", secrets.token_hex(16)


def address_of(client) -> str:
    """Where a request comes from; empty for this machine, which may be a proxy or a tunnel for many.

    Gradio's server puts in what X-Forwarded-For says only if the environment variable FORWARDED_ALLOW_IPS names the proxy.
    """
    try:
        address = ipaddress.ip_address(client[0])
    except (TypeError, ValueError):
        return ""
    if address.is_loopback:
        return ""
    # Who has one address of IPv6 has all of its network.
    return str(address if address.version == 4 else ipaddress.ip_network((address, 64), strict=False))


def on_behalf(headers) -> str | None:
    """Whose call a tool's call is, None if it is no such."""
    key, _, whose = headers.get(BEHALF, "").partition("=")
    return whose if secrets.compare_digest(key.encode(), SECRET.encode()) else None


def queued(function: Callable) -> Callable:
    """An endpoint of Gradio's queue, admitted as the page's own functions are: it takes no thread while it waits.

    Raises:
        gr.Error: what the caller did wrong, or that the server is busy.
    """

    @functools.wraps(function)
    async def call(*args, **options):
        request, event = LocalContext.request.get(None), LocalContext.event_id.get(None)
        blocks = LocalContext.blocks.get(None)
        whose = Visitor("", event or "")
        if request is not None:
            tool, client = on_behalf(request.headers), request.client
            whose = Visitor(address_of((client.host,)) if client else "", str(request.session_hash or event))
            if tool is not None:
                whose = Visitor(tool, f"tools of {tool}")
        # Gradio marks the call of a client that has left; it cancels nothing.
        mine = blocks._queue.event_ids_to_events.get(event) if blocks is not None and event else None
        bound = functools.partial(function, *args, **options)
        try:
            return await admitted(
                whose, bound, lane=getattr(function, "lane", None), gone=lambda: mine is not None and not mine.alive
            )
        except (BusyError, AbandonedError) as error:
            raise gr.Error(str(error), print_exception=False) from None

    return call


class RefusedError(Exception):
    """A request that is not let in.

    Args:
        status: of HTTP.
        why: a sentence for whoever reads it.
    """

    def __init__(self, status: int, why: str):
        super().__init__(why)
        self.status = status


def hostname(netloc: str) -> str:
    """The name in "name:port", without the brackets of an IPv6 address."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "").rstrip(".")
    except ValueError:
        return ""


class FrontDoor:
    """The outermost part of the server that is ours.

    Args:
        app: Gradio's.
        demo: its Blocks.
        hosts: names by which the page may be called, beside addresses and names that are private; "*" for all.
        origins: hosts of other pages that may embed or call it.
    """

    def __init__(self, app, demo: gr.Blocks, hosts: Iterable[str] = (), origins: Iterable[str] = ()):
        self.app, self.demo = app, demo
        self.origins = {urlsplit(o).netloc.lower() if "//" in o else o.lower() for o in origins if o}
        self.hosts = {hostname(name) for name in (*hosts, *self.origins)} - {""} | ({"*"} & {*hosts})
        self.functions = {
            (block._id, function.__name__): function
            for block in demo.blocks.values()
            for function in getattr(block, "server_fns", [])
        }
        self.open: Counter = Counter()
        self.bodies = 0
        self.kept: OrderedDict[tuple, list[dict]] = OrderedDict()
        self.making = asyncio.Lock()
        self.watch: asyncio.Task | None = None

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return None
        if self.watch is None:
            self.watch = asyncio.ensure_future(self._close_silent())
        address = address_of(scope.get("client"))
        tools = ["tools"] if scope["method"] == "POST" and scope["path"].startswith(f"{API}/mcp") else []
        held = ["all", *tools, *(["streams"] if self._is_stream(scope) else []), *([address] if address else [])]
        limits = {"all": MAX_OPEN, "streams": MAX_STREAMS, "tools": MAX_TOOLS}
        size = 0
        try:
            self._check(scope)
            if any(self.open[name] >= limits.get(name, MAX_OPEN_OF_ADDRESS) for name in held):
                raise BusyError
            self.open.update(held)
            try:
                body = None
                if scope["method"] == "POST":
                    body = await self._read(scope, receive)
                    size = len(body)
                await self._serve(scope, body, address, receive, send)
            finally:
                self.bodies -= size
                self.open.subtract(held)
                self.open += Counter()  # forgets who has left
        except RefusedError as refusal:
            await PlainTextResponse(str(refusal), refusal.status)(scope, receive, send)
        except BusyError as error:
            await asyncio.sleep(HOLD_SECONDS)
            answer = PlainTextResponse(str(error), 503, headers={"Retry-After": str(RETRY_SECONDS)})
            await answer(scope, receive, send)
        except AbandonedError:
            pass

    async def _close_silent(self) -> None:
        """Close the connections that send or take too slowly: Gradio's server waits for them without end."""
        silent: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
        stalled: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = time.monotonic()
            for connection in list(self.demo.server.server_state.connections):
                cycle, transport = getattr(connection, "cycle", None), getattr(connection, "transport", None)
                if transport is None:
                    continue
                if cycle is not None and not cycle.response_complete:
                    silent.pop(connection, None)
                elif now - silent.setdefault(connection, now) > SILENT_SECONDS:
                    transport.close()
                if not transport.get_write_buffer_size():
                    stalled.pop(connection, None)
                elif now - stalled.setdefault(connection, now) > STALLED_SECONDS:
                    transport.abort()

    @staticmethod
    def _is_stream(scope) -> bool:
        return scope["method"] == "GET" and scope["path"].startswith((*STREAMS, f"{API}/mcp"))

    def _check(self, scope) -> None:
        """Raise RefusedError unless this request is one that the page and its API need, from where they may be called."""
        headers, root = Headers(scope=scope), urlsplit(self.demo.root_path or "").path.rstrip("/")
        # A proxy may leave the prefix in.
        if root and f"{scope['path']}/".startswith(f"{root}/"):
            scope["path"] = scope["path"].removeprefix(root) or "/"
            scope["raw_path"] = scope["path"].encode()
        path, method = scope["path"], scope["method"]
        host = headers.get("host", "")
        if not self._is_ours(hostname(host)):
            raise RefusedError(
                403,
                f"This page is not called {host[:100]!r}: start it with --allow_origin https://{hostname(host)[:100]}"
                " if it is to be.",
            )
        origin = headers.get("origin")
        if origin is not None and not self._may_call(origin, host, headers.get("sec-fetch-site")):
            raise RefusedError(
                403, f"Pages of {origin[:100]!r} may not call this one: start it with --allow_origin and that name."
            )
        if path.startswith(f"{API}/upload"):
            raise RefusedError(403, "Uploads are off: no function of this page takes files.")
        if method in ("GET", "HEAD"):
            known = path in READ or (path.startswith((*READ_BELOW, *STREAMS)) and "file=http" not in path)
        elif method == "POST":
            known = path.rstrip("/") == SERVER_FUNCTION or path.startswith(CALLED)
        else:
            known = method in ("OPTIONS", "DELETE") and path.startswith(f"{API}/mcp")
            if not known:
                raise RefusedError(405, "This page is read with GET and called with POST.")
        if not known:
            raise RefusedError(404, "There is nothing here.")

    def _is_ours(self, name: str) -> bool:
        """Whether a Host is no name that a stranger may have pointed to this machine."""
        if "*" in self.hosts or name in self.hosts or name.endswith(tuple(h for h in self.hosts if h.startswith("."))):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return bool(name) and ("." not in name or name.endswith(tuple(f".{end}" for end in PRIVATE_NAMES)))
        return True

    def _may_call(self, origin: str, host: str, site: str | None) -> bool:
        """Whether scripts of a page may call this one: its own, as the browser or the names say, or one that is allowed."""
        netloc = urlsplit(origin).netloc.lower() if "//" in origin else ""
        if site == "same-origin" or netloc == host.lower() != "":
            return True
        # A proxy may take the port away.
        if netloc and ":" not in host and hostname(netloc) == hostname(host):
            return True
        ends = tuple(known for known in self.origins if known.startswith("."))
        return netloc in self.origins or hostname(netloc) in self.origins or (bool(ends) and netloc.endswith(ends))

    async def _read(self, scope, receive) -> bytearray:
        """The body of a request, counted in `bodies`."""
        body, most = bytearray(), MAX_BODY

        async def read() -> None:
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise AbandonedError
                chunk, more = message.get("body", b""), message.get("more_body", False)
                if len(body) + len(chunk) > most:
                    raise RefusedError(413, f"That is too long: {most // 2**20} MiB at most.")
                if self.bodies + len(chunk) > MAX_BODIES:
                    raise BusyError
                body.extend(chunk)
                self.bodies += len(chunk)

        try:
            await asyncio.wait_for(read(), BODY_SECONDS)
        except TimeoutError:
            self.bodies -= len(body)
            raise RefusedError(408, f"The request did not come within {BODY_SECONDS} seconds.") from None
        except BaseException:
            self.bodies -= len(body)
            raise
        return body

    async def _serve(self, scope, body: bytearray | None, address: str, receive, send) -> None:
        path = scope["path"]
        if body is None:
            if path in KEPT:
                return await self._page(scope, receive, send)
            return await self.app(self._marked(scope, address), receive, send)
        if path.rstrip("/") == SERVER_FUNCTION:
            answer = await until_gone(self._call(scope, body, address), receive)
            return await answer(scope, receive, send)
        if path.startswith(JOINS):
            self._check_queue(body)
        first = True

        async def again():
            nonlocal first
            if not first:
                return await receive()
            first = False
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        return await self.app(self._marked(scope, address), again, send)

    def _marked(self, scope, address: str):
        """The scope with a header that says whose call a tool's is, which Gradio hands on with the call that it makes itself."""
        if on_behalf(Headers(scope=scope)) is not None:
            return scope
        headers = [(name, value) for name, value in scope["headers"] if name.decode("latin-1") != BEHALF]
        if scope["path"].startswith(f"{API}/mcp"):
            headers.append((BEHALF.encode(), f"{SECRET}={address}".encode()))
        return {**scope, "headers": headers}

    def _check_queue(self, body: bytearray) -> None:
        """Raise BusyError if there are too many calls in Gradio's queue, of all or of this session."""
        queue, session = self.demo._queue, parsed(body).get("session_hash")
        calls = len(queue.event_ids_to_events)
        unfetched = len(queue.pending_event_ids_session.get(session, ())) if isinstance(session, str) else 0
        if unfetched >= MAX_UNFETCHED or calls >= MAX_CALLS or (len(body) > MAX_SMALL_BODY and calls >= MAX_UNFETCHED):
            raise BusyError

    async def _call(self, scope, body: bytearray, address: str) -> Response:
        """The answer of one of the page's own functions."""
        asked = parsed(body)
        component, name, session = (asked.get(key) for key in ("component_id", "fn_name", "session_hash"))
        if not (isinstance(component, int) and isinstance(name, str) and isinstance(session, str) and "data" in asked):
            raise RefusedError(400, "component_id, fn_name, session_hash and data are wanted.")
        function = self.functions.get((component, name))
        if function is None:
            raise RefusedError(404, "There is no such function.")
        try:
            answer = await admitted(Visitor(address, session[:64]), function, asked["data"])
        except BusyError as error:
            # Gradio's client in the page hands on no status of HTTP.
            await asyncio.sleep(HOLD_SECONDS)
            answer = {"status": "busy", "message": str(error), "retry": RETRY_SECONDS}
        return ORJSONResponse(answer)

    async def _page(self, scope, receive, send) -> None:
        """A page that is the same for all, made once for each name by which it is called."""
        headers = Headers(scope=scope)
        key = scope["path"], *(headers.get(name) for name in NAMED_BY)
        async with self.making:
            if key not in self.kept:
                messages: list[dict] = []

                async def keep(message) -> None:
                    messages.append(message)

                await self.app({**scope, "method": "GET", "query_string": b""}, receive, keep)
                if messages[0].get("status") != 200:
                    for message in messages:
                        await send(message)
                    return
                self.kept[key] = messages
                while len(self.kept) > MAX_KEPT:
                    self.kept.popitem(last=False)
        start, *rest = self.kept[key]
        headers = MutableHeaders(raw=list(start["headers"]))
        await send({**start, "headers": headers.raw})
        if scope["method"] == "HEAD":
            rest = [{"type": "http.response.body", "body": b"", "more_body": False}]
        for message in rest:
            await send(message)


def parsed(body: bytearray) -> dict:
    """The JSON object in a request.

    Raises:
        RefusedError: it is none.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RefusedError(400, "The request is no JSON object.")
    return value


async def until_gone(work, receive):
    """The result of a coroutine, which is cancelled if the connection is closed before.

    Raises:
        AbandonedError: it was.
    """

    async def leave() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(leave())
    try:
        await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise AbandonedError
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


def names_of(host: str, root_path: str, share: bool, environment=os.environ) -> tuple[list[str], list[str]]:
    """The names by which a page is called, and the hosts of pages that may call it, beside its own; see `FrontDoor`."""
    hosts = [host, socket.gethostname(), urlsplit(root_path).netloc, *([".gradio.live"] if share else [])]
    if environment.get("SPACE_ID"):
        # A public page has nothing to hide from a stranger's name; huggingface.co shows it in a frame.
        return ["*"], ["huggingface.co", ".hf.space"]
    return hosts, []
