# /// script
# requires-python = ">=3.11"
# dependencies = ["accelerate", "datasets", "pillow", "safetensors", "torch"]
# [tool.hf-jobs]
# flavor = "t4-small"
# timeout = "30m"
# ///
"""A DCGAN (Radford et al. 2016, https://arxiv.org/abs/1511.06434) in one file: torch, datasets and accelerate, nothing else.

    accelerate launch train/minimal.py
    accelerate launch train/minimal.py --dataset_name uoft-cs/cifar10 --max_train_steps 5000

It leaves samples.png and generator.safetensors. train/dcgan.py is the same with all that a longer run needs.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from datasets import Image, load_dataset
from PIL import Image as Picture
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

SIDE, LATENT_DIM, WIDTH = 32, 64, 64


def block(layer: nn.Module, activation: nn.Module) -> list[nn.Module]:
    return [layer, nn.BatchNorm2d(layer.out_channels), activation]


def make_generator(channels: int) -> nn.Module:
    """Latents (N, LATENT_DIM) to images (N, C, 32, 32) in [-1, 1]."""
    layers = [nn.Unflatten(1, (LATENT_DIM, 1, 1)), *block(nn.ConvTranspose2d(LATENT_DIM, 4 * WIDTH, 4), nn.ReLU())]
    for width in (4 * WIDTH, 2 * WIDTH):
        layers += block(nn.ConvTranspose2d(width, width // 2, 4, stride=2, padding=1), nn.ReLU())
    return nn.Sequential(*layers, nn.ConvTranspose2d(WIDTH, channels, 4, stride=2, padding=1), nn.Tanh())


def make_discriminator(channels: int) -> nn.Module:
    """Images to scores (N,), positive for real."""
    layers = [nn.Conv2d(channels, WIDTH, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for width in (WIDTH, 2 * WIDTH):
        layers += block(nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.LeakyReLU(0.2))
    return nn.Sequential(*layers, nn.Conv2d(4 * WIDTH, 1, 4), nn.Flatten(0))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--dataset_name", default="ylecun/mnist", help="Hub id or folder (default: %(default)s)")
parser.add_argument("--max_train_steps", type=int, default=2000, help="(default: %(default)s)")
parser.add_argument("--train_batch_size", type=int, default=64, help="(default: %(default)s)")
parser.add_argument("--output_dir", type=Path, default=Path("runs/minimal"), help="(default: %(default)s)")
args = parser.parse_args()
# One loss has two passes through D, between which its statistics must not be sent around.
accelerator = Accelerator(kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)])

dataset = load_dataset(args.dataset_name, split="train")
column = next(name for name, feature in dataset.features.items() if isinstance(feature, Image))
channels = 1 if dataset[0][column].mode in ("1", "L") else 3


def pixels(rows: dict) -> dict:
    pictures = [row.convert("L" if channels == 1 else "RGB").resize((SIDE, SIDE)) for row in rows[column]]
    arrays = np.stack([np.asarray(picture) for picture in pictures]).reshape(-1, SIDE, SIDE, channels)
    return {"images": torch.from_numpy(arrays).permute(0, 3, 1, 2).float() / 127.5 - 1}


data = dataset.with_transform(pixels)
loader = torch.utils.data.DataLoader(data, args.train_batch_size, shuffle=True, drop_last=True)
if not len(loader):
    parser.error(f"there are {len(data)} images: give a smaller --train_batch_size")
networks = make_generator(channels), make_discriminator(channels)
adam = [torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999)) for network in networks]
generator, discriminator, optimizer_g, optimizer_d, loader = accelerator.prepare(*networks, *adam, loader)
epochs = itertools.chain.from_iterable(itertools.repeat(loader))
for step, batch in enumerate(itertools.islice(epochs, args.max_train_steps), start=1):
    real = batch["images"]
    fake = generator(torch.randn(len(real), LATENT_DIM, device=real.device))
    loss_d = F.softplus(-discriminator(real)).mean() + F.softplus(discriminator(fake.detach())).mean()
    optimizer_d.zero_grad()
    accelerator.backward(loss_d)
    optimizer_d.step()
    loss_g = F.softplus(-discriminator(fake)).mean()
    optimizer_g.zero_grad()
    accelerator.backward(loss_g)
    optimizer_g.step()
    if step % 100 == 0 or step == args.max_train_steps:
        accelerator.print(f"step {step}: loss_d {loss_d.item():.3f}, loss_g {loss_g.item():.3f}")

if accelerator.is_main_process:
    args.output_dir.mkdir(parents=True, exist_ok=True)
    generator = accelerator.unwrap_model(generator).eval().requires_grad_(False).cpu()
    images = generator(torch.randn(64, LATENT_DIM)).view(8, 8, channels, SIDE, SIDE)
    grid = images.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)
    Picture.fromarray(((grid + 1) * 127.5).round().byte().squeeze().numpy()).save(args.output_dir / "samples.png")
    save_file(generator.state_dict(), args.output_dir / "generator.safetensors")
