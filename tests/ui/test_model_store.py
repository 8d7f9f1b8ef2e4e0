"""`--models`: what is found, what takes whose place, and what is said about the rest."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors.torch import load_file, save_file

from genmodels import folder as saved_folder
from genmodels.errors import UserError
from genmodels.ui import classes, map, real_or_fake, samples, training
from genmodels.ui.models import (
    AUTOENCODER,
    BUILT_IN,
    CLASSES,
    MAP,
    SAMPLES,
    Model,
    ModelStore,
    find_models,
    weights_digest,
)
from genmodels.ui.suite import build
from genmodels.ui.widget import contents_of


def test_tabs_adapt_to_other_sizes_channels_and_classes(odd_store, odd_models):
    assert odd_store.models[MAP].name == str(odd_models / "vae")
    assert (odd_store.models[MAP].sample_size, odd_store.models[MAP].num_channels) == (16, 3)
    assert (odd_store.models[SAMPLES].sample_size, odd_store.models[SAMPLES].num_channels) == (64, 1)
    assert odd_store.models[CLASSES].class_names == ["cat", "dog", "owl"]
    assert map.first_page(odd_store)["points"] is not None
    assert samples.first_page(odd_store)["sheet"]["count"] == 36
    page = classes.first_page(odd_store)
    assert page["number"] is None
    assert '("cat", "dog")' in page["mix"]["code"]
    compared = real_or_fake.first_page(odd_store)
    # No built-in image is a cat, a dog or an owl; digits stand beside any grey GAN, resized.
    assert compared["classes"]["compare"]["real"] is None
    assert compared["samples"]["compare"]["real"]["unchanged"] is False
    build(odd_store)


def test_numbers_need_digit_classes(odd_store):
    (write,) = (f for f in classes.functions(odd_store) if f.__name__ == "write")
    assert "no classes 0 to 9" in write({"text": "12"})["message"]


def test_a_store_for_some_tabs_has_their_models_only(usual_models):
    both = ",".join(str(usual_models / kind) for kind in ("dcgan", "cgan"))
    store = ModelStore(both, tabs=("real_or_fake",))
    assert {kind: model.name for kind, model in store.models.items()} == {
        SAMPLES: str(usual_models / "dcgan"),
        CLASSES: str(usual_models / "cgan"),
    }
    store = ModelStore(str(usual_models), tabs=("samples",))
    store.load()
    assert list(store.models) == [SAMPLES]
    # The tab shows no real images, and thousands of them would be read for nothing.
    assert not store._real
    demo = build(store, ("samples",))
    assert "tabs" not in [block.get_block_name() for block in demo.blocks.values()]


def test_kinds_that_are_not_found_stay_built_in(usual_models):
    store = ModelStore(str(usual_models / "dcgan"))
    assert store.models[SAMPLES].name == str(usual_models / "dcgan")
    assert store.models[MAP].name == BUILT_IN[MAP]
    assert store.models[CLASSES].name == BUILT_IN[CLASSES]


def test_a_broken_model_is_reported_and_the_others_work(usual_models, tmp_path):
    folder = tmp_path / "models"
    shutil.copytree(usual_models, folder)
    (weights,) = (folder / "vae" / "decoder").glob("*.safetensors")
    weights.write_bytes(b"not weights")
    (folder / "cgan" / "generator" / "config.json").write_text("{")
    (folder / "autoencoder" / "decoder" / "config.json").write_text('{"num_channels": 0, "sample_size": 32}')
    store = ModelStore(str(folder))
    assert "config.json" in store.models[CLASSES].reason
    assert "0 channels are not possible" in store.models[AUTOENCODER].reason
    build(store)
    store.load()
    (decode,) = (f for f in map.functions(store) if f.__name__ == "decode")
    (row,) = (f for f in classes.functions(store) if f.__name__ == "row")
    (sheet,) = (f for f in samples.functions(store) if f.__name__ == "sheet")
    assert decode({})["status"] == row({})["status"] == "error"
    assert "decoder" in decode({})["message"]
    assert sheet({})["status"] == "ok"
    page = real_or_fake.first_page(store)
    assert "reason" in page["classes"]
    assert "compare" in page["samples"]


def test_a_gan_without_its_discriminator_says_so(usual_models, tmp_path):
    folder = tmp_path / "dcgan"
    shutil.copytree(usual_models / "dcgan", folder)
    shutil.rmtree(folder / "discriminator")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "discriminator": [None, None]}))
    store = ModelStore(str(folder))
    store.load()
    (compare,) = (f for f in real_or_fake.functions(store) if f.__name__ == "compare")
    assert "without its discriminator" in compare({"kind": "samples"})["message"]


def test_more_than_two_numbers_are_no_map(usual_models, tmp_path, capsys):
    folder = tmp_path / "models"
    shutil.copytree(usual_models, folder)
    for name in ("vae", "autoencoder"):
        path = folder / name / "decoder" / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "latent_dim": 16}))
    assert {model.kind for model in find_models(str(folder))} == {SAMPLES, CLASSES}
    assert "the map needs 2" in capsys.readouterr().err


@pytest.mark.parametrize(("classes", "kind"), [(0, MAP), (10, CLASSES)])
def test_a_vae_with_classes_stands_behind_the_conditional_gans(usual_models, tmp_path, classes, kind):
    folder = tmp_path / "models"
    shutil.copytree(usual_models, folder)
    (folder / "vae").rename(folder / "a-vae")
    path = folder / "a-vae" / "decoder" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_classes": classes}))
    models = {model.title: model for model in find_models(str(folder))}
    assert models["a-vae"].kind == kind
    assert next(model.title for model in models.values() if model.kind == CLASSES) == "cgan"


@pytest.mark.parametrize(
    ("facts", "digits"),
    [
        ({"dataset": "ylecun/mnist", "split": "train", "classes": None}, "0123456789"),
        ({"dataset": "zoo:mnist-sample", "split": "train", "classes": ["3", "7"]}, "37"),
        ({"dataset": "ylecun/mnist", "split": "test", "classes": None}, None),
        ({"dataset": "ylecun/mnist", "split": "train", "classes": 7}, None),
        ({"dataset": "ylecun/mnist", "split": "train", "classes": [{}]}, None),
        ({"dataset": "someone/letters", "split": "train", "classes": None}, None),
        ({"dataset": None, "split": "train", "classes": None}, None),
        ({}, None),
    ],
)
def test_real_images_are_those_that_the_model_learned_from(usual_models, tmp_path, facts, digits):
    for kind in ("vae", "autoencoder"):
        shutil.copytree(usual_models / kind, tmp_path / kind)
        (tmp_path / kind / "training.json").write_text(json.dumps(facts))
    store = ModelStore(str(tmp_path), tabs=("map",))
    store.load()
    real = store.real_images(MAP)
    if digits:
        assert {real.class_names[i] for labels in (real.train_labels, real.test_labels) for i in labels} == set(digits)
        assert real.unchanged == (len(digits) == 10)
        return
    assert real is None
    says = "learned from someone/letters" if facts.get("dataset") == "someone/letters" else "nothing to compare with"
    (example,) = (f for f in map.functions(store) if f.__name__ == "example")
    assert says in example({})["message"]
    assert says in pair_of(store)["message"]
    page = map.first_page(store)
    assert (page["points"], "example" in page) == (None, False)


def test_all_classes_of_a_dataset_are_not_the_one_that_the_package_has(usual_models, tmp_path):
    shutil.copytree(usual_models / "dcgan", tmp_path / "dcgan")
    facts = {"dataset": "uoft-cs/cifar10", "split": "train", "classes": None}
    (tmp_path / "dcgan" / "training.json").write_text(json.dumps(facts))
    store = ModelStore(str(tmp_path), tabs=("real_or_fake", "training"))
    store.load(further=False)
    assert store.real_images(SAMPLES) is None
    page = real_or_fake.first_page(store)[SAMPLES]
    assert (page["compare"]["real"], page["neighbours"], "game" in page) == (None, None, False)
    assert [kind for kind, _ in json.loads(contents_of[training.build(store)])["page"]["kinds"]] == [CLASSES]


def pair_of(store: ModelStore) -> dict:
    (ask,) = (f for f in map.functions(store) if f.__name__ == "pair")
    return ask({})


def test_two_maps_that_do_not_compare_say_so(usual_models, odd_models, monkeypatch):
    store = ModelStore(f"{usual_models / 'vae'},{odd_models / 'autoencoder'}", tabs=("map",))
    assert "other images" in pair_of(store)["message"]
    build(store, ("map",))


def test_a_map_without_an_autoencoder_beside_it_works(usual_models, monkeypatch):
    monkeypatch.setitem(BUILT_IN, AUTOENCODER, "not-there")
    store = ModelStore(str(usual_models / "vae"), tabs=("map",))
    build(store, ("map",))
    store.load()
    assert "'not-there' is not in this installation" in pair_of(store)["message"]
    assert map.first_page(store)["points"]["total"] == 2000


def test_nothing_usable_is_an_error(tmp_path):
    for wrong, says in ((tmp_path, "model_index.json"), (tmp_path / "none", "no such folder"), (__file__, "is a file")):
        with pytest.raises(UserError, match=says):
            ModelStore(str(wrong))
    other = tmp_path / "other"
    other.mkdir()
    (other / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    with pytest.raises(UserError, match="VAEPipeline"):
        ModelStore(str(other))


class TransportError(Exception):
    """As the HTTP library's own errors are called, of which the client lets some through."""


