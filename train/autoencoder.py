# /// script
# requires-python = ">=3.11"
# dependencies = ["genmodels[train] @ git+https://github.com/genmodels/genmodels"]
# [tool.hf-jobs]
# flavor = "t4-small"
# timeout = "2h"
# secrets = ["HF_TOKEN"]
# ///
"""Train an autoencoder (Hinton, Salakhutdinov 2006, https://doi.org/10.1126/science.1127647), or one that removes noise.

    accelerate launch train/autoencoder.py
    accelerate launch train/autoencoder.py --latent_dim 32 --output_dir runs/autoencoder-32
    accelerate launch train/autoencoder.py --noise 0.5 --latent_dim 32 --output_dir runs/denoiser
    accelerate launch train/autoencoder.py --dataset_name uoft-cs/cifar10 --latent_dim 128

Minimises |x - decoder(encoder(x))|^2 through a bottleneck. With --noise the encoder sees x + noise, and the target stays
clean (Vincent et al. 2008, https://doi.org/10.1145/1390156.1390294). In the end the latents are whitened: mean 0, covariance I.
"""

if __name__ == "__main__":
    from genmodels.interrupts import leave_at_ctrl_c

    leave_at_ctrl_c()

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch

from genmodels import AutoencoderDecoder, AutoencoderEncoder, AutoencoderPipeline, losses
from genmodels.hub.cards import is_celeba
from genmodels.pipelines.autoencoder import add_noise
from genmodels.pixels import to_pil
from genmodels.training import TrainingRun, main, options, publish_run, sample_grid
from genmodels.training.config import objective

# Training images that whiten the latents.
BANK = 2048
NOISE = (
    "standard deviation of Gaussian noise on the inputs, whose brightness is 0 to 1; the sample grids then show "
    "training images, noisy and denoised in turn, but for CelebA's, which may not be shown"
)


@dataclass(kw_only=True)
class Config(options.AutoencoderConfig):
    noise: float = objective(0.0, NOISE, low=0, high=2)
    output_dir: str = "runs/autoencoder"


def train(run: TrainingRun[Config]) -> Path:
    config = run.config
    sizes = {name: getattr(config, name) for name in ("latent_dim", "base_channels", "hidden_dim")}
    encoder = AutoencoderEncoder(noise=config.noise, **run.shape(), **sizes)
    decoder = AutoencoderDecoder(upsampling=config.upsampling, **run.shape(), **sizes)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=config.learning_rate, fused=True)

    def make_pipeline(**networks) -> AutoencoderPipeline:
        pipe = AutoencoderPipeline(**networks)
        # One image has no covariance.
        return pipe.whiten(bank()) if len(bank()) > 1 else pipe

    @cache
    def bank() -> torch.Tensor:
        """Training images as the encoder sees them, the same ones every time."""
        images = run.data.sample(BANK)[0].float() / 127.5 - 1
        return add_noise(images, config.noise, torch.Generator().manual_seed(config.seed))

    def draw_samples(pipe: AutoencoderPipeline) -> list:
        if config.noise and not is_celeba(config.dataset_name):
            noisy = bank()[:32]
            rows = zip(noisy.split(8), pipe.denoise(noisy, "pt").images.split(8), strict=True)
            return to_pil(torch.cat([images for row in rows for images in row]))
        return sample_grid(pipe)

    encoder, decoder = run.prepare(
        models={"encoder": encoder, "decoder": decoder},
        optimizers={"autoencoder": optimizer},
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
        seen = add_noise(images, config.noise) if config.noise else images
        loss = losses.mean_squared_error(decoder(encoder(seen)), images)
        return loss, {"loss": loss}

    for batch in run.steps():
        run.update(optimizer, reconstruction_error, batch)

    kind = f"Denoising autoencoder, noise {config.noise:g}" if config.noise else "Autoencoder"
    papers = ["10.1145/1390156.1390294" if config.noise else "10.1126/science.1127647", *options.layer_papers(config)]
    options_of = {"noise": config.noise, "complete": partial(options.complete_latents, run)}
    return publish_run(run, title=f"{kind}, {config.latent_dim}-D latent", papers=papers, **options_of)


if __name__ == "__main__":
    main(Config, train)
