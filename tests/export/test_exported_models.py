"""A model as ONNX: what onnxruntime draws is what the pipeline draws, for every built-in model and every kind of network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler, FlowMatchLCMScheduler, UniPCMultistepScheduler
from helpers import REPO, TIMEOUT, make_pipeline
from PIL import Image
from torch import nn

import genmodels
from genmodels import load_pipeline, zoo
from genmodels.errors import UserError
from genmodels.export import Origin, export_model
from genmodels.features.classifier import Classifier
from genmodels.features.evaluators import load_classifier
from genmodels.folder import ModelFolder

# torch takes seconds to make a graph.
pytestmark = pytest.mark.slow

HALF_A_STEP = 1 / 255


def facts_in(folder: Path) -> dict:
    # As JavaScript reads it: without NaN.
    return json.loads((folder / "export.json").read_text(), parse_constant=pytest.fail)


def run(folder: Path, component: str, **inputs) -> list[torch.Tensor]:
    session = onnxruntime.InferenceSession(folder / f"{component}.onnx")
    return [torch.from_numpy(part) for part in session.run(None, {k: np.asarray(v) for k, v in inputs.items()})]


def draw(folder: Path, latents: torch.Tensor, **inputs) -> torch.Tensor:
    """`pixel_values` by export.json alone."""
    facts = facts_in(folder)
    if "schedule" not in facts:
        return run(folder, facts["draws"], latents=latents, **inputs)[0]
    for row in facts["schedule"]["steps"]:
        latents, images, _ = run(folder, facts["draws"], latents=latents, step=np.float32(row), **inputs)
    return images


def labels_of(pipe, count: int) -> dict[str, torch.Tensor]:
    return {"class_labels": torch.arange(count) % pipe.num_classes} if pipe.num_classes else {}


def code_in(folder: Path, language: str) -> str:
    return re.search(rf"^```{language}\n(.*?)^```", (folder / "README.md").read_text(), re.DOTALL | re.MULTILINE)[1]


def run_readme(folder: Path, monkeypatch) -> Image.Image | None:
    """The README's Python; what it has drawn."""
    monkeypatch.chdir(folder)
    exec(compile(code_in(folder, "python"), "README.md", "exec"), {})
    return Image.open("images.png") if Path("images.png").is_file() else None


@pytest.mark.parametrize("name", zoo.model_names())
def test_a_built_in_model_does_the_same(name, tmp_path, monkeypatch):
    pipe = load_pipeline(name)
    folder = pipe.export("onnx", tmp_path / name)
    facts = facts_in(folder)
    assert facts["model"]["id"] == name
    assert facts["model"]["license"] in ("apache-2.0", "other")
    labels = labels_of(pipe, 5)
    wanted = pipe(num_images=5, seed=7, output_type="pt", **labels)
    assert (draw(folder, wanted.latents, **labels) - wanted.images).abs().max() < HALF_A_STEP
    if pipe.family.encodes:
        code, outputs = (
            pipe.encode(wanted.images, *labels.values()),
            run(folder, "encoder", pixel_values=wanted.images, **labels),
        )
        for found, expected in zip(outputs, [code] if torch.is_tensor(code) else code.to_tuple(), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=0.02)
    if "discriminates" in facts["abilities"]:
        (scores,) = run(folder, "discriminator", pixel_values=wanted.images, **labels)
        with torch.no_grad():
            expected = pipe.discriminator.eval()(wanted.images, *labels.values())
        torch.testing.assert_close(scores, expected, rtol=1e-3, atol=0.01)
    names = {name for name, part in pipe.components.items() if isinstance(part, nn.Module)} - {"attributes", "prior"}
    assert facts["networks"].keys() == names
    for component, network in facts["networks"].items():
        assert network["weights"] == "float16"
        assert not network["depends_on_batch"]
        assert network["bytes"] == (folder / network["file"]).stat().st_size
        assert network["bytes"] < 2.2 * sum(p.numel() for p in pipe.components[component].parameters()) + 100_000
        assert re.fullmatch("[0-9a-f]{64}", network["weights_sha256"])
        # No path of this machine, which an exporter notes beside each layer.
        assert str(REPO).encode() not in (folder / network["file"]).read_bytes()
    if pipe.family.draws_in_stages:
        stages = pipe(latents=wanted.latents, output_type="pt", return_stages=True, **labels).stages[:-1]
        for found, expected in zip(
            run(folder, pipe.family.draws, latents=wanted.latents, **labels)[1:], stages, strict=True
        ):
            assert (found - expected).abs().max() < HALF_A_STEP
    sheet = run_readme(folder, monkeypatch)
    assert sheet.size == (4 * pipe.sample_size, pipe.sample_size)
    assert len(set(np.asarray(sheet).ravel().tolist())) > 20


