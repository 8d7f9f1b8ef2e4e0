"""Train an autoencoder (Hinton, Salakhutdinov 2006, https://doi.org/10.1126/science.1127647), or one that removes noise.

    accelerate launch train/autoencoder.py
    accelerate launch train/autoencoder.py --latent_dim 32 --output_dir runs/autoencoder-32
    accelerate launch train/autoencoder.py --noise 0.5 --latent_dim 32 --output_dir runs/denoiser
    accelerate launch train/autoencoder.py --dataset_name uoft-cs/cifar10 --latent_dim 128

Minimises |x - decoder(encoder(x))|^2 through a bottleneck. With --noise the encoder sees x + noise, and the target stays
clean (Vincent et al. 2008, https://doi.org/10.1145/1390156.1390294). In the end the latents are whitened: mean 0, covariance I.
"""

import genmodels.interrupts  # noqa: F401, so that Ctrl-C ends the other imports with a sentence, too

# isort: split

import argparse
from functools import cache

import torch

from genmodels import AutoencoderDecoder, AutoencoderEncoder, AutoencoderPipeline, losses
from genmodels.hub.cards import is_celeba
from genmodels.hub.push import finish_run, require_write_access
from genmodels.hub.uploads import checkpoint_uploads
from genmodels.pipelines import add_noise
from genmodels.pipelines.base import to_pil
from genmodels.training import TrainingRun, add_common_arguments, at_least, in_range, parse_arguments, run_main
from genmodels.training.arguments import add_upsampling_argument, layer_papers

# Training images that whiten the latents.
BANK = 2048


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
    loss = parser.add_argument_group("objective")
    loss.add_argument(
        "--noise",
        type=in_range(0, 2),
        default=0.0,
        help="standard deviation of Gaussian noise on the inputs, whose brightness is 0 to 1; the sample grids then show "
        "training images, noisy and denoised in turn, but for CelebA's, which may not be shown (default: %(default)s)",
    )
    loss.add_argument("--learning_rate", type=in_range(0, 1), default=1e-3, help="(default: %(default)s)")
    add_common_arguments(parser, output_dir="runs/autoencoder", dataset_name="ylecun/mnist")
    # Its loss does not oscillate as a GAN's does: the last weights are the best.
    parser.set_defaults(train_batch_size=128, lr_scheduler="cosine", validation_steps=0)
    return parse_arguments(parser)


def main() -> None:
    args = parse_args()
    require_write_access(args)
    run = TrainingRun(args, on_checkpoint=checkpoint_uploads(args))

    shape = {
        "sample_size": run.data.sample_size,
        "num_channels": run.data.num_channels,
        "latent_dim": args.latent_dim,
        "base_channels": args.base_channels,
        "hidden_dim": args.hidden_dim,
    }
    encoder = AutoencoderEncoder(noise=args.noise, **shape)
    decoder = AutoencoderDecoder(upsampling=args.upsampling, **shape)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=args.learning_rate, fused=True)

    def make_pipeline(**networks) -> AutoencoderPipeline:
        pipe = AutoencoderPipeline(**networks)
        # One image has no covariance.
        return pipe.whiten(bank()) if len(bank()) > 1 else pipe

    @cache
    def bank() -> torch.Tensor:
        """Training images as the encoder sees them, the same ones every time."""
        images = run.data.sample(BANK)[0].float() / 127.5 - 1
        return add_noise(images, args.noise, torch.Generator().manual_seed(args.seed))

    def draw_samples(pipe: AutoencoderPipeline) -> list:
        if args.noise and not is_celeba(args.dataset_name):
            noisy = bank()[:32]
            rows = zip(noisy.split(8), pipe.denoise(noisy, "pt").images.split(8), strict=True)
            return to_pil(torch.cat([images for row in rows for images in row]))
        return (pipe.traverse(steps=12) if args.latent_dim == 2 else pipe(num_images=64, seed=0)).images

    encoder, decoder = run.prepare(
        models={"encoder": encoder, "decoder": decoder},
        optimizers={"autoencoder": optimizer},
        averaged=("encoder", "decoder"),
        make_pipeline=make_pipeline,
        draw_samples=draw_samples,
        advice={
            "mode collapse": "try a lower --learning_rate",
            "missing classes": "no autoencoder promises to fill its latent space, but train/vae.py does",
        },
    )

    def reconstruction_error(batch: dict[str, torch.Tensor]) -> tuple:
        """|x - decoder(encoder(x + noise))|^2 per pixel."""
        images = batch["pixel_values"]
        seen = add_noise(images, args.noise) if args.noise else images
        loss = losses.mean_squared_error(decoder(encoder(seen)), images)
        return loss, {"loss": loss}

    for batch in run.steps():
        run.update(optimizer, reconstruction_error, batch)

    if args.noise:
        title, papers = (
            f"Denoising autoencoder, noise {args.noise:g}, {args.latent_dim}-D latent",
            ["10.1145/1390156.1390294"],
        )
    else:
        title, papers = f"Autoencoder, {args.latent_dim}-D latent", ["10.1126/science.1127647"]
    finish_run(run, title=title, papers=[*papers, *layer_papers(args)], noise=args.noise)


if __name__ == "__main__":
    run_main(main)
