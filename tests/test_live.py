"""GANs that train in memory: the same from the same seed, collapsing and cured as the app says."""

from __future__ import annotations

import pytest
import torch

from genmodels.errors import UserError
from genmodels.live import LOSSES, WEIGHT_CLIP, LiveGAN, Settings

DIGITS = torch.zeros(8, 1, 28, 28).uniform_(-1, 1, generator=torch.Generator().manual_seed(0))


def weights_of(gan: LiveGAN) -> torch.Tensor:
    networks = (gan.generator, gan.discriminator)
    return torch.cat([p.detach().flatten() for network in networks for p in network.parameters()])


def gan_of(data: str, **settings) -> LiveGAN:
    return LiveGAN(Settings(data=data, **settings), DIGITS if data == "digits" else None)


@pytest.mark.parametrize("data", ["ring", "digits"])
@pytest.mark.parametrize("bound", [{}, {"gradient_penalty": True}, {"spectral_norm": True}, {"minibatch_stddev": True}])
@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_moves_both_networks_by_finite_amounts(data, loss, bound):
    gan = gan_of(data, loss=loss, **bound)
    before = [[p.detach().clone() for p in n.parameters()] for n in (gan.generator, gan.discriminator)]
    gan.train(1)
    for network, old in zip((gan.generator, gan.discriminator), before, strict=True):
        assert any(not torch.equal(p, o) for p, o in zip(network.parameters(), old, strict=True))
    assert weights_of(gan).isfinite().all()
    assert (gan.step, len(gan.losses_d), len(gan.losses_g)) == (1, 1, 1)


def test_the_same_seed_gives_the_same_weights_however_the_steps_are_cut():
    whole, parts, other = (gan_of("ring", seed=seed, minibatch_stddev=True) for seed in (3, 3, 4))
    whole.train(12)
    other.train(12)
    for steps in (5, 0, 7):
        parts.train(steps)
        parts.sample(50)
        parts.scores_on_plane(8)
        torch.rand(3)
    assert torch.equal(weights_of(whole), weights_of(parts))
    assert not torch.equal(weights_of(whole), weights_of(other))


def test_looking_leaves_the_norms_alone():
    gans = [gan_of(data, spectral_norm=True) for data in ("ring", "digits")]
    for gan in gans:
        gan.train(1)
        before = {name: value.clone() for name, value in gan.discriminator.state_dict().items()}
        before |= {f"g.{name}": value.clone() for name, value in gan.generator.state_dict().items()}
        gan.sample(5)
        if gan.mixture:
            gan.scores_on_plane(4)
        after = {**gan.discriminator.state_dict(), **{f"g.{k}": v for k, v in gan.generator.state_dict().items()}}
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert gan.generator.training
        assert gan.discriminator.training


def test_no_step_is_begun_after_its_time():
    gan = gan_of("ring")
    gan.train(10**6, seconds=0.0)
    assert gan.step == 1


def test_only_an_unbounded_critic_is_clipped():
    clipped = gan_of("ring", loss="wasserstein", discriminator_rate=1.0)
    clipped.train(1)
    assert weights_of(clipped)[-10:].abs().max() <= WEIGHT_CLIP
    assert not gan_of("ring", loss="wasserstein", gradient_penalty=True).clips
    assert not gan_of("ring", loss="relativistic").clips


def test_the_plane_is_seen_from_its_upper_left():
    gan = gan_of("ring")
    scores = gan.scores_on_plane(6)
    corner = torch.tensor([[-2.5, 2.5], [2.5, 2.5], [-2.5, -2.5]])
    with torch.no_grad():
        upper_left, upper_right, lower_left = gan.discriminator(corner)
    assert scores.shape == (6, 6)
    assert torch.allclose(scores[[0, 0, 5], [0, 5, 0]], torch.stack([upper_left, upper_right, lower_left]))


@pytest.mark.slow
def test_a_slow_discriminator_lets_modes_collapse_and_a_faster_one_does_not():
    collapsed, cured = gan_of("ring", discriminator_rate=1e-4), gan_of("ring")
    for gan in (collapsed, cured):
        gan.train(700)
    assert collapsed.coverage(2000)[0] <= 3
    modes, share = cured.coverage(2000)
    assert modes == 8
    assert share > 0.3


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"data": "spiral"}, "ring, grid, drawn, digits"), ({"loss": "hinge"}, "minimax, nonsaturating")],
)
def test_unknown_settings_name_the_known(settings, word):
    with pytest.raises(UserError, match=word):
        Settings(**settings)


def test_images_belong_to_digits():
    with pytest.raises(UserError, match="to learn digits"):
        LiveGAN(Settings(data="digits"))
    with pytest.raises(UserError, match="and none else"):
        LiveGAN(Settings(), DIGITS)
    with pytest.raises(UserError, match="no centres"):
        gan_of("digits").coverage()
    with pytest.raises(UserError, match="Only points"):
        gan_of("digits").scores_on_plane(4)
