"""Push and load through the unmodified clients over HTTP; each client is a process of its own, with its own cache."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from helpers import DEAD_ENDPOINT, run_python
from huggingface_hub import HfApi
from PIL import Image

KINDS = ("autoencoder", "vae", "dcgan", "cgan")

# Pushes one pipeline of each kind and leaves its pictures in a folder; moves "main" of the DCGAN past a tag; pushes a
# folder with a card, as training does at its end.
PUSH = """
import sys
from pathlib import Path
import numpy as np
from huggingface_hub import HfApi
from genmodels import load_pipeline
from genmodels.hub.cards import write_card
from genmodels.hub.push import push_folder
saved, out = sys.argv[1:]
for kind in ("autoencoder", "vae", "dcgan", "cgan"):
    pipe = load_pipeline(f"{saved}/{kind}")
    pipe.push_to_hub(f"alice/{kind}")
    np.save(f"{out}/{kind}.npy", pipe(num_images=5, seed=3, output_type="np").images)
pipe.push_to_hub("alice/secret", private=True)
HfApi().create_tag("alice/dcgan", tag="v1")
pipe = load_pipeline(f"{saved}/dcgan")
for weight in pipe.generator.parameters():
    weight.data.neg_()
pipe.push_to_hub("alice/dcgan")
np.save(f"{out}/dcgan-main.npy", pipe(num_images=5, seed=3, output_type="np").images)
trained = Path(out) / "trained"
pipe.save_pretrained(trained)
write_card(trained, "alice/trained")
push_folder(trained, "alice/trained")
"""

LOAD = """
import sys
import numpy as np
import genmodels
out = sys.argv[1]
for kind in ("autoencoder", "vae", "dcgan", "cgan"):
    options = {"revision": "v1"} if kind == "dcgan" else {}
    family = {"autoencoder": "Autoencoder"}.get(kind, kind.upper())
    by_class = getattr(genmodels, family + "Pipeline").from_pretrained(f"alice/{kind}", **options)
    by_name = genmodels.load_pipeline(f"alice/{kind}", **options)
    assert type(by_class) is type(by_name)
    for way, pipe in (("class", by_class), ("name", by_name)):
        np.save(f"{out}/{kind}-{way}.npy", pipe(num_images=5, seed=3, output_type="np").images)
main = genmodels.load_pipeline("alice/dcgan")
np.save(f"{out}/dcgan-main.npy", main(num_images=5, seed=3, output_type="np").images)
"""

# Prints, as JSON, what each expression raises.
RAISE = """
import json, sys
import genmodels
for expression in sys.argv[1:]:
    try:
        eval(expression)
    except Exception as error:
        print(json.dumps([type(error).__name__, str(error)]))
    else:
        print(json.dumps(["nothing", ""]))
