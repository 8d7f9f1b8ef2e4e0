"""Layers of discriminators that compare the images of a batch, and weights of bounded slope."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from genmodels import models
from genmodels.models.modeling import init_dcgan
from genmodels.models.stabilisers import MinibatchDiscrimination, MinibatchStdDev, minibatch_layers

CLASSES = {"num_classes": 3, "class_names": ["ant", "bee", "cat"]}
JUDGES = {
    "gan": (models.VanillaGANDiscriminator, {"hidden_dims": [8, 6]}),
    "dcgan": (models.DCGANDiscriminator, {"base_channels": 2, "norm": "none"}),
    "cgan": (models.CGANDiscriminator, {"base_channels": 2, "auxiliary_classifier": True, **CLASSES}),
    "lapgan": (models.LAPGANDiscriminator, {"base_channels": 2, "num_levels": 2}),
}
# Those with one last hidden layer.
MATCHABLE = ("gan", "dcgan", "cgan")
EVERYTHING = {"minibatch_stddev": True, "minibatch_discrimination": 4, "spectral_norm": True, "dropout": 0.2}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def build(kind: str, **options):
    network, arguments = JUDGES[kind]
    return network(sample_size=16, num_channels=1, **arguments, **options)


def labels_for(kind: str, count: int) -> tuple:
    return (torch.arange(count) % 3,) if kind == "cgan" else ()


def test_minibatch_stddev_appends_the_mean_deviation():
    # Two features at two places: deviations 1, 0, 3 and 2 over the batch.
    features = torch.tensor([[[1.0, 4.0], [0.0, 5.0]], [[3.0, 4.0], [6.0, 1.0]]])
    out = MinibatchStdDev()(features)
    assert out.shape == (2, 3, 2)
    assert torch.equal(out[:, :2], features)
    torch.testing.assert_close(out[:, 2], torch.full((2, 2), (1 + 0 + 3 + 2) / 4), atol=1e-4, rtol=0)
    assert MinibatchStdDev()(torch.randn(5, 7)).shape == (5, 8)


def test_minibatch_stddev_of_equal_images_is_zero_with_a_gradient():
    features = torch.ones(4, 2, 3, 3, requires_grad=True)
    out = MinibatchStdDev()(features)
    assert out[:, 2].abs().max() < 1e-3
    out.sum().backward()
    assert torch.isfinite(features.grad).all()


def test_minibatch_discrimination_sums_how_close_the_others_are():
    layer = MinibatchDiscrimination(2, num_kernels=2, kernel_dim=1)
    with torch.no_grad():
        layer.kernels.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    features = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 1.0]])
    # By the first measure the images are at 0, 1 and 3, by the second at 0, 0 and 2; each is at distance 0 from itself.
    e = math.exp
    by_hand = torch.tensor(
        [[1 + e(-1) + e(-3), 2 + e(-2)], [e(-1) + 1 + e(-2), 2 + e(-2)], [e(-3) + e(-2) + 1, 1 + 2 * e(-2)]]
    )
    out = layer(features)
    assert torch.equal(out[:, :2], features)
    torch.testing.assert_close(out[:, 2:], by_hand)


def test_a_kernels_distance_is_over_all_its_numbers():
    layer = MinibatchDiscrimination(8, num_kernels=3)
    maps = torch.randn(4, 2, 2, 2)
    matrices = layer.kernels(maps.flatten(1)).view(4, 3, 5)
    closeness = torch.stack([(-(matrices - other).abs().sum(2)).exp() for other in matrices]).sum(0)
    out = layer(maps)
    assert out.shape == (4, 5, 2, 2)
    torch.testing.assert_close(out[:, 2:], closeness[..., None, None].expand(-1, -1, 2, 2))


@pytest.mark.parametrize("layers", [(True, 0), (False, 3), (True, 3)], ids=["stddev", "discrimination", "both"])
def test_gradients_of_the_minibatch_layers_are_right_twice(layers):
    network = minibatch_layers(2, 4, *layers).double()
    features = torch.randn(3, 2, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(network, features)
    # As gradient penalties need.
    assert torch.autograd.gradgradcheck(network, features)


def test_minibatch_layers_compare_in_float32_under_autocast():
    layer = MinibatchStdDev()
    features = 100 + 0.2 * torch.randn(16, 2, 4, 4)
    exact = layer(features)[0, 2, 0, 0]
    assert layer(features.bfloat16()).dtype == torch.bfloat16
    network = minibatch_layers(2, 16, False, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(features)[0, 2, 0, 0] == exact
        assert network(features).dtype == torch.float32


def test_wrong_minibatch_arguments():
    for wrong in (-1, 2.0, "3", True, None):
        with pytest.raises(ValueError, match="minibatch_discrimination must be an integer of at least 0, got"):
            models.DCGANDiscriminator(minibatch_discrimination=wrong)
    with pytest.raises(ValueError, match="minibatch_stddev must be True or False, got 1"):
        models.VanillaGANDiscriminator(minibatch_stddev=1)


@pytest.mark.parametrize("kind", MATCHABLE)
@pytest.mark.parametrize("option", [{"minibatch_stddev": True}, {"minibatch_discrimination": 3}])
def test_with_minibatch_layers_a_score_depends_on_the_batch(kind, option):
    images, labels = torch.rand(4, 1, 16, 16) * 2 - 1, labels_for(kind, 4)
    judge = build(kind, **option).eval()
    scores, features = judge(images, *labels, return_features=True)
    few, few_features = judge(images[:2], *(x[:2] for x in labels), return_features=True)
    assert (scores[:2] - few).abs().min() > 1e-6
    # What feature matching compares is of each image alone.
    torch.testing.assert_close(features[:2], few_features)
    assert torch.equal(judge(images, *labels), scores)


@pytest.mark.parametrize("option", [{"minibatch_stddev": True}, {"minibatch_discrimination": 3}])
def test_so_does_the_score_of_every_level_of_a_pyramid(option):
    images, judge = torch.rand(4, 1, 16, 16) * 2 - 1, build("lapgan", **option).eval()
    assert (judge(images)[:2] - judge(images[:2])).abs().min() > 1e-7


@pytest.mark.parametrize("kind", MATCHABLE)
def test_features_are_those_in_front_of_the_score(kind):
    judge, images, labels = build(kind).eval(), torch.rand(3, 1, 16, 16), labels_for(kind, 3)
    scores, features = judge(images, *labels, return_features=True)
    if kind == "cgan":
        assert features.shape == (3, 64)
        _, again, logits = judge(images, *labels, return_features=True, return_class_logits=True)
        assert torch.equal(again, features)
        torch.testing.assert_close(judge.classify(features), logits)
        found = judge.score(features).flatten() + (judge.embed_label.weight.T[labels[0]] * features).sum(1)
    else:
        found = judge.score(features.view(3, -1, 4, 4) if kind == "dcgan" else features).flatten()
    torch.testing.assert_close(found, scores)


def weights_of(network) -> list[torch.Tensor]:
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    return [layer.weight.flatten(1) for layer in network.modules() if isinstance(layer, kinds)]


@pytest.mark.parametrize("kind", JUDGES)
def test_spectral_norm_makes_the_largest_singular_value_one(kind):
    judge = build(kind, spectral_norm=True, minibatch_discrimination=2)
    images, labels = torch.rand(3, 1, 16, 16), labels_for(kind, 3)
    judge.train()
    for _ in range(20):
        judge(images, *labels)
    judge.eval()
    weights = weights_of(judge)
    # Every layer with a weight, the label's embedding and the minibatch layer's too.
    assert len(weights) == sum(name.endswith("original") for name in judge.state_dict()) >= 4
    for weight in weights:
        assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, rel=0.02)


def test_the_initialisation_of_dcgan_reaches_weights_below_a_spectral_norm():
    judge = models.DCGANDiscriminator(base_channels=32, spectral_norm=True).apply(init_dcgan)
    trained = torch.cat([p.flatten() for name, p in judge.named_parameters() if name.endswith("original")])
    assert trained.std().item() == pytest.approx(0.02, rel=0.02)


@pytest.mark.parametrize("kind", JUDGES)
def test_everything_saves_and_loads_with_the_same_scores(kind, tmp_path):
    judge, images, labels = build(kind, **EVERYTHING), torch.rand(4, 1, 16, 16), labels_for(kind, 4)
    for _ in range(3):
        judge(images, *labels)
    judge.eval()
    judge.save_pretrained(tmp_path / "whole")
    again = type(judge).from_pretrained(tmp_path / "whole")
    assert again.config.minibatch_discrimination == 4
    assert judge.state_dict().keys() == again.state_dict().keys()
    assert torch.equal(again(images, *labels), judge(images, *labels))
    # As training saves it: rounded, in float16.
    half = copy.deepcopy(judge).half()
    half.save_pretrained(tmp_path / "half")
    rounded = type(judge).from_pretrained(tmp_path / "half", torch_dtype=torch.float32)
    assert torch.equal(rounded(images, *labels), half.float()(images, *labels))
    assert rounded(images, *labels).sub(judge(images, *labels)).abs().max() < 0.01
