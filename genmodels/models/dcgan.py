"""DCGAN networks: Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", ICLR 2016, https://arxiv.org/abs/1511.06434, section 3 and figure 1.

Only strided and transposed convolutions: no pooling, no upsampling layers, no hidden dense layers; unless a trick is left out, or
"nearest" is chosen, the remedy of Odena et al., "Deconvolution and Checkerboard Artifacts", 2016,
https://distill.pub/2016/deconv-checkerboard/.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from ..checks import check_choice, check_integers, check_number, check_shares
from .modeling import (
    Network,
    check_image_shape,
    check_images,
    check_latents,
    crop_to,
    pad_to,
    spend_headroom,
)
from .stabilisers import minibatch_layers, normalise_spectrally

STRIDE = 2
NORMS = ("batch", "none")
UPSAMPLINGS = ("transposed", "nearest")
# The well-known tricks that lie in the networks: what each may be built without.
TRICKS = ("tanh", "normal_latents", "strides", "divisible_kernel")


def check_trunk(kernel_size: int, without: str | None, residual_layers: int, fine_layers: int) -> None:
    """Raise ValueError unless each is in its range."""
    # A kernel that the stride does not divide paints a checkerboard (Odena et al. 2016).
    if kernel_size not in (2, 4, 6):
        raise ValueError(f"kernel_size must be divisible by the stride of {STRIDE}: 2, 4 or 6, got {kernel_size!r}.")
    if without is not None:
        check_choice("without", without, TRICKS)
    check_integers(0, 8, residual_layers=residual_layers)
    check_integers(0, 4, fine_layers=fine_layers)


def make_norm(norm: str, num_features: int) -> nn.Module:
    """BatchNorm or nothing; raises ValueError unless `norm` is "batch" or "none"."""
    check_choice("norm", norm, NORMS)
    return nn.BatchNorm2d(num_features) if norm == "batch" else nn.Identity()


def widths(inner_size: int, base_channels: int) -> list[int]:
    """Channels at each resolution from the image side down to 4x4: 32 pixels and a base of 64 give [64, 128, 256]."""
    stages = inner_size.bit_length() - 3
    return [base_channels * min(2**i, 8) for i in range(stages)]


def upsample(before: int, after: int, kernel_size: int, upsampling: str, bias: bool = True) -> list[nn.Module]:
    """Layers from (N, before, H, W) to (N, after, 2 H, 2 W).

    "transposed" is one transposed convolution; with an odd kernel its pixels get unequally many
    contributions. "nearest" repeats every pixel and then convolves: the kernel is one smaller, so that each new pixel still
    depends on as many old ones, and every new pixel gets the same weights, so that none of them can stand out by its place alone.

    Raises:
        ValueError: `upsampling` is neither of the two.
    """
    check_choice("upsampling", upsampling, UPSAMPLINGS)
    padding = (kernel_size - STRIDE) // 2
    if upsampling == "transposed":
        odd = kernel_size % STRIDE
        return [nn.ConvTranspose2d(before, after, kernel_size, STRIDE, padding + odd, odd, bias=bias)]
    return [nn.Upsample(scale_factor=STRIDE), nn.Conv2d(before, after, kernel_size - 1, padding=padding, bias=bias)]


class ResidualLayer(nn.Module):
    """act(x + norm(conv(x))) with a 3x3 kernel, He et al. 2016, https://arxiv.org/abs/1512.03385: (N, C, H, W) to the same."""

    def __init__(self, channels: int, norm: str, activation: nn.Module):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=norm == "none")
        self.norm = make_norm(norm, channels)
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.activation(x + self.norm(self.conv(x)))


