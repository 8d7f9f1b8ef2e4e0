"""Several processes that train one model: whether all are there, what they share, how many threads each has."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from ..errors import UserError

Answer = TypeVar("Answer")
# What torch says when another process is gone, in words of its own libraries.
LOST = re.compile(r"gloo|nccl|connection (closed|reset|refused)|broken pipe|socket|peer", re.IGNORECASE)


def open_accelerator(**options: Any) -> Accelerator:
    """accelerate's Accelerator; raises UserError if the environment asks for what is not there."""
    try:
        return Accelerator(**options)
    except (ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"accelerate cannot start ({reason}): mend the variables ACCELERATE_..., RANK, WORLD_SIZE and MASTER_ADDR, or what "
            "`accelerate config` wrote."
        ) from error


def number_in_environment(name: str, default: int) -> int:
    """What a launcher has put there, at least 1; the default where there is no number."""
    value = os.environ.get(name, "")
    return max(1, int(value)) if value.isdecimal() else default


def on_main_process(accelerator: Accelerator, function: Callable[[], Answer]) -> Answer:
    """What a function returns in the main process, in every process.

    Raises:
        UserError: the function raised one; the other processes end without a word.
    """
    answers: list[Answer | None] = [None]
    error = None
    if accelerator.is_main_process:
        try:
            answers = [function()]
        except UserError as raised:
            error = raised
    if accelerator.num_processes > 1:
        failed = [error is not None]
        broadcast_object_list(failed)
        if failed[0] and error is None:
            raise SystemExit(1)
        if not failed[0]:
            broadcast_object_list(answers)
    if error:
        raise error
    return cast(Answer, answers[0])


def is_lost_process(error: BaseException) -> bool:
    """Whether an exception means that another process of this run has ended."""
    several = torch.distributed.is_available() and torch.distributed.is_initialized()
    return several and isinstance(error, RuntimeError) and LOST.search(str(error)) is not None


def refuse_lost_processes(accelerator: Accelerator) -> None:
    """Raise UserError if several processes were asked for, and this one is alone: on CPUs accelerate says nothing of it."""
    if accelerator.num_processes > 1:
        return
    started = number_in_environment("WORLD_SIZE", 1)
    if started > 1:
        raise UserError(
            f"{started} processes were started, and each trains alone: on CPUs they find each other with ACCELERATE_USE_CPU=true "
            "in front of the command, or in the environment of the notebook."
        )
    launched = "ACCELERATE_MIXED_PRECISION" in os.environ and "MASTER_PORT" in os.environ
    if launched and "WORLD_SIZE" not in os.environ:
        raise UserError(
            "accelerate launch has started one process of several: on CPUs it needs --multi_gpu all the same, with "
            "ACCELERATE_USE_CPU=true in front."
        )


def keep_threads(processes: int) -> None:
    """Give each process its share of this machine's cores, unless OMP_NUM_THREADS, which torch has read, says otherwise."""
    if "OMP_NUM_THREADS" in os.environ and not set_by_launcher():
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(max(1, cores // number_in_environment("LOCAL_WORLD_SIZE", processes)))


def set_by_launcher() -> bool:
    """Whether OMP_NUM_THREADS is what accelerate launch or torchrun take where the user says nothing."""
    if not {"ACCELERATE_MIXED_PRECISION", "TORCHELASTIC_RUN_ID"} & set(os.environ):
        return False
    try:
        launcher = Path(f"/proc/{os.getppid()}")
        names = {line.partition(b"=")[0] for line in (launcher / "environ").read_bytes().split(b"\0")}
        command = (launcher / "cmdline").read_bytes()
    except OSError:
        # There is no such folder on other systems: both take 1.
        return os.environ["OMP_NUM_THREADS"] == "1"
    return b"OMP_NUM_THREADS" not in names and b"num_cpu_threads_per_process" not in command
