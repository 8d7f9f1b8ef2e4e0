"""Whatever a page or a program sends, the answer is one that it can show: thousands of likely, damaged and absurd inputs."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import gradio as gr
import hypothesis
import numpy as np
import pytest
from helpers import make_pipeline, run_coroutine
from hypothesis import strategies as st
from PIL import Image
from test_handlers import NASTY, handlers

from genmodels.errors import UserError
from genmodels.ui import game, live, map, memory
from genmodels.ui.api import add_api
from genmodels.ui.live import worker
from genmodels.ui.models import ModelStore

pytestmark = pytest.mark.slow
INPUTS = 2000
# How often a handler and an endpoint are called; those that take longer, or read nothing, less often.
# Two known attributes that differ are rare among all that may be sent.
CALLS, CALLS_OF = 72, {"samples.loop": 12, "training.memorised": 24, "map.factors": 240}
CALLS_OF_FIXED, CALLS_OF_ENDPOINT = 6, 260
# One sentence, short enough to be read.
SENTENCE = re.compile(r"[A-Za-z'\d](?!.*[.!?] )[^\n]{10,300}\.")
# A training that exists, whatever else is trained meanwhile.
SESSION = "a-visitor"
# The tests' models for these tabs came without a film.
WITHOUT_FILM = ("map.film", "classes.film")
TITLES = ("vae", "autoencoder", "vae-faces", "dcgan", "cgan", "a-gan", "b-dcgan", "c-wgan", "lapgan")


def file_of(image: Image.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def text_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))
FILES = [
    file_of(NOISE, "PNG"),
    file_of(NOISE.convert("L"), "PNG"),
    file_of(NOISE.convert("LA"), "PNG"),
    file_of(NOISE.convert("RGBA"), "PNG"),
    file_of(NOISE.convert("P"), "PNG"),
    file_of(NOISE.convert("1"), "PNG"),
    file_of(NOISE.convert("I;16"), "PNG"),
    file_of(NOISE, "PNG", save_all=True, append_images=[NOISE.rotate(90)]),
    file_of(NOISE.resize((1, 900)), "PNG"),
    file_of(NOISE, "JPEG"),
    file_of(NOISE.convert("CMYK"), "JPEG"),
    file_of(NOISE, "WEBP"),
    file_of(NOISE, "WEBP", save_all=True, append_images=[NOISE.rotate(90)]),
    *(file_of(NOISE, format) for format in ("AVIF", "BMP", "GIF", "TIFF")),
    file_of(NOISE.convert("F"), "TIFF"),
]
NO_IMAGES = [
    file_of(NOISE, "PPM"),
    file_of(Image.new("1", (16_000, 9_000)), "PNG"),
    b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>',
    b"%PDF-1.4",
    b"\x89PNG\r\n\x1a\n",
    b"",
]
# A page draws on 112 x 112 pixels, and sends photos of 16 x 16 to the tests' model of faces.
DRAWINGS = [
    text_of(pixels.tobytes())
    for pixels in (
        *(np.full((map.DRAWING, map.DRAWING), ink, np.uint8) for ink in (0, map.INK, 255)),
        np.eye(map.DRAWING, dtype=np.uint8) * 255,
        np.pad([[255]], (0, map.DRAWING - 1)).astype(np.uint8),
        np.zeros(map.DRAWING**2 - 1, np.uint8),
    )
]
PHOTOS = [text_of(bytes(size)) for size in (16 * 16 * 3, 16 * 16 * 3 - 1, 16 * 16, 0)]

TEXTS = st.text(st.characters(), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=6,
)
GARBAGE = st.sampled_from(NASTY) | st.floats() | st.integers() | JSON
NUMBERS = st.integers(-2, 70) | st.floats(-7, 7) | st.floats(-7, 7).map(str) | st.integers(0, 2**31).map(float)


def often(right: st.SearchStrategy, else_: st.SearchStrategy = GARBAGE) -> st.SearchStrategy:
    """The one three times out of four, else the other."""
    return st.integers(0, 3).flatmap(lambda kind: right if kind else else_)


@st.composite
def images(draw) -> str:
    """Files as text: half of them whole, the others cut off, with a wrong byte, or of another format."""
    data = bytearray(draw(st.sampled_from(FILES)))
    match draw(st.sampled_from(["whole", "whole", "whole", "cut", "damaged", "other"])):
        case "cut":
            data = data[: draw(st.integers(0, len(data) - 1))]
        case "damaged":
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
        case "other":
            data = draw(st.sampled_from(NO_IMAGES))
    return draw(st.sampled_from([*[""] * 5, "data:image/png;base64,", "data:image/svg+xml,", "data:"])) + text_of(data)


WHOLE = st.integers(0, 70)
SEEDS = st.integers(0, 2**31 - 1) | NUMBERS
POINTS = st.lists(st.floats(-7, 7), min_size=2, max_size=2) | st.lists(NUMBERS, max_size=3)
KINDS = st.sampled_from(["classes", "samples", "map", "Classes"])
LATENTS = st.sampled_from([8, 5, 11, 4, 0]).flatmap(lambda n: st.lists(NUMBERS, min_size=n, max_size=n))
PARENTS = st.lists(LATENTS, max_size=3) | st.lists(st.floats(-11, 11), min_size=8, max_size=8).map(lambda z: [z, z])
ATTRIBUTES = st.sampled_from(["Smiling", "Wearing_Hat", "Beard", ""])
CLASS_NAMES = st.sampled_from([*"0123456789", "cat", "dog", "owl", " 7 ", "bee", ""])
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "data": often(st.sampled_from([*live.DATA, "Ring"])),
        "loss": often(st.sampled_from([*live.LOSSES, "hinge"])),
        **{switch: often(st.booleans()) for switch in live.SWITCHES},
        "generator_rate": often(st.sampled_from([*live.RATES, 1, 0.002])),
        "discriminator_rate": often(st.sampled_from([*live.RATES, 1, 0.002])),
        "discriminator_steps": often(NUMBERS),
        "seed": often(SEEDS),
        "mixture": GARBAGE,
    },
)


def fields_of_handlers(models: list[str]) -> dict[str, dict[str, st.SearchStrategy]]:
    """What each handler reads from its payload.

    Args:
        models: the names of the models that the page shows.
    """
    face = {"seed": SEEDS, "index": NUMBERS, "z": st.none() | LATENTS}
    face["square"] = st.lists(NUMBERS | st.integers(0, 10**6), max_size=4)
    class_of = {"label": NUMBERS, "a": NUMBERS, "b": NUMBERS}
    drawn = {"model": st.sampled_from([*models, "no such model"]), "seed": SEEDS, "psi": NUMBERS}
    asked = {**drawn, "class": CLASS_NAMES, "guidance": NUMBERS}
    return {
        "map.start": {},
        "map.decode": {"z": POINTS},
        "map.decoder": {},
        "map.decoders": {},
        "map.resample": {"z": POINTS, "deviation": POINTS, "seed": SEEDS},
        "map.drawn": {"seed": SEEDS, "prior": st.sampled_from(["normal", "fitted", "Fitted"])},
        "map.line": {"a": POINTS, "b": POINTS},
        "map.place": {"drawing": st.sampled_from(DRAWINGS) | images()},
        "map.example": {"index": NUMBERS},
        "map.film": {},
        "map.pair": {},
        "map.decode_both": {"z": POINTS},
        "map.faces": {"seed": SEEDS},
        "map.edit": {**face, "strengths": st.dictionaries(often(ATTRIBUTES).map(str), often(NUMBERS), max_size=3)},
        "map.arithmetic": {"seed": SEEDS, "a": NUMBERS, "b": NUMBERS, "c": NUMBERS},
        "map.photo": {"photo": st.sampled_from(PHOTOS) | images()},
        "map.factors": {**face, "a": ATTRIBUTES, "b": ATTRIBUTES},
        "samples.start": {},
        "samples.sheet": {**asked, "count": st.sampled_from([16, 16.0, 36, "36", 64, 65])},
        "samples.between": {**drawn, "a": NUMBERS, "b": NUMBERS},
        "samples.stages": drawn,
        "samples.film": drawn,
        "samples.row": {**drawn, "a": NUMBERS, "b": NUMBERS},
        "samples.founders": asked,
        "samples.litter": {**asked, "parents": PARENTS, "mutation": NUMBERS | st.floats(0, 1)},
        "samples.loop": asked,
        "samples.moved": {**asked, "strengths": st.lists(NUMBERS, max_size=8)},
        "classes.start": {},
        "classes.row": {"seed": SEEDS, "psi": NUMBERS},
        "classes.samples": {"seed": SEEDS, "psi": NUMBERS, **class_of},
        "classes.table": {"seed": SEEDS, "psi": NUMBERS},
        "classes.mix": {"seed": SEEDS, "psi": NUMBERS, **class_of},
        "classes.write": {"seed": SEEDS, "psi": NUMBERS, "text": st.text("0123456789 ", max_size=14) | TEXTS},
        "classes.film": {},
        "real_or_fake.start": {},
        "real_or_fake.compare": {"kind": KINDS, "seed": SEEDS},
        "real_or_fake.histogram": {"kind": KINDS},
        "real_or_fake.neighbours": {
            **{"kind": KINDS, "seed": SEEDS, "index": NUMBERS},
            "side": st.sampled_from(["real", "generated", "left"]),
        },
        "real_or_fake.play": {"kind": KINDS},
        "real_or_fake.guess": {"round": KINDS.map(lambda kind: game.FIRST + kind) | TEXTS},
        "training.live_start": {"settings": SETTINGS},
        "training.live_train": {"session": st.just(SESSION) | TEXTS, "steps": NUMBERS},
        "training.replay": {"model": st.sampled_from([*models, "cgan-collapsed"])},
        "training.memorised": {"kind": KINDS, "seed": SEEDS},
    }


def payloads(fields: dict[str, st.SearchStrategy]) -> st.SearchStrategy:
    """What a page may send to a handler, or anything at all."""
    right = st.fixed_dictionaries({key: often(value) for key, value in fields.items()})
    return st.integers(0, 15).flatmap(lambda kind: right if kind else GARBAGE)


def calls_of(name: str, fields: dict) -> int:
    """How often a handler is called."""
    return CALLS_OF.get(name, CALLS) if fields else CALLS_OF_FIXED


MODEL = st.sampled_from([*[""] * 4, *TITLES, "dogs"])
COMPARED = st.sampled_from(["", "dcgan", "cgan", "vae"])
SEED = st.integers(0, 2**31 - 1)
LABELS = often(st.just(""), st.lists(CLASS_NAMES, max_size=4).map(",".join) | st.just("7," * 65))
IMAGE = often(st.just(""), images())
ENCODER = st.sampled_from(["", "vae", "autoencoder", "vae-faces", "dcgan"])
STRENGTHS = st.dictionaries(st.sampled_from(["Smiling", "Wearing_Hat"]), often(st.floats(-4.5, 4.5)), min_size=1)
# The arguments of each endpoint.
ENDPOINTS = {
    "sample": {
        **{"num_images": WHOLE, "seed": SEED, "psi": st.just(1) | st.floats(0, 2)},
        **{"model": MODEL, "class_labels": LABELS},
    },
    "sample_many": {
        **{"num_images": often(st.integers(1, 40), st.sampled_from([0, *range(60, 70), 1000, 1001])), "seed": SEED},
        **{"psi": st.floats(0, 2.1), "model": MODEL},
    },
    "interpolate": {
        **{"seed_a": SEED, "seed_b": SEED, "steps": often(st.integers(2, 32), st.integers(1, 33))},
        **{"model": MODEL, "class_labels": LABELS},
    },
    "decode": {"x": st.floats(-6.5, 6.5), "y": st.floats(-6, 6) | st.integers(-7, 7)},
    "reconstruct": {"image": images(), "model": ENCODER},
    "edit": {"attributes": STRENGTHS, "image": IMAGE, "seed": SEED},
    "discriminate": {"model": COMPARED, "seed": SEED, "image": IMAGE, "class_label": CLASS_NAMES},
    "neighbors": {"image": IMAGE, "k": st.integers(0, 17), "model": COMPARED, "seed": SEED},
}


@st.composite
def arguments(draw, fields: dict[str, st.SearchStrategy]) -> dict:
    """Arguments of an endpoint, of which at most one is absurd."""
    absurd = draw(st.sampled_from([*[None] * 2 * len(fields), *fields]))
    return {name: draw(GARBAGE if name == absurd else right) for name, right in fields.items()}


def repeated(calls: int):
    """Settings under which a test function is called so often, and with the same inputs every time."""
    return hypothesis.settings(
        max_examples=calls,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )


class Trainers:
    """The process that trains visitors' GANs, without the process."""

    def __init__(self):
        self.sessions = worker.Sessions()

    def ask(self, request: dict) -> dict:
        """See `live.Trainer.ask`."""
        if SESSION not in self.sessions.runs:
            self.sessions.answer({"session": SESSION, "settings": live.settings_of({"settings": {"data": "digits"}})})
        try:
            answer = self.sessions.answer(json.loads(json.dumps(request)))
        except UserError as error:
            answer = {"error": str(error)}
        return json.loads(json.dumps(answer))


