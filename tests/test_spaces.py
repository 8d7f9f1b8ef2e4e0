"""The hosted Spaces: their settings are whole, their folders stand alone, and each answers as it would when hosted."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import mcp
import pytest
import yaml
from helpers import REPO, free_port, make_environment, run_coroutine, run_python
from mcp.client.streamable_http import streamablehttp_client
from PIL import Image
from space_server import call, connect, environment_of, running_space, running_space_of_nobody

from genmodels import zoo
from genmodels.commands.space import TABS_OF_SPACE, ZERO_GPU_TORCH, build_space
from genmodels.errors import UserError
from genmodels.folder import ModelFolder
from genmodels.ui.models import BUILT_IN, FACES, Model
from genmodels.ui.space import port_of

pytestmark = pytest.mark.slow
SPACES = REPO / "spaces"
ONLY_FOR_TRAINING = {"accelerate", "datasets", "tensorboard", "torchmetrics"}
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
SETTINGS = {
    *("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "license"),
    *("short_description", "tags", "datasets"),
}
# Endpoint, arguments, and the size in pixels of the sheet that comes back.
CALLS = {
    "suite": [
        ("/sample", {"model": "cgan-mnist", "class_labels": "3,1"}, (56, 28)),
        ("/edit", {"attributes": {"Male": 1}}, (128, 64)),
    ],
    "vae": [("/decode", {"x": 0.5, "y": -1.0}, (28, 28)), ("/sample_many", {"num_images": 10}, (112, 84))],
    "dcgan": [("/sample", {"num_images": 9}, (96, 96)), ("/sample_many", {"num_images": 1000}, (1024, 1024))],
}
# The suite also has every unconditional generator.
DRAWN_FROM_NOISE = {"VanillaGANPipeline", "LAPGANPipeline", "DCGANPipeline", "WGANPipeline", "PixelDiffusionPipeline"}
GALLERY = {name for name in zoo.model_names() if ModelFolder(zoo.ROOT / name).class_name in DRAWN_FROM_NOISE}
# And every model with classes.
CONDITIONAL = {name for name in zoo.model_names() if name.startswith(("cgan-", "cvae-"))}
# The map has a view of faces where there is a model for it.
FACES_IF_ANY = {BUILT_IN[FACES]} & set(zoo.model_names())
# The evaluators that guess in the game.
JUDGES = {"evaluator-mnist", "evaluator-emoji"}
ZOO_OF_SPACE = {
    "suite": {"autoencoder-mnist", "samples", "vae-mnist", *CONDITIONAL, *GALLERY, *FACES_IF_ANY, *JUDGES, "replays"},
    "vae": {"autoencoder-mnist", "samples", "vae-mnist", *FACES_IF_ANY},
    "dcgan": {"dcgan-cifar10-frogs"},
    "cgan": {"cgan-mnist"},
    "real-vs-fake": {"cgan-mnist", "cgan-emoji", "samples", *JUDGES},
}


def settings_of(folder: Path) -> dict:
    return yaml.safe_load((folder / "README.md").read_text(encoding="utf-8").split("---\n")[1])


def pins_of(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def contents_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def size_of(path: str) -> tuple[int, int]:
    return Image.open(path).size


def test_every_space_has_a_folder():
    assert {path.name for path in SPACES.iterdir() if (path / "app.py").is_file()} == set(TABS_OF_SPACE)


@pytest.mark.parametrize("name", TABS_OF_SPACE)
def test_settings_are_whole(name):
    settings, pins = settings_of(SPACES / name), pins_of(SPACES / name / "requirements.txt")
    assert set(settings) == SETTINGS
    assert "mcp-server" in settings["tags"]
    assert "https://arxiv.org/abs/" in (SPACES / name / "README.md").read_text(encoding="utf-8")
    assert settings["sdk"] == "gradio"
    assert settings["sdk_version"] == pins["gradio[mcp]"]
    assert isinstance(settings["python_version"], str)
    assert (SPACES / name / settings["app_file"]).is_file()
    assert {settings["colorFrom"], settings["colorTo"]} <= COLOURS
    assert len(settings["short_description"]) <= 60
    assert not settings["emoji"].isascii()


@pytest.mark.parametrize("name", TABS_OF_SPACE)
def test_requirements_are_the_suites_pins_without_those_for_training(name):
    pins, ours = pins_of(SPACES / name / "requirements.txt"), pins_of(REPO / "requirements.txt")
    ours["gradio[mcp]"] = ours.pop("gradio")
    assert pins == {package: version for package, version in ours.items() if package not in ONLY_FOR_TRAINING}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("built")
    for name in TABS_OF_SPACE:
        build_space(name, root / name)
    return {name: root / name for name in TABS_OF_SPACE}


@pytest.mark.parametrize("name", TABS_OF_SPACE)
def test_a_folder_holds_what_its_space_shows_and_no_more(built, name):
    zoo = built[name] / "genmodels" / "zoo"
    assert {path.name for path in zoo.iterdir() if path.is_dir()} == ZOO_OF_SPACE[name]
    names = [path.name for path in built[name].rglob("*")]
    assert "__pycache__" not in names
    assert not [n for n in names if n.startswith(".") or n.endswith((".tmp", ".pyc"))]
    assert not {"models", "preload_from_hub"} & set(settings_of(built[name]))


def test_a_model_of_faces_may_come_from_the_hub(tmp_path, monkeypatch):
    found = Model(FACES, "someone/faces", "VAEPipeline", {"num_channels": 3, "sample_size": 64}, folder=tmp_path)
    monkeypatch.setattr("genmodels.commands.space.find_models", lambda models: [found])
    build_space("vae", tmp_path / "out", models="someone")
    assert settings_of(tmp_path / "out")["models"] == ["someone/faces"]
    built_in = {path.parent.name for path in (tmp_path / "out").rglob("model_index.json")}
    assert built_in == {"autoencoder-mnist", "vae-mnist"}
    with pytest.raises(UserError, match="this Space shows"):
        build_space("cgan", tmp_path / "none", models="someone")


def test_building_twice_gives_the_same_bytes(built, tmp_path):
    build_space("real-vs-fake", tmp_path / "again")
    assert contents_of(tmp_path / "again") == contents_of(built["real-vs-fake"])
    assert [path.name for path in tmp_path.iterdir()] == ["again"]


def test_the_variant_for_zero_gpu_differs_in_versions_only(built, tmp_path):
    build_space("cgan", tmp_path / "zero", zero_gpu=True)
    plain, zero = contents_of(built["cgan"]), contents_of(tmp_path / "zero")
    assert {name for name in plain if plain[name] != zero.pop(name)} == {"README.md", "requirements.txt"}
    assert not zero
    assert pins_of(tmp_path / "zero" / "requirements.txt")["torch"] == ZERO_GPU_TORCH
    settings = settings_of(tmp_path / "zero")
    assert settings["suggested_hardware"] == "zero-a10g"
    assert settings["python_version"].startswith("3.12")


def test_mistakes_are_one_sentence_and_leave_nothing(built, tmp_path):
    (tmp_path / "file").write_text("")
    for name, out, says in (
        ("nothing", tmp_path / "out", "There is no Space 'nothing': give one of suite, vae"),
        ("vae", built["vae"], "is not empty"),
        ("vae", tmp_path / "file", "is a file: name a folder"),
        ("vae", tmp_path / "no" / "out", "make it first"),
    ):
        with pytest.raises(UserError, match=says):
            build_space(name, out)
    with pytest.raises(UserError, match="takes its models from the Hub"):
        build_space("vae", tmp_path / "out", models=str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    done = run_python("-m", "genmodels", "space", "build", "vae", str(built["vae"]))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_an_empty_folder_may_be_there(built, tmp_path):
    build_space("cgan", tmp_path)
    assert contents_of(tmp_path) == contents_of(built["cgan"])


def test_an_installed_package_without_the_checkout_says_so(tmp_path):
    shutil.copytree(REPO / "genmodels", tmp_path / "genmodels", ignore=shutil.ignore_patterns("zoo", "__pycache__"))
    shutil.copytree(REPO / "genmodels/zoo/samples", tmp_path / "genmodels/zoo/samples")
    shutil.copy(REPO / "genmodels/zoo/__init__.py", tmp_path / "genmodels/zoo")
    command = [sys.executable, "-m", "genmodels", "space", "build", "vae", "out"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "run this in a checkout" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def addresses(built, tmp_path_factory):
    """Three of the Spaces, each started in a folder and with a home of its own; the others have their own tests."""
    homes = tmp_path_factory.mktemp("homes")
    servers = [running_space(built[name], homes / name) for name in CALLS]
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        yield dict(zip(CALLS, pool.map(stack.enter_context, servers), strict=True))


@pytest.mark.parametrize("name", CALLS)
def test_a_space_answers(addresses, name):
    client = connect(addresses[name])
    for endpoint, arguments, size in CALLS[name]:
        assert size_of(call(client, endpoint, **arguments)) == size


@pytest.mark.parametrize("name", CALLS)
def test_a_space_has_the_endpoints_and_the_bar_of_its_tabs(addresses, name):
    endpoints = connect(addresses[name]).view_api(return_format="dict", print_info=False)
    of_tab = {"map": {"/decode", "/reconstruct", "/edit"}, "real_or_fake": {"/discriminate", "/neighbors"}}
    expected = {"/sample", "/sample_many", "/interpolate"}.union(*(of_tab.get(tab, ()) for tab in TABS_OF_SPACE[name]))
    assert set(endpoints["named_endpoints"]) == expected
    with urllib.request.urlopen(f"{addresses[name]}/config") as answer:
        components = [component["type"] for component in json.load(answer)["components"]]
    assert components.count("tabitem") == (len(TABS_OF_SPACE[name]) if name == "suite" else 0)


def test_a_space_runs_as_a_user_who_can_write_nothing(built, tmp_path):
    """Its page opens and its tools answer: no cache, no log and no compiled file is needed."""
    folder, log = Path(shutil.copytree(built["cgan"], tmp_path / "cgan")), tmp_path / "space.log"
    with running_space_of_nobody(folder, log, GRADIO_ANALYTICS_ENABLED="False", TMPDIR="/tmp") as url:
        with urllib.request.urlopen(url) as answer:
            assert "A conditional generative adversarial network" in answer.read().decode()
        client = connect(url)
        assert size_of(call(client, "/sample", class_labels="2,0")) == (56, 28)
        assert size_of(call(client, "/sample_many", num_images=2)) == (56, 28)
        tools, drawn = run_coroutine(use_tools(url, {"class_labels": "2,0,2,6", "seed": 7}))
    assert tools == ["sample", "interpolate", "sample_many"]
    picture = next(part for part in drawn.content if part.type == "image")
    assert Image.open(io.BytesIO(base64.b64decode(picture.data))).size == (112, 28)
    assert "Traceback" not in log.read_text()


async def use_tools(url: str, arguments: dict):
    """The names of a Space's MCP tools, and what the first, which draws, answers."""
    async with (
        streamablehttp_client(f"{url}/gradio_api/mcp/") as (read, write, _),
        mcp.ClientSession(read, write) as session,
    ):
        await session.initialize()
        tools = [tool.name for tool in (await session.list_tools()).tools]
        return tools, await session.call_tool(tools[0], arguments)


