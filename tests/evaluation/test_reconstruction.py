"""PCA against numpy's SVD, PSNR and the median filter against values by hand, and what an autoencoder's evaluation says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from genmodels import AutoencoderDecoder, AutoencoderEncoder, AutoencoderPipeline, zoo
from genmodels.evaluation import reconstruction
from genmodels.evaluation.ability_metrics import autoencoder_metrics
from genmodels.evaluation.evaluate import evaluate
from genmodels.evaluation.measures import in_tolerance
from genmodels.evaluation.reconstruction import PCA, median_filter, psnr


@pytest.fixture(scope="module")
def digits() -> torch.Tensor:
    sample = zoo.load_sample("zoo:mnist-sample", "test")
    return torch.from_numpy(sample.images).permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.mark.parametrize("latent_dim", [1, 2, 8, 32])
def test_pca_is_the_truncated_svd(digits, latent_dim):
    train, test = digits[:1500], digits[1500:]
    pca = PCA(train, latent_dim)
    points = train.flatten(1).double().numpy()
    vectors = np.linalg.svd(points - points.mean(0), full_matrices=False)[2][:latent_dim]
    centred = test.flatten(1).double().numpy() - points.mean(0)
    expected = points.mean(0) + centred @ vectors.T @ vectors
    np.testing.assert_allclose(pca.reconstruct(test).flatten(1).numpy(), expected, atol=2e-3)
    # The directions themselves, but for their signs.
    np.testing.assert_allclose(np.abs((pca.components.numpy() * vectors).sum(1)), 1, atol=1e-3)
    assert pca.encode(test).shape == (500, latent_dim)


def test_many_pixels_take_the_other_way_to_the_same_place(digits, monkeypatch):
    exact = PCA(digits[:1500], 8).reconstruct(digits[1500:])
    monkeypatch.setattr(reconstruction, "MAX_EXACT", 100)
    state = torch.get_rng_state()
    near = PCA(digits[:1500], 8).reconstruct(digits[1500:])
    assert torch.equal(torch.get_rng_state(), state)
    assert (near - exact).square().mean() < 1e-4


def test_pca_of_all_directions_loses_nothing():
    images = torch.randn(50, 1, 3, 3)
    torch.testing.assert_close(PCA(images, 9).reconstruct(images), images, atol=1e-4, rtol=0)
    for wrong in (0, 10):
        with pytest.raises(ValueError, match="from 1 to 9 directions, got"):
            PCA(images, wrong)
    with pytest.raises(ValueError, match="at least 2 images"):
        PCA(images[:1], 1)


def test_psnr_by_hand():
    clean = -torch.ones(2, 1, 4, 4)
    # Errors of brightness 0.1 and 0.01 everywhere: 20 and 40 dB.
    images = clean + torch.tensor([0.2, 0.02]).view(2, 1, 1, 1)
    assert psnr(images, clean) == pytest.approx(30, abs=1e-3)
    assert psnr(clean, clean) == pytest.approx(20 * math.log10(510))


def test_median_filter_by_hand():
    image = torch.arange(16.0).view(1, 1, 4, 4).repeat(2, 3, 1, 1)
    image[1, 2, 1, 1] = 99.0
    filtered = median_filter(image)
    assert filtered.shape == image.shape
    # The middle of 0 1 2 4 5 6 8 9 10; and with 99 in place of 5.
    assert filtered[0, 0, 1, 1] == 5
    assert filtered[1, 2, 1, 1] == 6
    # At the corner 0 0 1 0 0 1 4 4 5.
    assert filtered[0, 0, 0, 0] == 1


def make(noise: float = 0.0) -> AutoencoderPipeline:
    torch.manual_seed(0)
    encoder = AutoencoderEncoder(base_channels=2, hidden_dim=16, noise=noise)
    return AutoencoderPipeline(encoder, AutoencoderDecoder(base_channels=2, hidden_dim=16))


def test_an_autoencoder_stands_beside_pca(digits):
    metrics = {metric.metric: metric for metric in autoencoder_metrics(make(), digits[:300], digits[300:], seed=0)}
    assert list(metrics) == ["mse", "mse_pca", "mse_compressed", "compression_ratio"]
    # Untrained, it draws grey; a bare mean image would have 0.067.
    assert 0.15 < metrics["mse"].value < 0.35
    assert 0.04 < metrics["mse_pca"].value < 0.067
    assert metrics["mse_compressed"].value == pytest.approx(metrics["mse"].value, rel=1e-3)
    assert metrics["compression_ratio"].value == 392


def test_a_denoiser_stands_beside_a_median_filter(digits):
    first, again, other = (autoencoder_metrics(make(0.5), digits[:300], digits[300:], seed=seed) for seed in (0, 0, 1))
    metrics = {metric.metric: metric for metric in first}
    assert list(metrics)[:3] == ["psnr", "psnr_noisy", "psnr_median"]
    assert metrics["psnr"].value < metrics["psnr_noisy"].value < metrics["psnr_median"].value
    assert [metric.value for metric in first] == [metric.value for metric in again]
    assert first[1].value != other[1].value
    assert all(in_tolerance(metric).tolerance > 0 for metric in first)


def test_evaluation_begins_with_what_it_is_made_for(few_digits, quick_measures):
    metrics = [metric.metric for metric in evaluate(make(), few_digits).metrics]
    assert metrics[:2] == ["mse", "mse_pca"]
    assert {"fid", "recall", "nearest_training_distance"} <= set(metrics)
    assert not {"accuracy", "nll"} & set(metrics)
