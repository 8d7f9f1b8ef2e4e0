"""Print how the suite bears many visitors at once: `python tests/benchmarks/load_test.py`.

Most visitors' browsers compute by themselves (`app --prepare_page`): they ask for files, and hardly for anything else. What a
page asks for when it is opened and in each tab is taken down in headless Chromium first; every visitor asks for the same over
HTTP, with nothing in the cache, with pauses of some seconds, and after `--stay` seconds another one comes. A share of them cannot
compute: the server does for these what their browsers do not, one thing after the other: drags at a slider, five points a second,
contact sheets, numbers, rounds of the game, turns of a small GAN of digits. A program beside them calls the API now and then, and
one visitor is heavy: a thousand images, as often as they come, and training at full speed.

- in page: from a move over the map to its picture, in a page that is open in the browser all the time;
- pointer: the same for those whose browser cannot compute, over HTTP: at the sliders of the directions and at those of a face's
  attributes; over the map the page decodes in plain JavaScript, and asks once for the decoder;
- page, files: the page's HTML, and each other file until its last byte;
- calls: what a page that computes asks of the server all the same;
- sampling: contact sheets, ways between two images, numbers, classes, rounds of the game, by the server;
- training: a visitor's turn;
- busy: answers that told to come again, as the page does;
- API: calls by gradio_client, the small ones and the heavy visitor's ("many");
- wire: what came in all;
- processor: what the server used of one core; and this program, for the visitors are on the machine, too;
- memory: what the server and its children hold at the end, and how much that is more than after the warm-up, which is not timed;
- temporary folder: what the API's pictures have left on the disk.

Alone on the machine. The exit code is 1 if anything was answered with an error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
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
from urllib.parse import urlsplit

import httpx
import psutil
from playwright.async_api import Page, async_playwright

sys.path.append(str(Path(__file__).parents[1]))
from suite_browser import FLAGS, chromium, percentile, running_app

# Seconds between two moves of a visitor's pointer, of dragging one thing, and at most between two pictures that she asks for.
MOVE_SECONDS, DRAG_SECONDS, THINK_SECONDS = 0.2, 5.0, 3.0
# Turns of a visitor's training, their steps and the pause after each: the page's at a middling speed, and at full speed.
TURNS, STEPS, PAUSE_SECONDS, FULL_STEPS = 10, 5, 0.04, 500
# Images that the heavy visitor draws at once, and seconds between two calls of a program.
MANY, CALL_SECONDS = 1000, 2.0
# Moves of the pointer in the page: where it goes, and from each to its picture, in milliseconds.
DRAG = """async ([seconds, pause]) => {
    const stage = document.querySelector('#map-tab .stage'), found = [];
    const took = event => found.push(event.detail.ms);
    stage.addEventListener('decoded', took);
    const { left, top, width, height } = stage.getBoundingClientRect();
    for (let i = 0, end = performance.now() + 1000 * seconds; performance.now() < end; i++) {
        const at = { clientX: left + (37 * i) % width, clientY: top + (91 * i) % height };
        stage.dispatchEvent(new PointerEvent('pointermove', at));
        await new Promise(done => setTimeout(done, pause));
    }
    stage.removeEventListener('decoded', took);
    return found;
}"""
# What a visitor opens and presses, by the tab; each waits for what it draws.
STAGES = {
    "Map": [("button:text-is('Faces')", ".faces-view[data-seed]")],
    "Samples": [(".new", None), (".views button:text-is('directions')", ".directions-sliders input")],
    "Classes": [(".new", None)],
    "Real or fake?": [(".game-guess", ".game-truth:not(:empty)")],
    "Training": [(".live-run", None)],
}
# Milliseconds without a request after which a stage of the visit is over.
QUIET = 1500
TIMEOUT = 120
MIB = 2**20


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visitors", type=int, default=200, help="at once (default: %(default)s)")
    parser.add_argument(
        "--asking", type=float, default=0.05, help="share whose browser cannot compute (default: %(default)s)"
    )
    parser.add_argument("--stay", type=float, default=120, help="seconds of a visit (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=120, help="that are timed (default: %(default)s)")
    parser.add_argument("--warm_up_seconds", type=int, default=40, help="before them (default: %(default)s)")
    parser.add_argument("--page", help="folder of `app --prepare_page`, if it is not the usual one")
    parser.add_argument(
        "--url", help="of a suite that runs, whose memory is not measured; without it app.py is started"
    )
    return parser.parse_args()


def summary(milliseconds: list[float]) -> str:
    """How many, and how long they took."""
    values = sorted(milliseconds)
    if not values:
        return "     0"
    p50, p95 = percentile(values, 0.5), percentile(values, 0.95)
    return f"{len(values):6} times, p50 {p50:.0f} ms, p95 {p95:.0f} ms, slowest {values[-1]:.0f} ms"


class Report:
    """What was answered, how fast, and what was wrong."""

    def __init__(self):
        self.milliseconds: defaultdict[str, list[float]] = defaultdict(list)
        self.errors: Counter[str] = Counter()
        self.busy = self.bytes = 0

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
        self.busy = self.bytes = 0

    def print(self) -> None:
        for kind, values in sorted(self.milliseconds.items()):
            print(f"{kind:9} {summary(values)}")
        print(f"{'wire':9} {self.bytes / MIB:6.0f} MiB of files")
        print(f"{'busy':9} {self.busy:6} answers that told to come again")
        print(f"{'errors':9} {self.errors.total():6}")
        for error, count in self.errors.most_common():
            print(f"  {count} x {error}")


class Tape:
    """What a page asks its server, by what a visitor does: (method, path, body) in their order."""

    def __init__(self, page: Page, url: str):
        self.page, self.url = page, url
        self.stages: dict[str, list[tuple[str, str, str | None]]] = {}
        self.last = time.monotonic()
        page.on("request", self._take_down)

    def _take_down(self, request) -> None:
        self.last = time.monotonic()
        path = request.url.removeprefix(self.url)
        # What stays open, a visitor opens by himself.
        if request.url.startswith(self.url) and "/heartbeat/" not in path:
            self.stages[list(self.stages)[-1]].append((request.method, path, request.post_data))

    async def quiet(self) -> None:
        """Return once nothing has been asked for a while."""
        while 1000 * (time.monotonic() - self.last) < QUIET:
            await asyncio.sleep(0.1)

    async def record(self) -> None:
        """Open the page, and do in each tab what visitors do."""
        self.stages["open"] = []
        await self.page.goto(self.url)
        await self.page.locator("#map-tab [data-ready]").wait_for()
        await self.page.evaluate(DRAG, [1, 100])
        await self.quiet()
        for tab, acts in STAGES.items():
            self.stages[tab] = []
            await self.page.get_by_role("tab", name=tab).click()
            widget = self.page.locator("[role=tabpanel] .suite-widget:visible")
            await widget.locator("[data-ready]").wait_for()
            for press, shows in acts:
                await widget.locator(f"{press}:visible").first.click()
                if shows:
                    await widget.locator(shows).first.wait_for()
                await self.quiet()
        if await self.page.locator(".live-run[aria-pressed=true]").count():
            await self.page.locator(".live-run").click()
        # For what is measured in the page itself.
        await self.page.get_by_role("tab", name="Map").click()
        await self.page.get_by_role("button", name="the VAE", exact=True).click()

    def print(self) -> None:
        for stage, asked in self.stages.items():
            calls = [json.loads(body)["fn_name"] for method, _, body in asked if method == "POST" and body]
            print(
                f"{stage}: {len(asked) - len(calls)} files{', calls ' if calls else ''}{', '.join(calls)}", flush=True
            )


class Browser:
    """A visitor whose browser computes: files when something is opened for the first time, and hardly more.

    Args:
        http: the client that all share.
        tape: what a page asks.
        report: where times and errors go.
        seed: of what this visitor does.
        stay: seconds until another one takes the place.
    """

    def __init__(self, http: httpx.AsyncClient, tape: Tape, report: Report, seed: int, stay: float):
        self.http, self.tape, self.report, self.stay = http, tape, report, stay
        self.random = random.Random(seed)

    async def come_and_go(self) -> None:
        """One visit after the other, the first of them at any time."""
        await asyncio.sleep(self.random.uniform(0, min(self.stay, THINK_SECONDS * 10)))
        while True:
            beating = asyncio.create_task(self.beat(uuid.uuid4().hex))
            try:
                await asyncio.wait_for(self.visit(), self.stay * self.random.uniform(0.5, 1.5))
            except TimeoutError:
                pass
            finally:
                beating.cancel()

    async def beat(self, session: str) -> None:
        """What Gradio's page keeps open."""
        try:
            async with self.http.stream("GET", f"gradio_api/heartbeat/{session}", timeout=None) as response:
                async for _ in response.aiter_raw():
                    pass
        except httpx.HTTPError as error:
            self.report.errors[f"heartbeat: {type(error).__name__}"] += 1

    async def visit(self) -> None:
        session = uuid.uuid4().hex
        stages = [stage for stage in self.tape.stages if stage != "open"]
        self.random.shuffle(stages)
        for stage in ("open", *stages):
            asked = self.tape.stages[stage]
            # Six at once, as browsers have it.
            turn = asyncio.Semaphore(6)
            await asyncio.gather(*(self.ask(turn, session, *request) for request in asked))
            await asyncio.sleep(self.random.uniform(0, 2 * THINK_SECONDS))
        # From then on everything is there.
        await asyncio.sleep(TIMEOUT + 2 * self.stay)

    async def ask(self, turn: asyncio.Semaphore, session: str, method: str, path: str, body: str | None) -> None:
        kind = "calls" if method == "POST" else "page" if urlsplit(path).path in ("", "/") else "files"
        if body is not None:
            body = json.dumps({**json.loads(body), "session_hash": session})
        async with turn:
            await self.report.timed(kind, path.partition("?")[0], self.fetch(method, path, body))

    async def fetch(self, method: str, path: str, body: str | None) -> None:
        headers = {"Accept-Encoding": "gzip, br", "Content-Type": "application/json"}
        async with self.http.stream(method, path, content=body, headers=headers) as response:
            async for chunk in response.aiter_raw():
                self.report.bytes += len(chunk)
            response.raise_for_status()


