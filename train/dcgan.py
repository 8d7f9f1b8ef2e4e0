# /// script
# requires-python = ">=3.11"
# dependencies = ["genmodels[train] @ git+https://github.com/genmodels/genmodels"]
# [tool.hf-jobs]
# flavor = "t4-small"
# timeout = "2h"
# secrets = ["HF_TOKEN"]
# ///
"""Train a DCGAN (Radford et al. 2016, https://arxiv.org/abs/1511.06434).

    accelerate launch train/dcgan.py
    accelerate launch train/dcgan.py --preset paper --without strides
    accelerate launch train/dcgan.py --dataset_name zoo:mnist-sample --classes 3 --max_train_steps 500
    accelerate launch train/dcgan.py --dataset_name path/to/images --resolution 64

Two recipes. "paper" is the network and optimizer of the paper with the five well-known tricks: tanh and images in [-1, 1];
normal latents; dropout and noisy labels in the discriminator; strided convolutions and LeakyReLU; a kernel that the stride
divides. "r3gan" keeps the convolutions and changes the objective: each fake is paired with a real image, and the
discriminator's gradient is penalised on both, which leaves no room for mode collapse (Huang et al. 2024,
https://arxiv.org/abs/2501.05441), from images of CIFAR-10 mirrored at random. Of CIFAR-10 it learns the frogs unless --classes
names others.
"""

if __name__ == "__main__":
    from genmodels.interrupts import leave_at_ctrl_c

    leave_at_ctrl_c()

from dataclasses import dataclass
from pathlib import Path

from genmodels import DCGANDiscriminator, DCGANGenerator, DCGANPipeline, losses
from genmodels.adversarial import AdversarialStep, latents_for
from genmodels.models.dcgan import TRICKS
from genmodels.models.modeling import init_dcgan
from genmodels.training import TrainingRun, main, options, publish_run
from genmodels.training.config import model, objective, setting
from genmodels.training.stabilisers import StabiliserConfig, Stabilisers

# What differs from the defaults.
PAPER = options.ADAM_OF_DCGAN | options.AS_PUBLISHED
PAPER |= {"loss": "nonsaturating", "r1": 0.0, "r2": 0.0, "dropout": 0.3, "label_noise": 0.1, "init": "dcgan"}
PAPER |= {"latent_dim": 100, "discriminator_norm": "batch", "lr_scheduler": "constant"}
# What cures what the monitor may find.
CURE = "try --preset r3gan, the default, and if it was that, --r1 1 --r2 1"
ADVICE = dict.fromkeys(("mode collapse", "missing classes", "discriminator winning"), CURE)


@dataclass(kw_only=True)
class Config(options.FrogsConfig, options.LayersConfig, options.AdamConfig, StabiliserConfig):
    PRESETS = {"r3gan": {}, "paper": PAPER}

    preset: str = setting("r3gan", "the recipe", choices=("r3gan", "paper"))
    discriminator_channels: int | None = model(None, "(default: those of the generator)", low=1)
    kernel_size: int = model(4, choices=(2, 4, 6))
    discriminator_norm: str = model("none", choices=("none", "batch"))
    without: str | None = model(None, "one of the five tricks, to see what it does", choices=(*TRICKS, "noise"))
    init: str = model("torch", "weights; dcgan is N(0, 0.02)", choices=("torch", "dcgan"))
    loss: str = objective("relativistic", choices=("relativistic", "nonsaturating"))
    r1: float = 0.5
    r2: float = 0.5
    lr_scheduler: str = "trapezoid"
    output_dir: str = "runs/dcgan"

    @classmethod
    def defaults(cls, chosen: dict) -> dict:
        # Without a tanh there is nothing to leave room in.
        return super().defaults(chosen) | ({"headroom": 0.0} if chosen.get("without") == "tanh" else {})

    def check(self) -> None:
        if self.without == "noise":
            if not (self.dropout or self.label_noise):
                self.wrong(
                    "--without noise leaves out dropout and noisy labels, and there are none: add --preset paper."
                )
            self.dropout = self.label_noise = 0.0
        super().check()
        if self.headroom and self.without == "tanh":
            self.wrong("--headroom is of the tanh: leave it out, or --without tanh.")
        if self.discriminator_norm == "batch" and (self.r1 or self.r2):
            self.wrong("Penalties are per image, BatchNorm is not: give --discriminator_norm none, or --r1 0 --r2 0.")
        if self.without == "divisible_kernel" and self.upsampling != "transposed":
            self.wrong("--without divisible_kernel is about transposed convolutions: leave out --upsampling nearest.")


def train(run: TrainingRun[Config]) -> Path:
    config, stabilise = run.config, Stabilisers(run)
    # Noise is no matter of layers.
    trick = config.without if config.without in TRICKS else None
    shape = {**run.shape(), "kernel_size": config.kernel_size, "without": trick}
    generator = DCGANGenerator(**config.generator, **shape)
    channels = config.discriminator_channels or config.base_channels
    layers = {"norm": config.discriminator_norm, **config.depth, **stabilise.layers}
    discriminator = DCGANDiscriminator(base_channels=channels, **layers, **shape)
    if config.init == "dcgan":
        generator.apply(init_dcgan)
        discriminator.apply(init_dcgan)
    optimizer_g, optimizer_d = config.adam(generator), config.adam(discriminator, stabilise.learning_rate)
    generator, discriminator = run.prepare(
        models={"generator": generator, "discriminator": discriminator},
        optimizers={"generator": optimizer_g, "discriminator": optimizer_d},
        make_pipeline=DCGANPipeline,
        advice=ADVICE,
    )
    step = AdversarialStep(
        losses.ADVERSARIAL[config.loss],
        draw=lambda batch: generator(latents_for(batch, config.latent_dim)),
        judge=lambda images, _: (*discriminator(images, return_features=True), 0.0),
        regularization=stabilise,
    )
    for batch in run.steps():
        run.update(optimizer_d, step.discriminator_loss, batch)
        run.update(optimizer_g, step.generator_loss, batch)

    papers = ["1511.06434", step.objective.paper, *stabilise.papers, *options.layer_papers(config)]
    return publish_run(run, title=f"DCGAN ({config.preset} recipe)", papers=papers)


if __name__ == "__main__":
    main(Config, train)
