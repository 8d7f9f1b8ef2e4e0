"""Start a built Space as Spaces does, and call it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gradio_client import Client
from gradio_client.exceptions import AppError
from helpers import free_port
from suite_browser import fetch

START_SECONDS = 180
# Takes root's rights away, less that to read, since the Python that runs the tests may lie in root's own home.
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]
AS_NOBODY += [f"--{caps}=-all,+dac_read_search" for caps in ("inh-caps", "ambient-caps", "bounding-set")]


def environment_of(home: Path, port: int, **more: str) -> dict[str, str]:
    """What a hosted process has: a home of its own, and nothing of this one's but where programs lie."""
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "PYTHONPATH": "",
        "PORT": str(port),
        "SPACE_ID": "alice/space",
        "HF_HUB_OFFLINE": "1",
        **more,
    }


@contextmanager
def running_space(folder: Path, home: Path, python: str = sys.executable, **more: str) -> Iterator[str]:
    """`python app.py` in a built folder; yields its address once the page is there."""
    home.mkdir(exist_ok=True)
    with running([python, "app.py"], folder, home, home.with_suffix(".log"), **more) as url:
        yield url


@contextmanager
def running_space_of_nobody(folder: Path, log: Path, **more: str) -> Iterator[str]:
    """The same as a user who can write nothing but temporary files: a home that is not there, and the folder made read-only."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    # Who is not root is nobody in particular already.
    command = [*(AS_NOBODY if os.geteuid() == 0 and shutil.which("setpriv") else []), sys.executable, "app.py"]
    with running(command, folder, Path("/nonexistent"), log, **more) as url:
        yield url


@contextmanager
def running(command: list[str], folder: Path, home: Path, log: Path, **more: str) -> Iterator[str]:
    """A command that serves a Space; yields its address once the page is there."""
    port = free_port()
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment_of(home, port, **more), stdout=output, stderr=output
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while fetch(url) is None:
            if process.poll() is not None:
                raise AssertionError(f"the Space ended with {process.returncode}: {log.read_text()}")
            assert time.monotonic() < deadline, f"the Space did not answer: {log.read_text()}"
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def connect(url: str) -> Client:
    """A client with patience: while networks load, a busy machine may take longer than the usual five seconds to answer."""
    return Client(url, verbose=False, httpx_kwargs={"timeout": START_SECONDS})


def call(client: Client, endpoint: str, **arguments):
    """A public endpoint's answer, asked for again while the networks load."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return client.predict(**arguments, api_name=endpoint)
        except AppError as error:
            if "still loading" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.5)
