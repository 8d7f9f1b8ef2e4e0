"""The step of a VAE, alone and against a discriminator, with networks small enough to work it out by hand."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from genmodels import losses
from genmodels.adversarial import Regularization
from genmodels.variational import VAEGANStep, VariationalStep

# Two images of 2x2 pixels; their latent is their mean, and certain.
IMAGES = torch.tensor([[0.5, 0.5, 0.25, -0.25], [-0.5, 0.5, 0.0, 0.0]]).view(2, 1, 2, 2)
CERTAIN = -60.0


class Encoder(nn.Module):
    def forward(self, images, labels=None):
        mean = images.flatten(1).mean(1, keepdim=True)
        return mean, torch.full_like(mean, CERTAIN)


class Decoder(nn.Module):
    """Four pixels tanh(w z / 2)."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, latents, labels=None, return_logits=False):
        logits = (self.weight * latents).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
        return logits if return_logits else torch.tanh(logits / 2)


class Discriminator(nn.Module):
    """Its features are twice the pixels, its score is their sum."""

    def forward(self, images, return_features=False):
        features = 2 * images.flatten(1)
        return (features.sum(1), features) if return_features else features.sum(1)


def gaussian(logits, images):
    return losses.gaussian_log_likelihood(logits, images, 0.5)


def steps(weight: float = 0.0) -> tuple[VariationalStep, VAEGANStep]:
    step = VariationalStep(Encoder(), Decoder(), gaussian)
    return step, VAEGANStep(step, Discriminator(), losses.ADVERSARIAL["nonsaturating"], Regularization(), weight)


def test_the_bound_is_the_likelihood_and_the_divergence():
    step, _ = steps()
    loss, figures = step.loss({"pixel_values": IMAGES})
    mean = IMAGES.flatten(1).mean(1)
    error = (torch.tanh(mean) - IMAGES.flatten(1).T).T.square().sum(1)
    reconstruction = (error / (2 * 0.25) + 4 * math.log(0.5 * math.sqrt(2 * math.pi))).mean()
    kl = (0.5 * (mean.square() - 1 - CERTAIN)).mean()
    torch.testing.assert_close(
        [figures["reconstruction"], figures["kl"], loss], [reconstruction, kl, reconstruction + kl]
    )


def test_features_are_compared_in_units_of_their_own_size():
    step, adversarial = steps()
    loss, figures = adversarial.loss({"pixel_values": IMAGES})
    decoded = torch.tanh(IMAGES.flatten(1).mean(1)).view(2, 1, 1, 1)
    similarity = -(decoded - IMAGES).square().flatten(1).sum(1) / (2 * IMAGES.square().mean())
    torch.testing.assert_close(figures["similarity"], similarity.mean())
    # For each of four values.
    torch.testing.assert_close(4 * loss, step.loss({"pixel_values": IMAGES})[0] - similarity.mean())


def test_the_game_is_played_with_its_weight_and_moves_the_decoder_alone():
    torch.manual_seed(0)
    (_, without), (_, adversarial) = steps(), steps(weight=3.0)
    batch = {"pixel_values": IMAGES}
    torch.manual_seed(0)
    apart = adversarial.loss(batch)[0] - without.loss(batch)[0]
    torch.manual_seed(0)
    adversarial.loss(batch)
    judged = adversarial.draw(batch)
    assert judged.shape == IMAGES.shape
    # The first half is the first image again, the second one comes from a latent of its own.
    torch.testing.assert_close(judged[0], torch.tanh(IMAGES[0].mean()).expand(1, 2, 2))
    assert not torch.allclose(judged[1], torch.tanh(IMAGES[1].mean()).expand(1, 2, 2), atol=1e-3)
    assert apart > 0
    (gradient,) = torch.autograd.grad(F.softplus(-judged.sum()), adversarial.decoder.weight)
    assert gradient != 0


def test_the_discriminator_tells_images_from_what_is_decoded():
    _, adversarial = steps()
    torch.manual_seed(0)
    loss, _ = adversarial.discriminator_loss({"pixel_values": IMAGES})
    torch.manual_seed(0)
    fake = adversarial.draw({"pixel_values": IMAGES})
    scores = 2 * IMAGES.flatten(1).sum(1), 2 * fake.flatten(1).sum(1)
    torch.testing.assert_close(loss, F.softplus(-scores[0]).mean() + F.softplus(scores[1]).mean())
