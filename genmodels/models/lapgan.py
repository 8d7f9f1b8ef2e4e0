"""LAPGAN networks: Denton, Chintala, Szlam, Fergus, "Deep Generative Image Models using a Laplacian Pyramid of Adversarial
Networks", NeurIPS 2015, https://arxiv.org/abs/1506.05751.

A small GAN draws the coarsest image; each further level doubles the size and draws what the enlarged coarse image lacks:
8x8, 16x16 and 32x32 pixels with three levels. Level 0 is the coarsest throughout (the paper counts from the finest).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn
from torch.nn import functional as F

from ..checks import check_integers, check_number, check_shares
from .modeling import (
    Network,
    check_classes,
    check_image_shape,
    check_images,
    check_latents,
    clamp_through,
    crop_to,
    optional_labels,
    spend_headroom,
)
from .stabilisers import minibatch_layers, normalise_spectrally

# The side in pixels from which the coarsest image is drawn, and down to which a discriminator shrinks its maps.
SMALLEST = 4


def shrink(images: torch.Tensor) -> torch.Tensor:
    """The paper's d(.): (N, C, 2s, 2s) to (N, C, s, s), each pixel the mean of four."""
    return F.avg_pool2d(images, 2)


def expand(images: torch.Tensor) -> torch.Tensor:
    """The paper's u(.): (N, C, s, s) to (N, C, 2s, 2s) by bilinear interpolation; values stay in their range."""
    return F.interpolate(images, scale_factor=2, mode="bilinear", align_corners=False)


def check_divisible(sample_size: int, num_levels: int) -> None:
    """Raise ValueError unless images of this size can be halved `num_levels - 1` times."""
    if sample_size % 2 ** (num_levels - 1):
        raise ValueError(
            f"A pyramid of {num_levels} levels halves its images {num_levels - 1} times, and {sample_size} pixels are not "
            f"divisible by {2 ** (num_levels - 1)}: resize them to a multiple of that, or take fewer levels."
        )


def coarse_images(images: torch.Tensor, num_levels: int) -> list[torch.Tensor]:
    """Images at the size of each level, the coarsest first: I_K, ..., I_1, I_0 of section 2.2.

    Args:
        images: (N, C, s, s), s divisible by 2^(num_levels - 1).
        num_levels: at least 1.

    Raises:
        ValueError: s is not.
    """
    check_integers(num_levels=num_levels)
    check_divisible(images.shape[-1], num_levels)
    sizes = [images]
    for _ in range(num_levels - 1):
        sizes.append(shrink(sizes[-1]))
    return sizes[::-1]


def laplacian_pyramid(images: torch.Tensor, num_levels: int) -> list[torch.Tensor]:
    """[coarsest, residual, ..., residual], from small to large: h_k = I_k - u(I_k+1), equation 3.

    Args:
        images: (N, C, s, s), s divisible by 2^(num_levels - 1).
        num_levels: of the pyramid, at least 1.

    Returns:
        The images at s / 2^(num_levels - 1) pixels, and what each larger size adds. Of images in [-1, 1] the residuals are in
        [-2, 2].

    Raises:
        ValueError: s is not divisible.
    """
    sizes = coarse_images(images, num_levels)
    return [sizes[0], *(fine - expand(coarse) for coarse, fine in pairwise(sizes))]


def check_pyramid_shape(sample_size: int, num_channels: int, num_levels: int) -> list[int]:
    """The side of the images of each level, the coarsest first.

    Raises:
        ValueError: the size, channels or levels are out of range, or the size cannot be halved so often.
    """
    check_image_shape(sample_size, num_channels)
    check_integers(num_levels=num_levels)
    if num_levels < 2:
        raise ValueError("num_levels must be at least 2: with one level there is no pyramid, only a GAN.")
    check_divisible(sample_size, num_levels)
    sizes = [sample_size >> level for level in range(num_levels)][::-1]
    if sizes[0] < SMALLEST:
        raise ValueError(
            f"num_levels is {num_levels}, which makes the coarsest images {sizes[0]}x{sizes[0]}: take fewer levels, so that "
            f"at least {SMALLEST}x{SMALLEST} pixels are left."
        )
    return sizes


