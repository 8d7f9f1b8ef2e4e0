"""The network of a diffusion model."""

from __future__ import annotations

from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.unets.unet_2d import UNet2DModel

from .modeling import Network


class UNet(Network, UNet2DModel, ModelMixin):
    """diffusers' `UNet2DModel`, loaded strictly; its weights and config load as that class too.

    The U-Net of Ho et al. 2020, https://arxiv.org/abs/2006.11239, section 4: residual blocks with GroupNorm that know the
    timestep, at every resolution, with skip connections from the way down to the way up and attention in the middle. Here it
    sees an image as patches: `in_channels` are the pixels of one patch, `sample_size` is how many patches lie along a side.
    """
