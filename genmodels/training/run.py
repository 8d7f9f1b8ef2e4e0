"""One training run: devices, gradients, averaged weights, logs, samples, checkpoints and the final pipeline."""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from accelerate.utils import GradientAccumulationPlugin, ProjectConfiguration, set_seed
from diffusers import DiffusionPipeline
from PIL import Image
from safetensors import SafetensorError
from torch import nn
from tqdm.auto import tqdm

from ..data import ImageStream, load_images
from ..errors import UserError
from ..evaluation.evaluate import generate
from ..grid import make_grid
from .arguments import RUNS, changed_settings, script_name, settings_of, steps_of
from .checkpoints import (
    complete_checkpoints,
    load_checkpoint,
    remove_folder,
    save_checkpoint,
    step_of,
    write_folder_atomically,
)
from .facts import describe_few, plan_of, training_facts
from .film import grids_of, save_film
from .film import step_of as step_of_grid
from .monitor import Monitor
from .optimization import (
    Average,
    average_gradients,
    choose_mixed_precision,
    make_scheduler,
    restore_optimizer,
    split_batch,
)
from .output import OutputFolder
from .processes import keep_threads, on_main_process, open_accelerator, refuse_lost_processes
from .small_data import FEWEST_HELD_OUT, choose_for, count_of, epochs_of
from .start import Start, counted_on, start_from
from .stopping import StopSignals
from .trackers import report_image, start_trackers
from .validation import MIN_IMAGES, Validation, evaluator_for, evaluator_name, knows_data
from .validation import NUM_IMAGES as VALIDATION_IMAGES

# What there is to do after a step, beside the step: log, samples, checkpoint, monitor, validation.
CHORES = 5
# Real images that the monitor knows, and fakes it looks at.
MONITOR_REALS, MONITOR_FAKES = 10_000, 256


