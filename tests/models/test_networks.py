"""Every network of the suite at tiny width: shapes, one real training step, refused arguments."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch.nn import functional

from genmodels import DCGANDiscriminator, DCGANGenerator, losses, models
from genmodels.models.dcgan import TRICKS, ResidualLayer, upsample, widths
from genmodels.models.lapgan import coarse_images, expand
from genmodels.models.modeling import crop_to, init_dcgan, one_hot_labels, pad_to

SIZES = (16, 28, 32, 50, 64, 128)
CLASSES = {"num_classes": 3, "class_names": ["ant", "bee", "cat"]}


@dataclass
class Family:
    """The two networks of an algorithm and the arguments that they need at tiny width."""

    source: type
    judge: type
    source_args: dict
    judge_args: dict


FAMILIES = {
    "autoencoder": Family(
        models.AutoencoderDecoder,
        models.AutoencoderEncoder,
        {"latent_dim": 5, "base_channels": 2, "hidden_dim": 8},
        {"latent_dim": 5, "base_channels": 2, "hidden_dim": 8},
    ),
    "vae": Family(
        models.VAEDecoder,
        models.VAEEncoder,
        {"latent_dim": 5, "base_channels": 2, "hidden_dim": 8},
        {"latent_dim": 5, "base_channels": 2, "hidden_dim": 8},
    ),
    "gan": Family(
        models.VanillaGANGenerator,
        models.VanillaGANDiscriminator,
        {"latent_dim": 5, "hidden_dims": [6, 8]},
        {"hidden_dims": [8, 6]},
    ),
    "dcgan": Family(
        models.DCGANGenerator, models.DCGANDiscriminator, {"latent_dim": 5, "base_channels": 2}, {"base_channels": 2}
    ),
    "lapgan": Family(
        models.LAPGANGenerator,
        models.LAPGANDiscriminator,
        {"latent_dim": 5, "base_channels": 2, "num_levels": 2},
        {"base_channels": 2, "num_levels": 2},
    ),
    "cgan": Family(
        models.CGANGenerator,
        models.CGANDiscriminator,
        {"latent_dim": 5, "base_channels": 2, "label_dim": 3, **CLASSES},
        {"base_channels": 2, **CLASSES},
    ),
}
NETWORKS = [(family.source, family.source_args) for family in FAMILIES.values()]
NETWORKS += [(family.judge, family.judge_args) for family in FAMILIES.values()]
IDS = [network.__name__ for network, _ in NETWORKS]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def build(kind: str, size: int = 16, channels: int = 1):
    """The networks of a family: what draws and what judges or encodes."""
    family, shape = FAMILIES[kind], {"sample_size": size, "num_channels": channels}
    return family.source(**shape, **family.source_args), family.judge(**shape, **family.judge_args)


def labels_for(kind: str, count: int) -> tuple:
    return (torch.arange(count) % 3,) if kind == "cgan" else ()


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_shapes_and_ranges(kind, size, channels):
    source, judge = build(kind, size, channels)
    labels = labels_for(kind, 3)
    images = source(torch.randn(3, 5) * 3, *labels)
    assert images.shape == (3, channels, size, size)
    assert images.dtype == torch.float32
    assert images.abs().max() <= 1
    verdict = judge(images, *labels)
    if kind == "vae":
        mean, log_variance = verdict
        assert mean.shape == log_variance.shape == (3, 5)
        assert not torch.equal(mean, log_variance)
    elif kind == "autoencoder":
        assert verdict.shape == (3, 5)
    elif kind == "lapgan":
        assert verdict.shape == (3, 2)
    else:
        assert verdict.shape == (3,)


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("size", [16, 28])
def test_one_training_step_moves_every_tensor(kind, size):
    source, judge = build(kind, size)
    labels, real = labels_for(kind, 6), torch.rand(6, 1, size, size) * 2 - 1
    before = {(n, k): v.clone() for n, net in enumerate((source, judge)) for k, v in net.named_parameters()}
    optimizers = [torch.optim.Adam(net.parameters(), lr=0.01) for net in (source, judge)]
    if kind == "autoencoder":
        losses.mean_squared_error(source(judge(real)), real).backward()
        for optimizer in optimizers:
            optimizer.step()
    elif kind == "vae":
        mean, log_variance = judge(real)
        latents = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        loss = (
            losses.gaussian_kl(mean, log_variance)
            - losses.bernoulli_log_likelihood(source(latents, return_logits=True), real).mean()
        )
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
    else:
        latents = torch.randn(6, 5)
        with torch.no_grad():
            fake = source(latents, *labels)
        losses.nonsaturating_discriminator_loss(judge(real, *labels), judge(fake, *labels)).backward()
        optimizers[1].step()
        losses.nonsaturating_generator_loss(judge(source(latents, *labels), *labels)).backward()
        optimizers[0].step()
    still = [
        (n, k)
        for n, net in enumerate((source, judge))
        for k, v in net.named_parameters()
        if torch.equal(before[n, k], v)
    ]
    assert not still


def test_discriminators_without_batchnorm_judge_each_image_alone():
    for kind, norm in (("gan", {}), ("dcgan", {"norm": "none"}), ("lapgan", {}), ("cgan", {})):
        family = FAMILIES[kind]
        judge = family.judge(sample_size=16, num_channels=1, **family.judge_args, **norm)
        images, labels = torch.randn(4, 1, 16, 16).clamp(-1, 1), labels_for(kind, 4)
        torch.testing.assert_close(judge(images, *labels)[:1], judge(images[:1], *(x[:1] for x in labels)))


def test_only_strided_convolutions_in_gans():
    """The DCGAN paper's first guideline: no pooling, no upsampling layers, no hidden dense layers."""
    source, judge = build("dcgan", 64, 3)
    for network in (source, judge):
        for layer in network.modules():
            assert not isinstance(layer, torch.nn.MaxPool2d | torch.nn.AvgPool2d | torch.nn.Upsample | torch.nn.Linear)
            if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
                assert layer.kernel_size[0] % layer.stride[0] == 0


