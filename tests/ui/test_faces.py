"""The Faces view: right edits for right questions, a sentence for anything else, and no trace of it without a model."""

from __future__ import annotations

import base64
import json
import shutil

import numpy as np
import torch
from test_handlers import NASTY, image_of

from genmodels import AttributeDirections, VAEPipeline
from genmodels.ui import faces, map
from genmodels.ui.models import AUTOENCODER, BUILT_IN, FACES, MAP, ModelStore
from genmodels.ui.pictures import to_bytes
from genmodels.ui.suite import build
from genmodels.ui.widget import tabs

SIZE = 16
KEYS = ["seed", "index", "z", "strengths", "photo", "square", "a", "b"]
PHOTO = {"z": [0.5, -1.0, 0.25, 2.0]}


def handlers(store: ModelStore) -> dict:
    return {f.__name__: f for f in faces.functions(store)}


def picture_of(answer: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(answer["picture"]), np.uint8).reshape(SIZE, SIZE, 3)


def face(store: ModelStore, seed: int, index: int, **strengths: float) -> np.ndarray:
    """What the pipeline itself makes of a face."""
    pipe = store.pipe(FACES)
    latents = pipe(num_images=12, seed=seed).latents[index : index + 1]
    return to_bytes(pipe.edit(latents=latents, attribute=strengths, output_type="np").images)[0]


