"""A fresh network tells what is not real, and nothing of what is."""

from __future__ import annotations

import pytest
import torch

from genmodels import zoo
from genmodels.evaluation import c2st
from genmodels.evaluation.c2st import coarsened, two_sample_accuracy, two_sample_metrics
from genmodels.features.metrics import eight_bit


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    """2,000 real digits."""
    images = torch.tensor(zoo.load_sample("zoo:mnist-sample", "train").images[:2000])
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.mark.slow
def test_real_images_are_not_told_from_others(digits):
    assert two_sample_accuracy(digits[:1000], digits[1000:]) == pytest.approx(0.5, abs=0.05)


@pytest.mark.slow
def test_images_of_another_kind_are(digits):
    mirrored = digits[1000:].flip(-1)
    assert two_sample_accuracy(digits[:1000], mirrored) > 0.75


@pytest.mark.slow
def test_single_values_tell_until_they_are_coarsened(digits):
    # As a tanh draws it: no black that is quite black.
    fakes = eight_bit(digits[1000:].clamp(min=-1 + 4 / 127.5))
    real, count = digits[:1000], 1000
    assert two_sample_accuracy(real[:count], fakes) > 0.95
    assert two_sample_accuracy(coarsened(real), coarsened(fakes)) == pytest.approx(0.5, abs=0.05)


def test_sixteen_levels_are_the_upper_bits():
    values = torch.arange(256).float().view(1, 1, 16, 16) / 127.5 - 1
    levels = (coarsened(values) + 1) * 7.5
    torch.testing.assert_close(levels.flatten(), (torch.arange(256) // 16).float())


def test_the_same_seed_gives_the_same_number_and_touches_no_random_state(digits, monkeypatch):
    monkeypatch.setattr(c2st, "EPOCHS", 1)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second = (two_sample_accuracy(digits[:200], digits[200:500], seed=5) for _ in range(2))
    assert first == second
    assert torch.equal(torch.get_rng_state(), before)


def test_each_number_stands_beside_its_floor_and_says_of_how_many(digits, monkeypatch):
    monkeypatch.setattr(c2st, "EPOCHS", 1)
    raw, coarse = two_sample_metrics(digits[:100], digits[100:300], digits[300:700], seed=0)
    assert [raw.metric, coarse.metric] == ["c2st", "c2st_coarse"]
    # 100 + 200 real ones in all: as many fakes, and two halves for the floor.
    assert raw.args == coarse.args == {"images": 300, "floor_images": 150}
    assert 0 <= raw.floor <= 1
    assert raw.floor == coarse.floor
    assert "C2ST" in raw.name
    assert "16-level" in coarse.name


def test_wrong_sets(digits):
    for real, fake in ((digits[:3], digits), (digits, digits[..., :20])):
        with pytest.raises(ValueError, match="Need at least 4 images each, of one shape"):
            two_sample_accuracy(real, fake)
