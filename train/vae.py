# /// script
# requires-python = ">=3.11"
# dependencies = ["genmodels[train] @ git+https://github.com/genmodels/genmodels"]
# [tool.hf-jobs]
# flavor = "t4-small"
# timeout = "2h"
# secrets = ["HF_TOKEN"]
# ///
"""Train a variational autoencoder (Kingma, Welling 2014, https://arxiv.org/abs/1312.6114).

    accelerate launch train/vae.py
    accelerate launch train/vae.py --latent_dim 16 --output_dir runs/vae-16
    accelerate launch train/vae.py --conditional --latent_dim 16 --output_dir runs/cvae
    accelerate launch train/vae.py --network dense --hidden_dim 400 --latent_dim 40 --importance_samples 50
    accelerate launch train/vae.py --dataset_name flwrlabs/celeba --resolution 64 --random_flip --likelihood gaussian \\
        --sigma 0.3 --latent_dim 64 --base_channels 24 --hidden_dim 128 --attributes Smiling Eyeglasses Male

Minimises -log p(x | z) + beta KL(q(z | x) || p(z)), z drawn from q by the reparameterisation trick: with beta 1 the negative
evidence lower bound, with more a smoother latent space (Higgins et al. 2017). --importance_samples K draws K of them, for the
tighter bound of the importance weighted autoencoder (Burda et al. 2016, https://arxiv.org/abs/1509.00519).
With --conditional both networks see the label, p(x | z, y) and q(z | x, y) (M2 of Kingma et al. 2014,
https://arxiv.org/abs/1406.5298): it draws a wanted class, and classifies by which class explains best. --attributes saves
directions to edit along: mean latents of the images with an attribute minus those without (Larsen et al. 2016).
"""

if __name__ == "__main__":
    from genmodels.interrupts import leave_at_ctrl_c

    leave_at_ctrl_c()

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from genmodels import VAEDecoder, VAEEncoder, VAEPipeline, losses
from genmodels.training import TrainingRun, main, options, publish_run
from genmodels.training.config import model, objective

SAMPLES = "latents drawn for each image: more than 1 make an importance weighted autoencoder (Burda et al., 1509.00519)"
DENSE = "dense: one hidden layer each, as in the paper, of SiLU for its tanh"


@dataclass(kw_only=True)
class Config(options.AutoencoderConfig, options.AttributesConfig):
    network: str = model("convolutional", DENSE, choices=("convolutional", "dense"))
    conditional: bool = model(False, "give both networks the label")
    likelihood: str = objective("bernoulli", choices=("bernoulli", "gaussian"))
    sigma: float = objective(0.5, "of the gaussian", low=1e-3, high=100)
    beta: float = objective(1.0, "weight of the KL term", low=0, high=1000)
    importance_samples: int = objective(1, SAMPLES, low=1, metavar="K")
    output_dir: str = "runs/vae"

    def check(self) -> None:
        super().check()
        if self.likelihood == "bernoulli":
            self.refuse("is of the gaussian: add --likelihood gaussian", "sigma")
        if self.network == "dense":
            self.refuse("is of convolutions: leave out --network dense", "base_channels", "upsampling")
        if self.conditional and self.attributes:
            self.wrong(
                "Attributes are learnt in the latent space of all images: leave out --conditional or --attributes."
            )
        if self.importance_samples > 1 and self.beta != 1:
            self.wrong("--importance_samples weights the KL term by itself: leave out --beta.")


def train(run: TrainingRun[Config]) -> Path:
    config = run.config
    shape = run.shape(classes_for="--conditional" if config.conditional else "")
    shape |= {name: getattr(config, name) for name in ("latent_dim", "base_channels", "hidden_dim", "network")}
    encoder = VAEEncoder(**shape)
    likelihood = {name: getattr(config, name) for name in ("likelihood", "sigma", "beta")}
    decoder = VAEDecoder(upsampling=config.upsampling, **likelihood, **shape)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=config.learning_rate, fused=True)
    encoder, decoder = run.prepare(
        models={"encoder": encoder, "decoder": decoder},
        optimizers={"vae": optimizer},
        make_pipeline=VAEPipeline,
        conditional=config.conditional,
        advice={"mode collapse": "the posterior has collapsed to the prior: try a lower --beta"},
    )
    draws = config.importance_samples

    def negative_bound(batch: dict[str, torch.Tensor]) -> tuple:
        """-log p(x | z) + beta KL(q(z | x) || p(z)), one z for each image, or the tighter bound of several; all given y."""
        images, labels = batch["pixel_values"], batch["class_labels"] if config.conditional else None
        mean, log_variance = encoder(images, labels)
        noise = torch.randn(len(mean), draws, config.latent_dim, device=run.device)
        latents = mean[:, None] + (0.5 * log_variance).exp()[:, None] * noise
        images, labels = (x if x is None else x.repeat_interleave(draws, 0) for x in (images, labels))
        logits = decoder(latents.flatten(0, 1), labels, return_logits=True)
        if config.likelihood == "bernoulli":
            log_likelihood = losses.bernoulli_log_likelihood(logits, images)
        else:
            log_likelihood = losses.gaussian_log_likelihood(logits, images, config.sigma)
        reconstruction, kl = -log_likelihood.mean(), losses.gaussian_kl(mean, log_variance)
        if draws > 1:
            loss = losses.importance_weighted_nll(log_likelihood.view(-1, draws), noise, latents, log_variance)
        else:
            loss = reconstruction + config.beta * kl
        return loss, {"loss": loss, "reconstruction": reconstruction, "kl": kl}

    for batch in run.steps():
        run.update(optimizer, negative_bound, batch)

    kind = "Importance weighted" if draws > 1 else "Variational"
    kind = f"Conditional {kind.lower()}" if config.conditional else kind
    extensions = {"1509.00519": draws > 1, "1406.5298": config.conditional, "1512.09300": config.attributes}
    papers = ["1312.6114", *(paper for paper, used in extensions.items() if used), *options.layer_papers(config)]
    title = f"{kind} autoencoder, {config.latent_dim}-D latent"
    return publish_run(run, title=title, papers=papers, complete=partial(options.complete_latents, run))


if __name__ == "__main__":
    main(Config, train)
