"""What is let in to a real server: bounded in number, size and time, and nothing that the page does not need."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import logging
import os
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio as gr
import pytest
from helpers import free_port

from genmodels.ui import admission, front_door
from genmodels.ui.admission import Lane
from genmodels.ui.front_door import queued
from genmodels.ui.inputs import server_function
from genmodels.ui.suite import launch

pytestmark = pytest.mark.slow
FUNCTION = "/gradio_api/component_server/"
JSON = {"Content-Type": "application/json"}


class Server:
    """A page with a function that answers at once, one that waits for a gate, and the same for the API."""

    def __init__(self, host: str = "127.0.0.1", **options):
        self.gate, self.lane, self.ran = threading.Event(), Lane(1), []
        self.port = free_port()

        @server_function(admission.quick_lane)
        def echo(payload: dict) -> dict:
            return {"given": payload, "visitor": list(admission.visitor())}

        @server_function(self.lane)
        def slow(payload: dict) -> dict:
            self.ran.append(payload.get("name"))
            assert self.gate.wait(60)
            return {}

        @self.lane
        def wait(name: str = "") -> str:
            """Wait."""
            self.ran.append(name)
            assert self.gate.wait(60)
            return "done"

        with gr.Blocks(analytics_enabled=False) as self.demo:
            self.part = gr.HTML("", server_functions=[echo, slow])
            gr.api(queued(wait), api_name="wait")
        self.demo.queue(default_concurrency_limit=None, max_size=front_door.MAX_CALLS)
        launch(self.demo, host, self.port, **options)
        logging.getLogger("httpx").setLevel(logging.WARNING)

    def ask(self, method: str, path: str, body=None, headers: dict | None = None, timeout: float = 60):
        """The status and the text of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        finally:
            connection.close()

    def call(self, name: str, data, session: str = "me", headers: dict | None = None):
        """The answer of a server function."""
        body = {"component_id": self.part._id, "fn_name": name, "session_hash": session, "data": data}
        status, text = self.ask("POST", FUNCTION, json.dumps(body), {**JSON, **(headers or {})})
        return json.loads(text) if status == 200 else status

    def join(self, session: str) -> int:
        """The status of a call that goes into Gradio's queue."""
        body = {"fn_index": self.demo.default_config.fns and 0, "session_hash": session, "data": [session]}
        return self.ask("POST", "/gradio_api/queue/join", json.dumps(body), JSON)[0]

    def close(self) -> None:
        self.gate.set()
        self.demo.close(verbose=False)


def until(holds) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def shared():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(front_door, "HOLD_SECONDS", 0.01)
    server = Server()
    yield server
    server.close()


@contextlib.contextmanager
def background(*calls):
    """Run calls at the same time; yields their futures."""
    with ThreadPoolExecutor(len(calls)) as pool:
        yield [pool.submit(call) for call in calls]


@pytest.mark.parametrize(
    "path", ["/", "/config", "/theme.css", "/gradio_api/info", "/manifest.json", "/?tab=map&seed=3"]
)
def test_the_page_is_there(shared, path):
    status, text = shared.ask("GET", path)
    assert (status, len(text) > 20) == (200, True)


def test_a_page_is_made_once_for_each_name(shared):
    pages = {name: shared.ask("GET", "/", headers={"Host": name})[1] for name in ("a:1", "b:2", "a:1")}
    assert "http://a:1" in pages["a:1"]
    assert "http://b:2" in pages["b:2"]
    assert shared.ask("HEAD", "/") == (200, "")
    # Also under a query that Gradio would take for a saved page.
    assert shared.ask("GET", "/?deep_link=../../x")[1] == shared.ask("GET", "/")[1]


def test_gradios_files_are_pressed_once(shared, monkeypatch):
    path = "/" + re.search(r"assets/[\w-]+\.js", shared.ask("GET", "/")[1])[0]
    plain = shared.ask("GET", path)
    made = []
    monkeypatch.setattr(front_door, "Spliced", lambda *given: made.append(given))
    for _ in range(3):
        connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=60)
        connection.request("GET", path, headers={"Accept-Encoding": "gzip, br"})
        response = connection.getresponse()
        assert (response.status, response.getheader("Content-Encoding")) == (200, "gzip")
        assert gzip.decompress(response.read()).decode() == plain[1]
        connection.close()
    assert made == []
    # Who has it already gets it not again.
    assert shared.ask("GET", path, headers={"If-None-Match": response.getheader("ETag")}) == (304, "")
    assert shared.ask("GET", path, headers={"If-None-Match": '"of another version"'}) == plain
    assert shared.ask("GET", "/assets/none-there.js")[0] == 404


