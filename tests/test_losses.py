"""Each objective against a value worked out by hand, by torch.distributions or by finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from genmodels import losses

LOG2 = math.log(2)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_mean_squared_error_is_of_brightness():
    # White for black is an error of 1, grey for black one of 1/2.
    images = -torch.ones(2, 1, 1, 2)
    decoded = torch.tensor([[1.0, -1.0], [0.0, -1.0]]).view(2, 1, 1, 2)
    assert losses.mean_squared_error(decoded, images).item() == pytest.approx((1 + 0.25) / 4)


def test_velocity_loss_by_hand():
    clean, noise = torch.tensor([0.5, -1.0]).view(1, 2, 1, 1), torch.tensor([2.0, 1.0]).view(1, 2, 1, 1)
    # abar = 0.64: v = 0.8 eps - 0.6 x = (1.3, 1.4).
    share = torch.tensor([0.64])
    loss = losses.velocity_loss(torch.tensor([1.0, 1.0]).view(1, 2, 1, 1), clean, noise, share)
    assert loss.item() == pytest.approx((0.3**2 + 0.4**2) / 2)


def test_velocity_gives_clean_image_and_noise_back():
    """x = sqrt(abar) x_t - sqrt(1 - abar) v, eps = sqrt(1 - abar) x_t + sqrt(abar) v, each image with its own abar."""
    clean, noise, share = torch.randn(3, 2, 4, 4), torch.randn(3, 2, 4, 4), torch.tensor([0.0, 0.3, 1.0])
    signal, rest = share.sqrt().view(-1, 1, 1, 1), (1 - share).sqrt().view(-1, 1, 1, 1)
    noisy = signal * clean + rest * noise
    # Solved for v from x alone; where there is no noise, from eps.
    velocity = torch.where(rest > 0, (signal * noisy - clean) / rest.clamp(min=1e-9), noise)
    assert losses.velocity_loss(velocity, clean, noise, share).item() == pytest.approx(0, abs=1e-10)
    torch.testing.assert_close(signal * noisy - rest * velocity, clean)
    torch.testing.assert_close(rest * noisy + signal * velocity, noise)


def test_consistency_loss_by_hand():
    expected, target = torch.tensor([[3.0, 4.0], [0.0, 0.0]]).view(2, 2, 1, 1), torch.zeros(2, 2, 1, 1)
    constant = 0.00054 * 2**0.5
    loss = losses.consistency_loss(expected, target)
    assert float(loss) == pytest.approx(((25 + constant**2) ** 0.5 - constant) / 2, rel=1e-4)


def test_flow_matching_loss_by_hand():
    clean, noise = torch.tensor([0.5, -1.0]).view(1, 2, 1, 1), torch.tensor([2.0, 1.0]).view(1, 2, 1, 1)
    # The line from the image to the noise runs along (1.5, 2).
    loss = losses.flow_matching_loss(torch.tensor([1.0, 2.2]).view(1, 2, 1, 1), clean, noise)
    assert loss.item() == pytest.approx((0.5**2 + 0.2**2) / 2)


def test_gaussian_kl_is_the_distance_to_the_prior():
    assert losses.gaussian_kl(torch.zeros(3, 2), torch.zeros(3, 2)) == 0
    # 1/2 (1 + 1 - 1 - 0) + 1/2 (0 + 4 - 1 - log 4)
    by_hand = 0.5 + 0.5 * (3 - math.log(4))
    value = losses.gaussian_kl(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, math.log(4)]]))
    assert value.item() == pytest.approx(by_hand)
    mean, log_variance = torch.randn(5, 7), torch.randn(5, 7)
    posterior = Normal(mean, (0.5 * log_variance).exp())
    expected = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(losses.gaussian_kl(mean, log_variance), expected)


def test_bernoulli_likelihood_sums_pixels():
    # Logit 0 says 1/2 whatever the pixel is.
    found = losses.bernoulli_log_likelihood(torch.zeros(2, 1, 3, 3), torch.rand(2, 1, 3, 3) * 2 - 1)
    assert found.tolist() == pytest.approx([-9 * LOG2] * 2)
    logits = torch.randn(4, 3, 2, 2)
    black_or_white = (torch.rand(4, 3, 2, 2) > 0.5).float()
    expected = Independent(Bernoulli(logits=logits), 3).log_prob(black_or_white)
    torch.testing.assert_close(losses.bernoulli_log_likelihood(logits, black_or_white * 2 - 1), expected)


def test_bernoulli_likelihood_of_certain_logits_stays_finite():
    logits = torch.full((1, 1, 1, 1), 1e4, requires_grad=True)
    likelihood = losses.bernoulli_log_likelihood(logits, torch.full((1, 1, 1, 1), -1.0))
    likelihood.sum().backward()
    assert (likelihood.item(), logits.grad.item()) == (-1e4, -1.0)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 2.5])
def test_gaussian_likelihood_is_the_density_of_the_mean_image(sigma):
    logits, pixel_values = torch.randn(4, 3, 2, 2), torch.rand(4, 3, 2, 2) * 2 - 1
    expected = Independent(Normal(torch.tanh(logits / 2), sigma), 3).log_prob(pixel_values)
    torch.testing.assert_close(losses.gaussian_log_likelihood(logits, pixel_values, sigma), expected)


def test_importance_weights_by_hand():
    """Two draws for one image, in one dimension: N(m, s^2) against N(0, 1)."""
    mean, log_variance, noise = torch.tensor([[0.5]]), torch.tensor([[-1.0]]), torch.tensor([[[0.3], [-1.2]]])
    latents = mean[:, None] + (0.5 * log_variance).exp()[:, None] * noise
    log_likelihood = torch.tensor([[-2.0, -1.5]])
    weights = [
        math.exp(float(log_p + Normal(0.0, 1.0).log_prob(z) - Normal(0.5, math.exp(-0.5)).log_prob(z)))
        for log_p, z in zip(log_likelihood[0], latents[0, :, 0], strict=True)
    ]
    bound = losses.importance_weighted_nll(log_likelihood, noise, latents, log_variance)
    assert bound.item() == pytest.approx(-math.log(sum(weights) / 2), rel=1e-5)
    # One draw at a time is the negative ELBO's estimate, which is above.
    single = [
        losses.importance_weighted_nll(log_likelihood[:, [k]], noise[:, [k]], latents[:, [k]], log_variance)
        for k in (0, 1)
    ]
    assert sum(single) / 2 > bound


@pytest.mark.parametrize(("off", "draws", "tolerance"), [(0.0, 1, 1e-9), (0.3, 1, None), (0.3, 100_000, 0.01)])
def test_importance_weights_reach_the_likelihood_of_a_linear_gaussian_model(off, draws, tolerance):
    """x = W z + noise has x ~ N(0, W W^T + s^2 I); with orthogonal columns of W the posterior has independent dimensions."""
    random, s = torch.Generator().manual_seed(0), 0.5
    orthogonal, _ = torch.linalg.qr(torch.randn(6, 3, generator=random, dtype=torch.float64))
    scale = torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)
    weight = orthogonal * scale
    covariance = weight @ weight.T + s**2 * torch.eye(6, dtype=torch.float64)
    marginal = torch.distributions.MultivariateNormal(torch.zeros(6, dtype=torch.float64), covariance)
    images = (torch.linalg.cholesky(covariance) @ torch.randn(6, 8, generator=random, dtype=torch.float64)).T
    exact = -marginal.log_prob(images).mean()

    variance = s**2 / (scale**2 + s**2)
    mean = images @ weight / (scale**2 + s**2) + off
    log_variance = variance.log().expand(8, 3) + off
    noise = torch.randn(8, draws, 3, generator=random, dtype=torch.float64)
    latents = mean[:, None] + (0.5 * log_variance).exp()[:, None] * noise
    log_likelihood = Normal(latents @ weight.T, s).log_prob(images[:, None]).sum(-1)
    bound = losses.importance_weighted_nll(log_likelihood, noise, latents, log_variance)
    if tolerance is None:
        # The negative ELBO of a posterior that is off is above by about its KL divergence from the true one.
        assert bound > exact + 0.2
    else:
        # The true posterior leaves no variance: a single draw is exact.
        torch.testing.assert_close(bound, exact, rtol=0, atol=tolerance)


def test_nonsaturating_losses_at_known_scores():
    zeros = torch.zeros(6)
    assert losses.nonsaturating_discriminator_loss(zeros, zeros).item() == pytest.approx(2 * LOG2)
    assert losses.nonsaturating_generator_loss(zeros).item() == pytest.approx(LOG2)
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    # -log D = softplus(-s), -log(1 - D) = softplus(s)
    by_hand = (softplus(-2) + softplus(1)) / 2 + (softplus(0.5) + softplus(-3)) / 2
    assert losses.nonsaturating_discriminator_loss(real, fake).item() == pytest.approx(by_hand)
    assert losses.nonsaturating_generator_loss(fake).item() == pytest.approx((softplus(-0.5) + softplus(3)) / 2)


def test_nonsaturating_generator_still_learns_when_it_is_caught():
    scores = torch.full((1,), -30.0, requires_grad=True)
    losses.nonsaturating_generator_loss(scores).backward()
    assert scores.grad.item() == pytest.approx(-1)


def test_label_noise_moves_targets_by_at_most_its_size():
    # With t as target the loss of logit s is softplus(s) - t s: linear in t, so the noise can be read off.
    real, fake = torch.full((1000,), 4.0), torch.full((1000,), -4.0)
    clean = losses.nonsaturating_discriminator_loss(real, fake).item()
    values = [
        losses.nonsaturating_discriminator_loss(r[None], f[None], 0.2).item() for r, f in zip(real, fake, strict=True)
    ]
    moved = [(value - clean) / 4 for value in values]
    assert 0 <= min(moved) < 0.05
    assert 0.35 < max(moved) <= 0.4
    # Both targets move by U(0, 0.2): 0.1 each on average.
    assert sum(moved) / len(moved) == pytest.approx(0.2, abs=0.01)


def test_label_smoothing_moves_the_real_target_alone():
    # With t as target the loss of logit s is softplus(s) - t s.
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    by_hand = (softplus(2) - 0.9 * 2 + softplus(-1) + 0.9) / 2 + (softplus(0.5) + softplus(-3)) / 2
    smoothed = losses.nonsaturating_discriminator_loss(real, fake, label_smoothing=0.1)
    assert smoothed.item() == pytest.approx(by_hand)


def test_label_flips_swap_the_targets_of_a_share():
    real, fake = torch.full((20_000,), 3.0), torch.full((20_000,), -3.0)
    clean, wrong = (losses.nonsaturating_discriminator_loss(*pair).item() for pair in ((real, fake), (fake, real)))
    flipped = losses.nonsaturating_discriminator_loss(real, fake, label_flips=0.25).item()
    assert flipped == pytest.approx(0.75 * clean + 0.25 * wrong, rel=0.03)
    # A flipped target is the other side's, smoothed or not.
    certain = losses.nonsaturating_discriminator_loss(real, fake, label_smoothing=0.1, label_flips=1.0).item()
    assert certain == pytest.approx(2 * softplus(3) - 0.1 * 3)


def test_minimax_generator_loss_saturates_when_the_generator_is_caught():
    fake = torch.tensor([0.5, -3.0])
    # log(1 - D) = -softplus(s)
    by_hand = -(softplus(0.5) + softplus(-3)) / 2
    assert losses.minimax_generator_loss(fake).item() == pytest.approx(by_hand)
    caught = torch.full((1,), -30.0, requires_grad=True)
    losses.minimax_generator_loss(caught).backward()
    assert -1e-12 < caught.grad.item() < 0


def test_wasserstein_losses_are_mean_scores():
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.5])
    assert losses.wasserstein_critic_loss(real, fake).item() == pytest.approx(-1.5 - 0.5)
    assert losses.wasserstein_generator_loss(fake).item() == pytest.approx(1.5)
    # The mean of -y D with labels +1 and -1, of as many of each.
    labels, scores = torch.tensor([1.0, 1, -1, -1]), torch.cat([real, fake])
    assert losses.wasserstein_critic_loss(real, fake).item() == pytest.approx(2 * (-labels * scores).mean().item())


def test_the_best_linear_critic_finds_the_distance_of_two_points():
    real, fake = torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2)
    slope = torch.tensor([0.6, 0.8])
    assert -losses.wasserstein_critic_loss(real @ slope, fake @ slope).item() == pytest.approx(5)


def test_interpolates_lie_on_the_line_between_each_pair():
    real, fake = torch.randn(500, 3, 2, 2), torch.randn(500, 3, 2, 2, requires_grad=True)
    mixed = losses.random_interpolates(real, fake)
    assert mixed.requires_grad
    assert mixed.is_leaf
    shares = (mixed - fake) / (real - fake)
    # One share for all values of an image, another for each image, from U(0, 1).
    assert (shares.flatten(1).std(1) < 0.05).float().mean() > 0.95
    first = shares.flatten(1).median(1).values
    assert 0 <= first.min() < 0.05
    assert 0.95 < first.max() <= 1.001
    assert first.mean().item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("norm", [0.0, 0.5, 1.0, 3.0])
def test_lipschitz_penalty_of_a_linear_critic(norm):
    weight = torch.nn.functional.normalize(torch.randn(3 * 4 * 4), dim=0).mul(norm).requires_grad_()
    images = torch.randn(5, 3, 4, 4, requires_grad=True)
    penalty = losses.lipschitz_penalty(images.flatten(1) @ weight, images)
    assert penalty.item() == pytest.approx((norm - 1) ** 2, abs=1e-5)
    # Finite even where the norm has no derivative.
    penalty.backward()
    assert torch.isfinite(weight.grad).all()
    assert weight.grad.norm().item() == pytest.approx(2 * abs(norm - 1) if norm else 0, abs=1e-4)


def test_lipschitz_penalty_agrees_with_finite_differences():
    critic = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)
    ).double()
    images = torch.randn(3, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    penalty = losses.lipschitz_penalty(critic(images).flatten(), images)
    step, slopes = 1e-5, torch.zeros(3, 4, dtype=torch.float64)
    for i in range(4):
        nudge = torch.zeros(4, dtype=torch.float64)
        nudge[i] = step
        nudge = nudge.view(1, 1, 2, 2)
        slopes[:, i] = ((critic(images + nudge) - critic(images - nudge)) / (2 * step)).flatten()
    expected = (slopes.norm(dim=1) - 1).square().mean()
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-5)


def test_lipschitz_penalty_reaches_the_weights():
    images, weight = torch.randn(5, 1, 2, 2, requires_grad=True), torch.randn(4, requires_grad=True)
    losses.lipschitz_penalty(torch.tanh(images.flatten(1) @ weight), images).backward()
    found, weight.grad = weight.grad, None
    # The slope of tanh(x w) is (1 - tanh(x w)^2) w.
    slopes = (1 - torch.tanh(images.detach().flatten(1) @ weight).square())[:, None] * weight
    (slopes.norm(dim=1) - 1).square().mean().backward()
    torch.testing.assert_close(found, weight.grad)


@pytest.mark.parametrize("penalty", [losses.gradient_penalty, losses.lipschitz_penalty])
def test_penalties_under_autocast_are_summed_in_float32(penalty):
    critic = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3000, 1))
    images = torch.randn(4, 3, 1000, 1, requires_grad=True)
    exact = penalty(critic(images), images)
    with torch.autocast("cpu", torch.bfloat16):
        rough = penalty(critic(images), images)
    assert rough.dtype == torch.float32
    assert rough.item() == pytest.approx(exact.item(), rel=0.01)


def test_clipped_weights_are_within_the_limit_and_others_unchanged():
    weights = [torch.nn.Parameter(torch.tensor([-3.0, -0.01, 0.004, 0.02])), torch.nn.Parameter(torch.tensor(7.0))]
    losses.clip_weights(iter(weights), 0.01)
    assert weights[0].tolist() == pytest.approx([-0.01, -0.01, 0.004, 0.01])
    assert weights[1].item() == pytest.approx(0.01)
    assert all(weight.requires_grad and weight.grad_fn is None for weight in weights)


def test_relativistic_losses_compare_pairs():
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, -3.0])
    by_hand = (softplus(-1.5) + softplus(-2)) / 2
    assert losses.relativistic_discriminator_loss(real, fake).item() == pytest.approx(by_hand)
    assert losses.relativistic_generator_loss(real, fake).item() == pytest.approx((softplus(1.5) + softplus(2)) / 2)
    # Only differences count.
    shifted = losses.relativistic_discriminator_loss(real + 7, fake + 7)
    torch.testing.assert_close(shifted, losses.relativistic_discriminator_loss(real, fake))


def test_gradient_penalty_of_a_linear_critic_is_half_its_squared_norm():
    weight = torch.randn(3 * 4 * 4)
    images = torch.randn(5, 3, 4, 4, requires_grad=True)
    penalty = losses.gradient_penalty(images.flatten(1) @ weight, images)
    torch.testing.assert_close(penalty, 0.5 * weight.square().sum())


def test_gradient_penalty_agrees_with_finite_differences_and_reaches_the_weights():
    critic = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 1)
    ).double()
    images = torch.randn(2, 1, 2, 2, dtype=torch.float64, requires_grad=True)
    penalty = losses.gradient_penalty(critic(images).flatten(), images)
    step, total = 1e-5, 0.0
    for i in range(images.numel()):
        nudge = torch.zeros(images.numel(), dtype=torch.float64)
        nudge[i] = step
        nudge = nudge.view_as(images)
        total += ((critic(images + nudge) - critic(images - nudge)).sum().item() / (2 * step)) ** 2
    assert penalty.item() == pytest.approx(0.5 * total / len(images), rel=1e-5)
    penalty.backward()
    assert critic[1].weight.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: losses.gaussian_kl(x, x),
        lambda x: losses.bernoulli_log_likelihood(x[..., None, None], torch.zeros(4, 3, 1, 1).double()).sum(),
        lambda x: losses.gaussian_log_likelihood(x[..., None, None], torch.zeros(4, 3, 1, 1).double(), 0.5).sum(),
        lambda x: losses.importance_weighted_nll(-x.square(), x[..., None], 2 * x[..., None], x[:, :1]),
        lambda x: losses.nonsaturating_discriminator_loss(x[:, 0], x[:, 1]),
        lambda x: losses.nonsaturating_generator_loss(x[:, 0]),
        lambda x: losses.minimax_generator_loss(x[:, 0]),
        lambda x: losses.wasserstein_critic_loss(x[:, 0], x[:, 1]),
        lambda x: losses.wasserstein_generator_loss(x[:, 0]),
        lambda x: losses.relativistic_discriminator_loss(x[:, 0], x[:, 1]),
        lambda x: losses.relativistic_generator_loss(x[:, 0], x[:, 1]),
        lambda x: losses.historical_averaging_penalty([x[0], x[1:]], [x[1] * 0 + 2, x[1:] * 0]),
    ],
)
def test_gradients_are_right(loss):
    assert torch.autograd.gradcheck(loss, torch.randn(4, 3, dtype=torch.float64, requires_grad=True))


def test_pair_accuracy_is_the_share_of_pairs_in_order():
    real, fake = torch.tensor([1.0, 2.0, 3.0, 0.0]), torch.tensor([0.0, 3.0, 1.0, -1.0])
    assert losses.pair_accuracy(real, fake) == 0.75


def test_feature_matching_is_the_squared_distance_of_the_means():
    real, fake = torch.tensor([[1.0, 5.0], [3.0, 1.0]]), torch.tensor([[0.0, 2.0], [0.0, 0.0], [3.0, 1.0]])
    # The means are (2, 3) and (1, 1).
    assert losses.feature_matching_loss(real, fake).item() == pytest.approx(1 + 4)
    # The spread around a mean is not matched.
    assert losses.feature_matching_loss(real, real.mean(0, keepdim=True)) == 0


def test_historical_averaging_pulls_every_weight_towards_its_mean():
    weights = [torch.tensor([[1.0, 2.0]], requires_grad=True), torch.tensor([5.0], requires_grad=True)]
    means = [torch.tensor([[0.0, 4.0]]), torch.tensor([2.0])]
    penalty = losses.historical_averaging_penalty(iter(weights), iter(means))
    assert penalty.item() == pytest.approx(1 + 4 + 9)
    penalty.backward()
    assert [weight.grad.tolist() for weight in weights] == [[[2.0, -4.0]], [6.0]]
    with pytest.raises(ValueError, match="zip"):
        losses.historical_averaging_penalty(weights, means[:1])


def test_instance_noise_has_its_standard_deviation():
    images = torch.rand(50, 3, 16, 16)
    noise = losses.instance_noise(images, 0.3) - images
    assert noise.std().item() == pytest.approx(0.3, rel=0.02)
    assert noise.mean().abs() < 0.01
    assert torch.equal(losses.instance_noise(images, 0.0), images)


def test_colors_move_within_their_ranges():
    """Of grey images only the brightness; of a coloured pixel pair, the distance to grey by up to 2 times 3/2."""
    moved = losses.augment(torch.zeros(2000, 3, 2, 2), ["color"])
    assert torch.equal(moved, moved[:, :1, :1, :1].expand_as(moved))
    assert [moved.min().item(), moved.mean().item(), moved.max().item()] == pytest.approx([-0.5, 0, 0.5], abs=0.03)
    # Saturation: equal pixels have no contrast but with their own channels.
    red = torch.tensor([0.6, 0.0, 0.0]).view(1, 3, 1, 1).expand(2000, 3, 2, 2)
    chroma = (lambda x: (x[:, 0] - x[:, 1]).flatten())(losses.augment(red, ["color"]))
    assert [chroma.min().item(), chroma.max().item()] == pytest.approx([0, 0.6 * 2 * 1.5], abs=0.1)
    # Contrast: of a grey image, the distance of its two halves.
    halves = torch.tensor([-0.4, 0.4]).view(1, 1, 1, 2).expand(2000, 3, 2, 2)
    distance = (lambda x: (x[..., 1] - x[..., 0]).flatten())(losses.augment(halves, ["color"]))
    assert [distance.min().item(), distance.max().item()] == pytest.approx([0.8 * 0.5, 0.8 * 1.5], abs=0.01)


def test_translation_moves_by_up_to_an_eighth():
    images = torch.zeros(3000, 2, 16, 16)
    images[:, 0, 8, 5], images[:, 1, 1, 15] = 1, 2
    moved = losses.augment(images, ["translation"])
    where = moved[:, 0].nonzero()
    assert len(where) == 3000
    offsets = {(row - 8, column - 5) for _, row, column in where.tolist()}
    assert offsets == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}
    # Both channels move together, and what leaves the image is gone.
    for image in moved[:50]:
        ((_, row, column),) = image[:1].nonzero().tolist()
        row, column = row - 7, column + 10
        kept = 0 <= row < 16 and column < 16
        assert image[1].sum() == (2 if kept else 0)
        assert not kept or image[1, row, column] == 2


def test_cutout_covers_a_square_of_half_the_side():
    left = losses.augment(torch.ones(500, 3, 8, 8), ["cutout"])
    assert torch.equal(left, left[:, :1].expand_as(left))
    sides = set()
    for image in left[:, 0]:
        covered = image == 0
        rows, columns = covered.any(1).nonzero().flatten(), covered.any(0).nonzero().flatten()
        assert covered.sum() == len(rows) * len(columns)
        assert len(rows) == rows[-1] - rows[0] + 1
        sides |= {len(rows), len(columns)}
    # The square may stick out over the edge, its centre not.
    assert sides == {2, 3, 4}


def test_augmentations_lead_gradients_back():
    images = torch.rand(64, 3, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(losses.augment(images).square().sum(), images)
    assert gradient.abs().flatten(1).sum(1).min() > 0
    # What was cut out or moved out has none.
    (gradient,) = torch.autograd.grad(losses.augment(images, ["translation", "cutout"]).sum(), images)
    assert set(gradient.unique().tolist()) == {0.0, 1.0}
    assert 0.5 < gradient.mean() < 0.85
    assert losses.augment(images, ()) is images
    with pytest.raises(KeyError):
        losses.augment(images, ["blur"])


@pytest.mark.parametrize("name", losses.ADVERSARIAL)
def test_losses_by_name(name):
    """A discriminator's loss falls with real scores, a generator's with fake ones; only a paired one reads the real ones too."""
    objective = losses.ADVERSARIAL[name]
    real, fake = torch.tensor([0.5, -1.0], requires_grad=True), torch.tensor([0.0, 2.0], requires_grad=True)
    of_real, of_fake = torch.autograd.grad(objective.discriminator(real, fake), (real, fake))
    assert (of_real < 0).all()
    assert (of_fake > 0).all()
    (of_fake,) = torch.autograd.grad(objective.generator(fake, real.detach()), fake)
    assert (of_fake < 0).all()
    if objective.paired:
        assert objective.generator(fake, real) != objective.generator(fake, real + 1)
    else:
        assert objective.generator(fake, None) == objective.generator(fake, real)
    if objective.labelled:
        assert objective.discriminator(real, fake, label_smoothing=0.1) != objective.discriminator(real, fake)
    else:
        with pytest.raises(TypeError):
            objective.discriminator(real, fake, label_smoothing=0.1)
