"""The step of every variational autoencoder here: the bound it raises, and the adversary that may judge its images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from . import losses
from .adversarial import AdversarialStep, Batch, Images, Regularization, Scalar

Loss = tuple[torch.Tensor, dict[str, Scalar]]


class VariationalStep:
    """An encoder q(z | x) and a decoder p(x | z), both of them given y as well if they are conditional.

    Args:
        encoder: from images and labels to mean and log variance, each (N, latent_dim).
        decoder: from latents and labels to images in [-1, 1], with `return_logits` to logits of their brightness.
        log_likelihood: from logits and images to log p(x | z), (N,) in nats.
        beta: weight of the KL term.
        draws: latents for each image; more than 1 make the bound of importance weighted autoencoders.
        conditional: whether the networks see the labels.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        log_likelihood: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        beta: float = 1.0,
        draws: int = 1,
        conditional: bool = False,
    ):
        self.encoder, self.decoder, self.log_likelihood = encoder, decoder, log_likelihood
        self.beta, self.draws, self.conditional = beta, draws, conditional

    def loss(self, batch: Batch) -> Loss:
        """-log p(x | z) + beta KL(q(z | x) || p(z)), one z for each image, or the tighter bound of several; and what to log.

        Kingma, Welling 2014, https://arxiv.org/abs/1312.6114, equation 10; several: Burda et al. 2016,
        https://arxiv.org/abs/1509.00519, equation 8.
        """
        images, labels = batch["pixel_values"], self.labels(batch)
        mean, log_variance = self.encoder(images, labels)
        noise = torch.randn(len(mean), self.draws, mean.shape[1], device=mean.device)
        latents = mean[:, None] + (0.5 * log_variance).exp()[:, None] * noise
        images = images.repeat_interleave(self.draws, 0)
        labels = None if labels is None else labels.repeat_interleave(self.draws, 0)
        logits = self.decoder(latents.flatten(0, 1), labels, return_logits=True)
        log_likelihood, more = self.compare(logits, images)
        reconstruction, kl = -log_likelihood.mean(), losses.gaussian_kl(mean, log_variance)
        if self.draws > 1:
            loss = losses.importance_weighted_nll(log_likelihood.view(-1, self.draws), noise, latents, log_variance)
        else:
            loss = reconstruction + self.beta * kl
        return loss, {"loss": loss, "reconstruction": reconstruction, "kl": kl, **more}

    def labels(self, batch: Batch) -> torch.Tensor | None:
        """y of each image, (N,); None for networks that do not see it."""
        return batch["class_labels"] if self.conditional else None

    def compare(self, logits: torch.Tensor, images: torch.Tensor) -> tuple[torch.Tensor, dict[str, Scalar]]:
        """log p(x | z) of each image, (N,) in nats; and what else to log."""
        return self.log_likelihood(logits, images), {}


class VAEGANStep(VariationalStep):
    """The same with a discriminator, which sees whether images are real, and by whose features they are compared, too:
    Larsen et al. 2016, https://arxiv.org/abs/1512.09300.

    Args:
        step: without.
        discriminator: from images to scores (N,), with `return_features` to features (N, F) as well.
        objective: what is played for.
        regularization: what else is added to the game.
        weight: of the game in the loss of the decoder, whose other part is the bound for each value of an image.
    """

    def __init__(
        self,
        step: VariationalStep,
        discriminator: nn.Module,
        objective: losses.AdversarialLoss,
        regularization: Regularization,
        weight: float = 1.0,
    ):
        super().__init__(**vars(step))
        self.discriminator, self.weight = discriminator, weight
        self.game = AdversarialStep(objective, self.draw, self.judge, regularization)
        self.discriminator_loss = self.game.discriminator_loss

    def judge(self, images: Images, batch: Batch) -> tuple[torch.Tensor, torch.Tensor, Scalar]:
        """Scores and features of images, as `AdversarialStep` asks for them."""
        scores, features = self.discriminator(images, return_features=True)
        return scores, features, 0.0

    def draw(self, batch: Batch) -> torch.Tensor:
        """What is judged, (N, C, H, W): a half of the images decoded again, and then images of z from N(0, I).

        No gradient reaches the encoder, which does not play (section 2.3).
        """
        images, labels = batch["pixel_values"], self.labels(batch)
        half = len(images) // 2
        with torch.no_grad():
            mean, log_variance = self.encoder(images[:half], None if labels is None else labels[:half])
            latents = torch.randn(len(images), mean.shape[1], device=mean.device)
            latents[:half] = mean + (0.5 * log_variance).exp() * latents[:half]
        return self.decoder(latents, labels)

    def compare(self, logits: torch.Tensor, images: torch.Tensor) -> tuple[torch.Tensor, dict[str, Scalar]]:
        """log p(x | z) + log p(f(x) | z) but for a constant, (N,) in nats, f being the discriminator's features: equation 7.

        That is a Gaussian around f of the decoded image. Its variance, 1 in the paper, is the mean square of f(x) here: then
        nothing is gained by features that are merely larger or smaller.
        """
        with torch.no_grad():
            real = self.judge(images, {})[1]
        decoded = self.judge(torch.tanh(logits / 2), {})[1]
        similarity = -(decoded - real).square().sum(1) / (2 * real.square().mean().clamp_min(1e-12))
        return super().compare(logits, images)[0] + similarity, {"similarity": similarity.mean()}

    def loss(self, batch: Batch) -> Loss:
        """The bound for each value of an image, and L_G of the game times its weight; and what to log."""
        bound, figures = super().loss(batch)
        game, more = self.game.generator_loss(batch)
        return bound / batch["pixel_values"][0].numel() + self.weight * game, figures | more
