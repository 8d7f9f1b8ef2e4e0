"""Objectives as pure functions of tensors, and what objectives are made of. Scores are logits, (N,); every scalar is a mean
over the batch. `clip_weights` alone changes what it is given.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

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


def bernoulli_log_likelihood(logits: torch.Tensor, pixel_values: torch.Tensor) -> torch.Tensor:
    """log p(x | z) of each image in nats, (N,): each pixel's brightness (pixel_values + 1) / 2 is taken as a probability.

    Appendix C.1 of https://arxiv.org/abs/1312.6114; both arguments are (N, C, H, W).
    """
    brightness = (pixel_values + 1) / 2
    return -F.binary_cross_entropy_with_logits(logits, brightness, reduction="none").flatten(1).sum(1)


def gaussian_log_likelihood(logits: torch.Tensor, pixel_values: torch.Tensor, sigma: float) -> torch.Tensor:
    """log N(x; tanh(logits / 2), sigma^2) of each image in nats, (N,).

    Appendix C.2 of https://arxiv.org/abs/1312.6114 with a fixed variance; both tensors are (N, C, H, W).
    """
    error = (pixel_values - torch.tanh(logits / 2)).square() / (2 * sigma**2)
    return -error.flatten(1).sum(1) - math.log(sigma * math.sqrt(2 * math.pi)) * pixel_values[0].numel()


def importance_weighted_nll(
    log_likelihood: torch.Tensor, noise: torch.Tensor, latents: torch.Tensor, log_variance: torch.Tensor
) -> torch.Tensor:
    """Upper bound of -log p(x) in nats per image, the tighter the more draws; one draw is an estimate of the negative ELBO.

    -log 1/K sum_k p(x | z_k) p(z_k) / q(z_k | x): Burda et al. 2016, https://arxiv.org/abs/1509.00519, equation 8.

    Args:
        log_likelihood: log p(x | z_k), (N, K).
        noise: of N(0, I), (N, K, D).
        latents: z_k = mean + exp(log_variance / 2) noise_k, (N, K, D).
        log_variance: of q(z | x), (N, D).
    """
    # log p(z) - log q(z | x); the constants of the two Gaussians cancel.
    log_ratio = 0.5 * (noise.square() - latents.square() + log_variance[:, None]).sum(2)
    return (math.log(noise.shape[1]) - (log_likelihood + log_ratio).logsumexp(1)).mean()


def nonsaturating_discriminator_loss(
    real_scores: torch.Tensor,
    fake_scores: torch.Tensor,
    label_noise: float = 0.0,
    label_smoothing: float = 0.0,
    label_flips: float = 0.0,
) -> torch.Tensor:
    """-E log D(x) - E log(1 - D(G(z))): Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, equation 1.

    With `label_noise` s, each target moves by U(0, s) towards the other one: noisy labels, one of the DCGAN tricks. With
    `label_smoothing` s the target of real images alone is 1 - s: one-sided label smoothing, Salimans et al. 2016,
    https://arxiv.org/abs/1606.03498, section 3.4. With `label_flips` p, each target t is 1 - t with probability p: as
    label_noise one of the tricks of https://github.com/soumith/ganhacks, number 6.
    """
    real_targets = 1 - label_smoothing - label_noise * torch.rand_like(real_scores)
    fake_targets = label_noise * torch.rand_like(fake_scores)
    if label_flips:
        real_targets, fake_targets = (
            torch.where(torch.rand_like(targets) < label_flips, 1 - targets, targets)
            for targets in (real_targets, fake_targets)
        )
    return F.binary_cross_entropy_with_logits(real_scores, real_targets) + F.binary_cross_entropy_with_logits(
        fake_scores, fake_targets
    )


def nonsaturating_generator_loss(fake_scores: torch.Tensor) -> torch.Tensor:
    """-E log D(G(z)): section 3 of https://arxiv.org/abs/1406.2661."""
    return F.softplus(-fake_scores).mean()


