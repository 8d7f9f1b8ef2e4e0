"""What tests in several folders share beside fixtures."""

from __future__ import annotations

import asyncio
import gc
import importlib
import itertools
import json
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import TypeVar
from urllib.request import Request, urlopen

from packaging.requirements import Requirement

REPO = Path(__file__).parent.parent
# What `make_pipeline` makes.
GANS = ("gan", "dcgan", "wgan", "lapgan", "cgan")
KINDS = ("autoencoder", "vae", *GANS, "diffusion")
# Nothing listens on the discard port: a test that forgets to choose a Hub fails at once instead of going outside.
DEAD_ENDPOINT = "http://127.0.0.1:9"
# Seconds that a process of a test may take.
TIMEOUT = 600


T = TypeVar("T")


def run_coroutine(coroutine: Coroutine[object, object, T]) -> T:
    """`asyncio.run` in a thread of its own: in that of a browser's test Playwright keeps a loop running."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(copy_context().run, asyncio.run, coroutine).result()


def set_clock(monkeypatch, reading: Callable[[], float], of: str = "genmodels", clock: str = "monotonic") -> None:
    """Let the modules of a package read this clock; libraries that wait until some time has passed keep the real one."""
    real = getattr(time, clock)

    def read() -> float:
        name = sys._getframe(1).f_globals.get("__name__", "")
        return reading() if name.split(".")[0] == of else real()

    monkeypatch.setattr(time, clock, read)


@dataclass
class Hub:
    """A running Hub of the tests.

    Attributes:
        endpoint: its address, for HF_ENDPOINT.
        tokens: user name to token; alice and carol may write, bob may only read; "alice-at-acme" is alice's fine-grained
            token for the organization acme, which she may write in, as opposed to the organization museum.
    """

    endpoint: str
    tokens: dict[str, str]

    def env(self, home: Path, user: str | None = "alice", **more: str) -> dict[str, str]:
        """The environment of a client process that has its cache in `home`; without a user it has no token."""
        token = {"HF_TOKEN": self.tokens[user]} if user else {}
        return {**os.environ, "HF_ENDPOINT": self.endpoint, "HF_HOME": str(home), **token, **more}

    def _ask(self, method: str, path: str, content=None):
        data = None if content is None else json.dumps(content).encode()
        with urlopen(Request(f"{self.endpoint}{path}", data, method=method)) as answer:
            return json.load(answer)

    def set_faults(self, *rules: dict) -> None:
        """Make answers fail from now on, in place of earlier rules; tests/hub/faults.py says how."""
        self._ask("PUT", "/_faults", rules)

    def requests(self) -> list[dict]:
        """Every request since the log was cleared: "line" is "METHOD /path?query", "status", and the "fault" it met."""
        return self._ask("GET", "/_requests")

    def clear_requests(self) -> None:
        self._ask("DELETE", "/_requests")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_hub():
    """Generator of one running Hub."""
    roles = {"alice": "alice:write", "bob": "bob:read", "carol": "carol:write", "alice-at-acme": "alice:acme"}
    tokens = {name: f"hf_{name.replace('-', '')}" for name in roles}
    server = subprocess.Popen(
        [
            sys.executable,
            str(REPO / "tests/hub/hub_server.py"),
            *(f"--token={tokens[name]}={role}" for name, role in roles.items()),
            "--org=acme=alice:write,bob:write",
            "--org=museum=alice:read",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        endpoint = server.stdout.readline().strip()
        assert endpoint, "the tests' Hub did not start"
        yield Hub(endpoint, tokens)
    finally:
        server.terminate()
        server.wait()


# What takes a Python long to import, and those of its modules that read the environment, which each process reads anew.
HEAVY = [
    "torch._dynamo",
    "diffusers.models.modeling_utils",
    "diffusers.pipelines.pipeline_utils",
    "datasets",
    "torchmetrics",
]
SETTINGS = ["huggingface_hub.constants", "datasets.config", "diffusers.utils.constants"]
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(HEAVY)


_NUMBERS = itertools.count()


@cache
def _outputs() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="genmodels-outputs-")


class Started:
    """A Python that `start_python` has started; of subprocess.Popen what tests need."""

    def __init__(self, args: tuple[str, ...], env: dict[str, str], cwd: Path):
        self._files = [Path(_outputs().name, f"{next(_NUMBERS)}") for _ in range(2)]
        for file in self._files:
            file.touch()
        self._process = _FORKS.Process(target=_be_python, args=(args, env, str(cwd), *map(str, self._files)))
        self._process.start()
        self.args, self.pid = args, self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def communicate(self, timeout: float = TIMEOUT) -> tuple[str, str]:
        """What it has written, once it has ended."""
        self._process.join(timeout)
        out, err = (file.read_text() for file in self._files)
        if self.poll() is None:
            self.kill()
            raise subprocess.TimeoutExpired(self.args, timeout, out, err)
        return out, err

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    @property
    def returncode(self) -> int | None:
        return self.poll()


def start_python(*args: str, env: dict[str, str] | None = None, cwd: Path = REPO) -> Started:
    """Start a Python in a process that reads its settings anew: clients read theirs at import.

    The libraries are there from the beginning, which saves each process some six seconds; `run_fresh_python` is without.
    """
    return Started(args, _with_repo(env), cwd)


def run_python(*args: str, env: dict[str, str] | None = None, cwd: Path = REPO) -> subprocess.CompletedProcess:
    """`start_python` and wait until it has ended."""
    process = start_python(*args, env=env, cwd=cwd)
    output = process.communicate()
    return subprocess.CompletedProcess(args, process.returncode, *output)


def run_fresh_python(*args: str) -> subprocess.CompletedProcess:
    """The same where it matters what is imported, or how long that takes."""
    return subprocess.run(
        [sys.executable, *args],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=_with_repo(None),
        cwd=REPO,
        stdin=subprocess.DEVNULL,
    )


def _with_repo(env: dict[str, str] | None) -> dict[str, str]:
    return {**(env or os.environ), "PYTHONPATH": str(REPO)}


def _be_python(args: tuple[str, ...], env: dict[str, str], cwd: str, out: str, err: str) -> None:
    """What `python ARGS` does, in this process."""
    gc.freeze()  # what the libraries hold is no garbage
    for stream, path, flags in ((0, os.devnull, os.O_RDONLY), (1, out, os.O_WRONLY), (2, err, os.O_WRONLY)):
        os.dup2(os.open(path, flags), stream)
    os.environ.clear()
    os.environ.update(env)
    tempfile.tempdir = None  # read TMPDIR again
    # Ignored where the tests run in the background of a shell.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _FORKS.set_forkserver_preload(["torch"])
    _read_settings()
    os.chdir(cwd)
    sys.path[:] = [str(REPO), *(path for path in sys.path if not Path(path).is_relative_to(REPO))]
    kind, *rest = args
    if kind == "-c":
        sys.path.insert(0, cwd)
        sys.argv[:] = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    elif kind == "-m":
        sys.path.insert(0, cwd)
        sys.argv[:] = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(cwd, kind).parent))
        sys.argv[:] = args
        runpy.run_path(kind, run_name="__main__")


def _read_settings() -> None:
    """Let the libraries that are imported already follow this process's environment, the copies of their settings, too."""
    for name in SETTINGS:
        settings = sys.modules[name]
        before = dict(vars(settings))
        importlib.reload(settings)
        changed = [key for key in before if key.isupper() and before[key] != vars(settings)[key]]
        for module in [vars(module) for module in sys.modules.values() if isinstance(module, ModuleType)]:
            module.update({key: vars(settings)[key] for key in changed if module.get(key) == before[key]})
    hf_api = sys.modules["huggingface_hub.hf_api"]
    hf_api.api.endpoint = hf_api.constants.ENDPOINT


