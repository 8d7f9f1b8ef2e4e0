"""Every server function: right answers for right questions, and an answer, never an exception, for anything else."""

from __future__ import annotations

import base64
import io
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from genmodels.models.prior import fit_mixture
from genmodels.ui import classes, comparer, directions, map, pair, real_or_fake, samples, training
from genmodels.ui.models import Model, ModelStore, RealImages
from genmodels.ui.pictures import FRAMES, PNG_PREFIX, to_bytes

TABS = {"map": map, "samples": samples, "classes": classes, "real_or_fake": real_or_fake, "training": training}
KEYS = ["z", "a", "b", "drawing", "index", "seed", "count", "psi", "label", "text", "kind", "side", "model"]
KEYS += ["session", "settings", "steps", "parents", "mutation", "round", "strengths", "deviation"]
NASTY = [
    None,
    True,
    float("nan"),
    float("inf"),
    -float("inf"),
    1e308,
    -1,
    10**400,
    "",
    "abc",
    "9" * 100_000,
    "NaN",
    "²",
    "\uff11\uff12",
    "\x00",
    [],
    [None],
    [float("nan"), "x"],
    [[1, 2], [3]],
    [1e308, -1e308, 3],
    list(range(100_000)),
    {},
    {"x": 1},
    "A" * 20_000,
    "classes",
    0.5,
]


def handlers(store: ModelStore, tabs=tuple(TABS)) -> dict:
    return {f"{name}.{f.__name__}": f for name in tabs for f in TABS[name].functions(store)}


def image_of(uri: str) -> Image.Image:
    assert uri.startswith(PNG_PREFIX)
    return Image.open(io.BytesIO(base64.b64decode(uri.removeprefix(PNG_PREFIX))))


@pytest.fixture(scope="module")
def usual_handlers(usual_store) -> dict:
    """What they find out once, they know for all tests."""
    return handlers(usual_store)


@pytest.mark.slow
@pytest.mark.parametrize(
    "value", NASTY, ids=lambda v: f"{type(v).__name__} {str(v)[:12]!r}" if not isinstance(v, int) else ""
)
def test_garbage_gets_an_answer(usual_handlers, value):
    for name, handler in usual_handlers.items():
        if name.endswith(".start"):
            continue
        for payload in (value, dict.fromkeys(KEYS, value)):
            answer = handler(payload)
            assert answer["status"] in ("ok", "error"), name
            assert len(answer.get("message", "")) < 300
            assert "log says" not in answer.get("message", ""), name
            json.dumps(answer, allow_nan=False)


def test_no_model_yet_means_loading(usual_models):
    store = ModelStore(str(usual_models))
    # Films lie in files, whether a model has levels is known, what is trained live needs no model, and no round was dealt.
    without = (".film", ".stages", ".replay", ".live_start", ".live_train", ".guess")
    answers = {name: f for name, f in handlers(store).items() if not name.endswith(without)}
    assert {name: f({"text": "1"})["status"] for name, f in answers.items()} == dict.fromkeys(answers, "loading")


def test_start_is_the_same_for_everybody(usual_store):
    for name, handler in handlers(usual_store).items():
        if name.endswith(".start"):
            assert handler() == handler({"x": 1})
            assert handler()["status"] == "ok"


def test_two_maps_decode_one_latent(usual_store):
    answers = handlers(usual_store)
    both = answers["map.decode_both"]({"z": [1.234, -99]})
    assert both["z"] == [1.23, -6.0]
    assert both["map"] == answers["map.decode"]({"z": [1.23, -6]})["picture"]
    assert both["autoencoder"] != both["map"]
    first = answers["map.pair"]({})
    assert abs(first["z"][0]) <= first["limit"] <= 6
    for kind in pair.PAIR:
        assert first[kind]["points"]["total"] == 2000
        assert 0 <= first[kind]["in_holes"] <= 1


