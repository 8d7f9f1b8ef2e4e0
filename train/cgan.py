"""Train a conditional GAN (Mirza, Osindero 2014, https://arxiv.org/abs/1411.1784).

    accelerate launch train/cgan.py
    accelerate launch train/cgan.py --dataset_name zoo:mnist-sample --max_train_steps 500
    accelerate launch train/cgan.py --dataset_name uoft-cs/cifar10 --base_channels 64 --random_flip --auxiliary_classifier
    accelerate launch train/cgan.py --preset wgan-gp
    accelerate launch train/cgan.py --preset classic

Three recipes. "r3gan" pairs each fake with a real image and penalises the discriminator's gradient on both (Huang et al. 2024,
https://arxiv.org/abs/2501.05441). "wgan-gp" has a critic whose slope is held near 1 (Gulrajani et al. 2017,
https://arxiv.org/abs/1704.00028). "classic" is the usual one: it reaches 100% class accuracy with ten identical digits per class.

--auxiliary_classifier is for richer images: the discriminator also learns to name the class of
real images, and the generator to have its own named rightly (Odena et al. 2017, https://arxiv.org/abs/1610.09585).
"""

import genmodels.interrupts  # noqa: F401, so that Ctrl-C ends the other imports with a sentence, too

# isort: split

import argparse

import torch
from torch.nn import functional as F

from genmodels import CGANDiscriminator, CGANGenerator, CGANPipeline, losses
from genmodels.adversarial import AdversarialStep
from genmodels.errors import UserError
from genmodels.hub.push import finish_run, require_write_access
from genmodels.hub.uploads import checkpoint_uploads
from genmodels.training import TrainingRun, add_common_arguments, at_least, in_range, parse_arguments, run_main
from genmodels.training.arguments import (
    add_adam_arguments,
    add_layer_arguments,
    check_unused,
    depth_of,
    layer_papers,
    require_classes,
)
from genmodels.training.optimization import adam_pair, split_batch
from genmodels.training.stabilisers import Stabilisers, add_stabiliser_arguments, check_stabilisers

# What differs from the flags' defaults.
PRESETS = {
    "r3gan": {},
    "wgan-gp": {"loss": "wasserstein", "r1": 0.0, "r2": 0.0, "critic_steps": 3, "learning_rate": 5e-4},
    "classic": {
        "loss": "nonsaturating",
        "r1": 0.0,
        "r2": 0.0,
        "learning_rate": 2e-4,
        "adam_beta1": 0.5,
        "adam_beta2": 0.999,
        "random_flip": False,
        "diffaugment": ["none"],
        "headroom": 0.0,
    },
}

# What cures what the monitor may find.
ADVICE = {
    "mode collapse": "try --loss relativistic --r1 0.5 --r2 0.5",
    "discriminator winning": "try --r1 1 --r2 1, or a lower --discriminator_channels",
}


