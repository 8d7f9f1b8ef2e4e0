"""What tests in several folders share beside fixtures."""

from __future__ import annotations

import json
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

REPO = Path(__file__).parent.parent
# What `make_pipeline` makes.
GANS = ("gan", "dcgan", "wgan", "lapgan", "cgan")
KINDS = ("autoencoder", "vae", *GANS, "diffusion")
# Nothing listens on the discard port: a test that forgets to choose a Hub fails at once instead of going outside.
DEAD_ENDPOINT = "http://127.0.0.1:9"
# Seconds that a process of a test may take.
TIMEOUT = 600


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


# What takes a Python long to import and does not read the environment; the clients do, and are imported anew in each process.
HEAVY = ["torch._dynamo", "pandas", "pyarrow.parquet", "PIL.Image"]
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(HEAVY)


def run_python(*args: str, env: dict[str, str] | None = None, cwd: Path = REPO) -> subprocess.CompletedProcess:
    """Run Python at the root of the checkout, in a process that reads its settings anew: clients read theirs at import.

    Torch is there from the beginning, which saves each process some five seconds; `run_fresh_python` is without.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/out", f"{folder}/err"]
        for path in paths:
            Path(path).touch()
        process = _FORKS.Process(target=_be_python, args=(args, _with_repo(env), str(cwd), *paths))
        process.start()
        process.join(TIMEOUT)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(args, TIMEOUT, *(Path(path).read_bytes() for path in paths))
        return subprocess.CompletedProcess(args, process.exitcode, *(Path(path).read_text() for path in paths))


def run_fresh_python(*args: str) -> subprocess.CompletedProcess:
    """`run_python` where it matters what is imported, or how long that takes."""
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
    for stream, path, flags in ((0, os.devnull, os.O_RDONLY), (1, out, os.O_WRONLY), (2, err, os.O_WRONLY)):
        os.dup2(os.open(path, flags), stream)
    os.environ.clear()
    os.environ.update(env)
    tempfile.tempdir = None  # read TMPDIR again
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
