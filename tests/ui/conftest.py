"""Tiny models with random weights: what the tabs do does not depend on how good the pictures are."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genmodels import (
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
)
from genmodels.ui.models import ModelStore

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
def usual_store(usual_models) -> ModelStore:
    store = ModelStore(str(usual_models))
    store.load()
    return store


@pytest.fixture(scope="session")
def odd_store(odd_models) -> ModelStore:
    store = ModelStore(str(odd_models))
    store.load()
    return store
