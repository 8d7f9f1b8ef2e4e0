"""Continuity and completeness of latent spaces, where the answer is known."""

import math

import pytest
import torch
from helpers import make_pipeline

from genmodels.evaluation.ability_metrics import lipschitz_metrics
from genmodels.evaluation.continuity import class_balance, jacobian_norms, recognizable_share


def test_the_slope_of_a_linear_decoder_is_its_spectral_norm():
    torch.manual_seed(0)
    matrix = torch.randn(4, 30)
    norms = jacobian_norms(lambda z: (z @ matrix).view(-1, 1, 5, 6) + 1, torch.randn(230, 4))
    torch.testing.assert_close(norms, torch.linalg.matrix_norm(matrix.double(), 2).expand(230), rtol=1e-4, atol=0)


def test_the_slope_depends_on_where_one_stands():
    latents = torch.tensor([[0.5, 3.0], [-2.0, 0.1]])
    torch.testing.assert_close(jacobian_norms(lambda z: z.square(), latents).float(), torch.tensor([6.0, 4.0]))


@pytest.mark.parametrize("kind", ["autoencoder", "vae", "cvae"])
def test_slopes_of_pipelines_are_those_of_small_steps(kind, monkeypatch):
    monkeypatch.setattr("genmodels.evaluation.ability_metrics.JACOBIANS", 8)
    pipe = make_pipeline(kind)
    p99, largest = lipschitz_metrics(pipe, seed=0)
    assert 0 < p99.value <= largest.value
    assert largest.args == {"latents": 8}
    drawn = pipe(num_images=8, seed=0, output_type="pt")
    torch.manual_seed(0)
    labels = {} if drawn.class_labels is None else {"class_labels": drawn.class_labels}
    steepest = 0.0
    for _ in range(50):
        step = torch.nn.functional.normalize(torch.randn(8, 3), dim=1) * 0.01
        moved = pipe(latents=drawn.latents + step, output_type="pt", **labels).images - drawn.images
        steepest = max(steepest, float(moved.flatten(1).norm(dim=1).max()) / 2 / 0.01)
    assert 0.8 * largest.value < steepest < 1.02 * largest.value


def test_recognizable_is_judged_within_the_class():
    real = torch.cat([torch.linspace(0, 1, 11), torch.linspace(10, 11, 11)])[:, None]
    labels = torch.arange(2).repeat_interleave(11)
    points = torch.tensor([[0.5], [10.5], [0.5], [5.0]])
    assert recognizable_share(points, torch.tensor([0, 1, 1, 0]), real, labels) == 0.5
    assert recognizable_share(points[:2], torch.tensor([0, 1]), real, labels) == 1


def test_balance_is_the_entropy_of_the_classes():
    assert class_balance(torch.arange(10), 10) == pytest.approx(1)
    assert class_balance(torch.zeros(5, dtype=torch.long), 10) == 0
    assert class_balance(torch.tensor([0, 1, 0, 1]), 10) == pytest.approx(math.log(2) / math.log(10))
