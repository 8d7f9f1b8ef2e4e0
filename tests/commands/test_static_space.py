"""Static Spaces on the Hub: a page of files with one's own models, which the same command brings up to date."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import yaml
from helpers import make_pipeline, run_python
from huggingface_hub import HfApi
from test_space_deploy import contents_of, downloaded, titles

import genmodels

pytestmark = pytest.mark.slow
# What stands in for the engine, as npm has brought it: these tests compute nothing with it.
ENGINE = {"ort.wasm.bundle.min.mjs": b"export {};\n", "ort-wasm-simd-threaded.wasm": b"\0asm\1\0\0\0"}
# The built-in faces, which carol's models do not replace, would take half a minute.
COMMAND = f"""
import sys
import genmodels.hub.retries as retries
from genmodels.ui import models
from genmodels.ui.in_page import engine
retries.FIRST_DELAY = 0.02
engine.FILES = { {name: hashlib.sha256(data).hexdigest() for name, data in ENGINE.items()} }
models.BUILT_IN["faces"] = "none"
from genmodels.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
TRAINING = {
    "vae": {"dataset": "carol/drawings", "split": "train", "classes": None, "papers": ["1312.6114"]},
    "gan": {"dataset": "carol/photos", "split": "train", "classes": None, "papers": ["1406.2661"]},
}


@pytest.fixture(scope="module")
def space(own_hub, tmp_path_factory):
    """Run `python -m genmodels space` in a process of its own, with a cache that all share."""
    home, cache = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("cache")
    kept = cache / "genmodels" / "onnxruntime-web-1.30.0"
    kept.mkdir(parents=True)
    for name, data in ENGINE.items():
        (kept / name).write_bytes(data)

    def run(*arguments, user: str | None = "alice", **more: str):
        environment = own_hub.env(home, user, XDG_CACHE_HOME=str(cache), **more)
        return run_python("-c", COMMAND, "space", *map(str, arguments), env=environment)

    return run


def put(hub, owner: str, name: str, folder: Path, **options) -> None:
    """Upload a folder as a model of `owner`'s."""
    user = HfApi(endpoint=hub.endpoint, token=hub.tokens["alice" if owner == "acme" else owner])
    user.create_repo(f"{owner}/{name}", exist_ok=True, **options)
    user.upload_folder(repo_id=f"{owner}/{name}", folder_path=folder)