"""


def errors_of(*expressions: str, env: dict[str, str]) -> list[tuple[str, str]]:
    done = run_python("-c", RAISE, *expressions, env=env)
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.fixture(scope="session")
def pushed(hub, saved, tmp_path_factory):
    """The folder with the pictures that the pipelines drew before they were pushed."""
    out = tmp_path_factory.mktemp("pushed")
    done = run_python("-c", PUSH, str(saved["vae"].parent), str(out), env=hub.env(tmp_path_factory.mktemp("home")))
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="session")
def loaded(hub, pushed, tmp_path_factory):
    """Pictures that a fresh process without a token drew, and the cache that it filled."""
    out, home = tmp_path_factory.mktemp("loaded"), tmp_path_factory.mktemp("home")
    done = run_python("-c", LOAD, str(out), env=hub.env(home, user=None))
    assert done.returncode == 0, done.stderr
    return out, home


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["class", "name"])
def test_loaded_pipelines_draw_the_same_pictures(pushed, loaded, kind, way):
    # Not to the last bit: where a process happens to place its weights decides in which order products are added.
    np.testing.assert_allclose(np.load(loaded[0] / f"{kind}-{way}.npy"), np.load(pushed / f"{kind}.npy"), atol=1e-5)


def test_revision_chooses_the_commit(pushed, loaded):
    main = np.load(loaded[0] / "dcgan-main.npy")
    np.testing.assert_allclose(main, np.load(pushed / "dcgan-main.npy"), atol=1e-5)
    assert not np.allclose(main, np.load(pushed / "dcgan.npy"), atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_on_the_hub_are_safetensors_only(hub, pushed, kind):
    files = HfApi(endpoint=hub.endpoint).list_repo_files(f"alice/{kind}")
    components = ("encoder", "decoder") if kind in ("autoencoder", "vae") else ("generator", "discriminator")
    assert {f for f in files if f.endswith(".safetensors")} == {
        f"{component}/diffusion_pytorch_model.safetensors" for component in components
    }
    assert {f.rsplit(".", 1)[-1] for f in files} <= {"safetensors", "json", "md", "py", "ipynb", "gitattributes"}


def test_no_saved_config_tells_where_it_came_from(hub, pushed, tmp_path):
    api = HfApi(endpoint=hub.endpoint)
    for path in api.list_repo_files("alice/cgan"):
        if path.endswith(".json"):
            text = Path(api.hf_hub_download("alice/cgan", path, cache_dir=tmp_path)).read_text()
            assert "_name_or_path" not in text, path


def test_trained_folder_is_pushed_with_its_card(hub, pushed):
    api = HfApi(endpoint=hub.endpoint)
    assert "README.md" in api.list_repo_files("alice/trained")
    card = api.model_info("alice/trained").card_data
    assert (card.library_name, card.license) == ("diffusers", "apache-2.0")
    assert "dcgan" in card.tags


def test_mistakes_are_one_sentence(hub, pushed, tmp_path):
    private, unknown, no_revision, other_kind = errors_of(
        "genmodels.load_pipeline('alice/secret')",
        "genmodels.VAEPipeline.from_pretrained('alice/nothing')",
        "genmodels.load_pipeline('alice/cgan', revision='v9')",
        "genmodels.VAEPipeline.from_pretrained('alice/cgan')",
        env=hub.env(tmp_path, user=None),
    )
    for (kind, message), words in (
        (private, "The Hub has no model 'alice/secret', or it is private and not yours to read: "),
        (unknown, "The Hub has no model 'alice/nothing', or it is private and not yours to read: "),
        (no_revision, "'alice/cgan' has no revision 'v9': "),
    ):
        assert kind == "UserError"
        assert message.startswith(words)
        assert "\n" not in message
    assert other_kind == (
        "UserError",
        "'alice/cgan' holds a CGANPipeline, not a VAEPipeline: load it with CGANPipeline.from_pretrained or "
        "genmodels.load_pipeline.",
    )
    # What a model is, is known before its weights are downloaded.
    assert not list(tmp_path.rglob("*.safetensors"))


def test_private_model_opens_to_its_owner(hub, pushed, tmp_path):
    assert errors_of("genmodels.load_pipeline('alice/secret')", env=hub.env(tmp_path)) == [("nothing", "")]


def test_other_user_can_neither_read_nor_push(hub, pushed, saved, tmp_path):
    folder = str(saved["vae"])
    read, push, upload = errors_of(
        "genmodels.load_pipeline('alice/secret')",
        f"genmodels.load_pipeline({folder!r}).push_to_hub('alice/vandal')",
        f"__import__('genmodels.hub.push').hub.push.push_folder({folder!r}, 'alice/vandal')",
        env=hub.env(tmp_path, user="bob"),
    )
    assert read[0] == "UserError"
    assert "HF_TOKEN" in read[1]
    assert push == (
        "UserError",
        "You are bob on the Hub and cannot push to 'alice/vandal': begin the id with one of bob, acme and a slash.",
    )
    # Whoever does not ask first gets the server's answer.
    assert upload[0] == "UserError"
    assert upload[1].startswith(f"Pushing {folder} to alice/vandal failed: the Hub answered 403, ")
    assert upload[1].endswith(f"push it later with `python -m genmodels push {folder} alice/vandal`.")
    assert not HfApi(endpoint=hub.endpoint).repo_exists("alice/vandal")


def test_cache_serves_when_the_hub_is_down(hub, loaded, tmp_path):
    env = hub.env(loaded[1], user=None, HF_ENDPOINT=DEAD_ENDPOINT)
    cached, uncached = errors_of(
        "genmodels.load_pipeline('alice/vae')(seed=0)", "genmodels.load_pipeline('alice/secret')", env=env
    )
    assert cached == ("nothing", "")
    assert uncached[0] == "UserError"
    assert "cannot be reached" in uncached[1]


def test_command_line_samples_from_the_hub(hub, loaded, tmp_path):
    output = tmp_path / "grid.png"
    arguments = ["sample", "alice/cgan", "--class_labels", "bee,dog", "--seed", "5", "--output", str(output)]
    done = run_python("-m", "genmodels", *arguments, env=hub.env(loaded[1], user=None))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{output}: 2 images of alice/cgan, 38x20 pixels, seed 5\n"
    with Image.open(output) as image:
        assert image.size == (38, 20)


def test_pushed_dataset_streams(hub, digits_on_hub, tmp_path):
    code = """
import datasets, sys
rows = list(datasets.load_dataset(sys.argv[1], split="train", streaming=True))
print(len(rows), rows[0]["image"].size, sum(row["label"] for row in rows))
"""
    done = run_python("-c", code, digits_on_hub, env=hub.env(tmp_path, user=None))
    assert done.returncode == 0, done.stderr
    from genmodels import zoo

    total = zoo.load_sample("zoo:mnist-sample").labels[:256].sum()
    assert done.stdout.strip() == f"256 (28, 28) {total}"
