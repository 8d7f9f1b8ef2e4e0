"""Answers that go wrong on purpose, on a fixed count rather than by chance, and the log of all requests."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import struct
from contextlib import suppress

from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

PAGE = "<!doctype html><title>Sign in</title><p>Welcome to the network of the hotel.</p>"


class Faults:
    """ASGI middleware. A rule is a JSON object:

    match   regex searched in "METHOD /path?query"
    every   fires at each n-th match (default 1); limit: at most this often; skip: not at the first so many matches
    action  status    answer `status` (default 503), with Retry-After: `retry_after` if given
            drop      cut the connection: `when` "before" the request took effect (default), or "after", which loses the
                      answer, or "half" way through its body
            corrupt   turn over one byte in the middle of the body
            truncate  send only half of the body, as if it were whole
            longer    promise 100 bytes more than come
            shorter   promise half of the bytes that come
            gzip      say that the body is packed, which it is not
            trickle   send the body's first half at once, and of the rest a byte every `seconds`
            reset     the body's first half, then a reset connection
            hang      take the request and never answer
            html      a page with status 200, as networks do that want one to sign in
            loop      redirect to the same address
            gone      delete the repository that the path names, then go on
            overtake  commit something else to it, then go on
            delay     wait `seconds`

    A request meets the first rule that is due, beside any number of delays. PUT /_faults sets the rules, GET /_requests
    tells what was asked since DELETE /_requests.
    """

    def __init__(self, app: ASGIApp, delete, overtake):
        self.app, self.rules, self.requests = app, [], []
        # What the Hub does between two requests, by the path of the second.
        self.before = {"gone": delete, "overtake": overtake}

    def pick(self, line: str) -> list[dict]:
        due = []
        for rule in self.rules:
            if re.search(rule["match"], line):
                rule["seen"] += 1
                counted = rule["seen"] - rule["skip"]
                free = rule["action"] == "delay" or all(other["action"] == "delay" for other in due)
                if free and counted > 0 and counted % rule["every"] == 0 and rule["fired"] != rule["limit"]:
                    rule["fired"] += 1
                    due.append(rule)
        return due

    async def control(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/_faults" and scope["method"] == "PUT":
            body, more = b"", True
            while more:
                message = await receive()
                body, more = body + message.get("body", b""), message.get("more_body", False)
            defaults = {"every": 1, "limit": None, "skip": 0, "seen": 0, "fired": 0}
            self.rules = [{**defaults, **rule} for rule in json.loads(body)]
        elif scope["path"] == "/_requests" and scope["method"] == "DELETE":
            self.requests = []
        content = self.rules if scope["path"] == "/_faults" else self.requests
        await JSONResponse(content)(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if scope["path"] in ("/_faults", "/_requests"):
            return await self.control(scope, receive, send)
        query = scope["query_string"].decode()
        line = f"{scope['method']} {scope['raw_path'].decode()}" + (f"?{query}" if query else "")
        rules = self.pick(line)
        entry = {"line": line, "status": None, "fault": None}
        self.requests.append(entry)
        for rule in rules:
            if rule["action"] == "delay":
                await asyncio.sleep(rule["seconds"])
        fault = next((rule for rule in rules if rule["action"] != "delay"), None)
        entry["fault"] = fault and fault["action"]
        when = fault.get("when", "before") if fault and fault["action"] == "drop" else None
        start: Message = {}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                entry["status"] = message["status"]
                return
            body = message["body"]
            if when == "after":
                return await cut(send)
            if fault and fault["action"] in RAW:
                return await send_raw(scope, start, body, fault)
            if body and scope["method"] != "HEAD" and fault:
                middle = len(body) // 2
                if fault["action"] == "corrupt":
                    body = body[:middle] + bytes([body[middle] ^ 0xFF]) + body[middle + 1 :]
                elif fault["action"] == "truncate":
                    body = body[:middle]
                    start["headers"] = [h for h in start["headers"] if h[0] != b"content-length"]
                    start["headers"].append((b"content-length", str(middle).encode()))
            await send(start)
            if when == "half":
                # The rest never comes: returning with the answer unfinished makes the server close the connection.
                return await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            await send({**message, "body": body})

        if when == "before":
            return await cut(send)
        if fault and fault["action"] == "hang":
            return await never(receive)
        if fault and fault["action"] in ("html", "loop"):
            entry["status"] = 200 if fault["action"] == "html" else 302
            return await (
                HTMLResponse(PAGE) if fault["action"] == "html" else RedirectResponse(line.split(" ")[1], 302)
            )(scope, receive, send)
        if fault and fault["action"] in self.before:
            self.before[fault["action"]](scope["path"])
        if fault and fault["action"] == "status":
            entry["status"] = fault.get("status", 503)
            headers = {"Retry-After": str(fault["retry_after"])} if "retry_after" in fault else {}
            body = {"error": f"injected {entry['status']}"}
            return await JSONResponse(body, entry["status"], headers)(scope, receive, send)
        await self.app(scope, receive, answer)


async def cut(send: Send) -> None:
    """Close the connection: an answer is begun and never finished."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})


async def never(receive: Receive) -> None:
    """Wait until the client has had enough."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Protocol(H11Protocol):
    """Keeps its connections where `send_raw` finds them: no application can send an answer that is wrong in itself."""

    open: dict = {}

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        self.open[tuple(transport.get_extra_info("peername"))] = transport

    def connection_lost(self, error) -> None:
        self.open.pop(tuple(self.transport.get_extra_info("peername")), None)
        super().connection_lost(error)


RAW = ("longer", "shorter", "gzip", "trickle", "reset")


async def send_raw(scope: Scope, start: Message, body: bytes, fault: dict) -> None:
    """Answer, headers and all, byte by byte, and close the connection."""
    transport, action = Protocol.open[tuple(scope["client"])], fault["action"]
    length = int(dict(start["headers"]).get(b"content-length", len(body)))
    length += {"longer": 100, "shorter": -(length // 2)}.get(action, 0) if scope["method"] != "HEAD" else 0
    body = b"" if scope["method"] == "HEAD" else body
    headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    headers += [(b"content-length", str(length).encode()), (b"connection", b"close")]
    headers += [(b"content-encoding", b"gzip")] if action == "gzip" else []
    head = b"".join(b"%s: %s\r\n" % pair for pair in headers)
    transport.write(b"HTTP/1.1 %d X\r\n%s\r\n" % (start["status"], head))
    half = len(body) // 2 if action in ("trickle", "reset") else len(body)
    transport.write(body[:half])
    if action == "trickle":
        for i in range(half, len(body)):
            await asyncio.sleep(fault["seconds"])
            if transport.is_closing():
                break
            transport.write(body[i : i + 1])
    if action == "reset":
        await asyncio.sleep(0.02)
        with suppress(OSError):
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    transport.close()