@pytest.mark.parametrize("size", [16, 28, 32])
@pytest.mark.parametrize("trick", TRICKS)
def test_a_trick_can_be_left_out(trick, size):
    torch.manual_seed(0)
    source = DCGANGenerator(size, 1, latent_dim=5, base_channels=4, without=trick)
    judge = DCGANDiscriminator(size, 1, base_channels=4, norm="none", without=trick)
    images = source(3 * torch.randn(6, 5))
    assert images.shape == (6, 1, size, size)
    assert -1 < images.min() < -0.02 < 0.02 < images.max() < 1
    assert judge(images).shape == (6,)
    layers = [*source.modules(), *judge.modules()]
    convolutions = [layer for layer in layers if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d)]
    divided = all(layer.kernel_size[0] % layer.stride[0] == 0 for layer in convolutions)
    assert divided == (trick != "divisible_kernel")
    assert any(isinstance(layer, torch.nn.MaxPool2d) for layer in layers) == (trick == "strides")
    assert any(isinstance(layer, torch.nn.LeakyReLU) for layer in layers) == (trick != "strides")
    assert any(isinstance(layer, torch.nn.Sigmoid) for layer in layers) == (trick == "tanh")


def test_a_residual_layer_adds_what_it_convolves():
    layer = ResidualLayer(3, "none", torch.nn.ReLU())
    x = torch.randn(2, 3, 4, 4)
    expected = (x + functional.conv2d(x, layer.conv.weight, layer.conv.bias, padding=1)).clamp_min(0)
    torch.testing.assert_close(layer(x), expected)
    torch.nn.init.zeros_(layer.conv.weight)
    torch.nn.init.zeros_(layer.conv.bias)
    torch.testing.assert_close(layer(x), x.clamp_min(0))


