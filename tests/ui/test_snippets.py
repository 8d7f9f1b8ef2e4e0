"""The Python under a picture runs as it is, and makes that picture."""

from __future__ import annotations

import base64
import io
import json
import re

import gradio as gr
import numpy as np
import pytest
import torch
from helpers import run_coroutine
from PIL import Image

from genmodels import (
    CGANDiscriminator,
    CGANGenerator,
    CGANPipeline,
    DCGANDiscriminator,
    DCGANGenerator,
    DCGANPipeline,
    zoo,
)
from genmodels.ui import (
    bulk,
    classes,
    faces,
    films,
    live,
    map,
    memory,
    real_or_fake,
    samples,
    training,
)
from genmodels.ui.live import worker
from genmodels.ui.models import ModelStore
from genmodels.ui.pictures import PNG_PREFIX

pytestmark = pytest.mark.slow


def run(code: str, folder, monkeypatch) -> np.ndarray:
    """Run a snippet in an empty folder; the one picture that it saves, as RGB."""
    monkeypatch.chdir(folder)
    exec(compile(code, "snippet", "exec"), {"__name__": "__main__"})
    (saved,) = folder.glob("*.png")
    return np.asarray(Image.open(saved).convert("RGB")).astype(int)


def shown(picture: str, size: int | None = None) -> np.ndarray:
    """What the page shows: a PNG data URI, or the raw bytes of a grey image."""
    if size is not None:
        return np.frombuffer(base64.b64decode(picture), np.uint8).reshape(size, size, 1).repeat(3, 2).astype(int)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(picture.removeprefix(PNG_PREFIX)))).convert("RGB")).astype(
        int
    )


def colours(picture: str, size: int) -> np.ndarray:
    """The raw bytes of a colour image."""
    return np.frombuffer(base64.b64decode(picture), np.uint8).reshape(size, size, 3).astype(int)


def grid_of(row: np.ndarray) -> np.ndarray:
    """25 pictures of 16 pixels in one row, as 5 rows."""
    return row.reshape(16, 5, 80, 3).swapaxes(0, 1).reshape(80, 80, 3)


def strip_of(film: np.ndarray, size: int) -> np.ndarray:
    """Every third frame of a film of 25: the strip that the page shows of it."""
    return np.concatenate([film[:, i * size : (i + 1) * size] for i in range(0, 25, 3)], axis=1)


def both_sides(answer: dict) -> np.ndarray:
    """Real and generated images, as they stand beside each other."""
    return np.concatenate([shown(answer[side]["sheet"]) for side in ("real", "generated")], axis=1)


CASES = {
    "spot": (map, "decode", {"z": [0.51, -1.204]}, lambda a: shown(a["picture"], 28)),
    "line": (map, "line", {"a": [-1, 2], "b": [0.5, 0.25]}, lambda a: strip_of(shown(a["film"]), 28)),
    "posterior": (
        map,
        "resample",
        {"z": [0.5, -1], "deviation": [0.333, 0.1], "seed": 3},
        lambda a: shown(a["sheet"]),
    ),
    "two maps": (
        map,
        "decode_both",
        {"z": [0.51, -1.204]},
        lambda a: np.concatenate([shown(a[kind], 28) for kind in ("map", "autoencoder")], axis=1),
    ),
    "test image": (map, "example", {"index": 12}, lambda a: shown(a["picture"], 28)),
    "sheet": (samples, "sheet", {"seed": 11, "count": 16, "psi": 0.75}, lambda a: shown(a["sheet"])),
    "between": (
        samples,
        "between",
        {"seed": 11, "a": 9, "b": 2, "psi": 0.75},
        lambda a: strip_of(shown(a["film"]), 32),
    ),
    "children": (
        samples,
        "litter",
        {"parents": [[0.123] * 8, [-1.5] * 8], "mutation": 0.333, "seed": 4},
        lambda a: shown(a["sheet"]),
    ),
    "row": (classes, "row", {"seed": 5, "psi": 0.5}, lambda a: shown(a["row"])),
    "moved": (
        samples,
        "moved",
        {"seed": 4, "strengths": [1.5, -2.25, 0.125]},
        lambda a: shown(a["after"]),
    ),
    "table": (classes, "table", {"seed": 5, "psi": 0.5}, lambda a: shown(a["table"])),
    "class": (classes, "samples", {"seed": 5, "psi": 1, "label": 4}, lambda a: shown(a["samples"])),
    "mix": (classes, "mix", {"seed": 5, "psi": 0.9, "a": 3, "b": 8}, lambda a: strip_of(shown(a["film"]), 28)),
    "number": (classes, "write", {"seed": 5, "psi": 1, "text": "2026"}, lambda a: shown(a["number"])),
    "digits": (real_or_fake, "compare", {"kind": "classes", "seed": 3}, lambda a: both_sides(a)),
    "frogs": (real_or_fake, "compare", {"kind": "samples", "seed": 3}, lambda a: both_sides(a)),
    "nearest to a generated image": (
        real_or_fake,
        "neighbours",
        {"kind": "classes", "seed": 3, "side": "generated", "index": 6},
        lambda a: shown(a["sheet"]),
    ),
    "nearest to a test image": (
        real_or_fake,
        "neighbours",
        {"kind": "samples", "seed": 3, "side": "real", "index": 6},
        lambda a: shown(a["sheet"]),
    ),
    "by heart": (memory, "memorised", {"kind": "samples", "seed": 3}, lambda a: shown(a["sheet"])),
}


