"""Pushed pipelines carry their code: plain diffusers loads them where genmodels is not installed, and draws the same."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import KINDS, REPO, make_environment, make_pipeline, run_python
from huggingface_hub import HfApi

from genmodels import __version__, load_pipeline, zoo
from genmodels.errors import UserError
from genmodels.hub.standalone import add_code, file_stem
from genmodels.ui.models import find_models

PARTS = {
    kind: ("encoder", "decoder") if kind in ("autoencoder", "vae") else ("generator", "discriminator") for kind in KINDS
} | {"diffusion": ("unet",)}
# Pipeline and the head of its networks' names, where they are not the kind in capitals.
CLASSES = {
    "autoencoder": ("AutoencoderPipeline", "Autoencoder"),
    "gan": ("VanillaGANPipeline", "VanillaGAN"),
    "wgan": ("WGANPipeline", "DCGAN"),
    "diffusion": ("PixelDiffusionPipeline", "UNet"),
}
NEEDED = ("diffusers", "safetensors", "torch")
# What the carried code may import beside the standard library: what diffusers itself needs.
ALLOWED = {"PIL", "diffusers", "huggingface_hub", "numpy", "safetensors", "torch"}

# Every method on the same inputs; `pipe` may be of the package or of the carried code.
DRAW_AND_JUDGE = """
drawn = pipe(num_images=5, seed=3, psi=0.7, output_type="np")
arrays = [drawn.images, drawn.latents, np.stack(pipe(num_images=2, seed=1).images)]
arrays += [pipe.interpolate(0, 1, steps=4, output_type="np").images, pipe.discriminate(drawn.images)]
"""
CALLS = {
    "autoencoder": """
drawn = pipe(num_images=5, seed=3, output_type="np")
arrays = [drawn.images, drawn.latents, np.stack(pipe(num_images=2, seed=1).images), pipe.encode(drawn.images)]
small = pipe.compress(drawn.images, bits=6)
arrays += [np.frombuffer(small, np.uint8), pipe.decompress(small, "np").images, pipe.whiten(drawn.images).encode(drawn.images)]
""",
    "vae": """
drawn = pipe(num_images=5, seed=3, output_type="np")
arrays = [drawn.images, drawn.latents, np.stack(pipe(num_images=2, seed=1).images)]
posterior = pipe.encode(drawn.images)
arrays += [posterior.mean, posterior.log_variance, pipe.reconstruct(drawn.images, output_type="np").images]
arrays += [pipe.traverse(steps=3, output_type="pt").images]
arrays += [pipe.edit(drawn.images, name, strength=2, output_type="np").images for name in pipe.attribute_names]
""",
    "gan": DRAW_AND_JUDGE,
    "dcgan": DRAW_AND_JUDGE,
    "wgan": DRAW_AND_JUDGE,
    "lapgan": DRAW_AND_JUDGE
    + "arrays += [*pipe(seed=2, output_type='np', return_stages=True).stages, pipe.discriminate(drawn.images, per_level=True)]",
    "diffusion": """
drawn = pipe(num_images=5, seed=3, num_inference_steps=4, output_type="np", return_trajectory=True)
arrays = [drawn.images, drawn.latents, np.stack(pipe(num_images=2, seed=1).images), np.stack(drawn.trajectory)]
arrays += [pipe.interpolate(0, 1, steps=4, num_inference_steps=3, output_type="np").images]
""",
    "cgan": """
drawn = pipe(num_images=5, class_labels=["bee", 0, 3, "dog", 1], seed=3, psi=0.7, output_type="np")
arrays = [drawn.images, drawn.latents, drawn.class_labels, np.stack(pipe(seed=1, num_images=6).images)]
arrays += [pipe.interpolate(0, 1, steps=4, class_labels=("ant", "cat"), output_type="np").images]
arrays += [pipe.discriminate(drawn.images, drawn.class_labels)]
""",
}
# Draws with each model, then tries a model without and with trust, and once more when its weights in the cache are damaged.
LOAD = """
import json, sys
from pathlib import Path
import numpy as np
from diffusers import DiffusionPipeline

def attempt(*args, **options):
    try:
        print("loaded", type(DiffusionPipeline.from_pretrained(*args, **options)).__name__)
    except Exception as error:
        print("refused", " ".join(str(error).split()))

jobs, model, folder = json.loads(sys.argv[1])
for out, source, calls in jobs:
    scope = {"np": np, "pipe": DiffusionPipeline.from_pretrained(source, trust_remote_code=True)}
    exec(calls, scope)
    np.savez(out, *map(np.asarray, scope["arrays"]))
