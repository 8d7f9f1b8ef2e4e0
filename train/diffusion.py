"""Train a small diffusion model (Ho et al. 2020, https://arxiv.org/abs/2006.11239).

    accelerate launch train/diffusion.py
    accelerate launch train/diffusion.py --dataset_name uoft-cs/cifar10 --classes frog --random_flip
    accelerate launch train/diffusion.py --dataset_name zoo:mnist-sample --max_train_steps 500 --validation_steps 0

The yardstick of this decade for the GANs of the last one: no adversary, one network, and the plainest loss of all. Noise is
added to an image, and a U-Net learns to tell the two apart again; to draw, it takes noise away from pure noise, step by step.

Of what came after the paper it has what makes a short run and few steps enough: noise by a squared cosine (Nichol, Dhariwal
2021, https://arxiv.org/abs/2102.09672), v-prediction (Salimans, Ho 2022, https://arxiv.org/abs/2202.00512), DDIM without
randomness (Song et al. 2021, https://arxiv.org/abs/2010.02502) that begins at the last timestep, where the network was
trained on noise alone (Lin et al. 2024, https://arxiv.org/abs/2305.08891). The network sees patches of 2x2 pixels: a quarter
of the positions, each with four times the channels, for a quarter of the time.
"""

import genmodels.interrupts  # noqa: F401, so that Ctrl-C ends the other imports with a sentence, too

# isort: split

import argparse

import torch
from diffusers import DDIMScheduler
from torch.nn import functional as F

from genmodels import PixelDiffusionPipeline, UNet, losses
from genmodels.errors import UserError
from genmodels.hub.push import finish_run, require_write_access
from genmodels.hub.uploads import checkpoint_uploads
from genmodels.training import TrainingRun, add_common_arguments, at_least, in_range, parse_arguments, run_main

# Channels of a group of GroupNorm are normalised together; --block_out_channels are multiples of their number.
GROUPS = 8
# From clean to noise.
TIMESTEPS = 1000


def parse_args() -> argparse.Namespace:
    """Flags of this script; the shared ones stand in genmodels/training/arguments.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model = parser.add_argument_group("model")
    model.add_argument(
        "--block_out_channels",
        type=at_least(GROUPS),
        nargs="+",
        metavar="CHANNELS",
        default=[48, 80],
        help=f"of each resolution, each half of the one before; multiples of {GROUPS} (default: 48 80)",
    )
    model.add_argument("--layers_per_block", type=at_least(1), default=1, help="(default: %(default)s)")
    model.add_argument("--patch_size", type=int, choices=(1, 2, 4), default=2, help="in pixels (default: %(default)s)")
    model.add_argument("--learning_rate", type=in_range(0, 1), default=1e-3, help="(default: %(default)s)")
    add_common_arguments(parser, output_dir="runs/diffusion", dataset_name="ylecun/mnist")
    parser.add_argument(
        "--watch_inference_steps",
        type=at_least(1, TIMESTEPS),
        default=10,
        help="of monitor and validation, which draw 256 and 2,048 images (default: %(default)s)",
    )
    parser.set_defaults(lr_scheduler="trapezoid", lr_warmup_steps=100, monitor_steps=1000, validation_steps=2000)
    return parse_arguments(parser)


def make_unet(args: argparse.Namespace, sample_size: int, num_channels: int) -> UNet:
    """The network for images of this shape; raises UserError if sizes do not divide."""
    channels = args.block_out_channels
    if any(width % GROUPS for width in channels):
        raise UserError(f"--block_out_channels must be multiples of {GROUPS}, got {' '.join(map(str, channels))}.")
    divisor = args.patch_size * 2 ** (len(channels) - 1)
    if sample_size % divisor:
        raise UserError(
            f"The network divides the {sample_size} pixels of a side by {divisor}: give --resolution "
            f"{-(-sample_size // divisor) * divisor}, fewer --block_out_channels or a smaller --patch_size."
        )
    return UNet(
        sample_size=sample_size // args.patch_size,
        in_channels=num_channels * args.patch_size**2,
        out_channels=num_channels * args.patch_size**2,
        block_out_channels=channels,
        layers_per_block=args.layers_per_block,
        down_block_types=["DownBlock2D"] * len(channels),
        up_block_types=["UpBlock2D"] * len(channels),
        attention_head_dim=GROUPS,
        norm_num_groups=GROUPS,
    )


def main() -> None:
    args = parse_args()
    require_write_access(args)
    run = TrainingRun(args, on_checkpoint=checkpoint_uploads(args))

    if run.data.num_channels == 4:
        # Its number of channels would not tell it from grey patches of two by two pixels.
        raise UserError("A diffusion model draws no opacity: leave out --num_channels 4.")
    unet = make_unet(args, run.data.sample_size, run.data.num_channels)
    optimizer = torch.optim.Adam(unet.parameters(), lr=args.learning_rate, fused=True)
    scheduler = DDIMScheduler(
        num_train_timesteps=TIMESTEPS,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
    )
    (unet,) = run.prepare(
        models={"unet": unet},
        optimizers={"unet": optimizer},
        averaged=("unet",),
        make_pipeline=lambda unet: PixelDiffusionPipeline(unet, scheduler),
        draw_samples=lambda pipe: pipe(num_images=64, seed=0).images,
        watch_options={"num_inference_steps": args.watch_inference_steps},
    )
    alphas_cumprod = scheduler.alphas_cumprod.to(run.device)

    def loss_of(batch: dict[str, torch.Tensor]) -> tuple:
        """x_t = sqrt(abar_t) x + sqrt(1 - abar_t) eps, and the network says which part of it is noise."""
        x = F.pixel_unshuffle(batch["pixel_values"], args.patch_size)
        t = torch.randint(len(alphas_cumprod), (len(x),), device=run.device)
        share, noise = alphas_cumprod[t], torch.randn_like(x)
        noisy = share.sqrt().view(-1, 1, 1, 1) * x + (1 - share).sqrt().view(-1, 1, 1, 1) * noise
        loss = losses.velocity_loss(unet(noisy, t).sample, x, noise, share)
        return loss, {"loss": loss}

    for batch in run.steps():
        run.update(optimizer, loss_of, batch)

    papers = ["2006.11239", "2010.02502", "2102.09672", "2202.00512", "2305.08891"]
    finish_run(run, title="Pixel diffusion (v-prediction, DDIM)", papers=papers)


if __name__ == "__main__":
    run_main(main)