@pytest.mark.parametrize("case", CASES)
def test_snippet_makes_the_picture(case, usual_store, tmp_path, monkeypatch):
    tab, name, payload, picture = CASES[case]
    (function,) = (f for f in tab.functions(usual_store) if f.__name__ == name)
    answer = function(payload)
    made = run(answer["code"], tmp_path, monkeypatch)
    # One 8-bit step: batches of different sizes round differently.
    assert np.abs(made - picture(answer)).max() <= 1


@pytest.mark.parametrize("case", ["sheet", "between", "children", "moved"])
def test_snippet_of_a_class(case, labelled_store, tmp_path, monkeypatch):
    tab, name, payload, _ = CASES[case]
    (function,) = (f for f in tab.functions(labelled_store) if f.__name__ == name)
    answer = function({**payload, "class": "7"})
    made = run(answer["code"], tmp_path, monkeypatch)
    key = {"between": "film", "moved": "after"}.get(case, "sheet")
    expected = strip_of(shown(answer[key]), 28) if case == "between" else shown(answer[key])
    assert np.abs(made - expected).max() <= 1
    assert 'class_labels="7"' in answer["code"]


@pytest.mark.parametrize(
    ("name", "payload", "key"),
    [("row", {"psi": 0.5}, "row"), ("samples", {"label": 2}, "samples"), ("mix", {"a": 1, "b": 2}, "film")],
)
def test_snippets_of_a_conditional_vae(name, payload, key, conditional_vae, tmp_path, monkeypatch):
    (function,) = (f for f in classes.functions(conditional_vae[0]) if f.__name__ == name)
    answer = function({"seed": 5, **payload})
    made = run(answer["code"], tmp_path, monkeypatch)
    picture = shown(answer[key])
    assert np.abs(made - (strip_of(picture, 16) if name == "mix" else picture)).max() <= 1


def test_side_by_side_snippet(gan_store, tmp_path, monkeypatch):
    (row,) = (f for f in samples.functions(gan_store) if f.__name__ == "row")
    answers = [row({"model": model.name, "seed": 4}) for model in gan_store.gallery]
    made = run(answers[0]["code"], tmp_path, monkeypatch)
    rows = [shown(answer["sheet"]) for answer in answers]
    expected = [np.asarray(Image.fromarray(row.astype(np.uint8)).resize((6 * 64, 64))) for row in rows]
    assert made.shape == (3 * 64, 6 * 64, 3)
    # Enlarged one by one they differ from the enlarged row at the seams.
    inner = np.concatenate(expected)[:, 8:56].astype(int)
    assert np.abs(made[:, 8:56] - inner).max() <= 2
    assert answers[1]["code"] == answers[0]["code"]


@pytest.mark.parametrize("strengths", [{"Wearing_Hat": -1.3, "Smiling": 0.5}, {}])
def test_snippet_of_an_edited_face(faces_store, tmp_path, monkeypatch, strengths):
    (edit,) = (f for f in faces.functions(faces_store) if f.__name__ == "edit")
    answer = edit({"seed": 3, "index": 4, "strengths": strengths})
    made = run(answer["code"], tmp_path, monkeypatch)
    assert np.abs(made - colours(answer["picture"], 16)).max() <= 1


def test_snippet_of_arithmetic_with_faces(faces_store, tmp_path, monkeypatch):
    (arithmetic,) = (f for f in faces.functions(faces_store) if f.__name__ == "arithmetic")
    answer = arithmetic({"seed": 3, "a": 5, "b": 1, "c": 8})
    made = run(answer["code"], tmp_path, monkeypatch)
    assert np.abs(made - colours(answer["picture"], 16)).max() <= 1
    same = arithmetic({"seed": 3, "a": 5, "b": 1, "c": 1})["picture"]
    (edit,) = (f for f in faces.functions(faces_store) if f.__name__ == "edit")
    assert np.abs(colours(same, 16) - colours(edit({"seed": 3, "index": 5})["picture"], 16)).max() <= 1


