"""Latent arithmetic: directions are what they are said to be, edits move the attribute, mistakes get a sentence."""

from __future__ import annotations

import json

import pytest
import torch
from helpers import make_pipeline

from genmodels import AttributeDirections, VAEPipeline, load_pipeline
from genmodels.models.attributes import attribute_directions

STEP = 1e-5


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """40 grey noise images, the second half bright on the left."""
    images = torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0)) - 0.5
    images[20:, :, :, :14] += 0.5
    return images


@pytest.fixture(scope="module")
def labels() -> torch.Tensor:
    """Attributes of `images`: "left", and "odd", which has nothing to do with the picture."""
    return torch.stack([torch.arange(40) >= 20, torch.arange(40) % 2 == 1], 1)


@pytest.fixture(scope="module")
def pipe(images, labels) -> VAEPipeline:
    batches = [{"pixel_values": images[i::2], "attributes": labels[i::2]} for i in range(2)]
    return make_pipeline("vae").learn_attributes(["left", "odd"], batches)


class TestDirections:
    def test_they_are_differences_of_means(self, pipe, images, labels):
        latents = pipe.encode(images).mean
        for i in range(2):
            expected = latents[labels[:, i]].mean(0) - latents[~labels[:, i]].mean(0)
            torch.testing.assert_close(pipe.attributes.directions[i], expected, atol=STEP, rtol=0)
        assert pipe.attribute_names == ["left", "odd"]

    def test_decorrelated_ones_hold_the_others_fixed(self):
        # z moves by (1, 0) with the first attribute and by (0, 1) with the second, and nearly all that have one have both.
        attributes = torch.tensor([[0, 0]] * 40 + [[1, 1]] * 40 + [[1, 0]] * 10 + [[0, 1]] * 5).bool()
        latents = attributes.float() + 3
        plain = attribute_directions(latents, attributes)
        assert plain[0, 0] == pytest.approx(1)
        assert plain[0, 1] > 0.5
        torch.testing.assert_close(attribute_directions(latents, attributes, decorrelate=True), torch.eye(2))
        alone = attribute_directions(latents, attributes[:, :1], decorrelate=True)
        torch.testing.assert_close(alone, attribute_directions(latents, attributes[:, :1]))

    def test_what_cannot_be_learnt(self, images):
        pipe = make_pipeline("vae")
        yes = torch.ones(40, 1, dtype=torch.bool)
        with pytest.raises(ValueError, match="hat needs images with it and images without it"):
            pipe.learn_attributes(["hat"], [{"pixel_values": images, "attributes": yes}])
        assert pipe.attributes is None
        half = torch.arange(40)[:, None] < 20
        with pytest.raises(ValueError, match="follows from the others"):
            attribute_directions(torch.randn(40, 3), torch.cat([half, ~half], 1), decorrelate=True)

    @pytest.mark.parametrize("names", [[], ["a", "a"], ["a", ""], [1]])
    def test_wrong_names(self, names):
        with pytest.raises(ValueError, match="attribute_names must be at least one name, each different"):
            AttributeDirections(names, 3)


class TestEditing:
    def test_strength_is_in_differences_of_the_means(self, pipe, images):
        latents = pipe.encode(images[:3]).mean
        direction = pipe.attributes.directions[0]
        for strength in (-1, 0, 1.5):
            edited = pipe.edit(images[:3], "left", strength, output_type="pt")
            torch.testing.assert_close(edited.latents, latents + strength * direction, atol=STEP, rtol=0)
            assert torch.equal(edited.images, pipe.decode(edited.latents, "pt").images)
        assert torch.equal(pipe.edit(images[:3], "left", output_type="pt").latents, latents + direction)

    def test_several_attributes_and_latents(self, pipe):
        latents, directions = torch.randn(2, 3), pipe.attributes.directions
        edited = pipe.edit(latents=latents, attribute={"odd": 2, "left": -0.5}).latents
        torch.testing.assert_close(edited, latents + 2 * directions[1] - 0.5 * directions[0])

    def test_edits_move_the_mean_to_the_other_side(self, pipe, images):
        """Whatever the networks are: strength 1 takes the mean of those without to the mean of those with."""
        without = pipe.encode(images[:20]).mean
        moved = pipe.edit(latents=without, attribute="left").latents.mean(0)
        torch.testing.assert_close(moved, pipe.encode(images[20:]).mean.mean(0), atol=STEP, rtol=0)

    def test_mistakes(self, pipe, images):
        with pytest.raises(ValueError, match="There is no attribute 'Smiling': known are left, odd"):
            pipe.edit(images, "Smiling")
        with pytest.raises(
            ValueError, match=r"learnt no attributes: call learn_attribute.* or train one with --attributes"
        ):
            make_pipeline("vae").edit(images, "left")
        for strength in (float("nan"), float("inf"), "2", True):
            with pytest.raises(ValueError, match="strength must be a finite number, got"):
                pipe.edit(images, "left", strength)
        with pytest.raises(ValueError, match="several have theirs in the dict"):
            pipe.edit(images, {"left": 1}, 2)
        for given in ({}, {"images": images, "latents": torch.zeros(1, 3)}):
            with pytest.raises(ValueError, match="Give either images or latents"):
                pipe.edit(**given, attribute="left")
        with pytest.raises(ValueError, match=r"latents must have shape \(N, 3\), got \(3,\)"):
            pipe.edit(latents=torch.zeros(3), attribute="left")


