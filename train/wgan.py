# /// script
# requires-python = ">=3.11"
# dependencies = ["genmodels[train] @ git+https://github.com/genmodels/genmodels"]
# [tool.hf-jobs]
# flavor = "t4-small"
# timeout = "2h"
# secrets = ["HF_TOKEN"]
# ///
"""Train a Wasserstein GAN, with clipped weights (Arjovsky et al. 2017, https://arxiv.org/abs/1701.07875) or with a gradient
penalty (Gulrajani et al. 2017, https://arxiv.org/abs/1704.00028), or with --spectral_norm.

    accelerate launch train/wgan.py
    accelerate launch train/wgan.py --gradient_penalty
    accelerate launch train/wgan.py --gradient_penalty 10 --dataset_name uoft-cs/cifar10 --classes frog --random_flip
    accelerate launch train/wgan.py --gradient_penalty --dataset_name zoo:mnist-sample --max_train_steps 200

A step is one update of the generator after --critic_steps of the critic, each on images of its own. The logged
`wasserstein_estimate`, how much higher the critic scores real images, falls as the generated ones get better.
"""

if __name__ == "__main__":
    from genmodels.interrupts import leave_at_ctrl_c

    leave_at_ctrl_c()

from dataclasses import dataclass
from pathlib import Path

import torch

from genmodels import DCGANDiscriminator, DCGANGenerator, WGANPipeline, losses
from genmodels.adversarial import AdversarialStep, latents_for
from genmodels.training import TrainingRun, main, options, publish_run
from genmodels.training.config import model, objective
from genmodels.training.optimization import split_batch
from genmodels.training.stabilisers import NOT_OF_CRITICS, StabiliserConfig, Stabilisers

# What --gradient_penalty or --spectral_norm change in the defaults; headroom without them is that of the paper.
CLIPPED, UNCLIPPED = {"headroom": 0.0}, {"weight_clip": 0.0, "critic_norm": "none", "learning_rate": 1e-4}
PENALTY = "penalise critic slopes other than 1, with Adam, instead of clipping, with RMSprop (without a number: 10)"
# What cures what the monitor may find.
ADVICE = dict.fromkeys(("mode collapse", "missing classes"), "try --gradient_penalty 10, or more --critic_steps")


@dataclass(kw_only=True)
class Config(options.CriticStepsConfig, options.LayersConfig, options.AdamConfig, StabiliserConfig):
    ABSENT = ("loss", *NOT_OF_CRITICS)

    critic_channels: int | None = model(None, "(default: those of the generator)", low=1)
    critic_norm: str = model("batch", "none with a penalty", choices=("batch", "none"))
    gradient_penalty: float = objective(0.0, PENALTY, low=0, high=1000, const=10.0, metavar="LAMBDA")
    weight_clip: float = objective(0.01, "of the critic", low=0, high=10)
    critic_steps: int = 5
    learning_rate: float = objective(5e-5, "(default: 5e-05, with Adam 1e-4)", low=0, high=1)
    adam_beta2: float = 0.9
    output_dir: str = "runs/wgan"

    @classmethod
    def defaults(cls, chosen: dict) -> dict:
        unclipped = chosen.get("gradient_penalty") or chosen.get("spectral_norm")
        return super().defaults(chosen) | (UNCLIPPED if unclipped else CLIPPED)

    def check(self) -> None:
        super().check()
        if self.weight_clip:
            self.refuse("is of Adam, and clipping goes with RMSprop: leave it out", "adam_beta1", "adam_beta2")
        if sum(map(bool, (self.gradient_penalty, self.weight_clip, self.spectral_norm))) != 1:
            bounds = "either --gradient_penalty or --weight_clip or --spectral_norm"
            self.wrong(f"The critic's slope is bounded in one way: give {bounds}.")
        if self.critic_norm == "batch" and not self.weight_clip:
            why = "BatchNorm makes a score depend on the whole batch, and undoes a bound on the layers' slopes"
            bounds = "--gradient_penalty or --spectral_norm"
            self.wrong(f"{why}: give --critic_norm none, or --weight_clip instead of {bounds}.")


class CriticStep(AdversarialStep):
    def figures(self, loss, penalty, slope, real_scores, fake_scores) -> dict[str, torch.Tensor]:
        bound = {"penalty": slope} if self.regularization.slope_penalty else {}
        return {"wasserstein_estimate": -loss, **bound}


def train(run: TrainingRun[Config]) -> Path:
    config, stabilise = run.config, Stabilisers(run)
    generator = DCGANGenerator(**config.generator, **run.shape())
    channels = config.critic_channels or config.base_channels
    layers = {"norm": config.critic_norm, **config.depth, **stabilise.layers}
    critic = DCGANDiscriminator(base_channels=channels, **layers, **run.shape())
    weights = list(critic.parameters())
    if config.weight_clip:
        optimizer_g = torch.optim.RMSprop(generator.parameters(), lr=config.learning_rate)
        optimizer_c = torch.optim.RMSprop(weights, lr=stabilise.learning_rate)
    else:
        optimizer_g, optimizer_c = config.adam(generator), config.adam(critic, stabilise.learning_rate)
    generator, critic = run.prepare(
        models={"generator": generator, "discriminator": critic},
        optimizers={"generator": optimizer_g, "critic": optimizer_c},
        make_pipeline=WGANPipeline,
        advice=ADVICE,
    )
    step = CriticStep(
        losses.ADVERSARIAL["wasserstein"],
        draw=lambda batch: generator(latents_for(batch, config.latent_dim)),
        judge=lambda images, _: (*critic(images, return_features=True), 0.0),
        regularization=stabilise,
    )
    for batch in run.steps():
        for part in split_batch(batch, config.critic_steps):
            run.update(optimizer_c, step.discriminator_loss, part)
            if config.weight_clip:
                losses.clip_weights(weights, config.weight_clip)
        run.update(optimizer_g, step.generator_loss, part)

    bound = "weight clipping" if config.weight_clip else "spectral norm" if config.spectral_norm else "gradient penalty"
    papers = ["1701.07875", *(["1704.00028"] if config.gradient_penalty else [])]
    papers += [*stabilise.papers, *options.layer_papers(config)]
    return publish_run(run, title=f"Wasserstein GAN with {bound}", papers=papers)


if __name__ == "__main__":
    main(Config, train)
