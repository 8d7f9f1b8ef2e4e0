import pytest
import torch

from genmodels.features.classifier import Classifier


@pytest.mark.parametrize("early_pooling", [False, True])
@torch.no_grad()
def test_a_folded_one_reads_the_same(early_pooling):
    torch.manual_seed(0)
    network = Classifier(sample_size=32, num_channels=3, base_channels=4, early_pooling=early_pooling)
    for _ in range(3):
        network(torch.randn(16, 3, 32, 32) * 2 + 1)
    images = torch.randn(7, 3, 32, 32)
    before = network.eval().features(images), network(images)
    folded = network.folded()
    assert not [layer for layer in folded.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    torch.testing.assert_close((folded.features(images), folded(images)), before, rtol=1e-4, atol=1e-5)
