"""What stands in front of Gradio's server: it lets in what the page and its API need, in bounded number, size and time.

Gradio checks no Origin on public addresses, takes uploads of any size, gives each session a copy of every component's properties,
and calls the page's functions in threads that the page's own files need. Here such calls are answered directly, by `admission`.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import ipaddress
import json
import os
import posixpath
import re
import secrets
import socket
import time
import weakref
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import gradio as gr
import httpx
from gradio.context import LocalContext
from gradio.route_utils import get_root_url
from gradio.routes import ORJSONResponse
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import Json, pressed
from .admission import RETRY_SECONDS, AbandonedError, BusyError, T, Visitor, admitted
from .cover import with_own_tags
from .in_page import files
from .modules import ICON, ROUTE
from .pressed import Spliced

API = "/gradio_api"
# Requests that are open at once, of them streams of events, which stay open, and calls of tools, for each of which Gradio holds a
# thread that its files need, too; and all of one address.
MAX_OPEN, MAX_STREAMS, MAX_TOOLS, MAX_OPEN_OF_ADDRESS = 1000, 500, 16, 100
# Bytes of one request, of those that carry no photo, of all that are being read or answered, and seconds for sending one.
MAX_BODY, MAX_SMALL_BODY, MAX_BODIES, BODY_SECONDS = 36 * 2**20, 2**20, 128 * 2**20, 30
# Levels of its JSON, and characters of the name of a session.
MAX_DEPTH, MAX_SESSION_NAME = 100, 256
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
READ = {"/", "/config", "/config/", "/theme.css", ICON, "/robots.txt", "/manifest.json"}
READ |= {
    API + path for path in ("/theme.css", "/info", "/info/", "/openapi.json", "/app_id", "/app_id/", "/queue/status")
}
READ |= {API + path for path in ("/startup-events", "/login_check", "/user", "/token")}
READ_BELOW = (ROUTE, files.ROUTE, "/static/", "/assets/", "/svelte/", f"{API}/file=/", f"{API}/file=", f"{API}/mcp")
STREAMS = (f"{API}/queue/data", f"{API}/call/", f"{API}/heartbeat/")
SERVER_FUNCTION = f"{API}/component_server"
JOIN, CALL, MCP = f"{API}/queue/join", f"{API}/call/", f"{API}/mcp"
CALLED = (JOIN, CALL, f"{API}/cancel", f"{API}/reset", MCP)
# What an MCP client may ask, beside what it notifies of. Of Gradio's other methods one runs whatever function comes last.
METHODS = {"initialize", "ping", "logging/setLevel", "tools/call"}
METHODS |= {f"{what}/list" for what in ("tools", "prompts", "resources", "resources/templates")}
# Pages that are the same for everybody but for the address by which they are called; under what name they are made.
KEPT = ("/", "/config", "/config/", *(API + path for path in ("/info", "/info/", "/openapi.json")))
CANONICAL = "name.invalid"
# Gradio's own files, which it would press anew for each visitor: most of what a visit costs.
ASSETS, TEXTS = ("/assets/", "/static/", "/svelte/"), (".js", ".css", ".svg", ".json")
NO_FILES = "Uploads are off: no function of this page takes files; an image is given as base64."
# How a page may be called.
ADDRESS = re.compile(r"https?://[\w.:\[\]-]+(/[\w./~-]*)?", re.ASCII)
# Tells the visitor behind a tool's call, which Gradio makes itself, and which of the tools' requests that is, of those open.
BEHALF, SECRET = "x-genmodels-visitor", secrets.token_hex(16)
open_tools: set[str] = set()


def address_of(client: Any) -> str:
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


def on_behalf(headers: Headers) -> tuple[str, str] | None:
    """Whose call a tool's call is, and of which request; None if it is no such."""
    key, _, rest = headers.get(BEHALF, "").partition("=")
    request, _, whose = rest.partition("=")
    return (whose, request) if secrets.compare_digest(key.encode(), SECRET.encode()) else None


def queued(function: Callable) -> Callable:
    """An endpoint of Gradio's queue, admitted as the page's own functions are: it takes no thread while it waits.

    Raises:
        gr.Error: what the caller did wrong, or that the server is busy.
    """

    @functools.wraps(function)
    async def call(*args: Any, **options: Any) -> Any:
        request, event = LocalContext.request.get(None), LocalContext.event_id.get(None)
        blocks = LocalContext.blocks.get(None)
        whose, tool = Visitor("", event or ""), None
        if request is not None:
            tool, client = on_behalf(request.headers), request.client
            whose = Visitor(address_of((client.host,)) if client else "", str(request.session_hash or event))
            if tool is not None:
                whose = Visitor(tool[0], f"tools of {tool[0]}")
        # Gradio marks the call of a client that has left; it cancels nothing. Its own client, which calls tools, stays.
        mine = blocks._queue.event_ids_to_events.get(event) if blocks is not None and event else None

        def gone() -> bool:
            return (mine is not None and not mine.alive) or (tool is not None and tool[1] not in open_tools)

        bound = functools.partial(function, *args, **options)
        try:
            return await admitted(whose, bound, lane=getattr(function, "lane", None), gone=gone)
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