@pytest.mark.parametrize("without", [None, "strides"])
def test_residual_layers_lie_at_four_pixels_and_learn(without):
    source = DCGANGenerator(28, 1, latent_dim=5, base_channels=2, residual_layers=3)
    judge = DCGANDiscriminator(28, 1, base_channels=2, norm="none", residual_layers=3, without=without)
    seen = []
    for network in (source, judge):
        layers = [layer for layer in network.modules() if isinstance(layer, ResidualLayer)]
        assert len(layers) == 3
        for layer in layers:
            layer.register_forward_hook(lambda layer, inputs, output: seen.append(output.shape))
    judge(source(torch.randn(4, 5))).sum().backward()
    assert seen == [(4, 8, 4, 4)] * 6
    assert all(p.grad.abs().sum() > 0 for network in (source, judge) for p in network.parameters())


@pytest.mark.parametrize("network", [DCGANGenerator, DCGANDiscriminator])
@pytest.mark.parametrize("count", [-1, 9, 1.0, 1.5, "2", None, True])
def test_wrong_residual_layers(network, count):
    with pytest.raises(ValueError, match="residual_layers must be an integer from 0 to 8, got"):
        network(residual_layers=count)


@pytest.mark.parametrize("network", [DCGANGenerator, DCGANDiscriminator])
@pytest.mark.parametrize("count", [-1, 5, 1.0, "2", None, True])
def test_wrong_fine_layers(network, count):
    with pytest.raises(ValueError, match="fine_layers must be an integer from 0 to 4, got"):
        network(fine_layers=count)


@pytest.mark.parametrize("size", [16, 28, 64])
def test_fine_layers_lie_at_full_resolution_and_learn(size):
    source = DCGANGenerator(size, 3, latent_dim=5, base_channels=6, fine_layers=2)
    judge = DCGANDiscriminator(size, 3, base_channels=6, norm="none", fine_layers=2)
    inner, seen = 1 << (size - 1).bit_length(), []
    for network in (source, judge):
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d) and layer.stride == (1, 1) and layer.kernel_size == (3, 3):
                layer.register_forward_hook(lambda layer, inputs, output: seen.append(tuple(output.shape[1:])))
    judge(source(torch.randn(4, 5))).sum().backward()
    assert seen == [(channels, inner, inner) for channels in (3, 3, 3, 3)]
    assert all(p.grad.abs().sum() > 0 for network in (source, judge) for p in network.parameters())


HEADROOM = {
    "gan": lambda **options: models.VanillaGANGenerator(latent_dim=5, hidden_dims=[8], norm="none", **options),
    "dcgan": lambda **options: DCGANGenerator(28, 1, latent_dim=5, base_channels=2, **options),
    "cgan": lambda **options: models.CGANGenerator(latent_dim=5, base_channels=2, **options),
}


@pytest.mark.parametrize("kind", HEADROOM)
def test_headroom_reaches_black_and_white_and_lets_gradients_through(kind):
    latents, labels = torch.randn(8, 5), [torch.arange(8)] * (kind == "cgan")
    plain, roomy = HEADROOM[kind](), HEADROOM[kind](headroom=0.1)
    roomy.load_state_dict(plain.state_dict())
    last = [m for m in roomy.modules() if isinstance(m, torch.nn.Linear | torch.nn.ConvTranspose2d)][-1]
    with torch.no_grad():
        # Large enough that many pixels come to the tanh's ends.
        last.weight.mul_(40)
    plain.load_state_dict(roomy.state_dict())
    before, after = plain(latents, *labels), roomy(latents, *labels)
    torch.testing.assert_close(after, (before / 0.9).clamp(-1, 1))
    assert (after.abs() >= 1 - 1e-6).float().mean() > 0.1
    with torch.no_grad():
        assert roomy(latents, *labels).abs().max() == 1
    # Also a pixel that is clamped can still be moved.
    (gradient,) = torch.autograd.grad(after[after.abs() >= 1 - 1e-6].sum(), last.weight)
    assert gradient.abs().sum() > 0


