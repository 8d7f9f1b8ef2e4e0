"""Latents: drawn from N(0, I), walked between, truncated, crossed."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .checks import check_choice, check_count, check_number

MODES = ("slerp", "lerp")
MAX_PSI = 2.0
Generators = torch.Generator | Sequence[torch.Generator] | None


def check_seed(seed: int) -> int:
    """Return `seed` if it is an integer from 0 to 2**64 - 1, else raise ValueError."""
    if check_count("seed", seed, low=0) >= 2**64:
        raise ValueError(f"seed must be at most 2**64 - 1, got {seed}: torch has no larger ones.")
    return int(seed)


def draw_latents(
    num_images: int,
    latent_dim: int,
    generator: Generators = None,
    seed: int | None = None,
) -> torch.Tensor:
    """(num_images, latent_dim) float32 from N(0, 1).

    Drawn row by row, because one call of torch.randn gives other values for other shapes: so latents i of a seed are the
    same for every num_images. Of a list of generators each draws one row.

    Raises:
        ValueError: num_images is not a positive integer, the seed none from 0 to 2**64 - 1, there are not as many generators as
            images, or both a generator and a seed are given.
    """
    check_count("num_images", num_images)
    if generator is not None and seed is not None:
        raise ValueError("Give either generator or seed, not both.")
    if seed is not None:
        generator = torch.Generator().manual_seed(check_seed(seed))
    generators = list(generator) if isinstance(generator, Sequence) else [generator] * num_images
    wrong = [type(one).__name__ for one in generators if not isinstance(one, torch.Generator | None)]
    if wrong:
        raise ValueError(
            f"generator must be a torch.Generator or a list of them, got {wrong[0]}: give a number as seed instead."
        )
    if len(generators) != num_images:
        raise ValueError(f"Give one generator, or one per image: {num_images} images, {len(generators)} generators.")
    rows = [
        torch.randn(latent_dim, generator=one, device=one.device if one is not None else None, dtype=torch.float32)
        for one in generators
    ]
    return torch.stack([row.cpu() for row in rows] if isinstance(generator, Sequence) else rows)


def interpolate_latents(a: torch.Tensor, b: torch.Tensor, steps: int, mode: str = "slerp") -> torch.Tensor:
    """`steps` latents from `a` to `b`, both included.

    "lerp" is the straight line. "slerp" follows the great circle, on which samples of N(0, I) lie in high dimensions
    (White 2016, https://arxiv.org/abs/1609.04468): sin((1-t) w) / sin w a + sin(t w) / sin w b, w the angle between them.

    Args:
        a, b: (latent_dim,) float.
        steps: at least 2.
        mode: "slerp" or "lerp".

    Returns:
        (steps, latent_dim) float.

    Raises:
        ValueError: `steps` is below 2 or `mode` is unknown.
    """
    check_count("steps", steps, low=2)
    check_choice("mode", mode, MODES)
    t = torch.linspace(0, 1, steps, device=a.device, dtype=a.dtype)[:, None]
    norms = a.norm() * b.norm()
    if mode == "slerp" and norms > 0:
        angle = torch.arccos((a @ b / norms).clamp(-1, 1))
        # Parallel vectors have no arc, opposite ones have every arc: the line is right for the first, a choice for both.
        if torch.sin(angle) > 1e-4:
            return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)
    return (1 - t) * a + t * b


def truncated(latents: torch.Tensor, psi: float) -> torch.Tensor:
    """Latents times `psi`, from 0 to 2: below 1, images get more typical and more alike.

    Karras et al. 2019, https://arxiv.org/abs/1812.04948, section B, in latent space, whose mean is 0.

    Raises:
        ValueError: psi is no number from 0 to 2.
    """
    return latents * check_number("psi", psi, 0, MAX_PSI)


def cross_latents(a: torch.Tensor, b: torch.Tensor, num_images: int, mutation: float, seed: int) -> torch.Tensor:
    """Children of two latents: each number is one parent's or the other's, by a coin, and then moves a little.

    A child is sqrt(1 - m^2) c + m e, c being the mixture, e from N(0, I) and m the mutation: children of latents from N(0, I)
    are from N(0, I) again, however far they mutate.

    Args:
        a, b: (latent_dim,) float.
        num_images: how many children; child i of a seed is the same however many there are.
        mutation: from 0, nothing new, to 1, nothing inherited.
        seed: of the coins and the noise.

    Returns:
        (num_images, latent_dim) float.

    Raises:
        ValueError: an argument is out of its range.
    """
    check_count("num_images", num_images)
    check_number("mutation", mutation, 0, 1)
    generator = torch.Generator().manual_seed(check_seed(seed))
    children = []
    for _ in range(num_images):
        coins = torch.rand(len(a), generator=generator, dtype=torch.float32) < 0.5
        noise = torch.randn(len(a), generator=generator, dtype=torch.float32)
        children.append((1 - mutation**2) ** 0.5 * torch.where(coins, a.cpu(), b.cpu()) + mutation * noise)
    return torch.stack(children).to(a.device, a.dtype)


def circle_latents(a: torch.Tensor, b: torch.Tensor, steps: int) -> torch.Tensor:
    """`steps` latents on the closed way cos(t) a + sin(t) b, t from 0 to just below 2 pi.

    With a and b from N(0, I), each of them is from N(0, I), too, and the last is as far from the first as from the one before it.

    Args:
        a, b: (latent_dim,) float.
        steps: at least 2.

    Returns:
        (steps, latent_dim) float.

    Raises:
        ValueError: `steps` is below 2.
    """
    check_count("steps", steps, low=2)
    t = torch.arange(steps, device=a.device, dtype=a.dtype)[:, None] * (2 * torch.pi / steps)
    return torch.cos(t) * a + torch.sin(t) * b
