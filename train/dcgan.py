"""Train a DCGAN (Radford et al. 2016, https://arxiv.org/abs/1511.06434).

    accelerate launch train/dcgan.py
    accelerate launch train/dcgan.py --preset paper
    accelerate launch train/dcgan.py --preset paper --without strides
    accelerate launch train/dcgan.py --dataset_name zoo:mnist-sample --classes 3 --max_train_steps 500
    accelerate launch train/dcgan.py --dataset_name path/to/images --resolution 64

Two recipes. "paper" is the network and optimizer of the paper with the five well-known tricks: tanh and images in [-1, 1];
normal latents; dropout and noisy labels in the discriminator; strided convolutions and LeakyReLU; a kernel that the stride
divides. "r3gan" keeps the convolutions and changes the objective: each fake is paired with a real image, and the
discriminator's gradient is penalised on both, which leaves no room for mode collapse (Huang et al. 2024,
https://arxiv.org/abs/2501.05441), from images of CIFAR-10 mirrored at random. Of CIFAR-10 it learns the frogs unless --classes
names others.
"""

import genmodels.interrupts  # noqa: F401, so that Ctrl-C ends the other imports with a sentence, too

# isort: split

import argparse

import torch

from genmodels import DCGANDiscriminator, DCGANGenerator, DCGANPipeline, losses
from genmodels.adversarial import AdversarialStep
from genmodels.errors import UserError
from genmodels.hub.push import finish_run, require_write_access
from genmodels.hub.uploads import checkpoint_uploads
from genmodels.models.dcgan import TRICKS
from genmodels.models.modeling import init_dcgan
from genmodels.training import TrainingRun, add_common_arguments, at_least, parse_arguments, run_main
from genmodels.training.arguments import (
    CIFAR10,
    add_adam_arguments,
    add_layer_arguments,
    choose_frogs,
    depth_of,
    layer_papers,
)
from genmodels.training.optimization import adam_pair
from genmodels.training.stabilisers import Stabilisers, add_stabiliser_arguments, check_stabilisers

# What differs from the flags' defaults.
PRESETS = {
    "r3gan": {},
    "paper": {
        "loss": "nonsaturating",
        "r1": 0.0,
        "r2": 0.0,
        "latent_dim": 100,
        "discriminator_norm": "batch",
        "dropout": 0.3,
        "label_noise": 0.1,
        "init": "dcgan",
        "learning_rate": 2e-4,
        "adam_beta1": 0.5,
        "adam_beta2": 0.999,
        "lr_scheduler": "constant",
        "random_flip": False,
        "diffaugment": ["none"],
        "headroom": 0.0,
    },
}

# What cures what the monitor may find.
ADVICE = dict.fromkeys(
    ("mode collapse", "missing classes", "discriminator winning"),
    "try --preset r3gan, the default, and if it was that, --r1 1 --r2 1",
)


