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

import genmodels.interrupts  # noqa: F401, so that Ctrl-C ends the other imports with a sentence, too

# isort: split

import argparse

import torch

from genmodels import LAPGANDiscriminator, LAPGANGenerator, LAPGANPipeline, losses
from genmodels.adversarial import AdversarialStep
from genmodels.errors import UserError
from genmodels.hub.push import finish_run, require_write_access
from genmodels.hub.uploads import checkpoint_uploads
from genmodels.models.lapgan import laplacian_pyramid
from genmodels.training import TrainingRun, add_common_arguments, at_least, parse_arguments, run_main
from genmodels.training.arguments import (
    CIFAR10,
    add_adam_arguments,
    add_headroom_argument,
    choose_frogs,
    require_classes,
)
from genmodels.training.optimization import adam_pair
from genmodels.training.stabilisers import OF_PARTS, Stabilisers, add_stabiliser_arguments, check_stabilisers

# What cures what the monitor may find.
ADVICE = {
    "mode collapse": "try --loss relativistic --r1 1 --r2 1",
    "missing classes": "try --loss relativistic --r1 1 --r2 1, or --conditional",
    "discriminator winning": "try --r1 1 --r2 1",
}


def parse_args() -> argparse.Namespace:
    """Flags of this script; the shared ones stand in genmodels/training/arguments.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model = parser.add_argument_group("model")
    model.add_argument("--num_levels", type=at_least(2), default=3, help="of the pyramid (default: %(default)s)")
    model.add_argument("--latent_dim", type=at_least(2), default=96, help="of all levels (default: %(default)s)")
    model.add_argument("--base_channels", type=at_least(1), default=32, help="of both networks (default: %(default)s)")
    add_headroom_argument(model)
    model.add_argument("--conditional", action="store_true", help="draw images of wanted classes")
    loss = parser.add_argument_group("objective")
    loss.add_argument("--loss", choices=("relativistic", "nonsaturating"), default="relativistic")
    add_adam_arguments(loss, learning_rate=1e-3, beta1=0.0, beta2=0.99)
    add_stabiliser_arguments(parser, OF_PARTS)
    add_common_arguments(parser, output_dir="runs/lapgan", dataset_name=CIFAR10, classes="frogs of CIFAR-10, else all")
    parser.set_defaults(r1=0.5, r2=0.5, lr_scheduler="trapezoid")
    args = parse_arguments(parser)
    choose_frogs(args)
    return args


def main() -> None:
    args = parse_args()
    check_stabilisers(args)
    require_write_access(args)
    run = TrainingRun(args, on_checkpoint=checkpoint_uploads(args))
    stabilise = Stabilisers(args, run)
    if args.conditional:
        require_classes(run.data, "--conditional")

    shape = {
        "sample_size": run.data.sample_size,
        "num_channels": run.data.num_channels,
        "num_levels": args.num_levels,
        "base_channels": args.base_channels,
    }
    if args.conditional:
        shape |= {"num_classes": run.data.num_classes, "class_names": run.data.class_names}
    try:
        generator = LAPGANGenerator(latent_dim=args.latent_dim, headroom=args.headroom, **shape)
        discriminator = LAPGANDiscriminator(**stabilise.layers, **shape)
    except ValueError as error:
        raise UserError(f"{error} The flags are --resolution, --num_levels and --latent_dim.") from error
    optimizer_g, optimizer_d = adam_pair(args, generator, discriminator, stabilise.discriminator_learning_rate)

    generator, discriminator = run.prepare(
        models={"generator": generator, "discriminator": discriminator},
        optimizers={"generator": optimizer_g, "discriminator": optimizer_d},
        averaged=("generator",),
        historical=stabilise.historical,
        make_pipeline=LAPGANPipeline,
        draw_samples=lambda pipe: pipe(num_images=64, seed=0).images,
        conditional=args.conditional,
        advice=ADVICE,
    )

    def labels_of(batch: dict[str, torch.Tensor]) -> torch.Tensor | None:
        return batch["class_labels"] if args.conditional else None

    def draw(batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        """A pyramid: the coarsest image from noise, each residual from noise and the real coarse image."""
        real = batch["pixel_values"]
        latents = torch.randn(len(real), args.latent_dim, device=run.device)
        return generator(latents, labels_of(batch), given=real)

    def judge(pyramid: list[torch.Tensor], batch: dict[str, torch.Tensor]) -> tuple:
        """Scores of each level, given the real coarse image; levels share no weights, so each learns as if it were alone."""
        options = {"pyramid": pyramid, "return_features": True}
        return *discriminator(batch["pixel_values"], labels_of(batch), **options), 0.0

    def real(batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
        return laplacian_pyramid(batch["pixel_values"], args.num_levels)

    step = AdversarialStep(losses.ADVERSARIAL[args.loss], draw, judge, stabilise, real)
    for batch in run.steps():
        run.update(optimizer_d, step.discriminator_loss, batch)
        run.update(optimizer_g, step.generator_loss, batch)

    finish_run(run, title="LAPGAN", papers=["1506.05751", step.objective.paper, *stabilise.papers])


if __name__ == "__main__":
    run_main(main)