def test_headroom_of_a_pyramid_bounds_what_the_discriminators_see():
    source = models.LAPGANGenerator(sample_size=16, num_channels=1, latent_dim=6, base_channels=4, headroom=0.1)
    with torch.no_grad():
        for parameter in source.levels.parameters():
            parameter.mul_(20)
    real = torch.rand(4, 1, 16, 16) * 2 - 1
    coarsest, *residuals = source(torch.randn(4, 6), given=real)
    assert coarsest.abs().max() <= 1 + 1e-6
    for residual, coarse in zip(residuals, coarse_images(real, 3), strict=False):
        assert (residual + expand(coarse)).abs().max() <= 1 + 1e-6


@pytest.mark.parametrize("headroom", [-0.1, 0.6, "0.1", None, True])
def test_wrong_headroom(headroom):
    for build_generator in (*HEADROOM.values(), models.LAPGANGenerator):
        with pytest.raises(ValueError, match=r"headroom must be a number from 0 to 0\.5, got"):
            build_generator(headroom=headroom)
    with pytest.raises(ValueError, match="headroom is of the tanh"):
        DCGANGenerator(without="tanh", headroom=0.1)


def test_without_tanh_the_discriminator_sees_brightness():
    plain, other = (
        DCGANDiscriminator(16, 1, base_channels=4, norm="none", without=without) for without in (None, "tanh")
    )
    other.load_state_dict(plain.state_dict())
    images = torch.rand(3, 1, 16, 16)
    torch.testing.assert_close(other(2 * images - 1), plain(images))


def test_without_normal_latents_they_are_uniform():
    plain, other = (
        DCGANGenerator(16, 1, latent_dim=2, base_channels=4, without=name) for name in (None, "normal_latents")
    )
    other.load_state_dict(plain.state_dict())
    # The 97.5th percentile of the normal distribution is that of the uniform one over (-1, 1) at 0.95.
    latents = torch.tensor([[0.0, 1.959964], [-1.959964, 30]])
    torch.testing.assert_close(other(latents), plain(torch.tensor([[0.0, 0.95], [-0.95, 1]])))


def test_a_kernel_that_the_stride_does_not_divide_paints_a_checkerboard():
    for kernel_size, spread in ((4, False), (5, True)):
        (layer,) = upsample(1, 1, kernel_size, "transposed")
        torch.nn.init.ones_(layer.weight)
        inside = layer(torch.ones(1, 1, 8, 8))[0, 0, 4:-4, 4:-4]
        assert (inside.max() - inside.min() > 1) == spread


def test_wrong_tricks():
    for network in (DCGANGenerator, DCGANDiscriminator):
        with pytest.raises(ValueError, match="without must be one of tanh, normal_latents, strides, divis"):
            network(without="noise")
    with pytest.raises(ValueError, match="Only transposed convolutions"):
        DCGANGenerator(without="divisible_kernel", upsampling="nearest")


CONVOLVE = ["autoencoder", "vae", "dcgan", "cgan"]


@pytest.mark.parametrize("kind", CONVOLVE)
@pytest.mark.parametrize("size", [16, 28, 64])
def test_nearest_upsampling_draws_without_transposed_strides(kind, size):
    family = FAMILIES[kind]
    source = family.source(sample_size=size, num_channels=3, upsampling="nearest", **family.source_args)
    assert source(torch.randn(3, 5), *labels_for(kind, 3)).shape == (3, 3, size, size)
    strides = [layer.stride for layer in source.modules() if isinstance(layer, torch.nn.ConvTranspose2d)]
    assert set(strides) <= {(1, 1)}
    # Each doubling is one, from 4x4 to the power of two around the image.
    doublings = sum(isinstance(layer, torch.nn.Upsample) for layer in source.modules())
    assert 4 * 2**doublings == max(16, 1 << (size - 1).bit_length())


