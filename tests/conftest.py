"""Fixtures that all tests share, and an environment in which no test reaches the network or the user's own cache."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from helpers import DEAD_ENDPOINT, KINDS, make_pipeline, run_python, start_hub

# The clients read these when they are imported, so they are set before any test module is.
_HOME = tempfile.TemporaryDirectory(prefix="genmodels-tests-")
os.environ.update(
    HF_ENDPOINT=DEAD_ENDPOINT,
    HF_HOME=_HOME.name,
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HUB_DISABLE_PROGRESS_BARS="1",
    # Plain LFS is faster here; test_xet.py goes through hf_xet.
    HF_HUB_DISABLE_XET="1",
    GRADIO_ANALYTICS_ENABLED="False",
)
# Of tests that run side by side each keeps to one core: two threads each on as many cores wait for one another.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
if _WORKER and hasattr(os, "sched_setaffinity"):
    _CORES = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {_CORES[int(_WORKER.removeprefix("gw")) % len(_CORES)]})
for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def hub():
    """A Hub on a free port for the whole run; everything in it is lost at the end. Set no faults here: see `faulty_hub`."""
    yield from start_hub()


@pytest.fixture(scope="module")
def own_hub():
    """A Hub of the test module's own, for faults and for counting requests."""
    yield from start_hub()


@pytest.fixture
def faulty_hub(own_hub):
    """`own_hub`, without faults and with an empty log at the beginning of each test."""
    own_hub.set_faults()
    own_hub.clear_requests()
    yield own_hub
    own_hub.set_faults()


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


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> dict[str, Path]:
    """One saved pipeline folder of each kind; copy before changing one."""
    root = tmp_path_factory.mktemp("saved")
    for kind in KINDS:
        make_pipeline(kind).save_pretrained(root / kind)
    return {kind: root / kind for kind in KINDS}
