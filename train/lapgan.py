# /// script
# requires-python = ">=3.11"
# dependencies = ["genmodels[train] @ git+https://github.com/genmodels/genmodels"]
# [tool.hf-jobs]
# flavor = "t4-small"
# timeout = "2h"
# secrets = ["HF_TOKEN"]
# ///
"""Train a LAPGAN (Denton et al. 2015, https://arxiv.org/abs/1506.05751).

    accelerate launch train/lapgan.py
    accelerate launch train/lapgan.py --conditional --classes frog horse
    accelerate launch train/lapgan.py --dataset_name ylecun/mnist --conditional
    accelerate launch train/lapgan.py --dataset_name zoo:mnist-sample --classes 3 --max_train_steps 500
    accelerate launch train/lapgan.py --dataset_name path/to/images --resolution 64 --num_levels 4
    accelerate launch train/lapgan.py --loss nonsaturating --r1 0 --r2 0 --learning_rate 2e-4 --adam_beta1 0.5 --adam_beta2 0.999

One GAN per level of a Laplacian pyramid, for 32 pixels 8 -> 16 -> 32: the first draws the coarsest image from noise, each further
one the residual that an enlarged coarse image lacks. In training every level is given the coarse images of real ones, so the
levels learn at once and independently of each other; only in sampling does each start from what the one before it drew.

Of CIFAR-10 it learns the frogs, with --conditional all ten classes, unless --classes names others; mirrored at random. The
last line has the paper's loss; the default pairs each fake with the real image whose coarse version it was given, and penalises
the discriminators' gradients on both (R3GAN, Huang et al. 2024, https://arxiv.org/abs/2501.05441).
"""

if __name__ == "__main__":
    from genmodels.interrupts import leave_at_ctrl_c

    leave_at_ctrl_c()

from dataclasses import dataclass
from pathlib import Path

import torch

from genmodels import LAPGANDiscriminator, LAPGANGenerator, LAPGANPipeline, losses
from genmodels.adversarial import AdversarialStep, latents_for
from genmodels.errors import UserError
from genmodels.models.lapgan import laplacian_pyramid
from genmodels.training import TrainingRun, main, options, publish_run
from genmodels.training.config import model, objective
from genmodels.training.stabilisers import StabiliserConfig, Stabilisers

# What cures what the monitor may find.
ADVICE = {
    "mode collapse": "try --loss relativistic --r1 1 --r2 1",
    "missing classes": "try --loss relativistic --r1 1 --r2 1, or --conditional",
    "discriminator winning": "try --r1 1 --r2 1",
}


@dataclass(kw_only=True)
class Config(options.FrogsConfig, options.HeadroomConfig, options.AdamConfig, StabiliserConfig):
    # It would change each part of an image apart from the others.
    ABSENT = ("diffaugment",)

    num_levels: int = model(3, "of the pyramid", low=2)
    latent_dim: int = model(96, "of all levels", low=2)
    base_channels: int = model(32, "of both networks", low=1)
    conditional: bool = model(False, "draw images of wanted classes")
    loss: str = objective("relativistic", choices=("relativistic", "nonsaturating"))
    r1: float = 0.5
    r2: float = 0.5
    lr_scheduler: str = "trapezoid"
    output_dir: str = "runs/lapgan"


def train(run: TrainingRun[Config]) -> Path:
    config, stabilise = run.config, Stabilisers(run)
    shape = {"num_levels": config.num_levels, "base_channels": config.base_channels}
    shape |= run.shape(classes_for="--conditional" if config.conditional else "")
    try:
        generator = LAPGANGenerator(latent_dim=config.latent_dim, headroom=config.headroom, **shape)
        discriminator = LAPGANDiscriminator(**stabilise.layers, **shape)
    except ValueError as error:
        raise UserError(f"{error} The flags are --resolution, --num_levels and --latent_dim.") from error
    optimizer_g, optimizer_d = config.adam(generator), config.adam(discriminator, stabilise.learning_rate)
    generator, discriminator = run.prepare(
        models={"generator": generator, "discriminator": discriminator},
        optimizers={"generator": optimizer_g, "discriminator": optimizer_d},
        make_pipeline=LAPGANPipeline,
        draw_samples=lambda pipe: pipe(num_images=64, seed=0).images,
        conditional=config.conditional,
        advice=ADVICE,
    )

    def labels_of(batch: dict[str, torch.Tensor]) -> torch.Tensor | None:
        return batch["class_labels"] if config.conditional else None

    def draw(batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """A pyramid: the coarsest image from noise, each residual from noise and the real coarse image."""
        return generator(latents_for(batch, config.latent_dim), labels_of(batch), given=batch["pixel_values"])

    def judge(pyramid: list[torch.Tensor], batch: dict[str, torch.Tensor]) -> tuple:
        """Scores of each level beside the real coarse image; levels share no weights, so each learns as if it were alone."""
        images, wanted = batch["pixel_values"], {"pyramid": pyramid, "return_features": True}
        return *discriminator(images, labels_of(batch), **wanted), 0.0

    def real(batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        return laplacian_pyramid(batch["pixel_values"], config.num_levels)

    step = AdversarialStep(losses.ADVERSARIAL[config.loss], draw, judge, stabilise, real)
    for batch in run.steps():
        run.update(optimizer_d, step.discriminator_loss, batch)
        run.update(optimizer_g, step.generator_loss, batch)

    return publish_run(run, title="LAPGAN", papers=["1506.05751", step.objective.paper, *stabilise.papers])


if __name__ == "__main__":
    main(Config, train)
