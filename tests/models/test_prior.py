"""Fitted laws of latents against what they were made of."""

from __future__ import annotations

import math

import pytest
import torch

from genmodels.models.prior import LatentMixture, fit_mixture


def two_clusters(count: int = 4000) -> torch.Tensor:
    """A quarter about (-3, 0), the rest, stretched along the diagonal, about (4, 1)."""
    noise = torch.randn(count, 2, generator=torch.Generator().manual_seed(1))
    few = count // 4
    return torch.cat(
        [
            noise[:few] * 0.5 + torch.tensor([-3.0, 0.0]),
            noise[few:] @ torch.tensor([[1.0, 0.8], [0.0, 0.3]]) + torch.tensor([4.0, 1.0]),
        ]
    )


def test_a_mixture_is_found():
    mixture = fit_mixture(two_clusters(), 2)
    order = mixture.means[:, 0].argsort()
    torch.testing.assert_close(mixture.weights[order], torch.tensor([0.25, 0.75]), atol=0.01, rtol=0)
    torch.testing.assert_close(mixture.means[order], torch.tensor([[-3.0, 0.0], [4.0, 1.0]]), atol=0.1, rtol=0)
    covariances = mixture.factors @ mixture.factors.mT
    wanted = torch.tensor([[[0.25, 0.0], [0.0, 0.25]], [[1.0, 0.8], [0.8, 0.73]]])
    torch.testing.assert_close(covariances[order], wanted, atol=0.08, rtol=0)


def test_what_is_drawn_has_the_fitted_law():
    mixture = fit_mixture(two_clusters(), 2)
    drawn = mixture(torch.randn(20_000, 2, generator=torch.Generator().manual_seed(2)))
    again = fit_mixture(drawn, 2)
    orders = [m.means[:, 0].argsort() for m in (mixture, again)]
    for name, tolerance in (("weights", 0.01), ("means", 0.05), ("factors", 0.05)):
        first, second = (getattr(m, name)[order] for m, order in zip((mixture, again), orders, strict=True))
        torch.testing.assert_close(first, second, atol=tolerance, rtol=0)


def test_each_latent_goes_its_own_way():
    mixture, latents = fit_mixture(two_clusters(), 2), torch.randn(5, 2)
    torch.testing.assert_close(mixture(latents)[2:3], mixture(latents[2:3]))
    assert torch.isfinite(mixture(torch.tensor([[-40.0, 0.0], [40.0, 0.0], [0.0, 3.0]]))).all()
    # Without any distance only the means are left.
    assert all((mixture.means - row).norm(dim=1).min() < 1e-5 for row in mixture(latents, psi=0.0))


def test_one_gaussian_is_mean_and_covariance():
    x = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) @ torch.randn(3, 3) + 2
    mixture = fit_mixture(x, 1)
    torch.testing.assert_close(mixture.means[0], x.mean(0))
    torch.testing.assert_close(mixture.factors[0] @ mixture.factors[0].T, x.T.cov(correction=0), rtol=2e-3, atol=1e-3)
    latents = torch.randn(4, 3)
    torch.testing.assert_close(
        mixture(latents), latents @ mixture.factors[0].T + mixture.means[0], atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(LatentMixture(3, 1)(latents), latents)


def test_wrong_latents():
    with pytest.raises(ValueError, match="10 Gaussians need more than 30 latents, got 30"):
        fit_mixture(torch.randn(30, 2), 10)
    with pytest.raises(ValueError, match="must be finite"):
        fit_mixture(torch.full((100, 2), math.nan), 2)
    with pytest.raises(ValueError, match=r"shape \(N, 2\)"):
        LatentMixture(2, 3)(torch.randn(1, 3))