def parse_args() -> argparse.Namespace:
    """Flags of this script; the shared ones stand in genmodels/training/arguments.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=tuple(PRESETS), default="r3gan", help="the recipe (default: %(default)s)")
    model = parser.add_argument_group("model")
    model.add_argument("--latent_dim", type=at_least(1), default=64, help="(default: %(default)s)")
    model.add_argument("--base_channels", type=at_least(1), default=64, help="of the generator (default: %(default)s)")
    model.add_argument("--discriminator_channels", type=at_least(1), help="(default: those of the generator)")
    model.add_argument("--kernel_size", type=int, choices=(2, 4, 6), default=4, help="(default: %(default)s)")
    model.add_argument("--discriminator_norm", choices=("none", "batch"), default="none", help="(default: %(default)s)")
    add_layer_arguments(model)
    model.add_argument(
        "--without", choices=(*TRICKS, "noise"), help="leave out one of the five tricks, to see what it does"
    )
    model.add_argument("--init", choices=("torch", "dcgan"), default="torch", help="weights; dcgan is N(0, 0.02)")
    loss = parser.add_argument_group("objective")
    loss.add_argument("--loss", choices=("relativistic", "nonsaturating"), default="relativistic")
    add_adam_arguments(loss, learning_rate=1e-3, beta1=0.0, beta2=0.99)
    add_stabiliser_arguments(parser)
    add_common_arguments(parser, output_dir="runs/dcgan", dataset_name=CIFAR10, classes="frogs of CIFAR-10, else all")
    parser.set_defaults(r1=0.5, r2=0.5, lr_scheduler="trapezoid")
    if parser.parse_known_args()[0].without == "tanh":
        # Without it there is nothing to leave room in.
        parser.set_defaults(headroom=0.0)
    args = parse_arguments(parser, PRESETS)
    if args.headroom and args.without == "tanh":
        raise UserError("--headroom is of the tanh: leave it out, or --without tanh.")
    choose_frogs(args)
    if args.without == "noise":
        if not args.dropout and not args.label_noise:
            raise UserError(
                "--without noise leaves out dropout and noisy labels, and there are none: add --preset paper."
            )
        args.dropout = args.label_noise = 0.0
    return args


def main() -> None:
    args = parse_args()
    check_stabilisers(args)
    if args.discriminator_norm == "batch" and (args.r1 or args.r2):
        raise UserError(
            "The penalties are per image, BatchNorm is not: give --discriminator_norm none, or --r1 0 --r2 0."
        )
    if args.without == "divisible_kernel" and args.upsampling != "transposed":
        raise UserError("--without divisible_kernel is about transposed convolutions: leave out --upsampling nearest.")
    require_write_access(args)
    run = TrainingRun(args, on_checkpoint=checkpoint_uploads(args))
    stabilise = Stabilisers(args, run)

    shape = {
        "sample_size": run.data.sample_size,
        "num_channels": run.data.num_channels,
        "kernel_size": args.kernel_size,
        "without": args.without if args.without in TRICKS else None,
        **depth_of(args),
    }
    channels_g, channels_d = args.base_channels, args.discriminator_channels or args.base_channels
    generator = DCGANGenerator(
        latent_dim=args.latent_dim,
        base_channels=channels_g,
        upsampling=args.upsampling,
        headroom=args.headroom,
        **shape,
    )
    discriminator = DCGANDiscriminator(
        norm=args.discriminator_norm, base_channels=channels_d, **stabilise.layers, **shape
    )
    if args.init == "dcgan":
        generator.apply(init_dcgan)
        discriminator.apply(init_dcgan)
    optimizer_g, optimizer_d = adam_pair(args, generator, discriminator, stabilise.discriminator_learning_rate)

    generator, discriminator = run.prepare(
        models={"generator": generator, "discriminator": discriminator},
        optimizers={"generator": optimizer_g, "discriminator": optimizer_d},
        averaged=("generator",),
        historical=stabilise.historical,
        make_pipeline=DCGANPipeline,
        draw_samples=lambda pipe: pipe(num_images=64, seed=0).images,
        advice=ADVICE,
    )

    def draw(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return generator(torch.randn(len(batch["pixel_values"]), args.latent_dim, device=run.device))

    def judge(images: torch.Tensor, batch: dict[str, torch.Tensor]) -> tuple:
        scores, features = discriminator(images, return_features=True)
        return scores, [features], 0.0

    step = AdversarialStep(losses.ADVERSARIAL[args.loss], draw, judge, stabilise)
    for batch in run.steps():
        run.update(optimizer_d, step.discriminator_loss, batch)
        run.update(optimizer_g, step.generator_loss, batch)

    papers = ["1511.06434", step.objective.paper, *stabilise.papers, *layer_papers(args)]
    finish_run(run, title=f"DCGAN ({args.preset} recipe)", papers=papers)


if __name__ == "__main__":
    run_main(main)
