"""The steps of a run: updates, what is due after each step, and saving them whatever happens."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch.optim.lr_scheduler import LRScheduler
from tqdm.auto import tqdm

from ..data import ImageStream
from ..errors import UserError
from .config import TrainingConfig
from .facts import settings_of
from .log import RunLog
from .networks import Networks, versions
from .optimization import average_gradients, seed_all, split_batch
from .resuming import CHORES, Checkpoints, DivergedError, Progress
from .stopping import RunEnded, StopSignals
from .watching import Watching

Batch = dict[str, torch.Tensor]
Loss = Callable[[Batch], tuple[torch.Tensor, dict[str, torch.Tensor]]]


class Run(Protocol):
    """What a loop needs of its run."""

    accelerator: Accelerator
    data: ImageStream
    num_images: int | None
    log: RunLog
    networks: Networks
    watching: Watching
    checkpoints: Checkpoints

    @property
    def config(self) -> TrainingConfig: ...

    @property
    def epochs(self) -> str: ...

    def say(self, text: str) -> None: ...


class Loop:
    """Takes the steps of a run that is prepared."""

    def __init__(self, run: Run, schedulers: dict[str, LRScheduler], progress: Progress):
        self._run, self._schedulers, self.progress = run, schedulers, progress
        self._config, self._accelerator = run.config, run.accelerator
        self._stop, self._started, self._batches = StopSignals(), time.monotonic(), run.data.forever()
        # A step that is torn cannot be saved; of an update that breaks off, the networks' buffers as it began are.
        self._torn = False
        self._buffers: list[torch.Tensor] | None = None

    @property
    def seconds(self) -> float:
        """How long the training took so far, in all its processes one after another."""
        return self.progress.seconds + max(0.0, time.monotonic() - self._started)

    @property
    def done(self) -> bool:
        """Whether the last step has been taken."""
        return self.progress.step >= self._config.max_train_steps

    def update(self, optimizer: torch.optim.Optimizer, loss_of: Loss, batch: Batch) -> None:
        """See `TrainingRun.update`."""
        progress = self.progress
        if progress.updates < progress.skip:
            progress.updates += 1
            # Its schedule would warn that it goes first.
            optimizer._opt_called = True  # type: ignore[attr-defined]
            return
        self._seed(progress.updates + 1)
        self._buffers = [buffer.clone() for buffer in self._run.networks.buffers()]
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        optimizer.zero_grad(set_to_none=True)
        parts, means = self._config.gradient_accumulation_steps, dict[str, torch.Tensor]()
        for part in split_batch(batch, parts):
            loss, figures = loss_of(part)
            self._accelerator.backward(loss / parts, inputs=parameters)
            for name, value in figures.items():
                value = value.detach().float() / parts
                means[name] = means[name] + value if name in means else value
        average_gradients(self._accelerator, parameters)
        with self._stop.held():
            before = versions(optimizer)
            try:
                optimizer.step()
            except BaseException:
                self._torn = versions(optimizer) != before
                raise
            self._run.log.losses |= means
            progress.updates += 1
            self._buffers = None

    def _seed(self, update: int) -> None:
        """Let random numbers follow from the seed, the process, the step and its update alone: then no state of them is kept."""
        place = (self._config.seed, self._accelerator.process_index, self.progress.step, update)
        seed_all(" ".join(map(str, place)), self._accelerator.device)

    def steps(self) -> Iterator[Batch]:
        """See `TrainingRun.steps`."""
        run, progress, data = self._run, self.progress, self._run.data
        main, processes = self._accelerator.is_main_process, self._accelerator.num_processes
        run.log.start(progress.step, progress.reported)
        if main:
            run.watching.drop_samples_after(progress.step)
            if progress.step == 0:
                run.watching.save_samples(0)
        self._started = time.monotonic()
        total = self._config.max_train_steps
        bar = {"total": total, "initial": progress.step, "disable": not main, "unit": "step", "dynamic_ncols": True}
        with self._stop, tqdm(**bar) as self._bar:
            self._report()
            while not self.done:
                self._seed(0)
                batch = {
                    name: t.to(self._accelerator.device, non_blocking=True) for name, t in next(self._batches).items()
                }
                batch["pixel_values"] = batch["pixel_values"].contiguous(memory_format=torch.channels_last)
                self._stop.armed = True
                yield batch
                self._after_step()
                if run.num_images is None and data.state_dict() == {"epoch": 1, "batch": 1}:
                    # Now it is known, but for a rest that fills no batch.
                    run.num_images = (progress.step - 1) * data.batch_size * processes
                    run.say(f"That was the first epoch: {total:,} steps are {run.epochs}.")
                if not self.done and (number := self._must_stop()):
                    self.save()
                    self._accelerator.end_training()
                    self._bar.close()
                    again = "the same command with --resume_from_checkpoint latest goes on"
                    run.say(f"Stopped after step {progress.step:,}, with a checkpoint: {again}.")
                    raise RunEnded(number)

    def _must_stop(self) -> int:
        """The signal that has come to any process, or 0; several agree on it at every log line, where they wait anyway."""
        if self._accelerator.num_processes == 1:
            return self._stop.requested
        if self.progress.step % self._config.logging_steps:
            return 0
        asked = torch.tensor(float(self._stop.requested > 0), device=self._accelerator.device)
        return (self._stop.requested or signal.SIGTERM) if self._accelerator.reduce(asked, "max") else 0

    def _after_step(self) -> None:
        with self._stop.held():
            self._torn, progress = True, self.progress
            progress.step += 1
            self._run.networks.average()
            for scheduler in self._schedulers.values():
                scheduler.step()
            self._run.log.end_step()
            progress.position = self._run.data.state_dict()
            progress.updates = progress.skip = progress.reported = 0
            self._torn = False
        self._bar.update()
        self._report()

    def _report(self) -> None:
        """Do what is due after a step and not done yet; a run that broke off in the middle of it goes on there."""
        config, step, watching = self._config, self.progress.step, self._run.watching
        draws = watching.draw_samples is not None
        validates = draws and config.validation_steps and (step % config.validation_steps == 0 or self.done)
        samples = draws and self._accelerator.is_main_process and (step % config.sample_steps == 0 or self.done)
        chores: tuple[tuple[Any, Callable[[], None]], ...] = (
            (step % config.logging_steps == 0 or step in (1, config.max_train_steps), self._write_log),
            (samples, lambda: watching.save_samples(step)),
            # Before what takes long and may fail; `publish_run` saves once more.
            (validates if self.done else step % config.checkpointing_steps == 0, self._save_before_checks),
            (draws and config.monitor_steps and step % config.monitor_steps == 0, self._look),
            (validates, self._validate),
        )
        for number, (due, chore) in enumerate(chores):
            if number >= self.progress.reported:
                if due:
                    chore()
                self.progress.reported = number + 1

    def _write_log(self) -> None:
        images = self._run.data.batch_size * self._accelerator.num_processes
        shown = self._run.log.write(self.progress.step, self._read_losses(), self._schedulers, images)
        self._bar.set_postfix(shown)

    def _read_losses(self) -> dict[str, float]:
        values, wrong = self._run.log.read()
        if wrong:
            raise self._run.checkpoints.diverged(wrong, self.progress.step)
        return values

    def _save_before_checks(self) -> None:
        # In the checkpoint this has been done.
        self.progress.reported += 1
        self.save()

    def _look(self) -> None:
        self._read_losses()
        if self._accelerator.is_main_process:
            self._run.watching.look(self.progress.step, self._run.log.means())
        self._run.log.window = {}

    def _validate(self) -> None:
        if self._accelerator.is_main_process:
            self._run.watching.validate(self.progress.step)
        self._accelerator.wait_for_everyone()

    def save(self) -> None:
        """Write a checkpoint, unless there is one of this very state.

        Raises:
            UserError: a loss or a weight is not finite, or it cannot be written.
        """
        self._check_weights()
        self._read_losses()
        if self._accelerator.is_main_process:
            self._run.checkpoints.write(self._state(), self.done)
        self._accelerator.wait_for_everyone()

    def _check_weights(self) -> None:
        if name := self._run.networks.broken():
            raise self._run.checkpoints.diverged(f"A weight of the {name} is not finite", self.progress.step)

    def _state(self) -> dict[str, Any]:
        """Everything that the next step depends on, or the rest of the step under way."""
        run, progress = self._run, self.progress
        return {
            "script": run.config.script,
            "settings": settings_of(run.config, self._accelerator),
            "processes": self._accelerator.num_processes,
            "step": progress.step,
            "updates": max(progress.updates, progress.skip),
            "reported": progress.reported,
            "data": progress.position,
            "dataset": {"fingerprint": run.data.fingerprint, "images": run.data.num_images},
            **run.networks.state_dict(),
            "losses": run.log.losses,
            "window": run.log.window,
            **run.watching.state_dict(),
            "seconds": self.seconds,
        }

    def rescue(self, error: BaseException) -> str:
        """See `TrainingRun.rescue`."""
        progress, checkpoints = self.progress, self._run.checkpoints
        if isinstance(error, DivergedError) or (not self._stop.armed and progress.reported == CHORES):
            return ""
        if not self._accelerator.is_main_process:
            here = f"the last one here is {checkpoints.last}" if checkpoints.last else "there is none here"
            return f"The first process writes the checkpoints; {here}."
        if self._torn or progress.step == 0:
            return f"The last checkpoint is {checkpoints.last}." if checkpoints.last else "There is no checkpoint yet."
        if self._buffers is not None:
            for buffer, before in zip(self._run.networks.buffers(), self._buffers, strict=True):
                buffer.copy_(before)
            self._buffers = None
        try:
            self._check_weights()
            checkpoints.write(self._state(), self.done)
        except UserError as unsaved:
            return (
                "" if str(unsaved) == str(error) else f"The state after step {progress.step:,} is not saved. {unsaved}"
            )
        again = "the same command with --resume_from_checkpoint latest goes on from there"
        return f"The state after step {progress.step:,} is saved: {again}."

    def close(self) -> None:
        """End the processes that read ahead, and give back the signals."""
        # Left to the collector of garbage they get no word, and whoever comes next waits five seconds for each.
        self._batches.close()
        self._stop.restore()
