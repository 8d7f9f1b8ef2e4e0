"""Where a run reports to beside metrics.jsonl: TensorBoard, Trackio or Weights & Biases, through accelerate."""

from __future__ import annotations

import argparse
import importlib.util
import os
from pathlib import Path

import numpy as np
from accelerate import Accelerator
from PIL import Image

from ..errors import UserError

PROJECT = "genmodels"


def check_trackers(names: list[str]) -> None:
    """Raise UserError unless the packages of these trackers are installed; each has its tracker's name."""
    for name in names:
        if name != "none" and importlib.util.find_spec(name) is None:
            raise UserError(
                f"--report_to {name} needs a package that is not installed: `python -m pip install {name}`, or give "
                "--report_to tensorboard."
            )


def start_trackers(accelerator: Accelerator, args: argparse.Namespace, output_dir: Path, step: int) -> None:
    """Start the trackers of a run that is at `step`, where a resumed one reports on."""
    # W&B tells a good deal about itself on the terminal.
    os.environ.setdefault("WANDB_SILENT", "true")
    name = output_dir.resolve().name
    settings = {k: v if isinstance(v, bool | int | float | str) else str(v) for k, v in vars(args).items()}
    accelerator.init_trackers(
        PROJECT,
        config=settings,
        init_kwargs={
            "tensorboard": {"purge_step": step + 1},
            "trackio": {"name": name, "resume": "allow"},
            "wandb": {"name": name, "id": name, "resume": "allow", "dir": str(output_dir)},
        },
    )


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
