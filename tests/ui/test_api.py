"""The public endpoints, called over HTTP and as MCP tools."""

from __future__ import annotations

import base64
import io
import json
import logging
import shutil
import socket
import sys
import tempfile
import urllib.request
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from gradio_client.exceptions import AppError
from helpers import REPO, run_coroutine
from PIL import ExifTags, Image
from space_server import connect

from genmodels import DCGANPipeline
from genmodels.errors import UserError
from genmodels.ui import api, inputs, suite
from genmodels.ui.inputs import read_image
from genmodels.ui.models import FACES, ModelStore, read_folder
from genmodels.ui.suite import build, launch

pytestmark = pytest.mark.slow
ENDPOINTS = {"sample", "sample_many", "interpolate", "decode", "reconstruct", "edit", "discriminate", "neighbors"}


@pytest.fixture(scope="module")
def address(usual_models, faces_model, conditional_vae):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = ModelStore(f"{usual_models},{conditional_vae[0].models['classes'].name}")
    store.models[FACES] = read_folder(faces_model, str(faces_model))
    store.load()
    demo = build(store)
    launch(demo, "127.0.0.1", port, mcp=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    yield f"http://127.0.0.1:{port}"
    demo.close(verbose=False)


@pytest.fixture(scope="module")
def client(address):
    return connect(address)


def pixels_of(path: str) -> np.ndarray:
    return np.asarray(Image.open(path))


def size_of(path: str) -> tuple[int, int]:
    return Image.open(path).size


def as_text(image: Image.Image, format: str = "PNG", **options) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return base64.b64encode(buffer.getvalue()).decode()


GREY = as_text(Image.new("L", (28, 28), 90))


def test_only_documented_functions_are_public(client):
    described = client.view_api(return_format="dict", print_info=False)
    assert set(described["named_endpoints"]) == {f"/{name}" for name in ENDPOINTS}
    assert not described["unnamed_endpoints"]
    for endpoint in described["named_endpoints"].values():
        assert endpoint["description"]
        assert all(
            p["python_type"]["type"] in ("int", "float", "str", "dict(str, float)") for p in endpoint["parameters"]
        )


def test_every_argument_and_answer_is_described_whole(client, address):
    """In what a program is told, as in what an assistant is: each entry of the docstring to its last word."""
    with urllib.request.urlopen(f"{address}/gradio_api/openapi.json") as answer:
        paths = json.load(answer)["paths"]
    described = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    for name, endpoint in described.items():
        bodies = paths[f"/gradio_api/call/v2{name}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        for part in endpoint["parameters"]:
            text = part["python_type"]["description"]
            assert text.endswith("."), (name, part)
            assert (part["label"], part["type"]["description"]) == (part["parameter_name"], text)
            assert bodies["properties"][part["parameter_name"]]["description"] == text
        assert endpoint["returns"][0]["python_type"]["description"].endswith("."), name
    labels = next(part for part in described["/sample"]["parameters"] if part["parameter_name"] == "class_labels")
    assert labels["python_type"]["description"].endswith('such as "2,0,2,6"; by default the classes in turn.')
    assert "by default the classes in turn." in client.view_api(return_format="str", print_info=False)


def test_no_path_of_the_machine_is_told(address):
    for path in ("config", "gradio_api/info", "gradio_api/openapi.json", "gradio_api/startup-events", ""):
        with urllib.request.urlopen(f"{address}/{path}") as answer:
            text = answer.read().decode()
        for place in (str(REPO), str(Path.home()), tempfile.gettempdir(), sys.prefix):
            assert f"{place}/" not in text, (path, place)


def test_pictures_lie_in_a_folder_of_this_user_alone(client):
    client.predict(api_name="/sample")
    folder = Path(gr.utils.get_upload_folder())
    assert folder.parent != Path(tempfile.gettempdir(), "gradio")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.rglob("image.png"))


def test_samples(client):
    assert size_of(client.predict(num_images=16, seed=7, psi=0.8, api_name="/sample")) == (128, 128)
    assert size_of(client.predict(api_name="/sample")) == (128, 128)
    assert size_of(client.predict(num_images=5, model="dcgan", api_name="/sample")) == (96, 64)
    assert size_of(client.predict(model="cgan", class_labels="2,0, 2,6", seed=7, api_name="/sample")) == (112, 28)
    assert size_of(client.predict(num_images=3, model="cgan", class_labels="4", api_name="/sample")) == (84, 28)
    assert size_of(client.predict(num_images=4, model="vae-faces", api_name="/sample")) == (32, 32)


def test_a_class_is_the_one_asked_for(client, usual_store):
    sheet = pixels_of(client.predict(model="cgan", class_labels="7,1", seed=3, api_name="/sample"))
    drawn = usual_store.pipe("classes")(class_labels=["7", "1"], seed=3).images
    assert (sheet == np.concatenate([np.asarray(image) for image in drawn], axis=1)).all()


@pytest.mark.parametrize(
    ("model", "size"), [("dcgan", 32), ("cgan", 28), ("vae", 28), ("autoencoder", 28), ("vae-faces", 16)]
)
def test_a_walk_begins_and_ends_at_its_seeds(client, model, size):
    walk = pixels_of(client.predict(seed_a=3, seed_b=4, steps=5, model=model, api_name="/interpolate")).astype(int)
    assert walk.shape[:2] == (size, 5 * size)
    label = {"class_labels": "0"} if model == "cgan" else {}
    for seed, place in ((3, slice(0, size)), (4, slice(-size, None))):
        end = pixels_of(client.predict(num_images=1, seed=seed, model=model, **label, api_name="/sample")).astype(int)
        assert abs(walk[:, place] - end).max() <= 1


def test_a_walk_between_classes(client):
    walk = pixels_of(
        client.predict(seed_a=3, seed_b=3, steps=3, model="cgan", class_labels="2,5", api_name="/interpolate")
    )
    ends = pixels_of(client.predict(num_images=1, seed=3, model="cgan", class_labels="5", api_name="/sample"))
    assert abs(walk[:, -28:].astype(int) - ends).max() <= 1


def test_a_conditional_vae_draws_and_walks_between_classes(client, conditional_vae):
    drawn = pixels_of(client.predict(seed=3, model="cvae", class_labels="owl,cat", psi=0.5, api_name="/sample"))
    pipe = conditional_vae[1]
    images = pipe(class_labels=["owl", "cat"], seed=3, psi=0.5).images
    assert (drawn == np.concatenate([np.asarray(image) for image in images], axis=1)).all()
    walk = {"seed_a": 3, "seed_b": 3, "steps": 3, "model": "cvae", "api_name": "/interpolate"}
    for label, last in (("", "cat"), ("owl", "owl"), ("cat,owl", "owl")):
        end = np.asarray(pipe(class_labels=last, seed=3).images[0])
        assert (pixels_of(client.predict(class_labels=label, **walk))[:, -16:] == end).all()


def test_autoencoders_give_images_back(client, usual_store):
    assert size_of(client.predict(x=0.5, y=-1.0, api_name="/decode")) == (28, 28)
    both = pixels_of(client.predict(image=GREY, api_name="/reconstruct"))
    assert both.shape == (28, 56)
    assert (both[:, :28] == 90).all()
    back = usual_store.pipe("map").reconstruct(np.full((1, 28, 28, 1), 90, np.uint8)).images[0]
    assert (both[:, 28:] == np.asarray(back)).all()
    assert size_of(client.predict(image=GREY, model="vae-faces", api_name="/reconstruct")) == (32, 16)


def test_faces_are_edited(client):
    smiling = {"Smiling": 1.5}
    drawn = pixels_of(client.predict(attributes=smiling, seed=1, api_name="/edit"))
    assert drawn.shape == (16, 32, 3)
    assert (drawn[:, :16] != drawn[:, 16:]).any()
    photo = as_text(Image.new("RGB", (40, 20), (200, 10, 10)), "JPEG")
    assert size_of(client.predict(attributes=smiling, image=photo, api_name="/edit")) == (32, 16)
    same = pixels_of(client.predict(attributes={"Smiling": 0}, seed=1, api_name="/edit"))
    assert (same[:, :16] == same[:, 16:]).all()


def test_a_discriminator_compares(client):
    answer = client.predict(model="dcgan", seed=2, api_name="/discriminate")
    assert set(answer) == {"real", "generated", "ranked", "given"}
    for side in ("real", "generated"):
        assert size_of(answer[side]["sheet"]) == (128, 128)
        assert len(answer[side]["scores"]) == 16
    assert 0 <= answer["ranked"] <= 1
    assert answer["given"] is None
    one = client.predict(model="cgan", image=GREY, class_label="3", api_name="/discriminate")
    other = client.predict(model="cgan", image=GREY, class_label="4", api_name="/discriminate")
    assert one["given"] != other["given"]


def test_an_image_for_a_model_without_discriminator_is_refused_in_words(usual_models, tmp_path, monkeypatch):
    shutil.copytree(usual_models / "dcgan", tmp_path / "dcgan")
    pipe = DCGANPipeline.from_pretrained(tmp_path / "dcgan")
    DCGANPipeline(pipe.generator).save_pretrained(tmp_path / "alone")
    store = ModelStore(str(tmp_path / "alone"), tabs=("real_or_fake",))
    store.load(further=False)
    functions = {}
    monkeypatch.setattr(api.gr, "api", lambda function, **options: functions.update({function.__name__: function}))
    api.add_api(store, ("real_or_fake",))
    with pytest.raises(gr.Error, match="without its discriminator"):
        run_coroutine(functions["discriminate"](model="alone", image=as_text(Image.new("RGB", (32, 32)))))


def test_neighbors_of_a_training_image_begin_with_itself(client, usual_store):
    train = usual_store.real_images("classes").train[17]
    near = client.predict(image=as_text(Image.fromarray(train[..., 0])), k=3, model="cgan", api_name="/neighbors")
    assert near["distances"][0] == 0
    assert near["distances"] == sorted(near["distances"])
    assert size_of(near["sheet"]) == (4 * 28, 28)
    assert len(near["labels"]) == 3
    drawn = client.predict(model="dcgan", seed=5, api_name="/neighbors")
    assert len(drawn["distances"]) == 5
    assert drawn["total"] == 5000


@pytest.mark.parametrize(("model", "side"), [("vae", 28), ("autoencoder", 28), ("dcgan", 32), ("cgan", 28)])
def test_many_images_are_one_sheet(client, model, side):
    def many(seed: int) -> np.ndarray:
        return pixels_of(client.predict(model=model, num_images=7, seed=seed, psi=0.5, api_name="/sample_many"))

    assert many(1).shape[:2] == (3 * side, 3 * side)
    assert (many(1) == many(1)).all()
    assert (many(1) != many(2)).any()


@pytest.mark.parametrize(
    ("endpoint", "arguments", "says"),
    [
        ("/sample", {"num_images": 65}, "num_images must be a number from 0 to 64"),
        ("/sample", {"num_images": 2.5}, "whole number"),
        ("/sample", {"seed": -1}, "seed must be a number from 0 to 2147483647"),
        ("/sample", {"psi": 1e308}, "psi must be"),
        ("/sample", {"model": "dogs"}, "model must be one of vae, autoencoder, dcgan, cgan"),
        ("/sample", {"model": ["dcgan"]}, "model must be one of"),
        ("/sample", {"num_images": "many"}, "num_images must be"),
        ("/sample", {"class_labels": "3"}, "has no classes"),
        ("/sample", {"model": "cgan", "class_labels": "12a"}, "There is no class '12a'"),
        (
            "/sample",
            {"model": "cgan", "class_labels": "1,2", "num_images": 3},
            "one for each image: 3 images, 2 labels",
        ),
        ("/sample", {"model": "cgan", "class_labels": ",".join("1" * 65)}, "65 images"),
        ("/sample", {"model": "vae", "psi": 0.5}, "no truncation"),
        ("/interpolate", {"steps": 1}, "steps must be a number from 2 to 32"),
        ("/interpolate", {"seed_b": "x"}, "seed_b must be"),
        ("/interpolate", {"model": "cgan", "class_labels": "1,2,3"}, "one class or two"),
        ("/decode", {"x": 100.0, "y": 0.0}, "x must be a number from -6 to 6"),
        ("/reconstruct", {"image": "abc"}, "image cannot be read"),
        ("/reconstruct", {"image": GREY, "model": "dcgan"}, "model must be one of vae, autoencoder"),
        ("/edit", {"attributes": {"Smiling": 9}}, "Smiling must be a number from -4 to 4"),
        ("/edit", {"attributes": {"Beard": 1}}, "known are Smiling, Wearing_Hat"),
        ("/edit", {"attributes": {}}, "strengths by name"),
        ("/discriminate", {"model": "vae"}, "model must be one of cgan, dcgan"),
        ("/discriminate", {"seed": 0.5}, "seed must be a whole number"),
        ("/discriminate", {"model": "cgan", "image": GREY}, "class_label must be one of 0, 1"),
        ("/neighbors", {"k": 17}, "k must be a number from 1 to 16"),
        ("/neighbors", {"image": 7}, "image must be"),
        ("/sample_many", {"model": "dogs"}, "model must be one of"),
        ("/sample_many", {"num_images": 1001}, "num_images must be a number from 1 to 1000"),
        ("/sample_many", {"num_images": 0}, "num_images must be a number from 1 to 1000"),
        ("/sample_many", {"psi": 2.5}, "psi must be"),
    ],
)
def test_wrong_arguments_are_refused_in_words(client, endpoint, arguments, says):
    with pytest.raises(AppError, match=says):
        client.predict(**arguments, api_name=endpoint)


def test_images_come_in_several_forms():
    image = Image.new("RGB", (60, 20), (250, 10, 10))
    image.paste((10, 10, 250), (20, 0, 40, 20))
    for text in (as_text(image), f"data:image/png;base64,{as_text(image)}", as_text(image, "WEBP")):
        seen = read_image(text, 10, 3)
        assert seen.shape == (10, 10, 3)
        assert seen[:, 1:-1, 2].min() > 200 > 60 > seen[:, 1:-1, 0].max()
    assert read_image(as_text(image), 7, 1).shape == (7, 7, 1)
    clear = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    assert (read_image(as_text(clear), 8, 1) == 0).all()


@pytest.mark.parametrize("shape", [(6000, 4000), (6000, 8000)])
def test_photos_of_phones_are_shrunk(shape):
    photo = Image.new("RGB", shape, (250, 10, 10))
    photo.paste((10, 10, 250), (0, 0, shape[0], shape[1] // 2))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 3
    seen = read_image(as_text(photo, "JPEG", exif=exif), 16, 3)
    assert seen[:7, :, 0].min() > 200 > 60 > seen[9:, :, 0].max()


@pytest.mark.parametrize("format", ["AVIF", "BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_usual_formats_are_read(format):
    assert (
        np.abs(read_image(as_text(Image.new("RGB", (40, 30), (200, 30, 90)), format), 8, 3) - [200, 30, 90]).max() < 9
    )


def test_base64_of_mail_and_of_urls_is_read():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8))
    text = as_text(image)
    assert {"+", "/"} <= set(text)
    expected = read_image(text, 16, 3)
    lines = "\r\n".join(text[i : i + 76] for i in range(0, len(text), 76))
    in_urls = text.replace("+", "-").replace("/", "_").rstrip("=")
    for same in (lines, in_urls, f"data:image/png;base64,{in_urls}"):
        assert np.array_equal(read_image(same, 16, 3), expected)


def test_bad_images_are_refused_in_words(monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    png = base64.b64decode(as_text(Image.fromarray(noise)))
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>'
    ppm = base64.b64decode(as_text(Image.new("L", (8, 8)), "PPM"))
    for data in (png[:40], png[: len(png) // 2], svg, ppm, b"", b"text"):
        with pytest.raises(UserError, match="image"):
            read_image(base64.b64encode(data).decode(), 28, 1)
    for value in (None, 3, "", "%%%", {"path": "/etc/passwd"}, "data:image/png;base64,"):
        with pytest.raises(UserError, match="image"):
            read_image(value, 28, 1)
    with pytest.raises(UserError, match="too large: its file may have 24 MiB"):
        read_image("A" * (inputs.MAX_IMAGE_TEXT + 1), 28, 1)
    monkeypatch.setattr(inputs, "MAX_IMAGE_PIXELS", 28 * 28 - 1)
    with pytest.raises(UserError, match="28 by 28 pixels"):
        read_image(GREY, 28, 1)


def test_a_decompression_bomb_is_refused_before_it_unfolds():
    bomb = as_text(Image.new("1", (16_000, 9_000)))
    assert len(bomb) < 100_000
    with pytest.raises(UserError, match="image"):
        read_image(bomb, 28, 1)


def test_the_same_functions_are_mcp_tools(address):
    mcp = pytest.importorskip("mcp")
    from mcp.client.streamable_http import streamablehttp_client

    async def talk():
        async with (
            streamablehttp_client(f"{address}/gradio_api/mcp/") as (read, write, _),
            mcp.ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = (await session.list_tools()).tools
            drawn = await session.call_tool("sample", {"num_images": 4, "seed": 1})
            refused = await session.call_tool("sample", {"num_images": 999})
        return tools, drawn, refused

    tools, drawn, refused = run_coroutine(talk())
    assert {tool.name for tool in tools} == ENDPOINTS
    for tool in tools:
        assert all(argument.get("description") for argument in tool.inputSchema["properties"].values()), tool.name
        for argument in tool.inputSchema["properties"].values():
            # Whole sentences, also those that take more than a line.
            assert argument["description"].endswith("."), argument
    labels = next(tool for tool in tools if tool.name == "sample").inputSchema["properties"]["class_labels"]
    assert labels["description"].endswith('such as "2,0,2,6"; by default the classes in turn.')
    score = next(tool for tool in tools if tool.name == "discriminate").description
    assert "a contact sheet as a PNG," in score
    assert score.rstrip().endswith("the score of your image, or null.")
    image = next(part for part in drawn.content if part.type == "image")
    assert Image.open(io.BytesIO(base64.b64decode(image.data))).size == (64, 64)
    assert refused.isError
    assert "num_images must be a number from 0 to 64" in refused.content[0].text


def test_tools_need_their_package(monkeypatch):
    monkeypatch.setattr(suite.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"gradio\[mcp\]"):
        launch(None, "127.0.0.1", 7860, mcp=True)
