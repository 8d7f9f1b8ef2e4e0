"""The wheel: small, whole, and all of it that a stranger needs: drawing, training and the page, outside the repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers import REPO, TIMEOUT
from PIL import Image
from space_server import call, connect
from suite_browser import running_app

pytestmark = pytest.mark.slow
MAX_BYTES = 60e6
SOURCES = ("genmodels", "train", "pyproject.toml", "setup.py", "README.md", "LICENSE")
LEFT_BEHIND = shutil.ignore_patterns("__pycache__")
DRAW_AND_TRAIN = """
import genmodels
from genmodels.__main__ import main
assert genmodels.__file__.startswith(__import__("os").environ["PYTHONPATH"])
assert genmodels.CGANPipeline.from_pretrained("cgan-mnist")(class_labels=[2, 0], seed=0).images[1].size == (28, 28)
flags = "--dataset_name zoo:mnist-sample --classes 3 --max_train_steps 5 --base_channels 4 --report_to none"
assert main(["train", "dcgan", *flags.split()]) == 0
assert genmodels.load_pipeline("runs/dcgan/model")(num_images=2, seed=0).images[0].size == (28, 28)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, so that nothing is left in the repository."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        copy = shutil.copy if (REPO / name).is_file() else lambda a, b: shutil.copytree(a, b, ignore=LEFT_BEHIND)
        copy(REPO / name, folder / name)
    build = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder / "out",
        folder,
    ]
    done = subprocess.run(build, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    return next((folder / "out").glob("genmodels-*.whl"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> dict[str, str]:
    """Of a process that has the wheel installed, and this repository not."""
    site = tmp_path_factory.mktemp("site")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", site, wheel]
    subprocess.run(install, check=True, timeout=TIMEOUT)
    return {**os.environ, "PYTHONPATH": str(site)}


def test_it_is_small_and_holds_every_file(wheel):
    assert wheel.stat().st_size <= MAX_BYTES
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = [path.relative_to(REPO) for folder in ("genmodels", "train") for path in (REPO / folder).rglob("*.*")]
    there = {str(path) for path in files if (REPO / path).is_file() and "__pycache__" not in path.parts}
    scripts = {name.replace("train/", "genmodels/recipes/", 1) for name in there if name.startswith("train/")}
    wanted = {name for name in there if name.startswith("genmodels/")} | scripts
    # Pages of documentation in folders of code are for the repository's readers.
    assert wanted - held <= {"genmodels/recipes/README.md"}
    assert held <= wanted


def test_it_draws_and_trains_elsewhere(environment, tmp_path):
    command = [sys.executable, "-c", DRAW_AND_TRAIN]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    facts = json.loads((tmp_path / "runs/dcgan/model/training.json").read_text())
    assert facts["command"].startswith("accelerate launch train/dcgan.py --dataset_name zoo:mnist-sample")


def test_its_page_opens_and_draws(environment, tmp_path):
    command = (sys.executable, "-m", "genmodels", "app")
    with running_app(command=command, cwd=tmp_path, env=environment) as (url, page, _):
        assert "genmodels" in page
        sheet = call(connect(url), "/sample", model="cgan-mnist", class_labels="2,0")
        assert Image.open(sheet).size == (56, 28)
