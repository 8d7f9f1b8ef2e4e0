"""One training run: devices, optimizers' schedules, averaged weights, logs, samples, checkpoints and the final pipeline."""

from __future__ import annotations

import argparse
import copy
import json
import math
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import set_seed
from diffusers import DiffusionPipeline
from diffusers.optimization import get_scheduler
from PIL import Image
from torch import nn
from torch.optim.swa_utils import AveragedModel
from tqdm.auto import tqdm

from ..data import ImageStream, load_images
from ..errors import UserError
from ..grid import make_grid
from .arguments import command_line
from .checkpoints import (
    complete_checkpoints,
    find_checkpoint,
    load_checkpoint,
    save_checkpoint,
    write_folder_atomically,
)


class TrainingRun:
    """What a training script needs around its algorithm.

    A script opens a run, builds its networks and optimizers, hands them to `prepare`, and loops over `steps()`; between two
    steps the run averages weights, logs, samples and saves.

    Attributes:
        data: the stream, with `sample_size`, `num_channels` and `class_names`.
        device: where the batches are.
    """

    def __init__(self, args: argparse.Namespace):
        self.args = args
        self.output_dir = Path(args.output_dir)
        self.accelerator = Accelerator(
            mixed_precision=choose_mixed_precision(args.mixed_precision),
            log_with=None if args.report_to == "none" else args.report_to,
            project_dir=str(self.output_dir),
            # Each process's BatchNorm statistics follow its own batches; rank 0's are saved.
            kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
        )
        self.device = self.accelerator.device
        if self.device.type == "cpu":
            # accelerate launch leaves one thread to each process; the machine has more.
            torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // self.accelerator.num_processes))
        set_seed(args.seed)
        self.data: ImageStream = load_images(
            args.dataset_name,
            split=args.split,
            config_name=args.dataset_config_name,
            batch_size=args.train_batch_size,
            image_column=args.image_column,
            label_column=args.label_column,
            classes=args.classes,
            sample_size=args.resolution,
            fit=args.fit,
            random_flip=args.random_flip,
            shuffle_buffer=args.shuffle_buffer,
            seed=args.seed,
            num_workers=args.dataloader_num_workers,
            cache_gb=args.cache_gb,
            rank=self.accelerator.process_index,
            world_size=self.accelerator.num_processes,
        )
        if not 16 <= self.data.sample_size <= 128:
            size = self.data.sample_size
            raise UserError(f"The images are {size}x{size}: give --resolution from 16 to 128.")
        self._step = 0
        # Seconds of training: those before a resume, and when this process began its own.
        self._seconds_before, self._started = 0.0, time.time()
        self._losses: dict[str, torch.Tensor] = {}

    def prepare(
        self,
        models: dict[str, nn.Module],
        optimizers: dict[str, torch.optim.Optimizer],
        *,
        averaged: tuple[str, ...],
        make_pipeline: Callable[..., DiffusionPipeline],
        draw_samples: Callable[[DiffusionPipeline], list[Image.Image]] | None = None,
    ) -> list[nn.Module]:
        """Put networks and optimizers on the device, in their precision, and go to the checkpoint to resume from.

        Args:
            models: networks by their component name, such as "generator".
            optimizers: by any name.
            averaged: which networks are saved as an exponential moving average (EMA) of their weights.
            make_pipeline: from the networks, as keyword arguments, to what is saved and later loaded: a pipeline.
            draw_samples: from a pipeline to the images of the sample grid, the same latents every time; None for no grids.

        Returns:
            The networks to call in the loop, in the order of `models`.
        """
        self._raw, self._optimizers = models, optimizers
        self._make_pipeline, self._draw_samples = make_pipeline, draw_samples
        for model in models.values():
            model.to(self.device, memory_format=torch.channels_last)
        self._averages = {name: average_of(models[name], self.args.ema_decay) for name in averaged}
        self._schedulers = {
            name: make_scheduler(
                self.args.lr_scheduler, optimizer, self.args.lr_warmup_steps, self.args.max_train_steps
            )
            for name, optimizer in optimizers.items()
        }
        if self.args.dry_run:
            self._print_plan()
            raise SystemExit(0)
        wrapped = [self.accelerator.prepare_model(model) for model in models.values()]
        # Seeds differ from here on: each process draws its own noise, from the same initial weights.
        set_seed(self.args.seed, device_specific=True)
        if self.args.resume_from_checkpoint:
            self._resume()
        return wrapped

    @property
    def done(self) -> bool:
        """Whether the last step has been taken."""
        return self._step >= self.args.max_train_steps

    def unwrap(self, model: nn.Module) -> nn.Module:
        """The network without the wrapper that synchronizes gradients, for passes that need none of its own."""
        return self.accelerator.unwrap_model(model)

    def update(self, optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
        """One optimizer step down the gradient of `loss`."""
        optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        optimizer.step()

    def log(self, **losses: torch.Tensor) -> None:
        """Note scalars of this step; they are read, and so waited for, only every --logging_steps steps."""
        self._losses = losses

    def steps(self) -> Iterator[dict[str, torch.Tensor]]:
        """Batches on the device, one a step, until --max_train_steps; everything between two steps happens here.

        Raises:
            UserError: a loss is not finite.
        """
        args, main = self.args, self.accelerator.is_main_process
        if main:
            self.output_dir.mkdir(parents=True, exist_ok=True)
            self._truncate_log()
        if args.report_to != "none":
            self.accelerator.init_trackers("logs")
        bar = tqdm(total=args.max_train_steps, initial=self._step, disable=not main, unit="step", dynamic_ncols=True)
        self._started, first_step, window, window_step = time.time(), self._step, time.time(), self._step
        batches = self.data.forever()
        while not self.done:
            batch = {name: tensor.to(self.device, non_blocking=True) for name, tensor in next(batches).items()}
            batch["pixel_values"] = batch["pixel_values"].contiguous(memory_format=torch.channels_last)
            yield batch
            self._step += 1
            bar.update()
            for name, average in self._averages.items():
                average.update_parameters(self._raw[name])
            for scheduler in self._schedulers.values():
                scheduler.step()
            if self._step % args.logging_steps == 0 or self._step in (first_step + 1, args.max_train_steps):
                images = (self._step - window_step) * args.train_batch_size * self.accelerator.num_processes
                rate, window, window_step = images / (time.time() - window), time.time(), self._step
                self._write_log(bar, rate)
            if (
                main
                and self._draw_samples
                and (self._step % args.sample_steps == 0 or self._step == args.max_train_steps)
            ):
                self._save_samples()
            if self._step % args.checkpointing_steps == 0 and self._step < args.max_train_steps:
                self._save()
        bar.close()

    def finish(self, title: str, **facts) -> Path:
        """Save the pipeline with its training facts, and say how to load it.

        Args:
            title: what the model is, in a few words, for its card.
            facts: further entries of training.json.

        Returns:
            The pipeline's folder.
        """
        self._save()
        folder = self.output_dir / "model"
        if self.accelerator.is_main_process:
            pipeline = self.pipeline()
            facts = {"title": title, **self._facts(), **facts}

            def write(partial: Path) -> None:
                pipeline.save_pretrained(partial, safe_serialization=True)
                if self._draw_samples:
                    make_grid(self._draw_samples(pipeline)).save(partial / "samples.png")
                (partial / "training.json").write_text(json.dumps(facts, indent=2) + "\n")

            write_folder_atomically(folder, write)
            kind = type(pipeline).__name__
            self.accelerator.print(f"Saved {folder}: load it with {kind}.from_pretrained({str(folder)!r}).")
        self.accelerator.end_training()
        return folder

    def pipeline(self) -> DiffusionPipeline:
        """The pipeline as it would be saved now: averaged networks where there are any, in evaluation mode."""
        networks = {}
        for name, model in self._raw.items():
            source = self._averages[name].module if name in self._averages else model
            network = copy.deepcopy(source).eval().requires_grad_(False)
            networks[name] = network.to(memory_format=torch.contiguous_format)
        return self._make_pipeline(**networks)

    def _state(self) -> dict:
        """Everything that the next step depends on."""
        own_rng = torch.get_rng_state().to(self.device)
        rng = self.accelerator.gather(own_rng[None]).cpu()
        state = {
            "script": Path(command_line().split()[2]).name,
            "step": self._step,
            "data": self.data.state_dict(),
            "models": {name: model.state_dict() for name, model in self._raw.items()},
            "averages": {name: average.state_dict() for name, average in self._averages.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
            "schedulers": {
                name: {k: v for k, v in scheduler.state_dict().items() if k != "lr_lambdas"}
                for name, scheduler in self._schedulers.items()
            },
            "rng": rng,
            "seconds": self._seconds_before + time.time() - self._started,
        }
        if self.device.type == "cuda":
            state["cuda_rng"] = self.accelerator.gather(torch.cuda.get_rng_state().to(self.device)[None]).cpu()
        return state

    def _save(self) -> None:
        state = self._state()
        if self.accelerator.is_main_process:
            checkpoints = self.output_dir / "checkpoints"
            save_checkpoint(checkpoints / f"checkpoint-{self._step}", state)
            for old in complete_checkpoints(checkpoints)[: -self.args.checkpoints_total_limit]:
                for file in old.iterdir():
                    file.unlink()
                old.rmdir()
        self.accelerator.wait_for_everyone()

    def _resume(self) -> None:
        folder = find_checkpoint(self.output_dir / "checkpoints", self.args.resume_from_checkpoint)
        state = load_checkpoint(folder)
        script = Path(command_line().split()[2]).name
        if state["script"] != script:
            raise UserError(f"The checkpoint {folder} belongs to {state['script']}, not to {script}.")
        if state["step"] >= self.args.max_train_steps:
            raise UserError(
                f"The checkpoint {folder} is at step {state['step']} already: raise --max_train_steps to go on from there."
            )
        try:
            for name, model in self._raw.items():
                model.load_state_dict(state["models"][name])
            for name, average in self._averages.items():
                average.load_state_dict(state["averages"][name])
            for name, optimizer in self._optimizers.items():
                optimizer.load_state_dict(state["optimizers"][name])
        except (RuntimeError, ValueError, KeyError) as error:
            raise UserError(
                f"The checkpoint {folder} does not fit these networks: resume with the flags that it was made with."
            ) from error
        for name, scheduler in self._schedulers.items():
            scheduler.load_state_dict({**state["schedulers"][name], "lr_lambdas": [None]})
        if len(state["rng"]) != self.accelerator.num_processes:
            raise UserError(f"The checkpoint {folder} is of {len(state['rng'])} process(es): resume with as many.")
        torch.set_rng_state(state["rng"][self.accelerator.process_index])
        if "cuda_rng" in state and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"][self.accelerator.process_index])
        self.data.load_state_dict(state["data"])
        self._step, self._seconds_before = state["step"], state["seconds"]
        self.accelerator.print(f"Resuming from {folder}.")

    def _write_log(self, bar: tqdm, images_per_second: float) -> None:
        values = {name: loss.detach().float().item() for name, loss in self._losses.items()}
        wrong = [name for name, value in values.items() if not math.isfinite(value)]
        if wrong:
            raise UserError(
                f"{wrong[0]} is {values[wrong[0]]} at step {self._step}: lower the learning rate, or try --mixed_precision no."
            )
        rates = {f"lr_{name}": scheduler.get_last_lr()[0] for name, scheduler in self._schedulers.items()}
        if self.accelerator.is_main_process:
            bar.set_postfix({**{k: f"{v:.3f}" for k, v in values.items()}, "img/s": f"{images_per_second:.0f}"})
            line = {"step": self._step, **values, **rates, "images_per_second": round(images_per_second, 1)}
            with open(self.output_dir / "metrics.jsonl", "a") as file:
                file.write(json.dumps(line) + "\n")
        self.accelerator.log({**values, **rates, "images_per_second": images_per_second}, step=self._step)

    def _truncate_log(self) -> None:
        """Drop log lines of steps that will be taken again."""
        path = self.output_dir / "metrics.jsonl"
        if path.exists():
            lines = [line for line in path.read_text().splitlines() if json.loads(line)["step"] <= self._step]
            partial = path.with_suffix(".partial")
            partial.write_text("".join(f"{line}\n" for line in lines))
            partial.replace(path)

    def _save_samples(self) -> None:
        folder = self.output_dir / "samples"
        folder.mkdir(exist_ok=True)
        # Sampling draws no random numbers from the state that training goes on with.
        with torch.random.fork_rng(devices=[]):
            grid = make_grid(self._draw_samples(self.pipeline()))
        grid.save(folder / f"step-{self._step:06d}.png")
        for tracker in self.accelerator.trackers:
            if tracker.name == "tensorboard":
                pixels = torch.frombuffer(bytearray(grid.convert("RGB").tobytes()), dtype=torch.uint8)
                tracker.writer.add_image(
                    "samples", pixels.view(grid.height, grid.width, 3), self._step, dataformats="HWC"
                )

    def _facts(self) -> dict:
        args = self.args
        images = self._step * args.train_batch_size * self.accelerator.num_processes
        return {
            "command": command_line(),
            "dataset": args.dataset_name if "/" in args.dataset_name and args.dataset_name[0] not in "/.~" else None,
            "split": args.split,
            "classes": args.classes,
            "seed": args.seed,
            "steps": self._step,
            "batch_size": args.train_batch_size * self.accelerator.num_processes,
            "images_seen": images,
            "minutes": round((self._seconds_before + time.time() - self._started) / 60, 1),
            "processes": self.accelerator.num_processes,
            "device": describe_device(self.device),
            "mixed_precision": self.accelerator.mixed_precision,
            "commit": git_commit(),
            "torch": torch.__version__,
            "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        }

    def _print_plan(self) -> None:
        data = self.data
        classes = f", classes {', '.join(data.class_names)}" if data.class_names else ""
        plan = {
            "data": f"{self.args.dataset_name} ({self.args.split}), {data.sample_size}x{data.sample_size}, "
            f"{data.num_channels} channel(s){classes}",
            "networks": ", ".join(
                f"{name} {sum(p.numel() for p in model.parameters()):,} parameters" for name, model in self._raw.items()
            ),
            "device": f"{describe_device(self.device)}, {self.accelerator.num_processes} process(es), "
            f"mixed precision {self.accelerator.mixed_precision}",
            "steps": f"{self.args.max_train_steps:,} of {self.args.train_batch_size} images",
            "output": str(self.output_dir),
        }
        flags = {name: value for name, value in sorted(vars(self.args).items()) if value is not None}
        lines = [f"{name:>9}: {value}" for name, value in plan.items()]
        lines += [
            "",
            *(f"  --{name} {value}" for name, value in flags.items()),
            "",
            "Dry run: nothing was trained or written.",
        ]
        self.accelerator.print("\n".join(lines))


def average_of(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of weights and BatchNorm statistics, warmed up as (1 + n) / (10 + n)."""

    def lerp(averages: list[torch.Tensor], currents: list[torch.Tensor], num_averaged: torch.Tensor) -> None:
        if not averages[0].is_floating_point():
            for average, current in zip(averages, currents, strict=True):
                average.copy_(current)
            return
        n = int(num_averaged)
        torch._foreach_lerp_(averages, currents, 1 - min(decay, (1 + n) / (10 + n)))

    average = AveragedModel(model, multi_avg_fn=lerp, use_buffers=True)
    return average.requires_grad_(False)


def make_scheduler(
    name: str, optimizer: torch.optim.Optimizer, warmup_steps: int, total_steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """diffusers' schedule of that name, or "trapezoid": constant for the first half, then a line to 0."""
    if name != "trapezoid":
        return get_scheduler(name, optimizer, num_warmup_steps=warmup_steps, num_training_steps=total_steps)
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / (warmup_steps + 1), 2 * (1 - step / total_steps))
    )


def choose_mixed_precision(wanted: str) -> str:
    """The precision for "auto": bf16 where the hardware has it, else none."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "no"


def describe_device(device: torch.device) -> str:
    """What the run computes on, without naming the machine."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} thread(s)"


def git_commit() -> str | None:
    """The commit of the code, marked if the tree has changes; None outside a repository."""
    arguments = {"cwd": Path(__file__).parents[1], "capture_output": True, "text": True}
    try:
        head = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], **arguments)
        changes = subprocess.run(["git", "status", "--porcelain", "--", ".", "../train", ":!ui", ":!zoo"], **arguments)
    except OSError:
        return None
    if head.returncode:
        return None
    return head.stdout.strip() + ("+changes" if changes.stdout.strip() else "")