def close(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal but for the rounding of batches of different sizes."""
    return bool(np.abs(a.astype(int) - b).max() <= 1)


class TestEdit:
    def test_it_is_that_of_the_pipeline(self, faces_store):
        answer = handlers(faces_store)["edit"]({"seed": 5, "index": 7, "strengths": {"Wearing_Hat": 1.5, "Smiling": 0}})
        assert close(picture_of(answer), face(faces_store, 5, 7, Wearing_Hat=1.5))
        assert not close(picture_of(answer), face(faces_store, 5, 7))
        assert 'attribute={"Wearing_Hat": 1.5}' in answer["code"]

    def test_twelve_faces_of_a_seed(self, faces_store):
        answer = handlers(faces_store)["faces"]({"seed": 5})
        sheet = np.asarray(image_of(answer["sheet"]))
        assert sheet.shape == (SIZE, 12 * SIZE, 3)
        assert close(sheet[:, 3 * SIZE : 4 * SIZE], face(faces_store, 5, 3))
        assert answer["names"] == ["Smiling", "Wearing_Hat"]
        assert answer["held_fixed"] is False

    def test_without_strengths_and_with_nothing_added_a_face_is_that_of_the_sheet(self, faces_store):
        functions = handlers(faces_store)
        on_sheet = np.asarray(image_of(functions["faces"]({"seed": 5})["sheet"]))[:, 3 * SIZE : 4 * SIZE]
        edited = picture_of(functions["edit"]({"seed": 5, "index": 3, "strengths": {}}))
        added = picture_of(functions["arithmetic"]({"seed": 5, "a": 3, "b": 1, "c": 1}))
        assert close(edited, on_sheet)
        assert close(added, on_sheet)

    def test_numbers_are_clamped(self, faces_store):
        edit = handlers(faces_store)["edit"]
        far = edit({"seed": 1e30, "index": 99, "strengths": {"Smiling": 99, "Wearing_Hat": float("nan")}})
        assert far == edit({"seed": 2**31 - 1, "index": 11, "strengths": {"Smiling": 2}})

    def test_an_unknown_attribute_is_told(self, faces_store):
        answer = handlers(faces_store)["edit"]({"strengths": {"Moustache": 1}})
        assert answer["message"] == "There is no such attribute: known are Smiling, Wearing_Hat."

    def test_a_latent_of_a_photo(self, faces_store):
        z = [0.5, -1.0, 0.25, 2.0]
        pipe, edit = faces_store.pipe(FACES), handlers(faces_store)["edit"]
        expected = pipe.edit(latents=torch.tensor([z]), attribute="Smiling", output_type="np").images
        answer = edit({"z": z, "strengths": {"Smiling": 1}})
        assert close(picture_of(answer), to_bytes(expected)[0])
        assert "photo.jpg" in answer["code"]
        for wrong in ([], z[:3], z * 1000, "z", 5, {"0": 1}):
            assert "list of 4 numbers" in edit({"z": wrong})["message"]
        odd = edit({"z": [float("nan"), 1e300, None, "x"], "square": [-5, 1e300, float("nan"), 7]})
        assert "crop((0, 100000, 1, 100001))" in odd["code"]


class TestPhoto:
    PIXELS = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)

    def test_it_is_encoded_and_decoded(self, faces_store):
        pipe = faces_store.pipe(FACES)
        answer = handlers(faces_store)["photo"]({"photo": base64.b64encode(self.PIXELS.tobytes()).decode()})
        assert np.allclose(answer["z"], pipe.encode(self.PIXELS[None]).mean[0], atol=1e-4)
        assert close(picture_of(answer), to_bytes(pipe.reconstruct(self.PIXELS[None], "np").images)[0])
        # What the page then sends back stands for the same face.
        assert close(picture_of(handlers(faces_store)["edit"]({"z": answer["z"]})), picture_of(answer))

    def test_anything_else_is_told(self, faces_store):
        right = base64.b64encode(self.PIXELS.tobytes()).decode()
        for wrong in (None, 5, [], "", "é" * 1024, right[:-4], right + "AAAA", "=" + right[1:], "A" * 10**7):
            answer = handlers(faces_store)["photo"]({"photo": wrong})
            assert answer["message"] == "That is no photo of 16 by 16 pixels: choose one with the button."


class TestFactors:
    def test_the_face_is_in_the_middle(self, faces_store):
        answer = handlers(faces_store)["factors"]({"seed": 5, "index": 2, "a": "Wearing_Hat", "b": "Smiling"})
        sheet = np.asarray(image_of(answer["grid"]))
        cells = sheet.reshape(SIZE, 25, SIZE, 3).swapaxes(0, 1)
        assert close(cells[12], face(faces_store, 5, 2))
        assert close(cells[4], face(faces_store, 5, 2, Wearing_Hat=2.0, Smiling=2.0))
        assert close(cells[10], face(faces_store, 5, 2, Wearing_Hat=-2.0))
        assert close(cells[22], face(faces_store, 5, 2, Smiling=-2.0))

    def test_a_wrong_pair_is_told(self, faces_store):
        factors = handlers(faces_store)["factors"]
        assert factors({"a": "Smiling", "b": "Smiling"})["message"] == "Choose two different attributes."
        for wrong in ("Moustache", None, 1, [], {}):
            assert "known are Smiling, Wearing_Hat" in factors({"a": "Smiling", "b": wrong})["message"]


def test_garbage_gets_an_answer(faces_store):
    for value in NASTY:
        for name, handler in handlers(faces_store).items():
            for payload in (
                value,
                dict.fromkeys(KEYS, value),
                {**PHOTO, "strengths": {"Smiling": value}, "square": value},
            ):
                answer = handler(payload)
                assert answer["status"] in ("ok", "error"), name
                assert len(answer.get("message", "")) < 300
                assert "log says" not in answer.get("message", ""), (name, value)
                json.dumps(answer, allow_nan=False)


class TestWhichModels:
    def test_without_one_there_is_no_trace(self, usual_store, monkeypatch):
        monkeypatch.setitem(BUILT_IN, FACES, "not-there")
        assert FACES not in ModelStore(tabs=("map",)).models
        store = ModelStore(str(usual_store.models[MAP].folder), tabs=("map",))
        assert faces.functions(store) == []
        assert faces.page(store) is None
        content = json.loads(tabs(build(store, ("map",)).blocks.values())["map"])
        assert not any("face" in text.lower() for text in (content["html"], content["css"]))

    def test_one_is_shown_beside_the_built_in_map(self, faces_store, faces_model):
        assert faces_store.models[FACES].name == str(faces_model)
        assert [faces_store.models[kind].built_in for kind in (MAP, AUTOENCODER)] == [True, True]
        # It is loaded after those that the tab opens with.
        assert list(faces_store.models)[-1] == FACES
        assert faces.page(faces_store)["size"] == SIZE
        build(faces_store, ("map",))

    def test_a_built_in_one_is_shown_by_itself(self, faces_model, monkeypatch):
        monkeypatch.setattr("genmodels.zoo.model_folder", lambda name: faces_model if name == BUILT_IN[FACES] else None)
        model = ModelStore(tabs=("map",)).models[FACES]
        assert (model.built_in, model.class_name, model.num_channels) == (True, "VAEPipeline", 3)
        assert FACES not in ModelStore(tabs=("classes",)).models

    def test_a_grey_vae_with_attributes_stays_a_map(self, usual_models, tmp_path):
        pipe = VAEPipeline.from_pretrained(str(usual_models / "vae"))
        images = torch.rand(4, 1, 28, 28)
        pipe.learn_attribute("slanted", images[:2], images[2:]).save_pretrained(tmp_path / "vae")
        store = ModelStore(str(tmp_path / "vae"), tabs=("map",))
        assert store.models[MAP].name == str(tmp_path / "vae")
        assert FACES not in store.models or store.models[FACES].built_in

    def test_a_broken_one_says_so(self, faces_model, tmp_path):
        shutil.copytree(faces_model, tmp_path / "torn")
        for weights in (tmp_path / "torn" / "attributes").glob("*.safetensors"):
            weights.write_bytes(b"torn")
        store = ModelStore(str(tmp_path / "torn"), tabs=("map",))
        assert handlers(store)["edit"]({})["status"] == "loading"
        store.load()
        for handler in handlers(store).values():
            assert "does not load" in handler({})["message"]
        assert map.functions(store)[1]({})["status"] == "ok"

    def test_how_the_directions_were_learnt_is_told(self, faces_model, tmp_path):
        pipe = VAEPipeline.from_pretrained(str(faces_model))
        pipe.register_modules(attributes=AttributeDirections(["Smiling"], 4, decorrelated=True))
        pipe.save_pretrained(tmp_path / "vae")
        store = ModelStore(str(tmp_path / "vae"), tabs=("map",))
        store.load()
        assert handlers(store)["faces"]({})["held_fixed"] is True