def minimax_generator_loss(fake_scores: torch.Tensor) -> torch.Tensor:
    """E log(1 - D(G(z))): equation 1 of https://arxiv.org/abs/1406.2661 as it stands, minimised by the generator.

    It saturates: where the discriminator is sure of a fake, its gradient vanishes.
    """
    return -F.softplus(fake_scores).mean()


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
    `scores` must depend on each image alone (no BatchNorm); of layers that compare the images of a batch it penalises what an
    image does to the sum of all scores, too.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return 0.5 * gradient.float().square().flatten(1).sum(1).mean()


def wasserstein_critic_loss(real_scores: torch.Tensor, fake_scores: torch.Tensor) -> torch.Tensor:
    """E D(G(z)) - E D(x): Arjovsky et al. 2017, https://arxiv.org/abs/1701.07875, equation 2, negated to be minimised.

    The mean of -y D over images labelled y = +1 (real), plus that over those labelled -1 (fake), without a sigmoid. Its negative
    estimates the Wasserstein distance between real and generated images, times the critic's Lipschitz constant.
    """
    return fake_scores.mean() - real_scores.mean()


def wasserstein_generator_loss(fake_scores: torch.Tensor) -> torch.Tensor:
    """-E D(G(z)): the generator's side of `wasserstein_critic_loss`, theorem 3 of https://arxiv.org/abs/1701.07875."""
    return -fake_scores.mean()


class AdversarialLoss(NamedTuple):
    """What two networks play for, as scripts and the app choose it by name.

    Attributes:
        discriminator: (real_scores, fake_scores) to its loss.
        generator: (fake_scores, real_scores) to its loss.
        paired: whether the generator's reads `real_scores`, the score of the real image that each fake is paired with; else
            they may be None.
        labelled: whether the discriminator is a classifier, whose loss takes `label_noise` and its like, and whose score of 0
            divides real from fake; else scores mean something beside each other only.
        paper: arXiv id.
    """

    discriminator: Callable[..., torch.Tensor]
    generator: Callable[..., torch.Tensor]
    paired: bool
    labelled: bool
    paper: str


ADVERSARIAL = {
    "minimax": AdversarialLoss(
        nonsaturating_discriminator_loss, lambda fake, _: minimax_generator_loss(fake), False, True, "1406.2661"
    ),
    "nonsaturating": AdversarialLoss(
        nonsaturating_discriminator_loss, lambda fake, _: nonsaturating_generator_loss(fake), False, True, "1406.2661"
    ),
    "wasserstein": AdversarialLoss(
        wasserstein_critic_loss, lambda fake, _: wasserstein_generator_loss(fake), False, False, "1701.07875"
    ),
    "relativistic": AdversarialLoss(
        relativistic_discriminator_loss,
        lambda fake, real: relativistic_generator_loss(real, fake),
        True,
        False,
        "2501.05441",
    ),
}


def random_interpolates(
    real: torch.Tensor, fake: torch.Tensor, generator: torch.Generator | None = None
) -> torch.Tensor:
    """u x + (1 - u) G(z) with u from U(0, 1) for each pair of images, requiring grad: where `lipschitz_penalty` is taken.

    Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028, algorithm 1. Both tensors are (N, C, H, W) or points (N, D).
    """
    shape = (len(real), *[1] * (real.ndim - 1))
    weights = torch.rand(shape, generator=generator, device=real.device, dtype=real.dtype)
    return torch.lerp(fake, real, weights).detach().requires_grad_()


