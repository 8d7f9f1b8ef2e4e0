"""Print how the suite bears an attack: `python tests/benchmarks/attack.py`.

150 connections, each a session of its own, ask for the dearest things there are as fast as they are answered: loops, what
a GAN has memorised, contact sheets and ways of the diffusion model. One session more fills the queue with sheets of 1,000
images, ten keep starting trainings of digits, and ten ask for the page, as gzip, under ever new names. Meanwhile another
visitor asks for `GET /` and moves the pointer as one does whose browser does not compute: at sliders, which the server
follows. All come from the same address, so that only sessions tell them apart. The attackers are a process of their own,
bounded in time; then they leave, and `--recovery` seconds later the visitor is timed once more.

- page: `GET /`; pointer: a slider of the directions, a point of the map; failed: what was not answered, or with "busy";
- dear: one contact sheet of the diffusion model for the visitor, who asks again as the page does when told "busy".

With `--sessions 1000` what new sessions cost instead: so many calls by one session, then by as many sessions.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
import uuid
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import httpx
import psutil

sys.path.append(str(Path(__file__).parents[1]))
from suite_browser import percentile, running_app

DIFFUSION = "flow-mnist"
DEAREST = [
    ("samples", "loop", {"seed": 3}),
    ("training", "memorised", {"kind": "samples"}),
    ("samples", "sheet", {"model": DIFFUSION, "count": 64}),
    ("samples", "between", {"model": DIFFUSION, "a": 0, "b": 60}),
]
POINTER = [("samples", "moved", {"strengths": [1.0, 0.5, 0.0]}), ("map", "decode", {"z": [0.5, 0.5]})]
PAUSE_SECONDS, TIMEOUT = 0.2, 40
MIB = 2**20


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=150, help="of the attackers (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement (default: %(default)s)")
    parser.add_argument("--recovery", type=float, default=5, help="seconds after the attack (default: %(default)s)")
    parser.add_argument("--sessions", type=int, help="measure so many new sessions instead")
    parser.add_argument("--url", help="of a suite that runs; without it app.py is started")
    parser.add_argument("--as_attackers", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


class Page:
    """An open page.

    Args:
        http: a client for the suite.
        components: the ids of the tabs' widgets.
    """

    def __init__(self, http: httpx.AsyncClient, components: dict[str, int]):
        self.http, self.components, self.session = http, components, uuid.uuid4().hex

    async def call(self, tab: str, function: str, payload: dict, session: str | None = None) -> str:
        """What became of a call of a server function: "ok", "busy", "loading", ..., or the HTTP status."""
        response = await self.http.post(
            "gradio_api/component_server/",
            json={
                "session_hash": session or self.session,
                "component_id": self.components[f"{tab}-tab"],
                "fn_name": function,
                "data": payload,
            },
        )
        if response.status_code != 200:
            return str(response.status_code)
        answer = response.json()
        return "busy" if answer.get("busy") or answer.get("full") else answer["status"]


def client(url: str, timeout: float = TIMEOUT) -> httpx.AsyncClient:
    # Below the server's own 5 s: a connection that it closes just then is no fault of its.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2)
    return httpx.AsyncClient(base_url=url, timeout=timeout, limits=limits, trust_env=False)


async def components_of(http: httpx.AsyncClient) -> tuple[dict[str, int], dict[str, int]]:
    """The ids of the tabs' widgets, and those of the API's functions."""
    config = (await http.get("config")).raise_for_status().json()
    parts = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
    return parts, {part["api_name"]: part["id"] for part in config["dependencies"]}


async def attack(url: str, connections: int, seconds: float) -> None:
    """Ask for too much until the time is over; what was answered goes to stdout."""
    seen: Counter[str] = Counter()
    async with client(url) as http:
        components, functions = await components_of(http)

        async def dear(i: int) -> None:
            page = Page(http, components)
            while True:
                try:
                    seen[await page.call(*DEAREST[i % len(DEAREST)])] += 1
                except httpx.HTTPError as error:
                    seen[type(error).__name__] += 1
                i += 1

        async def fill() -> None:
            session = uuid.uuid4().hex
            body = {"fn_index": functions["sample_many"], "session_hash": session, "data": [1000, 0, 1.0, DIFFUSION]}
            while True:
                try:
                    seen[f"queue {(await http.post('gradio_api/queue/join', json=body)).status_code}"] += 1
                except httpx.HTTPError as error:
                    seen[f"queue {type(error).__name__}"] += 1
                await asyncio.sleep(0.05)

        async def train() -> None:
            page = Page(http, components)
            while True:
                try:
                    seen[f"train {await page.call('training', 'live_start', {})}"] += 1
                except httpx.HTTPError as error:
                    seen[f"train {type(error).__name__}"] += 1

        async def read() -> None:
            while True:
                try:
                    response = await http.get("/", headers={"X-Forwarded-Host": f"{uuid.uuid4().hex}.local"})
                    seen[f"page {response.status_code}"] += 1
                except httpx.HTTPError as error:
                    seen[f"page {type(error).__name__}"] += 1

        tasks = [asyncio.create_task(dear(i)) for i in range(connections)]
        tasks += [
            asyncio.create_task(fill()),
            *(asyncio.create_task(act()) for act in (train, read) for _ in range(10)),
        ]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    print("attackers were answered:", ", ".join(f"{count} x {what}" for what, count in seen.most_common()))


async def visit(url: str, components: dict[str, int], seconds: float) -> dict[str, list[float]]:
    """What a visitor waits for, in milliseconds; what was not answered counts under "failed"."""
    times: dict[str, list[float]] = {"page": [], "pointer": [], "dear": [], "failed": []}
    end = time.perf_counter() + seconds
    async with client(url) as http:

        async def timed(kind: str, call) -> None:
            start = time.perf_counter()
            try:
                answer = await call()
            except httpx.HTTPError as error:
                answer = type(error).__name__
            took = 1000 * (time.perf_counter() - start)
            times[kind if answer == "ok" else "failed"].append(took)

        async def get() -> str:
            return "ok" if (await http.get("/")).status_code == 200 else "error"

        async def look() -> None:
            while time.perf_counter() < end:
                await timed("page", get)
                await asyncio.sleep(PAUSE_SECONDS)

        async def move() -> None:
            i = 0
            while time.perf_counter() < end:
                tab, function, payload = POINTER[i % len(POINTER)]
                await timed("pointer", lambda t=tab, f=function, p=payload: page.call(t, f, p))
                i += 1
                await asyncio.sleep(PAUSE_SECONDS)

        async def draw() -> None:
            start, answer = time.perf_counter(), ""
            while answer != "ok" and time.perf_counter() < end:
                try:
                    answer = await page.call(*DEAREST[2])
                except httpx.HTTPError:
                    return
                await asyncio.sleep(0.5)
            if answer == "ok":
                times["dear"].append(1000 * (time.perf_counter() - start))

        page = Page(http, components)
        await asyncio.gather(look(), move(), draw())
    return times


def row(name: str, times: dict[str, list[float]]) -> str:
    cells = []
    for kind, values in times.items():
        values = sorted(values)
        if kind == "failed":
            cells.append(f"failed {len(values)}")
        elif values:
            p50, p95 = percentile(values, 0.5), percentile(values, 0.95)
            cells.append(f"{kind} {len(values)} x p50 {p50:.0f} p95 {p95:.0f} worst {values[-1]:.0f} ms")
        else:
            cells.append(f"{kind} never")
    return f"{name:7} " + " | ".join(cells)


async def warm(url: str) -> dict[str, int]:
    """Return the ids of the tabs' widgets once every kind of network answers."""
    # On a busy machine the dearest takes minutes.
    async with client(url, 600) as http:
        components, _ = await components_of(http)
        page = Page(http, components)
        for call in [*DEAREST, *POINTER]:
            while await page.call(*call) in ("loading", "busy"):
                await asyncio.sleep(0.5)
    return components