attempt(model)
attempt(folder, trust_remote_code=True)
attempt(model, trust_remote_code=True)
cached = "models--" + model.replace("/", "--")
(weights,) = Path("home").rglob(cached + "/snapshots/*/generator/*.safetensors")
data = bytearray(weights.read_bytes())
data[-1] ^= 1
weights.resolve().write_bytes(data)
attempt(model, trust_remote_code=True)
assert "genmodels" not in sys.modules
"""
# Two edits and a grid more than without attributes.
EDITS = CALLS["vae"] + 'arrays += [pipe.traverse(attributes=("dark", "odd"), steps=3, output_type="np").images]\n'


@pytest.fixture(scope="session")
def plain_python(tmp_path_factory) -> Path:
    """The Python of an environment that has only diffusers, torch, safetensors and what they need."""
    return make_environment(tmp_path_factory.mktemp("plain") / "venv", *NEEDED)


def run_plain(python: Path, code: str, *args, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess:
    env = {name: value for name, value in env.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [python, "-c", code, *map(str, args)], capture_output=True, text=True, timeout=300, env=env, cwd=cwd
    )


@pytest.fixture(scope="session")
def carrying(saved, tmp_path_factory) -> dict[str, Path]:
    """Saved pipelines with their code."""
    root = tmp_path_factory.mktemp("carrying")
    for kind in KINDS:
        shutil.copytree(saved[kind], root / kind)
        add_code(root / kind)
    return {kind: root / kind for kind in KINDS}


@pytest.fixture(scope="session")
def pushed(hub, carrying) -> dict[str, str]:
    """Their Hub ids."""
    api = HfApi(endpoint=hub.endpoint, token=hub.tokens["alice"])
    for kind in KINDS:
        api.create_repo(f"alice/plain-{kind}")
        api.upload_folder(repo_id=f"alice/plain-{kind}", folder_path=carrying[kind])
    return {kind: f"alice/plain-{kind}" for kind in KINDS}


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_environment_is_plain(plain_python, hub, tmp_path):
    code = """
