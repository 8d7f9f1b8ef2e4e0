"""The Samples tab with several models: the same random numbers for all, figures beside them, films, levels."""

from __future__ import annotations

import base64
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from genmodels.errors import UserError
from genmodels.ui import films, gallery, samples
from genmodels.ui.models import BUILT_IN, MOST, SAMPLES, Model, ModelStore, built_in_models, find_models
from genmodels.ui.pictures import FRAMES, to_bytes
from genmodels.ui.suite import build


def function(store: ModelStore, name: str):
    return next(f for f in samples.functions(store) if f.__name__ == name)


def picture(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1])))).astype(int)


def test_models_stand_in_the_order_of_their_invention(gan_store):
    assert [model.title for model in gan_store.gallery] == ["a-gan", "b-dcgan", "c-wgan"]
    assert gan_store.models[SAMPLES] is gan_store.gallery[0]
    build(gan_store, ("samples",))


def test_every_model_draws_from_the_beginning_of_the_same_numbers(gan_store):
    row = function(gan_store, "row")
    vectors = torch.randn(gallery.COLUMNS, gallery.LONGEST, generator=torch.Generator().manual_seed(7))
    for model, length in zip(gan_store.gallery, (5, 8, 11), strict=True):
        answer = row({"model": model.name, "seed": 7, "a": 1, "b": 4})
        assert (answer["model"], answer["latent_dim"]) == (model.key, length)
        expected = model.pipe(latents=vectors[:, :length], output_type="np").images
        size = expected.shape[1]
        shown, film = picture(answer["sheet"]), picture(answer["film"])
        assert film.shape[1] == FRAMES * size
        for i, image in enumerate(expected):
            wanted = (image * 255).round().squeeze()
            assert np.abs(shown[:, i * size : (i + 1) * size] - wanted).max() <= 1
        assert np.abs(film[:, :size] - shown[:, size : 2 * size]).max() <= 1
        assert np.abs(film[:, -size:] - shown[:, 4 * size : 5 * size]).max() <= 1


def test_any_model_has_sheets_and_ways(gan_store):
    sheet, between = function(gan_store, "sheet"), function(gan_store, "between")
    answer = sheet({"model": gan_store.gallery[2].name, "seed": 1, "count": 16})
    assert (answer["size"], picture(answer["sheet"]).shape) == (16, (64, 64))
    assert "WGANPipeline" in answer["code"]
    assert sheet({"model": "no such model"}) == sheet({"model": gan_store.gallery[0].name})
    assert picture(between({"model": gan_store.gallery[1].name})["film"]).shape == (32, 32 * FRAMES, 3)


def test_a_latent_that_is_too_long_is_refused_in_words(gan_store):
    model = Model(SAMPLES, "long", pipe=SimpleNamespace(latent_dim=10_000))
    with pytest.raises(UserError, match="10,000 numbers is longer"):
        gallery.row_answer(gan_store, model, 0, 0, 1)


def test_a_latent_that_is_too_long_stands_in_no_models_program(gan_store, monkeypatch):
    monkeypatch.setattr(gallery, "LONGEST", 10)
    code = gallery.row_answer(gan_store, gan_store.gallery[0], 0, 0, 1)["code"]
    assert [model.name in code for model in gan_store.gallery] == [True, True, False]


def test_diffusion_is_called_without_truncation(gan_store):
    calls = []

    def draw(num_images, seed, output_type):
        calls.append((num_images, seed))
        return SimpleNamespace(images=np.zeros((num_images, 4, 4, 1)))

    model = Model(SAMPLES, "noise", "PixelDiffusionPipeline", pipe=draw)
    answer = samples.sheet_answer(gan_store, model, 3, 16, samples.options_of(model, {"psi": 0.5}))
    assert calls == [(16, 3)]
    assert "psi" not in answer["code"]


def test_images_are_as_large_as_the_patches_make_them():
    config = {"sample_size": 14, "in_channels": 4}
    assert (Model(SAMPLES, "x", config=config).sample_size, Model(SAMPLES, "x", config=config).num_channels) == (28, 1)
    config = {"sample_size": 32, "in_channels": 3}
    assert (Model(SAMPLES, "x", config=config).sample_size, Model(SAMPLES, "x", config=config).num_channels) == (32, 3)