@pytest.mark.slow
def test_a_hole_is_where_no_test_image_is_near():
    points = {"x": [0.0, 1.0], "y": [0.0, 0.0]}
    assert np.allclose(pair.to_nearest(np.array([[0.0, 0.3], [1.0, -2.0], [0.5, 0.0]]), points), [0.3, 2.0, 0.5])
    everywhere = np.random.default_rng(1).uniform(-5, 5, (2, 20_000))
    assert pair.in_holes({"x": everywhere[0], "y": everywhere[1]}) < 0.01
    assert pair.in_holes({"x": [9.0], "y": [9.0]}) == 1
    # On the left both have images, on the right the VAE alone, above and below none has.
    x = np.linspace(-2, 2, 41)
    vae, plain = {"x": x, "y": 0 * x}, {"x": x[:20], "y": 0 * x[:20]}
    assert pair.first_spot(vae, plain) == [2.0, 0.0]


def test_the_map_draws_from_the_normal_prior_and_from_the_fitted_law(usual_models, usual_store):
    drawn = handlers(usual_store)["map.drawn"]
    normal = drawn({"prior": "normal", "seed": 3})
    assert normal == drawn({"prior": ["x"], "seed": 3})
    assert 'prior="normal"' in normal["code"]
    assert "No law was fitted" in drawn({"prior": "fitted"})["message"]
    assert map.first_page(usual_store)["law"] is None

    store = ModelStore(str(usual_models / "vae"), tabs=("map",))
    store.load()
    pipe, generator = store.pipe("map"), torch.Generator().manual_seed(0)
    points = torch.randn(400, 2, generator=generator) @ torch.tensor([[2.0, 1.0], [0.0, 0.5]]) + torch.tensor(
        [3.0, -1.0]
    )
    pipe.register_modules(prior=fit_mixture(points, 1))
    ((share, x, y, long, short, angle),) = map.first_page(store)["law"]
    assert (share, x, y) == pytest.approx((1, *points.mean(0).tolist()), abs=0.01)
    # The ellipse's half axes and their direction are the covariance's.
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    covariance = turned @ np.diag([long**2, short**2]) @ turned.T
    assert np.allclose(covariance, np.cov(points.T.numpy(), bias=True), atol=0.05)
    fitted = handlers(store, ["map"])["map.drawn"]({"prior": "fitted", "seed": 3})
    assert np.allclose(fitted["latents"], pipe(num_images=8, seed=3).latents.numpy(), atol=0.006)
    assert image_of(fitted["sheet"]).size == (8 * 28, 28)


def test_samples_are_bounded_and_reproducible(usual_store):
    sheet = handlers(usual_store)["samples.sheet"]
    first = sheet({"seed": 3, "count": 16, "psi": 0.8})
    assert image_of(first["sheet"]).size == (4 * 32, 4 * 32)
    assert sheet({"seed": 3, "count": 16, "psi": 0.8}) == first
    assert sheet({"seed": 4, "count": 16, "psi": 0.8})["sheet"] != first["sheet"]
    assert sheet({"seed": 3.0, "count": 16.0, "psi": 0.8}) == first
    assert sheet({"seed": 1e30, "count": 10**9, "psi": 99}) == sheet({"seed": 2**31 - 1, "count": 36, "psi": 1.5})


def test_between_starts_and_ends_at_the_chosen_images(usual_store):
    answers = handlers(usual_store)
    film = np.asarray(image_of(answers["samples.between"]({"seed": 3, "a": 1, "b": 6, "psi": 0.8})["film"]))
    sheet = np.asarray(image_of(answers["samples.sheet"]({"seed": 3, "count": 16, "psi": 0.8})["sheet"]))
    assert film.shape == (32, 32 * FRAMES, 3)
    assert np.abs(film[:, :32].astype(int) - sheet[:32, 32:64]).max() <= 1
    assert np.abs(film[:, -32:].astype(int) - sheet[32:64, 64:96]).max() <= 1


@pytest.mark.parametrize(
    ("text", "says"),
    [("", "Type a number"), ("   ", "Type a number"), (None, "Type a number"), ("20a6", "Only the digits"),
     ("-1", "Only the digits"), ("1" * 13, "at most 12"), ("٣", "Only the digits")],
)  # fmt: skip
def test_what_cannot_be_written_is_explained(usual_store, text, says):
    answer = handlers(usual_store)["classes.write"]({"text": text})
    assert answer["status"] == "error"
    assert says in answer["message"]


