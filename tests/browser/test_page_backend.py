"""The page computes what the server does, from exported models: the same random numbers, pictures and Python."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from helpers import REPO, make_pipeline
from page_backend import ask, begin, differences, pixels_of, serve, server_of
from PIL import Image
from suite_browser import new_page
from torch.nn.functional import pixel_shuffle

import genmodels
from genmodels import zoo
from genmodels.latents import cross_latents, draw_latents
from genmodels.models.prior import LatentMixture, fit_mixture
from genmodels.ui.in_page import engine
from genmodels.ui.in_page.models import INDEX, write_models
from genmodels.ui.models import Model, ModelStore
from genmodels.ui.pictures import sheet, to_bytes

# torch takes seconds to make each graph.
pytestmark = pytest.mark.slow

SEEDS = 100
NUMBERS = """async ([dims, seeds, law]) => {
    const { drawLatents, crossLatents, toMixture } = await import('/in_page/all.js');
    const rows = seed => dims.map(dim => drawLatents(2, dim, seed).map(row => [...row]));
    const drawn = Array.from({ length: seeds }, (_, seed) => rows(seed));
    const parents = drawLatents(2, 20, 1);
    const children = crossLatents(parents[0], parents[1], 5, 0.25, 2147483647).map(row => [...row]);
    return { drawn, children, mixed: toMixture(drawLatents(50, 3, 5), law, 0.8).map(row => [...row]) };
}"""


def test_random_numbers_are_torchs(browser):
    """Of every length that a built-in model's latents have: equal but for the last bits of logarithm and cosine."""
    configs = [json.loads(path.read_text()) for path in zoo.ROOT.glob("*/*/config.json")]
    dims = {config["latent_dim"] for config in configs if "latent_dim" in config} | {3, 15, 16, 17, 784, 3072}
    dims = sorted(dim for dim in dims if isinstance(dim, int))
    torch.manual_seed(0)
    law = LatentMixture(3, 4)
    law.weights.data, law.means.data, law.factors.data = (
        torch.tensor([0.1, 0.4, 0.3, 0.2]),
        torch.randn(4, 3),
        torch.randn(4, 3, 3),
    )
    weights = law.weights.double() / law.weights.double().sum()
    given = {"weights": weights.tolist(), "means": law.means.tolist(), "factors": law.factors.tolist()}
    page = new_page(browser)
    serve(page, REPO)
    found = page.evaluate(NUMBERS, [dims, SEEDS, given])
    page.close()
    for seed, rows in enumerate(found["drawn"]):
        for dim, row in zip(dims, rows, strict=True):
            tolerance = {"rtol": 0, "atol": 3e-6 if dim >= 16 else 0}
            torch.testing.assert_close(torch.tensor(row), draw_latents(2, dim, seed=seed), **tolerance)
    parents = draw_latents(2, 20, seed=1)
    children = cross_latents(*parents, num_images=5, mutation=0.25, seed=2147483647)
    torch.testing.assert_close(torch.tensor(found["children"]), children, rtol=0, atol=3e-6)
    mixed = law(draw_latents(50, 3, seed=5), psi=0.8)
    torch.testing.assert_close(torch.tensor(found["mixed"]), mixed, rtol=1e-5, atol=1e-5)


PNG = """async ([width, height, channels, frames]) => {
    const { pngUri } = await import('/in_page/all.js');
    const bytes = i => Uint8Array.from({ length: width * height * channels }, (_, k) => ((k + i) * 7919) % 251);
    return pngUri(Array.from({ length: frames }, (_, i) => ({ data: bytes(i), width, height, channels })), 60);
}"""


def test_pictures_and_films_are_png_to_the_bit(browser):
    """Small ones, those of more than one block of 64 KiB, and films."""
    page = new_page(browser)
    serve(page, REPO)
    for width, height, channels, frames in (
        (3, 5, 1, 1),
        (1, 1, 4, 1),
        (300, 250, 3, 1),
        (65535, 1, 1, 1),
        (40, 30, 3, 3),
    ):
        uri = page.evaluate(PNG, [width, height, channels, frames])
        image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
        assert getattr(image, "n_frames", 1) == frames
        for i in range(frames):
            image.seek(i)
            drawn = np.asarray(image.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels]))
            assert (drawn.ravel() == (np.arange(drawn.size) + i) * 7919 % 251).all(), (width, height, channels, i)
    page.close()


def engine_files() -> Path | None:
    """Where npm has put the engine: in the folder that CI names, beside package.json, or where it is kept."""
    modules = Path(os.environ.get("GENMODELS_NODE_MODULES", REPO / "node_modules"))
    places = (modules / engine.PACKAGE / "dist", engine.cache_folder() / f"{engine.PACKAGE}-{engine.VERSION}")
    return next(filter(engine.is_engine, places), None)


