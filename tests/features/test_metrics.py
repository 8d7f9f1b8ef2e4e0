"""Metrics against known answers and an independent implementation."""

import numpy as np
import pytest
import torch
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from genmodels import zoo
from genmodels.features.evaluators import features_of, load_classifier
from genmodels.features.metrics import (
    coverage_of,
    frechet_distance,
    kernel_distance,
    nearest_distances,
    within_class_coverage,
    within_class_distance,
)


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


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_too_few_images_are_refused(distance):
    for a, b in ((normal(1, 4, 0), normal(10, 4, 0)), (normal(10, 4, 0), normal(10, 5, 0))):
        with pytest.raises(ValueError, match="at least 2"):
            distance(a, b)


@pytest.mark.filterwarnings("ignore:Metric .* will save all extracted features")
@pytest.mark.slow
def test_both_distances_agree_with_torchmetrics_on_the_evaluator_itself():
    evaluator, _ = load_classifier("evaluator-mnist")
    images = (
        torch.from_numpy(zoo.load_sample("zoo:mnist-sample", "test").images).permute(0, 3, 1, 2).float() / 127.5 - 1
    )
    a, b = images[:300], images[300:600].flip(-1)

    class Features(torch.nn.Module):
        num_features = 128

        def forward(self, pixel_values):
            return evaluator.features(pixel_values)

    features = [features_of(evaluator, x) for x in (a, b)]
    # torchmetrics keeps FID's images as bytes only for its own network.
    fid = FrechetInceptionDistance(feature=Features(), input_img_size=(1, 28, 28)).set_dtype(torch.float64)
    kid = KernelInceptionDistance(feature=Features(), subsets=1, subset_size=300)
    for metric in (fid, kid):
        metric.inception.requires_grad_(False)
        metric.update(a, real=False)
        metric.update(b, real=True)
    with torch.no_grad():
        assert frechet_distance(*features) == pytest.approx(float(fid.compute()), rel=1e-3)
        assert kernel_distance(*features) == pytest.approx(float(kid.compute()[0]), rel=1e-3)


def share_in_neighbourhoods(queries: np.ndarray, points: np.ndarray, k: int) -> float:
    """Equations 1 and 2 of Kynkaanniemi et al. 2019 read aloud: a point at a time, no matrix of distances, no torch.

    The share of queries that lie in some point's ball, whose radius is the distance to its k-th nearest other point.
    """
    covered = np.zeros(len(queries), dtype=bool)
    for i, point in enumerate(points):
        others = np.linalg.norm(np.delete(points, i, axis=0) - point, axis=1)
        covered |= np.linalg.norm(queries - point, axis=1) <= np.sort(others)[k - 1]
    return covered.mean()


def test_precision_and_recall_agree_with_a_second_implementation():
    evaluator, _ = load_classifier("evaluator-mnist")
    images = (
        torch.from_numpy(zoo.load_sample("zoo:mnist-sample", "test").images).permute(0, 3, 1, 2).float() / 127.5 - 1
    )
    real = features_of(evaluator, images[:400])
    # Darker and darker.
    brightness = torch.linspace(0.1, 1, 400)[:, None, None, None]
    fake = features_of(evaluator, (images[400:800] + 1) * brightness - 1)
    precision, recall = (
        share_in_neighbourhoods(queries.double().numpy(), points.double().numpy(), k=3)
        for queries, points in [(fake, real), (real, fake)]
    )
    assert 0.1 < min(precision, recall) < 0.9
    assert coverage_of(fake, real) == pytest.approx(precision, rel=1e-3)
    assert coverage_of(real, fake) == pytest.approx(recall, rel=1e-3)


def polynomial_mmd(a: torch.Tensor, b: torch.Tensor) -> float:
    """The unbiased estimate written out: means over all pairs of different images."""

    def kernel(x, y):
        return (x.double() @ y.double().T / x.shape[1] + 1) ** 3

    def mean_of_pairs(x):
        return float((kernel(x, x).sum() - kernel(x, x).diagonal().sum()) / (len(x) * (len(x) - 1)))

    return mean_of_pairs(a) + mean_of_pairs(b) - 2 * float(kernel(a, b).mean())


def test_kernel_distance_is_the_written_out_formula():
    a, b = normal(80, 6, 0), normal(80, 6, 1, mean=0.5)
    # One subset of all images: no choice is left.
    assert kernel_distance(a, b, subsets=1, subset_size=80) == pytest.approx(polynomial_mmd(a, b), rel=1e-9)


def test_kernel_distance_of_shifted_gaussians_has_a_closed_form():
    # One dimension, N(0, 1) and N(m, 1): E k(x, y) = E (xy + 1)^3 over independent x, y is the sum over j of
    # binomial(3, j) E x^j E y^j, so the distance is the sum of binomial(3, j) (E x^j - E y^j)^2.
    m = 1.5
    expected = 3 * m**2 + 3 * (m**2) ** 2 + (m**3 + 3 * m) ** 2
    a, b = normal(20_000, 1, 0), normal(20_000, 1, 1, mean=m)
    assert kernel_distance(a, b, subsets=20, subset_size=1000) == pytest.approx(expected, rel=0.05)


@pytest.mark.slow
def test_kernel_distance_of_equal_sources_is_near_zero_and_unbiased():
    a, b = normal(4000, 8, 0), normal(4000, 8, 1)
    assert abs(kernel_distance(a, b)) < 0.003
    assert kernel_distance(a, b + 1, subsets=2) > 1
    small = [kernel_distance(normal(50, 8, 2 * i), normal(50, 8, 2 * i + 1), subsets=1) for i in range(200)]
    assert abs(sum(small) / len(small)) < 3 * torch.tensor(small).std() / len(small) ** 0.5


def test_kernel_distance_is_seeded_and_leaves_the_random_state_alone():
    a, b = normal(300, 4, 0), normal(300, 4, 1, mean=1)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, again, other = (kernel_distance(a, b, subsets=5, subset_size=50, seed=s) for s in (1, 1, 2))
    assert first == again != other
    assert torch.equal(torch.rand(3), expected)


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


def test_recall_within_a_class_is_the_mean_of_each_class_alone():
    real, labels = torch.cat([normal(400, 4, 0), normal(200, 4, 1, mean=100)]), torch.tensor([0] * 400 + [1] * 200)
    # All of the first class, one picture of the second: by images it would be two thirds.
    fake = torch.cat([real[:400], real[400:401].expand(50, -1)])
    fake_labels = torch.tensor([0] * 400 + [1] * 50)
    assert within_class_coverage(real, labels, fake, fake_labels) == pytest.approx((1 + 1 / 200) / 2)


def test_recall_within_a_class_sees_labels_that_are_ignored():
    real, labels = (
        torch.cat([normal(300, 4, 0), normal(300, 4, 1, mean=100)]),
        torch.tensor([0, 1]).repeat_interleave(300),
    )
    assert coverage_of(real, real) == within_class_coverage(real, labels, real, labels) == 1
    assert within_class_coverage(real, labels, real, 1 - labels) == 0


def test_recall_within_a_class_needs_the_same_classes_and_enough_of_each():
    points, labels = normal(8, 2, 0), torch.tensor([0, 1] * 4)
    with pytest.raises(ValueError, match=r"The classes differ: \[0, 1\] and \[1, 2\]"):
        within_class_coverage(points, labels, points, labels + 1)
    with pytest.raises(ValueError, match="need more than 3 images, got 2"):
        within_class_coverage(points, labels, points[:4], labels[:4])
