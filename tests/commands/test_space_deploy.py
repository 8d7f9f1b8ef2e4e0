"""Spaces on the Hub: what lies there is the built folder, in one commit, and models may come from the Hub themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from helpers import make_pipeline, run_python
from huggingface_hub import HfApi
from PIL import Image
from space_server import call, connect, running_space

from genmodels import VAEDecoder, VAEEncoder, VAEPipeline
from genmodels.commands.space import ZERO_GPU_HARDWARE, build_space
from genmodels.ui.models import BUILT_IN, FACES

# Waits short enough for tests; what is tried how often stays the same.
IMPATIENT = "import genmodels.hub.retries as retries\nretries.FIRST_DELAY = 0.02\n"
COMMAND = IMPATIENT + "import sys\nfrom genmodels.__main__ import main\nsys.exit(main(sys.argv[1:]))"
LOST_ANSWER = {"match": "POST .*/commit/", "action": "drop", "when": "after", "limit": 1}


@pytest.fixture
def space(faulty_hub, tmp_path):
    """Run `python -m genmodels space` in a process of its own."""

    def run(*arguments, user="alice"):
        return run_python("-c", COMMAND, "space", *map(str, arguments), env=faulty_hub.env(tmp_path / "home", user))

    return run


@pytest.fixture
def api(faulty_hub) -> HfApi:
    return HfApi(endpoint=faulty_hub.endpoint, token=faulty_hub.tokens["alice"])


def titles(api: HfApi, repo_id: str) -> list[str]:
    """The commits of a Space, oldest first."""
    return [commit.title for commit in api.list_repo_commits(repo_id, repo_type="space")][::-1]


def contents_of(folder: Path) -> dict[str, bytes]:
    hidden = (".cache", ".gitattributes")
    files = [path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] not in hidden]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def downloaded(api: HfApi, repo_id: str, folder: Path) -> dict[str, bytes]:
    """Every file of a Space but the Hub's own."""
    return contents_of(Path(api.snapshot_download(repo_id, repo_type="space", local_dir=folder)))


def test_the_space_is_the_built_folder_in_one_commit_and_none_if_nothing_changed(space, api, tmp_path):
    first = space("deploy", "cgan", "alice/cgan")
    assert first.returncode == 0, first.stderr
    assert "/spaces/alice/cgan" in first.stdout
    build_space("cgan", tmp_path / "built")
    assert downloaded(api, "alice/cgan", tmp_path / "there") == contents_of(tmp_path / "built")
    assert titles(api, "alice/cgan") == ["initial commit", "Deploy the Space cgan"]
    assert api.space_info("alice/cgan").card_data["sdk"] == "gradio"
    assert api.get_space_runtime("alice/cgan").requested_hardware == "cpu-basic"
    assert not api.space_info("alice/cgan").private

    assert space("deploy", "cgan", "alice/cgan").returncode == 0
    assert len(titles(api, "alice/cgan")) == 2

    # Another Space, and other hardware, in the same place: no file of the first stays.
    changed = space("deploy", "vae", "alice/cgan", "--zero_gpu")
    assert changed.returncode == 0, changed.stderr
    build_space("vae", tmp_path / "zero", zero_gpu=True)
    assert downloaded(api, "alice/cgan", tmp_path / "now") == contents_of(tmp_path / "zero")
    assert titles(api, "alice/cgan")[2:] == ["Deploy the Space vae"]
    assert api.get_space_runtime("alice/cgan").requested_hardware == ZERO_GPU_HARDWARE


def test_a_new_space_on_zero_gpu_may_be_private(space, api):
    done = space("deploy", "cgan", "alice/zero", "--zero_gpu", "--private")
    assert done.returncode == 0, done.stderr
    assert api.space_info("alice/zero").private
    assert api.get_space_runtime("alice/zero").requested_hardware == ZERO_GPU_HARDWARE