def save_tiny_models(folder: Path) -> None:
    """One model of each kind, as small as can be, and of real images those that fit."""
    torch.manual_seed(0)
    grey = {"dataset": "ylecun/mnist", "split": "train", "classes": None}
    shape = {"sample_size": 16, "num_channels": 1, "base_channels": 4}
    plane = {**shape, "latent_dim": 2, "hidden_dim": 8}
    digits = [str(i) for i in range(10)]
    unet = make_pipeline("diffusion").unet
    flow = genmodels.PixelDiffusionPipeline(unet, FlowMatchEulerDiscreteScheduler(), num_inference_steps=3)
    colour = {"sample_size": 16, "num_channels": 3, "base_channels": 4, "latent_dim": 6, "hidden_dim": 8}
    directions = genmodels.AttributeDirections(["Smiling", "Hat"], 6)
    directions.directions.data = torch.randn(2, 6)
    cgan = {**shape, "num_classes": 10, "class_names": digits}
    models = {
        "vae": genmodels.VAEPipeline(genmodels.VAEEncoder(**plane), genmodels.VAEDecoder(**plane)),
        "autoencoder": genmodels.AutoencoderPipeline(
            genmodels.AutoencoderEncoder(**plane), genmodels.AutoencoderDecoder(**plane)
        ),
        "gan": make_pipeline("gan"),
        "lapgan": make_pipeline("lapgan"),
        "flow": flow,
        "cgan": genmodels.CGANPipeline(
            genmodels.CGANGenerator(latent_dim=8, label_dim=4, **cgan), genmodels.CGANDiscriminator(**cgan)
        ),
        "faces": genmodels.VAEPipeline(
            genmodels.VAEEncoder(**colour),
            genmodels.VAEDecoder(**colour),
            attributes=directions,
            prior=fit_mixture(1 + torch.randn(200, 6), 2),
        ),
    }
    for name, pipe in models.items():
        pipe.save_pretrained(folder / name)
        if pipe.num_channels == 1:
            (folder / name / "training.json").write_text(json.dumps(grey))


def make_home(folder: Path, root: Path) -> ModelStore:
    """A store of tiny models, which lie in `folder`, and in `root` a page with all of them."""
    files = engine_files()
    if files is None:
        pytest.skip("needs onnxruntime-web from npm")
    save_tiny_models(folder)
    store = ModelStore(str(folder))
    store.load()
    assert [model.reason for model in store.shown] == [None] * 7
    # A conditional GAN stands among the samples, too, as the built-in one does.
    cgan = store.models["classes"]
    twin = Model("samples", cgan.name, cgan.class_name, cgan.config, pipe=cgan.pipe, folder=cgan.folder)
    store.gallery.append(twin)
    write_models(store, root)
    shutil.copytree(files, root / "engine", ignore=lambda _, names: set(names) - set(engine.FILES))
    return store