@pytest.mark.parametrize("kernel_size", [2, 4, 6])
def test_upsampling_sees_as_many_pixels_either_way(kernel_size):
    pixels = torch.zeros(1, 1, 8, 8, requires_grad=True)
    seen = []
    for upsampling in ("transposed", "nearest"):
        layers = torch.nn.Sequential(*upsample(1, 1, kernel_size, upsampling))
        drawn = layers(pixels)
        assert drawn.shape == (1, 1, 16, 16)
        (gradient,) = torch.autograd.grad(drawn[0, 0, 8, 8], pixels)
        seen.append(int((gradient != 0).sum()))
    assert seen[0] == seen[1] == (kernel_size // 2) ** 2


def test_nearest_upsampling_leaves_no_checkerboard_in_flat_inputs():
    for upsampling, spread in (("nearest", False), ("transposed", True)):
        layers = torch.nn.Sequential(*upsample(1, 1, 4, upsampling))
        inside = layers(torch.ones(1, 1, 8, 8))[..., 2:-2, 2:-2]
        assert (inside.std() > 1e-3) == spread


@pytest.mark.parametrize("kind", CONVOLVE)
def test_wrong_upsampling(kind):
    with pytest.raises(ValueError, match="upsampling must be one of transposed, nearest, got 'bilinear'"):
        FAMILIES[kind].source(upsampling="bilinear", **FAMILIES[kind].source_args)


def test_batchnorm_is_where_the_paper_has_it():
    source, judge = build("dcgan", 32, 3)
    layers = list(source.layers)
    assert isinstance(layers[-1], torch.nn.Tanh)
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in layers[-2:])
    # Not at the input of D, but after each further convolution.
    kinds = [type(layer).__name__ for layer in judge.layers]
    assert kinds == ["Conv2d", "Identity", "LeakyReLU"] + ["Conv2d", "BatchNorm2d", "LeakyReLU"] * 2


def test_the_classic_dense_layers_are_those_of_the_paper():
    source = models.VanillaGANGenerator(hidden_dims=[12, 8], negative_slope=0.0, norm="none")
    kinds = [type(layer).__name__ for layer in source.layers]
    assert kinds == ["Linear", "LeakyReLU", "Linear", "LeakyReLU", "Linear", "Tanh"]
    rectified = source.layers[:2](torch.randn(20, 100))
    assert rectified.min() == 0 < rectified.max()
    judge = models.VanillaGANDiscriminator(hidden_dims=[24])
    assert [type(layer).__name__ for layer in judge.layers] == ["Linear", "LeakyReLU"]


def test_the_deep_dense_layers_are_normalised_but_for_the_first_and_last():
    source = models.VanillaGANGenerator(hidden_dims=[4, 8, 16])
    block = ["Linear", "BatchNorm1d", "LeakyReLU"]
    assert [type(layer).__name__ for layer in source.layers] == ["Linear", "LeakyReLU", *block * 2, "Linear", "Tanh"]
    assert [layer.bias is None for layer in source.layers if hasattr(layer, "in_features")] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "judge",
    [
        models.VanillaGANDiscriminator(num_channels=3, sample_size=32, hidden_dims=[8], dropout=0.5),
        models.DCGANDiscriminator(base_channels=4, norm="none", dropout=0.5),
    ],
    ids=["gan", "dcgan"],
)
def test_dropout_acts_in_training_only(judge):
    judge.train()
    images = torch.rand(4, 3, 32, 32)
    assert not torch.equal(judge(images), judge(images))
    judge.eval()
    torch.testing.assert_close(judge(images), judge(images))


def test_widths_double_towards_4x4_and_stop_at_8_times():
    assert widths(32, 64) == [64, 128, 256]
    assert widths(128, 4) == [4, 8, 16, 32, 32]