def test_a_number_is_one_strip(usual_store):
    answer = handlers(usual_store)["classes.write"]({"text": " 2026 ", "seed": 1})
    assert image_of(answer["number"]).size == (4 * 28, 28)


def test_the_nearest_image_of_a_training_image_is_itself():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, 8, 8, 3), dtype=np.uint8)
    labels = np.zeros(50, np.int64)
    noise = RealImages("noise", "", images, images, labels, labels, [], True)
    (found,), (distances,) = noise.nearest(images[17:18], 3)
    assert found[0] == 17
    assert distances[0] < 1e-3 < distances[1] < distances[2]
    flat = np.sqrt(((images / 255 - images[17] / 255) ** 2).mean((1, 2, 3)))
    assert np.allclose(distances, np.sort(flat)[:3], atol=1e-3)


def test_reals_and_fakes_are_compared(usual_store):
    answer = handlers(usual_store)["real_or_fake.compare"]({"kind": "classes", "seed": 5})
    assert len(answer["real"]["scores"]) == len(answer["generated"]["scores"]) == comparer.COUNT
    assert 0 <= answer["ranked"] <= 1
    many = handlers(usual_store)["real_or_fake.histogram"]({"kind": "classes", "seed": 5})
    assert len(many["real"]) == len(many["generated"]) == comparer.SCORED
    # About the model, whatever was clicked.
    assert handlers(usual_store)["real_or_fake.histogram"]({"kind": "classes", "seed": 6}) == many
    near = handlers(usual_store)["real_or_fake.neighbours"]({"kind": "classes", "seed": 5, "side": "real", "index": 2})
    assert near["distances"] == sorted(near["distances"])
    assert near["total"] == 10_000


def test_a_real_image_is_shown_with_its_own_score_and_neighbours(usual_store):
    """The two functions find the same test image by its seed and number."""
    answers = handlers(usual_store)
    sheet = np.asarray(image_of(answers["real_or_fake.compare"]({"kind": "samples", "seed": 9})["real"]["sheet"]))
    near = answers["real_or_fake.neighbours"]({"kind": "samples", "seed": 9, "side": "real", "index": 6})
    assert (np.asarray(image_of(near["sheet"]))[:, :32] == sheet[32:64, 64:96]).all()


def test_a_litter_descends_from_its_parents(usual_store):
    call = handlers(usual_store)
    first = call["samples.founders"]({"seed": 2})
    assert [len(latent) for latent in first["latents"]] == [8, 8]
    litter = call["samples.litter"]({"parents": first["latents"], "mutation": 0, "seed": 1})
    assert image_of(litter["sheet"]).size == (4 * 32, 3 * 32)
    for child in litter["latents"]:
        assert all(v in (a, b) for v, a, b in zip(child, *first["latents"], strict=True))
    for parents in (None, [], [[1.0] * 8], [[1.0] * 8, [1.0] * 9], [["x"] * 8, 3]):
        assert "list of 8 numbers" in call["samples.litter"]({"parents": parents})["message"]


def test_only_models_of_one_latent_breed(gan_store):
    (loop,) = (f for f in samples.functions(gan_store) if f.__name__ == "loop")
    for model in gan_store.gallery:
        answer = loop({"model": model.name})
        assert answer["status"] == ("ok" if model.family.breeds else "error")


def test_one_models_directions_do_not_wait_for_anothers():
    begun, go_on = threading.Event(), threading.Event()
    calls = []

    def slow(count):
        calls.append(count)
        begun.set()
        assert go_on.wait(60)
        return "slow"

    pipes = {
        "a": SimpleNamespace(latent_dim=3, principal_directions=slow),
        "b": SimpleNamespace(latent_dim=3, principal_directions=lambda count: "quick"),
    }
    found = directions.Directions()

    def of(name: str):
        return found.of(Model("samples", name), pipes[name], {})

    with ThreadPoolExecutor(3) as pool:
        both = [pool.submit(of, "a") for _ in range(2)]
        assert begun.wait(60)
        assert pool.submit(of, "b").result(60) == of("b") == "quick"
        go_on.set()
        assert [future.result(60) for future in both] == ["slow", "slow"]
    assert calls == [3]


