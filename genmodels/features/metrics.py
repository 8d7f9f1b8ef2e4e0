"""Distances between sets of images, on an evaluator's features: (N, D) float tensors in, numbers out."""

from __future__ import annotations

import warnings

import torch

# Rows of a distance matrix held at once.
BLOCK = 1000


def eight_bit(pixel_values: torch.Tensor) -> torch.Tensor:
    """`pixel_values` rounded as a saved image would be: real ones are, so fakes must be."""
    return ((pixel_values + 1) * 127.5).round().clamp(0, 255) / 127.5 - 1


def check_features(a: torch.Tensor, b: torch.Tensor) -> None:
    """Raise ValueError unless both are (N, D) with the same D and N of at least 2."""
    if min(len(a), len(b)) < 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"Need at least 2 rows each, of equal length, got {tuple(a.shape)} and {tuple(b.shape)}.")


def frechet_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Fréchet distance of two Gaussians fitted to features: FID, on the evaluator's features instead of Inception's.

    |mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)): Heusel et al. 2017, https://arxiv.org/abs/1706.08500, equation 6.
    It falls with the number of images: compare only numbers of the same n.

    Args:
        a, b: (N, D) features; N may differ, at least 2 each.

    Raises:
        ValueError: fewer than two rows, or different D.
    """
    check_features(a, b)
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    values, vectors = torch.linalg.eigh(cov_a)
    root_a = vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
    # tr (S_a S_b)^(1/2) is the trace of the root of a symmetric matrix, whose eigenvalues are real.
    cross = torch.linalg.eigvalsh(root_a @ cov_b @ root_a).clamp_min(0).sqrt().sum()
    return float((a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross)


def kernel_distance(
    a: torch.Tensor, b: torch.Tensor, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> float:
    """Squared maximum mean discrepancy with a cubic kernel: KID, on the evaluator's features instead of Inception's.

    k(x, y) = (x . y / D + 1)^3, unbiased, averaged over random subsets: Binkowski et al. 2018,
    https://arxiv.org/abs/1801.01401, section 4. Unlike FID it does not fall with the number of images; between sets from the
    same source it is 0 on average, so it may be negative.

    Args:
        a, b: (N, D) features; N may differ, at least 2 each.
        subsets: how many pairs of subsets are averaged over.
        subset_size: images in each; all of the smaller set if that has fewer.
        seed: of the choice of subsets.

    Raises:
        ValueError: fewer than two rows, or different D.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    check_features(a, b)
    size = min(subset_size, len(a), len(b))
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", "Metric `Kernel Inception Distance` will save all extracted features")
        # The features are those of the evaluator already, computed once for all metrics.
        kid = KernelInceptionDistance(feature=torch.nn.Identity(), subsets=subsets, subset_size=size)
        kid.update(a.double(), real=False)
        kid.update(b.double(), real=True)
        torch.manual_seed(seed)
        return float(kid.compute()[0])


def nearest_distances(queries: torch.Tensor, references: torch.Tensor, k: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Euclidean distances and indices, each (N, k), of the k nearest references of every query, nearest first."""
    parts = [torch.cdist(block, references).topk(k, largest=False) for block in queries.split(BLOCK)]
    return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])


def coverage_of(points: torch.Tensor, manifold: torch.Tensor, k: int = 3) -> float:
    """Share of `points` inside the union of balls around `manifold`'s points that reach their k-th neighbours.

    Kynkäänniemi et al. 2019, https://arxiv.org/abs/1904.06991, equation 2. With fakes as points and reals as manifold it is
    precision, the other way round recall.

    Raises:
        ValueError: `manifold` has no more than k points.
    """
    if len(manifold) <= k:
        raise ValueError(f"Precision and recall need more than {k} images, got {len(manifold)}.")
    # A point is its own nearest neighbour.
    radii = nearest_distances(manifold, manifold, k + 1)[0][:, -1]
    inside = [(torch.cdist(block, manifold) <= radii).any(1) for block in points.split(BLOCK)]
    return float(torch.cat(inside).double().mean())


def within_class_coverage(
    points: torch.Tensor,
    point_labels: torch.Tensor,
    manifold: torch.Tensor,
    manifold_labels: torch.Tensor,
    k: int = 3,
) -> float:
    """`coverage_of` among the images of one class, averaged over the classes.

    With reals as points it is the recall of a conditional model: a real image counts only if it is like some image that was
    asked for by its own label, and a class that has collapsed to one picture lacks its share, however varied the others are.

    Args:
        points, manifold: (N, D) features; N may differ.
        point_labels, manifold_labels: (N,) int64; both show the same classes.
        k: which neighbour the balls reach to.

    Raises:
        ValueError: the classes differ, or `manifold` has no more than k points of one.
    """
    classes = point_labels.unique()
    if not torch.equal(classes, manifold_labels.unique()):
        raise ValueError(f"The classes differ: {classes.tolist()} and {manifold_labels.unique().tolist()}.")
    shares = [coverage_of(points[point_labels == c], manifold[manifold_labels == c], k) for c in classes]
    return sum(shares) / len(shares)


def within_class_distance(features: torch.Tensor, labels: torch.Tensor) -> float:
    """Mean distance between two images of the same class: near 0 if each class has collapsed to one picture."""
    means = []
    for label in labels.unique():
        members = features[labels == label][:BLOCK].double()
        n = len(members)
        if n > 1:
            means.append(torch.cdist(members, members).sum() / (n * (n - 1)))
    return float(torch.stack(means).mean())