def calls() -> list[tuple[str, str, dict]]:
    """What every view asks."""
    drawing = np.zeros((112, 112), np.uint8)
    drawing[20:91, 50:59], drawing[22:33, 40:71] = 255, 130
    photo = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    text = {name: base64.b64encode(array.tobytes()).decode() for name, array in (("d", drawing), ("p", photo))}
    z = np.random.default_rng(1).standard_normal(6).tolist()
    wanted = [
        ("map", "decode", {"z": [0.5, -1.2]}),
        ("map", "decoder", {}),
        ("map", "line", {"a": [-1, 1], "b": [1.5, 0.2]}),
        ("map", "resample", {"z": [0.5, 1], "deviation": [0.1, 0.2], "seed": 3}),
        ("map", "place", {"drawing": text["d"]}),
        ("map", "place", {"drawing": base64.b64encode(bytes(112 * 112)).decode()}),
        ("map", "example", {"index": 5}),
        ("map", "pair", {}),
        ("map", "decode_both", {"z": [1, -0.5]}),
        ("map", "decoders", {}),
        ("map", "faces", {"seed": 10}),
        ("map", "edit", {"seed": 10, "index": 2, "strengths": {"Smiling": 0, "Hat": 0}}),
        ("map", "edit", {"seed": 10, "index": 3, "strengths": {"Smiling": 1.5, "Hat": -0.3}}),
        ("map", "edit", {"z": z, "square": [3, 0, 40], "strengths": {"Smiling": 1.5}}),
        ("map", "photo", {"photo": text["p"]}),
        ("map", "arithmetic", {"seed": 10, "a": 1, "b": 6, "c": 3}),
        ("map", "factors", {"seed": 10, "index": 2, "a": "Smiling", "b": "Hat"}),
        ("map", "factors", {"seed": 10, "index": 2, "a": "Hat", "b": "Hat"}),
        ("samples", "founders", {"model": "gan", "seed": 7}),
        ("samples", "litter", {"model": "gan", "parents": [[0.5] * 8, [-1.25] * 8], "mutation": 0.2, "seed": 3}),
        ("samples", "loop", {"model": "gan", "seed": 7}),
        ("samples", "moved", {"model": "gan", "seed": 7, "strengths": [1, 0, -2]}),
        ("samples", "founders", {"model": "lapgan", "seed": 7}),
        ("classes", "write", {"seed": 7, "psi": 1, "text": " 2026 "}),
        ("classes", "write", {"seed": 7, "psi": 1, "text": "20x"}),
        ("real_or_fake", "compare", {"kind": "classes", "seed": 3}),
        ("real_or_fake", "histogram", {"kind": "samples"}),
        ("real_or_fake", "neighbours", {"kind": "classes", "side": "real", "index": 2, "seed": 3}),
        ("real_or_fake", "neighbours", {"kind": "classes", "side": "generated", "index": 2, "seed": 3}),
        ("training", "memorised", {"kind": "classes", "seed": 1}),
    ]
    one = {"model": "cgan", "seed": 7, "psi": 0.8}
    for label in ({}, {"class": "7"}, {"class": ""}):
        wanted += [("samples", "sheet", {**one, **label, "count": 16}), ("samples", "loop", {**one, **label})]
        wanted.append(("samples", "between", {**one, **label, "a": 0, "b": 3}))
        wanted.append(("samples", "litter", {**one, **label, "parents": [[0.5] * 8, [-1.25] * 8], "mutation": 0.2}))
    wanted += [("samples", "row", {**one, "a": 0, "b": 3}), ("samples", "founders", one)]
    wanted.append(("samples", "moved", {**one, "strengths": [1, 0, -2]}))
    wanted += [("map", "drawn", {"prior": prior, "seed": 3}) for prior in ("normal", "fitted")]
    for model in ("gan", "lapgan", "flow"):
        common = {"model": model, "seed": 7, "psi": 0.8}
        wanted += [("samples", "sheet", {**common, "seed": seed, "count": 16}) for seed in (7, 8, 2147483647)]
        wanted += [("samples", name, {**common, "a": 0, "b": 3}) for name in ("between", "row", "stages")]
    for name in ("row", "samples", "table", "mix"):
        wanted.append(("classes", name, {"seed": 7, "psi": 0.9, "label": 2, "a": 1, "b": 4}))
    return wanted


def test_every_view_shows_what_the_server_would(browser, home):
    store, root = home
    server, page = server_of(store), new_page(browser)
    names = begin(page, root)
    found = {}
    for tab, name, payload in calls():
        assert name in names[tab], f"{tab}.{name}"
        ours = ask(page, tab, name, payload)[0]
        # JSON, as it comes to a page.
        theirs = json.loads(json.dumps(server[tab][name](payload)))
        found[f"{tab}.{name} {json.dumps(payload)[:80]}"] = list(differences(ours, theirs))
    page.close()
    assert {call: lines for call, lines in found.items() if lines} == {}


def test_a_game_in_the_page(browser, home):
    page = new_page(browser)
    begin(page, home[1])
    for _ in range(4):
        shown = ask(page, "real_or_fake", "play", {"kind": "classes"})[0]
        assert len(base64.b64decode(shown["picture"])) == shown["size"] ** 2 * shown["channels"]
        told = ask(page, "real_or_fake", "guess", {"round": shown["round"]})[0]
        assert told["status"] == "ok"
        assert "discriminator" in told["judges"]
        # The round is over, and nobody else's.
        assert ask(page, "real_or_fake", "guess", {"round": shown["round"]})[0]["status"] == "elsewhere"
    page.close()


def test_what_is_broken_says_so_and_all_else_works(browser, home, tmp_path):
    root = tmp_path / "page"
    shutil.copytree(home[1], root)
    models, sheet = root / "models", {"seed": 1, "count": 16, "psi": 1}
    file = models / "gan" / "generator.onnx"
    file.write_bytes(file.read_bytes()[:2000])
    (models / "lapgan" / "generator.onnx").write_bytes((models / "cgan" / "discriminator.onnx").read_bytes())
    (models / "flow" / "export.json").write_text("{")
    (models / "autoencoder" / "decoder.onnx").unlink()
    page = new_page(browser)
    begin(page, root)
    for name, said in (
        ("gan", "gan cannot be computed in this page: its file is damaged."),
        ("lapgan", "lapgan cannot be computed in this page: its file is of another model."),
        ("flow", "flow cannot be loaded: its file is damaged."),
    ):
        answer = ask(page, "samples", "sheet", {"model": name, **sheet})[0]
        assert (answer["status"], answer["message"]) == ("broken", said)
    answer = ask(page, "map", "decode_both", {"z": [0, 0]})[0]
    assert answer["message"] == "autoencoder cannot be loaded: its file is not there."
    assert ask(page, "map", "decode", {"z": [0, 0]})[0]["status"] == "ok"
    assert ask(page, "classes", "row", {"seed": 1})[0]["status"] == "ok"
    page.close()


