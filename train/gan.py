"""Train the first GAN, of dense layers alone (Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661).

    accelerate launch train/gan.py
    accelerate launch train/gan.py --preset classic
    accelerate launch train/gan.py --preset classic --loss nonsaturating --optimizer adam --learning_rate 2e-4
    accelerate launch train/gan.py --dataset_name zoo:mnist-sample --max_train_steps 500

Two recipes. "classic" is that of the paper and its code: one hidden layer in the discriminator and two in the generator, the
minimax loss, and gradient descent whose momentum rises while its rate falls. "deep" is what is usually taught since: three
hidden layers, LeakyReLU, BatchNorm in the generator, the non-saturating loss, Adam, and one-sided label smoothing.
"""

import genmodels.interrupts  # noqa: F401, so that Ctrl-C ends the other imports with a sentence, too

# isort: split

import argparse

import torch

from genmodels import VanillaGANDiscriminator, VanillaGANGenerator, VanillaGANPipeline, losses
from genmodels.adversarial import AdversarialStep
from genmodels.hub.push import finish_run, require_write_access
from genmodels.hub.uploads import checkpoint_uploads
from genmodels.training import TrainingRun, add_common_arguments, at_least, in_range, parse_arguments, run_main
from genmodels.training.arguments import add_headroom_argument, check_unused, decay
from genmodels.training.stabilisers import Stabilisers, add_stabiliser_arguments, check_stabilisers

# What differs from the flags' defaults.
PRESETS = {
    "deep": {},
    "classic": {
        "generator_dims": [1200, 1200],
        "generator_slope": 0.0,
        "generator_norm": "none",
        "random_flip": False,
        "diffaugment": ["none"],
        "headroom": 0.0,
        "discriminator_dims": [240],
        "dropout": 0.5,
        "loss": "minimax",
        "label_smoothing": 0.0,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "lr_scheduler": "exponential",
        "train_batch_size": 100,
    },
}
# Of --optimizer sgd, at the beginning and after --momentum_steps.
MOMENTUM = (0.5, 0.7)

# What cures what the monitor may find.
ADVICE = {
    "mode collapse": "try --preset deep, the default, and if it was that, train/wgan.py --gradient_penalty",
    "missing classes": "try --preset deep, the default, and if it was that, train/wgan.py --gradient_penalty",
    "discriminator winning": "try --dropout 0.6, or smaller --discriminator_dims",
}


def parse_args() -> argparse.Namespace:
    """Flags of this script; the shared ones stand in genmodels/training/arguments.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=tuple(PRESETS), default="deep", help="the recipe (default: %(default)s)")
    model = parser.add_argument_group("model")
    dims = {"type": at_least(1), "nargs": "+", "metavar": "HIDDEN"}
    slope = in_range(0, 0.9)
    model.add_argument("--latent_dim", type=at_least(1), default=100, help="(default: %(default)s)")
    model.add_argument("--generator_dims", default=[256, 512, 1024], help="(default: %(default)s)", **dims)
    model.add_argument("--generator_slope", type=slope, default=0.2, help="0 is ReLU (default: %(default)s)")
    model.add_argument("--generator_norm", choices=("batch", "none"), default="batch", help="(default: %(default)s)")
    model.add_argument("--discriminator_dims", default=[1024, 512, 256], help="(default: %(default)s)", **dims)
    add_headroom_argument(model)
    loss = parser.add_argument_group("objective")
    loss.add_argument("--loss", choices=("minimax", "nonsaturating", "relativistic"), default="nonsaturating")
    loss.add_argument("--optimizer", choices=("adam", "sgd"), default="adam", help="(default: %(default)s)")
    loss.add_argument("--learning_rate", type=in_range(0, 1), default=2e-4, help="(default: %(default)s)")
    loss.add_argument("--adam_beta1", type=decay, default=0.5, help="(default: %(default)s)")
    loss.add_argument("--adam_beta2", type=decay, default=0.999, help="(default: %(default)s)")
    rise = "with sgd: steps in which momentum rises from 0.5 to 0.7 (default: %(default)s)"
    loss.add_argument("--momentum_steps", type=at_least(1), default=10_000, help=rise)
    add_stabiliser_arguments(parser)
    add_common_arguments(parser, output_dir="runs/gan", dataset_name="ylecun/mnist")
    parser.set_defaults(dropout=0.3, label_smoothing=0.1, lr_scheduler="trapezoid")
    args = parse_arguments(parser, PRESETS)
    if args.optimizer == "adam":
        check_unused(args, parser, ["momentum_steps"], "is of gradient descent: add --optimizer sgd")
    else:
        check_unused(args, parser, ["adam_beta1", "adam_beta2"], "is of Adam: add --optimizer adam")
    return args


def make_optimizer(args: argparse.Namespace, network: torch.nn.Module, rate: float) -> torch.optim.Optimizer:
    """Adam, or the paper's gradient descent with momentum."""
    if args.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), lr=rate, momentum=MOMENTUM[0])
    return torch.optim.Adam(network.parameters(), lr=rate, betas=(args.adam_beta1, args.adam_beta2), fused=True)


def main() -> None:
    args = parse_args()
    check_stabilisers(args)
    require_write_access(args)
    run = TrainingRun(args, on_checkpoint=checkpoint_uploads(args))
    stabilise = Stabilisers(args, run)

    shape = {"sample_size": run.data.sample_size, "num_channels": run.data.num_channels}
    generator = VanillaGANGenerator(
        latent_dim=args.latent_dim,
        hidden_dims=args.generator_dims,
        negative_slope=args.generator_slope,
        norm=args.generator_norm,
        headroom=args.headroom,
        **shape,
    )
    discriminator = VanillaGANDiscriminator(hidden_dims=args.discriminator_dims, **stabilise.layers, **shape)
    optimizer_g = make_optimizer(args, generator, args.learning_rate)
    optimizer_d = make_optimizer(args, discriminator, stabilise.discriminator_learning_rate)

    generator, discriminator = run.prepare(
        models={"generator": generator, "discriminator": discriminator},
        optimizers={"generator": optimizer_g, "discriminator": optimizer_d},
        averaged=("generator",),
        historical=stabilise.historical,
        make_pipeline=VanillaGANPipeline,
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
        if args.optimizer == "sgd":
            low, high = MOMENTUM
            for optimizer in (optimizer_g, optimizer_d):
                optimizer.param_groups[0]["momentum"] = low + (high - low) * min(1.0, run.step / args.momentum_steps)
        run.update(optimizer_d, step.discriminator_loss, batch)
        run.update(optimizer_g, step.generator_loss, batch)

    papers = dict.fromkeys(["1406.2661", step.objective.paper, *stabilise.papers])
    finish_run(run, title=f"Vanilla GAN ({args.preset} recipe)", papers=list(papers))


if __name__ == "__main__":
    run_main(main)
