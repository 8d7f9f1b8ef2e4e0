"""Where a run reports to beside metrics.jsonl: TensorBoard, Trackio or Weights & Biases, through accelerate."""

from __future__ import annotations

import importlib.util
import inspect
import os
from pathlib import Path

import numpy as np
from accelerate import Accelerator
from PIL import Image

from ..errors import UserError

TRACKERS = ("none", "tensorboard", "trackio", "wandb")


def check_trackers(names: list[str]) -> None:
    """Raise UserError unless the packages of these trackers are installed, under the tracker's name, and W&B knows the user."""
    for name in names:
        if name != "none" and importlib.util.find_spec(name) is None:
            raise UserError(
                f"--report_to {name} needs a package that is not installed: `python -m pip install {name}`, or give "
                "--report_to tensorboard."
            )
    if "wandb" in names and not knows_wandb_user():
        raise UserError(
            "--report_to wandb needs a login: run `wandb login`, set WANDB_API_KEY, or keep the run here with "
            "WANDB_MODE=offline."
        )


def knows_wandb_user() -> bool:
    """Whether W&B would start a run without asking for a key; raises UserError if it cannot read its settings or the key."""
    # W&B tells a good deal about itself on the terminal.
    os.environ.setdefault("WANDB_SILENT", "true")
    # Other libraries obey it, W&B does not any more.
    if os.environ.get("WANDB_DISABLED", "").lower() in ("true", "1", "yes", "on"):
        os.environ.setdefault("WANDB_MODE", "disabled")
    import wandb

    try:
        settings = wandb.setup().settings
        if settings.mode in ("offline", "disabled", "dryrun"):
            return True
        # Older versions cannot be asked: they ask the user, as the run starts.
        can_tell = "prompt" in inspect.signature(wandb.login).parameters
        return not can_tell or wandb.login(prompt=False, verify=False)
    except (wandb.Error, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"--report_to wandb: W&B does not take its settings ({reason}): mend the WANDB_ variables."
        ) from error
    finally:
        # It has started a process.
        wandb.teardown()


def report_image(accelerator: Accelerator, path: Path, step: int) -> None:
    """Report a sample grid to all trackers."""
    for tracker in accelerator.trackers:
        if tracker.name == "trackio":
            import trackio

            tracker.log({"samples": trackio.Image(path)}, step=step)
        else:
            pixels = np.asarray(Image.open(path).convert("RGB"))[None]
            options = {"dataformats": "NHWC"} if tracker.name == "tensorboard" else {}
            tracker.log_images({"samples": pixels}, step=step, **options)