class Visitor:
    """An open page whose browser cannot compute.

    Args:
        http: the client that all share.
        components: the ids of the tabs' widgets by their elem_id, as /config tells them.
        report: where times and errors go.
        seed: of what this visitor does.
    """

    def __init__(self, http: httpx.AsyncClient, components: dict[str, int], report: Report, seed: int):
        self.http, self.components, self.report = http, components, report
        self.random, self.session = random.Random(seed), uuid.uuid4().hex

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
        """At a slider; while a picture is on its way, no other is asked for."""
        follow = self.random.choice([self.edited, self.along_a_direction])
        end = time.perf_counter() + DRAG_SECONDS
        while (asked := time.perf_counter()) < end:
            await follow()
            await asyncio.sleep(max(0.0, asked + MOVE_SECONDS - time.perf_counter()))

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


def resident(server: psutil.Process | None) -> dict[str, float]:
    """MiB of the server and of its children."""
    processes = {"server": server, **{f"child {child.pid}": child for child in server.children()}} if server else {}
    return {name: process.memory_info().rss / MIB for name, process in processes.items()}


def seconds_of(server: psutil.Process | None) -> float:
    """Seconds of a core that the server has used, and its children."""
    processes = [server, *server.children()] if server else []
    return sum(sum(process.cpu_times()[:2]) for process in processes)


