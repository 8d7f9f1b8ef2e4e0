"""What a run writes down as it goes: its losses, in metrics.jsonl and to the trackers."""

from __future__ import annotations

import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from .config import TrainingConfig
from .start import Start, shift_steps

# Of trackers.
PROJECT = "genmodels"


class RunLog:
    """The log of one run, which the main process writes.

    Attributes:
        losses: the scalars of this step; they are read, and so waited for, only where `read` is called.
        window: their sums and counts since the monitor last looked.
    """

    def __init__(self, config: TrainingConfig, accelerator: Accelerator):
        self._config, self._accelerator = config, accelerator
        self._folder = Path(config.output_dir)
        self.path = self._folder / "metrics.jsonl"
        # When, and after which step, the last line was written.
        self._started, self._since = 0.0, 0
        self.losses: dict[str, torch.Tensor] = {}
        self.window: dict[str, list[Any]] = {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the losses and the window in a checkpoint."""
        device = self._accelerator.device
        # Checkpoints of older versions have no losses of an unfinished step.
        self.losses = {name: value.to(device) for name, value in state.get("losses", {}).items()}
        self.window = {name: [total.to(device), n] for name, (total, n) in state["window"].items()}

    def end_step(self) -> None:
        """Add the losses of this step to the window."""
        for name, value in self.losses.items():
            total, count = self.window.get(name, (0.0, 0))
            self.window[name] = [total + value, count + 1]

    def read(self) -> tuple[dict[str, float], str]:
        """The losses of this step, the mean over all processes, and what is wrong if one was not finite in the window."""
        names = sorted(self.losses)
        # A loss that was not finite in any step leaves its sum so.
        sums = [self.window.get(name, [self.losses[name]])[0] for name in names]
        values = self._accelerator.reduce(torch.stack([self.losses[name] for name in names] + sums), "mean").tolist()
        wrong = ""
        for name, value, total in zip(names, values, values[len(names) :], strict=False):
            if not wrong and not math.isfinite(total):
                wrong = f"{name} is {value}" if not math.isfinite(value) else f"{name} was not finite"
        return dict(zip(names, values, strict=False)), wrong

    def means(self) -> dict[str, float]:
        """The mean losses of the window."""
        return {name: float(total) / count for name, (total, count) in self.window.items()}

    def write(
        self,
        step: int,
        losses: dict[str, float],
        schedulers: dict[str, torch.optim.lr_scheduler.LRScheduler],
        images: int,
    ) -> dict[str, str]:
        """Write losses, learning rates and speed, with so many images a step; returns what the progress bar shows."""
        now = time.monotonic()
        # Some machines' clocks stand still.
        rate = (step - self._since) * images / (now - self._started) if now > self._started else 0.0
        self._started, self._since = now, step
        rates = {f"lr_{name}": scheduler.get_last_lr()[0] for name, scheduler in schedulers.items()}
        self.append(step, {**losses, **rates, "images_per_second": round(rate, 1)})
        return {**{name: f"{value:.3f}" for name, value in losses.items()}, "img/s": f"{rate:.0f}"}

    def start(self, step: int, reported: int) -> None:
        """Drop the lines of what will be done again, and start the trackers."""
        if self._accelerator.is_main_process and self.path.exists():
            # A crash of the machine may leave anything in its last line.
            text = self.path.read_text(encoding="utf-8", errors="replace")
            lines = [line for line in text.splitlines() if place_of(line) < (step, reported)]
            partial = self.path.with_suffix(".partial")
            partial.write_text("".join(f"{line}\n" for line in lines))
            partial.replace(self.path)
        # A resumed run's trackers report on.
        name, config = self._folder.resolve().name, self._config
        values = {flag: getattr(config, flag) for flag in config.settings()}
        settings = {k: v if isinstance(v, bool | int | float | str) else str(v) for k, v in values.items()}
        options = {
            "tensorboard": {"purge_step": step + 1},
            "trackio": {"name": name, "resume": "allow"},
            "wandb": {"name": name, "id": name, "resume": "allow", "dir": str(self._folder)},
        }
        self._accelerator.init_trackers(PROJECT, config=settings, init_kwargs=options)
        self._since, self._started = step, time.monotonic()

    def append(self, step: int, figures: dict[str, Any], group: str | None = None) -> None:
        """One line of metrics.jsonl, and the same to the trackers."""
        if self._accelerator.is_main_process:
            line = {"step": step, **({group: figures} if group else figures)}
            with open(self.path, "a") as file:
                file.write(json.dumps(line) + "\n")
            self._accelerator.log({f"{group}/{k}" if group else k: v for k, v in figures.items()}, step)

    def copy(self, target: Path, start: Start | None) -> None:
        """The log of all steps, those of the model that the run started from included."""
        if not self.path.exists():
            return
        if start is None:
            shutil.copyfile(self.path, target)
            return
        lines = [*start.log(), *(shift_steps(line, start.steps) for line in self.path.read_text().splitlines())]
        target.write_text("".join(f"{line}\n" for line in lines))


def place_of(line: str) -> tuple[float, int]:
    """The step of a line of metrics.jsonl, and the number of the chore that wrote it; infinite if the line is cut off."""
    try:
        entry = json.loads(line)
        return entry["step"], 4 if "validation" in entry else 3 if "monitor" in entry else 0
    except (ValueError, KeyError, TypeError):
        return math.inf, 0