@pytest.mark.slow
def test_images_move_along_principal_directions(usual_store):
    moved = handlers(usual_store)["samples.moved"]
    still = moved({"seed": 3})
    assert still["before"] == still["after"]
    assert still["strengths"] == [0.0] * 6
    assert still["explained"] == sorted(still["explained"], reverse=True)
    far = moved({"seed": 3, "strengths": [0, 99, float("nan"), "x"]})
    assert far["strengths"] == [0.0, 6.0, 0.0, 0.0, 0.0, 0.0]
    assert far["before"] == still["before"] != far["after"]


def test_the_discriminator_scores_what_the_classes_show(usual_store):
    answer = handlers(usual_store)["classes.row"]({"seed": 2})
    pipe = usual_store.pipe("classes")
    drawn = pipe(latents=pipe(seed=2).latents.repeat(10, 1), output_type="np")
    expected = pipe.discriminate(drawn.images, drawn.class_labels).tolist()
    assert np.allclose(answer["scores"], expected, atol=0.006)
    assert len(handlers(usual_store)["classes.samples"]({"seed": 2, "label": 3})["scores"]) == classes.PER_CLASS


@pytest.fixture(scope="module")
def two_conditional(usual_models, odd_models):
    store = ModelStore(f"{usual_models / 'cgan'},{odd_models / 'cgan'}", tabs=("classes",))
    store.load()
    return store


def test_every_conditional_model_can_be_chosen(two_conditional):
    digits, animals = two_conditional.conditional
    answers = handlers(two_conditional, ["classes"])
    assert image_of(answers["classes.row"]({})["row"]).size == (10 * 28, 28)
    other = answers["classes.row"]({"model": animals.name, "seed": 2})
    assert (other["model"], image_of(other["row"]).size) == (animals.key, (3 * 16, 16))
    assert image_of(answers["classes.table"]({"model": animals.name})["table"]).size == (3 * 16, classes.STYLES * 16)
    # Labels are those of the chosen model.
    last = answers["classes.samples"]({"model": animals.name, "label": 9})
    assert last == answers["classes.samples"]({"model": animals.name, "label": 2})
    assert "cannot write numbers" in answers["classes.write"]({"model": animals.name, "text": "1"})["message"]
    assert answers["classes.row"]({"model": "no such model"}) == answers["classes.row"]({"model": digits.name})


def test_the_page_knows_every_conditional_model_before_it_draws(two_conditional):
    digits, animals = (classes.described(model) for model in two_conditional.conditional)
    assert (digits["writes"], digits["pair"], digits["row"], digits["size"]) == (True, (3, 8), 10, 28)
    assert (animals["writes"], animals["pair"], animals["row"], animals["size"]) == (False, (0, 1), 3, 16)


def test_a_conditional_vae_draws_what_its_pipeline_does_and_has_no_scores(conditional_vae):
    store, pipe = conditional_vae
    answers = handlers(store, ["classes"])
    row = answers["classes.row"]({"seed": 2, "psi": 0.5})
    latent = pipe(seed=2).latents.repeat(3, 1)
    drawn = pipe(latents=latent * 0.5, class_labels=[0, 1, 2], output_type="np").images
    assert np.array_equal(image_of(row["row"]), np.concatenate(to_bytes(drawn)[..., 0], 1))
    assert row["scores"] is None
    film = np.asarray(image_of(answers["classes.mix"]({"seed": 2, "a": 2, "b": 0})["film"]))
    ends = pipe(latents=latent[:2], class_labels=["owl", "cat"], output_type="np").images
    assert np.array_equal(film[:, :16], to_bytes(ends)[0, ..., 0])
    assert np.array_equal(film[:, -16:], to_bytes(ends)[1, ..., 0])


def test_the_tab_opens_with_a_conditional_model_that_works(usual_models, odd_models, tmp_path):
    broken = tmp_path / "a-broken"
    shutil.copytree(usual_models / "cgan", broken)
    (broken / "generator" / "config.json").write_text("{")
    store = ModelStore(f"{broken},{odd_models / 'cgan'}", tabs=("classes",))
    assert store.models["classes"] is store.conditional[1]
    assert [bool(classes.described(model)["reason"]) for model in store.conditional] == [True, False]