import importlib.util
names = ("genmodels", "accelerate", "datasets", "gradio", "torchmetrics", "transformers", "torch", "diffusers", "safetensors")
print(*[name for name in names if importlib.util.find_spec(name)])
"""
    done = run_plain(plain_python, code, env=hub.env(tmp_path), cwd=tmp_path)
    assert done.stdout.split() == ["torch", "diffusers", "safetensors"], done.stderr


@pytest.fixture(scope="module")
def with_attributes(tmp_path_factory) -> Path:
    """A saved VAE that edits attributes, with its code."""
    folder = tmp_path_factory.mktemp("attributes")
    images = np.random.default_rng(0).random((6, 28, 28, 1), dtype=np.float32)
    pipe = make_pipeline("vae").learn_attribute("dark", images[:3], images[3:])
    pipe.learn_attribute("odd", images[::2], images).save_pretrained(folder)
    add_code(folder)
    return folder


@pytest.fixture(scope="module")
def plainly(plain_python, hub, pushed, carrying, with_attributes, tmp_path_factory) -> tuple[Path, list[str]]:
    """A folder of what each kind's calls return in plain diffusers, and what that prints."""
    folder = tmp_path_factory.mktemp("drawn")
    jobs = [(str(folder / f"{kind}.npz"), pushed[kind], CALLS[kind]) for kind in KINDS]
    jobs.append((str(folder / "attributes.npz"), str(with_attributes), EDITS))
    arguments = json.dumps([jobs, pushed["cgan"], str(carrying["cgan"])])
    done = run_plain(plain_python, LOAD, arguments, env=hub.env(folder / "home", user=None), cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout.splitlines()


@pytest.mark.parametrize("kind", KINDS)
def test_plain_diffusers_draws_the_same_pictures(plainly, kind):
    scope = {"np": np, "pipe": make_pipeline(kind)}
    exec(CALLS[kind], scope)
    found = np.load(plainly[0] / f"{kind}.npz")
    assert len(found.files) == len(scope["arrays"]) >= 5
    for expected, name in zip(scope["arrays"], found.files, strict=True):
        expected = np.asarray(expected)
        # Where a process happens to place its weights decides about last bits, and so, rarely, about a pixel's rounding.
        tolerance = 1 if expected.dtype == np.uint8 else 1e-4
        np.testing.assert_allclose(found[name].astype(float), expected.astype(float), rtol=0, atol=tolerance)


def test_plain_diffusers_edits_attributes(plainly, with_attributes):
    scope = {"np": np, "pipe": load_pipeline(with_attributes)}
    exec(EDITS, scope)
    found = np.load(plainly[0] / "attributes.npz")
    assert len(found.files) == len(scope["arrays"]) == 10
    for expected, name in zip(scope["arrays"][3:], found.files[3:], strict=True):
        np.testing.assert_allclose(found[name], np.asarray(expected), rtol=0, atol=1e-4)


def test_plain_diffusers_asks_for_trust_and_finds_damage(plainly):
    """Its messages name what to do; and the carried code checks the cache's hashes, too."""
    without_trust, from_folder, from_hub, damaged = plainly[1]
    assert without_trust.startswith("refused ")
    assert "trust_remote_code=True" in without_trust
    assert from_folder == from_hub == "loaded CGANPipeline"
    assert damaged.startswith("refused ")
    assert "is damaged: its sha256 is " in damaged
    assert "`hf download alice/plain-cgan generator/" in damaged


@pytest.mark.parametrize("kind", KINDS)
def test_our_own_loading_takes_no_code_from_the_repository(hub, pushed, carrying, kind):
    before, after = make_pipeline(kind), load_pipeline(carrying[kind])
    assert type(after) is type(before)
    for component in PARTS[kind]:
        assert type(getattr(after, component)) is type(getattr(before, component))
    expected, images = (pipe(num_images=3, seed=1, output_type="np").images for pipe in (before, after))
    np.testing.assert_array_equal(images, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_carried_files(saved, carrying, kind):
    files = files_in(carrying[kind])
    class_name, network = CLASSES.get(kind, (f"{kind.upper()}Pipeline", kind.upper()))
    # A U-Net is alone in its pipeline, and so has no part in its name.
    networks = {part: network if part == "unet" else f"{network}{part.title()}" for part in PARTS[kind]}
    stem = f"pipeline_{file_stem(class_name.removesuffix('Pipeline'))}"
    code = {f"{stem}.py", *(f"{part}/modeling_{file_stem(name)}.py" for part, name in networks.items())}
    assert files.keys() - files_in(saved[kind]).keys() == code
    index = json.loads(files["model_index.json"])
    assert index["_class_name"] == [stem, class_name]
    for part, name in networks.items():
        assert index[part] == [f"modeling_{file_stem(name)}", name]
    for name in code:
        text = files[name].decode()
        assert f"of genmodels {__version__}" in text.splitlines()[0]
        assert "trust_remote_code" not in text
        assert len(text) < 60_000
        tree = ast.parse(text)
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        outside = {module.split(".")[0] for module in imported} - sys.stdlib_module_names
        assert outside <= ALLOWED, name


def test_the_tabs_show_models_that_carry_their_code(carrying, saved):
    for kind in ("dcgan", "cgan"):
        (found,) = find_models(str(carrying[kind]))
        (expected,) = find_models(str(saved[kind]))
        assert (found.kind, found.config, found.reason) == (expected.kind, expected.config, None)


def python_of(path: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (REPO / path).read_text(encoding="utf-8"), re.DOTALL)


def test_readme_snippets_run(plain_python, hub, tmp_path):
    """The built-in model, the same pushed and loaded, and in plain diffusers, which draws the same digits."""
    built_in, from_hub, plain = python_of("README.md")[0], *python_of("genmodels/zoo/README.md")[:2]
    folder = zoo.model_folder("cgan-mnist")
    before = files_in(folder)
    done = run_python("-m", "genmodels", "push", str(folder), "alice/cgan-mnist", env=hub.env(tmp_path / "pusher"))
    assert done.returncode == 0, done.stderr
    assert files_in(folder) == before
    env = hub.env(tmp_path / "home", user=None)
    built_in, from_hub, plain = (code.replace("your-name/", "alice/") for code in (built_in, from_hub, plain))
    save = 'import numpy as np\nnp.save("{}.npy", np.stack(images))\n'
    draw = "images = pipe(class_labels=[2, 0, 2, 6], seed=0).images\n"
    done = run_python(
        "-c", built_in + save.format("built-in") + from_hub + draw + save.format("hub"), env=env, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    done = run_plain(plain_python, plain + save.format("plain"), env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected, *others = (np.load(tmp_path / f"{name}.npy") for name in ("built-in", "hub", "plain"))
    assert (tmp_path / "two.png").is_file()
    for images in others:
        np.testing.assert_allclose(images.astype(int), expected.astype(int), rtol=0, atol=1)


def test_adding_twice_changes_nothing(carrying, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(carrying["vae"], folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert add_code(folder) == []
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    (folder / "pipeline_vae.py").write_text("old")
    assert add_code(str(folder)) == [folder / "pipeline_vae.py"]
    assert files_in(folder) == files_in(carrying["vae"])


def test_saving_again_leaves_the_code_out(carrying, saved, tmp_path):
    load_pipeline(carrying["dcgan"]).save_pretrained(tmp_path)
    assert files_in(tmp_path) == files_in(saved["dcgan"])


def test_a_generator_alone_carries_its_code(tmp_path):
    pipe = make_pipeline("dcgan")
    type(pipe)(pipe.generator).save_pretrained(tmp_path)
    assert [path.name for path in add_code(tmp_path)] == [
        "pipeline_dcgan.py",
        "modeling_dcgan_generator.py",
        "model_index.json",
    ]
    again = load_pipeline(tmp_path)
    assert again.discriminator is None
    assert len(again(num_images=2, seed=0).images) == 2


def test_other_folders_are_left_alone(tmp_path):
    (tmp_path / "config.json").write_text('{"_class_name": "Classifier"}')
    assert add_code(tmp_path) == []
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    assert add_code(tmp_path) == []
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(UserError, match="is not a readable"):
        add_code(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model_index.json"]