@pytest.mark.parametrize("name", sorted(set(zoo.EVALUATORS.values())))
def test_a_built_in_evaluator_says_the_same(name, tmp_path, monkeypatch, capsys):
    classifier, sha256 = load_classifier(name, folded=False)
    facts = export_model(classifier, tmp_path / "x", Origin(name, ModelFolder(zoo.ROOT / name)))
    assert facts["networks"]["classifier"]["weights_sha256"] == sha256
    assert facts["networks"]["classifier"]["weights"] == "float16"
    size, channels = classifier.config.sample_size, classifier.config.num_channels
    images = torch.randn(5, channels, size, size, generator=torch.Generator().manual_seed(3)).clamp(-1, 1)
    logits, features = run(tmp_path / "x", "classifier", pixel_values=images)
    with torch.no_grad():
        assert (logits - classifier(images)).abs().max() < 0.05
        assert (features - classifier.features(images)).abs().max() < 0.05
    run_readme(tmp_path / "x", monkeypatch)
    names = classifier.config.class_names or classifier.config.attribute_names
    assert set(re.findall("[A-Za-z0-9_]+", capsys.readouterr().out)) <= set(
        re.findall("[A-Za-z0-9_]+", " ".join(names))
    )


def small(**options) -> genmodels.DCGANPipeline:
    """A generator and discriminator of 16 pixels with these options of both."""
    torch.manual_seed(0)
    shape = {"sample_size": 16, "num_channels": 1, "base_channels": 4}
    generator = {name: options.pop(name) for name in ("upsampling", "headroom") if name in options}
    both = {
        name: options.pop(name)
        for name in ("without", "residual_layers", "fine_layers", "num_channels")
        if name in options
    }
    return genmodels.DCGANPipeline(
        genmodels.DCGANGenerator(**{**shape, **both}, latent_dim=8, **generator),
        genmodels.DCGANDiscriminator(**{**shape, **both}, **options),
    )


@pytest.mark.parametrize(
    "options",
    [
        {"without": "normal_latents", "minibatch_stddev": True, "spectral_norm": True, "dropout": 0.5},
        {
            "without": "strides",
            "minibatch_discrimination": 3,
            "num_channels": 4,
            "residual_layers": 1,
            "fine_layers": 2,
        },
        {"upsampling": "nearest", "headroom": 0.1},
    ],
    ids=str,
)
def test_each_option_of_the_networks_is_exported(options, tmp_path, monkeypatch):
    pipe = small(**options)
    folder = pipe.export(output=tmp_path / "x")
    drawn = pipe(num_images=5, seed=1, output_type="pt")
    assert (draw(folder, drawn.latents) - drawn.images).abs().max() < HALF_A_STEP
    (scores,) = run(folder, "discriminator", pixel_values=drawn.images)
    assert torch.allclose(scores, pipe.discriminate(drawn.images), atol=5e-3)
    compares = bool({"minibatch_stddev", "minibatch_discrimination"} & options.keys())
    assert facts_in(folder)["networks"]["discriminator"]["depends_on_batch"] == compares
    assert run_readme(folder, monkeypatch).mode == {1: "L", 4: "RGBA"}[pipe.num_channels]


