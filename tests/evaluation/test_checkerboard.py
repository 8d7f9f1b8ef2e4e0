"""The share of an image's spectrum at period 2: known patterns, and what evaluations do with it."""

from types import SimpleNamespace

import pytest
import torch
from helpers import make_pipeline

from genmodels import zoo
from genmodels.evaluation.ability_metrics import has_convolutions
from genmodels.evaluation.checkerboard import checkerboard_energy
from genmodels.evaluation.report import Metric
from genmodels.evaluation.reproduce import compare, protocol_differences


def pattern(size: int, period: int, columns: bool = False) -> torch.Tensor:
    """(1, 1, size, size): a checkerboard, or stripes, of brightness -1 and 1."""
    steps = torch.arange(size) * 2 // period % 2
    place = (steps if columns else steps[:, None] + steps) % 2
    return (place.expand(size, size) * 2.0 - 1)[None, None]


def digits(count: int = 50) -> torch.Tensor:
    images = torch.from_numpy(zoo.load_sample("zoo:mnist-sample", "test").images[:count])
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.mark.parametrize("size", [16, 28, 64])
def test_patterns_of_period_two_are_all_checkerboard_and_others_none(size):
    for columns in (False, True):
        assert checkerboard_energy(pattern(size, 2, columns)) == pytest.approx(1)
        assert checkerboard_energy(pattern(size, 4, columns)) == pytest.approx(0, abs=1e-12)


def test_flat_images_have_none_and_brightness_does_not_count():
    assert checkerboard_energy(torch.ones(2, 3, 8, 8)) == 0
    board = 0.1 * pattern(16, 2)
    assert checkerboard_energy(board + 0.8) == pytest.approx(1)


def test_shares_add_up_over_images_by_their_energy():
    # Energies 1 and 4 a pixel, of which the first is at period 2; with the corners of rows and columns counted once.
    images = torch.cat([pattern(16, 2), 2 * pattern(16, 4)])
    assert checkerboard_energy(images) == pytest.approx(1 / 5)
    torch.manual_seed(0)
    # White noise has as much of every frequency: 16 + 16 - 1 of 16^2 - 1.
    assert checkerboard_energy(torch.randn(400, 3, 16, 16)) == pytest.approx(31 / 255, rel=0.02)


def test_an_odd_row_is_left_out():
    images = torch.rand(3, 1, 17, 17)
    assert checkerboard_energy(images) == checkerboard_energy(images[..., :16, :16])
    with pytest.raises(ValueError, match="from 2x2 on"):
        checkerboard_energy(torch.zeros(3, 1, 1, 8))


def test_a_faint_checkerboard_stands_out_from_real_digits():
    real = digits()
    floor = checkerboard_energy(real)
    assert 0 < floor < 0.01
    assert checkerboard_energy(real + 0.1 * pattern(28, 2)) > 2 * floor


def test_only_networks_that_convolve_are_measured():
    assert not has_convolutions(make_pipeline("gan"))
    assert all(has_convolutions(make_pipeline(kind)) for kind in ("autoencoder", "vae", "dcgan", "wgan", "cgan"))


def test_older_cards_without_it_are_still_verified():
    fid, energy = Metric("fid", "FID", 2.0, 1.0, "lower"), Metric("checkerboard_energy", "energy", 0.1, 0.1, "as real")
    stated = {"metrics": [{"metric": "fid", "name": "FID", "value": 2.0, "floor": 1.0}]}
    plain = [{"metric": metric.metric, "args": metric.args} for metric in (fid, energy)]
    measured = SimpleNamespace(metrics=[fid, energy], to_dict=lambda: {"metrics": plain})
    assert [number.reproduced for number in compare(stated, measured)] == [True, True]
    assert protocol_differences(stated, measured) == []
