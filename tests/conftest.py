"""Fixtures that all tests share, and an environment in which no test reaches the network or the user's own cache."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

REPO = Path(__file__).parent.parent
# Nothing listens on the discard port: a test that forgets to choose a Hub fails at once instead of going outside.
DEAD_ENDPOINT = "http://127.0.0.1:9"

# The clients read these when they are imported, so they are set before any test module is.
_HOME = tempfile.TemporaryDirectory(prefix="genmodels-tests-")
os.environ.update(
    HF_ENDPOINT=DEAD_ENDPOINT,
    HF_HOME=_HOME.name,
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    # The tests' Hub speaks plain LFS.
    HF_HUB_DISABLE_XET="1",
    GRADIO_ANALYTICS_ENABLED="False",
)
for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE"):
    os.environ.pop(name, None)


@dataclass
class Hub:
    """A running Hub of the tests.

    Attributes:
        endpoint: its address, for HF_ENDPOINT.
        tokens: user name to token; alice may write, bob may only read.
    """

    endpoint: str
    tokens: dict[str, str]

    def env(self, home: Path, user: str | None = "alice", **more: str) -> dict[str, str]:
        """The environment of a client process that has its cache in `home`; without a user it has no token."""
        token = {"HF_TOKEN": self.tokens[user]} if user else {}
        return {**os.environ, "HF_ENDPOINT": self.endpoint, "HF_HOME": str(home), **token, **more}


def run_python(*args: str, env: dict[str, str] | None = None, cwd: Path = REPO) -> subprocess.CompletedProcess:
    """Run a fresh Python at the root of the checkout: clients read their settings once, at import."""
    env = {**(env or os.environ), "PYTHONPATH": str(REPO)}
    return subprocess.run(
        [sys.executable, *args], capture_output=True, text=True, timeout=300, env=env, cwd=cwd, stdin=subprocess.DEVNULL
    )


@pytest.fixture(scope="session")
def hub():
    """A Hub on a free port for the whole run; everything in it is lost at the end."""
    tokens = {"alice": "hf_alice", "bob": "hf_bob"}
    server = subprocess.Popen(
        [
            sys.executable,
            str(REPO / "tests/hub/hub_server.py"),
            f"--token={tokens['alice']}=alice:write",
            f"--token={tokens['bob']}=bob:read",
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


PUSH_DIGITS = """
import datasets, sys
from genmodels import zoo
sample = zoo.load_sample("zoo:mnist-sample")
features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=sample.class_names))
def rows(start, stop):
    images = [datasets.Image().encode_example(image[..., 0]) for image in sample.images[start:stop]]
    return datasets.Dataset.from_dict({"image": images, "label": sample.labels[start:stop]}, features=features)
splits = datasets.DatasetDict(train=rows(0, 256), test=rows(256, 320))
splits.push_to_hub(sys.argv[1])
"""


@pytest.fixture(scope="session")
def digits_on_hub(hub, tmp_path_factory) -> str:
    """The id of a dataset on `hub`: 256 training and 64 test digits of MNIST, one parquet file each."""
    repo_id = "alice/digits"
    done = run_python("-c", PUSH_DIGITS, repo_id, env=hub.env(tmp_path_factory.mktemp("push-home")))
    assert done.returncode == 0, done.stderr
    return repo_id


def make_pipeline(kind: str, seed: int = 0):
    """A pipeline of tiny networks with random weights: "vae", "dcgan" or "cgan"."""
    import torch

    import genmodels

    torch.manual_seed(seed)
    if kind == "vae":
        shape = {"latent_dim": 3, "base_channels": 4, "hidden_dim": 16}
        return genmodels.VAEPipeline(genmodels.VAEEncoder(**shape), genmodels.VAEDecoder(**shape))
    if kind == "dcgan":
        return genmodels.DCGANPipeline(
            genmodels.DCGANGenerator(latent_dim=8, base_channels=4), genmodels.DCGANDiscriminator(base_channels=4)
        )
    classes = {"num_classes": 4, "class_names": ["ant", "bee", "cat", "dog"]}
    return genmodels.CGANPipeline(
        genmodels.CGANGenerator(**classes, sample_size=16, latent_dim=8, label_dim=4, base_channels=4),
        genmodels.CGANDiscriminator(**classes, sample_size=16, base_channels=4),
    )


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> dict[str, Path]:
    """One saved pipeline folder of each kind; copy before changing one."""
    root = tmp_path_factory.mktemp("saved")
    for kind in ("vae", "dcgan", "cgan"):
        make_pipeline(kind).save_pretrained(root / kind)
    return {kind: root / kind for kind in ("vae", "dcgan", "cgan")}
