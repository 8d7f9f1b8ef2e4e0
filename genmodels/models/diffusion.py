"""The network of a diffusion model."""

from __future__ import annotations

import torch
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.unets.unet_2d import UNet2DModel
from torch import nn

from .modeling import Network, check_classes

# Channels that GroupNorm normalises together.
GROUPS = 8


class ClassEmbedding(nn.Embedding):
    """A learned vector of each class, and as the last row one of no class: of (N,) numbers, or of (N, rows) weights that mix."""

    def forward(self, class_labels: torch.Tensor) -> torch.Tensor:
        if class_labels.is_floating_point():
            return class_labels.to(self.weight.dtype) @ self.weight[: class_labels.shape[1]]
        return super().forward(class_labels)


class UNet(Network, UNet2DModel, ModelMixin):
    """diffusers' `UNet2DModel` with classes, loaded strictly; its weights and config load as that class too.

    The U-Net of Ho et al. 2020, https://arxiv.org/abs/2006.11239, section 4: residual blocks with GroupNorm that know the
    timestep, at every resolution, with skip connections from the way down to the way up and attention in the middle. Here it
    sees an image as patches: `in_channels` are the pixels of one patch, `sample_size` is how many patches lie along a side.

    Args:
        num_classes: how many classes there are; 0 for none. Label `num_classes` then means "of no class".
        class_names: their names in order; they travel in the config, so that `class_labels="7"` works after loading.
        of_unet: of `UNet2DModel`.

    Raises:
        ValueError: there is one class, or there are not as many names as classes.
    """

    def __init__(self, *, num_classes: int = 0, class_names: list[str] | None = None, **of_unet):
        if num_classes:
            check_classes(num_classes, class_names)
            of_unet["num_class_embeds"] = num_classes + 1
        super().__init__(**of_unet)
        self.register_to_config(num_classes=num_classes, class_names=class_names)
        if num_classes:
            self.class_embedding = ClassEmbedding(num_classes + 1, self.class_embedding.embedding_dim)

    @classmethod
    def of_patches(
        cls,
        sample_size: int,
        num_channels: int,
        patch_size: int,
        block_out_channels: list[int],
        layers_per_block: int,
        num_classes: int = 0,
        class_names: list[str] | None = None,
    ) -> UNet:
        """A network for images of `sample_size` pixels, seen as patches of `patch_size`.

        Raises:
            ValueError: the sizes do not divide.
        """
        if any(width % GROUPS for width in block_out_channels):
            raise ValueError(f"block_out_channels must be multiples of {GROUPS}, got {block_out_channels}.")
        divisor = patch_size * 2 ** (len(block_out_channels) - 1)
        if sample_size % divisor:
            raise ValueError(
                f"The network divides the {sample_size} pixels of a side by {divisor}: take a resolution of "
                f"{-(-sample_size // divisor) * divisor}, fewer block_out_channels or a smaller patch_size."
            )
        return cls(
            num_classes=num_classes,
            class_names=class_names,
            sample_size=sample_size // patch_size,
            in_channels=num_channels * patch_size**2,
            out_channels=num_channels * patch_size**2,
            block_out_channels=block_out_channels,
            layers_per_block=layers_per_block,
            down_block_types=["DownBlock2D"] * len(block_out_channels),
            up_block_types=["UpBlock2D"] * len(block_out_channels),
            # One head, as in the paper; CPUs take ten times as long for many narrow ones.
            attention_head_dim=block_out_channels[-1],
            norm_num_groups=GROUPS,
        )

    @classmethod
    def _get_init_keys(cls, input_class: type) -> set[str]:
        # diffusers reads them from the signature, where those of UNet2DModel do not stand.
        return set(UNet2DModel._get_init_keys(input_class)) | set(UNet2DModel._get_init_keys(UNet2DModel))
