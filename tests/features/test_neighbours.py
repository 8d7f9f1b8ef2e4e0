"""The training images nearest to given ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import make_pipeline

from genmodels import zoo
from genmodels.errors import UserError
from genmodels.features.neighbours import nearest_points


@pytest.fixture(scope="module")
def pipe():
    return make_pipeline("vae")


def test_distances_are_those_of_brute_force_across_batches(pipe, monkeypatch):
    monkeypatch.setattr("genmodels.features.neighbours.BATCH", 7)
    torch.manual_seed(0)
    known, images = torch.rand(40, 1, 28, 28) * 2 - 1, torch.rand(3, 1, 28, 28) * 2 - 1
    # Two that are equal, in different batches, and one that is asked for.
    known[33] = known[4] = images[1]
    output = pipe.neighbors(images, 10, dataset=known, space="pixels", output_type="pt")
    brute = ((known[None] - images[:, None]) / 2).square().flatten(2).mean(2).sqrt().sort(dim=1, stable=True)
    torch.testing.assert_close(output.distances, brute.values[:, :10])
    assert torch.equal(output.indices, brute.indices[:, :10])
    assert output.indices[1, :2].tolist() == [4, 33]
    assert output.distances[1, :2].tolist() == [0, 0]
    assert torch.equal(output.images, known[output.indices])


def test_a_training_digit_is_its_own_neighbour_in_the_built_in_sample(pipe):
    image = zoo.load_sample("zoo:mnist-sample", "train").images[123:124]
    output = pipe.neighbors(image, 3, space="pixels", output_type="np")
    assert output.indices[0, 0] == 123
    assert output.images.shape == (1, 3, 28, 28, 1)
    assert np.array_equal((output.images[0, :1] * 255).round().astype(np.uint8), image)
    assert output.distances[0, 0] < 1e-6 < output.distances[0, 1] < 1


def test_features_are_the_default_where_there_is_an_evaluator(pipe):
    digits = zoo.load_sample("zoo:mnist-sample", "test")
    known = torch.from_numpy(digits.images[:300]).permute(0, 3, 1, 2) / 127.5 - 1
    output = pipe.neighbors(known[:20], 2, dataset=known)
    labels = np.asarray(digits.labels)[output.indices]
    assert (output.indices[:, 0] == torch.arange(20)).all()
    assert (labels[:, 0] == labels[:, 1]).mean() > 0.9
    assert [len(images) for images in output.images] == [2] * 20
    explicit = pipe.neighbors(known[:20], 2, dataset=known, space="features")
    assert torch.equal(output.distances, explicit.distances)


def test_mistakes_are_explained(pipe):
    image = torch.zeros(1, 1, 28, 28)
    with pytest.raises(ValueError, match="space must be one of features, pixels, got 'latents'"):
        pipe.neighbors(image, space="latents")
    with pytest.raises(ValueError, match="k must be an integer of at least 1, got 0"):
        pipe.neighbors(image, 0)
    with pytest.raises(ValueError, match="k is 5, and there are only 2 images to choose from"):
        pipe.neighbors(image, dataset=image.repeat(2, 1, 1, 1))
    with pytest.raises(UserError, match="neither a folder here, nor a Hub id"):
        pipe.neighbors(image, dataset="no such folder")
    small = make_pipeline("cgan")
    image = torch.zeros(1, 1, 16, 16)
    with pytest.raises(ValueError, match=r"no built-in training images of 16x16 pixels, 1 channel\(s\): give dataset"):
        small.neighbors(image)
    with pytest.raises(ValueError, match=r"no built-in evaluator for images of 16x16 pixels.*: give space='pixels'"):
        small.neighbors(image, dataset=image, space="features")
    # Without an evaluator, pixels.
    assert small.neighbors(image, 1, dataset=image).distances.tolist() == [[0]]


def test_few_points_find_what_many_do():
    points, references = torch.rand(400, 50, generator=torch.Generator().manual_seed(0)).split((100, 300))
    distances, found = nearest_points(points, references, 3)
    alone = [nearest_points(point[None], references, 3) for point in points]
    assert torch.equal(found, torch.cat([row for _, row in alone]))
    assert torch.equal(distances, torch.cat([row for row, _ in alone]))
