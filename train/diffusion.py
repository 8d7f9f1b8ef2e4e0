# /// script
# requires-python = ">=3.11"
# dependencies = ["genmodels[train] @ git+https://github.com/genmodels/genmodels"]
# [tool.hf-jobs]
# flavor = "t4-small"
# timeout = "2h"
# secrets = ["HF_TOKEN"]
# ///
"""Train a small diffusion model (Ho et al. 2020, https://arxiv.org/abs/2006.11239).

    accelerate launch train/diffusion.py
    accelerate launch train/diffusion.py --dataset_name uoft-cs/cifar10 --classes frog --random_flip

The yardstick of this decade for the GANs of the last one: no adversary, one network, and the plainest loss of all. Noise is
added to an image, and a U-Net learns to tell the two apart again; to draw, it takes noise away from pure noise, step by step.

Of what came after the paper it has what makes a short run and few steps enough: noise by a squared cosine (Nichol, Dhariwal
2021, https://arxiv.org/abs/2102.09672), v-prediction (Salimans, Ho 2022, https://arxiv.org/abs/2202.00512), DDIM without
randomness (Song et al. 2021, https://arxiv.org/abs/2010.02502) that begins at the last timestep, where the network was
trained on noise alone (Lin et al. 2024, https://arxiv.org/abs/2305.08891). The network sees patches of 2x2 pixels: a quarter
of the positions, each with four times the channels, for a quarter of the time.
"""

if __name__ == "__main__":
    from genmodels.interrupts import leave_at_ctrl_c

    leave_at_ctrl_c()

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import DDIMScheduler
from torch.nn import functional as F

from genmodels import PixelDiffusionPipeline, UNet, losses
from genmodels.errors import UserError
from genmodels.training import TrainingRun, main, publish_run
from genmodels.training.config import TrainingConfig, model, watching

# Channels that GroupNorm normalises together, and steps from clean to noise.
GROUPS, TIMESTEPS = 8, 1000
BLOCKS = f"of each resolution, each half of the one before; multiples of {GROUPS} (default: 48 80)"
WATCHED = "of monitor and validation, which draw 256 and 2,048 images"


@dataclass(kw_only=True)
class Config(TrainingConfig):
    block_out_channels: list[int] = model([48, 80], BLOCKS, low=GROUPS, metavar="CHANNELS")
    layers_per_block: int = model(1, low=1)
    patch_size: int = model(2, "in pixels", choices=(1, 2, 4))
    learning_rate: float = model(1e-3, low=0, high=1)
    watch_inference_steps: int = watching(10, WATCHED, low=1, high=TIMESTEPS)
    lr_scheduler: str = "trapezoid"
    lr_warmup_steps: int = 100
    monitor_steps: int = 1000
    validation_steps: int = 2000
    output_dir: str = "runs/diffusion"


def make_unet(config: Config, sample_size: int, num_channels: int) -> UNet:
    """The network for images of this shape; raises UserError if sizes do not divide."""
    channels = config.block_out_channels
    if any(width % GROUPS for width in channels):
        raise UserError(f"--block_out_channels must be multiples of {GROUPS}, got {' '.join(map(str, channels))}.")
    divisor = config.patch_size * 2 ** (len(channels) - 1)
    if sample_size % divisor:
        raise UserError(
            f"The network divides the {sample_size} pixels of a side by {divisor}: give --resolution "
            f"{-(-sample_size // divisor) * divisor}, fewer --block_out_channels or a smaller --patch_size."
        )
    patch = num_channels * config.patch_size**2
    return UNet(
        sample_size=sample_size // config.patch_size,
        in_channels=patch,
        out_channels=patch,
        block_out_channels=channels,
        layers_per_block=config.layers_per_block,
        down_block_types=["DownBlock2D"] * len(channels),
        up_block_types=["UpBlock2D"] * len(channels),
        attention_head_dim=GROUPS,
        norm_num_groups=GROUPS,
    )


def train(run: TrainingRun[Config]) -> Path:
    config = run.config
    if run.data.num_channels == 4:
        # Its number of channels would not tell it from grey patches of two by two pixels.
        raise UserError("A diffusion model draws no opacity: leave out --num_channels 4.")
    unet = make_unet(config, run.data.sample_size, run.data.num_channels)
    optimizer = torch.optim.Adam(unet.parameters(), lr=config.learning_rate, fused=True)
    schedule = {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "trailing"}
    scheduler = DDIMScheduler(TIMESTEPS, prediction_type="v_prediction", **schedule)
    (unet,) = run.prepare(
        models={"unet": unet},
        optimizers={"unet": optimizer},
        make_pipeline=lambda unet: PixelDiffusionPipeline(unet, scheduler),
        watch_options={"num_inference_steps": config.watch_inference_steps},
    )
    alphas_cumprod = scheduler.alphas_cumprod.to(run.device)

    def loss_of(batch: dict[str, torch.Tensor]) -> tuple:
        """x_t = sqrt(abar_t) x + sqrt(1 - abar_t) eps, and the network says which part of it is noise."""
        x = F.pixel_unshuffle(batch["pixel_values"], config.patch_size)
        t = torch.randint(len(alphas_cumprod), (len(x),), device=run.device)
        share, noise = alphas_cumprod[t], torch.randn_like(x)
        noisy = share.sqrt().view(-1, 1, 1, 1) * x + (1 - share).sqrt().view(-1, 1, 1, 1) * noise
        loss = losses.velocity_loss(unet(noisy, t).sample, x, noise, share)
        return loss, {"loss": loss}

    for batch in run.steps():
        run.update(optimizer, loss_of, batch)

    papers = ["2006.11239", "2010.02502", "2102.09672", "2202.00512", "2305.08891"]
    return publish_run(run, title="Pixel diffusion (v-prediction, DDIM)", papers=papers)


if __name__ == "__main__":
    main(Config, train)