@pytest.fixture(scope="module")
def stores(usual_models, odd_models, gans, faces_model, tmp_path_factory) -> list[ModelStore]:
    """Every kind of model, in usual shapes and in odd ones; what is slow about the tabs is made short."""
    folder = tmp_path_factory.mktemp("fuzz")
    make_pipeline("lapgan").save_pretrained(folder / "lapgan")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "pictures"))
        patch.setattr(game, "CALIBRATED", 6)
        patch.setattr(memory, "COUNT", 8)
        patch.setattr(live, "SECONDS", 0.01)
        patch.setattr(live.TRAINER, "ask", Trainers().ask)
        stores = [
            ModelStore(f"{usual_models},{gans},{faces_model},{folder / 'lapgan'}"),
            ModelStore(f"{odd_models},{faces_model}"),
        ]
        for store in stores:
            store.load()
        yield stores


@pytest.fixture(scope="module")
def endpoints(stores) -> list[dict]:
    """The public functions of each store, by their names."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        for store in stores:
            found.append({})
            patch.setattr(gr, "api", lambda function, api_name, **_: found[-1].__setitem__(api_name, function))
            add_api(store)
    return found


def test_all_that_can_be_called_is_fuzzed_often_enough(stores, endpoints):
    fields = fields_of_handlers([])
    for store, functions in zip(stores, endpoints, strict=True):
        assert set(handlers(store)) == set(fields)
        assert set(functions) == set(ENDPOINTS)
    assert sum(calls_of(*item) for item in fields.items()) >= INPUTS
    assert CALLS_OF_ENDPOINT * len(ENDPOINTS) >= INPUTS
    assert {model.title for model in [*stores[0].models.values(), *stores[0].gallery]} == set(TITLES)


@pytest.mark.parametrize("name", fields_of_handlers([]))
def test_a_handler_answers_anything(stores, name):
    names = [model.name for store in stores for model in store.gallery]
    fields = fields_of_handlers(names)[name]
    found = [handlers(store)[name] for store in stores]
    statuses = []

    @repeated(calls_of(name, fields))
    @hypothesis.given(handler=st.sampled_from(found), payload=payloads(fields))
    def ask(handler, payload):
        answer = handler(payload)
        # As the server sends it.
        json.dumps(answer, allow_nan=False, ensure_ascii=False).encode()
        statuses.append(answer["status"])
        assert answer["status"] in ("ok", "error")
        assert ("message" in answer) == (answer["status"] == "error")
        assert 0 < len(answer.get("message", ".")) < 300
        assert "log says" not in answer.get("message", "")

    ask()
    assert len(statuses) >= calls_of(name, fields)
    assert "ok" in statuses or name in WITHOUT_FILM


@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_endpoint_returns_or_says_in_a_sentence_what_is_wrong(endpoints, name):
    outcomes = []

    @repeated(CALLS_OF_ENDPOINT)
    @hypothesis.given(function=often(*(st.just(of[name]) for of in endpoints)), given=arguments(ENDPOINTS[name]))
    def call(function, given):
        answer, refusal = {}, None
        try:
            answer = run_coroutine(function(**given))
        except gr.Error as error:
            refusal = error.message
        outcomes.append(refusal is None)
        json.dumps(answer, allow_nan=False)
        for picture in (answer, answer.get("sheet", {})):
            assert "path" not in picture or Path(picture["path"]).is_file()
        assert refusal is None or SENTENCE.fullmatch(refusal)

    call()
    assert len(outcomes) >= CALLS_OF_ENDPOINT
    # Neither is so rare that nothing is learned from it.
    assert 0.1 < sum(outcomes) / len(outcomes) < 0.9