def test_label_changes_the_image_and_the_score():
    source, judge = build("cgan")
    latents, images = torch.randn(1, 5).repeat(3, 1), torch.randn(1, 1, 16, 16).clamp(-1, 1).repeat(3, 1, 1, 1)
    source.eval()
    assert len({image.detach().numpy().tobytes() for image in source(latents, torch.arange(3))}) == 3
    assert len(set(judge(images, torch.arange(3)).tolist())) == 3


def test_auxiliary_classifier_reads_the_image_alone():
    judge = models.CGANDiscriminator(base_channels=2, auxiliary_classifier=True, **CLASSES)
    images = torch.rand(4, 1, 28, 28)
    scores, logits = judge(images, torch.zeros(4, dtype=torch.long), return_class_logits=True)
    others, same_logits = judge(images, torch.ones(4, dtype=torch.long), return_class_logits=True)
    assert (scores.shape, logits.shape) == ((4,), (4, 3))
    assert torch.equal(logits, same_logits)
    assert not torch.equal(scores, others)
    assert torch.equal(judge(images, torch.zeros(4, dtype=torch.long)), scores)
    plain = models.CGANDiscriminator(base_channels=2, **CLASSES)
    with pytest.raises(ValueError, match="make it with auxiliary_classifier=True"):
        plain(images, torch.zeros(4, dtype=torch.long), return_class_logits=True)


def test_class_weights_are_labels_in_between():
    source, _ = build("cgan")
    source.eval()
    latents = torch.randn(3, 5)
    torch.testing.assert_close(source(latents, torch.eye(3)), source(latents, torch.arange(3)))
    mixed = source(latents[:1], torch.tensor([[0.5, 0.5, 0.0]]))
    assert not torch.equal(mixed, source(latents[:1], torch.tensor([0])))


@pytest.mark.parametrize("classes", [0, 4])
def test_a_dense_vae_has_one_hidden_layer_each(classes):
    shape = {
        "sample_size": 18,
        "num_channels": 3,
        "latent_dim": 5,
        "hidden_dim": 7,
        "network": "dense",
        "num_classes": classes,
    }
    encoder, decoder = models.VAEEncoder(**shape), models.VAEDecoder(**shape)
    labels = torch.tensor([0, 3]) if classes else None
    mean, log_variance = encoder(torch.rand(2, 3, 18, 18), labels)
    assert mean.shape == log_variance.shape == (2, 5)
    assert decoder(mean, labels).shape == (2, 3, 18, 18)
    assert not any(isinstance(layer, torch.nn.Conv2d) for layer in [*encoder.modules(), *decoder.modules()])
    pixels = 3 * 18 * 18
    assert sum(p.numel() for p in decoder.parameters()) == (5 + classes) * 7 + 7 + 7 * pixels + pixels


@pytest.mark.parametrize("network", [models.VAEEncoder, models.VAEDecoder])
def test_classes_of_a_vae_change_what_it_says(network):
    arguments = {"latent_dim": 5, "base_channels": 2, "hidden_dim": 8}
    conditional, plain = network(sample_size=16, **arguments, **CLASSES), network(sample_size=16, **arguments)
    inputs = torch.randn(3, 5) if network is models.VAEDecoder else torch.rand(3, 1, 16, 16)
    says = [conditional(inputs, torch.full((3,), label)) for label in range(3)]
    first, second = (say[0] if isinstance(say, tuple) else say for say in says[:2])
    assert not torch.equal(first, second)
    weights = conditional(inputs, torch.eye(3)[[0, 0, 0]])
    torch.testing.assert_close(weights, says[0])
    # Without classes it has the tensors that it always had.
    assert not any("join" in name for name in plain.state_dict())
    assert plain.state_dict().keys() <= conditional.state_dict().keys()
    with pytest.raises(ValueError, match="This network has 3 classes: give class_labels"):
        conditional(inputs)
    with pytest.raises(ValueError, match="This network has no classes: leave class_labels out"):
        plain(inputs, torch.zeros(3, dtype=torch.long))
    for number in (1, -3, 2.0, "ten", False):
        with pytest.raises(ValueError, match="num_classes must be an integer of at least 2, got"):
            network(num_classes=number)
    with pytest.raises(ValueError, match="num_classes must be an integer of at least 2, got 0"):
        network(class_names=["a", "b"])


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_likelihood_of_images_is_what_training_maximises(likelihood):
    decoder = models.VAEDecoder(sample_size=16, base_channels=2, hidden_dim=8, likelihood=likelihood, sigma=0.3)
    logits, images = torch.randn(3, 1, 16, 16), torch.rand(3, 1, 16, 16) * 2 - 1
    found = decoder.log_likelihood(logits, images)
    if likelihood == "bernoulli":
        expected = losses.bernoulli_log_likelihood(logits, images)
    else:
        expected = losses.gaussian_log_likelihood(logits, images, 0.3)
    torch.testing.assert_close(found.float(), expected)