def test_classes_are_mixed_by_weights(tmp_path, monkeypatch):
    pipe = make_pipeline("cgan")
    pipe.discriminator = None
    folder = pipe.export("onnx", tmp_path / "x", class_weights=True)
    weights = torch.tensor([[0.5, 0.5, 0, 0], [0, 0.1, 0, 0.9], [0, 0, 1, 0]])
    wanted = pipe(class_labels=weights, num_images=3, seed=0, output_type="pt")
    assert (draw(folder, wanted.latents, class_weights=weights) - wanted.images).abs().max() < HALF_A_STEP
    (port,) = [port for port in facts_in(folder)["networks"]["generator"]["inputs"] if port["name"] == "class_weights"]
    assert (port["dtype"], port["shape"]) == ("float32", ["N", 4])
    assert facts_in(folder)["classes"] == {"names": ["ant", "bee", "cat", "dog"], "none": None}
    assert run_readme(folder, monkeypatch).size == (64, 16)


def guided(num_classes: int = 3) -> genmodels.PixelDiffusionPipeline:
    torch.manual_seed(0)
    blocks = {"block_out_channels": [8, 16], "layers_per_block": 1}
    unet = genmodels.UNet.of_patches(
        16, 1, 2, **blocks, num_classes=num_classes, class_names=["a", "b", "c"][:num_classes]
    )
    return genmodels.PixelDiffusionPipeline(unet, FlowMatchEulerDiscreteScheduler())


def test_a_flow_with_classes_draws_guided_images(tmp_path, monkeypatch):
    pipe = guided()
    folder = pipe.export(output=tmp_path / "x", num_inference_steps=4)
    facts, labels = facts_in(folder), torch.tensor([2, 0])
    assert facts["classes"] == {"names": ["a", "b", "c"], "none": 3}
    wanted = pipe(class_labels=labels, seed=1, num_inference_steps=4, output_type="pt")
    assert (draw(folder, wanted.latents, class_labels=labels) - wanted.images).abs().max() < HALF_A_STEP
    # As `guidance` and `formula` say it.
    x, images = wanted.latents, None
    for row in facts["schedule"]["steps"]:
        _, a, b, c, d, e = row
        given = {"latents": x, "step": np.float32(row)}
        _, like, p_class = run(folder, "unet", **given, class_labels=labels)
        p_none = run(folder, "unet", **given, class_labels=torch.full((2,), facts["classes"]["none"]))[2]
        p = p_none + 3 * (p_class - p_none)
        images = (a * x + b * p).clamp(-1, 1)
        x = c * images + d * x + e * p
    wanted = pipe(class_labels=labels, seed=1, num_inference_steps=4, guidance_scale=3.0, output_type="pt").images
    patches = images.view(2, 4, 8, 8)
    assert (nn.functional.pixel_shuffle(patches, 2) - wanted).abs().max() < HALF_A_STEP
    assert like.shape == (2, 1, 16, 16)
    assert run_readme(folder, monkeypatch).size == (64, 16)


def test_more_images_at_once_than_were_compared(tmp_path):
    pipe = make_pipeline("diffusion")
    folder = pipe.export(output=tmp_path / "x", num_inference_steps=1)
    wanted = pipe(num_images=70, seed=0, num_inference_steps=1, output_type="pt")
    assert (draw(folder, wanted.latents) - wanted.images).abs().max() < HALF_A_STEP


def test_a_fitted_law_travels_in_the_json(tmp_path, monkeypatch):
    pipe = make_pipeline("vae")
    torch.manual_seed(0)
    images = pipe(latents=torch.randn(200, 3) * torch.tensor([1.0, 3.0, 0.5]), output_type="pt").images
    pipe.fit_latents([{"pixel_values": images}], num_components=3)
    folder = pipe.export(output=tmp_path / "x")
    law = facts_in(folder)["latents"]
    assert (law["dim"], law["law"]) == (3, "mixture")
    noise = torch.randn(50, 3)
    # As `how` says it.
    ends = np.cumsum(law["weights"])
    share = torch.special.ndtr(noise[:, 0].double()).numpy()
    k = np.searchsorted(ends, share).clip(max=2)
    within = torch.from_numpy((share - ends[k]) / np.array(law["weights"])[k] + 1)
    e = torch.cat([torch.special.ndtri(within)[:, None], noise[:, 1:].double()], 1).numpy()
    found = np.array(law["means"])[k] + (np.array(law["factors"])[k] @ e[:, :, None])[:, :, 0]
    np.testing.assert_allclose(found, pipe.from_normal(noise).numpy(), atol=1e-5)
    assert run_readme(folder, monkeypatch).size == (112, 28)
    # One line for each list of numbers.
    assert len((folder / "export.json").read_text().splitlines()) < 200