class Names:
    """By what names a page is called, and whose pages may call it.

    Args:
        hosts: beside addresses and names that are private; "*" for all.
        origins: hosts of other pages that may embed or call it.
    """

    def __init__(self, hosts: Iterable[str], origins: Iterable[str]):
        self.origins = {urlsplit(o).netloc.lower() if "//" in o else o.lower() for o in origins if o}
        self.hosts = {hostname(name) for name in (*hosts, *self.origins)} - {""} | ({"*"} & {*hosts})

    def is_ours(self, name: str) -> bool:
        """Whether a Host is no name that a stranger may have pointed to this machine."""
        if "*" in self.hosts or name in self.hosts or name.endswith(tuple(h for h in self.hosts if h.startswith("."))):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return bool(name) and ("." not in name or name.endswith(tuple(f".{end}" for end in PRIVATE_NAMES)))
        return True

    def may_call(self, origin: str, host: str, site: str | None) -> bool:
        """Whether scripts of a page may call this one: its own, as the browser or the names say, or one that is allowed."""
        netloc = urlsplit(origin).netloc.lower() if "//" in origin else ""
        if site == "same-origin" or netloc == host.lower() != "":
            return True
        # A proxy may take the port away.
        if netloc and ":" not in host and hostname(netloc) == hostname(host):
            return True
        ends = tuple(known for known in self.origins if known.startswith("."))
        return netloc in self.origins or hostname(netloc) in self.origins or (bool(ends) and netloc.endswith(ends))