def parse_args() -> argparse.Namespace:
    """Flags of this script; the shared ones stand in genmodels/training/arguments.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=tuple(PRESETS), default="r3gan", help="the recipe (default: %(default)s)")
    model = parser.add_argument_group("model")
    model.add_argument("--latent_dim", type=at_least(1), default=64, help="(default: %(default)s)")
    model.add_argument("--base_channels", type=at_least(1), default=32, help="of the generator (default: %(default)s)")
    model.add_argument(
        "--discriminator_channels", type=at_least(1), default=64, help="of the discriminator (default: %(default)s)"
    )
    add_layer_arguments(model)
    loss = parser.add_argument_group("objective")
    loss.add_argument("--loss", choices=("relativistic", "nonsaturating", "wasserstein"), default="relativistic")
    loss.add_argument(
        "--gradient_penalty",
        type=in_range(0, 1000),
        default=10.0,
        metavar="LAMBDA",
        help="on slopes other than 1, only with wasserstein (default: %(default)s)",
    )
    loss.add_argument("--critic_steps", type=at_least(1), default=1, help="of D for one of G (default: %(default)s)")
    loss.add_argument(
        "--auxiliary_classifier",
        type=in_range(0, 100),
        nargs="?",
        const=0.2,
        default=0.0,
        metavar="WEIGHT",
        help="of the class's cross-entropy in both losses (without a number: 0.2)",
    )
    add_adam_arguments(loss, learning_rate=1e-3, beta1=0.0, beta2=0.99)
    add_stabiliser_arguments(parser)
    add_common_arguments(parser, output_dir="runs/cgan", dataset_name="ylecun/mnist")
    parser.set_defaults(r1=0.2, r2=0.2, lr_scheduler="trapezoid")
    args = parse_arguments(parser, PRESETS)
    if args.loss != "wasserstein":
        check_unused(args, parser, ["gradient_penalty"], "is of a critic: add --preset wgan-gp, or give --r1 and --r2")
    elif not (args.gradient_penalty or args.spectral_norm or args.r1 or args.r2):
        raise UserError("Nothing bounds the critic's slope: give --gradient_penalty 10 or --spectral_norm.")
    return args


def main() -> None:
    args = parse_args()
    check_stabilisers(args)
    require_write_access(args)
    run = TrainingRun(args, on_checkpoint=checkpoint_uploads(args), batches_per_step=args.critic_steps)
    stabilise = Stabilisers(args, run)
    require_classes(run.data, "A conditional GAN")

    shape = {
        "sample_size": run.data.sample_size,
        "num_channels": run.data.num_channels,
        "num_classes": run.data.num_classes,
        "class_names": run.data.class_names,
        **depth_of(args),
    }
    generator = CGANGenerator(
        latent_dim=args.latent_dim,
        base_channels=args.base_channels,
        upsampling=args.upsampling,
        headroom=args.headroom,
        **shape,
    )
    # BatchNorm only without penalties, which are defined per image.
    norm = "none" if args.r1 or args.r2 or args.loss == "wasserstein" else "batch"
    classifies = args.auxiliary_classifier > 0
    discriminator = CGANDiscriminator(
        norm=norm,
        base_channels=args.discriminator_channels,
        auxiliary_classifier=classifies,
        **stabilise.layers,
        **shape,
    )
    optimizer_g, optimizer_d = adam_pair(args, generator, discriminator, stabilise.discriminator_learning_rate)

    classes = min(run.data.num_classes, 10)
    generator, discriminator = run.prepare(
        models={"generator": generator, "discriminator": discriminator},
        optimizers={"generator": optimizer_g, "discriminator": optimizer_d},
        averaged=("generator",),
        historical=stabilise.historical,
        make_pipeline=CGANPipeline,
        draw_samples=lambda pipe: pipe(class_labels=pipe.class_names[:classes] * classes, seed=0).images,
        conditional=True,
        advice=ADVICE,
    )

    def draw(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        labels = batch["class_labels"]
        return generator(torch.randn(len(labels), args.latent_dim, device=run.device), labels)

    def judge(images: torch.Tensor, batch: dict[str, torch.Tensor]) -> tuple:
        """Scores, hidden features, and the weighted -log p(class | image)."""
        labels, class_loss = batch["class_labels"], 0.0
        scores, features, *logits = discriminator(
            images, labels, return_features=True, **({"return_class_logits": True} if classifies else {})
        )
        if classifies:
            class_loss = args.auxiliary_classifier * F.cross_entropy(*logits, labels)
        return scores, [features], class_loss

    step = AdversarialStep(losses.ADVERSARIAL[args.loss], draw, judge, stabilise)
    for batch in run.steps():
        for part in split_batch(batch, args.critic_steps):
            run.update(optimizer_d, step.discriminator_loss, part)
        run.update(optimizer_g, step.generator_loss, part)

    papers = ["1411.1784", step.objective.paper, *(["1704.00028"] if stabilise.slope_penalty else []), "1511.06434"]
    papers += [*(["1610.09585"] if classifies else []), *stabilise.papers, *layer_papers(args)]
    kind = "Conditional GAN with a Wasserstein critic" if args.loss == "wasserstein" else "Conditional GAN"
    finish_run(run, title=kind, papers=papers)


if __name__ == "__main__":
    run_main(main)
