"""The two losses of a GAN, with networks small enough to work both out by hand."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from genmodels import losses
from genmodels.adversarial import AdversarialStep, Regularization

REAL, FAKE, WEIGHT = torch.tensor([[1.0], [3.0]]), torch.tensor([[0.5], [-1.0]]), torch.tensor(2.0)


def step_of(objective: str, regularization: Regularization | None = None, class_loss: float = 0.0) -> AdversarialStep:
    """D(x) = 2 x is its own hidden feature; G gives FAKE whatever it is asked for."""
    return AdversarialStep(
        losses.ADVERSARIAL[objective],
        draw=lambda batch: FAKE,
        judge=lambda images, batch: (WEIGHT * images.flatten(), [WEIGHT * images], class_loss),
        regularization=regularization or Regularization(),
    )


def test_both_losses_are_those_of_the_objective_and_what_is_added_to_them():
    step, batch = step_of("nonsaturating", class_loss=0.25), {"pixel_values": REAL}
    loss_d, figures = step.discriminator_loss(batch)
    by_hand = F.softplus(-2 * REAL).mean() + F.softplus(2 * FAKE).mean()
    torch.testing.assert_close([loss_d, figures["loss_d"]], [by_hand + 0.25, by_hand])
    assert figures["accuracy_d"] == 1
    loss_g, figures = step.generator_loss(batch)
    by_hand = F.softplus(-2 * FAKE).mean()
    torch.testing.assert_close([loss_g, figures["loss_g"]], [by_hand + 0.25, by_hand])


def test_only_a_paired_objective_looks_at_real_images_to_draw_better():
    assert step_of("wasserstein").generator_loss({})[0] == -2 * FAKE.mean()
    paired, _ = step_of("relativistic").generator_loss({"pixel_values": REAL})
    torch.testing.assert_close(paired, F.softplus(2 * REAL - 2 * FAKE).mean())
    with pytest.raises(KeyError):
        step_of("relativistic").generator_loss({})


def test_the_slope_between_real_and_fake_is_held_at_one():
    class Slope(Regularization):
        slope_penalty = 10.0

    loss, figures = step_of("wasserstein", Slope()).discriminator_loss({"pixel_values": REAL})
    # Its slope is 2 everywhere: (2 - 1)^2.
    torch.testing.assert_close([loss, figures["penalty"]], [2 * (FAKE.mean() - REAL.mean()) + 10, torch.tensor(10.0)])


def test_matched_features_take_the_place_of_the_scores():
    class Matching(Regularization):
        feature_matching = True

    loss, _ = step_of("nonsaturating", Matching()).generator_loss({"pixel_values": REAL})
    torch.testing.assert_close(loss, (2 * REAL.mean() - 2 * FAKE.mean()).square())