def test_models_that_are_not_there_end_a_space_with_one_sentence(built, tmp_path):
    environment = environment_of(tmp_path, free_port(), GENMODELS_MODELS="/no/such/folder")
    command = [sys.executable, "app.py"]
    done = subprocess.run(command, cwd=built["cgan"], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr == "app.py: --models /no/such/folder: there is no such folder.\n"


@pytest.mark.parametrize(
    ("variables", "port"),
    [({}, 7860), ({"PORT": "8000"}, 8000), ({"PORT": "8000", "GRADIO_SERVER_PORT": "9000"}, 9000)],
)
def test_the_port_is_the_hosts(variables, port):
    assert port_of(variables) == port


def test_a_port_that_is_none_is_refused():
    for text in ("http", "0", "65536", "-1"):
        with pytest.raises(UserError, match="from 1 to 65535"):
            port_of({"PORT": text})


def test_a_space_starts_in_a_fresh_environment(built, tmp_path):
    """As the host does: with what its requirements need, Gradio among them, and no package of this checkout."""
    folder = built["real-vs-fake"]
    python = str(make_environment(tmp_path / "venv", *pins_of(folder / "requirements.txt")))
    with running_space(folder, tmp_path / "home", python) as url:
        client = connect(url)
        answer = call(client, "/discriminate", model="cgan-emoji", seed=3)
        assert size_of(answer["real"]["sheet"]) == size_of(answer["generated"]["sheet"]) == (128, 128)
        assert len(answer["real"]["scores"]) == len(answer["generated"]["scores"]) == 16
        assert 0.5 <= answer["ranked"] <= 1
        assert size_of(call(client, "/sample_many", model="cgan-mnist", num_images=16)) == (112, 112)
        assert call(client, "/neighbors", model="cgan-mnist", k=2)["total"] == 10_000
    there = {path.name for path in (tmp_path / "venv").glob("lib/python*/site-packages/*")}
    assert "gradio" in there
    assert not there & {*ONLY_FOR_TRAINING, "genmodels"}


COMPARE = """
import sys
sys.modules.update(dict.fromkeys(sys.argv[1:]))
from genmodels.ui import comparer, game, memory, models
game.CALIBRATED = memory.COUNT = 6
store = models.ModelStore(tabs=("real_or_fake", "training"))
store.load(further=False)
table = game.Game(comparer.Comparer(store))
for kind in game.GAN_KINDS:
    answer = table.guess(table.next(kind)["round"])
    print(*answer["judges"], answer["total"], memory.Memory(store).check(kind, 0)["train"])
"""


def test_images_are_compared_without_the_packages_for_training(built):
    command = [sys.executable, "-c", COMPARE, *ONLY_FOR_TRAINING]
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(command, cwd=built["suite"], env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == [f"discriminator evaluator {n} {n}" for n in (10_000, 668)], done.stderr


# Stands in for the package of that name on ZeroGPU: what is decorated runs in a process of its own, and all that goes there
# and comes back is pickled.
SPACES_PACKAGE = """
import multiprocessing, pickle, sys
assert "torch" not in sys.modules, "spaces must be imported before torch"
assert "gradio" not in sys.modules, "spaces must be imported before gradio"
def GPU(duration):
    def decorate(function):
        def work(arguments, answers):
            answers.send_bytes(pickle.dumps(function(*pickle.loads(arguments))))
        def run(*arguments):
            receiver, sender = multiprocessing.Pipe(duplex=False)
            job = multiprocessing.get_context("fork").Process(target=work, args=(pickle.dumps(arguments), sender))
            job.start()
            answer = pickle.loads(receiver.recv_bytes())
            job.join()
            print("on the GPU for", duration, "seconds:", function.__name__, *arguments)
            return answer
        return run
    return decorate
"""
DRAW = """
from genmodels.ui import space
import hashlib
from genmodels.ui import bulk, models
store = models.ModelStore(tabs=("classes",))
store.load()
images = bulk.draw_many(store, store.models["classes"], 300, 5, 0.7)
print(images.shape, images.dtype, hashlib.sha256(images.tobytes()).hexdigest())
"""


def test_the_bulk_job_runs_where_the_spaces_package_takes_it(built, tmp_path):
    (tmp_path / "spaces.py").write_text(SPACES_PACKAGE)
    environment, command = {**os.environ, "PYTHONPATH": str(tmp_path)}, [sys.executable, "-c", DRAW]
    options = {"cwd": built["cgan"], "capture_output": True, "text": True, "timeout": 120, "check": True}
    job, from_job = subprocess.run(command, env=environment, **options).stdout.splitlines()
    plain = run_python("-c", DRAW)
    assert plain.stdout.splitlines() == [from_job], plain.stderr
    assert from_job.startswith("(300, 28, 28, 1) uint8")
    assert re.fullmatch(r"on the GPU for \d+ seconds: draw cgan-mnist 300 5 0\.7", job)
