"""What a run says of itself: the plan of a dry run, and the facts that travel with the model."""

from __future__ import annotations

import hashlib
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from .. import __version__
from ..data import ImageStream, unusual_reading
from ..privacy import public_name, redact_argument
from .config import TrainingConfig

# What a training depends on.
CODE = ("genmodels", "train", ":!genmodels/ui", ":!genmodels/zoo")

# Flags that leave the trained weights and the logged losses as they are.
WITHOUT_EFFECT = {
    "checkpointing_steps",
    "checkpoints_total_limit",
    "dry_run",
    "hub_model_id",
    "hub_private",
    "hub_strategy",
    "logging_steps",
    "monitor_steps",
    # It only sets --max_train_steps.
    "num_train_epochs",
    "output_dir",
    "push_to_hub",
    "report_to",
    "resume_from_checkpoint",
    "sample_steps",
    "skip_unreadable",
}
# Of more classes than this a plan names the first.
MAX_CLASSES = 20


def settings_of(config: TrainingConfig, accelerator: Accelerator) -> dict[str, Any]:
    """What the result depends on besides the code: flags, precision, threads, library."""
    settings = {f"--{name}": getattr(config, name) for name in config.settings() if name not in WITHOUT_EFFECT}
    # They are saved with checkpoints, which may be published; of another folder the digest is another.
    for flag in ("dataset_name", "pretrained_model_name_or_path"):
        value = getattr(config, flag) or ""
        public = redact_argument(value)
        if public != value:
            settings[f"--{flag}"] = f"{public} {hashlib.sha256(value.encode()).hexdigest()[:8]}"
    if config.lr_scheduler == "constant" and not getattr(config, "instance_noise", 0):
        # It only says where a run ends.
        del settings["--max_train_steps"]
    return {
        **settings,
        "--mixed_precision": accelerator.mixed_precision,
        "threads": torch.get_num_threads(),
        "device": accelerator.device.type,
        "torch": torch.__version__,
    }


def changed_settings(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Each setting that differs between two results of `settings_of`, in words; one that the script no longer has does not."""
    return [f"{name} {now[name]} (was {before.get(name)})" for name in sorted(now) if before.get(name) != now[name]]


def training_facts(
    config: TrainingConfig, accelerator: Accelerator, data: ImageStream, steps: int, seconds: float
) -> dict[str, Any]:
    """What one needs to repeat the run: command, data, seed, steps, hardware, code. No path, no token."""
    batch_size = data.batch_size * accelerator.num_processes
    skipped = {"images_skipped": data.skipped.total()} if data.skipped else {}
    return {
        "command": config.command,
        "dataset": public_name(config.dataset_name),
        "split": config.split,
        "classes": config.classes,
        # Evaluation must do likewise.
        **unusual_reading(vars(config)),
        **({"max_train_samples": config.max_train_samples} if config.max_train_samples is not None else {}),
        **skipped,
        "seed": config.seed,
        "steps": steps,
        "batch_size": batch_size,
        "images_seen": steps * batch_size,
        "minutes": round(seconds / 60, 1),
        "processes": accelerator.num_processes,
        "device": describe_device(accelerator.device),
        "mixed_precision": accelerator.mixed_precision,
        "commit": git_commit(),
        "version": __version__,
        "torch": torch.__version__,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
    }


def plan_of(
    config: TrainingConfig,
    accelerator: Accelerator,
    data: ImageStream,
    models: dict[str, nn.Module],
    epochs: str,
) -> str:
    """What a dry run prints: data, networks, device, how many epochs the steps are if that is known, and every setting."""
    named = [
        *data.class_names[:MAX_CLASSES],
        *([f"... ({data.num_classes:,})"] if data.num_classes > MAX_CLASSES else []),
    ]
    classes = f", classes {', '.join(named)}" if named else ""
    accumulated = (
        f", each in {config.gradient_accumulation_steps} parts" if config.gradient_accumulation_steps > 1 else ""
    )
    plan = {
        "data": f"{config.dataset_name} ({config.split}), {data.sample_size}x{data.sample_size}, "
        f"{data.num_channels} channel(s){classes}"
        + (f"\n{data.summary:>{11 + len(data.summary)}}" if data.summary else ""),
        "networks": ", ".join(
            f"{name} {sum(p.numel() for p in model.parameters()):,} parameters" for name, model in models.items()
        ),
        "device": f"{describe_device(accelerator.device)}, {accelerator.num_processes} process(es), "
        f"mixed precision {accelerator.mixed_precision}",
        "steps": f"{config.max_train_steps:,} of {data.batch_size * accelerator.num_processes} images{accumulated}"
        + (f", {epochs}" if epochs else ""),
        "output": str(config.output_dir),
    }
    if few := describe_few(config, data, accelerator.num_processes):
        plan["batches"] = few
    flags = {name: getattr(config, name) for name in sorted(config.settings())}
    lines = [f"{name:>9}: {value}" for name, value in plan.items()]
    lines += ["", *(f"  --{name} {value}" for name, value in flags.items() if value is not None)]
    return "\n".join([*lines, "", "Dry run: nothing was trained or written."])


def describe_few(config: TrainingConfig, data: ImageStream, processes: int) -> str | None:
    """What becomes of batches that the data does not fill, in a sentence with the user's own numbers; None if it does."""
    count = data.few()
    if not count:
        return None
    accumulated = config.gradient_accumulation_steps
    # The critics of some scripts take several batches a step.
    batches = data.batch_size // (config.train_batch_size * accumulated)
    factors = [f"--train_batch_size {config.train_batch_size}"]
    factors += [f"--gradient_accumulation_steps {accumulated}"] if accumulated > 1 else []
    factors += [f"{batches} batches"] if batches > 1 else []
    factors += [f"{processes} processes"] if processes > 1 else []
    total = data.batch_size * processes
    product = f"{' x '.join(factors)}{f' = {total:,}' if len(factors) > 1 else ''}"
    return (
        f"There {'is 1 image' if count == 1 else f'are {count:,} images'}, fewer than the {total:,} of a step ({product}): each "
        f"step goes through them {total / count:.3g} times."
    )


def describe_device(device: torch.device) -> str:
    """What the run computes on, without naming the machine."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} thread(s)"


def git_commit() -> str | None:
    """The commit of the code, marked if the tree has changes; None if the package does not lie in its own repository."""
    root = Path(__file__).resolve().parents[2]
    # Whatever the environment says of another repository, such as the one whose hook has started the training.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=root, env=environment, capture_output=True, text=True).stdout.strip()

    try:
        # An installed package may lie inside of the user's repository.
        own = git("ls-files", "--error-unmatch", "--full-name", "genmodels/__init__.py") == "genmodels/__init__.py"
        head = git("rev-parse", "--verify", "--short=12", "HEAD") if own else ""
        return head + ("+changes" if git("status", "--porcelain", "--", *CODE) else "") if head else None
    except OSError:
        return None
