"""Objectives as pure functions: tensors in, scalar out. Scores are logits, (N,); every scalar is a mean over the batch."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F


def mean_squared_error(decoded: torch.Tensor, pixel_values: torch.Tensor) -> torch.Tensor:
    """1/(CHW) ||x - x'||^2, x and x' being brightness from 0 to 1: what an autoencoder minimises.

    Hinton, Salakhutdinov 2006, https://doi.org/10.1126/science.1127647; both arguments are `pixel_values` (N, C, H, W).
    """
    return ((decoded - pixel_values) / 2).square().mean()


def gaussian_kl(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, I)), in nats per image.

    1/2 sum_j (mean_j^2 + var_j - 1 - log var_j): Kingma, Welling 2014, https://arxiv.org/abs/1312.6114, appendix B.
    Both arguments are (N, latent_dim).
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()


def bernoulli_nll(logits: torch.Tensor, pixel_values: torch.Tensor) -> torch.Tensor:
    """-log p(x | z) in nats per image, each pixel's brightness (pixel_values + 1) / 2 taken as a probability.

    Appendix C.1 of https://arxiv.org/abs/1312.6114; both arguments are (N, C, H, W).
    """
    brightness = (pixel_values + 1) / 2
    return F.binary_cross_entropy_with_logits(logits, brightness, reduction="none").flatten(1).sum(1).mean()


def gaussian_nll(logits: torch.Tensor, pixel_values: torch.Tensor, sigma: float) -> torch.Tensor:
    """-log N(x; tanh(logits / 2), sigma^2) in nats per image.

    Appendix C.2 of https://arxiv.org/abs/1312.6114 with a fixed variance; both tensors are (N, C, H, W).
    """
    error = (pixel_values - torch.tanh(logits / 2)).square() / (2 * sigma**2)
    return error.flatten(1).sum(1).mean() + math.log(sigma * math.sqrt(2 * math.pi)) * pixel_values[0].numel()


def nonsaturating_discriminator_loss(
    real_scores: torch.Tensor, fake_scores: torch.Tensor, label_noise: float = 0.0
) -> torch.Tensor:
    """-E log D(x) - E log(1 - D(G(z))): Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, equation 1.

    With `label_noise` s, each target moves by U(0, s) towards the other one: noisy labels, one of the DCGAN tricks.
    """
    real_targets = 1 - label_noise * torch.rand_like(real_scores)
    fake_targets = label_noise * torch.rand_like(fake_scores)
    return F.binary_cross_entropy_with_logits(real_scores, real_targets) + F.binary_cross_entropy_with_logits(
        fake_scores, fake_targets
    )


def nonsaturating_generator_loss(fake_scores: torch.Tensor) -> torch.Tensor:
    """-E log D(G(z)): section 3 of https://arxiv.org/abs/1406.2661."""
    return F.softplus(-fake_scores).mean()


def relativistic_discriminator_loss(real_scores: torch.Tensor, fake_scores: torch.Tensor) -> torch.Tensor:
    """E softplus(D(G(z)) - D(x)), real and fake in pairs.

    Jolicoeur-Martineau 2019, https://arxiv.org/abs/1807.00734, in the form of R3GAN, Huang et al. 2024,
    https://arxiv.org/abs/2501.05441, equation 2.
    """
    return F.softplus(fake_scores - real_scores).mean()


def relativistic_generator_loss(real_scores: torch.Tensor, fake_scores: torch.Tensor) -> torch.Tensor:
    """E softplus(D(x) - D(G(z))): the generator's side of `relativistic_discriminator_loss`."""
    return F.softplus(real_scores - fake_scores).mean()


def gradient_penalty(scores: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """1/2 E ||d scores / d images||^2: R1 on real images, R2 on generated ones.

    Mescheder et al. 2018, https://arxiv.org/abs/1801.04406, equation 9 (there times gamma). `images` must require grad and
    `scores` must depend on each image alone (no BatchNorm).
    """
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return 0.5 * gradient.float().square().flatten(1).sum(1).mean()


def pair_accuracy(real_scores: torch.Tensor, fake_scores: torch.Tensor) -> torch.Tensor:
    """Share of (real, fake) pairs in which the real image scores higher: 1/2 if the discriminator is fooled, 1 if it wins."""
    return (real_scores > fake_scores).float().mean()
