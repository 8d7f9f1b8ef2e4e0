# /// script
# requires-python = ">=3.11"
# dependencies = ["genmodels[train] @ git+https://github.com/genmodels/genmodels"]
# [tool.hf-jobs]
# flavor = "t4-small"
# timeout = "2h"
# secrets = ["HF_TOKEN"]
# ///
"""Train a conditional GAN (Mirza, Osindero 2014, https://arxiv.org/abs/1411.1784).

    accelerate launch train/cgan.py
    accelerate launch train/cgan.py --dataset_name zoo:mnist-sample --max_train_steps 500
    accelerate launch train/cgan.py --dataset_name uoft-cs/cifar10 --base_channels 64 --random_flip --auxiliary_classifier
    accelerate launch train/cgan.py --preset classic

Three recipes. "r3gan" pairs each fake with a real image and penalises the discriminator's gradient on both (Huang et al. 2024,
https://arxiv.org/abs/2501.05441). "wgan-gp" has a critic whose slope is held near 1 (Gulrajani et al. 2017,
https://arxiv.org/abs/1704.00028). "classic" is the usual one: it reaches 100% class accuracy with ten identical digits per class.

--auxiliary_classifier is for richer images: the discriminator also learns to name the class of real images, and the generator to
have its own named rightly (Odena et al. 2017, https://arxiv.org/abs/1610.09585).
"""

if __name__ == "__main__":
    from genmodels.interrupts import leave_at_ctrl_c

    leave_at_ctrl_c()

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional as F

from genmodels import CGANDiscriminator, CGANGenerator, CGANPipeline, losses
from genmodels.adversarial import AdversarialStep, latents_for
from genmodels.training import TrainingRun, main, options, publish_run
from genmodels.training.config import model, objective, setting
from genmodels.training.optimization import split_batch
from genmodels.training.stabilisers import StabiliserConfig, Stabilisers

# What differs from the defaults.
WGAN_GP = {"loss": "wasserstein", "r1": 0.0, "r2": 0.0, "critic_steps": 3, "learning_rate": 5e-4}
CLASSIC = {"loss": "nonsaturating", "r1": 0.0, "r2": 0.0, **options.ADAM_OF_DCGAN, **options.AS_PUBLISHED}
AUXILIARY = "of the class's cross-entropy in both losses (without a number: 0.2)"
# What cures what the monitor may find.
ADVICE = {
    "mode collapse": "try --loss relativistic --r1 0.5 --r2 0.5",
    "discriminator winning": "try --r1 1 --r2 1, or a lower --discriminator_channels",
}


@dataclass(kw_only=True)
class Config(options.CriticStepsConfig, options.LayersConfig, options.AdamConfig, StabiliserConfig):
    PRESETS = {"r3gan": {}, "wgan-gp": WGAN_GP, "classic": CLASSIC}

    preset: str = setting("r3gan", "the recipe", choices=("r3gan", "wgan-gp", "classic"))
    base_channels: int = 32
    discriminator_channels: int = model(64, "of the discriminator", low=1)
    loss: str = objective("relativistic", choices=("relativistic", "nonsaturating", "wasserstein"))
    gradient_penalty: float = objective(10.0, "on slopes other than 1, of a critic", low=0, high=1000, metavar="LAMBDA")
    auxiliary_classifier: float = objective(0.0, AUXILIARY, low=0, high=100, const=0.2, metavar="WEIGHT")
    r1: float = 0.2
    r2: float = 0.2
    lr_scheduler: str = "trapezoid"
    output_dir: str = "runs/cgan"

    def check(self) -> None:
        super().check()
        if self.loss != "wasserstein":
            self.refuse("is of a critic: add --preset wgan-gp, or give --r1 and --r2", "gradient_penalty")
        elif not (self.gradient_penalty or self.spectral_norm or self.r1 or self.r2):
            self.wrong("Nothing bounds the critic's slope: give --gradient_penalty 10 or --spectral_norm.")


def train(run: TrainingRun[Config]) -> Path:
    config, stabilise = run.config, Stabilisers(run)
    shape = run.shape(classes_for="A conditional GAN")
    generator = CGANGenerator(**config.generator, **shape)
    # BatchNorm only without penalties, which are defined per image.
    norm = "none" if config.r1 or config.r2 or config.loss == "wasserstein" else "batch"
    layers = {"auxiliary_classifier": config.auxiliary_classifier > 0, **config.depth, **stabilise.layers}
    discriminator = CGANDiscriminator(norm=norm, base_channels=config.discriminator_channels, **layers, **shape)
    optimizer_g, optimizer_d = config.adam(generator), config.adam(discriminator, stabilise.learning_rate)
    generator, discriminator = run.prepare(
        models={"generator": generator, "discriminator": discriminator},
        optimizers={"generator": optimizer_g, "discriminator": optimizer_d},
        make_pipeline=CGANPipeline,
        conditional=True,
        advice=ADVICE,
    )

    def draw(batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return generator(latents_for(batch, config.latent_dim), batch["class_labels"])

    def judge(images: torch.Tensor, batch: dict[str, torch.Tensor]) -> tuple:
        """Scores, hidden features, and the weighted -log p(class | image)."""
        labels, weight = batch["class_labels"], config.auxiliary_classifier
        wanted = {"return_features": True, **({"return_class_logits": True} if weight else {})}
        scores, features, *logits = discriminator(images, labels, **wanted)
        return scores, features, weight * F.cross_entropy(*logits, labels) if weight else 0.0

    step = AdversarialStep(losses.ADVERSARIAL[config.loss], draw, judge, stabilise)
    for batch in run.steps():
        for part in split_batch(batch, config.critic_steps):
            run.update(optimizer_d, step.discriminator_loss, part)
        run.update(optimizer_g, step.generator_loss, part)

    papers = ["1411.1784", step.objective.paper, *(["1704.00028"] if stabilise.slope_penalty else []), "1511.06434"]
    papers += [
        *(["1610.09585"] if config.auxiliary_classifier else []),
        *stabilise.papers,
        *options.layer_papers(config),
    ]
    title = "Conditional GAN with a Wasserstein critic" if config.loss == "wasserstein" else "Conditional GAN"
    return publish_run(run, title=title, papers=papers)


if __name__ == "__main__":
    main(Config, train)