def test_a_page_is_pressed_for_who_can_unpack_it(shared):
    sizes = {}
    for coding in ("identity", "gzip"):
        connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=60)
        connection.request("GET", "/", headers={"Host": "a:1", "Accept-Encoding": coding})
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert response.getheader("Content-Encoding", "identity") == coding
        assert "Accept-Encoding" in response.getheader("Vary")
        assert int(response.getheader("Content-Length")) == len(body)
        text = gzip.decompress(body) if coding == "gzip" else body
        assert text.decode() == shared.ask("GET", "/", headers={"Host": "a:1"})[1]
        sizes[coding] = len(body)
    assert sizes["gzip"] < 0.4 * sizes["identity"]


@pytest.mark.parametrize(
    "path",
    [
        "/monitoring",
        "/monitoring/summary",
        "/gradio_api/proxy=https://x.hf.space/a",
        "/gradio_api/file=http://127.0.0.1:1/x",
        "/gradio_api/deep_link",
        "/gradio_api/runs",
        "/gradio_api/custom_component/a/client/b/c",
        "/gradio_api/vibe-code/",
        "/pwa_icon/100000",
        "/nothing",
    ],
)
def test_what_the_page_does_not_need_is_not_there(shared, path):
    assert shared.ask("GET", path)[0] == 404


@pytest.mark.parametrize("path", ["/etc/passwd", "/gradio_api/../../etc/passwd", "../pyproject.toml", __file__])
def test_files_of_the_machine_are_not_served(shared, path):
    status, text = shared.ask("GET", f"/gradio_api/file={path}")
    assert status in (403, 404)
    assert "root:" not in text


@pytest.mark.parametrize(
    "path", ["run/wait", "api/wait", "run/predict", "vibe-edit/", "process_recording", "stream/x", "login"]
)
def test_there_is_one_way_to_call(shared, path):
    assert shared.ask("POST", f"/gradio_api/{path}", json.dumps({"data": ["x"]}), JSON)[0] == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "NONSENSE"])
def test_other_methods_are_refused(shared, method):
    assert shared.ask(method, "/")[0] in (400, 405)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:{port}"}, 200),
        ({"Host": "192.168.1.7:{port}"}, 200),
        ({"Host": "[::1]:{port}"}, 200),
        ({"Host": "printer.local:{port}"}, 200),
        ({"Host": "mybox"}, 200),
        # A stranger's name that was pointed to this machine.
        ({"Host": "evil.example:{port}"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "localhost.evil.example"}, 403),
        ({"Host": ""}, 400),
        ({"Origin": "http://127.0.0.1:{port}"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}, 403),
        # A proxy that gives its own name, and one that takes the port away.
        ({"Origin": "https://mine.example", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "https://mine.example", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://mybox:8443", "Host": "mybox"}, 200),
    ],
)
def test_only_its_own_page_may_call(shared, headers, status):
    headers = {name: value.replace("{port}", str(shared.port)) for name, value in headers.items()}
    answer = shared.call("echo", {}, headers=headers)
    assert (answer if isinstance(answer, int) else 200) == status


def test_what_is_refused_says_what_to_type(shared):
    assert "--allow_origin https://a.example" in shared.ask("GET", "/", headers={"Host": "a.example"})[1]
    assert "--allow_origin" in shared.ask("GET", "/", headers={"Origin": "https://a.example"})[1]


def test_other_names_and_pages_can_be_allowed(monkeypatch):
    monkeypatch.setenv("GENMODELS_ALLOW_ORIGIN", "b.example:8443,.c.example")
    server = Server(allow_origin=["https://a.example"])
    try:
        for origin, status in {
            "https://a.example": 200,
            "https://b.example:8443": 200,
            "https://www.c.example": 200,
            "https://d.example": 403,
            "https://evil-a.example": 403,
        }.items():
            assert server.ask("GET", "/", headers={"Origin": origin})[0] == status, origin
        assert server.ask("GET", "/", headers={"Host": "a.example", "Origin": "https://a.example"})[0] == 200
    finally:
        server.close()


