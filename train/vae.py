"""Train a variational autoencoder (Kingma, Welling 2014, https://arxiv.org/abs/1312.6114).

    accelerate launch train/vae.py
    accelerate launch train/vae.py --latent_dim 16 --output_dir runs/vae-16
    accelerate launch train/vae.py --beta 4 --output_dir runs/beta-vae
    accelerate launch train/vae.py --conditional --latent_dim 16 --output_dir runs/cvae
    accelerate launch train/vae.py --network dense --hidden_dim 400 --latent_dim 40 --importance_samples 50 --output_dir runs/iwae
    accelerate launch train/vae.py --dataset_name uoft-cs/cifar10 --likelihood gaussian --latent_dim 128
    accelerate launch train/vae.py --dataset_name flwrlabs/celeba --resolution 64 --random_flip --likelihood gaussian \\
        --sigma 0.3 --latent_dim 64 --base_channels 24 --hidden_dim 128 --attributes Smiling Eyeglasses Male \\
        --output_dir runs/vae-celeba

Minimises -log p(x | z) + beta KL(q(z | x) || p(z)), z drawn from q by the reparameterisation trick: beta 1 is the negative
evidence lower bound; a larger beta gives a smoother latent space (Higgins et al. 2017), a smaller one sharper images.
--importance_samples K draws K of them and minimises the tighter bound of the importance weighted autoencoder (Burda et al.
2016, https://arxiv.org/abs/1509.00519).
With --conditional both networks see the label, p(x | z, y) and q(z | x, y) (M2 of Kingma et al. 2014,
https://arxiv.org/abs/1406.5298, with every label known): it draws a wanted class, and classifies by which class explains best.
With --attributes, the mean latent of the training images with each attribute minus the mean of those without it is saved,
too: a direction to edit along (Larsen et al. 2016).
"""

import genmodels.interrupts  # noqa: F401, so that Ctrl-C ends the other imports with a sentence, too

# isort: split

import argparse

import torch

from genmodels import VAEDecoder, VAEEncoder, VAEPipeline, losses
from genmodels.errors import UserError
from genmodels.hub.push import finish_run, require_write_access
from genmodels.hub.uploads import checkpoint_uploads
from genmodels.training import TrainingRun, add_common_arguments, at_least, in_range, parse_arguments, run_main
from genmodels.training.arguments import add_upsampling_argument, check_unused, layer_papers, require_classes


