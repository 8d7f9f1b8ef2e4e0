"""The standard FID: what its network is shown, and how its weights are taken. The network itself is a download of 91 MB."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from genmodels.errors import UserError
from genmodels.features.inception import WEIGHTS_URL, inception_features, load_inception


class StandIn(nn.Module):
    """Takes what Inception takes, and answers with the mean of each channel."""

    def forward(self, images):
        assert images.dtype == torch.uint8
        assert images.shape[1] == 3
        return (images.float().mean((2, 3)),)


def test_grey_images_are_shown_as_bytes_in_three_channels():
    images = torch.tensor([-1.0, 0.0, 1.0, 1.2])[:, None, None, None].expand(4, 1, 8, 8)
    assert inception_features(StandIn(), images).tolist() == [[0] * 3, [128] * 3, [255] * 3, [255] * 3]


def test_colours_stay_in_their_channels():
    images = torch.tensor([-1.0, 0.2, 1.0])[None, :, None, None].expand(70, 3, 8, 8)
    assert inception_features(StandIn(), images).tolist() == [[0, 153, 255]] * 70


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(UserError, match="python -m pip install torch-fidelity"):
        load_inception()


@pytest.fixture
def weights(tmp_path, monkeypatch) -> Path:
    """Where the weights are looked for; the library is there, and would run whatever is in them."""
    library = ModuleType("torch_fidelity.feature_extractor_inceptionv3")

    class Extractor(StandIn):
        def __init__(self, name, features_list, feature_extractor_weights_path):
            super().__init__()
            self.source = Path(feature_extractor_weights_path)
            self.weights = torch.load(feature_extractor_weights_path, weights_only=False)

    library.FeatureExtractorInceptionV3 = Extractor
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, library.__name__, library)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = tmp_path / "hub" / "checkpoints" / WEIGHTS_URL.rsplit("/", 1)[1]
    path.parent.mkdir(parents=True)
    return path


def test_weights_are_read_from_the_cache(weights):
    torch.save({"fc.weight": torch.ones(2)}, weights)
    network = load_inception()
    assert network.weights["fc.weight"].tolist() == [1, 1]
    # Not the downloaded file, and gone by now.
    assert network.source != weights
    assert not network.source.exists()


class Burglar:
    def __init__(self, loot: Path):
        self.loot = loot

    def __reduce__(self):
        return Path.touch, (self.loot,)


def test_a_file_that_would_run_code_is_not_read(weights, tmp_path):
    torch.save({"fc.weight": Burglar(tmp_path / "loot")}, weights)
    with pytest.raises(UserError, match="are damaged: delete that file and try again"):
        load_inception()
    assert not (tmp_path / "loot").exists()


def test_no_network_is_said(weights, monkeypatch):
    def offline(url, path, hash_prefix):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(UserError, match=r"cannot be downloaded \(Network is unreachable\): they come once, from https"):
        load_inception()
    assert not weights.exists()