def test_a_stuttering_hub_gets_one_commit(space, api, faulty_hub, tmp_path):
    faulty_hub.set_faults(LOST_ANSWER, {"match": ".", "action": "status", "status": 503, "every": 5})
    done = space("deploy", "cgan", "alice/stutter")
    faulty_hub.set_faults()
    assert done.returncode == 0, done.stderr
    assert titles(api, "alice/stutter") == ["initial commit", "Deploy the Space cgan"]
    build_space("cgan", tmp_path / "built")
    assert downloaded(api, "alice/stutter", tmp_path / "there") == contents_of(tmp_path / "built")


def test_giving_up_names_the_command(space, faulty_hub):
    faulty_hub.set_faults({"match": "POST .*/commit/", "action": "status", "status": 503})
    done = space("deploy", "cgan", "alice/never", "--private")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "503" in done.stderr
    assert "`python -m genmodels space deploy cgan alice/never --private`" in done.stderr
    assert "hf_" not in done.stderr


@pytest.mark.parametrize(
    ("user", "repo_id", "says"),
    [
        ("bob", "bob/space", "can only read"),
        ("alice", "carol/space", "cannot push to 'carol/space'"),
        (None, "alice/space", "needs a token"),
        ("alice", "space", "not an id on the Hub"),
    ],
)
def test_rights_are_asked_for_before_anything_is_built(space, faulty_hub, user, repo_id, says):
    done = space("deploy", "suite", repo_id, user=user)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert says in done.stderr
    assert not [r["line"] for r in faulty_hub.requests() if r["line"].startswith(("POST", "PUT"))]


@pytest.fixture
def models_on_hub(faulty_hub, api, tmp_path) -> dict[str, str]:
    """A VAE with a map and a DCGAN of carol's, tiny; Hub id to repository."""
    shape = {"latent_dim": 2, "base_channels": 4, "hidden_dim": 16}
    pipes = {"tiny-vae": VAEPipeline(VAEEncoder(**shape), VAEDecoder(**shape)), "tiny-dcgan": make_pipeline("dcgan")}
    carol = HfApi(endpoint=faulty_hub.endpoint, token=faulty_hub.tokens["carol"])
    for name, pipe in pipes.items():
        pipe.save_pretrained(tmp_path / name)
        carol.create_repo(f"carol/{name}", exist_ok=True)
        carol.upload_folder(repo_id=f"carol/{name}", folder_path=tmp_path / name)
    return {name: f"carol/{name}" for name in pipes}


def test_models_by_hub_id_are_named_and_not_copied(space, models_on_hub, tmp_path):
    done = space("build", "suite", tmp_path / "out", "--models", "carol")
    assert done.returncode == 0, done.stderr
    ids = [models_on_hub["tiny-vae"], models_on_hub["tiny-dcgan"]]
    settings = yaml.safe_load((tmp_path / "out" / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert settings["models"] == settings["preload_from_hub"] == ids
    assert f"serve(models={json.dumps(','.join(ids))})" in (tmp_path / "out" / "app.py").read_text()
    # Carol has no autoencoder and no model with classes: those stay built in, all that there are.
    built_in = {path.parent.name for path in (tmp_path / "out").rglob("model_index.json")}
    conditional = {"cgan-mnist", "cgan-emoji", "cvae-mnist"}
    assert built_in - {BUILT_IN[FACES]} == {"autoencoder-mnist", *conditional}

    done = space("build", "cgan", tmp_path / "none", "--models", "carol")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "this Space shows a CGANPipeline or a VAEPipeline with classes" in done.stderr


def test_a_space_with_models_by_hub_id_answers(space, faulty_hub, models_on_hub, tmp_path):
    done = space("build", "vae", tmp_path / "out", "--models", models_on_hub["tiny-vae"])
    assert done.returncode == 0, done.stderr
    inside = {path.parents[1].name for path in (tmp_path / "out").rglob("*.safetensors")}
    assert inside - {BUILT_IN[FACES]} == {"autoencoder-mnist"}
    online = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": faulty_hub.endpoint, "HF_HUB_DISABLE_XET": "1"}
    with running_space(tmp_path / "out", tmp_path / "visitor", **online) as url:
        answer = call(connect(url), "/decode", x=1.0, y=0.0)
    assert Image.open(answer).size == (28, 28)
    assert [r for r in faulty_hub.requests() if "/carol/tiny-vae/resolve/" in r["line"]]