def parse_args() -> argparse.Namespace:
    """Flags of this script; the shared ones stand in genmodels/training/arguments.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model = parser.add_argument_group("model")
    model.add_argument(
        "--latent_dim", type=at_least(1), default=2, help="2 can be drawn as a map (default: %(default)s)"
    )
    model.add_argument("--base_channels", type=at_least(1), default=32, help="of both networks (default: %(default)s)")
    model.add_argument("--hidden_dim", type=at_least(1), default=256, help="of the dense layers (default: %(default)s)")
    add_upsampling_argument(model)
    model.add_argument(
        "--network",
        choices=("convolutional", "dense"),
        default="convolutional",
        help="dense: one hidden layer each, as in the paper, of SiLU for its tanh (default: %(default)s)",
    )
    model.add_argument("--conditional", action="store_true", help="give both networks the label")
    loss = parser.add_argument_group("objective")
    loss.add_argument("--likelihood", choices=("bernoulli", "gaussian"), default="bernoulli")
    loss.add_argument("--sigma", type=in_range(1e-3, 100), default=0.5, help="of the gaussian (default: %(default)s)")
    loss.add_argument(
        "--beta", type=in_range(0, 1000), default=1.0, help="weight of the KL term (default: %(default)s)"
    )
    loss.add_argument(
        "--importance_samples",
        type=at_least(1),
        default=1,
        metavar="K",
        help="latents drawn for each image; more than 1 make an importance weighted autoencoder (Burda et al. 2016, "
        "1509.00519; default: %(default)s)",
    )
    loss.add_argument("--learning_rate", type=in_range(0, 1), default=1e-3, help="(default: %(default)s)")
    latent = parser.add_argument_group("latent arithmetic")
    latent.add_argument(
        "--attributes", nargs="+", metavar="COLUMN", help="boolean columns to learn directions of, or all"
    )
    latent.add_argument(
        "--decorrelate", action="store_true", help="each attribute's direction with the others held fixed"
    )
    add_common_arguments(parser, output_dir="runs/vae", dataset_name="ylecun/mnist")
    # Its loss does not oscillate as a GAN's does: the last weights are the best.
    parser.set_defaults(train_batch_size=128, lr_scheduler="cosine", validation_steps=0)
    args = parse_arguments(parser)
    if args.likelihood == "bernoulli":
        check_unused(args, parser, ["sigma"], "is of the gaussian: add --likelihood gaussian")
    if args.network == "dense":
        check_unused(args, parser, ["base_channels", "upsampling"], "is of convolutions: leave out --network dense")
    if not args.attributes:
        check_unused(args, parser, ["decorrelate"], "is about attributes: add --attributes")
    return args


def main() -> None:
    args = parse_args()
    if args.conditional and args.attributes:
        raise UserError(
            "Attributes are learnt in the latent space of all images: leave out --conditional or --attributes."
        )
    if args.importance_samples > 1 and args.beta != 1:
        raise UserError("--importance_samples weights the KL term by itself: leave out --beta.")
    require_write_access(args)
    run = TrainingRun(args, on_checkpoint=checkpoint_uploads(args))
    if args.conditional:
        require_classes(run.data, "--conditional")

    shape = {
        "sample_size": run.data.sample_size,
        "num_channels": run.data.num_channels,
        "latent_dim": args.latent_dim,
        "base_channels": args.base_channels,
        "hidden_dim": args.hidden_dim,
        "network": args.network,
    }
    if args.conditional:
        shape |= {"num_classes": run.data.num_classes, "class_names": run.data.class_names}
    encoder = VAEEncoder(**shape)
    likelihood = {"likelihood": args.likelihood, "sigma": args.sigma, "beta": args.beta}
    decoder = VAEDecoder(upsampling=args.upsampling, **likelihood, **shape)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=args.learning_rate, fused=True)

    def draw_samples(pipe: VAEPipeline) -> list:
        if args.conditional:
            classes = min(pipe.num_classes, 10)
            return pipe(class_labels=pipe.class_names[:classes] * classes, seed=0).images
        return (pipe.traverse(steps=12) if args.latent_dim == 2 else pipe(num_images=64, seed=0)).images

    encoder, decoder = run.prepare(
        models={"encoder": encoder, "decoder": decoder},
        optimizers={"vae": optimizer},
        averaged=("encoder", "decoder"),
        make_pipeline=VAEPipeline,
        draw_samples=draw_samples,
        conditional=args.conditional,
        advice={"mode collapse": "the posterior has collapsed to the prior: try a lower --beta"},
    )

    draws = args.importance_samples

    def negative_bound(batch: dict[str, torch.Tensor]) -> tuple:
        """-log p(x | z) + beta KL(q(z | x) || p(z)), one z for each image, or the tighter bound of several; all given y if
        conditional."""
        images, labels = batch["pixel_values"], batch["class_labels"] if args.conditional else None
        mean, log_variance = encoder(images, labels)
        noise = torch.randn(len(mean), draws, args.latent_dim, device=run.device)
        latents = mean[:, None] + (0.5 * log_variance).exp()[:, None] * noise
        images, labels = (x if x is None else x.repeat_interleave(draws, 0) for x in (images, labels))
        logits = decoder(latents.flatten(0, 1), labels, return_logits=True)
        if args.likelihood == "bernoulli":
            log_likelihood = losses.bernoulli_log_likelihood(logits, images)
        else:
            log_likelihood = losses.gaussian_log_likelihood(logits, images, args.sigma)
        reconstruction, kl = -log_likelihood.mean(), losses.gaussian_kl(mean, log_variance)
        if draws > 1:
            loss = losses.importance_weighted_nll(log_likelihood.view(-1, draws), noise, latents, log_variance)
        else:
            loss = reconstruction + args.beta * kl
        return loss, {"loss": loss, "reconstruction": reconstruction, "kl": kl}

    for batch in run.steps():
        run.update(optimizer, negative_bound, batch)

    def learn_attributes(pipe: VAEPipeline) -> None:
        """Directions over the whole training split, by the final weights."""
        if not args.attributes:
            return
        try:
            pipe.learn_attributes(run.data.attribute_names, run.whole_split(), args.decorrelate)
        except ValueError as error:
            raise UserError(
                f"--attributes: {error} The training is saved: the same command with --resume_from_checkpoint latest and other "
                "--attributes, or without --decorrelate, goes on from there."
            ) from error

    kind = "Importance weighted" if draws > 1 else "Variational"
    kind = f"Conditional {kind.lower()}" if args.conditional else kind
    papers = [
        "1312.6114",
        *(["1509.00519"] if draws > 1 else []),
        *(["1406.5298"] if args.conditional else []),
        *(["1512.09300"] if args.attributes else []),
    ]
    papers += layer_papers(args)
    title = f"{kind} autoencoder, {args.latent_dim}-D latent"
    finish_run(run, title=title, papers=papers, complete=learn_attributes)


if __name__ == "__main__":
    run_main(main)
