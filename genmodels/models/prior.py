"""The law of an autoencoder's latents, fitted after training: Ghosh et al., "From Variational to Deterministic Autoencoders",
ICLR 2020, https://arxiv.org/abs/1903.12436, section 4: "ex-post density estimation".
"""

from __future__ import annotations

import math

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from ..checks import check_integers
from .modeling import Network, check_latents

# Of EM: steps at most, nats per latent that a step must gain for another one, and what is added to variances, as a share of the
# mean one: a component of a single point would have none.
MAX_STEPS, GAIN, FLOOR = 200, 1e-5, 1e-4


class LatentMixture(Network, ModelMixin):
    """A mixture of Gaussians, sum_k w_k N(m_k, L_k L_k^T), to draw latents from in place of N(0, I).

    Args:
        latent_dim: length of a latent.
        num_components: how many Gaussians.

    Raises:
        ValueError: a number is not a positive integer.
    """

    @register_to_config
    def __init__(self, latent_dim: int, num_components: int):
        super().__init__()
        check_integers(latent_dim=latent_dim, num_components=num_components)
        self.weights = nn.Parameter(torch.full((num_components,), 1 / num_components), requires_grad=False)
        self.means = nn.Parameter(torch.zeros(num_components, latent_dim), requires_grad=False)
        self.factors = nn.Parameter(torch.eye(latent_dim).repeat(num_components, 1, 1), requires_grad=False)

    def forward(self, latents: torch.Tensor, psi: float = 1.0) -> torch.Tensor:
        """Latents (N, latent_dim) from N(0, I) to as many from the mixture, each to its own.

        The first number of a latent decides which Gaussian it goes to, by its quantile. Where in that Gaussian's share of the
        quantiles it lies is the quantile of a new first number: what then goes to a Gaussian is from N(0, I) again.

        Args:
            latents: (N, latent_dim).
            psi: how far from the Gaussian's mean, as a share: less is more typical.
        """
        check_latents(latents, self.config.latent_dim)
        weights = self.weights.double() / self.weights.double().sum()
        ends = weights.cumsum(0)
        quantiles = torch.special.ndtr(latents[:, 0].double())
        chosen = torch.searchsorted(ends, quantiles).clamp(max=len(ends) - 1)
        within = (quantiles - (ends - weights)[chosen]) / weights[chosen]
        noise = latents.double()
        # Beyond them the quantile is 0 or 1 in float64, and the number infinite.
        noise[:, 0] = torch.special.ndtri(within.clamp(1e-15, 1 - 1e-15))
        moved = (self.factors.double()[chosen] @ noise[:, :, None])[:, :, 0]
        return (self.means.double()[chosen] + psi * moved).to(latents.dtype)


def fit_mixture(latents: torch.Tensor, num_components: int, seed: int = 0) -> LatentMixture:
    """A mixture fitted to latents (N, latent_dim) by expectation maximisation, begun at components far from one another.

    Raises:
        ValueError: there are too few latents for so many Gaussians, or they are not finite.
    """
    mixture = LatentMixture(latents.shape[1], num_components)
    x = latents.double()
    count, dim = x.shape
    if count <= num_components * (dim + 1):
        raise ValueError(
            f"{num_components} Gaussians need more than {num_components * (dim + 1)} latents, got {count}."
        )
    if not torch.isfinite(x).all():
        raise ValueError("latents must be finite numbers.")
    generator = torch.Generator().manual_seed(seed)
    # k-means++ (Arthur, Vassilvitskii 2007): each further mean by its squared distance to the nearest one.
    means = x[torch.randint(count, (1,), generator=generator)]
    while len(means) < num_components:
        far = torch.cdist(x, means).min(1).values.square()
        means = torch.cat([means, x[torch.multinomial(far, 1, generator=generator)]])
    shares = nn.functional.one_hot(torch.cdist(x, means).argmin(1), num_components).double()
    floor = FLOOR * x.var(0).mean() * torch.eye(dim, dtype=torch.float64)
    last = -math.inf
    for _ in range(MAX_STEPS):
        sizes = shares.sum(0).clamp(min=1e-9)
        means = shares.T @ x / sizes[:, None]
        centred = x[None] - means[:, None]
        factors = torch.linalg.cholesky((shares.T[:, :, None] * centred).mT @ centred / sizes[:, None, None] + floor)
        white = torch.linalg.solve_triangular(factors, centred.mT, upper=False)
        log_volume = factors.diagonal(dim1=1, dim2=2).log().sum(1) + dim / 2 * math.log(2 * math.pi)
        joint = (sizes / count).log() - log_volume - white.square().sum(1).T / 2
        now = float(joint.logsumexp(1).mean())
        if now - last < GAIN:
            break
        shares, last = joint.softmax(1), now
    for parameter, value in ((mixture.weights, sizes / count), (mixture.means, means), (mixture.factors, factors)):
        parameter.data.copy_(value)
    return mixture
