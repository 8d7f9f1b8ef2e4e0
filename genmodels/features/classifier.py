"""The evaluator: a small image classifier whose accuracy and features measure generated images.

A half-width ResNet-9 after Page, "How to Train Your ResNet", 2018, on residual blocks of He et al., "Deep Residual Learning
for Image Recognition", CVPR 2016, https://arxiv.org/abs/1512.03385.
"""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..checks import check_integers
from ..models.modeling import Network, check_classes, check_image_shape, check_images, pad_to


def conv_block(before: int, after: int, pool: bool = False) -> nn.Sequential:
    """3x3 convolution, BatchNorm, ReLU and, with `pool`, a 2x2 maximum."""
    layers = [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, *([nn.MaxPool2d(2)] if pool else []))


class Residual(nn.Sequential):
    """x + f(x), f being two convolution blocks."""

    def __init__(self, channels: int):
        super().__init__(conv_block(channels, channels), conv_block(channels, channels))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images + super().forward(images)


class Classifier(Network, ModelMixin):
    """Images to logits, of classes or of attributes, or to the features in front of them.

    Args:
        sample_size: side of the images in pixels, 16 to 128.
        num_channels: 1, 3 or 4.
        num_classes: how many classes there are, at least 2; None for a classifier of attributes.
        class_names: their names in order.
        base_channels: width of the first layer; the features are 8 times as many.
        test_accuracy: share of the test split that it classifies right, as measured after training; of attributes the mean
            over them.
        attribute_names: names of the attributes in order, each one yes or no; None for a classifier of classes.
        early_pooling: whether the first block halves the images: for 64 pixels and more, a quarter of the work.

    Raises:
        ValueError: an argument is out of its range; the message names the legal values.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 28,
        num_channels: int = 1,
        num_classes: int | None = 10,
        class_names: list[str] | None = None,
        base_channels: int = 16,
        test_accuracy: float | None = None,
        attribute_names: list[str] | None = None,
        early_pooling: bool = False,
    ):
        super().__init__()
        self.inner_size = check_image_shape(sample_size, num_channels)
        check_integers(base_channels=base_channels)
        if attribute_names is None:
            check_classes(num_classes or 0, class_names)
        elif num_classes is not None or not attribute_names or len(set(attribute_names)) != len(attribute_names):
            raise ValueError(
                "attribute_names must be at least one name, each different, and num_classes then None, got "
                f"{attribute_names!r} and {num_classes!r}."
            )
        c = base_channels
        self.layers = nn.Sequential(
            conv_block(num_channels, c, pool=early_pooling),
            conv_block(c, 2 * c, pool=True),
            Residual(2 * c),
            conv_block(2 * c, 4 * c, pool=True),
            conv_block(4 * c, 8 * c, pool=True),
            Residual(8 * c),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(8 * c, num_classes or len(attribute_names or []))

    def folded(self) -> Classifier:
        """This network with BatchNorm folded into its convolutions, channels last: twice as fast, for reading images only."""
        for block in self.eval().modules():
            if (
                isinstance(block, nn.Sequential)
                and isinstance(block[0], nn.Conv2d)
                and isinstance(block[1], nn.BatchNorm2d)
            ):
                block[0], block[1] = fuse_conv_bn_eval(block[0], block[1]), nn.Identity()
        # diffusers' `to` declares neither a memory format nor what it returns.
        nn.Module.to(self, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return self

    def features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, num_channels, sample_size, sample_size) in [-1, 1] to features (N, 8 * base_channels), at least 0."""
        check_images(pixel_values, self.config.sample_size, self.config.num_channels)
        return self.layers(pad_to(pixel_values, self.inner_size))

    def forward(
        self, pixel_values: torch.Tensor, return_features: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """(N, num_channels, sample_size, sample_size) in [-1, 1] to logits (N, num_classes), or one for each attribute.

        With `return_features` to logits and features.
        """
        features = self.features(pixel_values)
        return (self.head(features), features) if return_features else self.head(features)
