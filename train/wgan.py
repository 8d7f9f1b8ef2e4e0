"""Train a Wasserstein GAN, with clipped weights (Arjovsky et al. 2017, https://arxiv.org/abs/1701.07875) or with a gradient
penalty (Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028), or with --spectral_norm.

    accelerate launch train/wgan.py
    accelerate launch train/wgan.py --gradient_penalty
    accelerate launch train/wgan.py --gradient_penalty 10 --dataset_name uoft-cs/cifar10 --classes frog --random_flip
    accelerate launch train/wgan.py --gradient_penalty --dataset_name zoo:mnist-sample --max_train_steps 200

A step is one update of the generator after --critic_steps of the critic, each on images of its own. The logged
`wasserstein_estimate`, how much higher the critic scores real images, falls as the generated ones get better.
"""

import genmodels.interrupts  # noqa: F401, so that Ctrl-C ends the other imports with a sentence, too

# isort: split

import argparse

import torch

from genmodels import DCGANDiscriminator, DCGANGenerator, WGANPipeline, losses
from genmodels.adversarial import AdversarialStep
from genmodels.errors import UserError
from genmodels.hub.push import finish_run, require_write_access
from genmodels.hub.uploads import checkpoint_uploads
from genmodels.training import TrainingRun, add_common_arguments, at_least, in_range, parse_arguments, run_main
from genmodels.training.arguments import (
    add_layer_arguments,
    check_unused,
    decay,
    depth_of,
    layer_papers,
)
from genmodels.training.optimization import split_batch
from genmodels.training.stabilisers import ANY_LOSS, Stabilisers, add_stabiliser_arguments

# What --gradient_penalty or --spectral_norm change in the flags' defaults.
UNCLIPPED_DEFAULTS = {"weight_clip": 0.0, "critic_norm": "none", "learning_rate": 1e-4}

# What cures what the monitor may find.
ADVICE = {
    "mode collapse": "try --gradient_penalty 10, or more --critic_steps",
    "missing classes": "try --gradient_penalty 10, or more --critic_steps",
}


