"""What looks at a run while it goes on: sample grids, the monitor, and the validation that chooses the weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from accelerate import Accelerator
from PIL import Image

from ..data import ImageStream
from ..evaluation.evaluate import class_counts, generate
from ..grid import make_grid
from .config import TrainingConfig
from .film import grids_of, step_of
from .log import RunLog
from .monitor import Monitor
from .networks import Networks
from .small_data import FEWEST_HELD_OUT
from .trackers import report_image
from .validation import MIN_IMAGES, Validation, evaluator_for, evaluator_name, knows_data
from .validation import NUM_IMAGES as VALIDATION_IMAGES

# Real images that the monitor knows, and fakes it looks at.
MONITOR_REALS, MONITOR_FAKES = 10_000, 256


def sample_grid(pipe: Any) -> list[Image.Image]:
    """Images from the same latents every time: a column for each class, a map of two latents, or 64."""
    if classes := min(getattr(pipe, "num_classes", 0) or 0, 10):
        return pipe(class_labels=pipe.class_names[:classes] * classes, seed=0).images
    if hasattr(pipe, "traverse") and pipe.latent_dim == 2:
        return pipe.traverse(steps=12).images
    return pipe(num_images=64, seed=0).images


class Judge(Protocol):
    """A pipeline whose family discriminates."""

    def discriminate(self, images: torch.Tensor, *class_labels: torch.Tensor) -> torch.Tensor: ...


class Watching:
    """Draws from the networks of a run, in its main process, and keeps what it sees.

    Args:
        config, accelerator, data, networks, log: of the run.
        draw_samples: from a pipeline to the images of the sample grid; None if the networks draw nothing.
        conditional: whether the pipeline draws images of wanted classes.
        advice: what the monitor suggests, by kind of finding.
        options: of the pipeline's call for monitor and validation.
        say: tells the user something.

    Attributes:
        best: the figures of the lowest FID so far, with the weights if that chooses them; None before the first validation.
    """

    def __init__(
        self,
        config: TrainingConfig,
        accelerator: Accelerator,
        data: ImageStream,
        networks: Networks,
        log: RunLog,
        *,
        draw_samples: Callable[[Any], list[Image.Image]] | None,
        conditional: bool,
        advice: dict[str, str] | None,
        options: dict[str, Any] | None,
        say: Callable[[str], None],
    ):
        self._config, self._accelerator, self._data = config, accelerator, data
        self._networks, self._log, self._say = networks, log, say
        self.draw_samples, self._options = draw_samples, options or {}
        self._num_classes, self._advice = data.num_classes if conditional else 0, advice or {}
        self._monitor: Monitor | None = None
        self._monitor_state: dict[str, Any] | None = None
        self._held_out: tuple[torch.Tensor, torch.Tensor] | None = None
        self._validation: Validation | None = None
        self._too_few = False
        self.best: dict[str, Any] | None = None
        self._last: dict[str, float] | None = None

    def state_dict(self) -> dict[str, Any]:
        """All that is to be known of past looks."""
        return {"monitor": self._monitor_state, "best": self.best, "last_validation": self._last}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self._monitor_state, self.best, self._last = state["monitor"], state["best"], state["last_validation"]

    @property
    def samples(self) -> Path:
        """The folder of the sample grids."""
        return Path(self._config.output_dir) / "samples"

    def drop_samples_after(self, step: int) -> None:
        """Remove the grids of steps that will be taken again."""
        for grid in grids_of(self.samples):
            if step_of(grid) > step:
                grid.unlink()

    def save_samples(self, step: int) -> None:
        """Draw the sample grid of this step."""
        if not self.draw_samples:
            return
        self.samples.mkdir(exist_ok=True)
        grid = make_grid(self.draw_samples(self._networks.pipeline()))
        target, partial = self.samples / f"step-{step:06d}.png", self.samples / ".partial.png"
        grid.save(partial)
        partial.replace(target)
        report_image(self._accelerator, target, step)

    def look(self, step: int, losses: dict[str, float]) -> None:
        """Let the monitor look at fakes, and at the mean losses since it last did."""
        fakes, labels = self.draw_fakes(step)
        monitor = self._watcher()
        figures, findings = monitor.check(step, fakes, labels, losses, self._scores(monitor, fakes, labels))
        self._log.append(step, figures, "monitor")
        for finding in findings:
            self._say(f"Monitor, step {step:,}: {finding.message}")
        self._monitor_state = monitor.state_dict()

    def verdict(self) -> str | None:
        """What the monitor has to say of the whole run; None if it never looked."""
        return self._watcher().verdict() if self._monitor_state else None

    def _watcher(self) -> Monitor:
        if self._monitor is None:
            images, labels = self._data.sample(MONITOR_REALS)
            known = (self._data.sample_size, self._data.num_channels) in ((28, 1), (32, 3))
            self._monitor = Monitor(
                images,
                labels,
                self._data.class_names,
                evaluator=evaluator_for(self._features, self._accelerator.device) if known else None,
                conditional=self._num_classes > 0,
                advice=self._advice,
            )
            if self._monitor_state:
                self._monitor.load_state_dict(self._monitor_state)
        return self._monitor

    def draw_fakes(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images for the monitor, and their labels."""
        # Other latents each time, so that checks add up.
        seed = self._config.seed + step
        counts = class_counts(MONITOR_FAKES, None, self._num_classes)[0] if self._num_classes else None
        parts = generate(self._networks.pipeline(), MONITOR_FAKES, seed, counts, **self._options)
        images, labels = (torch.cat(part) for part in zip(*parts, strict=True))
        return images.cpu(), labels.cpu()

    def _scores(self, monitor: Monitor, fakes: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor] | None:
        """The discriminator's scores of training images, of held-out ones and of fakes; None where none are held out."""
        if not getattr(self._config, "hold_out", 0):
            return None
        if self._held_out is None:
            self._held_out = self._data.sample(MONITOR_FAKES, held_out=True)
        if len(self._held_out[0]) < FEWEST_HELD_OUT:
            return None
        pipeline, sets = cast(Judge, self._networks.pipeline()), {"train": monitor.training, "held_out": self._held_out}
        sets = {name: (images.float() / 127.5 - 1, own) for name, (images, own) in sets.items()}
        sets["fake"] = fakes, labels
        return {
            name: pipeline.discriminate(images, *([own] if self._num_classes else []))
            for name, (images, own) in sets.items()
        }

    def validate(self, step: int) -> None:
        """Measure the averaged weights, and keep them if they are the best so far, by features that can tell."""
        validation = self._validator()
        if validation is None:
            return
        figures = validation.measure(self._networks.pipeline(), **self._options)
        self._log.append(step, {**figures, "floor": validation.floor, "features": self._features}, "validation")
        self._last = figures
        if self.best is None or not self.chooses or figures["fid"] < self.best["fid"]:
            # What chooses nothing need not keep what it would choose.
            weights = {"networks": self._networks.saved_states()} if self.chooses else {}
            self.best = {
                "step": step,
                "n": validation.num_images,
                "floor": validation.floor,
                "floor_n": validation.floor_images,
                **figures,
                **weights,
            }

    @property
    def _features(self) -> str:
        return evaluator_name(self._data.num_channels)

    @property
    def chooses(self) -> bool:
        """Whether the weights of the lowest FID are kept; features that never learned such images choose badly, then the last."""
        return knows_data(self._features, self._config.dataset_name)

    def _validator(self) -> Validation | None:
        if self._validation is None and not self._too_few:
            # As many again as are compared with the fakes, for the floor.
            images, labels = self._data.sample(2 * VALIDATION_IMAGES)
            self._too_few = len(images) < MIN_IMAGES
            if self._too_few:
                self._say(
                    f"FID takes {MIN_IMAGES} images, and there are {len(images)}: the last weights will be saved."
                )
                return None
            evaluator = evaluator_for(self._features, self._accelerator.device)
            own = labels if self._num_classes else None
            self._validation = Validation(images, own, evaluator, self._config.seed)
        return self._validation

    def selected(self) -> dict[str, Any] | None:
        """Which weights were the best, for training.json; None without a validation."""
        if not self.best or not self._last:
            return None
        return {
            "step": self.best["step"],
            **{name: round(self.best[name], 4) for name in ("fid", "recall")},
            **{f"last_{name}": round(self._last[name], 4) for name in ("fid", "recall")},
            "n": self.best["n"],
            # What the numbers are, which say little of data that the evaluator has not learned.
            "features": self._features,
            "features_of_this_data": self.chooses,
            **{name: self.best[name] for name in ("floor", "floor_n") if name in self.best},
        }
