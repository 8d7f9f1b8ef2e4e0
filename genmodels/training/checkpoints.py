"""Checkpoints without pickle: one safetensors file for tensors, one JSON file for the rest, renamed into place when whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from ..errors import UserError, first_line

TENSORS, VALUES = "state.safetensors", "state.json"
# A folder that is being written, that has been replaced, and that is being removed: hidden, with one of these at its end.
PARTIAL, OLD, REMOVED = ".partial", ".old", ".removed"


def write_folder_atomically(folder: Path, write: Callable[[Path], None]) -> None:
    """Call `write(temporary folder)` and rename the result to `folder`, which is replaced if it exists.

    At every moment there is a whole folder: under its name or, between two renames, where `restore_folders` finds it.
    """
    restore_folders(folder.parent)
    partial, old = folder.with_name(f".{folder.name}{PARTIAL}"), folder.with_name(f".{folder.name}{OLD}")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        write(partial)
        for path in [*partial.rglob("*"), partial]:
            sync(path)
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    except BaseException:
        restore_folders(folder.parent)
        # What is left of a failed write would fill a full disk for good.
        shutil.rmtree(partial, ignore_errors=True)
        raise
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def restore_folders(parent: Path) -> None:
    """Put back what `write_folder_atomically` had moved aside when it was killed between its renames."""
    for old in parent.glob(f".*{OLD}"):
        folder = old.with_name(old.name[1:].removesuffix(OLD))
        if folder.exists() or not any(old.iterdir()):
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(folder)


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
    removed = folder.with_name(f".{folder.name}{REMOVED}")
    shutil.rmtree(removed, ignore_errors=True)
    folder.rename(removed)
    shutil.rmtree(removed)


def remove_leftovers(parent: Path) -> None:
    """Remove what a kill has left half written or half removed in a folder of such folders."""
    for suffix in (PARTIAL, REMOVED):
        for leftover in parent.glob(f".*{suffix}"):
            shutil.rmtree(leftover, ignore_errors=True)


def flatten(state: Any, tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, Any]:
    """Move the tensors of nested dicts and lists into `tensors`; what returns is JSON with their names in their place."""
    if isinstance(state, torch.Tensor):
        tensors[prefix] = state.detach().contiguous().cpu()
        return {"tensor": prefix}
    if isinstance(state, dict):
        return {"dict": [[key, flatten(value, tensors, f"{prefix}.{key}")] for key, value in state.items()]}
    if isinstance(state, list | tuple):
        return {"list": [flatten(value, tensors, f"{prefix}.{i}") for i, value in enumerate(state)]}
    return {"value": state}


def unflatten(spec: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Any:
    """The inverse of `flatten`; tuples come back as lists."""
    ((kind, content),) = spec.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: unflatten(value, tensors) for key, value in content}
    return [unflatten(value, tensors) for value in content] if kind == "list" else content


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write nested dicts and lists of tensors and numbers as `folder`, whole or not at all.

    Raises:
        UserError: it cannot be written, for instance to a full disk.
    """

    def write(partial: Path) -> None:
        tensors: dict[str, torch.Tensor] = {}
        spec = flatten(state, tensors, "state")
        # Tied tensors would be refused by safetensors; a copy of each is what a state dict means.
        save_file({name: tensor.clone() for name, tensor in tensors.items()}, partial / TENSORS)
        hashes = {VALUES: sha256_of(spec), **{name: sha256_of(tensor) for name, tensor in tensors.items()}}
        (partial / VALUES).write_text(json.dumps({**spec, "sha256": hashes}))

    try:
        write_folder_atomically(folder, write)
    except (OSError, SafetensorError) as error:
        kept = complete_checkpoints(folder.parent)
        raise UserError(
            f"{folder} could not be saved ({str(error).splitlines()[0]}). "
            + ("Checkpoints written before are intact: make room" if kept else "There is no other yet: make room")
            + (", then go on with --resume_from_checkpoint latest." if kept else ", then start again.")
        ) from error


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """Read what `save_checkpoint` wrote.

    Raises:
        UserError: it is damaged: a file is cut off, or what it holds has another sha256 than when it was saved.
    """
    try:
        spec, tensors = json.loads((folder / VALUES).read_text()), load_file(folder / TENSORS)
        # Checkpoints of older versions have none.
        hashes = spec.pop("sha256", {})
        for name, expected in hashes.items():
            if sha256_of(spec if name == VALUES else tensors[name]) != expected:
                raise ValueError(f"{name} is not as it was saved")
        return unflatten(spec, tensors)
    except (OSError, ValueError, KeyError, AttributeError, TypeError, SafetensorError) as error:
        others = [path.name for path in complete_checkpoints(folder.parent) if path != folder]
        raise UserError(
            f"The checkpoint {folder} is damaged ({first_line(error)}): remove it, and --resume_from_checkpoint latest "
            + (f"goes on from {others[-1]}." if others else "begins anew, for there is no other.")
        ) from error


def sha256_of(content: torch.Tensor | dict[str, Any]) -> str:
    """Of the bytes of a tensor on the CPU, or of JSON data."""
    if isinstance(content, torch.Tensor):
        return hashlib.sha256(content.contiguous().flatten().view(torch.uint8).numpy().data).hexdigest()
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def find_checkpoint(checkpoints: Path, wanted: str) -> Path:
    """The folder that --resume_from_checkpoint means: the latest one, or the named one; raises UserError if none."""
    if wanted != "latest":
        for folder in (Path(wanted), checkpoints / wanted):
            if (folder / VALUES).is_file():
                return folder
        names = ", ".join(path.name for path in complete_checkpoints(checkpoints)) or "those in an --output_dir"
        raise UserError(f"There is no checkpoint {wanted!r}: give 'latest' or one of {names}.")
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