def parse_args() -> argparse.Namespace:
    """Flags of this script; the shared ones stand in genmodels/training/arguments.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model = parser.add_argument_group("model")
    model.add_argument("--latent_dim", type=at_least(1), default=64, help="(default: %(default)s)")
    model.add_argument("--base_channels", type=at_least(1), default=64, help="of the generator (default: %(default)s)")
    model.add_argument("--critic_channels", type=at_least(1), help="(default: those of the generator)")
    model.add_argument(
        "--critic_norm", choices=("batch", "none"), default="batch", help="none with a penalty (default: %(default)s)"
    )
    add_layer_arguments(model)
    loss = parser.add_argument_group("objective")
    loss.add_argument(
        "--gradient_penalty",
        type=in_range(0, 1000),
        nargs="?",
        const=10.0,
        default=0.0,
        metavar="LAMBDA",
        help="penalise critic slopes other than 1, with Adam, instead of clipping, with RMSprop (without a number: 10)",
    )
    loss.add_argument("--weight_clip", type=in_range(0, 10), default=0.01, help="of the critic (default: %(default)s)")
    loss.add_argument("--critic_steps", type=at_least(1), default=5, help="per step (default: %(default)s)")
    loss.add_argument(
        "--learning_rate", type=in_range(0, 1), default=5e-5, help="(default: %(default)s, with Adam 1e-4)"
    )
    loss.add_argument("--adam_beta1", type=decay, default=0.0, help="without clipping (default: %(default)s)")
    loss.add_argument("--adam_beta2", type=decay, default=0.9, help="without clipping (default: %(default)s)")
    add_stabiliser_arguments(parser, ANY_LOSS)
    add_common_arguments(parser, output_dir="runs/wgan", dataset_name="ylecun/mnist")
    known = parser.parse_known_args()[0]
    if known.gradient_penalty or known.spectral_norm:
        parser.set_defaults(**UNCLIPPED_DEFAULTS)
    else:
        # As in the paper.
        parser.set_defaults(headroom=0.0)
    args = parse_arguments(parser)
    if args.weight_clip:
        check_unused(
            args, parser, ["adam_beta1", "adam_beta2"], "is of Adam, and clipping goes with RMSprop: leave it out"
        )
    return args


def main() -> None:
    args = parse_args()
    if sum(map(bool, (args.gradient_penalty, args.weight_clip, args.spectral_norm))) != 1:
        raise UserError(
            "The critic's slope is bounded in one way: give either --gradient_penalty or --weight_clip or --spectral_norm."
        )
    if args.critic_norm == "batch" and not args.weight_clip:
        raise UserError(
            "BatchNorm makes a score depend on the whole batch, and undoes a bound on the layers' slopes: give --critic_norm "
            "none, or --weight_clip instead of --gradient_penalty or --spectral_norm."
        )
    require_write_access(args)
    run = TrainingRun(args, on_checkpoint=checkpoint_uploads(args), batches_per_step=args.critic_steps)
    stabilise = Stabilisers(args, run)

    shape = {
        "sample_size": run.data.sample_size,
        "num_channels": run.data.num_channels,
        **depth_of(args),
    }
    channels_g, channels_c = args.base_channels, args.critic_channels or args.base_channels
    generator = DCGANGenerator(
        latent_dim=args.latent_dim,
        base_channels=channels_g,
        upsampling=args.upsampling,
        headroom=args.headroom,
        **shape,
    )
    critic = DCGANDiscriminator(norm=args.critic_norm, base_channels=channels_c, **stabilise.layers, **shape)
    weights = list(critic.parameters())
    rate_g, rate_c = args.learning_rate, stabilise.discriminator_learning_rate
    if args.weight_clip:
        optimizer_g = torch.optim.RMSprop(generator.parameters(), lr=rate_g)
        optimizer_c = torch.optim.RMSprop(weights, lr=rate_c)
    else:
        betas = (args.adam_beta1, args.adam_beta2)
        optimizer_g = torch.optim.Adam(generator.parameters(), lr=rate_g, betas=betas, fused=True)
        optimizer_c = torch.optim.Adam(weights, lr=rate_c, betas=betas, fused=True)

    generator, critic = run.prepare(
        models={"generator": generator, "discriminator": critic},
        optimizers={"generator": optimizer_g, "critic": optimizer_c},
        averaged=("generator",),
        historical=stabilise.historical,
        make_pipeline=WGANPipeline,
        draw_samples=lambda pipe: pipe(num_images=64, seed=0).images,
        advice=ADVICE,
    )

    def draw(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return generator(torch.randn(len(batch["pixel_values"]), args.latent_dim, device=run.device))

    def judge(images: torch.Tensor, batch: dict[str, torch.Tensor]) -> tuple:
        return critic(images), [], 0.0

    class CriticStep(AdversarialStep):
        def figures(self, loss, penalty, slope, real_scores, fake_scores) -> dict[str, torch.Tensor]:
            return {"wasserstein_estimate": -loss, **({"penalty": slope} if args.gradient_penalty else {})}

    step = CriticStep(losses.ADVERSARIAL["wasserstein"], draw, judge, stabilise)
    for batch in run.steps():
        for part in split_batch(batch, args.critic_steps):
            run.update(optimizer_c, step.discriminator_loss, part)
            if args.weight_clip:
                losses.clip_weights(weights, args.weight_clip)
        run.update(optimizer_g, step.generator_loss, part)

    bound = "weight clipping" if args.weight_clip else "spectral norm" if args.spectral_norm else "gradient penalty"
    papers = ["1701.07875", *(["1704.00028"] if args.gradient_penalty else [])]
    papers += [*stabilise.papers, *layer_papers(args)]
    finish_run(run, title=f"Wasserstein GAN with {bound}", papers=papers)


if __name__ == "__main__":
    run_main(main)