def test_a_space_is_called_by_its_own_names(monkeypatch):
    environment = {"SPACE_ID": "alice/space"}
    names = front_door.Names(*front_door.names_of("0.0.0.0", "", False, environment))
    assert names.is_ours("alice-space.hf.space")
    for origin in ("https://huggingface.co", "https://alice-space.hf.space"):
        assert names.may_call(origin, "alice-space.hf.space", None)
    assert not names.may_call("https://evil.example", "alice-space.hf.space", None)


def test_an_upload_is_refused_and_leaves_nothing(shared, tmp_path):
    folder = Path(gr.utils.get_upload_folder())
    before = set(folder.rglob("*")) if folder.exists() else set()
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\n' + b"a" * 100_000
    status, text = shared.ask(
        "POST", "/gradio_api/upload", body + b"\r\n--x--\r\n", {"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert (status, text) == (
        403,
        "Uploads are off: no function of this page takes files; an image is given as base64.",
    )
    # Also in the form of the page's functions, and one that breaks off.
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert shared.ask("POST", FUNCTION, body + b"\r\n--x--\r\n", form)[0] == 400
    with socket.create_connection(("127.0.0.1", shared.port)) as broken:
        head = f"POST {FUNCTION} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n"
        broken.sendall(head.encode() + body)
    assert (set(folder.rglob("*")) if folder.exists() else set()) == before


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "7",
        "{",
        "[" * 100_000,
        '{"data":' * 50_000,
        "1" * 100_000,
        '{"component_id": 1}',
        '{"component_id": "1", "fn_name": "echo", "session_hash": "a", "data": {}}',
        '{"component_id": 1e400, "fn_name": "echo", "session_hash": "a", "data": {}}',
        '{"component_id": 1, "fn_name": ["echo"], "session_hash": "a", "data": {}}',
        '{"component_id": 1, "fn_name": "echo", "session_hash": {}, "data": {}}',
        "\xff\xfe",
    ],
)
def test_what_is_no_call_is_said(shared, body):
    assert shared.ask("POST", FUNCTION, body.encode("latin-1"), JSON)[0] == 400
    assert shared.ask("POST", "/gradio_api/queue/join", body.encode("latin-1"), JSON)[0] in (400, 404)
    assert shared.call("echo", {})["status"] == "ok"


@pytest.mark.parametrize("name", ["get_config", "__init__", "postprocess", "unload", "", "x" * 10_000])
def test_only_listed_functions_are_called(shared, name):
    assert shared.call(name, {}) == 404


def test_nested_and_odd_data_comes_through(shared):
    deep: dict = {}
    for _ in range(90):
        deep = {"x": deep}
    assert shared.call("echo", deep)["given"] == deep
    assert shared.call("echo", {"x": float("nan")})["given"] == {"x": None}


def test_too_long_and_too_slow_requests_are_refused(server, monkeypatch):
    monkeypatch.setattr(front_door, "MAX_BODY", 1000)
    monkeypatch.setattr(front_door, "BODY_SECONDS", 0.3)
    assert server.call("echo", {"x": "a" * 2000}) == 413
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as slow:
        slow.sendall(f"POST {FUNCTION} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{{".encode())
        assert b"408" in slow.recv(1000).split(b"\r\n")[0]
    monkeypatch.setattr(front_door, "MAX_BODIES", 10)
    assert server.call("echo", {"x": "a" * 500}) == 503
    monkeypatch.undo()
    # Nothing of it is still counted.
    assert server.call("echo", {})["status"] == "ok"


def test_a_connection_that_says_nothing_is_closed(server, monkeypatch):
    monkeypatch.setattr(front_door, "SILENT_SECONDS", 1)
    monkeypatch.setattr(front_door, "LOOK_SECONDS", 0.1)
    assert server.ask("GET", "/")[0] == 200
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as slow:
        slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        assert slow.recv(10) == b""
    # A stream that is open stays so.
    stream = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    stream.request("GET", "/gradio_api/heartbeat/mine")
    response = stream.getresponse()
    time.sleep(1.5)
    assert response.readline() == b"data: ALIVE\n"
    assert not response.isclosed()
    stream.close()


