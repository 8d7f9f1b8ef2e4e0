# /// script
# requires-python = ">=3.11"
# dependencies = ["genmodels[train] @ git+https://github.com/genmodels/genmodels"]
# [tool.hf-jobs]
# flavor = "t4-small"
# timeout = "2h"
# secrets = ["HF_TOKEN"]
# ///
"""Train the first GAN, of dense layers alone (Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661).

    accelerate launch train/gan.py
    accelerate launch train/gan.py --preset classic --loss nonsaturating --optimizer adam --learning_rate 2e-4
    accelerate launch train/gan.py --dataset_name zoo:mnist-sample --max_train_steps 500

Two recipes. "classic" is that of the paper and its code: one hidden layer in the discriminator and two in the generator, the
minimax loss, and gradient descent whose momentum rises while its rate falls. "deep" is what is usually taught since: three
hidden layers, LeakyReLU, BatchNorm in the generator, the non-saturating loss, Adam, and one-sided label smoothing.
"""

if __name__ == "__main__":
    from genmodels.interrupts import leave_at_ctrl_c

    leave_at_ctrl_c()

from dataclasses import dataclass
from pathlib import Path

import torch

from genmodels import VanillaGANDiscriminator, VanillaGANGenerator, VanillaGANPipeline, losses
from genmodels.adversarial import AdversarialStep, latents_for
from genmodels.training import TrainingRun, main, options, publish_run
from genmodels.training.config import model, objective, setting
from genmodels.training.stabilisers import StabiliserConfig, Stabilisers

# What differs from the defaults.
CLASSIC = {
    **{"generator_dims": [1200, 1200], "generator_slope": 0.0, "generator_norm": "none", "discriminator_dims": [240]},
    **{"loss": "minimax", "label_smoothing": 0.0, "dropout": 0.5, "optimizer": "sgd", "learning_rate": 0.1},
    **{"lr_scheduler": "exponential", "train_batch_size": 100, **options.AS_PUBLISHED},
}
# Of --optimizer sgd, at the beginning and after --momentum_steps.
MOMENTUM = (0.5, 0.7)
# What cures what the monitor may find.
WGAN = "try --preset deep, the default, and if it was that, train/wgan.py --gradient_penalty"
ADVICE = dict.fromkeys(("mode collapse", "missing classes"), WGAN)
ADVICE["discriminator winning"] = "try --dropout 0.6, or smaller --discriminator_dims"


@dataclass(kw_only=True)
class Config(options.HeadroomConfig, options.AdamConfig, StabiliserConfig):
    PRESETS = {"deep": {}, "classic": CLASSIC}

    preset: str = setting("deep", "the recipe", choices=("deep", "classic"))
    latent_dim: int = model(100, low=1)
    generator_dims: list[int] = model([256, 512, 1024], low=1, metavar="HIDDEN")
    generator_slope: float = model(0.2, "0 is ReLU", low=0, high=0.9)
    generator_norm: str = model("batch", choices=("batch", "none"))
    discriminator_dims: list[int] = model([1024, 512, 256], low=1, metavar="HIDDEN")
    loss: str = objective("nonsaturating", choices=("minimax", "nonsaturating", "relativistic"))
    optimizer: str = objective("adam", choices=("adam", "sgd"))
    learning_rate: float = 2e-4
    adam_beta1: float = 0.5
    adam_beta2: float = 0.999
    momentum_steps: int = objective(10_000, "with sgd: steps in which momentum rises from 0.5 to 0.7", low=1)
    dropout: float = 0.3
    label_smoothing: float = 0.1
    lr_scheduler: str = "trapezoid"
    output_dir: str = "runs/gan"

    def check(self) -> None:
        super().check()
        if self.optimizer == "adam":
            self.refuse("is of gradient descent: add --optimizer sgd", "momentum_steps")
        else:
            self.refuse("is of Adam: add --optimizer adam", "adam_beta1", "adam_beta2")


def train(run: TrainingRun[Config]) -> Path:
    config, stabilise = run.config, Stabilisers(run)
    generator = VanillaGANGenerator(
        latent_dim=config.latent_dim,
        hidden_dims=config.generator_dims,
        negative_slope=config.generator_slope,
        norm=config.generator_norm,
        headroom=config.headroom,
        **run.shape(),
    )
    discriminator = VanillaGANDiscriminator(hidden_dims=config.discriminator_dims, **stabilise.layers, **run.shape())
    if config.optimizer == "sgd":
        optimizer_g = torch.optim.SGD(generator.parameters(), lr=config.learning_rate, momentum=MOMENTUM[0])
        optimizer_d = torch.optim.SGD(discriminator.parameters(), lr=stabilise.learning_rate, momentum=MOMENTUM[0])
    else:
        optimizer_g, optimizer_d = config.adam(generator), config.adam(discriminator, stabilise.learning_rate)
    generator, discriminator = run.prepare(
        models={"generator": generator, "discriminator": discriminator},
        optimizers={"generator": optimizer_g, "discriminator": optimizer_d},
        make_pipeline=VanillaGANPipeline,
        advice=ADVICE,
    )
    step = AdversarialStep(
        losses.ADVERSARIAL[config.loss],
        draw=lambda batch: generator(latents_for(batch, config.latent_dim)),
        judge=lambda images, _: (*discriminator(images, return_features=True), 0.0),
        regularization=stabilise,
    )
    for batch in run.steps():
        if config.optimizer == "sgd":
            low, high = MOMENTUM
            for optimizer in (optimizer_g, optimizer_d):
                optimizer.param_groups[0]["momentum"] = low + (high - low) * min(1.0, run.step / config.momentum_steps)
        run.update(optimizer_d, step.discriminator_loss, batch)
        run.update(optimizer_g, step.generator_loss, batch)

    papers = list(dict.fromkeys(["1406.2661", step.objective.paper, *stabilise.papers]))
    return publish_run(run, title=f"Vanilla GAN ({config.preset} recipe)", papers=papers)


if __name__ == "__main__":
    main(Config, train)
