# /// script
# requires-python = ">=3.11"
# dependencies = ["genmodels[train] @ git+https://github.com/genmodels/genmodels"]
# [tool.hf-jobs]
# flavor = "t4-small"
# timeout = "2h"
# secrets = ["HF_TOKEN"]
# ///
"""Train a model that draws in one step, without a discriminator, from a flow (Song et al. 2023, 2303.01469).

    accelerate launch train/diffusion.py --conditional
    accelerate launch train/consistency.py --pretrained_model_name_or_path runs/diffusion/model

A flow leads each noise along a path to an image, in many steps. The network begins as that of the flow, and learns where the path
ends: what it expects there shall be the same at any two neighbouring points of a path, and the end is the image itself. So what
is known at the end spreads to the beginning; first over few long intervals, then over shorter ones (Song, Dhariwal 2024,
2310.14189). A further step adds noise to where the first one came, and jumps again.
"""

if __name__ == "__main__":
    from genmodels.interrupts import leave_at_ctrl_c

    leave_at_ctrl_c()

import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FlowMatchLCMScheduler
from torch.nn import functional as F

from genmodels import PixelDiffusionPipeline, load_pipeline, losses
from genmodels.errors import UserError
from genmodels.training import TrainingRun, main, publish_run
from genmodels.training.config import TrainingConfig, model

# Of a path: they double in the first half of the training. A flow on straight paths is nearly exact in eight steps, and what
# is known at the end has less far to go: FID 1.7 after 4,000 steps on MNIST; up to 32 intervals: 5.5 (floor 0.43, n = 2,048).
INTERVALS = (4, 8)
LABEL_DROPOUT = 0.1
PAPERS = ["2303.01469", "2310.14189", "2210.02747", "2006.11239"]


@dataclass(kw_only=True)
class Config(TrainingConfig):
    learning_rate: float = model(3e-4, low=0, high=1)
    lr_scheduler: str = "trapezoid"
    lr_warmup_steps: int = 100
    monitor_steps: int = 1000
    validation_steps: int = 2000
    output_dir: str = "runs/consistency"


def train(run: TrainingRun[Config]) -> Path:
    config = run.config
    flow = load_flow(config.pretrained_model_name_or_path)
    learned = {"sample_size": flow.sample_size, "num_channels": flow.num_channels}
    if flow.num_classes:
        learned |= {"num_classes": flow.num_classes, "class_names": flow.class_names}
    shape = run.shape(classes_for="a flow with classes" if flow.num_classes else "")
    if shape != learned:
        differ = ", ".join(
            f"{name} {learned[name]} (here {shape[name]})" for name in shape if shape[name] != learned[name]
        )
        raise UserError(f"The flow draws other images than these, with {differ}: give the data that it was trained on.")
    teacher, unet = flow.unet.requires_grad_(False), copy.deepcopy(flow.unet).requires_grad_(True)
    optimizer = torch.optim.Adam(unet.parameters(), lr=config.learning_rate, fused=True)
    scheduler = FlowMatchLCMScheduler(flow.scheduler.config.num_train_timesteps)
    (unet,) = run.prepare(
        models={"unet": unet},
        optimizers={"unet": optimizer},
        make_pipeline=lambda unet: PixelDiffusionPipeline(unet, scheduler, num_inference_steps=1),
        conditional=bool(flow.num_classes),
    )
    teacher = run.accelerator.prepare_model(teacher, evaluation_mode=True)

    def loss_of(batch: dict[str, torch.Tensor]) -> tuple:
        """With x_t = (1 - t) x + t eps a network says v, and by it expects the path to end at x_t - t v."""
        x, labels = F.pixel_unshuffle(batch["pixel_values"], flow.patch_size), None
        if flow.num_classes:
            # As the flow was trained: guidance needs what is drawn of no class.
            dropped = torch.rand(len(x), device=run.device) < LABEL_DROPOUT
            labels = batch["class_labels"].masked_fill(dropped, flow.num_classes)
        intervals = INTERVALS[min(len(INTERVALS) - 1, 2 * len(INTERVALS) * run.step // config.max_train_steps)]
        far = torch.randint(1, intervals + 1, (len(x), 1, 1, 1), device=run.device) / intervals
        near = far - 1 / intervals
        times = [t.flatten() * scheduler.config.num_train_timesteps for t in (far, near)]
        noisy = torch.lerp(x, torch.randn_like(x), far)
        with torch.no_grad():
            nearer = noisy - (far - near) * teacher(noisy, times[0], labels).sample
            end = nearer - near * unet(nearer, times[1], labels).sample
        loss = losses.consistency_loss(noisy - far * unet(noisy, times[0], labels).sample, end)
        return loss, {"loss": loss}

    for batch in run.steps():
        run.update(optimizer, loss_of, batch)

    return publish_run(run, title="One-step flow (consistency distillation)", papers=PAPERS)


def load_flow(name: str | None) -> PixelDiffusionPipeline:
    """The flow to start from; raises UserError if there is none, or it is another model."""
    pipeline = load_pipeline(name) if name else None
    if not isinstance(getattr(pipeline, "scheduler", None), FlowMatchEulerDiscreteScheduler):
        raise UserError(
            f"One step is learned from a flow{f', and {name} is none' if name else ''}: train one by train/diffusion.py, and "
            "give it as --pretrained_model_name_or_path runs/diffusion/model."
        )
    return pipeline


if __name__ == "__main__":
    main(Config, train)
