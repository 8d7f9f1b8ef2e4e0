"""Metrics against known answers and an independent implementation."""

import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance

from genmodels.evaluation.metrics import coverage_of, frechet_distance, nearest_distances, within_class_distance


def normal(n: int, dim: int, seed: int, mean: float = 0.0, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed)) * scale + mean


def test_equal_sets_are_at_distance_zero():
    a = normal(500, 8, 0)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_shift_and_scale_give_the_closed_form():
    a, b = normal(100_000, 4, 0), normal(100_000, 4, 1, mean=2.0, scale=3.0)
    # |2|^2 * 4 + (3 - 1)^2 * 4
    assert frechet_distance(a, b) == pytest.approx(32, rel=0.02)


def test_fid_agrees_with_torchmetrics():
    class Flat(torch.nn.Module):
        num_features = 12

        def forward(self, images):
            return images.flatten(1).float()

    a, b = (
        torch.randint(0, high, (300, 3, 2, 2), generator=torch.Generator().manual_seed(high)) for high in (200, 256)
    )
    other = FrechetInceptionDistance(feature=Flat(), normalize=False, input_img_size=(3, 2, 2)).set_dtype(torch.float64)
    other.update(a.to(torch.uint8), real=True)
    other.update(b.to(torch.uint8), real=False)
    assert frechet_distance(a.flatten(1), b.flatten(1)) == pytest.approx(float(other.compute()), rel=1e-3)


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="at least 2"):
        frechet_distance(normal(1, 4, 0), normal(10, 4, 0))


def test_precision_and_recall_tell_collapse_from_noise():
    real = normal(600, 4, 0)
    collapsed = real[:1] + 0.01 * normal(600, 4, 1)
    assert coverage_of(collapsed, real) > 0.9
    assert coverage_of(real, collapsed) < 0.1
    scattered = normal(600, 4, 2, scale=20)
    assert coverage_of(scattered, real) < 0.1
    assert coverage_of(normal(600, 4, 3), real) > 0.8


def test_nearest_distances_are_sorted_and_point_back():
    references = torch.tensor([[0.0, 0], [3, 4], [6, 8]])
    distances, indices = nearest_distances(torch.tensor([[0.0, 0]]), references, k=3)
    assert distances.tolist() == [[0, 5, 10]]
    assert indices.tolist() == [[0, 1, 2]]


def test_within_class_distance_sees_identical_members():
    features = torch.tensor([[0.0, 0], [0, 0], [0, 0], [3, 4]])
    assert within_class_distance(features, torch.tensor([0, 0, 1, 1])) == pytest.approx(2.5)