async def many_sessions(url: str, count: int, server: psutil.Process) -> None:
    """Print what `count` sessions cost that one session does not."""
    async with client(url) as http:
        page = Page(http, (await components_of(http))[0])
        for name, sessions in (
            ("one session", [page.session] * count),
            (f"{count} sessions", [uuid.uuid4().hex for _ in range(count)]),
        ):
            before, start = server.memory_info().rss, time.perf_counter()
            for session in sessions:
                assert await page.call("map", "decode", {"z": [0, 0]}, session) == "ok"
            grown = (server.memory_info().rss - before) / MIB
            print(f"{count} calls by {name}: {time.perf_counter() - start:.2f} s, {grown:+.1f} MiB")


def main() -> int:
    options = parse_args()
    if options.as_attackers:
        asyncio.run(attack(options.url, options.connections, options.seconds))
        return 0
    with nullcontext((options.url, None, None)) if options.url else running_app() as (url, _, _):
        components = asyncio.run(warm(url))
        if options.sessions:
            server = max(psutil.Process().children(), key=lambda child: child.memory_info().rss)
            asyncio.run(many_sessions(url, options.sessions, server))
            return 0
        print(row("before", asyncio.run(visit(url, components, options.seconds))), flush=True)
        command = [sys.executable, __file__, "--as_attackers", "--url", url]
        command += ["--connections", str(options.connections), "--seconds", str(options.seconds + 5)]
        with subprocess.Popen(command) as attackers:
            time.sleep(5)
            print(row("during", asyncio.run(visit(url, components, options.seconds))), flush=True)
            attackers.wait()
        time.sleep(options.recovery)
        print(row("after", asyncio.run(visit(url, components, options.seconds))), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