def test_a_page_has_its_share_and_no_more(server):
    mine = [lambda i=i: server.call("slow", {"name": i}, session="greedy") for i in range(admission.MAX_OF_SESSION)]
    with background(*mine) as calls:
        until(lambda: len(server.lane._waiting) == len(mine) - 1)
        answer = server.call("slow", {}, session="greedy")
        assert (answer["status"], answer["retry"] > 0) == ("busy", True)
        # Another's call is the next to run, though it came last.
        with background(lambda: server.call("slow", {"name": "other"}, session="other")) as (other,):
            until(lambda: len(server.lane._waiting) == len(mine))
            # Meanwhile the page and its quick functions are there.
            assert server.ask("GET", "/")[0] == 200
            assert server.call("echo", {}, session="other")["status"] == "ok"
            server.gate.set()
            assert other.result()["status"] == "ok"
        assert [call.result()["status"] for call in calls] == ["ok"] * len(mine)
    assert server.ran.index("other") == 1


def test_a_closed_connection_cancels_what_waits(server):
    with background(lambda: server.call("slow", {"name": "first"}, session="first")):
        until(lambda: server.ran == ["first"])
        body = {"component_id": server.part._id, "fn_name": "slow", "session_hash": "b", "data": {"name": "left"}}
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("POST", FUNCTION, json.dumps(body), JSON)
        until(lambda: server.lane._waiting)
        connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()
        until(lambda: not server.lane._waiting)
        server.gate.set()
    assert server.ran == ["first"]


def test_no_session_fills_the_queue(server):
    statuses = [server.join("greedy") for _ in range(front_door.MAX_UNFETCHED + 4)]
    assert statuses == [200] * front_door.MAX_UNFETCHED + [503] * 4
    assert server.join("other") == 200
    until(lambda: len(server.lane._waiting) == front_door.MAX_UNFETCHED)


def test_a_client_of_the_api_that_leaves_is_not_waited_for(server):
    with background(lambda: server.call("slow", {"name": "first"}, session="first")):
        until(lambda: server.ran == ["first"])
        assert server.join("left") == 200
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("GET", "/gradio_api/queue/data?session_hash=left")
        assert connection.getresponse().status == 200
        until(lambda: server.lane._waiting)
        connection.sock.shutdown(socket.SHUT_RDWR)
        connection.close()
        until(lambda: not server.lane._waiting)
        server.gate.set()
    assert server.ran == ["first"]


def test_open_requests_and_streams_are_bounded(server, monkeypatch):
    monkeypatch.setattr(front_door, "MAX_STREAMS", 2)
    streams = [http.client.HTTPConnection("127.0.0.1", server.port) for _ in range(2)]
    try:
        for stream in streams:
            stream.request("GET", f"/gradio_api/heartbeat/{id(stream)}")
            assert stream.getresponse().status == 200
        assert server.ask("GET", "/gradio_api/heartbeat/third")[0] == 503
        assert server.ask("GET", "/")[0] == 200
    finally:
        for stream in streams:
            stream.sock.shutdown(socket.SHUT_RDWR)
            stream.close()
    until(lambda: server.ask("HEAD", "/gradio_api/queue/status")[0] in (200, 405))


def test_an_answer_that_nobody_takes_is_dropped(server, monkeypatch):
    monkeypatch.setattr(front_door, "STALLED_SECONDS", 0.3)
    monkeypatch.setattr(front_door, "LOOK_SECONDS", 0.1)
    assert server.ask("GET", "/")[0] == 200
    body = {"component_id": server.part._id, "fn_name": "echo", "session_hash": "a", "data": {"x": "a" * 16_000_000}}
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", FUNCTION, json.dumps(body), JSON)
    until(lambda: len(server.demo.server.server_state.connections) == 1)
    until(lambda: not server.demo.server.server_state.connections)
    connection.close()


def test_tools_leave_threads_for_the_pages_files(server, monkeypatch):
    monkeypatch.setattr(front_door, "MAX_TOOLS", 0)
    assert server.ask("POST", "/gradio_api/mcp/", "{}", JSON)[0] == 503
    assert server.ask("GET", "/theme.css")[0] == 200


