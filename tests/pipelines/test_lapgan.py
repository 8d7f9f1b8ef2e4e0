"""Images from coarse to fine: the stages of a LAPGAN, its classes, and its scores level by level."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import make_pipeline

from genmodels import LAPGANDiscriminator, LAPGANGenerator, LAPGANPipeline, load_pipeline
from genmodels.evaluation.evaluate import generate
from genmodels.models.lapgan import shrink

CLASSES = {"num_classes": 3, "class_names": ["ant", "bee", "cat"]}


@pytest.fixture(scope="module")
def pipe() -> LAPGANPipeline:
    """Without classes; latents 0 to 2 are level 0's, 3 to 5 level 1's, 6 and 7 level 2's."""
    return make_pipeline("lapgan")


@pytest.fixture(scope="module")
def conditional() -> LAPGANPipeline:
    """Of grey images of 28 pixels in three classes."""
    torch.manual_seed(0)
    shape = {"sample_size": 28, "num_channels": 1, "base_channels": 4, **CLASSES}
    return LAPGANPipeline(LAPGANGenerator(latent_dim=8, label_dim=4, **shape), LAPGANDiscriminator(**shape))


class TestStages:
    @pytest.mark.parametrize(("kind", "sides"), [("pipe", [8, 16, 32]), ("conditional", [7, 14, 28])])
    def test_each_has_its_size_and_the_last_is_the_image(self, request, kind, sides):
        pipe = request.getfixturevalue(kind)
        output = pipe(num_images=2, seed=0, return_stages=True)
        assert [[image.size for image in stage] for stage in output.stages] == [[(side, side)] * 2 for side in sides]
        assert all(last is image for last, image in zip(output.stages[-1], output.images, strict=True))
        for output_type in ("pt", "np"):
            output = pipe(num_images=2, seed=0, return_stages=True, output_type=output_type)
            assert [type(stage) for stage in output.stages] == [type(output.images)] * 3
            np.testing.assert_array_equal(output.stages[-1], output.images)

    def test_they_are_left_out_by_default(self, pipe):
        assert pipe(seed=0).stages is None
        assert pipe.interpolate(0, 1, steps=2).stages is None
        assert [len(stage) for stage in pipe.interpolate(0, 1, steps=4, return_stages=True).stages] == [4, 4, 4]

    @pytest.mark.parametrize(("number", "level"), [(0, 0), (2, 0), (3, 1), (5, 1), (6, 2), (7, 2)])
    def test_a_latent_of_a_level_moves_that_stage_and_the_finer_ones_alone(self, pipe, number, level):
        latents = pipe(seed=0).latents
        moved = latents.clone()
        moved[0, number] += 3
        before, after = (pipe(latents=z, return_stages=True, output_type="pt").stages for z in (latents, moved))
        assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [k < level for k in range(3)]

    def test_all_are_clamped_and_start_from_the_clamped_one(self, pipe):
        wild = LAPGANPipeline(LAPGANGenerator(latent_dim=8, base_channels=4))
        for parameter in wild.generator.parameters():
            parameter.data *= 3
        stages = wild(num_images=4, seed=0, return_stages=True, output_type="pt").stages
        for stage in stages:
            assert stage.abs().max() <= 1
        assert stages[-1].abs().max() == 1


class TestClasses:
    def test_names_weights_and_the_default(self, conditional):
        named = conditional(class_labels=["cat", "ant"], seed=0, output_type="pt")
        assert named.class_labels.tolist() == [2, 0]
        weighted = conditional(class_labels=torch.eye(3)[[2, 0]], seed=0, output_type="pt")
        torch.testing.assert_close(named.images, weighted.images)
        assert conditional(4, seed=0).class_labels.tolist() == [0, 1, 2, 0]

    def test_a_class_moves_every_stage(self, conditional):
        latents = torch.zeros(3, 8)
        stages = conditional(latents=latents, class_labels=[0, 1, 2], return_stages=True, output_type="np").stages
        assert [len({image.tobytes() for image in stage}) for stage in stages] == [3, 3, 3]

    def test_interpolation_between_two_classes(self, conditional):
        path = conditional.interpolate(5, 5, steps=3, class_labels=("ant", "cat"), output_type="pt")
        torch.testing.assert_close(path.class_labels, torch.tensor([[1.0, 0, 0], [0.5, 0, 0.5], [0, 0, 1.0]]))
        assert torch.equal(conditional.interpolate(5, 6, steps=2).class_labels, torch.eye(3)[[0, 0]])

    def test_labels_of_a_model_without_classes_are_refused(self, pipe):
        for call in (
            lambda: pipe(class_labels=1),
            lambda: pipe.interpolate(0, 1, class_labels=0),
            lambda: pipe.discriminate(pipe(seed=0).images, 1),
        ):
            with pytest.raises(ValueError, match="This model has no classes: leave class_labels out"):
                call()
        assert pipe(seed=0).class_labels is None

    def test_wrong_labels_name_the_legal_ones(self, conditional):
        with pytest.raises(
            ValueError, match="There is no class 'cow': give a number from 0 to 2 or one of ant, bee, cat"
        ):
            conditional(class_labels="cow")

    def test_they_travel_with_the_model_and_into_the_evaluation(self, conditional, tmp_path):
        conditional.save_pretrained(tmp_path)
        loaded = load_pipeline(tmp_path)
        assert loaded.class_names == ["ant", "bee", "cat"]
        images, labels = (
            torch.cat(part) for part in zip(*generate(loaded, 6, 0, torch.tensor([2, 1, 3])), strict=True)
        )
        assert labels.tolist() == [0, 0, 1, 2, 2, 2]
        expected = conditional(6, labels, seed=0, output_type="pt").images
        assert (images - expected).abs().max() <= 1 / 255


class TestScores:
    def test_an_images_score_is_the_sum_over_its_levels(self, pipe):
        images = pipe(num_images=3, seed=0, output_type="pt").images
        levels = pipe.discriminate(images, per_level=True)
        assert levels.shape == (3, 3)
        pipe.discriminator.eval()
        torch.testing.assert_close(levels, pipe.discriminator(images).detach())
        torch.testing.assert_close(pipe.discriminate(images), levels.sum(1))

    def test_the_coarsest_level_sees_the_coarsest_image_only(self, pipe):
        images = pipe(seed=0, output_type="pt").images * 0.5
        # A checkerboard is gone after one halving.
        board = 0.5 * (1 - 2 * ((torch.arange(32)[:, None] + torch.arange(32)) % 2))
        torch.testing.assert_close(shrink(images + board), shrink(images))
        before, after = pipe.discriminate(images, per_level=True), pipe.discriminate(images + board, per_level=True)
        torch.testing.assert_close(before[:, :2], after[:, :2], atol=1e-6, rtol=0)
        assert (before[:, 2] - after[:, 2]).abs() > 1e-4

    def test_the_label_matters_on_every_level(self, conditional):
        image = conditional(seed=0, class_labels=0).images[0]
        scores = torch.cat([conditional.discriminate(image, label, per_level=True) for label in range(3)])
        assert [len(set(level.tolist())) for level in scores.T] == [3, 3, 3]

    def test_without_discriminators_it_says_so(self, pipe):
        alone = LAPGANPipeline(pipe.generator)
        with pytest.raises(ValueError, match="saved without its discriminator"):
            alone.discriminate(alone(seed=0).images)