def split_latent_dim(latent_dim: int, num_levels: int) -> list[int]:
    """How many of the latent's numbers each level takes: equally many, the coarser ones one more if that does not go."""
    if latent_dim < num_levels:
        raise ValueError(
            f"latent_dim must be at least num_levels ({num_levels}), one number a level, got {latent_dim}."
        )
    return [latent_dim // num_levels + (level < latent_dim % num_levels) for level in range(num_levels)]


def width(base_channels: int, halvings: int) -> int:
    """Channels of maps at 1 / 2^halvings of the finest image's side: they double with each halving, up to 8 times."""
    return base_channels * min(2 ** (halvings - 1), 8)


def convolution(in_channels: int, out_channels: int) -> list[nn.Module]:
    """A 3x3 convolution as generators have it."""
    return [nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU()]


class CoarsestGenerator(nn.Module):
    """Level 0: noise to the coarsest images in (-1, 1), through transposed convolutions from 4x4 on."""

    def __init__(self, input_dim: int, num_channels: int, size: int, base_channels: int, halvings: int):
        super().__init__()
        self.size = size
        # Inside, the next power of two is drawn and cropped.
        doublings = (size - 1).bit_length() - 2
        channels = [width(base_channels, halvings + i) for i in range(doublings, -1, -1)]
        layers: list[nn.Module] = [nn.ConvTranspose2d(input_dim, channels[0], SMALLEST, bias=False)]
        layers += [nn.BatchNorm2d(channels[0]), nn.ReLU()]
        for before, after in pairwise(channels):
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
        layers += convolution(channels[-1], channels[-1])
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels[-1], num_channels, 3, padding=1), nn.Tanh())

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """(N, input_dim) to (N, num_channels, size, size) in (-1, 1)."""
        return crop_to(self.layers(inputs[:, :, None, None]), self.size)