def test_snippet_of_a_grid_over_two_attributes(faces_store, tmp_path, monkeypatch):
    (factors,) = (f for f in faces.functions(faces_store) if f.__name__ == "factors")
    answer = factors({"seed": 3, "index": 4, "a": "Smiling", "b": "Wearing_Hat"})
    made = run(answer["code"], tmp_path, monkeypatch)
    assert np.abs(made - grid_of(shown(answer["grid"]))).max() <= 1


def test_snippets_of_a_photo(faces_store, tmp_path, monkeypatch):
    named = {f.__name__: f for f in faces.functions(faces_store)}
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    z = named["photo"]({"photo": base64.b64encode(pixels.tobytes()).decode()})["z"]
    photo = {"z": z, "square": [3, 5, 16]}
    # PNG, whatever the name says, keeps the pixels that the page has sent.
    Image.fromarray(np.pad(pixels, ((5, 9), (3, 20), (0, 0)))).save(tmp_path / "photo.jpg", "PNG")
    answer = named["edit"]({**photo, "strengths": {"Smiling": 1}})
    assert np.abs(run(answer["code"], tmp_path, monkeypatch) - colours(answer["picture"], 16)).max() <= 1
    (tmp_path / "face.png").unlink()
    answer = named["factors"]({**photo, "a": "Smiling", "b": "Wearing_Hat"})
    assert np.abs(run(answer["code"], tmp_path, monkeypatch) - grid_of(shown(answer["grid"]))).max() <= 1


def test_atlas_snippet(usual_store, tmp_path, monkeypatch):
    page = map.first_page(usual_store)
    assert np.abs(run(page["atlas_code"], tmp_path, monkeypatch) - shown(page["atlas"])).max() <= 1


def test_snippets_of_other_shapes_run(odd_store, tmp_path, monkeypatch):
    codes = [map.first_page(odd_store)["picture_code"], samples.first_page(odd_store)["sheet"]["code"]]
    codes += [part["code"] for part in classes.first_page(odd_store).values() if part]
    compared = real_or_fake.first_page(odd_store)
    codes += [part["compare"]["code"] for part in compared.values()]
    codes += [part["neighbours"]["code"] for part in compared.values() if part["neighbours"]]
    for i, code in enumerate(codes):
        folder = tmp_path / str(i)
        folder.mkdir()
        run(code, folder, monkeypatch)


def test_printed_scores_are_those_of_the_page(usual_store, tmp_path, monkeypatch, capsys):
    (compare,) = (f for f in real_or_fake.functions(usual_store) if f.__name__ == "compare")
    answer = compare({"kind": "classes", "seed": 3})
    run(answer["code"], tmp_path, monkeypatch)
    words = capsys.readouterr().out.replace("tensor([", "").replace("])", "").replace(",", "").split()
    expected = answer["generated"]["scores"] + answer["real"]["scores"]
    # 8-bit rounding of the images moves a score a little.
    assert np.allclose([float(w) for w in words], expected, atol=5e-3)


@pytest.mark.parametrize("kind", ["classes", "samples"])
def test_printed_histogram_is_that_of_the_page(kind, usual_store, odd_store, capsys):
    for store in (usual_store, odd_store):
        (histogram,) = (f for f in real_or_fake.functions(store) if f.__name__ == "histogram")
        answer = histogram({"kind": kind})
        exec(compile(answer["code"], "snippet", "exec"), {"__name__": "__main__"})
        words = re.findall(r"tensor\((.*?)\)", capsys.readouterr().out)
        middles = [np.sort(answer[side])[149] for side in ("generated", "real") if answer[side]]
        assert np.allclose([float(word) for word in words[: len(middles)]], middles, atol=5e-3)
        if answer["real"]:
            # Random networks score nearly alike: rounding makes ties of some pairs.
            assert float(words[2]) == pytest.approx(answer["ranked"], abs=0.1)


def test_snippet_of_a_loop(usual_store, tmp_path, monkeypatch):
    (loop,) = (f for f in samples.functions(usual_store) if f.__name__ == "loop")
    answer = loop({"seed": 3})
    monkeypatch.chdir(tmp_path)
    exec(compile(answer["code"], "snippet", "exec"), {"__name__": "__main__"})
    prefix, data = answer["film"].split(",")
    assert prefix == "data:image/webp;base64"
    ours, theirs = Image.open(tmp_path / "loop.webp"), Image.open(io.BytesIO(base64.b64decode(data)))
    assert ours.n_frames == theirs.n_frames == 48
    assert ours.size == theirs.size == (8 * 32, 8 * 32)
    for i in (0, 17, 47):
        ours.seek(i)
        theirs.seek(i)
        assert np.abs(np.asarray(ours.convert("RGB")).astype(int) - np.asarray(theirs.convert("RGB"))).max() <= 1


