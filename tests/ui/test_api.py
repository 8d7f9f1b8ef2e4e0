"""The public endpoints, called over HTTP."""

from __future__ import annotations

import base64
import io
import logging
import socket

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from genmodels.ui.suite import build, launch


@pytest.fixture(scope="module")
def client(usual_store):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    demo = build(usual_store)
    launch(demo, "127.0.0.1", port)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    yield Client(f"http://127.0.0.1:{port}", verbose=False)
    demo.close(verbose=False)


def size_of(uri: str) -> tuple[int, int]:
    return Image.open(io.BytesIO(base64.b64decode(uri.split(",", 1)[1]))).size


def test_only_documented_functions_are_public(client):
    described = client.view_api(return_format="dict")
    assert set(described["named_endpoints"]) == {"/sample", "/write", "/decode", "/compare", "/sample_many"}
    assert not described["unnamed_endpoints"]


def test_answers(client):
    assert size_of(client.predict(num_images=16, seed=7, psi=0.8, api_name="/sample")) == (128, 128)
    assert size_of(client.predict(num_images=4, model="dcgan", api_name="/sample")) == (64, 64)
    assert size_of(client.predict(text="2026", seed=7, psi=1.0, api_name="/write")) == (112, 28)
    assert size_of(client.predict(x=0.5, y=-1.0, api_name="/decode")) == (28, 28)


def test_a_discriminator_compares(client):
    answer = client.predict(kind="samples", seed=2, api_name="/compare")
    assert set(answer) == {"real", "generated", "ranked"}
    for side in ("real", "generated"):
        assert size_of(answer[side]["sheet"]) == (128, 128)
        assert len(answer[side]["scores"]) == 16
    assert 0 <= answer["ranked"] <= 1


@pytest.mark.parametrize(("kind", "side"), [("map", 28), ("autoencoder", 28), ("samples", 32), ("classes", 28)])
def test_many_images_are_one_sheet(client, kind, side):
    sheet = client.predict(kind=kind, num_images=7, seed=1, psi=0.5, api_name="/sample_many")
    assert size_of(sheet) == (3 * side, 3 * side)
    assert sheet == client.predict(kind=kind, num_images=7, seed=1, psi=0.5, api_name="/sample_many")
    assert sheet != client.predict(kind=kind, num_images=7, seed=2, psi=0.5, api_name="/sample_many")


@pytest.mark.parametrize(
    ("endpoint", "arguments", "says"),
    [
        ("/sample", {"num_images": 65, "seed": 0, "psi": 1.0}, "num_images must be a number from 1 to 64"),
        ("/sample", {"num_images": 2.5, "seed": 0, "psi": 1.0}, "whole number"),
        ("/sample", {"num_images": 1, "seed": -1, "psi": 1.0}, "seed must be"),
        ("/sample", {"num_images": 1, "seed": 0, "psi": 1e308}, "psi must be"),
        ("/sample", {"num_images": 1, "model": "cgan"}, "model must be one of dcgan"),
        ("/sample", {"num_images": "many", "seed": 0, "psi": 1.0}, "num_images must be"),
        ("/write", {"text": "12a", "seed": 0, "psi": 1.0}, "Only the digits"),
        ("/write", {"text": "1" * 13, "seed": 0, "psi": 1.0}, "at most 12"),
        ("/decode", {"x": 100.0, "y": 0.0}, "x must be a number from -6 to 6"),
        ("/compare", {"kind": "map", "seed": 0}, "kind must be one of classes, samples"),
        ("/compare", {"kind": "classes", "seed": 0.5}, "seed must be a whole number"),
        ("/sample_many", {"kind": "dogs"}, "kind must be one of map, autoencoder, samples, classes"),
        ("/sample_many", {"kind": "samples", "num_images": 1001}, "num_images must be a number from 1 to 1000"),
        ("/sample_many", {"kind": "samples", "num_images": 0}, "num_images must be a number from 1 to 1000"),
        ("/sample_many", {"kind": "samples", "psi": 2.5}, "psi must be"),
    ],
)
def test_wrong_arguments_are_refused_in_words(client, endpoint, arguments, says):
    with pytest.raises(AppError, match=says):
        client.predict(**arguments, api_name=endpoint)
