"""Networks come back from a folder exactly as they were saved, or not at all."""

from __future__ import annotations

import json
import re

import pytest
import torch
from safetensors.torch import load_file, save_file

from genmodels import models
from genmodels.features.classifier import Classifier

NAMES = {"num_classes": 3, "class_names": ["ant", "bee", "cat"]}
NETWORKS = {
    models.AutoencoderEncoder: {"latent_dim": 3, "base_channels": 2, "hidden_dim": 8, "noise": 0.5},
    models.AutoencoderDecoder: {"latent_dim": 3, "base_channels": 2, "hidden_dim": 8},
    models.VAEEncoder: {"latent_dim": 3, "base_channels": 2, "hidden_dim": 8},
    models.VAEDecoder: {"latent_dim": 3, "base_channels": 2, "hidden_dim": 8, "likelihood": "gaussian", "beta": 4.0},
    models.VanillaGANGenerator: {"latent_dim": 3, "hidden_dims": [4, 6], "negative_slope": 0.1, "norm": "batch"},
    models.VanillaGANDiscriminator: {"sample_size": 16, "num_channels": 3, "hidden_dims": [6], "dropout": 0.25},
    models.DCGANGenerator: {"sample_size": 16, "latent_dim": 3, "base_channels": 2, "kernel_size": 6},
    models.DCGANDiscriminator: {"sample_size": 16, "base_channels": 2, "dropout": 0.25, "spectral_norm": True},
    models.CGANGenerator: {"latent_dim": 3, "base_channels": 2, "upsampling": "nearest", **NAMES},
    models.CGANDiscriminator: {"base_channels": 2, "norm": "batch", **NAMES},
    models.LAPGANGenerator: {"sample_size": 16, "num_levels": 2, "latent_dim": 5, "base_channels": 2, **NAMES},
    models.LAPGANDiscriminator: {"sample_size": 16, "num_levels": 2, "base_channels": 2, **NAMES},
    models.UNet: {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": [8],
        "down_block_types": ["DownBlock2D"],
        "up_block_types": ["UpBlock2D"],
        "norm_num_groups": 4,
    },
    Classifier: {"base_channels": 2, "test_accuracy": 0.5, **NAMES},
}
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_saved_networks_come_back_identical(network, tmp_path):
    before = network(**NETWORKS[network])
    before.save_pretrained(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", WEIGHTS}
    after = network.from_pretrained(tmp_path)
    assert not after.training
    assert {k: v for k, v in after.config.items() if not k.startswith("_")} == {
        k: v for k, v in before.config.items() if not k.startswith("_")
    }
    for name, value in NETWORKS[network].items():
        assert after.config[name] == value
    state = after.state_dict()
    assert state.keys() == before.state_dict().keys()
    for name, tensor in before.state_dict().items():
        assert torch.equal(state[name], tensor), name
        # Where torch would put it: elsewhere, sums may be taken in another order.
        assert state[name].data_ptr() % 64 == 0, name


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_saving_again_does_not_tell_where_it_came_from(network, tmp_path):
    network(**NETWORKS[network]).save_pretrained(tmp_path / "a")
    network.from_pretrained(tmp_path / "a").save_pretrained(tmp_path / "b")
    first, second = ((tmp_path / folder / "config.json").read_text() for folder in "ab")
    assert first == second
    assert str(tmp_path) not in second


def test_subfolders_and_precision_load(tmp_path):
    models.DCGANGenerator(base_channels=2).save_pretrained(tmp_path / "generator")
    network, info = models.DCGANGenerator.from_pretrained(
        tmp_path, subfolder="generator", torch_dtype=torch.bfloat16, output_loading_info=True
    )
    assert network.dtype == torch.bfloat16
    assert not info["missing_keys"]


@pytest.fixture
def folder(tmp_path):
    models.DCGANGenerator(sample_size=16, base_channels=2).save_pretrained(tmp_path / "broken")
    return tmp_path / "broken"


def change(folder, edit) -> None:
    tensors = load_file(folder / WEIGHTS)
    edit(tensors)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})


def refused(folder) -> str:
    with pytest.raises(ValueError, match="broken") as caught:
        models.DCGANGenerator.from_pretrained(folder)
    assert str(folder) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda t: t.pop("layers.0.weight"), "missing layers.0.weight"),
        (lambda t: t.pop("layers.1.running_mean"), "missing layers.1.running_mean"),
        (lambda t: t.update(extra=torch.zeros(1)), "unexpected extra"),
        (lambda t: t["layers.0.weight"].view(-1)[3:4].fill_(float("nan")), "non-finite layers.0.weight"),
        (lambda t: t["layers.1.running_var"].fill_(float("inf")), "non-finite layers.1.running_var"),
    ],
)
def test_wrong_tensors_are_refused_by_name(folder, edit, words):
    change(folder, edit)
    message = refused(folder)
    assert message == f"The weights in {folder} do not fit DCGANGenerator: {words}. Download or save them again."


def test_many_missing_tensors_are_counted_not_listed(folder):
    change(folder, lambda tensors: [tensors.pop(name) for name in list(tensors)[:8]])
    assert re.search(r"missing (\S+, ){3}\S+ \.\.\.\. Download", refused(folder))


def test_wrong_shape_is_refused(folder):
    change(folder, lambda tensors: tensors.update({"layers.0.weight": torch.zeros(1, 2, 3)}))
    message = refused(folder)
    assert message.endswith(
        "layers.0.weight expected shape torch.Size([100, 4, 4, 4]), but got torch.Size([1, 2, 3]). Download or save it again."
    )


@pytest.mark.parametrize("keep", [0, 5, 200, -10])
def test_truncated_files_are_refused(folder, keep):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[:keep])
    message = refused(folder)
    assert "does not load as DCGANGenerator" in message
    assert "\n" not in message


def test_missing_file_is_refused(folder):
    (folder / WEIGHTS).unlink()
    assert WEIGHTS in refused(folder)


def test_pickled_weights_are_never_read(folder):
    torch.save(load_file(folder / WEIGHTS), folder / "diffusion_pytorch_model.bin")
    (folder / WEIGHTS).unlink()
    assert "does not load as DCGANGenerator" in refused(folder)


def test_config_with_illegal_values_is_refused(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "sample_size": 1000}))
    assert "sample_size must be an integer from 16 to 128, got 1000" in refused(folder)
