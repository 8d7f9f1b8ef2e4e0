"""A fresh network learns from generated images what it must know of real ones."""

from __future__ import annotations

import pytest
import torch

from genmodels import zoo
from genmodels.evaluation.cas import cas_metric


@pytest.fixture(scope="module")
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """1,500 real digits and what they show."""
    sample = zoo.load_sample("zoo:mnist-sample", "train")
    images = torch.tensor(sample.images[:1500]).permute(0, 3, 1, 2).float() / 127.5 - 1
    return images, torch.tensor(sample.labels[:1500])


@pytest.mark.slow
def test_what_images_lack_is_not_learned_from_them(digits):
    images, labels = digits
    learned, real = (images[:1000], labels[:1000]), (images[1000:], labels[1000:])
    # One picture of each class, as a collapsed model draws them, whose class accuracy is perfect.
    first = torch.tensor([int((learned[1] == label).nonzero()[0]) for label in range(10)])
    collapsed = cas_metric((learned[0][first[learned[1]]], learned[1]), learned, real, 10, seed=0)
    assert collapsed.floor > 0.75
    assert collapsed.value < 0.6
    assert collapsed.args == {"images": 1000}