class ResidualGenerator(nn.Module):
    """A further level: the enlarged coarse images and noise to their residuals in (-2, 2).

    The noise, with the class if there is one, enters as a further plane beside the colours, by a linear layer (section 3.2).
    """

    def __init__(self, input_dim: int, num_channels: int, size: int, channels: int):
        super().__init__()
        self.size = size
        self.plane = nn.Linear(input_dim, size * size)
        self.layers = nn.Sequential(
            nn.Conv2d(num_channels + 1, channels, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            *convolution(channels, channels),
            *convolution(channels, channels),
            nn.ConvTranspose2d(channels, num_channels, 4, stride=2, padding=1),
            nn.Tanh(),
        )

    def forward(self, inputs: torch.Tensor, enlarged: torch.Tensor) -> torch.Tensor:
        """(N, input_dim) and (N, num_channels, size, size) to (N, num_channels, size, size)."""
        plane = self.plane(inputs).view(-1, 1, self.size, self.size)
        return 2 * self.layers(torch.cat([enlarged, plane.to(enlarged.dtype)], dim=1))


class LevelDiscriminator(nn.Module):
    """Scores what one level draws: strided convolutions down to at most 4x4, and a 3x3 convolution there."""

    def __init__(
        self,
        in_channels: int,
        size: int,
        base_channels: int,
        halvings: int,
        num_classes: int,
        dropout: float,
        minibatch_stddev: bool,
        minibatch_discrimination: int,
    ):
        super().__init__()
        dropped = [nn.Dropout2d(dropout)] if dropout else []
        layers: list[nn.Module] = []
        while not layers or size > SMALLEST:
            out_channels = width(base_channels, halvings + 1)
            layers += [nn.Conv2d(in_channels, out_channels, 4, stride=2, padding=1), nn.LeakyReLU(0.2), *dropped]
            in_channels, size, halvings = out_channels, size // 2, halvings + 1
        layers += [nn.Conv2d(in_channels, in_channels, 3, padding=1), nn.LeakyReLU(0.2), *dropped]
        self.layers = nn.Sequential(*layers)
        places = size * size
        features = in_channels * places
        self.minibatch = minibatch_layers(in_channels, places, minibatch_stddev, minibatch_discrimination)
        self.score = nn.Linear(features + (minibatch_stddev + minibatch_discrimination) * places, 1)
        self.embed_label = nn.Linear(num_classes, features, bias=False) if num_classes else None
        if self.embed_label is not None:
            nn.init.normal_(self.embed_label.weight, std=features**-0.5)

    def forward(self, inputs: torch.Tensor, class_weights: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, in_channels, size, size) and (N, num_classes) to scores (N,) and features (N, features)."""
        maps = self.layers(inputs)
        score, features = self.score(self.minibatch(maps).flatten(1)).flatten(), maps.flatten(1)
        if self.embed_label is not None and class_weights is not None:
            score = score + (self.embed_label(class_weights) * features).sum(1)
        return score, features


class LAPGANGenerator(Network, ModelMixin):
    """Latents to images, from coarse to fine: section 2.3, equation 5.

    A latent is the levels' latents one after the other, the coarsest level's first: with `latent_dim` 96 and three levels,
    level 0 takes the numbers 0 to 31, level 1 those from 32 to 63, level 2 the rest.

    Args:
        sample_size: side of the images in pixels, 16 to 128, divisible by 2^(num_levels - 1).
        num_channels: 1 (grey), 3 (colour) or 4: colours premultiplied by their opacity, and that.
        num_levels: of the pyramid, at least 2; the coarsest images must have at least 4x4 pixels.
        latent_dim: length of a latent, all levels together; at least `num_levels`.
        base_channels: channels at half the finest size; twice as many at each further halving, at most 8 times.
        num_classes: 0 for a model without classes.
        class_names: their names in order; they travel in the config, so that `class_labels="7"` works after loading.
        label_dim: length of the learned label vector that is put beside each level's latent.
        headroom: of the coarsest images, as in `DCGANGenerator`. With it, each residual is cut to what keeps the image in [-1, 1]
            in training, too, as it is in the end: the residuals of real images never leave that range.

    Raises:
        ValueError: an argument is out of its range; the message names the legal values.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 32,
        num_channels: int = 3,
        num_levels: int = 3,
        latent_dim: int = 96,
        base_channels: int = 32,
        num_classes: int = 0,
        class_names: list[str] | None = None,
        label_dim: int = 32,
        headroom: float = 0.0,
    ):
        super().__init__()
        sizes = check_pyramid_shape(sample_size, num_channels, num_levels)
        check_integers(latent_dim=latent_dim, label_dim=label_dim, base_channels=base_channels)
        check_number("headroom", headroom, 0, 0.5)
        self.latent_dims = split_latent_dim(latent_dim, num_levels)
        check_classes(num_classes, class_names, optional=True)
        self.embed_label = nn.Linear(num_classes, label_dim, bias=False) if num_classes else None
        if self.embed_label is not None:
            # As large as the latent beside it, or the generator learns late that there are classes.
            nn.init.normal_(self.embed_label.weight)
        coarsest, *dims = [dim + (label_dim if num_classes else 0) for dim in self.latent_dims]
        levels: list[nn.Module] = [CoarsestGenerator(coarsest, num_channels, sizes[0], base_channels, num_levels - 1)]
        for level, (dim, size) in enumerate(zip(dims, sizes[1:], strict=True), start=1):
            levels.append(ResidualGenerator(dim, num_channels, size, width(base_channels, num_levels - level)))
        self.levels = nn.ModuleList(levels)

    def forward(
        self,
        latents: torch.Tensor,
        class_labels: torch.Tensor | None = None,
        *,
        given: torch.Tensor | None = None,
        return_stages: bool = False,
    ) -> torch.Tensor | list[torch.Tensor]:
        """Draw images or, to train, the pyramid that each level draws from the real coarse images.

        Args:
            latents: (N, latent_dim) float.
            class_labels: (N,) integers or (N, num_classes) weights; None for a model without classes.
            given: real images (N, num_channels, sample_size, sample_size): each level then starts from *their* coarse
                image instead of the one drawn before it, as in the paper's training (section 3.2).
            return_stages: whether to return the images of all levels.

        Returns:
            `pixel_values` (N, num_channels, sample_size, sample_size) in [-1, 1]. With `return_stages` the list of each
            level's images, the coarsest first; every one is clamped to [-1, 1], since the coarse images of training are in that
            range. With `given` the list [coarsest, residual, ..., residual], as of `laplacian_pyramid`.

        Raises:
            ValueError: wrong shapes, or labels for a model without classes, or none for one with classes.
        """
        check_latents(latents, self.config.latent_dim)
        weights = optional_labels(class_labels, self.config.num_classes)
        inputs = list(latents.split(self.latent_dims, dim=1))
        if self.embed_label is not None and weights is not None:
            embedded = self.embed_label(weights.to(latents.dtype))
            inputs = [torch.cat([part, embedded], dim=1) for part in inputs]
        draw_coarsest, *draw_residuals = self.levels
        coarsest = spend_headroom(draw_coarsest(inputs[0]), self.config.headroom)
        if given is not None:
            check_images(given, self.config.sample_size, self.config.num_channels)
            real = coarse_images(given, self.config.num_levels)
            pyramid = [coarsest]
            for draw_residual, noise, coarse in zip(draw_residuals, inputs[1:], real[:-1], strict=True):
                enlarged = expand(coarse)
                residual = draw_residual(noise, enlarged)
                pyramid.append(clamp_through(enlarged + residual) - enlarged if self.config.headroom else residual)
            return pyramid
        stages = [coarsest]
        for draw_residual, noise in zip(draw_residuals, inputs[1:], strict=True):
            enlarged = expand(stages[-1])
            stages.append((enlarged + draw_residual(noise, enlarged)).clamp(-1, 1))
        return stages if return_stages else stages[-1]


