"""The Laplacian pyramid and the networks over it."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from genmodels.models import LAPGANDiscriminator, LAPGANGenerator
from genmodels.models.lapgan import coarse_images, expand, laplacian_pyramid, shrink

CLASSES = {"num_classes": 3, "class_names": ["ant", "bee", "cat"]}
NETWORKS = (LAPGANGenerator, LAPGANDiscriminator)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def make_images(count: int, size: int, channels: int = 3) -> torch.Tensor:
    """Random images in [-1, 1]."""
    return torch.rand(count, channels, size, size) * 2 - 1


class TestPyramid:
    @pytest.mark.parametrize(
        ("size", "levels", "sides"), [(32, 3, [8, 16, 32]), (28, 3, [7, 14, 28]), (50, 2, [25, 50])]
    )
    def test_reconstruction_is_exact(self, size, levels, sides):
        images = make_images(4, size)
        pyramid = laplacian_pyramid(images, levels)
        assert [part.shape for part in pyramid] == [(4, 3, side, side) for side in sides]
        # I_k = u(I_k+1) + h_k, equation 4 of the paper.
        finer, *residuals = pyramid
        for residual in residuals:
            finer = expand(finer) + residual
        assert (finer - images).abs().max() <= 1e-6

    def test_one_level_is_the_image_itself(self):
        images = make_images(1, 15)
        (alone,) = laplacian_pyramid(images, 1)
        assert torch.equal(alone, images)

    def test_shrinking_averages_and_expanding_interpolates(self):
        image = torch.tensor([[[[0.0, 1.0], [0.5, 0.5]]]])
        assert shrink(image).item() == 0.5
        row = expand(torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]]))
        # Centres of the new pixels lie a quarter from those of the old ones; beyond the last one nothing is extrapolated.
        torch.testing.assert_close(row, torch.tensor([0.0, 0.25, 0.75, 1.0]).expand(1, 1, 4, 4))

    def test_a_flat_image_has_no_residuals(self):
        coarsest, *residuals = laplacian_pyramid(torch.full((1, 3, 32, 32), 0.3), 3)
        torch.testing.assert_close(coarsest, torch.full((1, 3, 8, 8), 0.3))
        assert all(residual.abs().max() < 1e-6 for residual in residuals)

    def test_residuals_of_images_stay_between_minus_2_and_2(self):
        images = make_images(8, 32).sign()
        assert 1 < max(part.abs().max() for part in laplacian_pyramid(images, 3)[1:]) <= 2

    def test_sizes_that_do_not_halve_are_refused(self):
        for size, levels, divisor in ((30, 3, 4), (28, 4, 8), (15, 2, 2)):
            message = f"A pyramid of {levels} levels halves its images {levels - 1} times, and {size} pixels are not"
            with pytest.raises(ValueError, match=f"{message} divisible by {divisor}: resize them"):
                laplacian_pyramid(make_images(1, size), levels)
        with pytest.raises(ValueError, match="num_levels must be an integer of at least 1, got 0"):
            laplacian_pyramid(make_images(1, 16), 0)


class TestNetworks:
    @pytest.mark.parametrize(("size", "channels", "sides"), [(28, 1, [7, 14, 28]), (32, 3, [8, 16, 32])])
    def test_shapes_of_a_drawn_pyramid_are_those_of_a_real_one(self, size, channels, sides):
        shape = {"sample_size": size, "num_channels": channels, "base_channels": 4}
        generator, discriminator = LAPGANGenerator(latent_dim=9, **shape), LAPGANDiscriminator(**shape)
        images = make_images(2, size, channels)
        drawn = generator(torch.randn(2, 9), given=images)
        assert [part.shape for part in drawn] == [part.shape for part in laplacian_pyramid(images, 3)]
        assert [part.shape[-1] for part in drawn] == sides
        assert drawn[0].abs().max() <= 1
        assert discriminator(images, pyramid=drawn).shape == (2, 3)

    def test_one_step_moves_every_tensor_of_both(self):
        shape = {"sample_size": 16, "base_channels": 4, **CLASSES}
        networks = generator, discriminator = (
            LAPGANGenerator(latent_dim=6, label_dim=2, **shape),
            LAPGANDiscriminator(**shape),
        )
        before = [{name: p.clone() for name, p in network.named_parameters()} for network in networks]
        images, labels = make_images(6, 16), torch.arange(6) % 3
        discriminator(images, labels, pyramid=generator(torch.randn(6, 6), labels, given=images)).mean().backward()
        for network in networks:
            torch.optim.Adam(network.parameters(), lr=0.01).step()
        for old, network in zip(before, networks, strict=True):
            assert not [name for name, parameter in network.named_parameters() if torch.equal(old[name], parameter)]

    def test_sampling_is_drawing_each_residual_on_the_clamped_stage_before(self):
        generator = LAPGANGenerator(sample_size=16, latent_dim=7, base_channels=4).eval()
        # Strong enough to need the clamp.
        for level in generator.levels:
            level.layers[-2].weight.data *= 20
        latents = torch.randn(5, 7)
        stages = generator(latents, return_stages=True)
        assert torch.equal(generator(latents), stages[-1])
        assert max(stage.abs().max() for stage in stages[1:]) == 1
        for level, (coarse, fine) in enumerate(pairwise(stages), start=1):
            # The level's own part of the latent: 3, 2 and 2 numbers.
            part = latents.split([3, 2, 2], dim=1)[level]
            enlarged = expand(coarse)
            torch.testing.assert_close(fine, (enlarged + generator.levels[level](part, enlarged)).clamp(-1, 1))

    def test_training_gives_each_level_the_real_coarse_image(self):
        generator = LAPGANGenerator(sample_size=16, latent_dim=6, base_channels=4).eval()
        latents, images = torch.randn(2, 6), make_images(2, 16)
        drawn = generator(latents, given=images)
        sizes = coarse_images(images, 3)
        for level in (1, 2):
            torch.testing.assert_close(
                drawn[level], generator.levels[level](latents[:, 2 * level : 2 * level + 2], expand(sizes[level - 1]))
            )
        # No level hears of what another drew: no gradient from one to the other.
        drawn[2].square().mean().backward()
        assert all(p.grad is None for level in (0, 1) for p in generator.levels[level].parameters())

    def test_a_discriminator_judges_a_residual_beside_its_coarse_image(self):
        discriminator = LAPGANDiscriminator(sample_size=16, base_channels=4)
        images, others = make_images(3, 16), make_images(3, 16)
        pyramid = laplacian_pyramid(images, 3)
        torch.testing.assert_close(discriminator(images), discriminator(images, pyramid=pyramid))
        # The same residuals beside other coarse images: the coarsest level sees no difference, the others do.
        elsewhere = discriminator(others, pyramid=pyramid)
        differs = (elsewhere - discriminator(images)).abs() > 1e-5
        assert differs.all(0).tolist() == [False, True, True]
        assert not differs[:, 0].any()


class TestMistakes:
    @pytest.mark.parametrize("network", NETWORKS)
    def test_wrong_levels(self, network):
        for levels in (0, -1, 2.0, "3", None, True):
            with pytest.raises(ValueError, match=r"num_levels must be (an integer of at least 1, got|at least 2)"):
                network(num_levels=levels)
        with pytest.raises(ValueError, match="num_levels must be at least 2: with one level there is no pyramid"):
            network(num_levels=1)
        with pytest.raises(ValueError, match="50 pixels are not divisible by 4: resize them to a multiple of that"):
            network(sample_size=50)
        with pytest.raises(ValueError, match="makes the coarsest images 2x2: take fewer levels"):
            network(sample_size=32, num_levels=5)

    def test_a_latent_has_a_number_for_each_level(self):
        with pytest.raises(
            ValueError, match=r"latent_dim must be at least num_levels \(3\), one number a level, got 2"
        ):
            LAPGANGenerator(latent_dim=2)

    @pytest.mark.parametrize("network", NETWORKS)
    def test_wrong_classes(self, network):
        for number in (1, -3, 2.0, "ten", True):
            with pytest.raises(ValueError, match="num_classes must be an integer of at least 2, got"):
                network(num_classes=number)
        with pytest.raises(ValueError, match="num_classes must be an integer of at least 2, got 0"):
            network(class_names=["ant", "bee"])
        with pytest.raises(ValueError, match="class_names must be 3 different names, got"):
            network(num_classes=3, class_names=["ant", "bee"])

    def test_labels_belong_to_networks_with_classes(self):
        shape = {"sample_size": 16, "base_channels": 2}
        latents, images, labels = torch.randn(2, 96), make_images(2, 16), torch.tensor([0, 1])
        for network, inputs in ((LAPGANGenerator(**shape), latents), (LAPGANDiscriminator(**shape), images)):
            with pytest.raises(ValueError, match="This network has no classes: leave class_labels out"):
                network(inputs, labels)
        for network, inputs in (
            (LAPGANGenerator(**shape, **CLASSES), latents),
            (LAPGANDiscriminator(**shape, **CLASSES), images),
        ):
            with pytest.raises(ValueError, match="This network has 3 classes: give class_labels"):
                network(inputs)

    def test_a_pyramid_of_other_shapes(self):
        discriminator, images = LAPGANDiscriminator(sample_size=16, base_channels=2), make_images(1, 16)
        for pyramid in (laplacian_pyramid(images, 2), laplacian_pyramid(images, 3)[::-1], []):
            with pytest.raises(ValueError, match="Expected a pyramid of shapes"):
                discriminator(images, pyramid=pyramid)
        with pytest.raises(ValueError, match=r"Expected images of shape \(N, 3, 16, 16\), got"):
            LAPGANGenerator(sample_size=16, base_channels=2)(torch.randn(1, 96), given=make_images(1, 32))
