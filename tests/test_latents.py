"""Children of latents and closed ways through them: where they lie, and that they stay N(0, I)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from genmodels import CGANGenerator, CGANPipeline, DCGANGenerator, DCGANPipeline
from genmodels.latents import circle_latents, cross_latents

A, B = torch.full((400,), -1.0), torch.full((400,), 1.0)


def test_without_mutation_each_number_is_a_parents():
    children = cross_latents(A, B, 5, 0, seed=0)
    assert set(children.unique().tolist()) == {-1.0, 1.0}
    assert 0.4 < (children == 1).float().mean() < 0.6
    assert not torch.equal(children[0], children[1])


def test_with_all_mutation_nothing_is_inherited():
    assert torch.equal(cross_latents(A, B, 3, 1.0, seed=7), cross_latents(5 * A, B, 3, 1.0, seed=7))


def test_children_of_normal_latents_are_normal():
    draws = torch.randn(2, 50_000, generator=torch.Generator().manual_seed(0))
    for mutation in (0.0, 0.3, 0.8):
        (child,) = cross_latents(*draws, 1, mutation, seed=1)
        assert child.mean().abs() < 0.02
        assert child.std() == pytest.approx(1, abs=0.02)


def test_a_child_is_the_same_however_many_there_are():
    assert torch.equal(cross_latents(A, B, 9, 0.5, seed=3)[:4], cross_latents(A, B, 4, 0.5, seed=3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 0.1, 0), "num_images"), ((2, 1.5, 0), "mutation"), ((2, True, 0), "mutation"), ((2, 0.1, -1), "seed")],
)
def test_wrong_litters_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        cross_latents(A, B, *arguments)


def test_a_circle_closes_and_has_one_speed():
    a, b = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0))
    way = circle_latents(a, b, 24)
    assert torch.equal(way[0], a)
    assert torch.allclose(way[6], b, atol=1e-5)
    assert torch.allclose(way.std(1), torch.ones(24), atol=0.05)
    speeds = (way - way.roll(1, 0)).norm(dim=1)
    assert speeds.max() / speeds.min() < 1.05
    with pytest.raises(ValueError, match="steps"):
        circle_latents(a, b, 1)


def test_pipelines_breed_and_loop():
    torch.manual_seed(0)
    pipe = DCGANPipeline(DCGANGenerator(sample_size=16, latent_dim=8, base_channels=4).eval(), None)
    children = pipe.breed(1, 2, num_images=3, mutation=0.4, seed=5, output_type="np")
    parents = [pipe(num_images=1, seed=seed).latents[0] for seed in (1, 2)]
    assert torch.equal(children.latents, cross_latents(*parents, 3, 0.4, 5))
    assert children.images.shape == (3, 16, 16, 3)
    assert torch.allclose(pipe.loop(1, 2, steps=4, psi=0.5).latents[2], -0.5 * parents[0], atol=1e-6)


def test_a_conditional_gan_breeds_and_loops_within_a_class():
    torch.manual_seed(0)
    pipe = CGANPipeline(CGANGenerator(latent_dim=8, label_dim=4, base_channels=4, num_classes=3).eval(), None)
    children = pipe.breed(1, 2, num_images=3, seed=5, class_labels=2, output_type="np")
    assert children.class_labels.tolist() == [2, 2, 2]
    assert np.array_equal(
        children.images, pipe(latents=children.latents, class_labels=[2, 2, 2], output_type="np").images
    )
    assert pipe.loop(1, 2, steps=4, class_labels="1").class_labels.tolist() == [1] * 4
    # Differences between classes are no directions of a latent space.
    of_one, of_all = (pipe.principal_directions(2, 300, **label) for label in ({"class_labels": 0}, {}))
    assert of_one.directions.shape == (2, 8)
    assert not torch.allclose(of_one.directions, of_all.directions, atol=1e-2)