class TrainingRun:
    """What a training script needs around its algorithm.

    A script opens a run, builds its networks and optimizers, hands them to `prepare`, and loops over `steps()`, calling
    `update` for each optimizer; between two steps the run averages weights, logs, samples, watches and saves.

    Attributes:
        data: the stream, with `sample_size`, `num_channels` and `class_names`.
        device: where the batches are.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        on_checkpoint: Callable[[Path], None] | None = None,
        batches_per_step: int = 1,
    ):
        """Open a run.

        Args:
            args: of the shared flags and the script's own.
            on_checkpoint: called by the main process with the folder of each checkpoint before the end.
            batches_per_step: how many times --train_batch_size images `steps()` yields at once, for `split_batch` to take apart.
        """
        self.args, self.on_checkpoint = args, on_checkpoint
        self.output_dir = Path(args.output_dir)
        self.accelerator = open_accelerator(
            mixed_precision=choose_mixed_precision(args.mixed_precision),
            # Its own variable in the environment would divide each loss once more than `update` does.
            gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
            log_with=[name for name in args.report_to if name != "none"] or None,
            project_config=ProjectConfiguration(logging_dir=str(self.output_dir / "logs")),
        )
        refuse_lost_processes(self.accelerator)
        self.device = self.accelerator.device
        if self.device.type == "cpu":
            keep_threads(self.accelerator.num_processes)
        # How far the step under way has come: optimizers' updates that are done, and those that were before a resume. After
        # a step, how many of its chores are done. A step that is torn cannot be saved.
        self._step = self._updates = self._skip = 0
        self._reported = CHORES
        self._torn = self._refused = False
        # The networks' buffers as the update under way began.
        self._buffers: list[torch.Tensor] | None = None
        # Of what state the newest checkpoint is.
        self._saved: tuple[int, int, int] | None = None
        self._stop = StopSignals()
        self._output: OutputFolder | None = None
        for run in RUNS:
            run.close()
        RUNS[:] = [self]
        # The checkpoint to go on from, with what is in it.
        self._resumed: tuple[Path, dict] | None = on_main_process(self.accelerator, self._open_output)
        # The same weights in every process.
        set_seed(args.seed)
        self._data_options = {
            "source": args.dataset_name,
            "split": args.split,
            "config_name": args.dataset_config_name,
            "revision": args.dataset_revision,
            "image_column": args.image_column,
            "label_column": args.label_column,
            "classes": args.classes,
            # Only some scripts have use for them.
            "attributes": getattr(args, "attributes", None),
            "sample_size": args.resolution,
            "fit": args.fit,
            "num_channels": args.num_channels,
            "background": args.background,
            "skip_unreadable": args.skip_unreadable,
        }
        self.data: ImageStream = load_images(
            **self._data_options,
            batch_size=args.train_batch_size * args.gradient_accumulation_steps * batches_per_step,
            max_samples=args.max_train_samples,
            shuffle_buffer=args.shuffle_buffer,
            seed=args.seed,
            num_workers=args.dataloader_num_workers,
            cache_gb=args.cache_gb,
            rank=self.accelerator.process_index,
            world_size=self.accelerator.num_processes,
        )
        self._num_images = count_of(self.data)
        chosen = choose_for(args, self.data, self._num_images)
        if args.num_train_epochs is not None:
            args.max_train_steps = steps_of(args.num_train_epochs, self.data, self.accelerator.num_processes)
        if self.data.summary and not args.dry_run:
            self.accelerator.print(self.data.summary)
        if not 16 <= self.data.sample_size <= 128:
            size = self.data.sample_size
            raise UserError(f"The images are {size}x{size}: give --resolution from 16 to 128.")
        if chosen:
            self.accelerator.print(chosen)
        # Seconds of training before this process, and when it began.
        self._seconds_before, self._started = 0.0, time.monotonic()
        # Where the stream was as the step began.
        self._position: dict = self.data.state_dict()
        self._losses: dict[str, torch.Tensor] = {}
        # Sums and counts of the losses since the monitor last looked.
        self._window: dict[str, list] = {}
        # The trained model that this one starts from.
        self._start: Start | None = None
        # The best weights by validation, and the last figures of it.
        self._best: dict | None = None
        self._last_validation: dict | None = None

    def prepare(
        self,
        models: dict[str, nn.Module],
        optimizers: dict[str, torch.optim.Optimizer],
        *,
        averaged: tuple[str, ...],
        historical: tuple[str, ...] = (),
        make_pipeline: Callable[..., DiffusionPipeline],
        draw_samples: Callable[[DiffusionPipeline], list[Image.Image]] | None = None,
        conditional: bool = False,
        advice: dict[str, str] | None = None,
        watch_options: dict | None = None,
    ) -> list[nn.Module]:
        """Put networks and optimizers on the device, in their precision, and go to the checkpoint to resume from.

        Args:
            models: networks by their component name, such as "generator".
            optimizers: by any name.
            averaged: which networks are saved as an exponential moving average (EMA) of their weights.
            historical: of which networks `history` has the mean of the weights over all steps.
            make_pipeline: from the networks, as keyword arguments, to what is saved and later loaded: a pipeline.
            draw_samples: from a pipeline to the images of the sample grid, the same latents every time; None if the
                networks draw nothing: then there are no grids, no monitor and no choice of the best weights.
            conditional: whether the pipeline draws images of wanted classes.
            advice: what the monitor suggests, by kind of finding, in terms of the script's own flags.
            watch_options: arguments of the pipeline's call for monitor and validation, such as fewer inference steps.

        Returns:
            The networks to call in the loop, in the order of `models`.
        """
        self._models, self._optimizers = models, optimizers
        self._make_pipeline, self._draw_samples = make_pipeline, draw_samples
        self._num_classes = self.data.num_classes if conditional else 0
        self._advice, self._watch_options = advice or {}, watch_options or {}
        if self.args.pretrained_model_name_or_path:
            # One process downloads, the others find it there.
            with self.accelerator.main_process_first():
                self._start = start_from(self.args.pretrained_model_name_or_path, models)
        if self._resumed:
            self._check_networks()
        if self.args.dry_run:
            self.accelerator.print(plan_of(self.args, self.accelerator, self.data, models, self._epochs))
            raise SystemExit(0)
        if self._epochs:
            self.accelerator.print(f"{self.args.max_train_steps:,} steps are {self._epochs}.")
        for model in models.values():
            model.to(self.device, memory_format=torch.channels_last)
        self._averages = {name: Average(models[name], self.args.ema_decay) for name in averaged}
        self._histories = {name: Average(models[name], None) for name in historical}
        # Only mixed precision is accelerate's business here: `update` averages the gradients.
        prepared = [self.accelerator.prepare_model(model, evaluation_mode=True) for model in models.values()]
        self._monitor: Monitor | None = None
        self._monitor_state: dict | None = None
        self._held_out: tuple[torch.Tensor, torch.Tensor] | None = None
        self._validation: Validation | None = None
        self._too_few = False
        if self._resumed:
            self._resume()
        self._schedulers = {
            name: make_scheduler(
                self.args.lr_scheduler,
                optimizer,
                self.args.lr_warmup_steps,
                self.args.max_train_steps,
                steps_taken=self._step,
            )
            for name, optimizer in optimizers.items()
        }
        return prepared

    @property
    def step(self) -> int:
        """How many steps have been taken."""
        return self._step

    @property
    def _epochs(self) -> str:
        return epochs_of(self.args, self.data.batch_size * self.accelerator.num_processes, self._num_images)

    @property
    def done(self) -> bool:
        """Whether the last step has been taken."""
        return self._step >= self.args.max_train_steps

    def history(self, name: str) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """The parameters of a network that `prepare` was given as `historical`, and the mean of each over all steps."""
        return list(self._models[name].parameters()), list(self._histories[name].module.parameters())

    def update(
        self,
        optimizer: torch.optim.Optimizer,
        loss_of: Callable[[dict[str, torch.Tensor]], tuple[torch.Tensor, dict[str, torch.Tensor]]],
        batch: dict[str, torch.Tensor],
    ) -> None:
        """One optimizer step down the gradient of `loss_of(batch)`: a mean over the batch, and scalars to log by their names.

        With --gradient_accumulation_steps the batch is taken in so many parts; with several processes the gradient is the
        mean over all their batches. Only the optimizer's own parameters get a gradient, whatever else the loss went through.
        The scalars are read, and so waited for, only every --logging_steps steps.
        """
        if self._updates < self._skip:
            self._updates += 1
            # Its schedule would warn that it goes first.
            optimizer._opt_called = True
            return
        self._seed(self._updates + 1)
        self._buffers = [buffer.clone() for buffer in self._all_buffers()]
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        optimizer.zero_grad(set_to_none=True)
        parts = self.args.gradient_accumulation_steps
        means: dict[str, torch.Tensor] = {}
        for part in split_batch(batch, parts):
            loss, figures = loss_of(part)
            self.accelerator.backward(loss / parts, inputs=parameters)
            for name, value in figures.items():
                value = value.detach().float() / parts
                means[name] = means[name] + value if name in means else value
        average_gradients(self.accelerator, parameters)
        with self._stop.held():
            before = versions(optimizer)
            try:
                optimizer.step()
            except BaseException:
                self._torn = versions(optimizer) != before
                raise
            self._losses |= means
            self._updates += 1
            self._buffers = None

    def _seed(self, update: int) -> None:
        """Let random numbers depend on the seed, the process, the step and its update alone: then no state of them is kept."""
        words = f"{self.args.seed} {self.accelerator.process_index} {self._step} {update}"
        seed = int.from_bytes(hashlib.sha256(words.encode()).digest()[:4], "big")
        # torch.manual_seed asks after every kind of device: a third of a millisecond.
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _all_buffers(self) -> list[torch.Tensor]:
        return [buffer for model in self._models.values() for buffer in model.buffers()]

    def steps(self) -> Iterator[dict[str, torch.Tensor]]:
        """Batches on the device, one a step, until --max_train_steps; everything between two steps happens here.

        SIGTERM or Ctrl-C end the program after the step, with a checkpoint and exit code 0. After an exception, here or in the
        script's own code, `rescue` saves.

        Raises:
            UserError: a loss or a weight is not finite, or a checkpoint cannot be written.
        """
        main = self.accelerator.is_main_process
        if main:
            self._clean_output()
        if few := describe_few(self.args, self.data, self.accelerator.num_processes):
            self.accelerator.print(few)
        start_trackers(self.accelerator, self.args, self.output_dir, self._step)
        if main and self._step == 0:
            self._save_samples()
        self._started = self._window_started = time.monotonic()
        self._window_step = self._step
        batches = self.data.forever()
        with (
            self._stop,
            tqdm(
                total=self.args.max_train_steps,
                initial=self._step,
                disable=not main,
                unit="step",
                dynamic_ncols=True,
            ) as self._bar,
        ):
            self._report()
            while not self.done:
                self._seed(0)
                batch = {name: tensor.to(self.device, non_blocking=True) for name, tensor in next(batches).items()}
                batch["pixel_values"] = batch["pixel_values"].contiguous(memory_format=torch.channels_last)
                self._stop.armed = True
                yield batch
                self._after_step()
                if self._num_images is None and self.data.state_dict() == {"epoch": 1, "batch": 1}:
                    # Now it is known, but for a rest that fills no batch.
                    self._num_images = (self._step - 1) * self.data.batch_size * self.accelerator.num_processes
                    self._bar.write(
                        f"That was the first epoch: {self.args.max_train_steps:,} steps are {self._epochs}."
                    )
                if not self.done and self._must_stop():
                    self._save()
                    self.accelerator.end_training()
                    self._bar.close()
                    self.accelerator.print(
                        f"Stopped after step {self._step:,}, with a checkpoint: the same command with "
                        "--resume_from_checkpoint latest goes on."
                    )
                    raise SystemExit(0)

    def whole_split(self, split: str | None = None) -> Iterator[dict[str, torch.Tensor]]:
        """All images of a split once, in the dataset's order and unflipped, in any process: for what the end needs.

        Args:
            split: by default the one that is trained on.

        Raises:
            UserError: there is no such split.
        """
        options = {**self._data_options, "split": split or self.args.split}
        if options["split"] == self.args.split:
            options |= {"max_samples": self.args.max_train_samples, "seed": self.args.seed}
        return load_images(**options, batch_size=500, num_workers=0).once()

    def finish(self, title: str, complete: Callable[[DiffusionPipeline], None] | None = None, **facts) -> Path:
        """Save the pipeline with its training facts, and say how to load it.

        The weights are rounded to float16, half a download, and load as float32 again; checkpoints keep them whole.

        Args:
            title: what the model is, in a few words, for its card.
            complete: called by the main process with the final pipeline, to add what training does not.
            facts: further entries of training.json.

        Returns:
            The pipeline's folder.
        """
        self._save()
        folder = self.output_dir / "model"
        if self.accelerator.is_main_process:
            states = self._best["networks"] if self._best else self._saved_states()
            for name, count in beyond_half_precision(states).items():
                self.accelerator.print(
                    f"{count:,} numbers of the {name} are beyond the largest of float16, 65,504, and are saved as that: the "
                    "saved model may draw other images than the last samples show. Try a lower --learning_rate."
                )
            # Rounded before anything is drawn or measured, so that pictures and figures are those of what is saved.
            pipeline = self.pipeline(half_precision(states))
            if complete:
                complete(pipeline)
            facts = {
                "title": title,
                **training_facts(self.args, self.accelerator, self.data, self._step, self._seconds()),
                **facts,
            }
            if self._best:
                last = self._last_validation
                facts["selected"] = {
                    "step": self._best["step"],
                    **{name: round(self._best[name], 4) for name in ("fid", "recall")},
                    **{f"last_{name}": round(last[name], 4) for name in ("fid", "recall")},
                    "n": self._best["n"],
                    # What the numbers are, which say little of data that the evaluator has not learned.
                    "features": self._features,
                    "features_of_this_data": knows_data(self._features, self.args.dataset_name),
                    **{name: self._best[name] for name in ("floor", "floor_n") if name in self._best},
                }
            if self._monitor_state:
                facts["monitor"] = self._watcher().verdict()
            if self._start:
                facts["started_from"] = self._start.facts
                facts["images_seen"] += self._start.training.get("images_seen", 0)

            def write(partial: Path) -> None:
                if self._draw_samples:
                    make_grid(self._draw_samples(pipeline)).save(partial / "samples.png")
                    facts["film_steps"] = save_film(self.output_dir / "samples", partial / "film.webp", self._start)
                (partial / "training.json").write_text(json.dumps(facts, indent=2) + "\n")
                if (self.output_dir / "metrics.jsonl").exists():
                    self._copy_log(partial / "metrics.jsonl")
                save_in_half_precision(pipeline, partial)

            try:
                write_folder_atomically(folder, write)
            except SafetensorError as error:
                raise UserError(
                    f"{folder} could not be saved ({str(error).splitlines()[0]}). Checkpoints are intact: make room, then go on "
                    "with --resume_from_checkpoint latest."
                ) from error
            kind = type(pipeline).__name__
            chosen = f", the weights after step {self._best['step']:,} with the lowest FID" if self._best else ""
            self.accelerator.print(f"Saved {folder}{chosen}: load it with {kind}.from_pretrained({str(folder)!r}).")
        self.accelerator.end_training()
        return folder

    def _copy_log(self, target: Path) -> None:
        """The log of all steps, those of the model that the run started from included."""
        log = self.output_dir / "metrics.jsonl"
        if self._start is None:
            shutil.copyfile(log, target)
            return
        lines = [*self._start.log(), *(counted_on(line, self._start.steps) for line in log.read_text().splitlines())]
        target.write_text("".join(f"{line}\n" for line in lines))

    def pipeline(self, weights: dict[str, dict] | None = None) -> DiffusionPipeline:
        """The pipeline as it would be saved now: averaged networks where there are any, in evaluation mode.

        Args:
            weights: other weights for each network, as state dicts.
        """
        networks = {}
        for name, source in self._saved_networks().items():
            network = copy.deepcopy(source).eval().requires_grad_(False)
            if weights:
                network.load_state_dict(weights[name])
            networks[name] = network.to(memory_format=torch.contiguous_format)
        return self._make_pipeline(**networks)

    def _saved_networks(self) -> dict[str, nn.Module]:
        return {
            name: self._averages[name].module if name in self._averages else model
            for name, model in self._models.items()
        }

    def _saved_states(self) -> dict[str, dict[str, torch.Tensor]]:
        return {
            name: {key: tensor.cpu().clone() for key, tensor in network.state_dict().items()}
            for name, network in self._saved_networks().items()
        }

    def _seconds(self) -> float:
        return self._seconds_before + max(0.0, time.monotonic() - self._started)

    def _after_step(self) -> None:
        with self._stop.held():
            self._torn = True
            self._step += 1
            for averages in (self._averages, self._histories):
                for name, average in averages.items():
                    average.update(self._models[name])
            for scheduler in self._schedulers.values():
                scheduler.step()
            for name, value in self._losses.items():
                total, count = self._window.get(name, (0.0, 0))
                self._window[name] = [total + value, count + 1]
            self._position = self.data.state_dict()
            self._updates = self._skip = self._reported = 0
            self._torn = False
        self._bar.update()
        self._report()

    def _report(self) -> None:
        """Do what is due after a step and not done yet; a run that broke off in the middle of it goes on there."""
        args, step, main = self.args, self._step, self.accelerator.is_main_process
        draws = self._draw_samples is not None
        validates = draws and args.validation_steps and (step % args.validation_steps == 0 or self.done)
        chores = (
            (step % args.logging_steps == 0 or step in (1, args.max_train_steps), self._write_log),
            (main and draws and (step % args.sample_steps == 0 or self.done), self._save_samples),
            # Before what takes long and may fail; `finish` saves once more.
            (validates if self.done else step % args.checkpointing_steps == 0, self._save_before_checks),
            (draws and args.monitor_steps and step % args.monitor_steps == 0, self._watch),
            (validates, self._validate),
        )
        for number, (due, chore) in enumerate(chores):
            if number >= self._reported:
                if due:
                    chore()
                self._reported = number + 1

    def _save_before_checks(self) -> None:
        # In the checkpoint this has been done.
        self._reported += 1
        self._save()

    def _must_stop(self) -> bool:
        """Whether a signal has come to any process; several agree on it at every log line, where they wait anyway."""
        if self.accelerator.num_processes == 1:
            return self._stop.requested
        if self._step % self.args.logging_steps:
            return False
        return bool(self.accelerator.reduce(torch.tensor(float(self._stop.requested), device=self.device), "max"))

    def _read_losses(self) -> dict[str, float]:
        """The losses of this step, the mean over all processes; raises UserError if they are not finite."""
        names = sorted(self._losses)
        # A loss that was not finite in any step since the last reading leaves its sum so.
        sums = [self._window.get(name, [self._losses[name]])[0] for name in names]
        values = self.accelerator.reduce(torch.stack([self._losses[name] for name in names] + sums), "mean").tolist()
        for name, value, total in zip(names, values, values[len(names) :], strict=False):
            if not math.isfinite(total):
                self._refuse_to_go_on(f"{name} is {value}" if not math.isfinite(value) else f"{name} was not finite")
        return dict(zip(names, values, strict=False))

    def _check_weights(self) -> None:
        for name, model in self._models.items():
            if not torch.stack([p.detach().sum() for p in model.parameters()]).sum().isfinite():
                self._refuse_to_go_on(f"A weight of the {name} is not finite")

    def _refuse_to_go_on(self, what: str) -> None:
        self._refused = True
        kept = complete_checkpoints(self.output_dir / "checkpoints")
        last = f"{kept[-1]} is the last good checkpoint; resume from it with" if kept else "Start again with"
        raise UserError(
            f"{what} at step {self._step:,}, so training stopped. {last} a lower --learning_rate, or with --mixed_precision no."
        )

    def _write_log(self) -> None:
        values = self._read_losses()
        images = (self._step - self._window_step) * self.data.batch_size * self.accelerator.num_processes
        now = time.monotonic()
        # Some machines' clocks stand still.
        rate = images / (now - self._window_started) if now > self._window_started else 0.0
        self._window_started, self._window_step = now, self._step
        rates = {f"lr_{name}": scheduler.get_last_lr()[0] for name, scheduler in self._schedulers.items()}
        self._bar.set_postfix({**{k: f"{v:.3f}" for k, v in values.items()}, "img/s": f"{rate:.0f}"})
        self._append({**values, **rates, "images_per_second": round(rate, 1)})

    def _append(self, figures: dict, group: str | None = None) -> None:
        """One line of metrics.jsonl, and the same to the trackers."""
        if self.accelerator.is_main_process:
            line = {"step": self._step, **({group: figures} if group else figures)}
            with open(self.output_dir / "metrics.jsonl", "a") as file:
                file.write(json.dumps(line) + "\n")
            self.accelerator.log({f"{group}/{k}" if group else k: v for k, v in figures.items()}, self._step)

    def _watcher(self) -> Monitor:
        if self._monitor is None:
            images, labels = self.data.sample(MONITOR_REALS)
            known = (self.data.sample_size, self.data.num_channels) in ((28, 1), (32, 3))
            self._monitor = Monitor(
                images,
                labels,
                self.data.class_names,
                evaluator=evaluator_for(self.data.num_channels, self.device) if known else None,
                conditional=self._num_classes > 0,
                advice=self._advice,
            )
            if self._monitor_state:
                self._monitor.load_state_dict(self._monitor_state)
        return self._monitor

    def _watch(self) -> None:
        """Let the monitor look at fakes and at the losses since it last did."""
        self._read_losses()
        if self.accelerator.is_main_process:
            means = {name: float(total) / count for name, (total, count) in self._window.items()}
            fakes, labels = self._draw_fakes(MONITOR_FAKES)
            watcher = self._watcher()
            figures, findings = watcher.check(self._step, fakes, labels, means, self._scores(watcher, fakes, labels))
            self._append(figures, "monitor")
            for finding in findings:
                self._bar.write(f"Monitor, step {self._step:,}: {finding.message}")
            self._monitor_state = self._monitor.state_dict()
        self._window = {}

    def _scores(self, watcher: Monitor, fakes: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor] | None:
        """The discriminator's scores of training images, of held-out ones and of fakes; None where none are held out."""
        if not getattr(self.args, "hold_out", 0):
            return None
        if self._held_out is None:
            self._held_out = self.data.sample(MONITOR_FAKES, held_out=True)
        if len(self._held_out[0]) < FEWEST_HELD_OUT:
            return None
        pipeline, sets = self.pipeline(), {"train": watcher.training, "held_out": self._held_out}
        sets = {name: (images.float() / 127.5 - 1, own) for name, (images, own) in sets.items()} | {
            "fake": (fakes, labels)
        }
        return {
            name: pipeline.discriminate(images, *([own] if self._num_classes else []))
            for name, (images, own) in sets.items()
        }

    def _draw_fakes(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        # Other latents each time, so that checks add up.
        seed = self.args.seed + self._step
        parts = list(generate(self.pipeline(), count, seed, self._num_classes, **self._watch_options))
        images, labels = (torch.cat(part) for part in zip(*parts, strict=True))
        return images.cpu(), labels.cpu()

    def _validate(self) -> None:
        """Measure the averaged weights, and keep them if they are the best so far."""
        if self.accelerator.is_main_process and (validation := self._validator()):
            figures = validation.measure(self.pipeline(), **self._watch_options)
            self._append({**figures, "floor": validation.floor, "features": self._features}, "validation")
            self._last_validation = figures
            if self._best is None or figures["fid"] < self._best["fid"]:
                self._best = {
                    "step": self._step,
                    "n": validation.num_images,
                    "floor": validation.floor,
                    "floor_n": validation.floor_images,
                    **figures,
                    "networks": self._saved_states(),
                }
        self.accelerator.wait_for_everyone()

    @property
    def _features(self) -> str:
        return evaluator_name(self.data.num_channels)

    def _validator(self) -> Validation | None:
        if self._validation is None and not self._too_few:
            # As many again as are compared with the fakes, for the floor.
            images, _ = self.data.sample(2 * VALIDATION_IMAGES)
            self._too_few = len(images) < MIN_IMAGES
            if self._too_few:
                self._bar.write(
                    f"FID takes {MIN_IMAGES} images, and there are {len(images)}: the last weights will be saved."
                )
                return None
            evaluator = evaluator_for(self.data.num_channels, self.device)
            self._validation = Validation(images, self._num_classes, evaluator, self.args.seed)
        return self._validation

    def _state(self) -> dict:
        """Everything that the next step depends on, or the rest of the step under way."""
        return {
            "script": script_name(),
            "settings": settings_of(self.args, self.accelerator),
            "processes": self.accelerator.num_processes,
            "step": self._step,
            "updates": max(self._updates, self._skip),
            "reported": self._reported,
            "data": self._position,
            "dataset": {"fingerprint": self.data.fingerprint, "images": self.data.num_images},
            "models": {name: model.state_dict() for name, model in self._models.items()},
            "averages": {name: average.state_dict() for name, average in self._averages.items()},
            "histories": {name: average.state_dict() for name, average in self._histories.items()},
            "optimizers": {name: optimizer.state_dict()["state"] for name, optimizer in self._optimizers.items()},
            "losses": self._losses,
            "window": self._window,
            "monitor": self._monitor_state,
            "best": self._best,
            "last_validation": self._last_validation,
            "seconds": self._seconds(),
        }

    def _save(self) -> None:
        """Write a checkpoint, unless there is one of this very state."""
        self._check_weights()
        self._read_losses()
        if self.accelerator.is_main_process:
            self._write_checkpoint()
        self.accelerator.wait_for_everyone()

    def _write_checkpoint(self) -> None:
        state = self._state()
        if self._saved == (now := (state["step"], state["updates"], state["reported"])):
            return
        checkpoints, limit = self.output_dir / "checkpoints", self.args.checkpoints_total_limit
        folder = checkpoints / f"checkpoint-{self._step}"
        try:
            save_checkpoint(folder, state)
        except UserError:
            # The oldest one would be removed afterwards: on a full disk it makes room before.
            older = [path for path in complete_checkpoints(checkpoints) if path != folder]
            if len(older) < max(2, limit):
                raise
            remove_folder(older[0])
            save_checkpoint(folder, state)
        self._saved = now
        if self.on_checkpoint and not self.done:
            self.on_checkpoint(folder)
        for old in complete_checkpoints(checkpoints)[:-limit]:
            remove_folder(old)

    def rescue(self, error: BaseException) -> str:
        """After an exception: save the last whole step and, of the one under way, the updates that are done.

        Every process may call it, since it waits for no other.

        Returns:
            What became of the training, in a sentence; "" if there was none yet, or nothing is lost.
        """
        if self._refused or (not self._stop.armed and self._reported == CHORES):
            return ""
        kept = complete_checkpoints(self.output_dir / "checkpoints")
        if not self.accelerator.is_main_process:
            here = f"the last one here is {kept[-1]}" if kept else "there is none here"
            return f"The first process writes the checkpoints; {here}."
        if self._torn or self._step == 0:
            return f"The last checkpoint is {kept[-1]}." if kept else "There is no checkpoint yet."
        if self._buffers is not None:
            for buffer, before in zip(self._all_buffers(), self._buffers, strict=True):
                buffer.copy_(before)
            self._buffers = None
        try:
            self._check_weights()
            self._write_checkpoint()
        except UserError as unsaved:
            return "" if str(unsaved) == str(error) else f"The state after step {self._step:,} is not saved. {unsaved}"
        return (
            f"The state after step {self._step:,} is saved: the same command with --resume_from_checkpoint latest goes on from "
            "there."
        )

    def close(self) -> None:
        """Give back signals and output folder; a run that ended in whatever way may be closed again."""
        self._stop.restore()
        if self._output:
            self._output.release()

    def _open_output(self) -> tuple[Path, dict] | None:
        """Claim the output folder, and read the checkpoint to go on from if there is one: what the main process does."""
        self._output = OutputFolder(self.output_dir)
        if self.args.dry_run:
            # It leaves everything as it was.
            self._output.release()
        folder = self._output.checkpoint(self.args.resume_from_checkpoint, clean=not self.args.dry_run)
        if folder is None:
            if self.args.resume_from_checkpoint:
                print(f"There is no checkpoint in {self.output_dir} yet: the run begins anew.")
            return None
        state = load_checkpoint(folder)
        self._check_fits(folder, state)
        return folder, state

    def _check_networks(self) -> None:
        """Raise UserError if the checkpoint's networks are not these."""
        folder, state = self._resumed
        for name, model in self._models.items():
            saved, own = (
                {key: tuple(tensor.shape) for key, tensor in tensors.items()}
                for tensors in (state["models"].get(name, {}), model.state_dict())
            )
            if saved != own:
                changed = changed_settings(state["settings"], settings_of(self.args, self.accelerator))
                if self._other_data(state):
                    changed.append("the images")
                raise UserError(
                    f"The {name} in the checkpoint {folder} is another network: resume with the flags that it was made with. "
                    + (f"Changed since: {'; '.join(changed)}." if changed else "None has changed, but the code has.")
                )

    def _other_data(self, state: dict) -> bool:
        """Whether the data is known to be other than that of a checkpoint."""
        before, now = state.get("dataset", {}).get("fingerprint"), self.data.fingerprint
        return None not in (before, now) and before != now

    def _resume(self) -> None:
        folder, state = self._resumed
        self._resumed = None
        try:
            for name, model in self._models.items():
                model.load_state_dict(state["models"][name])
            for name, average in self._averages.items():
                average.load_state_dict(state["averages"][name])
            for name, average in self._histories.items():
                average.load_state_dict(state["histories"][name])
            for name, optimizer in self._optimizers.items():
                restore_optimizer(optimizer, state["optimizers"][name])
        except (RuntimeError, ValueError, KeyError) as error:
            raise UserError(
                f"The checkpoint {folder} does not fit these networks: resume with the flags that it was made with."
            ) from error
        self.data.load_state_dict(state["data"])
        self._position = state["data"]
        # Checkpoints of older versions are of whole steps, and have states of random numbers, which are not needed any more.
        self._skip, self._reported = state.get("updates", 0), state.get("reported", CHORES)
        self._losses = {name: value.to(self.device) for name, value in state.get("losses", {}).items()}
        self._window = {name: [total.to(self.device), n] for name, (total, n) in state["window"].items()}
        self._monitor_state, self._best = state["monitor"], state["best"]
        self._last_validation = state["last_validation"]
        self._step = state["step"]
        self._seconds_before = state["seconds"]
        if folder.resolve().parent == (self.output_dir / "checkpoints").resolve():
            self._saved = (self._step, self._skip, self._reported)
        self.accelerator.print(f"Resuming from {folder}.")
        if self._other_data(state):
            counts = [f"{n:,}" if n is not None else "?" for n in (state["dataset"]["images"], self.data.num_images)]
            self.accelerator.print(
                f"The data has changed since that checkpoint ({counts[0]} images then, {counts[1]} now), so the run goes on with "
                "other images than it began with."
            )
        changed = changed_settings(state["settings"], settings_of(self.args, self.accelerator))
        if changed:
            self.accelerator.print(
                f"Settings have changed since that checkpoint, so the result will not be that of one uninterrupted run: "
                f"{'; '.join(changed)}."
            )

    def _check_fits(self, folder: Path, state: dict) -> None:
        script = script_name()
        if state.get("script") != script:
            raise UserError(f"The checkpoint {folder} belongs to {state.get('script')}, not to {script}.")
        if "settings" not in state:
            raise UserError(f"The checkpoint {folder} is of an older version of genmodels: start the run anew.")
        if self.args.num_train_epochs is None and state["step"] > self.args.max_train_steps:
            raise UserError(
                f"The checkpoint {folder} is at step {state['step']} already: raise --max_train_steps to go on from there."
            )
        processes = state["processes"] if "processes" in state else len(state["rng"])
        if processes != self.accelerator.num_processes:
            raise UserError(f"The checkpoint {folder} is of {processes} process(es): resume with as many.")
        checkpoints = self.output_dir / "checkpoints"
        later = [path.name for path in complete_checkpoints(checkpoints) if step_of(path) > state["step"]]
        if later:
            raise UserError(
                f"{self.output_dir} holds later checkpoints ({', '.join(later)}): remove them to go on from {folder}, or give "
                f"another --output_dir with --resume_from_checkpoint {folder}."
            )

    def _clean_output(self) -> None:
        """Drop log lines and sample grids of what will be done again."""
        path = self.output_dir / "metrics.jsonl"
        if path.exists():
            # A crash of the machine may leave anything in its last line.
            text = path.read_text(encoding="utf-8", errors="replace")
            lines = [line for line in text.splitlines() if place_of(line) < (self._step, self._reported)]
            partial = path.with_suffix(".partial")
            partial.write_text("".join(f"{line}\n" for line in lines))
            partial.replace(path)
        for grid in grids_of(self.output_dir / "samples"):
            if step_of_grid(grid) > self._step:
                grid.unlink()

    def _save_samples(self) -> None:
        if not self._draw_samples:
            return
        folder = self.output_dir / "samples"
        folder.mkdir(exist_ok=True)
        grid = make_grid(self._draw_samples(self.pipeline()))
        target, partial = folder / f"step-{self._step:06d}.png", folder / ".partial.png"
        grid.save(partial)
        partial.replace(target)
        report_image(self.accelerator, target, self._step)


def place_of(line: str) -> tuple[float, int]:
    """The step of a line of metrics.jsonl, and the number of the chore that wrote it; infinite if the line is cut off."""
    try:
        entry = json.loads(line)
        return entry["step"], 4 if "validation" in entry else 3 if "monitor" in entry else 0
    except (ValueError, KeyError, TypeError):
        return math.inf, 0


def versions(optimizer: torch.optim.Optimizer) -> int:
    """A number that grows when an optimizer changes weights or its own state."""
    tensors = [
        value for state in optimizer.state.values() for value in state.values() if isinstance(value, torch.Tensor)
    ]
    return sum(t._version for t in [*tensors, *(p for group in optimizer.param_groups for p in group["params"])])


def half_precision(states: dict[str, dict[str, torch.Tensor]]) -> dict[str, dict[str, torch.Tensor]]:
    """State dicts with every float32 tensor rounded to what float16 can hold, its largest number at most."""
    limit = torch.finfo(torch.float16).max
    return {
        name: {
            key: tensor.clamp(-limit, limit).half().float() if tensor.dtype == torch.float32 else tensor
            for key, tensor in state.items()
        }
        for name, state in states.items()
    }


def beyond_half_precision(states: dict[str, dict[str, torch.Tensor]]) -> dict[str, int]:
    """How many numbers of each network float16 cannot hold, by the networks that have any."""
    limit = torch.finfo(torch.float16).max
    counts = {
        name: sum(int((tensor.abs() > limit).sum()) for tensor in state.values() if tensor.dtype == torch.float32)
        for name, state in states.items()
    }
    return {name: count for name, count in counts.items() if count}


def save_in_half_precision(pipeline: DiffusionPipeline, folder: Path) -> None:
    """`save_pretrained` in float16; afterwards the pipeline, or the network that stands for one, is in float16 itself."""
    for component in getattr(pipeline, "components", {"network": pipeline}).values():
        # A scheduler has no weights, and an optional component may be missing.
        if isinstance(component, nn.Module):
            component.half()
    pipeline.save_pretrained(folder, safe_serialization=True)