def lipschitz_penalty(scores: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """E (||d scores / d images|| - 1)^2: https://arxiv.org/abs/1704.00028, equation 3 (there times lambda).

    `images` must require grad and `scores` must depend on each image alone, as in `gradient_penalty`. Add it to the critic's
    loss before the one backward pass.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    # The norm has no derivative at 0.
    norm = (gradient.float().square().flatten(1).sum(1) + 1e-12).sqrt()
    return (norm - 1).square().mean()


def feature_matching_loss(
    real_features: torch.Tensor | list[torch.Tensor], fake_features: torch.Tensor | list[torch.Tensor]
) -> torch.Tensor:
    """||E f(x) - E f(G(z))||^2, f being a hidden layer of the discriminator: a generator's objective.

    Salimans et al. 2016, https://arxiv.org/abs/1606.03498, section 3.1. Both arguments are (N, features), or lists of them: then
    it is the mean over the list.
    """
    real = [real_features] if isinstance(real_features, torch.Tensor) else real_features
    fake = [fake_features] if isinstance(fake_features, torch.Tensor) else fake_features
    distances = [(a.float().mean(0) - b.float().mean(0)).square().sum() for a, b in zip(real, fake, strict=True)]
    return functools.reduce(torch.add, distances) / len(distances)


def historical_averaging_penalty(parameters: Iterable[torch.Tensor], averages: Iterable[torch.Tensor]) -> torch.Tensor:
    """||theta - 1/t sum_i theta[i]||^2 over all of a network's weights, `averages` being the means of those of t steps.

    Salimans et al. 2016, https://arxiv.org/abs/1606.03498, section 3.3. The averages are taken as constants.

    Raises:
        ValueError: there are more of the one than of the other.
    """
    pairs = zip(parameters, averages, strict=True)
    return torch.stack([(parameter - average.detach()).square().sum() for parameter, average in pairs]).sum()


def instance_noise(images: torch.Tensor, std: float) -> torch.Tensor:
    """Images + N(0, std^2): what a discriminator sees of real and fake ones alike, while std falls to 0 during training.

    It makes the two distributions overlap: Sønderby et al. 2017, https://arxiv.org/abs/1610.04490. Images are `pixel_values`
    (N, C, H, W), and std is in their units.
    """
    return images + std * torch.randn_like(images)


AUGMENTATIONS = ("color", "translation", "cutout")


def augment(images: torch.Tensor, kinds: Iterable[str] = AUGMENTATIONS) -> torch.Tensor:
    """Images as changed at random, each by itself, and with gradients back to them: what a discriminator sees instead.

    Zhao et al. 2020, https://arxiv.org/abs/2006.10738, equations 4 and 5: because real and fake ones are changed alike, and in
    the generator's step too, what is drawn looks like the unchanged images; the discriminator finds it harder to know a few
    thousand real ones by heart.

    "color" adds U(-1/2, 1/2) to the brightness, and multiplies the saturation by U(0, 2) and the contrast by U(1/2, 3/2); a
    fourth channel, opacity, stays. "translation" moves by up to an eighth of the side along each axis, and fills up with 0, a
    middle grey; "cutout" covers a square of half the side around any pixel with that.

    Args:
        images: `pixel_values`, (N, C, H, H).
        kinds: of `AUGMENTATIONS`, done in this order.

    Raises:
        KeyError: another kind.
    """
    for kind in kinds:
        images = {"color": _recolored, "translation": _translated, "cutout": _cut_out}[kind](images)
    return images


def translate(images: torch.Tensor, pixels: int, fill: float = 0.0) -> torch.Tensor:
    """Each image of (N, C, H, H) moved by up to so many pixels along each axis, and filled up with that value."""
    count, side = len(images), images.shape[-1]
    first = torch.randint(2 * pixels + 1, (2, count, 1), device=images.device)
    rows, columns = first + torch.arange(side, device=images.device)
    image = torch.arange(count, device=images.device)[:, None, None]
    # Channels last, so that one row of a window is one piece of memory.
    padded = F.pad(images, [pixels] * 4, value=fill).permute(0, 2, 3, 1)
    return padded[image, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _recolored(images: torch.Tensor) -> torch.Tensor:
    if images.shape[1] == 4:
        return torch.cat([_recolored(images[:, :3]), images[:, 3:]], dim=1)
    brightness, saturation, contrast = torch.rand(3, len(images), 1, 1, 1, device=images.device)
    images = images + brightness - 0.5
    grey = images.mean(1, keepdim=True)
    images = grey + 2 * saturation * (images - grey)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (contrast + 0.5) * (images - mean)


def _translated(images: torch.Tensor) -> torch.Tensor:
    return translate(images, round(images.shape[-1] / 8))


def _cut_out(images: torch.Tensor) -> torch.Tensor:
    side = images.shape[-1]
    half, place = side // 2, torch.arange(side, device=images.device)
    first = torch.randint(side, (2, len(images), 1), device=images.device) - half // 2
    rows, columns = (place >= first) & (place < first + half)
    return images * ~(rows[:, None, :, None] & columns[:, None, None, :])


@torch.no_grad()
def clip_weights(parameters: Iterable[torch.Tensor], limit: float) -> None:
    """Clamp weights in place to [-limit, limit]: https://arxiv.org/abs/1701.07875, algorithm 1, line 7."""
    for parameter in parameters:
        parameter.clamp_(-limit, limit)


def velocity_loss(
    velocity: torch.Tensor, clean: torch.Tensor, noise: torch.Tensor, alphas_cumprod: torch.Tensor
) -> torch.Tensor:
    """1/(CHW) ||v' - v||^2 with v = sqrt(abar_t) eps - sqrt(1 - abar_t) x: what a diffusion model minimises.

    Salimans, Ho 2022, https://arxiv.org/abs/2202.00512, section 4 and appendix D, for the noisy image
    sqrt(abar_t) x + sqrt(1 - abar_t) eps of Ho et al. 2020, https://arxiv.org/abs/2006.11239, equation 4. Unlike eps, v says
    something of x at every t, also where there is noise alone (abar_t = 0).

    Args:
        velocity: (N, C, H, W), what the network makes of the noisy image and t.
        clean, noise: (N, C, H, W), x and eps.
        alphas_cumprod: (N,), abar_t of each image: the share of the variance that is x's.
    """
    share = alphas_cumprod.view(-1, 1, 1, 1)
    return F.mse_loss(velocity, share.sqrt() * noise - (1 - share).sqrt() * clean)


def flow_matching_loss(velocity: torch.Tensor, clean: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """1/(CHW) ||v' - (eps - x)||^2: what a flow along straight lines minimises.

    Lipman et al. 2023, https://arxiv.org/abs/2210.02747, equation 23 with sigma_min = 0, time running from the image to the
    noise: x_t = (1 - t) x + t eps, so that dx_t / dt = eps - x.

    Args:
        velocity: (N, C, H, W), what the network makes of x_t and t.
        clean, noise: (N, C, H, W), x and eps.
    """
    return F.mse_loss(velocity, noise - clean)


def consistency_loss(expected: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean of sqrt(||x' - x''||^2 + c^2) - c, c = 0.00054 sqrt(CHW), of the ends that two points of one path expect.

    Song, Dhariwal 2024, https://arxiv.org/abs/2310.14189, section 3.3: unlike squares, it lets no image drown the others.

    Args:
        expected: (N, C, H, W), where the network expects the path of a noisy image to end.
        target: (N, C, H, W), where it expects it from a point nearer to that end.
    """
    constant = 0.00054 * math.sqrt(expected[0].numel())
    squares = (expected - target).square().flatten(1).sum(1)
    return ((squares + constant**2).sqrt() - constant).mean()


def pair_accuracy(real_scores: torch.Tensor, fake_scores: torch.Tensor) -> torch.Tensor:
    """Share of (real, fake) pairs in which the real image scores higher: 1/2 if the discriminator is fooled, 1 if it wins."""
    return (real_scores > fake_scores).float().mean()