def test_classes_of_a_way_are_those_of_its_ends():
    digits = SimpleNamespace(num_classes=10, class_names=list("9876543210"))
    assert gallery.classes_of(digits, 3, 24) == {"class_labels": ("6", "5")}
    assert gallery.classes_of(SimpleNamespace(num_classes=0), 3, 24) == {}


def test_quality_is_never_shown_without_diversity(gan_store):
    first, second, third = (gallery.described(model)["figures"] for model in gan_store.gallery)
    assert first == {"quality": [3.456, 0.11], "diversity": [0.5, 0.9], "dataset": "some/digits"}
    assert second is third is None
    assert all(gallery.figures(evaluation) is None for evaluation in ({"metrics": [None]}, {"metrics": 3}, {}))


def test_a_film_is_one_sheet_with_the_step_of_each_frame(gan_store):
    film = function(gan_store, "film")
    answer = film({"model": gan_store.gallery[0].name})
    assert (answer["count"], answer["columns"], answer["width"], answer["height"]) == (5, 3, 20, 12)
    assert answer["steps"] == [0, 500, 1000, 1500, 2000]
    sheet = picture(answer["sprite"])
    assert sheet.shape == (24, 60, 3)
    # The fourth frame stands first in the second row.
    assert abs(sheet[18, 10, 0] - 120) < 8
    assert "without a film" in film({"model": gan_store.gallery[1].name})["message"]
    assert [gallery.described(model)["film"] is None for model in gan_store.gallery] == [False, True, True]


@pytest.mark.parametrize(
    ("training", "steps"),
    [
        ({"steps": 90}, [0, 45, 90]),
        ({"steps": 90, "film_steps": [0, 50, 90]}, [0, 50, 90]),
        ({"steps": 90, "film_steps": [0, 90]}, [0, 45, 90]),
        ({"steps": "many", "film_steps": "all"}, [0, 0, 0]),
    ],
)
def test_steps_are_those_of_the_run_or_even(training, steps):
    assert films.steps_of(training, 3) == steps


def test_what_is_no_film_is_refused_in_words(tmp_path):
    (tmp_path / "torn.webp").write_bytes(b"RIFF")
    Image.new("RGB", (8, 8)).save(tmp_path / "still.webp")
    for name, says in (("torn", "can be read"), ("still", r"1 frame\(s\) of 8x8")):
        with pytest.raises(UserError, match=says):
            films.sprite(tmp_path / f"{name}.webp")


@pytest.mark.parametrize(
    ("config", "payload", "options"),
    [
        ({"num_classes": 3}, {"guidance": 2.5}, {"guidance_scale": 2.5}),
        ({"num_classes": 3}, {"guidance": 99, "class": "1"}, {"class_labels": "1", "guidance_scale": 5.0}),
        ({"num_classes": 3}, {"guidance": -1}, {"guidance_scale": 0.0}),
        # What was learned, and what is no number.
        ({"num_classes": 3}, {"guidance": 1, "psi": 0.5}, {}),
        ({"num_classes": 3}, {"guidance": "nan", "class": "7"}, {}),
        ({}, {"guidance": 3, "class": "1"}, {}),
    ],
)
def test_a_flow_with_classes_is_guided_within_bounds(config, payload, options):
    model = Model(SAMPLES, "flow", "PixelDiffusionPipeline", config)
    assert samples.options_of(model, payload) == options
    assert samples.is_guided(model) is bool(config)


def test_a_conditional_gan_opens_with_one_class_and_draws_the_wanted_one(labelled_store):
    (model,) = labelled_store.gallery
    pipe = labelled_store.pipe(model)
    assert (gallery.described(model)["class"], gallery.described(model)["classes"]) == ("3", list("0123456789"))

    def sheet(**payload) -> np.ndarray:
        return picture(function(labelled_store, "sheet")({"seed": 4, "count": 16, **payload})["sheet"])

    def drawn(**options) -> np.ndarray:
        images = to_bytes(pipe(num_images=16, seed=4, output_type="np", **options).images)
        return images.reshape(4, 4, 28, 28, 1).swapaxes(1, 2).reshape(112, 112)

    assert np.array_equal(sheet(), drawn(class_labels="3"))
    assert np.array_equal(sheet(**{"class": "7"}), drawn(class_labels="7"))
    # In turn: what nobody asked for by its name.
    for label in ("", "eleven", ["7"], None):
        assert np.array_equal(sheet(**{"class": label}), drawn())


