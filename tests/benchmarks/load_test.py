"""Print how the suite bears many visitors at once: `python tests/benchmarks/load_test.py`.

Every visitor does one thing after the other, with pauses of up to three seconds: drags over the map or at a slider, five points a
second, draws contact sheets, writes numbers, plays the game, trains a small GAN by turns; over HTTP, as the page's own JavaScript
does it. A program beside them calls the API now and then, and one visitor is heavy: a thousand images, as often as they come, and
training at full speed.

- pointer: from a move to its picture at the sliders of the directions; over the map and at those of a face's attributes too,
  unless the decoder is so small that it runs in the page, as the built-in ones do: then the server is asked for it once, and
  for a face's Python when the slider rests;
- sampling: contact sheets, ways between two images, numbers, classes, rounds of the game;
- training: a visitor's turn;
- busy: answers that told to come again, as the page does;
- API: calls by gradio_client, the small ones and the heavy visitor's ("many");
- memory: what the server and its children hold at the end, and how much that is more than after the warm-up, which is not timed;
- temporary folder: what the API's pictures have left on the disk.

Alone on the machine: the visitors are on it, too. The exit code is 1 if anything was answered with an error.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Awaitable
from concurrent.futures import CancelledError
from contextlib import nullcontext
from pathlib import Path

import httpx
import psutil

sys.path.append(str(Path(__file__).parents[1]))
from suite_browser import percentile, running_app

# Seconds between two moves of a visitor's pointer, of dragging one thing, and at most between two pictures that she asks for.
MOVE_SECONDS, DRAG_SECONDS, THINK_SECONDS = 0.2, 5.0, 3.0
# Turns of a visitor's training, their steps and the pause after each: the page's at a middling speed, and at full speed.
TURNS, STEPS, PAUSE_SECONDS, FULL_STEPS = 10, 5, 0.04, 500
# Images that the heavy visitor draws at once, and seconds between two calls of a program.
MANY, CALL_SECONDS = 1000, 2.0
TIMEOUT = 120
MIB = 2**20


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=20, help="(default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=120, help="that are timed (default: %(default)s)")
    parser.add_argument("--warm_up_seconds", type=int, default=40, help="before them (default: %(default)s)")
    parser.add_argument(
        "--url", help="of a suite that runs, whose memory is not measured; without it app.py is started"
    )
    return parser.parse_args()


class Report:
    """What was answered, how fast, and what was wrong."""

    def __init__(self):
        self.milliseconds: defaultdict[str, list[float]] = defaultdict(list)
        self.errors: Counter[str] = Counter()
        self.busy = 0

    async def timed(self, kind: str, name: str, answer: Awaitable):
        """The answer, None if it is an error."""
        start = time.perf_counter()
        try:
            answer = await answer
        except Exception as error:
            # Whatever a client raises, a visitor was not served.
            self.errors[f"{name}: {type(error).__name__}: {error}".splitlines()[0][:200]] += 1
            return None
        finally:
            # Who still waits at the end has waited so long at least.
            self.milliseconds[kind].append(1000 * (time.perf_counter() - start))
        if isinstance(answer, dict) and answer.get("status") == "busy":
            self.busy += 1
            return None
        if isinstance(answer, dict) and answer.get("status", "ok") != "ok":
            self.errors[f"{name}: {answer.get('message', answer['status'])}"[:200]] += 1
            return None
        return answer

    def forget_times(self) -> None:
        """Time from now on; errors stay."""
        self.milliseconds.clear()
        self.busy = 0

    def print(self) -> None:
        for kind, values in sorted(self.milliseconds.items()):
            values.sort()
            p50, p95 = percentile(values, 0.5), percentile(values, 0.95)
            print(f"{kind:8} {len(values):6} requests, p50 {p50:.0f} ms, p95 {p95:.0f} ms, slowest {values[-1]:.0f} ms")
        print(f"{'busy':8} {self.busy:6} answers that told to come again")
        print(f"{'errors':8} {self.errors.total():6}")
        for error, count in self.errors.most_common():
            print(f"  {count} x {error}")


class Visitor:
    """An open page.

    Args:
        http: the client that all share.
        components: the ids of the tabs' widgets by their elem_id, as /config tells them.
        report: where times and errors go.
        seed: of what this visitor does.
    """

    def __init__(self, http: httpx.AsyncClient, components: dict[str, int], report: Report, seed: int):
        self.http, self.components, self.report = http, components, report
        self.random, self.session = random.Random(seed), uuid.uuid4().hex
        self.decoder: dict | None = None

    async def call(self, tab: str, function: str, /, **payload) -> dict:
        """What `server.function(payload)` does in the JavaScript of a widget."""
        response = await self.http.post(
            "gradio_api/component_server/",
            json={
                "session_hash": self.session,
                "component_id": self.components[f"{tab}-tab"],
                "fn_name": function,
                "data": payload,
            },
        )
        response.raise_for_status()
        return response.json()

    async def ask(self, kind: str, tab: str, function: str, /, **payload) -> dict | None:
        """See `Report.timed`."""
        return await self.report.timed(kind, f"{tab}.{function}", self.call(tab, function, **payload))

    async def drag(self) -> None:
        """Over the map or at a slider; while a picture is on its way, no other is asked for."""
        follow = self.random.choice([self.over_the_map, self.edited, self.along_a_direction])
        end = time.perf_counter() + DRAG_SECONDS
        while (asked := time.perf_counter()) < end:
            await follow()
            await asyncio.sleep(max(0.0, asked + MOVE_SECONDS - time.perf_counter()))

    async def over_the_map(self) -> None:
        """A small decoder comes into the page once, and decodes there from then on."""
        if self.decoder is None:
            self.decoder = await self.ask("pointer", "map", "decoder")
        if self.decoder and not self.decoder["layers"]:
            await self.ask("pointer", "map", "decode", z=[self.random.uniform(-3, 3) for _ in range(2)])

    async def edited(self) -> None:
        strengths = {"Smiling": self.random.uniform(-2, 2), "Eyeglasses": self.random.uniform(-2, 2)}
        await self.ask("pointer", "map", "edit", index=1, strengths=strengths)

    async def along_a_direction(self) -> None:
        await self.ask("pointer", "samples", "moved", strengths=[self.random.uniform(-3, 3) for _ in range(3)])

    async def look_around(self) -> None:
        """Do one thing after the other."""
        while True:
            await self.random.choice([self.drag, self.drag, self.drag, self.draw, self.write, self.play, self.train])()
            await asyncio.sleep(self.random.uniform(0, THINK_SECONDS))

    async def draw(self) -> None:
        seed = self.random.randrange(1000)
        await self.ask("sampling", "samples", "sheet", seed=seed, count=64, psi=0.8)
        await self.ask("sampling", "samples", "between", seed=seed, a=3, b=40, psi=0.8)

    async def write(self) -> None:
        seed = self.random.randrange(1000)
        await self.ask("sampling", "classes", "write", text=str(self.random.randrange(10**6)), seed=seed)
        await self.ask("sampling", "classes", "mix", a=3, b=8, seed=seed)

    async def play(self) -> None:
        dealt = await self.ask("sampling", "real-or-fake", "play", kind=self.random.choice(["classes", "samples"]))
        if dealt:
            await self.ask("sampling", "real-or-fake", "guess", round=dealt["round"])

    async def train(self, turns: int = TURNS, steps: int = STEPS, pause: float = PAUSE_SECONDS) -> None:
        started = await self.ask("training", "training", "live_start", settings={"seed": self.random.randrange(1000)})
        if not started or "full" in started:
            self.report.busy += bool(started)
            return
        for _ in range(turns):
            answer = await self.ask("training", "training", "live_train", session=started["session"], steps=steps)
            if not answer or answer.get("lost") or answer.get("done"):
                return
            await asyncio.sleep(pause)

    async def train_at_full_speed(self) -> None:
        """What a visitor does at most: turn upon turn."""
        while True:
            await self.train(turns=1000, steps=FULL_STEPS, pause=0)


async def call_api(client, report: Report, kind: str, name: str, pause: float, **arguments) -> None:
    """Call an endpoint over and over."""

    def predict():
        try:
            return client.predict(**arguments, api_name=name)
        except CancelledError as error:
            # asyncio would take it for this task's own.
            raise RuntimeError("the client gave up") from error

    while True:
        await report.timed(kind, name, asyncio.to_thread(predict))
        await asyncio.sleep(pause)


async def wait_until_loaded(visitor: Visitor) -> None:
    """Return once every kind of network answers."""
    for tab, function in (("map", "decode"), ("samples", "sheet"), ("classes", "row"), ("real-or-fake", "play")):
        while (await visitor.call(tab, function))["status"] == "loading":
            await asyncio.sleep(0.5)


def resident() -> dict[str, float]:
    """MiB of the server, which this process has started, and of its children."""
    processes = psutil.Process().children(recursive=True)
    names = {process: "server" if process.ppid() == os.getpid() else f"child {process.pid}" for process in processes}
    return {name: process.memory_info().rss / MIB for process, name in names.items()}


async def load(url: str, options: argparse.Namespace, downloads: str, own: bool) -> Report:
    """Let the visitors in."""
    from gradio_client import Client

    # Below the server's own 5 s: a connection that it closes just then is no error of its, and browsers ask again.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2)
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT, limits=limits) as http:
        config = (await http.get("config")).raise_for_status().json()
        components = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
        report = Report()
        visitors = [Visitor(http, components, report, seed) for seed in range(options.visitors)]
        heavy = Visitor(http, components, report, options.visitors)
        await wait_until_loaded(heavy)
        program, bulk = [
            await asyncio.to_thread(Client, url, verbose=False, download_files=downloads) for _ in range(2)
        ]
        tasks = [
            *(asyncio.create_task(visitor.look_around()) for visitor in visitors),
            asyncio.create_task(heavy.train_at_full_speed()),
            asyncio.create_task(call_api(bulk, report, "API many", "/sample_many", 0, num_images=MANY)),
            asyncio.create_task(call_api(program, report, "API", "/sample", CALL_SECONDS, num_images=16)),
            asyncio.create_task(call_api(program, report, "API", "/interpolate", CALL_SECONDS, model="cgan-mnist")),
        ]
        await asyncio.sleep(options.warm_up_seconds)
        report.forget_times()
        before = resident() if own else {}
        await asyncio.sleep(options.seconds)
        after = resident() if own else {}
        for task in tasks:
            # They go on for ever, unless this program is wrong.
            if task.done():
                task.result()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    report.print()
    for name, mebibytes in after.items():
        grown = f"{mebibytes / before[name] - 1:+.1%}" if name in before else "started since"
        print(f"memory   {mebibytes:6.0f} MiB at the end, {grown}: {name}")
    return report


def size_of(folder: str) -> str:
    """How much lies in a folder, in words."""
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    return f"{sum(path.stat().st_size for path in files) / MIB:.1f} MiB in {len(files)} files"


def main() -> int:
    options = parse_args()
    with tempfile.TemporaryDirectory() as downloads, tempfile.TemporaryDirectory() as pictures:
        # Read by the server, which inherits it.
        os.environ.update(GRADIO_TEMP_DIR=pictures, GRADIO_ANALYTICS_ENABLED="False")
        server = nullcontext((options.url, None, None)) if options.url else running_app()
        with server as (url, _, _):
            report = asyncio.run(load(url, options, downloads, own=not options.url))
            if not options.url:
                print(f"temporary folder: {size_of(pictures)}")
    return int(report.errors.total() > 0)


if __name__ == "__main__":
    raise SystemExit(main())