def test_a_server_does_what_breaks_in_the_page(browser, home, tmp_path):
    """It is told once; what the page can do, it goes on doing."""
    root = tmp_path / "page"
    shutil.copytree(home[1], root)
    (root / "models" / "lapgan" / "generator.onnx").write_bytes(b"torn")
    models = [path.name for path in (root / "models").iterdir() if path.is_dir() and path.name != "flow"]
    page = new_page(browser)
    serve(page, root)
    said = page.evaluate(
        """async models => {
            const { eitherOf } = await import('/common/all.js');
            const told = [];
            const of = model => ({ model, seed: 1, count: 16, psi: 1 });
            const server = { sheet: async () => ({ status: 'ok', by: 'server' }), film: async () => ({ by: 'server' }) };
            const either = eitherOf('samples', server, { root: 'page/', models }, message => told.push(message));
            const by = [];
            for (const model of ['gan', 'lapgan', 'lapgan', 'gan']) by.push((await either.sheet(of(model))).by ?? 'page');
            const nowhere = eitherOf('samples', server, { root: 'nowhere/', models }, message => told.push(message));
            by.push((await nowhere.sheet(of('gan'))).by);
            return { by, told };
        }""",
        models,
    )
    page.close()
    assert said["by"] == ["page", "server", "server", "page", "server"]
    assert said["told"] == [
        "lapgan cannot be computed in this page: its file is damaged. The server does it instead.",
        "This browser does not compute by itself: the server does.",
    ]


def test_without_the_engine_or_webassembly_nothing_is_promised(browser, home, tmp_path):
    root = tmp_path / "page"
    shutil.copytree(home[1], root, ignore=shutil.ignore_patterns("engine"))
    page = new_page(browser)
    begin(page, root)
    answer = ask(page, "map", "decode", {"z": [0, 0]})[0]
    assert (answer["status"], answer["message"]) == ("broken", "This browser does not run the engine.")
    page.add_init_script("delete globalThis.WebAssembly")
    begin(page, root)
    answer = ask(page, "map", "decode", {"z": [0, 0]})[0]
    assert (answer["status"], answer["message"]) == (
        "broken",
        "This browser has no WebAssembly, which the models need.",
    )
    # What needs no model works.
    assert ask(page, "map", "decoder", {})[0]["status"] == "ok"
    page.add_init_script("delete globalThis.Worker")
    assert set(map(tuple, begin(page, root).values())) == {()}
    page.close()


def test_a_model_that_takes_steps_shows_each_of_them(browser, home):
    page = new_page(browser)
    begin(page, home[1])
    parts = page.evaluate(
        """async () => {
            const parts = [];
            const payload = { model: 'flow', seed: 1, count: 16, psi: 1 };
            const answer = await backend.samples.sheet(payload, part => parts.push(part.sheet));
            return [...parts, answer.sheet];
        }"""
    )
    page.close()
    assert len(parts) == 5
    assert len(set(parts)) == 4
    assert parts[-1] == parts[-2]
    # It begins with the noise that the images come of.
    pipe = next(model.pipe for model in home[0].shown if model.key == "flow")
    side = pipe.sample_size // pipe.patch_size
    noise = pixel_shuffle(draw_latents(16, pipe.latent_dim, seed=1).view(16, -1, side, side), pipe.patch_size)
    expected = sheet(to_bytes(noise.permute(0, 2, 3, 1).numpy() / 2 + 0.5), 4)
    assert np.abs(pixels_of(parts[0])[0].astype(int) - expected).max() <= 1


def test_the_index_leaves_out_what_cannot_be_exported(home, tmp_path, monkeypatch):
    store, _ = home
    monkeypatch.setattr(store, "gallery", store.gallery[:1])
    monkeypatch.setattr(store, "conditional", [])
    monkeypatch.setattr(store, "models", {"samples": store.gallery[0]})
    monkeypatch.setattr(store.gallery[0], "reason", "It is broken.")
    (entry, *_) = write_models(store, tmp_path)
    assert entry["reason"] == "It is broken."
    assert json.loads((tmp_path / "models" / INDEX).read_text())[0] == entry
