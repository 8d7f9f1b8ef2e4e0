"""Mixtures of Gaussians: where their modes lie, and how coverage is counted."""

from __future__ import annotations

import math

import pytest
import torch

from genmodels.evaluation.mixtures import Mixture, grid, ring


def test_the_ring_and_the_grid_lie_where_the_paper_has_them():
    assert torch.allclose(ring().centers.norm(dim=1), torch.ones(8))
    assert grid().centers.unique().tolist() == [-4, -2, 0, 2, 4]
    assert (len(ring().centers), len(grid().centers)) == (8, 25)


def test_samples_have_the_mean_and_spread_of_the_mixture():
    points = ring(radius=2.0, std=0.1).sample(20_000, torch.Generator().manual_seed(0))
    assert points.shape == (20_000, 2)
    # E x^2 = r^2 / 2 + std^2 along each axis.
    assert torch.allclose(points.square().mean(0), torch.tensor([2.01, 2.01]), atol=0.05)
    again = ring(radius=2.0, std=0.1).sample(20_000, torch.Generator().manual_seed(0))
    assert torch.equal(points, again)


def test_data_covers_itself():
    mixture = grid()
    modes, share = mixture.coverage(mixture.sample(20_000, torch.Generator().manual_seed(1)))
    assert modes == 25
    # Of a Gaussian of the plane, 1 - exp(-9/2) lies within three standard deviations.
    assert share == pytest.approx(1 - math.exp(-4.5), abs=0.003)


def test_coverage_counts_modes_and_points_near_them():
    mixture = Mixture(torch.tensor([[0.0, 0.0], [10.0, 0.0]]), std=1.0)
    points = torch.tensor([[0.0, 2.9], [0.1, 0.0], [0.0, 3.1], [math.nan, 0.0], [5.0, 0.0]])
    assert mixture.coverage(points) == (1, 2 / 5)
    assert mixture.coverage(torch.tensor([[5.0, 0.0]])) == (0, 0.0)
    assert mixture.coverage(torch.tensor([[0.0, 0.0], [11.0, 0.0]])) == (2, 1.0)


@pytest.mark.parametrize("shape", [(0, 2), (3, 3), (2,)])
def test_what_is_no_set_of_points_is_refused(shape):
    with pytest.raises(ValueError, match=r"shape \(N, 2\)"):
        ring().coverage(torch.zeros(shape))
