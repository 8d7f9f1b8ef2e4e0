"""Principal directions: they are what they must be where the answer is known."""

from __future__ import annotations

import pytest
import torch

from genmodels import DCGANGenerator, DCGANPipeline
from genmodels.pipelines.directions import principal_directions


@pytest.fixture(scope="module")
def pipe():
    torch.manual_seed(0)
    return DCGANPipeline(DCGANGenerator(latent_dim=6, base_channels=4, sample_size=16).eval())


def test_of_a_linear_generator_they_are_its_singular_vectors():
    """y = A z with z from N(0, I): the components are A's left singular vectors, the directions its right ones."""
    generator = torch.Generator().manual_seed(1)
    left, _ = torch.linalg.qr(torch.randn(30, 4, generator=generator))
    right, _ = torch.linalg.qr(torch.randn(4, 4, generator=generator))
    scales = torch.tensor([4.0, 2.0, 1.0, 0.5])
    latents = torch.randn(1500, 4, generator=generator)
    found = principal_directions(latents, latents @ (left * scales @ right.T).T + 7, 4)
    assert found.directions.norm(dim=1).tolist() == pytest.approx([1] * 4, abs=1e-5)
    assert (found.directions * right.T).sum(1).abs().min() > 0.99
    expected = scales.square() / scales.square().sum()
    assert found.explained.tolist() == pytest.approx(expected.tolist(), rel=0.1)


def test_the_largest_number_of_a_direction_is_positive(pipe):
    directions = pipe.principal_directions(4, 50).directions
    assert (directions.gather(1, directions.abs().argmax(1, keepdim=True)) > 0).all()


def test_the_first_moves_the_images_more_than_a_random_one(pipe):
    found = pipe.principal_directions(3, 500, seed=2)
    assert found.directions.shape == (3, 6)
    assert found.explained.diff().max() <= 0
    assert 0 < found.explained.sum() <= 1
    latents = torch.randn(64, 6, generator=torch.Generator().manual_seed(3))

    def moved(direction: torch.Tensor) -> float:
        before, after = (pipe(latents=z, output_type="pt").images for z in (latents - direction, latents + direction))
        return float((after - before).square().mean())

    others = torch.nn.functional.normalize(torch.randn(20, 6, generator=torch.Generator().manual_seed(4)), dim=1)
    assert moved(found.directions[0]) > sum(map(moved, others)) / 20


def test_they_are_reproducible_and_leave_the_global_generator_alone(pipe):
    state = torch.get_rng_state()
    first = pipe.principal_directions(2, 40, seed=5)
    assert torch.equal(first.directions, pipe.principal_directions(2, 40, seed=5).directions)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 50), "num_directions"),
        ((7, 50), "from 1 to 6"),
        ((3, 3), "from 4 to 10,000"),
        ((3, 10_001), "10,000"),
    ],
)
def test_wrong_numbers_are_named(pipe, arguments, message):
    with pytest.raises(ValueError, match=message):
        pipe.principal_directions(*arguments)


def test_a_generator_that_draws_one_image_has_no_direction_worth_a_name():
    found = principal_directions(torch.randn(20, 3), torch.zeros(20, 5), 2)
    assert torch.isfinite(found.directions).all()
    assert found.explained.tolist() == [0, 0]
