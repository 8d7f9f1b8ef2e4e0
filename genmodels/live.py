"""Small GANs that train in memory, step by step: to watch modes collapse, and what cures it."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from torch import nn

from . import losses
from .adversarial import AdversarialStep, Images, Regularization
from .errors import UserError
from .evaluation.mixtures import Mixture, grid, ring
from .models import DCGANDiscriminator, DCGANGenerator
from .models.stabilisers import MinibatchStdDev, normalise_spectrally

LOSSES = tuple(losses.ADVERSARIAL)
# Weights of R1 and R2 each, of the penalty on slopes other than 1, and what a critic without any is clipped to.
GAMMA, SLOPE_PENALTY, WEIGHT_CLIP = 0.1, 1.0, 0.1
LABEL_SMOOTHING = 0.1
HIDDEN_DIM, DIGIT_CHANNELS = 64, 12


@dataclass(frozen=True)
class Data:
    """What can be learned: points of a mixture, or digits.

    Attributes:
        latent_dim: of the generator that learns it.
        batch_size: of each step, unless the settings say another.
        mixture: None for digits, and for points that are given.
        limit: the plane is shown from -limit to limit along both axes; 0 for digits.
    """

    latent_dim: int
    batch_size: int
    mixture: Mixture | None = None
    limit: float = 0.0


DATA = {
    "ring": Data(2, 256, ring(radius=2.0, std=0.1), 3.0),
    "grid": Data(2, 256, grid(spacing=1.0, std=0.05), 3.0),
    "drawn": Data(2, 256, limit=3.0),
    "digits": Data(32, 64),
}
# Of the Gaussian around each point that is given.
DRAWN_STD = 0.05


@dataclass(frozen=True)
class Settings:
    """What a live GAN learns, and how.

    Attributes:
        data: "ring" of 8 Gaussians, "grid" of 25, "drawn" points that are given, or "digits".
        loss: of `LOSSES`. A "wasserstein" critic's weights are clipped unless gradient_penalty or spectral_norm bounds its slope.
        gradient_penalty: R1 and R2 (https://arxiv.org/abs/1801.04406); with "wasserstein" https://arxiv.org/abs/1704.00028.
        minibatch_stddev: https://arxiv.org/abs/1710.10196.
        spectral_norm: https://arxiv.org/abs/1802.05957.
        label_smoothing: one-sided, https://arxiv.org/abs/1606.03498; "wasserstein" and "relativistic" have no labels.
        generator_rate, discriminator_rate: learning rates.
        discriminator_steps: for each of the generator.
        seed: of the weights, the latents and the order of the data.
        batch_size: of each step; by default 256 points or 64 digits.
    """

    data: str = "ring"
    loss: str = "nonsaturating"
    gradient_penalty: bool = False
    minibatch_stddev: bool = False
    spectral_norm: bool = False
    label_smoothing: bool = False
    generator_rate: float = 1e-3
    discriminator_rate: float = 1e-3
    discriminator_steps: int = 1
    seed: int = 0
    batch_size: int | None = None

    def __post_init__(self):
        for name, value, known in (("data", self.data, DATA), ("loss", self.loss, LOSSES)):
            if value not in known:
                raise UserError(f"{name} must be one of {', '.join(known)}, got {value!r}.")


def two_hidden_layers(in_dim: int) -> nn.Sequential:
    """(N, in_dim) to (N, HIDDEN_DIM)."""
    first, second = nn.Linear(in_dim, HIDDEN_DIM), nn.Linear(HIDDEN_DIM, HIDDEN_DIM)
    return nn.Sequential(first, nn.LeakyReLU(0.2), second, nn.LeakyReLU(0.2))


class PointDiscriminator(nn.Module):
    """Points (N, 2) to scores (N,)."""

    def __init__(self, minibatch_stddev: bool, spectral_norm: bool):
        super().__init__()
        self.hidden = two_hidden_layers(2)
        self.minibatch = MinibatchStdDev() if minibatch_stddev else nn.Identity()
        self.score = nn.Linear(HIDDEN_DIM + minibatch_stddev, 1)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.score(self.minibatch(self.hidden(points))).flatten()


class Cures(Regularization):
    """Those of the settings that change the losses."""

    def __init__(self, settings: Settings, random: torch.Generator):
        wasserstein = settings.loss == "wasserstein"
        self._random, self._r1_r2 = random, settings.gradient_penalty and not wasserstein
        self.slope_penalty = SLOPE_PENALTY if settings.gradient_penalty and wasserstein else 0.0
        if settings.label_smoothing and losses.ADVERSARIAL[settings.loss].labelled:
            self.targets = {"label_smoothing": LABEL_SMOOTHING}

    # A live GAN has no pyramid: its images and points are tensors.
    def inputs(self, real: Images, fake: Images) -> tuple[Images, Images]:
        real, fake = cast(torch.Tensor, real), cast(torch.Tensor, fake)
        return real.requires_grad_(self._r1_r2), fake.requires_grad_(self._r1_r2)

    def penalty(
        self, real_scores: torch.Tensor, real: Images, fake_scores: torch.Tensor, fake: Images
    ) -> torch.Tensor | float:
        if not self._r1_r2:
            return 0.0
        real, fake = cast(torch.Tensor, real), cast(torch.Tensor, fake)
        return GAMMA * (losses.gradient_penalty(real_scores, real) + losses.gradient_penalty(fake_scores, fake))

    def interpolates(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return losses.random_interpolates(real, fake, self._random)


@contextmanager
def looked_at(network: nn.Module) -> Iterator[nn.Module]:
    """A network in evaluation mode for a moment: neither BatchNorm nor spectral norm take note of what it is given."""
    network.eval()
    try:
        yield network
    finally:
        network.train()


class LiveGAN:
    """A GAN with its data, optimizers and random numbers, which goes on from wherever it is.

    ```python
    from genmodels.live import LiveGAN, Settings

    gan = LiveGAN(Settings(data="ring", loss="relativistic", gradient_penalty=True))
    gan.train(500)
    print(gan.coverage())
    ```

    Args:
        settings: see `Settings`.
        images: (N, 1, 28, 28) in [-1, 1] to learn from for "digits"; points (N, 2) for "drawn", each of which is taken as the
            centre of a Gaussian.

    Attributes:
        generator, discriminator: the networks.
        mixture: what the points are drawn from, None for digits.
        clips: whether the discriminator's weights are clipped.
        step: how many there were.
        losses_d, losses_g: of discriminator and generator in each step, as arrays: many GANs may be kept for long.

    Raises:
        UserError: images where none are wanted, or none where they are.
    """

    def __init__(self, settings: Settings, images: torch.Tensor | None = None):
        data = DATA[settings.data]
        if (images is None) == (data.mixture is None):
            raise UserError(
                "Give images (N, 1, 28, 28) to learn digits, points (N, 2) to learn drawn ones, and none else."
            )
        self.settings, self.data, self.mixture, self.images = settings, data, data.mixture, images
        if images is not None and data.limit:
            self.mixture = Mixture(images, DRAWN_STD)
        self.random = torch.Generator().manual_seed(settings.seed)
        layers = {"minibatch_stddev": settings.minibatch_stddev, "spectral_norm": settings.spectral_norm}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            if self.mixture:
                self.generator = nn.Sequential(two_hidden_layers(data.latent_dim), nn.Linear(HIDDEN_DIM, 2))
                self.discriminator = PointDiscriminator(**layers)
            else:
                shape = {"sample_size": 28, "num_channels": 1, "base_channels": DIGIT_CHANNELS}
                self.generator = DCGANGenerator(latent_dim=data.latent_dim, **shape)
                self.discriminator = DCGANDiscriminator(norm="none", **layers, **shape)
        self.adversarial = AdversarialStep(
            losses.ADVERSARIAL[settings.loss],
            lambda batch: self.generator(batch["latents"]),
            lambda points, batch: (self.discriminator(points), [], 0.0),
            Cures(settings, self.random),
        )
        # Those of DCGAN for a classifier, those of R3GAN for the others.
        betas = (0.5, 0.999) if self.adversarial.objective.labelled else (0.0, 0.99)
        adam = partial(torch.optim.Adam, betas=betas, fused=True)
        self.optimizer_g = adam(self.generator.parameters(), lr=settings.generator_rate)
        self.optimizer_d = adam(self.discriminator.parameters(), lr=settings.discriminator_rate)
        self.clips = settings.loss == "wasserstein" and not (settings.gradient_penalty or settings.spectral_norm)
        self.step, self.losses_d, self.losses_g = 0, array("d"), array("d")

    def train(self, steps: int, seconds: float = float("inf")) -> None:
        """Make so many steps, or fewer: after so many seconds none is begun."""
        end = time.perf_counter() + seconds
        for _ in range(steps):
            count = self.settings.batch_size or self.data.batch_size
            for _ in range(self.settings.discriminator_steps):
                batch = {"pixel_values": self.real(count), "latents": self.latents(count)}
                loss_d = self._update(self.optimizer_d, self.adversarial.discriminator_loss(batch)[0])
            self.losses_d.append(loss_d)
            batch = {"latents": self.latents(count)}
            if self.adversarial.objective.paired:
                batch["pixel_values"] = self.real(count)
            self.losses_g.append(self._update(self.optimizer_g, self.adversarial.generator_loss(batch)[0]))
            self.step += 1
            if time.perf_counter() > end:
                break

    def _update(self, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> float:
        # The generator's backward pass reaches the discriminator too.
        self.optimizer_g.zero_grad()
        self.optimizer_d.zero_grad()
        loss.backward()
        optimizer.step()
        if optimizer is self.optimizer_d and self.clips:
            losses.clip_weights(self.discriminator.parameters(), WEIGHT_CLIP)
        return loss.item()

    def real(self, count: int) -> torch.Tensor:
        """So many points (count, 2) or images (count, 1, 28, 28) of the data."""
        if self.mixture:
            return self.mixture.sample(count, self.random)
        images = cast(torch.Tensor, self.images)
        return images[torch.randint(len(images), (count,), generator=self.random)]

    def latents(self, count: int) -> torch.Tensor:
        """What the generator draws as many of them from."""
        return torch.randn(count, self.data.latent_dim, generator=self.random)

    @torch.no_grad()
    def sample(self, count: int, seed: int = 0) -> torch.Tensor:
        """Points or images from the same latents at every step; training does not notice."""
        random = torch.Generator().manual_seed(seed)
        with looked_at(self.generator) as generator:
            return generator(torch.randn(count, self.data.latent_dim, generator=random))

    def coverage(self, count: int = 500) -> tuple[int, float]:
        """How many modes of the mixture are drawn, and the share of points near one: see `Mixture.coverage`.

        Raises:
            UserError: digits have no modes that are known.
        """
        if not self.mixture:
            raise UserError("Digits have no centres to count.")
        return self.mixture.coverage(self.sample(count))

    @torch.no_grad()
    def scores_on_plane(self, side: int) -> torch.Tensor:
        """The discriminator's scores (side, side) at the centres of a grid over the shown plane, the upper left first.

        With `minibatch_stddev` a score depends on the points beside it, here on all of the plane.
        """
        if not self.mixture:
            raise UserError("Only points lie in a plane.")
        limit = self.data.limit
        line = (torch.arange(side) + 0.5) / side * 2 * limit - limit
        # Images go downwards.
        y, x = torch.meshgrid(-line, line, indexing="ij")
        with looked_at(self.discriminator) as discriminator:
            return discriminator(torch.stack([x.flatten(), y.flatten()], dim=1)).view(side, side)