@pytest.mark.parametrize("error", [OSError, TransportError])
@pytest.mark.slow
def test_an_unreachable_hub_is_one_sentence(monkeypatch, error):
    def refuse(*arguments, **options):
        raise error("no network")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    monkeypatch.setattr("huggingface_hub.HfApi.list_models", refuse)
    for name in ("someone", "someone/model"):
        with pytest.raises(UserError, match=r"Hub.* cannot be reached"):
            ModelStore(name)


def test_a_namespace_is_searched_for_models(monkeypatch, usual_models, tmp_path):
    from huggingface_hub.errors import EntryNotFoundError

    class Info:
        def __init__(self, name):
            self.id = f"someone/{name}"

    asked = []

    def download(repository, path):
        asked.append((repository.split("/")[1], path))
        file = usual_models / repository.split("/")[1] / path
        if not file.is_file():
            raise EntryNotFoundError("no such file")
        return str(file)

    def sizes(self, repository, files):
        assert {"evaluation.json", "film.webp", "metrics.jsonl"} < set(files)
        small, large = SimpleNamespace(path="training.json", size=900), SimpleNamespace(path="film.webp", size=10**9)
        return [small, large]

    infos = [Info(name) for name in ("vae", "data", "cgan")]
    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    monkeypatch.setattr("huggingface_hub.HfApi.list_models", lambda self, author, limit: infos)
    monkeypatch.setattr("huggingface_hub.HfApi.get_paths_info", sizes)
    store = ModelStore("someone")
    assert ("vae", "training.json") in asked
    assert "film.webp" not in [file for _, file in asked]
    assert (store.models[MAP].name, store.models[CLASSES].name) == ("someone/vae", "someone/cgan")

    def refuse(*arguments):
        raise TransportError("no network")

    # What is in the cache does without.
    monkeypatch.setattr("huggingface_hub.HfApi.get_paths_info", refuse)
    assert ModelStore("someone").models[MAP].name == "someone/vae"