def test_vae_mean_image_matches_its_logits():
    decoder, _ = build("vae")
    latents = torch.randn(2, 5)
    brightness = torch.sigmoid(decoder(latents, return_logits=True))
    torch.testing.assert_close(decoder(latents), 2 * brightness - 1, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("size", "inner"), [(16, 16), (28, 32), (50, 64), (33, 64), (127, 128)])
def test_padding_is_black_and_cropping_undoes_it(size, inner):
    images = torch.rand(2, 3, size, size)
    padded = pad_to(images, inner)
    assert padded.shape == (2, 3, inner, inner)
    assert torch.equal(crop_to(padded, size), images)
    # Everything that was added is black.
    assert (padded.sum() - images.sum()).item() == pytest.approx(-2 * 3 * (inner**2 - size**2), rel=1e-3)


@pytest.mark.parametrize(("network", "arguments"), NETWORKS, ids=IDS)
@pytest.mark.parametrize("size", [0, 15, 129, -16, 28.0, "28", None, True])
def test_wrong_size(network, arguments, size):
    with pytest.raises(ValueError, match=r"sample_size must be an integer from 16 to 128, got"):
        network(sample_size=size, **arguments)


@pytest.mark.parametrize(("network", "arguments"), NETWORKS, ids=IDS)
@pytest.mark.parametrize("channels", [0, 2, 5, "RGB"])
def test_wrong_channels(network, arguments, channels):
    with pytest.raises(
        ValueError, match=r"num_channels must be 1 \(grey\), 3 \(colour\) or 4 \(colour and opacity\), got"
    ):
        network(num_channels=channels, **arguments)


@pytest.mark.parametrize(("network", "arguments"), NETWORKS, ids=IDS)
def test_wrong_widths(network, arguments):
    for name in {"base_channels", "latent_dim", "hidden_dim", "label_dim"} & set(arguments):
        for value in (0, -1, 2.5, "2", True):
            with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1, got"):
                network(**{**arguments, name: value})


@pytest.mark.parametrize("kind", ["dcgan", "cgan"])
@pytest.mark.parametrize("role", ["source", "judge"])
def test_wrong_kernel_and_norm(kind, role):
    network, arguments = getattr(FAMILIES[kind], role), getattr(FAMILIES[kind], f"{role}_args")
    for kernel_size in (3, 5, 0, 8, None):
        with pytest.raises(ValueError, match=r"kernel_size must be divisible by the stride of 2: 2, 4 or 6, got"):
            network(kernel_size=kernel_size, **arguments)
    with pytest.raises(ValueError, match="norm must be one of batch, none, got 'layer'"):
        network(norm="layer", **arguments)
    for kernel_size in (2, 4, 6):
        network(kernel_size=kernel_size, norm="none", **arguments)


@pytest.mark.parametrize("dropout", [-0.1, 1, 1.5, float("nan")])
@pytest.mark.parametrize("kind", ["gan", "dcgan", "cgan"])
def test_wrong_dropout(kind, dropout):
    with pytest.raises(ValueError, match="dropout must be at least 0 and below 1, got"):
        FAMILIES[kind].judge(dropout=dropout, **FAMILIES[kind].judge_args)