def make_environment(folder: Path, *requirements: str) -> Path:
    """The Python of a new virtual environment that holds these installed distributions and what they need, and no others.

    Links to them stand for an installation, which takes minutes; an editable install of genmodels does not leak in.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    waiting, found = [Requirement(line) for line in requirements], set()
    while waiting:
        wanted = waiting.pop()
        if (wanted.name, extras := frozenset(wanted.extras)) in found:
            continue
        found.add((wanted.name, extras))
        installed = distribution(wanted.name)
        for line in installed.requires or []:
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                waiting.append(needed)
        for top in {file.parts[0] for file in installed.files} - {"..", "__pycache__"}:
            source = Path(installed.locate_file(top))
            # Namespace packages are shared: the first link has them all.
            if source.exists() and not (site / top).exists():
                (site / top).symlink_to(source)
    return folder / "bin" / "python"


def save_digits(folder: Path, splits: dict[str, slice]) -> str:
    """Make parquet files, named as the splits, of these digits of the built-in training sample; returns the folder."""
    import datasets

    from genmodels import zoo

    sample = zoo.load_sample("zoo:mnist-sample")
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=sample.class_names))
    for name, chosen in splits.items():
        images = [datasets.Image().encode_example(image[..., 0]) for image in sample.images[chosen]]
        rows = datasets.Dataset.from_dict({"image": images, "label": sample.labels[chosen]}, features=features)
        rows.to_parquet(folder / f"{name}.parquet")
    return str(folder)


def make_pipeline(kind: str, seed: int = 0):
    """A pipeline of tiny networks with random weights, of one of `KINDS`."""
    import torch
    from diffusers import DDIMScheduler

    import genmodels

    torch.manual_seed(seed)
    shape = {"latent_dim": 3, "base_channels": 4, "hidden_dim": 16}
    if kind == "autoencoder":
        return genmodels.AutoencoderPipeline(
            genmodels.AutoencoderEncoder(**shape), genmodels.AutoencoderDecoder(**shape)
        )
    if kind == "vae":
        return genmodels.VAEPipeline(genmodels.VAEEncoder(**shape), genmodels.VAEDecoder(**shape))
    if kind == "gan":
        return genmodels.VanillaGANPipeline(
            genmodels.VanillaGANGenerator(latent_dim=8, hidden_dims=[16, 24]),
            genmodels.VanillaGANDiscriminator(hidden_dims=[16]),
        )
    if kind == "wgan":
        return genmodels.WGANPipeline(
            genmodels.DCGANGenerator(latent_dim=8, base_channels=4),
            genmodels.DCGANDiscriminator(base_channels=4, norm="none"),
        )
    if kind == "dcgan":
        return genmodels.DCGANPipeline(
            genmodels.DCGANGenerator(latent_dim=8, base_channels=4), genmodels.DCGANDiscriminator(base_channels=4)
        )
    if kind == "lapgan":
        return genmodels.LAPGANPipeline(
            genmodels.LAPGANGenerator(latent_dim=8, base_channels=4), genmodels.LAPGANDiscriminator(base_channels=4)
        )
    if kind == "diffusion":
        unet = genmodels.UNet(
            sample_size=8,
            in_channels=4,
            out_channels=4,
            block_out_channels=[8],
            layers_per_block=1,
            down_block_types=["DownBlock2D"],
            up_block_types=["UpBlock2D"],
            norm_num_groups=4,
        )
        schedule = {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "trailing"}
        return genmodels.PixelDiffusionPipeline(unet, DDIMScheduler(prediction_type="v_prediction", **schedule))
    classes = {"num_classes": 4, "class_names": ["ant", "bee", "cat", "dog"]}
    if kind == "cvae":
        return genmodels.VAEPipeline(
            genmodels.VAEEncoder(**shape, **classes, sample_size=16),
            genmodels.VAEDecoder(**shape, **classes, sample_size=16),
        )
    return genmodels.CGANPipeline(
        genmodels.CGANGenerator(**classes, sample_size=16, latent_dim=8, label_dim=4, base_channels=4),
        genmodels.CGANDiscriminator(**classes, sample_size=16, base_channels=4),
    )
