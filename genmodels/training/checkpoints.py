"""Checkpoints without pickle: one safetensors file for tensors, one JSON file for the rest, renamed into place when whole."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..errors import UserError

TENSORS, VALUES = "state.safetensors", "state.json"


def write_folder_atomically(folder: Path, write) -> None:
    """Call `write(temporary folder)` and rename the result to `folder`, which is replaced if it exists."""
    partial, old = folder.with_name(f".{folder.name}.partial"), folder.with_name(f".{folder.name}.old")
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        write(partial)
        for path in [*partial.rglob("*"), partial]:
            sync(path)
    except BaseException:
        # What is left of a failed write would fill a full disk for good.
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's entries, are on the disk."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_folder(folder: Path) -> None:
    """Remove a folder; while it is being removed it does not have its name any more."""
    old = folder.with_name(f".{folder.name}.old")
    folder.rename(old)
    shutil.rmtree(old)


def flatten(state, tensors: dict[str, torch.Tensor], prefix: str):
    """Move the tensors of nested dicts and lists into `tensors`; what returns is JSON with their names in their place."""
    if isinstance(state, torch.Tensor):
        tensors[prefix] = state.detach().contiguous().cpu()
        return {"tensor": prefix}
    if isinstance(state, dict):
        return {"dict": [[key, flatten(value, tensors, f"{prefix}.{key}")] for key, value in state.items()]}
    if isinstance(state, list | tuple):
        return {"list": [flatten(value, tensors, f"{prefix}.{i}") for i, value in enumerate(state)]}
    return {"value": state}


def unflatten(spec, tensors: dict[str, torch.Tensor]):
    """The inverse of `flatten`; tuples come back as lists."""
    ((kind, content),) = spec.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: unflatten(value, tensors) for key, value in content}
    return [unflatten(value, tensors) for value in content] if kind == "list" else content


def save_checkpoint(folder: Path, state: dict) -> None:
    """Write nested dicts and lists of tensors and numbers as `folder`, whole or not at all.

    Raises:
        UserError: it cannot be written, for instance to a full disk.
    """

    def write(partial: Path) -> None:
        tensors: dict[str, torch.Tensor] = {}
        spec = flatten(state, tensors, "state")
        # Tied tensors would be refused by safetensors; a copy of each is what a state dict means.
        save_file({name: tensor.clone() for name, tensor in tensors.items()}, partial / TENSORS)
        (partial / VALUES).write_text(json.dumps(spec))

    try:
        write_folder_atomically(folder, write)
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{folder} could not be saved ({str(error).splitlines()[0]}). Checkpoints written before are intact: make room, then "
            "go on with --resume_from_checkpoint latest."
        ) from error


def load_checkpoint(folder: Path) -> dict:
    """Read what `save_checkpoint` wrote; raises UserError if it is damaged."""
    try:
        return unflatten(json.loads((folder / VALUES).read_text()), load_file(folder / TENSORS))
    except (OSError, ValueError, KeyError, AttributeError, SafetensorError) as error:
        raise UserError(
            f"The checkpoint {folder} is damaged ({type(error).__name__}): resume from another one."
        ) from error


def find_checkpoint(checkpoints: Path, wanted: str) -> Path:
    """The folder that --resume_from_checkpoint means: the latest one, or the named one; raises UserError if none."""
    if wanted != "latest":
        for folder in (Path(wanted), checkpoints / wanted):
            if (folder / VALUES).is_file():
                return folder
        raise UserError(f"There is no checkpoint {wanted!r}: give 'latest' or one of {_names(checkpoints)}.")
    found = complete_checkpoints(checkpoints)
    if not found:
        raise UserError(f"There is no checkpoint in {checkpoints} to resume from: leave --resume_from_checkpoint out.")
    return found[-1]


def complete_checkpoints(checkpoints: Path) -> list[Path]:
    """Folders of complete checkpoints, oldest first."""
    return sorted((path for path in checkpoints.glob("checkpoint-*") if path.name[11:].isdigit()), key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step at which the checkpoint of this name was written."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def _names(checkpoints: Path) -> str:
    return ", ".join(path.name for path in complete_checkpoints(checkpoints)) or "those in an --output_dir"