@pytest.mark.parametrize(
    ("trusted", "forwarded", "address"),
    [
        (None, "203.0.113.9", ""),
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        # What a visitor writes stands left of what the proxy adds.
        ("127.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.1,10.0.0.0/8", "198.51.100.1, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("127.0.0.1", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
    ],
)
def test_forwarded_addresses_are_believed_only_from_a_proxy_that_is_named(monkeypatch, trusted, forwarded, address):
    if trusted is None:
        monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    else:
        monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
    server = Server()
    try:
        answer = server.call("echo", {}, session="a", headers={"X-Forwarded-For": forwarded})
        assert answer["visitor"] == [address, "a"]
    finally:
        server.close()
        os.environ.pop("FORWARDED_ALLOW_IPS", None)


@pytest.mark.parametrize(("host", "name"), [("::1", "::1"), ("::", "::1"), ("0.0.0.0", "127.0.0.1")])
def test_any_address_and_an_offices_proxy(monkeypatch, host, name):
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    try:
        socket.create_server((name, 0), family=socket.AF_INET6 if ":" in name else socket.AF_INET).close()
    except OSError:
        pytest.skip("This machine has no IPv6.")
    server = Server(host)
    try:
        connection = http.client.HTTPConnection(name, server.port, timeout=60)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()
    finally:
        server.close()


@pytest.mark.parametrize(("root", "theme"), [("/app", "/app/theme.css"), ("https://a.example/app/", "/theme.css")])
def test_a_page_under_a_prefix_finds_its_files(monkeypatch, root, theme):
    monkeypatch.setenv("GRADIO_ROOT_PATH", root)
    server = Server()
    try:
        for prefix in ("", "/app"):
            status, page = server.ask("GET", f"{prefix}/")
            assert (status, root.rstrip("/") in page) == (200, True)
        assert server.ask("GET", theme)[0] == server.ask("GET", "/app/config")[0] == 200
        if "//" in root:
            assert server.ask("GET", "/", headers={"Host": "a.example", "Origin": "https://a.example"})[0] == 200
    finally:
        server.close()


def test_sessions_cost_nothing(shared):
    before = len(shared.demo.app.state_holder.session_data)
    for i in range(50):
        shared.call("echo", {}, session=f"session {i}")
    assert len(shared.demo.app.state_holder.session_data) == before


def test_a_stranger_does_not_say_how_the_page_is_called_to_others(server):
    """What a page, its settings and its API say of its own address is what the one says who asks."""
    forged = {
        "X-Forwarded-Host": "evil.example",
        "X-Gradio-Server": "http://evil.example",
        "X-Forwarded-Proto": "https",
    }
    for path in ("/", "/config", "/gradio_api/info", "/gradio_api/openapi.json", "/gradio_api/info?all_endpoints=true"):
        server.ask("GET", path, headers=forged)
        status, text = server.ask("GET", path)
        assert (status, "evil" in text, front_door.CANONICAL in text) == (200, False, False)
    assert f"http://127.0.0.1:{server.port}" in server.ask("GET", "/gradio_api/info")[1]
    assert "https://evil.example" in server.ask("GET", "/config", headers=forged)[1]
    for name in ('x"><script>', "a b", "a%20b", "[::1"):
        assert server.ask("GET", "/config", headers={"X-Forwarded-Host": name})[0] == 400


def test_another_name_costs_no_page(server, monkeypatch):
    server.ask("GET", "/")
    monkeypatch.setattr(server.demo.app, "templates", None, raising=False)
    monkeypatch.setattr("gradio.routes.templates.TemplateResponse", None)
    for i in range(3):
        assert f"http://10.0.0.{i}:1" in server.ask("GET", "/", headers={"Host": f"10.0.0.{i}:1"})[1]


@pytest.mark.parametrize("host", ["[::1", "", "%00", "a.example"])
def test_a_host_that_is_no_name_is_refused(shared, host):
    assert shared.ask("GET", "/", headers={"Host": host})[0] in (400, 403)


def test_a_websocket_is_refused(shared):
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    headers["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    assert shared.ask("GET", "/gradio_api/queue/data", headers=headers)[0] in (403, 404)


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("queue/join", {"fn_index": -1, "session_hash": "a", "data": [""]}, 404, "no such function"),
        ("queue/join", {"fn_index": 99, "session_hash": "a", "data": [""]}, 404, "no such function"),
        ("queue/join", {"fn_index": 10**30, "session_hash": "a", "data": [""]}, 404, "no such function"),
        ("queue/join", {"fn_index": True, "session_hash": "a", "data": [""]}, 404, "no such function"),
        ("queue/join", {"fn_index": "0", "session_hash": "a", "data": [""]}, 404, "no such function"),
        ("queue/join", {"session_hash": "a", "data": [""]}, 404, "no such function"),
        ("queue/join", {"fn_index": 0, "session_hash": "a", "data": []}, 400, "wait takes data, a list of 1: name."),
        ("queue/join", {"fn_index": 0, "session_hash": "a", "data": ["", ""]}, 400, "a list of 1: name."),
        ("queue/join", {"fn_index": 0, "session_hash": "a", "data": {}}, 400, "a list of 1: name."),
        ("queue/join", {"fn_index": 0, "session_hash": "a" * 300, "data": [""]}, 400, "may have 256 characters"),
        ("queue/join", {"fn_index": 0, "session_hash": "\ud800", "data": [""]}, 400, "no JSON object"),
        ("call/nothing", {"data": [""]}, 404, "no such function"),
        ("call/wait", {"data": []}, 400, "a list of 1: name."),
        ("call/v2/nothing", {}, 404, "no such function"),
        ("call/v2/wait", {"data": [""]}, 400, "wait takes an object with name."),
        (
            "call/wait",
            {"data": [{"path": "http://1.1.1.1/x", "meta": {"_type": "gradio.FileData"}}]},
            403,
            "takes files",
        ),
        ("call/v2/wait", {"name": [{"path": "/etc/passwd", "meta": 7}]}, 403, "an image is given as base64"),
        ("cancel", "[" * 50_000, 400, "no JSON object"),
        ("mcp/", "[" * 50_000, 400, "no JSON object"),
        ("mcp/", '{"a":' * 150 + "1" + "}" * 150, 400, "nested too deep: 100 levels"),
    ],
)
def test_a_wrong_call_is_refused_in_words_and_leaves_no_traceback(shared, capfd, path, body, status, says):
    body = body if isinstance(body, str) else json.dumps(body)
    answer, text = shared.ask("POST", f"/gradio_api/{path}", body, JSON)
    assert (answer, says in text) == (status, True), text
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("path", ["queue/data?session_hash=x", "queue/data", "queue/data?session_hash=", "call/wait/x"])
def test_an_answer_that_nobody_asked_for_is_not_there(shared, capfd, path):
    assert shared.ask("GET", f"/gradio_api/{path}")[0] == 404
    assert "Traceback" not in capfd.readouterr().err