def test_attributes_travel_in_the_json(tmp_path):
    pipe = make_pipeline("vae")
    images = pipe(num_images=4, seed=0).images
    pipe.learn_attribute("bold", images[:2], images[2:])
    facts = facts_in(pipe.export(output=tmp_path / "x"))
    assert "edits" in facts["abilities"]
    assert facts["attributes"]["names"] == ["bold"]
    torch.testing.assert_close(torch.tensor(facts["attributes"]["directions"]), pipe.attributes.directions.data)


def test_weights_that_float16_cannot_hold_stay_in_float32(tmp_path):
    pipe = make_pipeline("gan")
    pipe.discriminator = None
    with torch.no_grad():
        pipe.generator.layers[-2].weight.mul_(1e7)
        pipe.generator.layers[-4].weight.div_(1e7)
        pipe.generator.layers[-4].bias.div_(1e7)
    wanted = pipe(num_images=3, seed=0, output_type="pt")
    folder = pipe.export(output=tmp_path / "x")
    generator = facts_in(folder)["networks"]["generator"]
    assert (draw(folder, wanted.latents) - wanted.images).abs().max() < HALF_A_STEP
    assert generator["weights"] == "float32"
    assert generator["float16_difference"] is None


def test_a_model_in_half_precision_and_in_training_is_left_as_it_is(tmp_path):
    pipe = make_pipeline("dcgan").to(torch.float16)
    pipe.discriminator = None
    pipe.generator.train()
    before = {name: tensor.clone() for name, tensor in pipe.generator.state_dict().items()}
    pipe.export(output=tmp_path / "x")
    assert pipe.generator.training
    assert pipe.dtype == torch.float16
    assert all(torch.equal(tensor, before[name]) for name, tensor in pipe.generator.state_dict().items())


class Asking(nn.Module):
    """Decides by what it sees."""

    def forward(self, pixel_values):
        return pixel_values.sum((1, 2, 3)) if pixel_values.sum() > 0 else pixel_values.mean((1, 2, 3))


class Wanting(nn.Module):
    def forward(self, pixel_values, temperature):
        return pixel_values * temperature


class Forgetting(nn.Module):
    """Says something else each time."""

    def forward(self, pixel_values):
        return pixel_values.sum((1, 2, 3)) + torch.rand(1) * 100


@pytest.mark.parametrize(
    ("network", "why"),
    [
        (Asking(), "torch cannot make a graph of it"),
        (Wanting(), "it takes temperature, and what can be exported takes latents, pixel_values, step, class_labels"),
        (Forgetting(), "onnxruntime's answers differ from torch's by up to"),
    ],
)
def test_what_cannot_be_exported_says_why_and_leaves_nothing(network, why, tmp_path):
    pipe = small()
    pipe.discriminator = network
    with pytest.raises(UserError, match=f"^The discriminator cannot be exported: {re.escape(why)}") as caught:
        pipe.export(output=tmp_path / "x")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fails_leaves_the_earlier_export(tmp_path, monkeypatch):
    pipe = small()
    pipe.discriminator = None
    folder = pipe.export(output=tmp_path / "x")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(facts):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("genmodels.export.readme_of", fail)
    with pytest.raises(UserError, match=r"x' cannot be written: No space left on device\.$"):
        pipe.export(output=folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert os.listdir(tmp_path) == ["x"]


def test_steps_that_depend_on_earlier_ones_are_refused(tmp_path):
    pipe = make_pipeline("diffusion")
    pipe.scheduler = UniPCMultistepScheduler.from_config(pipe.scheduler.config)
    with pytest.raises(UserError, match=r"UniPCMultistepScheduler .*: assign DDIMScheduler\.from_config"):
        pipe.export(output=tmp_path / "x")
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, thresholding=False, clip_sample_range=1.0)
    assert len(pipe.step_numbers(7)) == 7