def test_what_stands_in_two_tabs_is_loaded_once(usual_models):
    store = ModelStore(str(usual_models / "cgan"), tabs=("classes",))
    (one,) = store.conditional
    other = Model(SAMPLES, one.name, one.class_name, one.config, folder=one.folder)
    store.models[SAMPLES] = other
    store.load()
    assert one.pipe is other.pipe is not None


def test_flows_are_told_from_other_models():
    shown = [model for model in built_in_models() if model.kind == SAMPLES]
    assert [model.name for model in shown if gallery.described(model)["flow"]] == ["flow-mnist"]
    assert len(shown) > 5


def test_a_lapgan_shows_its_levels(gan_store):
    def draw(num_images, seed, psi, return_stages, output_type):
        assert return_stages
        return SimpleNamespace(stages=[np.full((num_images, side, side, 3), 0.5) for side in (8, 16)])

    model = Model(SAMPLES, "steps", "LAPGANPipeline", pipe=draw)
    answer = samples.stages_answer(gan_store, model, 0, {"psi": 1.0})
    assert answer["sizes"] == [8, 16]
    assert [picture(uri).shape for uri in answer["sheets"]] == [(8, 32, 3), (16, 64, 3)]
    assert "in one go" in function(gan_store, "stages")({})["message"]


@pytest.mark.parametrize(("count", "shown"), [(1, [1]), (4, [1, 2, 3, 4]), (25, [1, 5, 10, 15, 20, 25])])
def test_a_diffusion_model_shows_its_steps(gan_store, count, shown):
    def draw(num_images, seed, return_trajectory, output_type):
        return SimpleNamespace(trajectory=[np.full((num_images, 16, 16, 1), i / 50) for i in range(1, count + 1)])

    model = Model(SAMPLES, "noise", "PixelDiffusionPipeline", pipe=draw)
    answer = samples.stages_answer(gan_store, model, 0, {})
    assert (answer["steps"], answer["sizes"]) == (shown, [16] * len(shown))
    assert [int(picture(uri).max()) for uri in answer["sheets"]] == [round(255 * step / 50) for step in shown]
    assert f"for number in {shown}]" in answer["code"]


@pytest.mark.parametrize("classes", [{}, {"num_classes": 0}, {"num_classes": 2, "class_names": ["cat", "dog"]}])
def test_a_lapgan_may_have_classes_or_none(tmp_path, classes):
    (tmp_path / "generator").mkdir()
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "LAPGANPipeline"}))
    config = {"sample_size": 32, "num_channels": 3, **classes}
    (tmp_path / "generator" / "config.json").write_text(json.dumps(config))
    (model,) = find_models(str(tmp_path))
    assert (model.kind, model.reason, model.sample_size) == (SAMPLES, None, 32)


def test_built_in_models_are_found_and_bounded(usual_models, monkeypatch):
    store = ModelStore()
    assert store.models[SAMPLES].name == BUILT_IN[SAMPLES]
    assert store.models[SAMPLES] in store.gallery
    assert {model.kind for model in store.gallery} == {SAMPLES}
    folders = ",".join([str(usual_models / "dcgan")] * (MOST[SAMPLES] + 3))
    assert len(find_models(folders)) == MOST[SAMPLES]


def test_the_tab_opens_with_a_model_that_works(gans, tmp_path):
    folder = tmp_path / "a-broken"
    (folder / "generator").mkdir(parents=True)
    (folder / "model_index.json").write_text(json.dumps({"_class_name": "DCGANPipeline"}))
    (folder / "generator" / "config.json").write_text("{")
    store = ModelStore(f"{folder},{gans / 'c-wgan'}", tabs=("samples",))
    assert store.models[SAMPLES].title == "c-wgan"
    assert [bool(gallery.described(model)["reason"]) for model in store.gallery] == [True, False]


def test_a_film_that_unfolds_into_too_much_is_refused(tmp_path, monkeypatch):
    grids = [Image.new("RGB", (64, 64), (i, 0, 0)) for i in range(4)]
    grids[0].save(tmp_path / "film.webp", save_all=True, append_images=grids[1:], lossless=True)
    monkeypatch.setattr(films, "MAX_PIXELS", 4 * 64 * 64 - 1)
    with pytest.raises(
        UserError, match=rf"^{tmp_path.name}/film.webp is no film of training: it has 4 frame.s. of 64x64"
    ):
        films.sprite(tmp_path / "film.webp")