class LAPGANDiscriminator(Network, ModelMixin):
    """Images to one score per level: the logit of the coarsest image, or of a residual given its coarse image, being real.

    A residual comes beside the enlarged coarse image, as further channels (section 2.3, where the two are added); a label as an
    inner product with the features (Miyato, Koyama 2018, https://arxiv.org/abs/1802.05637, equation 3).

    Args:
        sample_size, num_channels, num_levels, base_channels, num_classes, class_names: as in `LAPGANGenerator`.
        dropout, minibatch_stddev, minibatch_discrimination, spectral_norm: as in `DCGANDiscriminator`, at every level.

    Raises:
        ValueError: an argument is out of its range; the message names the legal values.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 32,
        num_channels: int = 3,
        num_levels: int = 3,
        base_channels: int = 32,
        num_classes: int = 0,
        class_names: list[str] | None = None,
        dropout: float = 0.0,
        minibatch_stddev: bool = False,
        minibatch_discrimination: int = 0,
        spectral_norm: bool = False,
    ):
        super().__init__()
        sizes = check_pyramid_shape(sample_size, num_channels, num_levels)
        check_integers(base_channels=base_channels)
        check_shares(dropout=dropout)
        check_classes(num_classes, class_names, optional=True)
        self.levels = nn.ModuleList(
            LevelDiscriminator(
                num_channels * (2 if level else 1),
                size,
                base_channels,
                num_levels - 1 - level,
                num_classes,
                dropout,
                minibatch_stddev,
                minibatch_discrimination,
            )
            for level, size in enumerate(sizes)
        )
        if spectral_norm:
            normalise_spectrally(self)

    def forward(
        self,
        pixel_values: torch.Tensor,
        class_labels: torch.Tensor | None = None,
        *,
        pyramid: list[torch.Tensor] | None = None,
        return_features: bool = False,
    ) -> torch.Tensor | tuple[torch.Tensor, list[torch.Tensor]]:
        """Score images.

        Args:
            pixel_values: (N, num_channels, sample_size, sample_size) in [-1, 1].
            class_labels: (N,) integers or (N, num_classes) weights; None for a model without classes.
            pyramid: [coarsest, residual, ..., residual] to score, each residual beside the coarse image of `pixel_values`;
                by default the pyramid of `pixel_values` itself.
            return_features: also return what each level's last hidden layer makes of each image by itself.

        Returns:
            Scores (N, num_levels), the coarsest level's first, unbounded; higher is more real. With `return_features` also a
            list of (N, features), one for each level.

        Raises:
            ValueError: wrong shapes, or labels for a model without classes, or none for one with classes.
        """
        check_images(pixel_values, self.config.sample_size, self.config.num_channels)
        weights = optional_labels(class_labels, self.config.num_classes)
        if weights is not None:
            weights = weights.to(pixel_values.dtype)
        sizes = coarse_images(pixel_values, self.config.num_levels)
        if pyramid is None:
            pyramid = laplacian_pyramid(pixel_values, self.config.num_levels)
        if [part.shape for part in pyramid] != [images.shape for images in sizes]:
            raise ValueError(
                f"Expected a pyramid of shapes {[tuple(images.shape) for images in sizes]}, as `laplacian_pyramid` makes it, "
                f"got {[tuple(part.shape) for part in pyramid]}."
            )
        seen = [pyramid[0]]
        for residual, coarse in zip(pyramid[1:], sizes[:-1], strict=True):
            seen.append(torch.cat([residual, expand(coarse)], dim=1))
        scores, features = zip(
            *(judge(part, weights) for judge, part in zip(self.levels, seen, strict=True)), strict=True
        )
        stacked = torch.stack(scores, dim=1)
        return (stacked, list(features)) if return_features else stacked
