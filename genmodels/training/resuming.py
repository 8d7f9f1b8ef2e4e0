"""The checkpoints of a run: which one to go on from, whether it fits, and writing the next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from ..data import ImageStream
from ..errors import UserError
from .checkpoints import complete_checkpoints, load_checkpoint, remove_folder, save_checkpoint, step_of
from .config import TrainingConfig
from .facts import changed_settings, settings_of
from .networks import Networks
from .output import OutputFolder
from .processes import on_main_process

# What there is to do after a step, besides the step: log, samples, checkpoint, monitor, validation.
CHORES = 5


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        position: where the stream was as the step began.
        step: how many steps have been taken.
        updates: optimizers' updates that are done of the step under way.
        skip: those that were done before a resume.
        reported: how many of the chores after the step are done.
        seconds: of training before this process.
    """

    position: dict[str, Any]
    step: int = 0
    updates: int = 0
    skip: int = 0
    reported: int = CHORES
    seconds: float = 0.0

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.position, self.seconds = state["data"], state["seconds"]
        self.step, self.skip, self.reported = place_of(state)


class DivergedError(UserError):
    """A loss or a weight is not finite: there is nothing to save."""


class Checkpoints:
    """The checkpoints in the output folder of a run, which is claimed until `close`.

    Args:
        config, accelerator: of the run.
        on_checkpoint: called by the main process with the folder of each checkpoint before the end.

    Raises:
        UserError: the folder cannot be written to or is another run's, or there is no checkpoint to go on from, or not of
            this script.
    """

    def __init__(self, config: TrainingConfig, accelerator: Accelerator, on_checkpoint: Callable[[Path], None] | None):
        self._config, self._accelerator, self._on_checkpoint = config, accelerator, on_checkpoint
        self.folder = Path(config.output_dir) / "checkpoints"
        self._output: OutputFolder | None = None
        # Of what state the newest checkpoint is.
        self._saved: tuple[int, int, int] | None = None
        # The one to go on from, with what is in it.
        self._found: tuple[Path, dict[str, Any]] | None = on_main_process(accelerator, self._open)

    def _open(self) -> tuple[Path, dict[str, Any]] | None:
        """Claim the output folder, and read the checkpoint to go on from if there is one: what the main process does."""
        config = self._config
        self._output = OutputFolder(self.folder.parent)
        try:
            folder = self._output.checkpoint(config.resume_from_checkpoint, clean=not config.dry_run)
            if folder is None:
                if config.resume_from_checkpoint:
                    print(f"There is no checkpoint in {self.folder.parent} yet: the run begins anew.")
                return None
            state = load_checkpoint(folder)
            self._check_fits(folder, state)
            return folder, state
        except BaseException:
            self.close()
            raise
        finally:
            if config.dry_run:
                # It leaves everything as it was.
                self.close()

    def close(self) -> None:
        """Let other runs into the folder."""
        if self._output:
            self._output.release()

    @property
    def last(self) -> Path | None:
        """The newest one."""
        kept = complete_checkpoints(self.folder)
        return kept[-1] if kept else None

    def diverged(self, what: str, step: int) -> DivergedError:
        """The error to raise when something is not finite."""
        last = f"{self.last} is the last good checkpoint; resume from it with" if self.last else "Start again with"
        return DivergedError(
            f"{what} at step {step:,}, so training stopped. {last} a lower --learning_rate, or with --mixed_precision no."
        )

    def _check_fits(self, folder: Path, state: dict[str, Any]) -> None:
        config = self._config
        if state.get("script") != config.script:
            raise UserError(f"The checkpoint {folder} belongs to {state.get('script')}, not to {config.script}.")
        if "settings" not in state:
            raise UserError(f"The checkpoint {folder} is of an older version of genmodels: start the run anew.")
        if config.num_train_epochs is None and state["step"] > config.max_train_steps:
            raise UserError(
                f"The checkpoint {folder} is at step {state['step']} already: raise --max_train_steps to go on from there."
            )
        processes = state["processes"] if "processes" in state else len(state["rng"])
        if processes != self._accelerator.num_processes:
            raise UserError(f"The checkpoint {folder} is of {processes} process(es): resume with as many.")
        later = [path.name for path in complete_checkpoints(self.folder) if step_of(path) > state["step"]]
        if later:
            raise UserError(
                f"{self.folder.parent} holds later checkpoints ({', '.join(later)}): remove them to go on from {folder}, or give "
                f"another --output_dir with --resume_from_checkpoint {folder}."
            )

    def check_networks(self, models: dict[str, torch.nn.Module], data: ImageStream) -> None:
        """Raise UserError if the checkpoint to go on from is of other networks."""
        if not self._found:
            return
        folder, state = self._found
        for name, model in models.items():
            saved, own = (
                {key: tuple(tensor.shape) for key, tensor in tensors.items()}
                for tensors in (state["models"].get(name, {}), model.state_dict())
            )
            if saved != own:
                changed = changed_settings(state["settings"], settings_of(self._config, self._accelerator))
                if other_data(state, data):
                    changed.append("the images")
                raise UserError(
                    f"The {name} in the checkpoint {folder} is another network: resume with the flags that it was made with. "
                    + (f"Changed since: {'; '.join(changed)}." if changed else "None has changed, but the code has.")
                )

    def resume(self, networks: Networks, data: ImageStream, say: Callable[[str], None]) -> dict[str, Any] | None:
        """Bring networks and data to the checkpoint to go on from, if there is one, and return what else is in it."""
        if not self._found:
            return None
        (folder, state), self._found = self._found, None
        try:
            networks.load_state_dict(state)
        except (RuntimeError, ValueError, KeyError) as error:
            raise UserError(
                f"The checkpoint {folder} does not fit these networks: resume with the flags that it was made with."
            ) from error
        data.load_state_dict(state["data"])
        say(f"Resuming from {folder}.")
        if other_data(state, data):
            counts = [f"{n:,}" if n is not None else "?" for n in (state["dataset"]["images"], data.num_images)]
            say(
                f"The data has changed since that checkpoint ({counts[0]} images then, {counts[1]} now), so the run goes on with "
                "other images than it began with."
            )
        if changed := changed_settings(state["settings"], settings_of(self._config, self._accelerator)):
            say(
                f"Settings have changed since that checkpoint, so the result will not be that of one uninterrupted run: "
                f"{'; '.join(changed)}."
            )
        if folder.resolve().parent == self.folder.resolve():
            self._saved = place_of(state)
        return state

    def write(self, state: dict[str, Any], last: bool) -> None:
        """Write a checkpoint, unless there is one of this very state, and remove the oldest; the main process does.

        Raises:
            UserError: it cannot be written.
        """
        if self._saved == place_of(state):
            return
        limit, folder = self._config.checkpoints_total_limit, self.folder / f"checkpoint-{state['step']}"
        try:
            save_checkpoint(folder, state)
        except UserError:
            # The oldest one would be removed afterwards: on a full disk it makes room before.
            older = [path for path in complete_checkpoints(self.folder) if path != folder]
            if len(older) < max(2, limit):
                raise
            remove_folder(older[0])
            save_checkpoint(folder, state)
        self._saved = place_of(state)
        if self._on_checkpoint and not last:
            self._on_checkpoint(folder)
        for old in complete_checkpoints(self.folder)[:-limit]:
            remove_folder(old)


def place_of(state: dict[str, Any]) -> tuple[int, int, int]:
    """The step, the updates that are done of the next one, and the chores that are done after it, in a checkpoint.

    Checkpoints of older versions are of whole steps.
    """
    return state["step"], state.get("updates", 0), state.get("reported", CHORES)


def other_data(state: dict[str, Any], data: ImageStream) -> bool:
    """Whether the data is known to be other than that of a checkpoint."""
    before, now = state.get("dataset", {}).get("fingerprint"), data.fingerprint
    return None not in (before, now) and before != now