def test_strangers_do_not_end_what_another_has_asked_for(server):
    """By the names that can be guessed: of the function, of sessions and calls that are not theirs."""
    with background(lambda: server.call("slow", {"name": "first"}, session="first")):
        until(lambda: server.ran == ["first"])
        assert server.join("mine") == 200
        until(lambda: server.lane._waiting)
        body = json.dumps({"fn_index": 0, "session_hash": "stranger", "event_id": "x"})
        for path in ("cancel", "reset"):
            server.ask("POST", f"/gradio_api/{path}", body, JSON)
        for i in range(20):
            stream = http.client.HTTPConnection("127.0.0.1", server.port)
            stream.request("GET", f"/gradio_api/heartbeat/stranger{i}")
            stream.getresponse()
            stream.sock.shutdown(socket.SHUT_RDWR)
            stream.close()
        time.sleep(1)
        assert server.lane._waiting
        server.gate.set()
        until(lambda: server.ran == ["first", "mine"])


@pytest.fixture
def tools():
    pytest.importorskip("mcp")
    server = Server(mcp=True)
    yield server
    server.close()


def ask_tool(server, method: str, **params) -> http.client.HTTPConnection:
    """The connection on which the answer of an MCP request will come."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    headers = {**JSON, "Accept": "application/json, text/event-stream"}
    connection.request("POST", "/gradio_api/mcp/", json.dumps(body), headers)
    return connection


def test_a_closed_connection_of_a_tool_cancels_what_waits(tools):
    with background(lambda: tools.call("slow", {"name": "first"}, session="first")):
        until(lambda: tools.ran == ["first"])
        left, stays = (
            ask_tool(tools, "tools/call", name="wait", arguments={"name": name}) for name in ("left", "stays")
        )
        until(lambda: len(tools.lane._waiting) == 2)
        left.sock.shutdown(socket.SHUT_RDWR)
        left.close()
        until(lambda: len(tools.lane._waiting) == 1)
        tools.gate.set()
        assert '"text":"done"' in stays.getresponse().read().decode()
        stays.close()
    assert tools.ran == ["first", "stays"]
    until(lambda: not front_door.open_tools)


@pytest.mark.parametrize("method", ["prompts/get", "resources/read", "completion/complete", "tasks/get", "nonsense"])
def test_a_client_of_tools_gets_nothing_else(tools, method):
    """Gradio answers the request for a prompt with the function that comes last."""
    connection = ask_tool(tools, method, name="x", uri="file:///etc/passwd")
    answer = json.loads(connection.getresponse().read())
    connection.close()
    assert (answer["error"]["code"], answer["id"]) == (-32601, 1)
    assert not tools.ran