def fine_width(base_channels: int) -> int:
    """Channels at the images' own resolution, where a channel costs most: half as many as at half of it."""
    return max(1, base_channels // 2)


def generator_trunk(
    input_dim: int,
    inner_size: int,
    num_channels: int,
    base_channels: int,
    kernel_size: int,
    norm: str,
    upsampling: str = "transposed",
    without: str | None = None,
    residual_layers: int = 0,
    fine_layers: int = 0,
) -> nn.Sequential:
    """(N, input_dim, 1, 1) to (N, num_channels, inner_size, inner_size) in (-1, 1), without "tanh" in (0, 1)."""
    check_trunk(kernel_size, without, residual_layers, fine_layers)
    if without == "divisible_kernel":
        if upsampling != "transposed":
            raise ValueError('Only transposed convolutions can be without "divisible_kernel".')
        kernel_size += 1
    channels = widths(inner_size, base_channels)[::-1]
    # A bias in front of BatchNorm would be subtracted again.
    bias = norm == "none"
    layers = [nn.ConvTranspose2d(input_dim, channels[0], 4, bias=bias), make_norm(norm, channels[0]), nn.ReLU()]
    layers += [ResidualLayer(channels[0], norm, nn.ReLU()) for _ in range(residual_layers)]
    for before, after in pairwise(channels):
        layers += [*upsample(before, after, kernel_size, upsampling, bias), make_norm(norm, after), nn.ReLU()]
    if fine_layers:
        fine = fine_width(base_channels)
        layers += [*upsample(channels[-1], fine, kernel_size, upsampling, bias), make_norm(norm, fine), nn.ReLU()]
        for _ in range(fine_layers - 1):
            layers += [nn.Conv2d(fine, fine, 3, padding=1, bias=bias), make_norm(norm, fine), nn.ReLU()]
        layers += [nn.Conv2d(fine, num_channels, 3, padding=1)]
    else:
        layers += upsample(channels[-1], num_channels, kernel_size, upsampling)
    layers += [nn.Sigmoid() if without == "tanh" else nn.Tanh()]
    return nn.Sequential(*layers)


def discriminator_trunk(
    inner_size: int,
    num_channels: int,
    base_channels: int,
    kernel_size: int,
    norm: str,
    dropout: float,
    without: str | None = None,
    residual_layers: int = 0,
    fine_layers: int = 0,
) -> nn.Sequential:
    """(N, num_channels, inner_size, inner_size) to features (N, channels, 4, 4)."""
    check_trunk(kernel_size, without, residual_layers, fine_layers)
    check_shares(dropout=dropout)
    channels = [num_channels, *widths(inner_size, base_channels)]
    kernel_size += without == "divisible_kernel"
    stride = STRIDE
    activation: list[nn.Module] = [nn.LeakyReLU(0.2)]
    if without == "strides":
        kernel_size, stride, activation = kernel_size - 1, 1, [nn.MaxPool2d(2), nn.ReLU()]
    layers: list[nn.Module] = []
    for _ in range(fine_layers):
        fine = fine_width(base_channels)
        layers += [nn.Conv2d(channels[0], fine, 3, padding=1), nn.LeakyReLU(0.2)]
        channels[0] = fine
    for i, (before, after) in enumerate(pairwise(channels)):
        # The paper leaves BatchNorm out at D's input, where it makes samples oscillate.
        normed = norm == "batch" and i > 0
        layers += [nn.Conv2d(before, after, kernel_size, stride, (kernel_size - 1) // 2, bias=not normed)]
        layers += [make_norm(norm if i > 0 else "none", after), *activation, nn.Dropout2d(dropout)]
    layers += [ResidualLayer(channels[-1], norm, activation[-1]) for _ in range(residual_layers)]
    return nn.Sequential(*(layer for layer in layers if not (isinstance(layer, nn.Dropout2d) and not dropout)))


class DCGANGenerator(Network, ModelMixin):
    """Latents to images through transposed convolutions.

    Args:
        sample_size: side of the images in pixels, 16 to 128; inside, the next power of two is drawn and cropped.
        num_channels: 1 (grey), 3 (colour) or 4: colours premultiplied by their opacity, and that.
        latent_dim: length of a latent.
        base_channels: channels in front of the last layer; each layer towards 4x4 has twice as many, at most 8 times.
        kernel_size: of the transposed convolutions of stride 2: 2, 4 or 6.
        norm: "batch", as in the paper, or "none".
        upsampling: "transposed", as in the paper, or "nearest": nearest-neighbour upsampling, then a convolution with a kernel
            one smaller.
        without: the trick left out, to see what it is good for: "tanh" draws pixels from 0 to 1 by a sigmoid, and rescales them
            only then; "normal_latents" makes latents uniform over (-1, 1), by the normal distribution's own function;
            "divisible_kernel" takes a kernel one larger, which the stride does not divide.
        residual_layers: how many of them, 0 to 8, follow the first layer, at 4x4 pixels, where depth is cheap: none in the paper.
        fine_layers: how many convolutions, 0 to 4, end it at the images' own resolution: none in the paper, where a single
            transposed convolution draws each pixel.
        headroom: share of the tanh's range that lies beyond black and white, 0 to 0.5, so that pixels reach both: none in the
            paper.

    Raises:
        ValueError: an argument is out of its range; the message names the legal values.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 32,
        num_channels: int = 3,
        latent_dim: int = 100,
        base_channels: int = 64,
        kernel_size: int = 4,
        norm: str = "batch",
        upsampling: str = "transposed",
        without: str | None = None,
        residual_layers: int = 0,
        fine_layers: int = 0,
        headroom: float = 0.0,
    ):
        super().__init__()
        inner_size = check_image_shape(sample_size, num_channels)
        check_integers(latent_dim=latent_dim, base_channels=base_channels)
        check_number("headroom", headroom, 0, 0.5)
        if headroom and without == "tanh":
            raise ValueError('headroom is of the tanh, and the generator is without "tanh": take one of the two.')
        self.layers = generator_trunk(
            latent_dim,
            inner_size,
            num_channels,
            base_channels,
            kernel_size,
            norm,
            upsampling,
            without,
            residual_layers,
            fine_layers,
        )

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """(N, latent_dim) latents to `pixel_values` (N, num_channels, sample_size, sample_size) in [-1, 1]."""
        check_latents(latents, self.config.latent_dim)
        if self.config.without == "normal_latents":
            latents = 2 * torch.special.ndtr(latents) - 1
        images = crop_to(self.layers(latents[:, :, None, None]), self.config.sample_size)
        return 2 * images - 1 if self.config.without == "tanh" else spend_headroom(images, self.config.headroom)


class DCGANDiscriminator(Network, ModelMixin):
    """Images to one score each: the logit of being real.

    Args:
        sample_size, num_channels, base_channels, kernel_size: as in `DCGANGenerator`.
        norm: "batch", as in the paper, or "none" (what gradient penalties on single images require).
        dropout: share of feature maps dropped after each layer in training.
        minibatch_stddev: whether `MinibatchStdDev` follows the last hidden layer. Then a score depends on the images beside it.
        minibatch_discrimination: number of kernels of the `MinibatchDiscrimination` behind that, 0 for none; the same holds.
        spectral_norm: whether every layer's weight is divided by its largest singular value.
        without: the trick left out: "tanh" looks at pixels from 0 to 1; "strides" convolves at full resolution with a kernel
            one smaller, takes the largest of every four pixels, and ReLU instead of LeakyReLU; "divisible_kernel" as in
            `DCGANGenerator`.
        residual_layers: how many of them, 0 to 8, come before the score, at 4x4 pixels: none in the paper.
        fine_layers: how many convolutions, 0 to 4, begin it at the images' own resolution: none in the paper.

    Raises:
        ValueError: an argument is out of its range; the message names the legal values.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 32,
        num_channels: int = 3,
        base_channels: int = 64,
        kernel_size: int = 4,
        norm: str = "batch",
        dropout: float = 0.0,
        minibatch_stddev: bool = False,
        minibatch_discrimination: int = 0,
        spectral_norm: bool = False,
        without: str | None = None,
        residual_layers: int = 0,
        fine_layers: int = 0,
    ):
        super().__init__()
        self.inner_size = check_image_shape(sample_size, num_channels)
        check_integers(base_channels=base_channels)
        self.layers = discriminator_trunk(
            self.inner_size,
            num_channels,
            base_channels,
            kernel_size,
            norm,
            dropout,
            without,
            residual_layers,
            fine_layers,
        )
        channels = widths(self.inner_size, base_channels)[-1]
        self.minibatch = minibatch_layers(channels, 16, minibatch_stddev, minibatch_discrimination)
        self.score = nn.Conv2d(channels + minibatch_stddev + minibatch_discrimination, 1, 4)
        if spectral_norm:
            normalise_spectrally(self)

    def forward(
        self, pixel_values: torch.Tensor, return_features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """(N, num_channels, sample_size, sample_size) in [-1, 1] to scores (N,), unbounded; higher is more real.

        With `return_features` to scores and what the last hidden layer makes of each image by itself, (N, features).
        """
        check_images(pixel_values, self.config.sample_size, self.config.num_channels)
        pixels = pad_to(pixel_values, self.inner_size)
        features = self.layers((pixels + 1) / 2 if self.config.without == "tanh" else pixels)
        scores = self.score(self.minibatch(features)).flatten()
        return (scores, features.flatten(1)) if return_features else scores
