"""Modes of stacked digits, counted with a classifier whose answers are known."""

import math

import pytest
import torch

from genmodels.data import load_images
from genmodels.errors import UserError
from genmodels.evaluation.modes import stacked_modes
from genmodels.features.evaluators import load_classifier


def read(images: torch.Tensor) -> torch.Tensor:
    """Logits of a digit that is written as the brightness of an image of one pixel."""
    return torch.nn.functional.one_hot((images[:, 0, 0, 0] * 10).round().long(), 10).float()


def stack(*rows: tuple[int, int, int]) -> torch.Tensor:
    return torch.tensor(rows)[:, :, None, None] / 10


def test_equal_shares_have_no_divergence_and_one_mode_has_all():
    every = stack(*((a, b, c) for a in range(10) for b in range(10) for c in range(10)))
    assert stacked_modes(every, read) == (1000, pytest.approx(0, abs=1e-12))
    assert stacked_modes(stack((1, 2, 3)).repeat(1000, 1, 1, 1), read) == (1, pytest.approx(math.log(1000)))


def test_the_order_of_the_colours_makes_a_mode():
    images = stack((1, 2, 3), (3, 2, 1), (3, 2, 1), (3, 2, 1)).repeat(250, 1, 1, 1)
    expected = math.log(1000) + 0.25 * math.log(0.25) + 0.75 * math.log(0.75)
    assert stacked_modes(images, read) == (2, pytest.approx(expected))


@pytest.mark.slow
def test_real_digits_reach_as_many_modes_as_chance_allows():
    stream = load_images("zoo:mnist-sample", split="test", batch_size=500, num_workers=0)
    digits = torch.cat([batch["pixel_values"] for batch in stream.once()])
    chosen = torch.randint(len(digits), (2000, 3), generator=torch.Generator().manual_seed(0))
    modes, divergence = stacked_modes(digits[chosen].squeeze(2), load_classifier("evaluator-mnist")[0])
    # Two images of each mode on average: a share of exp(-2) has none.
    assert modes == pytest.approx(1000 * (1 - math.exp(-2)), abs=30)
    assert 0.2 < divergence < 0.35


def test_too_few_images_and_grey_ones_are_refused():
    with pytest.raises(UserError, match="999 images cannot show 1,000 modes: draw more"):
        stacked_modes(stack((0, 0, 0)).repeat(999, 1, 1, 1), read)
    with pytest.raises(UserError, match=r"three channels, \(N, 3, H, W\); these images are \(1000, 1, 4, 4\)"):
        stacked_modes(torch.zeros(1000, 1, 4, 4), read)
