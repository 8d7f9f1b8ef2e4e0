"""Fixtures that all tests share, and an environment in which no test reaches the network or the user's own cache."""

from __future__ import annotations

import gc
import os
import tempfile
from pathlib import Path

import pytest
from helpers import DEAD_ENDPOINT, KINDS, make_pipeline, run_python, save_digits, start_hub

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
if _WORKER:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
if _WORKER and hasattr(os, "sched_setaffinity"):
    _CORES = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {_CORES[int(_WORKER.removeprefix("gw")) % len(_CORES)]})
for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE"):
    os.environ.pop(name, None)

# Modules stay to the end: looking for garbage among them, while they are imported and later, takes a quarter of the time.
gc.disable()

MOST_WORKERS = 8
# Tests that start servers or processes, or train, take seconds each.
SLOW_FOLDERS = ("browser", "launch")
SLOW_FIXTURES = {"hub", "own_hub", "train"}


def pytest_xdist_auto_num_workers(config) -> int:
    """One for each core; none for a single file, which is done before a second worker has imported torch."""
    if len(config.args) == 1 and Path(config.args[0].split("::")[0]).is_file():
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(cores, MOST_WORKERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what is so by where it lies or what it uses; other tests say so themselves."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in SLOW_FOLDERS or SLOW_FIXTURES & set(item.fixturenames):
            item.add_marker("slow")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    gc.freeze()
    gc.enable()


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


@pytest.fixture(scope="session")
def digits_on_hub(hub, tmp_path_factory) -> str:
    """The id of a dataset on `hub`: 256 training and 64 test digits of MNIST, one parquet file each."""
    folder = save_digits(tmp_path_factory.mktemp("digits"), {"train": slice(256), "test": slice(256, 320)})
    push = "import datasets, sys; datasets.load_dataset(sys.argv[1]).push_to_hub('alice/digits')"
    done = run_python("-c", push, folder, env=hub.env(tmp_path_factory.mktemp("push-home")))
    assert done.returncode == 0, done.stderr
    return "alice/digits"


@pytest.fixture(scope="session")
def few_digits(tmp_path_factory) -> str:
    """A dataset folder of 200 training and 200 test digits: enough to measure with, and soon measured."""
    return save_digits(tmp_path_factory.mktemp("few"), {"train": slice(200), "test": slice(200, 400)})


@pytest.fixture(scope="module")
def quick_measures():
    """Where it matters what is measured and not how exactly: one epoch of the two-sample test, few draws of the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("genmodels.evaluation.c2st.EPOCHS", 1)
        patch.setattr("genmodels.evaluation.measures.KID_SUBSETS", 2)
        patch.setattr("genmodels.evaluation.ability_metrics.NLL_IMAGES", 50)
        patch.setattr("genmodels.evaluation.ability_metrics.JACOBIANS", 50)
        yield


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> dict[str, Path]:
    """One saved pipeline folder of each kind; copy before changing one."""
    root = tmp_path_factory.mktemp("saved")
    for kind in KINDS:
        make_pipeline(kind).save_pretrained(root / kind)
    return {kind: root / kind for kind in KINDS}