class TestTraverse:
    def test_two_attributes_on_two_axes(self, pipe, images):
        grid = pipe.traverse(attributes=("left", "odd"), images=images[:1], steps=3, limit=2.0, output_type="pt")
        right, up = pipe.attributes.directions
        centre = pipe.encode(images[:1]).mean[0]
        expected = [centre + 2 * (x * right + y * up) for y in (1, 0, -1) for x in (-1, 0, 1)]
        torch.testing.assert_close(grid.latents, torch.stack(expected), atol=STEP, rtol=0)
        assert grid.images.shape == (9, 1, 28, 28)
        torch.testing.assert_close(grid.images[4:5], pipe.reconstruct(images[:1], "pt").images, atol=STEP, rtol=0)

    def test_it_stands_on_a_latent_or_on_the_mean_of_the_prior(self, pipe):
        base = torch.tensor([0.5, -1.0, 0.2])
        for latents in (base, base[None]):
            grid = pipe.traverse(attributes=("odd", "left"), latents=latents, steps=3)
            torch.testing.assert_close(grid.latents[4], base)
        assert torch.equal(pipe.traverse(attributes=("odd", "left"), steps=5).latents[12], torch.zeros(3))

    def test_axes_stay_as_they_are_and_take_an_image_too(self, pipe, images):
        plain = make_pipeline("vae")
        assert torch.equal(pipe.traverse(steps=3).latents, plain.traverse(steps=3).latents)
        grid = pipe.traverse(axes=(0, 1), steps=3, images=images[:1])
        torch.testing.assert_close(grid.latents[:, 2], pipe.encode(images[:1]).mean[0, 2].expand(9))

    def test_mistakes(self, pipe, images):
        for names in (("left", "left"), ("left",), ("left", "odd", "left")):
            with pytest.raises(ValueError, match="attributes must be two different names"):
                pipe.traverse(attributes=names)
        with pytest.raises(ValueError, match="There is no attribute 'hat': known are left, odd"):
            pipe.traverse(attributes=("left", "hat"))
        with pytest.raises(ValueError, match="exactly one image, got 2"):
            pipe.traverse(attributes=("left", "odd"), images=images[:2])
        with pytest.raises(ValueError, match="limit must be a positive number"):
            pipe.traverse(attributes=("left", "odd"), limit=0)


def test_an_attribute_of_ones_own(pipe, images, tmp_path):
    own = make_pipeline("vae").learn_attribute("left", images[20:], images[:20])
    torch.testing.assert_close(own.attributes.directions[0], pipe.attributes.directions[0], atol=STEP, rtol=0)
    # A second one joins the first, and one of the same name replaces it.
    own.learn_attribute("first", images[:1], images[1:3]).learn_attribute("left", images[:20], images[20:])
    assert own.attribute_names == ["left", "first"]
    torch.testing.assert_close(own.attributes.directions[0], -pipe.attributes.directions[0], atol=STEP, rtol=0)
    own.save_pretrained(tmp_path)
    again = load_pipeline(tmp_path)
    assert again.attribute_names == ["left", "first"]
    assert torch.equal(again.attributes.directions, own.attributes.directions)
    edited = [p.edit(images[:2], {"first": 1, "left": 2}, output_type="pt").images for p in (own, again)]
    assert torch.equal(*edited)


def test_models_without_attributes_load_as_before(saved, tmp_path):
    pipe = load_pipeline(saved["vae"])
    assert (pipe.attributes, pipe.attribute_names) == (None, [])
    # As they were saved before there were attributes: without a word of them.
    pipe.save_pretrained(tmp_path)
    path = tmp_path / "model_index.json"
    index = json.loads(path.read_text())
    assert index.pop("attributes") == [None, None]
    path.write_text(json.dumps(index))
    old = load_pipeline(tmp_path)
    assert old.attribute_names == []
    assert torch.equal(old(seed=0, output_type="pt").images, pipe(seed=0, output_type="pt").images)
