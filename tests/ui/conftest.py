"""Tiny models with random weights: what the tabs do does not depend on how good the pictures are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from genmodels import (
    AttributeDirections,
    AutoencoderDecoder,
    AutoencoderEncoder,
    AutoencoderPipeline,
    CGANDiscriminator,
    CGANGenerator,
    CGANPipeline,
    DCGANDiscriminator,
    DCGANGenerator,
    DCGANPipeline,
    VAEDecoder,
    VAEEncoder,
    VAEPipeline,
    VanillaGANDiscriminator,
    VanillaGANGenerator,
    VanillaGANPipeline,
    WGANPipeline,
)
from genmodels.models.prior import fit_mixture
from genmodels.ui.models import SAMPLES, ModelStore

ANIMALS = ["cat", "dog", "owl"]


def save_models(folder: Path, vae: dict, dcgan: dict, cgan: dict) -> Path:
    """Save one model of each kind, in folders named after their kind."""
    torch.manual_seed(0)
    vae, dcgan, cgan = ({"base_channels": 4, **config} for config in (vae, dcgan, cgan))
    shape = ("sample_size", "num_channels", "base_channels")
    VAEPipeline(VAEEncoder(**vae).eval(), VAEDecoder(**vae).eval()).save_pretrained(folder / "vae")
    plain = AutoencoderPipeline(AutoencoderEncoder(**vae).eval(), AutoencoderDecoder(**vae).eval())
    plain.save_pretrained(folder / "autoencoder")
    scorer = DCGANDiscriminator(norm="none", **{k: v for k, v in dcgan.items() if k in shape})
    DCGANPipeline(DCGANGenerator(latent_dim=8, **dcgan).eval(), scorer.eval()).save_pretrained(folder / "dcgan")
    judge = CGANDiscriminator(**cgan)
    CGANPipeline(CGANGenerator(latent_dim=8, label_dim=4, **cgan).eval(), judge.eval()).save_pretrained(folder / "cgan")
    grey = {"dataset": "ylecun/mnist", "split": "train", "classes": None}
    frogs = {"dataset": "uoft-cs/cifar10", "split": "train", "classes": ["frog"]}
    for name, channels in (
        ("vae", vae.get("num_channels", 1)),
        ("autoencoder", vae.get("num_channels", 1)),
        ("dcgan", dcgan.get("num_channels", 3)),
        ("cgan", cgan.get("num_channels", 1)),
    ):
        (folder / name / "training.json").write_text(json.dumps(grey if channels == 1 else frogs))
    return folder


@pytest.fixture(scope="session")
def usual_models(tmp_path_factory) -> Path:
    """Shapes and class names like those of the built-in models."""
    return save_models(
        tmp_path_factory.mktemp("usual"),
        vae={"hidden_dim": 16},
        dcgan={},
        cgan={"class_names": [str(i) for i in range(10)]},
    )


@pytest.fixture(scope="session")
def odd_models(tmp_path_factory) -> Path:
    """Other sizes, channels and class names."""
    return save_models(
        tmp_path_factory.mktemp("odd"),
        vae={"hidden_dim": 16, "sample_size": 16, "num_channels": 3},
        dcgan={"sample_size": 64, "num_channels": 1},
        cgan={"sample_size": 16, "num_channels": 3, "num_classes": 3, "class_names": ANIMALS},
    )


@pytest.fixture(scope="session")
def gans(tmp_path_factory) -> Path:
    """Three GANs with latents of different lengths, a film and figures beside one of them."""
    folder = tmp_path_factory.mktemp("gans")
    torch.manual_seed(1)
    judge = VanillaGANDiscriminator(hidden_dims=[8])
    VanillaGANPipeline(VanillaGANGenerator(latent_dim=5, hidden_dims=[8]), judge).save_pretrained(folder / "a-gan")
    generator = DCGANGenerator(latent_dim=8, base_channels=4).eval()
    DCGANPipeline(generator).save_pretrained(folder / "b-dcgan")
    generator = DCGANGenerator(latent_dim=11, base_channels=4, sample_size=16, num_channels=1).eval()
    WGANPipeline(generator).save_pretrained(folder / "c-wgan")
    grids = [Image.new("RGB", (20, 12), (40 * i, 0, 0)) for i in range(5)]
    grids[0].save(folder / "a-gan" / "film.webp", save_all=True, append_images=grids[1:], lossless=True)
    (folder / "a-gan" / "training.json").write_text('{"steps": 2000}')
    metrics = [{"metric": "fid", "value": 3.456, "floor": 0.11}, {"metric": "recall", "value": 0.5, "floor": 0.9}]
    (folder / "a-gan" / "evaluation.json").write_text(json.dumps({"metrics": metrics, "dataset": "some/digits"}))
    (folder / "b-dcgan" / "evaluation.json").write_text(json.dumps({"metrics": metrics[:1]}))
    return folder


@pytest.fixture(scope="session")
def conditional_vae(tmp_path_factory) -> tuple[ModelStore, VAEPipeline]:
    """A store of one conditional VAE, and that."""
    torch.manual_seed(2)
    shape = {"latent_dim": 4, "base_channels": 4, "hidden_dim": 16, "sample_size": 16, "class_names": ANIMALS}
    pipe = VAEPipeline(*(cls(num_classes=3, **shape).eval() for cls in (VAEEncoder, VAEDecoder)))
    folder = tmp_path_factory.mktemp("conditional") / "cvae"
    pipe.save_pretrained(folder)
    store = ModelStore(str(folder), tabs=("classes",))
    store.load()
    return store, pipe


@pytest.fixture(scope="session")
def labelled_store(usual_models) -> ModelStore:
    """A store whose Samples tab shows a conditional GAN, as the built-in one does."""
    store = ModelStore(str(usual_models / "cgan"), tabs=("classes",))
    (model,) = store.conditional
    model.kind = SAMPLES
    store.models, store.gallery = {SAMPLES: model}, [model]
    store.load()
    return store


@pytest.fixture(scope="session")
def gan_store(gans) -> ModelStore:
    store = ModelStore(str(gans), tabs=("samples",))
    store.load()
    return store


@pytest.fixture(scope="session")
def usual_store(usual_models) -> ModelStore:
    store = ModelStore(str(usual_models))
    store.load()
    return store


@pytest.fixture(scope="session")
def odd_store(odd_models) -> ModelStore:
    store = ModelStore(str(odd_models))
    store.load()
    return store


@pytest.fixture(scope="session")
def faces_model(tmp_path_factory) -> Path:
    """A VAE of colour images of 16 pixels, with two attributes in its 4 latents."""
    torch.manual_seed(2)
    shape = {"sample_size": 16, "num_channels": 3, "latent_dim": 4, "base_channels": 4, "hidden_dim": 16}
    attributes = AttributeDirections(["Smiling", "Wearing_Hat"], latent_dim=4)
    attributes.directions.data = 3 * torch.randn(2, 4)
    # Their law is not N(0, I): what is edited and added up must be what is on the sheet.
    prior = fit_mixture(2 + 3 * torch.randn(200, 4), 2)
    folder = tmp_path_factory.mktemp("faces") / "vae-faces"
    VAEPipeline(VAEEncoder(**shape).eval(), VAEDecoder(**shape).eval(), attributes, prior).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def faces_store(faces_model) -> ModelStore:
    store = ModelStore(str(faces_model), tabs=("map",))
    store.load()
    return store