@pytest.mark.parametrize("names", [["1", "7", "x"], None])
def test_snippets_beside_reals_that_were_made_to_fit(names, tmp_path, monkeypatch, capsys):
    torch.manual_seed(0)
    if names:
        shape = {"sample_size": 16, "num_channels": 1, "base_channels": 4, "num_classes": 3, "class_names": names}
        generator = CGANGenerator(latent_dim=8, label_dim=4, **shape).eval()
        pipe, kind = CGANPipeline(generator, CGANDiscriminator(**shape).eval()), "classes"
    else:
        shape = {"sample_size": 16, "num_channels": 1, "base_channels": 4}
        judge = DCGANDiscriminator(norm="none", **shape).eval()
        pipe, kind = DCGANPipeline(DCGANGenerator(latent_dim=8, **shape).eval(), judge), "samples"
    pipe.save_pretrained(tmp_path / "model")
    facts = {"dataset": "ylecun/mnist", "split": "train", "classes": None}
    (tmp_path / "model/training.json").write_text(json.dumps(facts))
    store = ModelStore(str(tmp_path / "model"), tabs=("real_or_fake", "training"))
    store.load()
    functions = {f.__name__: f for tab in (real_or_fake, training) for f in tab.functions(store)}
    asked = {"kind": kind, "seed": 3}
    for name, payload in (
        ("compare", asked),
        ("neighbours", {**asked, "side": "real", "index": 6}),
        ("memorised", asked),
    ):
        answer = functions[name](payload)
        (folder := tmp_path / name).mkdir()
        made = run(answer["code"], folder, monkeypatch)
        assert np.abs(made - (both_sides(answer) if name == "compare" else shown(answer["sheet"]))).max() <= 1
    words = capsys.readouterr().out.split()
    medians = [float(word[len("tensor(") : -1]) for word in words if re.fullmatch(r"tensor\([\d.]+\)", word)]
    middles = [sorted(answer[side])[(len(answer[side]) - 1) // 2] for side in ("generated", "test")]
    assert np.allclose(medians, middles, atol=2e-3)


@pytest.mark.parametrize(
    ("kind", "count", "psi"), [("classes", 7, 1), ("samples", 9, 0.5), ("autoencoder", 5, 0.5), ("autoencoder", 4, 1)]
)
def test_snippet_of_many_images(kind, count, psi, usual_store, tmp_path, monkeypatch):
    with gr.Blocks() as demo:
        bulk.build(usual_store)
    (button,) = demo.fns.values()
    picture, code = run_coroutine(button.fn(kind, count, 3, psi))
    made = run(code["value"], tmp_path, monkeypatch)
    assert np.abs(made - picture["value"]).max() <= 1


def test_snippet_of_a_film(gans, gan_store, tmp_path, monkeypatch):
    (film,) = (f for f in samples.functions(gan_store) if f.__name__ == "film")
    answer = film({"model": str(gans / "a-gan")})
    made = run(answer["code"].replace("seek(4)", "seek(3)"), tmp_path, monkeypatch)
    assert made.shape == (12, 20, 3)
    assert (made == [120, 0, 0]).all()
    # The package's own lies in the package, and what came from the Hub there.
    folder = zoo.replay_folders()[0]
    code = films.snippets.film(folder.name, folder, 1)
    assert re.search(r"# Trained by: accelerate launch train/\S+", code)
    (tmp_path / "frame.png").unlink()
    run(code, tmp_path, monkeypatch)
    assert 'hf_hub_download("someone/gan", "film.webp")' in films.snippets.film("someone/gan", gans / "a-gan", 0)


def test_snippets_of_live_training(tmp_path, monkeypatch, capsys):
    """As the page fills them in."""
    sessions = worker.Sessions()
    sessions.answer({"session": "a", "settings": {"data": "digits", "seed": 1}})
    seen = sessions.answer({"session": "a", "steps": 3, "seconds": 99})
    code = live.snippets.live("digits").replace("Settings()", 'Settings(data="digits", seed=1)')
    made = run(code.replace("gan.train(0)", "gan.train(3)"), tmp_path, monkeypatch)
    assert np.abs(made - shown(seen["sheet"])).max() <= 1
    for data in ("ring", "grid", "drawn"):
        code = live.snippets.live(data).replace("Settings()", f'Settings(data="{data}", batch_size={live.BATCH_SIZE})')
        code = code.replace("[[0.0, 0.0]]", "[[0.50, -1.00], [1.25, 2.00]]").replace("gan.train(0)", "gan.train(3)")
        names = {"__name__": "__main__"}
        exec(compile(code, "snippet", "exec"), names)
        modes, share = eval(capsys.readouterr().out.split(":")[1])
        assert (modes, share) == names["gan"].coverage()
        assert names["gan"].step == 3
        if data == "drawn":
            assert names["gan"].mixture.centers.tolist() == [[0.5, -1.0], [1.25, 2.0]]