class FrontDoor:
    """The outermost part of the server that is ours.

    Args:
        app: Gradio's.
        demo: its Blocks.
        hosts, origins: see `Names`.
        tags: makes those of the page's head that speak of it elsewhere, given its address; see `cover.tags`.
    """

    def __init__(
        self,
        app: ASGIApp,
        demo: gr.Blocks,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        tags: Callable[[str], str] | None = None,
    ):
        self.app, self.demo, self.names, self.tags = app, demo, Names(hosts, origins), tags
        self.functions = {
            (block._id, function.__name__): function
            for block in demo.blocks.values()
            for function in getattr(block, "server_fns", [])
        }
        self.open: Counter = Counter()
        self.bodies = 0
        self.kept: dict[tuple, tuple[Message, Spliced]] = {}
        self.making = asyncio.Lock()
        self.watch: asyncio.Task | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            # Nothing of the page is a WebSocket.
            return await send({"type": "websocket.close"})
        if self.watch is None:
            self.watch = asyncio.ensure_future(self._close_silent())
        address = address_of(scope.get("client"))
        tools = ["tools"] if scope["method"] == "POST" and scope["path"].startswith(MCP) else []
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
    def _is_stream(scope: Scope) -> bool:
        return scope["method"] == "GET" and scope["path"].startswith((*STREAMS, MCP))

    def _check(self, scope: Scope) -> None:
        """Raise RefusedError unless this request is one that the page and its API need, from where they may be called."""
        headers, root = Headers(scope=scope), urlsplit(self.demo.root_path or "").path.rstrip("/")
        # A proxy may leave the prefix in.
        if root and f"{scope['path']}/".startswith(f"{root}/"):
            scope["path"] = scope["path"].removeprefix(root) or "/"
            scope["raw_path"] = scope["path"].encode()
        path, method = scope["path"], scope["method"]
        host = headers.get("host", "")
        scope["headers"] = [(name, value) for name, value in scope["headers"] if name != b"x-gradio-server"]
        if not hostname(host) or not ADDRESS.fullmatch(self._root(scope)):
            raise RefusedError(400, "Host or X-Forwarded-Host is no name of a machine.")
        if not self.names.is_ours(hostname(host)):
            raise RefusedError(
                403,
                f"This page is not called {host[:100]!r}: start it with --allow_origin https://{hostname(host)[:100]}"
                " if it is to be.",
            )
        origin = headers.get("origin")
        if origin is not None and not self.names.may_call(origin, host, headers.get("sec-fetch-site")):
            raise RefusedError(
                403, f"Pages of {origin[:100]!r} may not call this one: start it with --allow_origin and that name."
            )
        if path.startswith(f"{API}/upload"):
            raise RefusedError(403, NO_FILES)
        if method in ("GET", "HEAD"):
            known = path in READ or (path.startswith((*READ_BELOW, *STREAMS)) and "file=http" not in path)
        elif method == "POST":
            known = path.rstrip("/") == SERVER_FUNCTION or path.startswith(CALLED)
        else:
            known = method in ("OPTIONS", "DELETE") and path.startswith(MCP)
            if not known:
                raise RefusedError(405, "This page is read with GET and called with POST.")
        if not known:
            raise RefusedError(404, "There is nothing here.")
        if method != "POST" and path.startswith((CALL, STREAMS[0])):
            queue, query = self.demo._queue, parse_qs(scope["query_string"].decode("latin-1"))
            named = query.get("session_hash", [""])[0] if path.startswith(STREAMS[0]) else path.rsplit("/", 1)[-1]
            events = (queue.event_ids_to_events, *queue.pending_event_ids_session.values())
            if not any(named in known for known in (queue.pending_messages_per_session, *events)):
                raise RefusedError(404, "No call of that name waits for its answer.")

    def _root(self, scope: Scope) -> str:
        """The page's address as this request calls it, without a slash at its end; empty if there can be none of that name."""
        try:
            return get_root_url(Request({**scope, "path": "/", "query_string": b""}), "/", self.demo.root_path)
        except (ValueError, TypeError, httpx.InvalidURL):
            return ""

    async def _read(self, scope: Scope, receive: Receive) -> bytearray:
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

    async def _serve(self, scope: Scope, body: bytearray | None, address: str, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if body is None:
            # By one name each, so that what is kept is bounded by the files that there are.
            is_text = path.startswith(ASSETS) and path.endswith(TEXTS) and posixpath.normpath(path) == path
            if path in KEPT or is_text:
                return await self._page(scope, receive, send)
            return await self.app(self._marked(scope, address, ""), receive, send)
        if path.rstrip("/") == SERVER_FUNCTION:
            answer = await until_gone(self._call(scope, body, address), receive)
            return await answer(scope, receive, send)
        asked = parsed(body)
        if path.startswith(MCP) and not is_for_tools(asked):
            error = {"code": -32601, "message": "This page has tools, and neither prompts nor resources."}
            answer = ORJSONResponse({"jsonrpc": "2.0", "id": asked.get("id"), "error": error})
            return await answer(scope, receive, send)
        if path.startswith((JOIN, CALL)):
            check_function(self.demo, path, asked)
            check_queue(self.demo, asked, len(body))
        token, first = secrets.token_hex(8), True
        gone = asyncio.ensure_future(until_left(receive))
        gone.add_done_callback(lambda _: open_tools.discard(token))

        async def again() -> Message:
            nonlocal first
            if not first:
                return await asyncio.shield(gone)
            first = False
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        open_tools.add(token)
        try:
            return await self.app(self._marked(scope, address, token), again, send)
        finally:
            gone.cancel()

    @staticmethod
    def _marked(scope: Scope, address: str, token: str) -> Scope:
        """The scope with a header that says whose call a tool's is, which Gradio hands on with the call that it makes itself."""
        if on_behalf(Headers(scope=scope)) is not None:
            return scope
        headers = [(name, value) for name, value in scope["headers"] if name.decode("latin-1") != BEHALF]
        if scope["path"].startswith(MCP):
            headers.append((BEHALF.encode(), f"{SECRET}={token}={address}".encode()))
        return {**scope, "headers": headers}

    async def _call(self, scope: Scope, body: bytearray, address: str) -> Response:
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

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A page that is the same for all, made once and then told how it is called."""
        every = b"all_endpoints" in scope["query_string"]
        plain = {
            **scope,
            "method": "GET",
            "scheme": "http",
            "headers": [(b"host", CANONICAL.encode())],
            "query_string": b"all_endpoints=true" if every else b"",
        }
        key = scope["path"], every
        async with self.making:
            if key not in self.kept:
                messages: list[Message] = []

                async def keep(message: Message) -> None:
                    messages.append(message)

                await self.app(plain, receive, keep)
                start, *rest = messages
                if start["status"] != 200:
                    for message in messages:
                        await send(message)
                    return
                text = b"".join(message.get("body", b"") for message in rest)
                if scope["path"] == "/" and self.tags:
                    text = with_own_tags(text, self.tags(self._root(plain)))
                self.kept[key] = start, await asyncio.to_thread(Spliced, text, self._root(plain).encode())
        (start, page), root = self.kept[key], self._root(scope).encode()
        headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        headers.append((b"vary", pressed.HEADERS["Vary"].encode()))
        tag = Headers(raw=start["headers"]).get("etag")
        if tag is not None and tag in Headers(scope=scope).get("if-none-match", ""):
            # Who asks has it already.
            await send({**start, "status": 304, "headers": headers})
            return await send({"type": "http.response.body"})
        if pressed.takes_gzip(scope):
            text = page.gzip(root)
            headers.append((b"content-encoding", pressed.HEADERS["Content-Encoding"].encode()))
        else:
            text = page.plain(root)
        await send({**start, "headers": [*headers, (b"content-length", b"%d" % len(text))]})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else text})


def check_function(demo: gr.Blocks, path: str, asked: Json) -> None:
    """Raise RefusedError unless there is such a function and it is given all that it takes; Gradio fails without a word."""
    name, index = path.removeprefix(CALL).rstrip("/"), asked.get("fn_index")
    by_name = name.startswith("v2/")
    if path.startswith(CALL):
        public = [function for function in demo.fns.values() if function.api_visibility == "public"]
        function = next((known for known in public if known.api_name == name.removeprefix("v2/")), None)
    else:
        function = demo.fns.get(index) if type(index) is int else None
    if function is None or function.fn is None:
        raise RefusedError(404, "There is no such function.")
    parameters = inspect.signature(function.fn).parameters
    required = {key for key, parameter in parameters.items() if parameter.default is parameter.empty}
    data = asked.get("data")
    if not (
        required <= set(asked) <= set(parameters)
        if by_name
        else isinstance(data, list) and len(data) == len(function.inputs)
    ):
        how = "an object with" if by_name else f"data, a list of {len(function.inputs)}:"
        raise RefusedError(400, f"{function.api_name} takes {how} {', '.join(parameters)}.")
    if len(str(asked.get("session_hash"))) > MAX_SESSION_NAME:
        raise RefusedError(400, f"session_hash may have {MAX_SESSION_NAME} characters.")


def check_queue(demo: gr.Blocks, asked: Json, size: int) -> None:
    """Raise BusyError if there are too many calls in Gradio's queue, of all or of this session."""
    queue, session = demo._queue, asked.get("session_hash")
    calls = len(queue.event_ids_to_events)
    unfetched = len(queue.pending_event_ids_session.get(session, ())) if isinstance(session, str) else 0
    if unfetched >= MAX_UNFETCHED or calls >= MAX_CALLS or (size > MAX_SMALL_BODY and calls >= MAX_UNFETCHED):
        raise BusyError


def parsed(body: bytearray) -> Json:
    """The JSON object in a request.

    Raises:
        RefusedError: it is none, is nested too deep for what works on it, names a file, or has a text that is no Unicode.
    """
    try:
        value = json.loads(body)
        # Half of a pair of escapes.
        if re.search(rb"\\u[dD][89a-fA-F]", body):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RefusedError(400, "The request is no JSON object.")
    level: list[dict | list] = [value]
    for _ in range(MAX_DEPTH):
        # What Gradio takes for a file, it would fetch, from whatever address it names.
        if any(isinstance(part, dict) and "path" in part and "meta" in part for part in level):
            raise RefusedError(403, NO_FILES)
        parts = (part for above in level for part in (above.values() if isinstance(above, dict) else above))
        level = [part for part in parts if isinstance(part, dict | list)]
    if level:
        raise RefusedError(400, f"The request is nested too deep: {MAX_DEPTH} levels at most.")
    return value


def is_for_tools(asked: Json) -> bool:
    """Whether a message of an MCP client has to do with what this page offers; answers and notices have."""
    method = asked.get("method")
    return not isinstance(method, str) or method in METHODS or method.startswith("notifications/")


async def until_left(receive: Receive) -> Message:
    """Return the message that says that the connection is closed, once it is."""
    while (message := await receive())["type"] != "http.disconnect":
        pass
    return message


async def until_gone(work: Coroutine[Any, Any, T], receive: Receive) -> T:
    """The result of a coroutine, which is cancelled if the connection is closed before.

    Raises:
        AbandonedError: it was.
    """

    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(until_left(receive))
    try:
        await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise AbandonedError
        return task.result()
    finally:
        task.cancel()
        gone.cancel()


def names_of(
    host: str, root_path: str, share: bool, environment: Mapping[str, str] = os.environ
) -> tuple[list[str], list[str]]:
    """The names by which a page is called, and the hosts of pages that may call it, beside its own; see `FrontDoor`."""
    hosts = [host, socket.gethostname(), urlsplit(root_path).netloc, *([".gradio.live"] if share else [])]
    if environment.get("SPACE_ID"):
        # A public page has nothing to hide from a stranger's name; huggingface.co shows it in a frame.
        return ["*"], ["huggingface.co", ".hf.space"]
    return hosts, []