async def load(url: str, options: argparse.Namespace, downloads: str, own: bool) -> Report:
    """Let the visitors in."""
    from gradio_client import Client

    # Below the server's own 5 s: a connection that it closes just then is no error of its, and browsers ask again.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=2)
    async with (
        httpx.AsyncClient(base_url=url, timeout=TIMEOUT, limits=limits) as http,
        async_playwright() as playwright,
    ):
        # Beside it, only what drives the browser.
        children = psutil.Process().children()
        server = next(child for child in children if any("app.py" in part for part in child.cmdline())) if own else None
        config = (await http.get("config")).raise_for_status().json()
        components = {part["props"].get("elem_id"): part["id"] for part in config["components"]}
        report = Report()
        heavy = Visitor(http, components, report, options.visitors)
        await wait_until_loaded(heavy)
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        page = await browser.new_page()
        page.set_default_timeout(1000 * TIMEOUT)
        tape = Tape(page, url + "/")
        await tape.record()
        tape.print()
        print(f"in page, nobody else here: {summary(await page.evaluate(DRAG, [DRAG_SECONDS, 200]))}", flush=True)
        asking = round(options.asking * options.visitors)
        asked = [Visitor(http, components, report, seed) for seed in range(asking)]
        computing = [Browser(http, tape, report, seed, options.stay) for seed in range(asking, options.visitors)]
        program, bulk = [
            await asyncio.to_thread(Client, url, verbose=False, download_files=downloads) for _ in range(2)
        ]
        tasks = [
            *(asyncio.create_task(visitor.look_around()) for visitor in asked),
            *(asyncio.create_task(visitor.come_and_go()) for visitor in computing),
            asyncio.create_task(heavy.train_at_full_speed()),
            asyncio.create_task(call_api(bulk, report, "API many", "/sample_many", 0, num_images=MANY)),
            asyncio.create_task(call_api(program, report, "API", "/sample", CALL_SECONDS, num_images=16)),
            asyncio.create_task(call_api(program, report, "API", "/interpolate", CALL_SECONDS, model="cgan-mnist")),
        ]
        await asyncio.sleep(options.warm_up_seconds)
        report.forget_times()
        before, start = resident(server), time.perf_counter()
        used, ours = seconds_of(server), time.process_time()
        report.milliseconds["in page"] = await page.evaluate(DRAG, [options.seconds, 200])
        after, passed = resident(server), time.perf_counter() - start
        shares = (seconds_of(server) - used) / passed, (time.process_time() - ours) / passed
        for task in tasks:
            # They go on for ever, unless this program is wrong.
            if task.done():
                task.result()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await browser.close()
    report.print()
    if server:
        print(f"processor server {shares[0]:.0%}, visitors {shares[1]:.0%} of a core")
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
        page = ["--page", options.page] if options.page else []
        server = nullcontext((options.url, None, None)) if options.url else running_app(*page)
        with server as (url, _, _):
            report = asyncio.run(load(url, options, downloads, own=not options.url))
            if not options.url:
                print(f"temporary folder: {size_of(pictures)}")
    return int(report.errors.total() > 0)


if __name__ == "__main__":
    raise SystemExit(main())