@pytest.fixture(scope="module")
def hub(own_hub, tmp_path_factory):
    """A Hub with tiny models: of carol's one of each kind, one that is damaged and one of another family; of acme's a twin."""
    root = tmp_path_factory.mktemp("models")
    plane = {"latent_dim": 2, "base_channels": 4, "hidden_dim": 16}
    pipes = {
        "vae": genmodels.VAEPipeline(genmodels.VAEEncoder(**plane), genmodels.VAEDecoder(**plane)),
        "autoencoder": genmodels.AutoencoderPipeline(
            genmodels.AutoencoderEncoder(**plane), genmodels.AutoencoderDecoder(**plane)
        ),
        "gan": make_pipeline("gan"),
        "cgan": make_pipeline("cgan"),
        "torn": make_pipeline("gan", seed=2),
    }
    for name, pipe in pipes.items():
        pipe.save_pretrained(root / name)
        if name in TRAINING:
            (root / name / "training.json").write_text(json.dumps(TRAINING[name]))
    (root / "gan" / "README.md").write_text("---\nlicense: mit\n---\n# A GAN\n")
    weights = next((root / "torn" / "generator").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-100])
    (root / "other").mkdir()
    (root / "other" / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    for folder in root.iterdir():
        put(own_hub, "carol", folder.name, folder)
    put(own_hub, "acme", "gan", root / "gan")
    put(own_hub, "acme", "secret", root / "cgan", private=True)
    return own_hub


@pytest.fixture(scope="module")
def api(hub) -> HfApi:
    return HfApi(endpoint=hub.endpoint, token=hub.tokens["alice"])


@pytest.fixture(scope="module")
def built(space, hub, tmp_path_factory):
    """The page with the models of carol and acme, as a folder, and the process that made it."""
    out = tmp_path_factory.mktemp("built") / "page"
    done = space("build", "static", out, "--models", "carol,acme/gan")
    assert done.returncode == 0, done.stderr
    return out, done


def index_of(folder: Path) -> dict[str, dict]:
    """The page's models and images by their names."""
    (index,) = folder.glob("*/models.json")
    return {entry["name"]: entry for entry in json.loads(index.read_text())}


def test_own_models_are_in_the_page_and_what_is_not_is_said(built):
    out, done = built
    entries = index_of(out)
    assert {"carol/vae", "carol/autoencoder", "carol/gan", "carol/cgan", "acme/gan"} <= set(entries)
    # Two of one name.
    assert (entries["carol/gan"]["folder"], entries["acme/gan"]["folder"]) == ("carol-gan", "acme-gan")
    assert {entries[name]["title"] for name in ("carol/gan", "acme/gan")} == {"gan", "gan (2)"}
    for name in ("carol/vae", "carol/gan", "acme/gan", "carol/cgan"):
        assert list((out / "models" / entries[name]["folder"]).glob("*.onnx")), name
    assert "carol/torn is left out: " in done.stdout
    assert "Traceback" not in done.stderr
    assert "carol/other holds a StableDiffusionPipeline" in done.stderr
    # Without a server the page has the first pictures of these models itself.
    for tab in ("map", "samples", "classes", "real_or_fake"):
        (file,) = out.glob(f"*/tabs/{tab}.json")
        page = json.loads(file.read_text())["page"]
        assert page["first"], tab


def test_the_card_credits_what_is_in_it(built):
    head, text = (built[0] / "README.md").read_text(encoding="utf-8").split("---\n", 2)[1:]
    settings = yaml.safe_load(head)
    assert (settings["sdk"], settings["app_file"]) == ("static", "index.html")
    assert settings["datasets"] == ["carol/drawings", "carol/photos"]
    assert {"carol/vae", "acme/gan"} <= set(settings["models"])
    assert "carol/torn" not in settings["models"]
    assert "[carol/gan](https://huggingface.co/carol/gan): VanillaGAN, trained on carol/photos; licence: mit" in text
    assert [paper in text for paper in ("1312.6114", "1406.2661", "2501.05441")] == [True, True, False]
    assert not [word for word in ("CelebA", "mnist", "frogs") if word in text]


def test_the_space_is_the_folder_and_a_second_deploy_changes_what_changed(space, hub, api, built, tmp_path):
    first = space("deploy", "static", "alice/page", "--models", "carol,acme/gan")
    assert first.returncode == 0, first.stderr
    assert "/spaces/alice/page" in first.stdout
    # Made anew, the same models make the same bytes.
    assert downloaded(api, "alice/page", tmp_path / "there") == contents_of(built[0])
    assert titles(api, "alice/page") == ["initial commit", "Deploy the Space static"]
    assert api.space_info("alice/page").sdk == "static"

    make_pipeline("gan", seed=5).save_pretrained(tmp_path / "gan")
    put(hub, "carol", "gan", tmp_path / "gan")
    hub.clear_requests()
    second = space("deploy", "static", "alice/page", "--models", "carol")
    assert second.returncode == 0, second.stderr
    assert titles(api, "alice/page")[2:] == ["Deploy the Space static"]
    now = downloaded(api, "alice/page", tmp_path / "now")
    before = contents_of(built[0])
    gone, changed = set(before) - set(now), {name for name in now if before.get(name) != now[name]}
    models = {name.split("/")[1] for name in gone | changed if name.startswith("models/")}
    assert models == {"acme-gan", "carol-gan"}
    assert {name.split("/")[0] for name in gone} == {
        "models",
        *(name.split("/")[0] for name in before if "/tabs/" in name),
    }
    # What is there already is not sent again.
    sent = [r["line"] for r in hub.requests() if r["line"].startswith("PUT /_lfs")]
    assert len(sent) == len([name for name in changed if name.endswith((".gz", ".onnx"))])


@pytest.mark.parametrize("models", ["acme", "acme/gan,acme/secret"])
def test_a_public_page_gives_away_no_private_model(space, hub, models):
    hub.clear_requests()
    for name in ("static", "suite"):
        done = space("deploy", name, "alice/given-away", "--models", models)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "acme/secret is private or gated" in done.stderr
        assert "add --private, or name the others alone: --models acme/gan." in done.stderr
    assert not [r["line"] for r in hub.requests() if r["line"].startswith(("POST /api/repos", "PUT"))]


def test_a_namespace_without_models_says_what_it_could_have(space, tmp_path):
    for name in ("bob", "nobody-here"):
        done = space("build", "static", tmp_path / "out", "--models", name)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert f"--models {name}: no model there that a tab can show" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_model_of_another_family_alone_is_refused(space, tmp_path, hub):
    done = space("build", "static", tmp_path / "out", "--models", "carol/other")
    assert done.returncode == 2
    assert "no model there that a tab can show" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_no_other_space_is_overwritten(space, hub, api, tmp_path):
    (tmp_path / "app.py").write_text("print('mine')\n")
    for name, sdk in (("gradio", "gradio"), ("home", "static")):
        api.create_repo(f"alice/{name}", repo_type="space", space_sdk=sdk, exist_ok=True)
        api.upload_file(
            path_or_fileobj=tmp_path / "app.py", path_in_repo="app.py", repo_id=f"alice/{name}", repo_type="space"
        )
    for repo_id, says in (
        ("alice/gradio", "alice/gradio is there already, as a Space of the kind gradio, and this makes one of static"),
        ("alice/home", "alice/home is there already, with files that are not of genmodels"),
    ):
        done = space("deploy", "static", repo_id, "--models", "carol")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert says in done.stderr
        assert "give another id, or delete that Space on the Hub first" in done.stderr
        assert "app.py" in api.list_repo_files(repo_id, repo_type="space")


@pytest.mark.parametrize(
    ("options", "repo_id", "says"),
    [
        ({"user": None, "HF_TOKEN": "hf_wrong"}, "alice/new", "does not accept your token"),
        ({"user": None}, "alice/new", "needs a token"),
        ({"user": "bob"}, "bob/new", "can only read"),
        ({}, "museum/new", "can only read in the organization museum"),
        ({}, "carol/new", "cannot push to 'carol/new'"),
    ],
)
def test_who_may_not_write_is_told_before_anything_is_built(space, hub, options, repo_id, says):
    hub.clear_requests()
    done = space("deploy", "static", repo_id, "--models", "carol", **options)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert says in done.stderr
    assert not [r["line"] for r in hub.requests() if r["line"].startswith(("POST /api/repos", "PUT"))]
