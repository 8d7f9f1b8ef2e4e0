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
    accelerate launch train/vae.py --dataset_name flwrlabs/celeba --resolution 64 --likelihood gaussian --sigma 0.8 \\
        --latent_dim 128 --adversarial --upsampling nearest --attributes Smiling Eyeglasses Male

Minimises -log p(x | z) + beta KL(q(z | x) || p(z)), z drawn from q by the reparameterisation trick: with beta 1 the negative
evidence lower bound, with more a smoother latent space (Higgins et al. 2017). --importance_samples K draws K of them, for the
tighter bound of the importance weighted autoencoder (Burda et al. 2016, https://arxiv.org/abs/1509.00519).
With --conditional both networks see the label, p(x | z, y) and q(z | x, y) (M2 of Kingma et al. 2014,
https://arxiv.org/abs/1406.5298): it draws a wanted class, and classifies by which class explains best. --adversarial adds a
discriminator, whose hidden layer compares images, too: sharp where a VAE alone is blurred. --attributes saves directions to edit
along: mean latents of images with an attribute minus those without (both: Larsen et al. 2016, https://arxiv.org/abs/1512.09300).
"""

if __name__ == "__main__":
    from genmodels.interrupts import leave_at_ctrl_c

    leave_at_ctrl_c()

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from genmodels import DCGANDiscriminator, VAEDecoder, VAEEncoder, VAEPipeline, losses
from genmodels.training import TrainingRun, main, options, publish_run
from genmodels.training.config import model, objective
from genmodels.training.stabilisers import AdversaryConfig, Stabilisers
from genmodels.variational import VAEGANStep, VariationalStep

SAMPLES = "latents drawn for each image: more than 1 make an importance weighted autoencoder (Burda et al., 1509.00519)"
DENSE = "dense: one hidden layer each, as in the paper, of SiLU for its tanh"


@dataclass(kw_only=True)
class Config(options.AutoencoderConfig, options.AttributesConfig, AdversaryConfig):
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
        if self.importance_samples > 1 and self.adversarial:
            self.wrong("The discriminator judges one image for each: leave out --importance_samples.")


def train(run: TrainingRun[Config]) -> Path:
    config = run.config
    shape = run.shape(classes_for="--conditional" if config.conditional else "")
    shape |= {name: getattr(config, name) for name in ("latent_dim", "base_channels", "hidden_dim", "network")}
    encoder = VAEEncoder(**shape)
    likelihood = {name: getattr(config, name) for name in ("likelihood", "sigma", "beta")}
    decoder = VAEDecoder(upsampling=config.upsampling, **likelihood, **shape)
    networks, stabilise = {"encoder": encoder, "decoder": decoder}, Stabilisers(run)
    optimizers = {"vae": config.adam(encoder, decoder)}
    if config.adversarial:
        size = {name: shape[name] for name in ("sample_size", "num_channels", "base_channels")}
        networks["discriminator"] = DCGANDiscriminator(norm="none", **size, **stabilise.layers)
        optimizers["discriminator"] = config.adam(networks["discriminator"], rate=stabilise.learning_rate)
    encoder, decoder, *discriminator = run.prepare(
        models=networks,
        optimizers=optimizers,
        make_pipeline=lambda discriminator=None, **parts: VAEPipeline(**parts),
        conditional=config.conditional,
        advice={"mode collapse": "the posterior has collapsed to the prior: try a lower --beta"},
    )
    log_likelihood, draws = losses.bernoulli_log_likelihood, config.importance_samples
    if config.likelihood == "gaussian":
        log_likelihood = partial(losses.gaussian_log_likelihood, sigma=config.sigma)
    step = VariationalStep(encoder, decoder, log_likelihood, config.beta, draws, config.conditional)
    if discriminator:
        step = VAEGANStep(step, *discriminator, losses.ADVERSARIAL[config.loss], stabilise, config.adversarial)
    for batch in run.steps():
        if discriminator:
            run.update(optimizers["discriminator"], step.discriminator_loss, batch)
        run.update(optimizers["vae"], step.loss, batch)

    kind = "Importance weighted" if draws > 1 else "Variational"
    kind = f"Conditional {kind.lower()}" if config.conditional else kind
    extensions = {"1509.00519": draws > 1, "1406.5298": config.conditional, "2501.05441": config.adversarial}
    extensions["1512.09300"] = config.attributes or config.adversarial
    papers = ["1312.6114", *(paper for paper, used in extensions.items() if used), *options.layer_papers(config)]
    title = f"{kind} autoencoder{' with a discriminator' * (config.adversarial > 0)}, {config.latent_dim}-D latent"
    return publish_run(run, title=title, papers=papers, complete=partial(options.complete_latents, run))


if __name__ == "__main__":
    main(Config, train)