def test_a_consistency_model_draws_in_its_one_step(tmp_path):
    unet = guided(0).unet
    pipe = genmodels.PixelDiffusionPipeline(unet, FlowMatchLCMScheduler(), num_inference_steps=1)
    folder = pipe.export(output=tmp_path / "x")
    assert len(facts_in(folder)["schedule"]["steps"]) == 1
    wanted = pipe(num_images=2, seed=0, output_type="pt")
    assert (draw(folder, wanted.latents) - wanted.images).abs().max() < HALF_A_STEP
    with pytest.raises(UserError, match=r"adds new noise between steps, .*: give `num_inference_steps` as 1"):
        pipe.export(output=folder, num_inference_steps=2)


RUN_ALL = """
import * as ort from "onnxruntime-web";
import { readFileSync } from "node:fs";
for (const folder of process.argv.slice(2)) {
  process.chdir(folder);
  await import(`file://${folder}/draw.mjs`);
  for (const [file, given] of Object.entries(JSON.parse(readFileSync("given.json")))) {
    const feeds = {};
    for (const [name, { type, data, dims }] of Object.entries(given)) feeds[name] = new ort.Tensor(type, data, dims);
    const session = await ort.InferenceSession.create(file);
    const said = await session.run(feeds);
    for (const name of session.outputNames) console.log(JSON.stringify({ folder, file, name, data: [...said[name].data] }));
  }
}
"""


def node_modules() -> Path | None:
    """Where npm has put onnxruntime-web: in the folder that CI names, or beside package.json."""
    folder = Path(os.environ.get("GENMODELS_NODE_MODULES", REPO / "node_modules"))
    return folder if (folder / "onnxruntime-web").is_dir() and shutil.which("node") else None


@pytest.mark.skipif(node_modules() is None, reason="needs node, and onnxruntime-web from npm")
def test_javascript_draws_and_webassembly_says_the_same(tmp_path):
    (tmp_path / "node_modules").symlink_to(node_modules())
    (tmp_path / "run.mjs").write_text(RUN_ALL)
    fitted = make_pipeline("vae")
    fitted.fit_latents([{"pixel_values": fitted(num_images=50, seed=0, output_type="pt").images}], num_components=2)
    models = {kind: make_pipeline(kind) for kind in ("cgan", "lapgan")}
    models |= {"fitted": fitted, "flow": guided()}
    folders = [pipe.export(output=tmp_path / name) for name, pipe in models.items()]
    models["cgan"].discriminator = None
    folders.append(models["cgan"].export(output=tmp_path / "weighted", class_weights=True))
    classifier = Classifier(16, 1, None, base_channels=4, attribute_names=["round", "tall"])
    export_model(classifier, tmp_path / "attributes", Origin())
    folders.append(tmp_path / "attributes")
    expected = {}
    for folder in folders:
        (folder / "draw.mjs").write_text(code_in(folder, "js"))
        given = {}
        for network in facts_in(folder)["networks"].values():
            feeds = {port["name"]: feed(port) for port in network["inputs"]}
            session = onnxruntime.InferenceSession(folder / network["file"])
            for port, said in zip(session.get_outputs(), session.run(None, feeds), strict=True):
                expected[str(folder), network["file"], port.name] = said.ravel()
            given[network["file"]] = {
                name: {"type": str(array.dtype), "data": array.ravel().tolist(), "dims": array.shape}
                for name, array in feeds.items()
            }
        (folder / "given.json").write_text(json.dumps(given))
    command = ["node", "run.mjs", *map(str, folders)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    printed = [line for line in done.stdout.splitlines() if not line.startswith("{")]
    shapes = [line.split(":")[0] for line in printed if " light of " in line]
    assert shapes == ["4,1,16,16", "4,3,32,32", "4,1,28,28", "4,1,16,16", "4,1,16,16"], printed
    assert len(printed) == len(folders)
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(said) == len(expected) == 15
    for answer in said:
        wanted = expected[answer["folder"], answer["file"], answer["name"]]
        np.testing.assert_allclose(answer["data"], wanted, rtol=1e-3, atol=1e-4, err_msg=answer["file"])


def feed(port: dict) -> np.ndarray:
    """Three images' worth of an input."""
    shape = [3 if side == "N" else side for side in port["shape"]]
    if port["dtype"] == "int64":
        return np.arange(3) % (port["range"][1] + 1)
    if port["name"] == "step":
        return np.float32([400, 0.7, -0.6, 0.8, 0.3, 0.5])
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
