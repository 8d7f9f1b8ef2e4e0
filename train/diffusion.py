# /// script
# requires-python = ">=3.11"
# dependencies = ["genmodels[train] @ git+https://github.com/genmodels/genmodels"]
# [tool.hf-jobs]
# flavor = "t4-small"
# timeout = "2h"
# secrets = ["HF_TOKEN"]
# ///
"""Train a small diffusion model: a flow along straight lines (Lipman et al. 2023, https://arxiv.org/abs/2210.02747).

    accelerate launch train/diffusion.py --conditional
    accelerate launch train/diffusion.py --dataset_name uoft-cs/cifar10 --classes frog --random_flip
    accelerate launch train/diffusion.py --preset v-prediction

The yardstick of this decade for the GANs of the last one: no adversary, one network, and the plainest loss of all. Noise is
mixed into an image, and a U-Net learns to tell the two apart again; to draw, it takes noise away from pure noise, step by step.
With --conditional it learns classes, and now and then that it is told none, for guidance (Ho, Salimans 2022, 2207.12598). Times
are logit-normal: most lie in the middle, where there is most to learn (Esser et al. 2024, 2403.03206).

--preset v-prediction is what came before: the noise of Ho et al. 2020 (2006.11239) by a squared cosine (Nichol, Dhariwal 2021,
2102.09672), v-prediction (Salimans, Ho 2022, 2202.00512) and DDIM (Song et al. 2021, 2010.02502) from the last timestep (Lin et
al. 2024, 2305.08891). Patches of 2x2 pixels are a quarter of the positions, each with four times the channels.
"""

if __name__ == "__main__":
    from genmodels.interrupts import leave_at_ctrl_c

    leave_at_ctrl_c()

from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler
from torch.nn import functional as F

from genmodels import PixelDiffusionPipeline, UNet, losses
from genmodels.errors import UserError
from genmodels.models.diffusion import GROUPS
from genmodels.training import TrainingRun, main, publish_run
from genmodels.training.config import TrainingConfig, model, objective, setting, watching

TIMESTEPS = 1000
BLOCKS = f"of each resolution, each half of the one before; multiples of {GROUPS} (default: 64 96)"
WATCHED = "of monitor and validation, which draw 256 and 2,048 images"
FLOW = ["2210.02747", "2403.03206"]
V_PREDICTION = ["2010.02502", "2102.09672", "2202.00512", "2305.08891"]


@dataclass(kw_only=True)
class Config(TrainingConfig):
    PRESETS = {"flow": {}, "v-prediction": {}}

    preset: str = setting("flow", "the recipe", choices=("flow", "v-prediction"))
    block_out_channels: list[int] = model([64, 96], BLOCKS, low=GROUPS, metavar="CHANNELS")
    layers_per_block: int = model(1, low=1)
    patch_size: int = model(2, "in pixels", choices=(1, 2, 4))
    conditional: bool = model(False, "draw images of wanted classes")
    label_dropout: float = objective(0.1, "share of images without their class, with --conditional", low=0, high=1)
    learning_rate: float = model(1e-3, low=0, high=1)
    watch_inference_steps: int = watching(10, WATCHED, low=1, high=TIMESTEPS)
    lr_scheduler: str = "trapezoid"
    lr_warmup_steps: int = 100
    monitor_steps: int = 1000
    validation_steps: int = 2000
    output_dir: str = "runs/diffusion"


def train(run: TrainingRun[Config]) -> Path:
    config, flow = run.config, run.config.preset == "flow"
    if run.data.num_channels == 4:
        # Its number of channels would not tell it from grey patches of two by two pixels.
        raise UserError("A diffusion model draws no opacity: leave out --num_channels 4.")
    sizes = {name: getattr(config, name) for name in ("patch_size", "block_out_channels", "layers_per_block")}
    try:
        unet = UNet.of_patches(**run.shape(classes_for="--conditional" if config.conditional else ""), **sizes)
    except ValueError as error:
        raise UserError(f"{error} The flags are --resolution, --patch_size and --block_out_channels.") from error
    optimizer = torch.optim.Adam(unet.parameters(), lr=config.learning_rate, fused=True)
    schedule = {"beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "trailing", "prediction_type": "v_prediction"}
    scheduler = FlowMatchEulerDiscreteScheduler(TIMESTEPS) if flow else DDIMScheduler(TIMESTEPS, **schedule)
    (unet,) = run.prepare(
        models={"unet": unet},
        optimizers={"unet": optimizer},
        make_pipeline=lambda unet: PixelDiffusionPipeline(unet, scheduler),
        conditional=config.conditional,
        watch_options={"num_inference_steps": config.watch_inference_steps},
    )

    def flow_loss(x: torch.Tensor, noise: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """x_t = (1 - t) x + t eps, and the network says which way the noise lies: eps - x."""
        t = torch.randn(len(x), device=run.device).sigmoid()
        noisy = torch.lerp(x, noise, t.view(-1, 1, 1, 1))
        return losses.flow_matching_loss(unet(noisy, TIMESTEPS * t, labels).sample, x, noise)

    def v_prediction_loss(x: torch.Tensor, noise: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        """x_t = sqrt(abar_t) x + sqrt(1 - abar_t) eps, and the network says which part of it is noise."""
        t = torch.randint(TIMESTEPS, (len(x),), device=run.device)
        share = scheduler.alphas_cumprod.to(run.device)[t]
        noisy = share.sqrt().view(-1, 1, 1, 1) * x + (1 - share).sqrt().view(-1, 1, 1, 1) * noise
        return losses.velocity_loss(unet(noisy, t, labels).sample, x, noise, share)

    def loss_of(batch: dict[str, torch.Tensor]) -> tuple:
        x, labels = F.pixel_unshuffle(batch["pixel_values"], config.patch_size), None
        if config.conditional:
            # The label after the last class stands for none.
            dropped = torch.rand(len(x), device=run.device) < config.label_dropout
            labels = batch["class_labels"].masked_fill(dropped, run.data.num_classes)
        loss = (flow_loss if flow else v_prediction_loss)(x, torch.randn_like(x), labels)
        return loss, {"loss": loss}

    for batch in run.steps():
        run.update(optimizer, loss_of, batch)

    papers = [*(FLOW if flow else V_PREDICTION), "2006.11239", *(["2207.12598"] if config.conditional else [])]
    return publish_run(run, title="Flow matching" if flow else "Pixel diffusion (v-prediction, DDIM)", papers=papers)


if __name__ == "__main__":
    main(Config, train)