def test_wrong_noise():
    for wrong in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="noise must be a number of at least 0, got"):
            models.AutoencoderEncoder(noise=wrong)


@pytest.mark.parametrize("network", [models.VanillaGANGenerator, models.VanillaGANDiscriminator])
def test_wrong_hidden_dims_and_slopes(network):
    for dims in ([], [0], [8, -1], [8, 2.0], ["8"], [True], 8, None):
        with pytest.raises(ValueError, match="hidden_dims must be a list of at least one positive integer, got"):
            network(hidden_dims=dims)
    for slope in (-0.1, 1, float("nan"), "0.2", None):
        with pytest.raises(ValueError, match="negative_slope must be at least 0 and below 1, got"):
            network(hidden_dims=[4], negative_slope=slope)


def test_wrong_norm_of_dense_layers():
    with pytest.raises(ValueError, match="norm must be one of batch, none, got 'layer'"):
        models.VanillaGANGenerator(hidden_dims=[4], norm="layer")


def test_wrong_likelihood():
    with pytest.raises(ValueError, match="likelihood must be one of bernoulli, gaussian, got 'poisson'"):
        models.VAEDecoder(likelihood="poisson")
    with pytest.raises(ValueError, match="network must be one of convolutional, dense, got 'mlp'"):
        models.VAEEncoder(network="mlp")
    for wrong in ({"sigma": 0}, {"sigma": float("nan")}, {"beta": -1}):
        with pytest.raises(ValueError, match="sigma must be positive and beta at least 0"):
            models.VAEDecoder(**wrong)


@pytest.mark.parametrize("network", [models.CGANGenerator, models.CGANDiscriminator])
def test_wrong_classes(network):
    for number in (0, 1, -3, 2.0, "ten", True):
        with pytest.raises(ValueError, match="num_classes must be an integer of at least 2, got"):
            network(num_classes=number)
    for names in (["a", "b"], ["a", "b", "b"], [], 5, "abc", [1, 2, 3], {"a": 1, "b": 2, "c": 3}):
        with pytest.raises(ValueError, match="class_names must be 3 different names, got"):
            network(num_classes=3, class_names=names)


@pytest.mark.parametrize("kind", FAMILIES)
def test_wrong_inputs_name_the_right_shape(kind):
    source, judge = build(kind, 28)
    labels = labels_for(kind, 2)
    for latents in (torch.zeros(2, 4), torch.zeros(5), torch.zeros(2, 5, 1, 1)):
        with pytest.raises(ValueError, match=r"Expected latents of shape \(N, 5\), got"):
            source(latents, *labels)
    for images in (torch.zeros(2, 3, 28, 28), torch.zeros(2, 1, 32, 32), torch.zeros(1, 28, 28)):
        with pytest.raises(ValueError, match=r"Expected images of shape \(N, 1, 28, 28\), got"):
            judge(images, *labels)


def test_wrong_labels():
    for low_or_high in (-1, 3):
        with pytest.raises(ValueError, match=f"class_labels must be from 0 to 2, got {low_or_high}"):
            one_hot_labels(torch.tensor([0, low_or_high]), 3)
    for wrong in (torch.zeros(2), torch.zeros(2, 4), torch.zeros(2, 3, dtype=torch.int64), torch.tensor(1)):
        with pytest.raises(ValueError, match=r"class_labels must be \(N,\) integers or \(N, 3\) weights"):
            one_hot_labels(wrong, 3)


def test_dcgan_initialisation():
    network = models.DCGANDiscriminator(base_channels=32).apply(init_dcgan)
    weights = torch.cat([layer.weight.flatten() for layer in network.layers if isinstance(layer, torch.nn.Conv2d)])
    assert weights.std().item() == pytest.approx(0.02, rel=0.02)
    assert network.score.bias.item() == 0