def test_the_digest_follows_the_weights(usual_models, tmp_path):
    shutil.copytree(usual_models / "vae", tmp_path / "vae")
    assert weights_digest(tmp_path / "vae") == weights_digest(usual_models / "vae")
    (weights,) = (tmp_path / "vae" / "decoder").glob("*.safetensors")
    weights.write_bytes(weights.read_bytes() + b"0")
    assert weights_digest(tmp_path / "vae") != weights_digest(usual_models / "vae")


def test_sources_are_what_training_json_says(tmp_path):
    model = Model("samples", "x", folder=tmp_path)
    assert model.sources == {"command": "", "papers": {}}
    facts = {
        "command": "accelerate launch train/dcgan.py --seed 1 --output_dir runs/here",
        "papers": [
            "1511.06434",
            "https://doi.org/10.1/x",
            "10.1126/science.1127647",
            "javascript:alert(1)",
            "10.1/x y",
            7,
        ],
    }
    (tmp_path / "training.json").write_text(json.dumps(facts))
    assert model.sources == {
        "command": "accelerate launch train/dcgan.py --seed 1",
        "papers": {
            "1511.06434": "https://arxiv.org/abs/1511.06434",
            "doi.org/10.1/x": "https://doi.org/10.1/x",
            "10.1126/science.1127647": "https://doi.org/10.1126/science.1127647",
        },
    }
    before = {"command": "accelerate launch\ntrain/dcgan.py", "started_from": {"command": 3, "started_from": []}}
    (tmp_path / "training.json").write_text(json.dumps({**facts, "started_from": before}))
    assert model.sources["command"] == "accelerate launch train/dcgan.py\naccelerate launch train/dcgan.py --seed 1"
    (tmp_path / "training.json").write_text('{"command": 3, "papers": {"a": 1}}')
    assert model.sources == {"command": "", "papers": {}}


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("model_index.json", "[" * 10_000),
        ("model_index.json", '{"a":' * 10_000),
        ("model_index.json", "[1, 2]"),
        ("model_index.json", "7"),
        ("model_index.json", ""),
        ("generator/config.json", "[" * 10_000),
        ("generator/config.json", "[]"),
        ("generator/config.json", '{"class_names": 7}'),
        ("generator/config.json", '{"sample_size": 1e999}'),
        ("generator/config.json", '{"num_classes": "many"}'),
    ],
)
def test_a_broken_model_is_shown_as_such_and_the_page_lives(usual_models, tmp_path, file, text):
    shutil.copytree(usual_models / "dcgan", tmp_path / "torn")
    shutil.copytree(usual_models / "dcgan", tmp_path / "whole")
    (tmp_path / "torn" / file).write_text(text)
    for folder in (tmp_path, tmp_path / "torn"):
        store = ModelStore(str(folder), tabs=("samples",))
        torn = next(model for model in store.gallery if model.title == "torn")
        assert "'torn' is broken" in torn.reason
        page = contents_of[samples.build(store)].decode()
        assert "is broken" in page
        assert str(tmp_path) not in page


