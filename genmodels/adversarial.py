"""The step of every GAN here: its two losses on one screen, whatever the networks and whatever they play for."""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter

import torch

from . import losses

Batch = dict[str, torch.Tensor]
# Images (N, C, H, W) in [-1, 1] or points (N, 2), or a list of them: the levels of a pyramid.
Images = torch.Tensor | list[torch.Tensor]
Scalar = torch.Tensor | float


class Regularization:
    """What is added to the two losses: nothing here, for stabilisers to override."""

    targets: dict[str, float] = {}
    feature_matching = False
    slope_penalty = 0.0

    def seen(self, images: Images) -> Images:
        """Images as the discriminator sees them."""
        return images

    def inputs(self, real: Images, fake: Images) -> tuple[Images, Images]:
        """Both as the discriminator sees them to learn from, requiring grad where `penalty` takes it."""
        return self.seen(real), self.seen(fake)

    def penalty(self, real_scores: torch.Tensor, real: Images, fake_scores: torch.Tensor, fake: Images) -> Scalar:
        """R1 at the real images and R2 at the fakes that `inputs` returned, each times its weight."""
        return 0.0

    def interpolates(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        """The images between real and fake at which the slope is held near 1."""
        return losses.random_interpolates(real, fake)

    def weight_penalty(self, network: str) -> Scalar:
        """Of the weights of the "generator" or the "discriminator"."""
        return 0.0


def latents_for(batch: Batch, latent_dim: int) -> torch.Tensor:
    """z from N(0, I), (N, latent_dim): as many as there are images in a batch."""
    return torch.randn(len(batch["pixel_values"]), latent_dim, device=batch["pixel_values"].device)


class AdversarialStep:
    """A generator G and a discriminator D, each of which has a loss to minimise while the other one stays as it is.

    Args:
        objective: what they play for, L_D and L_G, one of `losses.ADVERSARIAL`.
        draw: from a batch to fakes, G(z) or G(z, y), one for each real image.
        judge: from images and their batch to D's scores (N,), its hidden features (N, F) or those of each level, and a scalar
            that is added to both losses, such as -log p(y | x) of an auxiliary classifier.
        regularization: what else is added.
        real: from a batch to the real images x.
    """

    def __init__(
        self,
        objective: losses.AdversarialLoss,
        draw: Callable[[Batch], Images],
        judge: Callable[[Images, Batch], tuple[torch.Tensor, Images, Scalar]],
        regularization: Regularization,
        real: Callable[[Batch], Images] = itemgetter("pixel_values"),
    ):
        self.objective, self.draw, self.judge, self.real = objective, draw, judge, real
        self.regularization = regularization

    def discriminator_loss(self, batch: Batch) -> tuple[torch.Tensor, dict[str, Scalar]]:
        """L_D(D(x), D(G(z))) + r1/2 E |dD/dx|^2 + r2/2 E |dD/dG(z)|^2 + lambda E (|dD/dx'| - 1)^2; and what to log.

        The first GAN's L_D is -E log D(x) - E log(1 - D(G(z))): Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661.
        R1 and R2: Mescheder et al. 2018, https://arxiv.org/abs/1801.04406. The slope at x', between x and G(z): Gulrajani et
        al. 2017, https://arxiv.org/abs/1704.00028.
        """
        with torch.no_grad():
            fake = self.draw(batch)
        real, fake = self.regularization.inputs(self.real(batch), fake)
        # The classes are learned from real images alone: fakes do not show theirs yet.
        real_scores, _, class_loss = self.judge(real, batch)
        fake_scores, *_ = self.judge(fake, batch)
        loss = self.objective.discriminator(real_scores, fake_scores, **self.regularization.targets)
        penalty: Scalar = self.regularization.penalty(real_scores, real, fake_scores, fake)
        slope: Scalar = 0.0
        weight = self.regularization.slope_penalty
        if weight and isinstance(real, torch.Tensor) and isinstance(fake, torch.Tensor):
            between = self.regularization.interpolates(real, fake)
            slope = losses.lipschitz_penalty(self.judge(between, batch)[0], between)
            penalty = penalty + weight * slope
        total = loss + penalty + class_loss + self.regularization.weight_penalty("discriminator")
        return total, self.figures(loss, penalty, slope, real_scores, fake_scores)

    def figures(
        self, loss: Scalar, penalty: Scalar, slope: Scalar, real_scores: torch.Tensor, fake_scores: torch.Tensor
    ) -> dict[str, Scalar]:
        """What to log of the discriminator's loss."""
        return {"loss_d": loss, "penalty": penalty, "accuracy_d": losses.pair_accuracy(real_scores, fake_scores)}

    def generator_loss(self, batch: Batch) -> tuple[torch.Tensor, dict[str, Scalar]]:
        """L_G(D(G(z)), D(x)), or |E f(x) - E f(G(z))|^2 of hidden features f; and what to log.

        The first GAN's L_G is -E log D(G(z)): https://arxiv.org/abs/1406.2661, section 3. Feature matching: Salimans et al. 2016,
        https://arxiv.org/abs/1606.03498, section 3.1. Only some objectives compare with real images.
        """
        seen, match = self.regularization.seen, self.regularization.feature_matching
        fake_scores, fake_features, class_loss = self.judge(seen(self.draw(batch)), batch)
        real_scores = None
        if match or self.objective.paired:
            with torch.no_grad():
                real_scores, real_features, _ = self.judge(seen(self.real(batch)), batch)
        if match:
            loss = losses.feature_matching_loss(real_features, fake_features)
        else:
            loss = self.objective.generator(fake_scores, real_scores)
        return loss + class_loss + self.regularization.weight_penalty("generator"), {"loss_g": loss}
