"""The network of a diffusion model."""

from __future__ import annotations

import math

import torch
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.unets.unet_2d import UNet2DModel
from torch import nn
from torch.nn import functional as F

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


class DiffusionStep(nn.Module):
    """A step of drawing as one network, from noise to less noise, for those who draw without diffusers.

    Whatever the network predicts, and whichever steps are taken, the image that it expects is clean = a x + b p, cut to [-1, 1],
    and the noise after the step c clean + d x + e p, x being the noise before it and p the prediction.

    Args:
        unet: what predicts.
        num_channels: of the images.
    """

    def __init__(self, unet: UNet, num_channels: int):
        super().__init__()
        self.unet = unet
        self.patch_size = math.isqrt(unet.config.in_channels // num_channels)

    def forward(
        self, latents: torch.Tensor, step: torch.Tensor, class_labels: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Take a step.

        Args:
            latents: (N, C H W), the noise that images are drawn from, or what the step before has returned.
            step: (6,), the timestep and a, b, c, d, e, a row of `PixelDiffusionPipeline.step_numbers`.
            class_labels: as of `UNet`.

        Returns:
            What the next step takes, (N, C H W); the images that are expected, `pixel_values` (N, C, H, W) in [-1, 1], those of
            the last step being the result; the prediction p, (N, C H W).
        """
        side = self.unet.config.sample_size
        noisy = latents.view(-1, self.unet.config.in_channels, side, side)
        timesteps = step[:1].expand(latents.shape[0])
        (predicted,) = self.unet(noisy, timesteps, class_labels, return_dict=False)
        clean = (step[1] * noisy + step[2] * predicted).clamp(-1, 1)
        moved = step[3] * clean + step[4] * noisy + step[5] * predicted
        return moved.flatten(1), F.pixel_shuffle(clean, self.patch_size), predicted.flatten(1)
