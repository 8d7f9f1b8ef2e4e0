"""Inverting a generator: which latent draws the image nearest to a given one."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from .base import CHUNK

# Ridge of the regression, as a share of the kernel's value at distance 0.
RIDGE = 0.1
BETAS = (0.5, 0.99)


def regress_latents(drawn: torch.Tensor, latents: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Guess the latents of images from others whose latents are known, by kernel ridge regression.

    z(x) = k(x, X) (k(X, X) + RIDGE I)^-1 Z with k(a, b) = exp(-|a - b|^2 / s) and s the median of |a - b|^2 in X.

    Args:
        drawn: X, (M, ...) images.
        latents: Z, (M, latent_dim), what they were drawn from.
        images: (N, ...).

    Returns:
        (N, latent_dim).
    """
    known, wanted = drawn.flatten(1), images.flatten(1)
    distances = torch.cdist(known, known).square()
    # All distances are 0 where a generator has collapsed.
    scale = distances.median().clamp_min(1e-6)
    kernel = (-distances / scale).exp() + RIDGE * torch.eye(len(known), device=known.device, dtype=distances.dtype)
    weights = torch.linalg.solve(kernel, latents)
    return torch.cat([(-torch.cdist(part, known).square() / scale).exp() @ weights for part in wanted.split(CHUNK)])


def energies_of(
    draw: Callable[..., torch.Tensor], latents: torch.Tensor, labels: torch.Tensor, images: torch.Tensor, sigma: float
) -> torch.Tensor:
    """|x - G(z, y)|^2 / (2 sigma^2) + |z|^2 / 2, (N,): -log p(x, z | y) of Gaussian pixels, up to a constant."""
    error = (draw(latents, labels) - images).square().flatten(1).sum(1)
    return error / (2 * sigma**2) + latents.square().sum(1) / 2


def descend(
    draw: Callable[..., torch.Tensor],
    latents: torch.Tensor,
    labels: torch.Tensor,
    images: torch.Tensor,
    sigma: float,
    steps: int,
    learning_rate: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Lower the energy of each row by Adam on its latent, the rate falling to 0 as a cosine; rows do not touch each other.

    Args:
        draw: from latents and labels to images.
        latents: (N, latent_dim) to start from.
        labels: (N,) int64.
        images: (N, C, H, W), what to draw.
        sigma: see `energies_of`.
        steps, learning_rate: of Adam.

    Returns:
        Latents and energies, (N, latent_dim) and (N,), of the lowest energy that each row passed through.
    """
    best, lowest = latents.clone(), torch.full((len(latents),), math.inf, device=latents.device, dtype=torch.float32)
    with torch.enable_grad():
        latents = latents.clone().requires_grad_()
        optimizer = torch.optim.Adam([latents], lr=learning_rate, betas=BETAS)
        for step in range(steps + 1):
            energies = energies_of(draw, latents, labels, images, sigma)
            lower = energies.detach() < lowest
            best[lower], lowest[lower] = latents.detach()[lower], energies.detach()[lower]
            if step < steps:
                (latents.grad,) = torch.autograd.grad(energies.sum(), latents)
                optimizer.param_groups[0]["lr"] = learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
                optimizer.step()
    return best, lowest


def class_energies(
    draw: Callable[..., torch.Tensor],
    images: torch.Tensor,
    starts: torch.Tensor,
    log_priors: torch.Tensor,
    candidates: int,
    steps: int,
    sigma: float,
    learning_rate: float,
) -> torch.Tensor:
    """How badly a generator draws images as members of each class: the energies of the latents found, (N, num_classes).

    Args:
        draw: from latents and labels to images.
        images: (N, C, H, W) float32.
        starts: (M, latent_dim), of which images of each class are drawn for `regress_latents`.
        log_priors: (num_classes,), log p(y), which has its say in which classes are worth the effort.
        candidates: how many classes of each image are descended; the others keep the energy of the regression's guess.
        steps, sigma, learning_rate: see `descend`.
    """
    guesses, first_energies = [], []
    for number in range(len(log_priors)):
        label = torch.tensor([number], device=images.device)
        drawn = torch.cat([draw(part, label.expand(len(part))) for part in starts.split(CHUNK)])
        guess = regress_latents(drawn, starts, images)
        pairs = zip(guess.split(CHUNK), images.split(CHUNK), strict=True)
        first_energies.append(torch.cat([energies_of(draw, z, label.expand(len(z)), x, sigma) for z, x in pairs]))
        guesses.append(guess)
    latents, energies = torch.stack(guesses, 1), torch.stack(first_energies, 1)
    likely = (energies - log_priors).topk(candidates, largest=False).indices
    rows = torch.arange(len(images), device=images.device).repeat_interleave(candidates)
    for row, label in zip(rows.split(CHUNK), likely.flatten().split(CHUNK), strict=True):
        where = (row, label)
        energies[where] = descend(draw, latents[where], label, images[row], sigma, steps, learning_rate)[1]
    return energies