@pytest.mark.parametrize("file", ["training.json", "evaluation.json"])
@pytest.mark.parametrize(
    "text", ["[" * 10_000, "[]", '{"metrics": 7, "papers": 7, "film_steps": 7}', '{"steps": 1e999}']
)
def test_odd_facts_beside_a_model_do_no_harm(usual_models, tmp_path, file, text):
    shutil.copytree(usual_models / "dcgan", tmp_path / "dcgan")
    (tmp_path / "dcgan" / file).write_text(text)
    store = ModelStore(str(tmp_path), tabs=("samples",))
    assert store.gallery[0].reason is None
    assert str(tmp_path) not in contents_of[samples.build(store)].decode()


def test_a_file_that_is_too_long_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(saved_folder, "MAX_BYTES", 10)
    (tmp_path / "a.json").write_text('{"a": "0123456789"}')
    assert saved_folder.find_json(tmp_path / "a.json") == {}


@pytest.mark.parametrize("file", ["model_index.json", "generator/config.json", "training.json", "film.webp", "a/b"])
@pytest.mark.parametrize("device", [False, True])
def test_a_pipe_or_a_device_in_a_model_is_not_waited_for(usual_models, tmp_path, file, device):
    shutil.copytree(usual_models / "dcgan", tmp_path / "torn")
    path = tmp_path / "torn" / file
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to("/dev/zero") if device else os.mkfifo(path)
    (model,) = find_models(str(tmp_path))
    assert "'torn' is broken" in model.reason
    assert ("neither a file nor a folder" in model.reason) == (file != "model_index.json")


def with_weights(folder: Path, change) -> None:
    """Change the tensors of a model's generator, each by its name and itself."""
    (path,) = (folder / "generator").glob("*.safetensors")
    save_file({name: change(name, tensor).contiguous() for name, tensor in load_file(path).items()}, path)


def with_header(folder: Path, size: int, text: bytes) -> None:
    """In place of a generator's weights, a header that says that it has so many bytes."""
    (path,) = (folder / "generator").glob("*.safetensors")
    path.write_bytes(struct.pack("<Q", size) + text)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: with_weights(folder, lambda name, t: t * float("nan") if t.is_floating_point() else t),
        lambda folder: with_weights(folder, lambda name, t: t[:1] if t.ndim else t),
        lambda folder: with_header(folder, 2**31, b"{}"),
        lambda folder: with_header(folder, 2**63, b"{}"),
        lambda folder: with_header(folder, 50_000, b"[" * 50_000),
        lambda folder: with_header(
            folder, 90, b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,9]}}'.ljust(90)
        ),
        lambda folder: shutil.rmtree(folder / "generator"),
    ],
)
def test_weights_of_no_use_are_said_and_the_others_work(usual_models, tmp_path, damage):
    for name in ("torn", "whole"):
        shutil.copytree(usual_models / "dcgan", tmp_path / name)
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "empty").mkdir()
    damage(tmp_path / "torn")
    store = ModelStore(str(tmp_path), tabs=("samples",))
    store.load()
    torn, whole = sorted(store.gallery, key=lambda model: model.title)
    assert (torn.pipe, whole.reason) == (None, None)
    assert "'torn' " in torn.reason
    assert str(tmp_path) not in torn.reason + contents_of[samples.build(store)].decode()


def test_two_models_of_one_name_can_both_be_chosen(usual_models, tmp_path):
    for home in ("a", "b"):
        shutil.copytree(usual_models / "dcgan", tmp_path / home / "same")
    store = ModelStore(f"{tmp_path / 'a'},{tmp_path / 'b'}", tabs=("samples",))
    assert [model.key for model in store.gallery] == ["same", "same (2)"]
    assert [store.chosen(SAMPLES, model.key) for model in store.gallery] == store.gallery
