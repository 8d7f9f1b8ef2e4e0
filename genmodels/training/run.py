"""One training run: the data, the networks, the checkpoints and the loop that a script drives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from accelerate.utils import GradientAccumulationPlugin, ProjectConfiguration, set_seed
from PIL import Image
from torch import nn
from tqdm.auto import tqdm

from ..data import ImageStream, load_images
from ..errors import UserError
from ..hub.uploads import CheckpointUploads
from ..pipelines import ImagePipeline
from .config import TrainingConfig
from .facts import describe_few, plan_of
from .log import RunLog
from .loop import Batch, Loop, Loss
from .networks import Networks
from .optimization import choose_mixed_precision, make_scheduler
from .processes import keep_threads, open_accelerator, refuse_lost_processes
from .resuming import Checkpoints, Progress
from .small_data import choose_for, count_of, epochs_of, require_classes, steps_of
from .start import Start, start_from
from .stopping import RunEnded
from .watching import Watching, sample_grid

Config = TypeVar("Config", bound=TrainingConfig)


class TrainingRun(Generic[Config]):
    """What a training script needs around its algorithm.

    A script builds its networks and optimizers, hands them to `prepare`, and loops over `steps()`, calling `update` for each
    optimizer; between two steps the run averages weights, logs, draws, watches and saves. `publish_run` ends it.

    Args:
        config: of the script. What it leaves open is settled in it.

    Attributes:
        data: the stream, with `sample_size`, `num_channels` and `class_names`.
        device: where the batches are.
        start: the trained model that this run starts from, if there is one.
        num_images: how many images there are; None as long as nobody knows.
        accelerator, checkpoints, log, networks, watching, loop: the parts of the run, the last three after `prepare`.

    Raises:
        UserError: the data, the output folder, the checkpoint or the machine are not as the config says.
    """

    networks: Networks
    watching: Watching
    loop: Loop

    def __init__(self, config: Config):
        self.config = config
        self.start: Start | None = None
        self.accelerator = open_accelerator(
            mixed_precision=choose_mixed_precision(config.mixed_precision),
            # Its own variable in the environment would divide each loss once more than `update` does.
            gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
            log_with=[name for name in config.report_to if name != "none"] or None,
            project_config=ProjectConfiguration(logging_dir=str(Path(config.output_dir) / "logs")),
        )
        refuse_lost_processes(self.accelerator)
        self.device = self.accelerator.device
        if self.device.type == "cpu":
            keep_threads(self.accelerator.num_processes)
        self.uploads: CheckpointUploads | None = None
        if config.hub_model_id and config.push_to_hub and config.hub_strategy == "every_save" and not config.dry_run:
            self.uploads = CheckpointUploads(config.hub_model_id, private=config.hub_private)
        self.checkpoints = Checkpoints(config, self.accelerator, self.uploads)
        self.log = RunLog(config, self.accelerator)
        try:
            self._open_data()
        except BaseException:
            self.close()
            raise

    def _open_data(self) -> None:
        # The same weights in every process.
        set_seed(self.config.seed)
        config, world_size = self.config, self.accelerator.num_processes
        self.data: ImageStream = load_images(
            **config.reading(),
            batch_size=config.train_batch_size * config.gradient_accumulation_steps * config.batches_per_step,
            max_samples=config.max_train_samples,
            shuffle_buffer=config.shuffle_buffer,
            seed=config.seed,
            num_workers=config.dataloader_num_workers,
            cache_gb=config.cache_gb,
            rank=self.accelerator.process_index,
            world_size=world_size,
        )
        self.num_images = count_of(self.data)
        chosen = choose_for(config, self.data, self.num_images)
        if config.num_train_epochs is not None:
            config.max_train_steps = steps_of(config.num_train_epochs, self.data, world_size)
        if self.data.summary and not config.dry_run:
            self.say(self.data.summary)
        if not 16 <= (size := self.data.sample_size) <= 128:
            raise UserError(f"The images are {size}x{size}: give --resolution from 16 to 128.")
        if chosen:
            self.say(chosen)

    def prepare(
        self,
        models: dict[str, nn.Module],
        optimizers: dict[str, torch.optim.Optimizer],
        *,
        make_pipeline: Callable[..., ImagePipeline],
        draw_samples: Callable[[Any], list[Image.Image]] | None = sample_grid,
        conditional: bool = False,
        advice: dict[str, str] | None = None,
        watch_options: dict[str, Any] | None = None,
    ) -> list[nn.Module]:
        """Put networks and optimizers on the device, in their precision, and go to the checkpoint to resume from.

        Args:
            models: networks by their component name, such as "generator"; all but a "discriminator" are saved as an
                exponential moving average (EMA) of their weights.
            optimizers: by any name.
            make_pipeline: from the networks, as keyword arguments, to what is saved and later loaded: a pipeline.
            draw_samples: from a pipeline to the images of the sample grid, the same latents every time; None if the
                networks draw nothing: then there are no grids, no monitor and no choice of the best weights.
            conditional: whether the pipeline draws images of wanted classes.
            advice: what the monitor suggests, by kind of finding, in terms of the script's own flags.
            watch_options: arguments of the pipeline's call for monitor and validation, such as fewer inference steps.

        Returns:
            The networks to call in the loop, in the order of `models`.
        """
        config = self.config
        if config.pretrained_model_name_or_path:
            # One process downloads, the others find it there.
            with self.accelerator.main_process_first():
                self.start = start_from(config.pretrained_model_name_or_path, models)
        self.checkpoints.check_networks(models, self.data)
        if config.dry_run:
            self.say(plan_of(config, self.accelerator, self.data, models, self.epochs))
            raise RunEnded
        if self.epochs:
            self.say(f"{config.max_train_steps:,} steps are {self.epochs}.")
        historical = getattr(config, "historical_averaging", 0.0) > 0
        self.networks = Networks(models, optimizers, make_pipeline, config.ema_decay, historical, self.device)
        self.watching = Watching(
            config,
            self.accelerator,
            self.data,
            self.networks,
            self.log,
            draw_samples=draw_samples,
            conditional=conditional,
            advice=advice,
            options=watch_options,
            say=self.say,
        )
        # Only mixed precision is accelerate's business here: `update` averages the gradients.
        prepared = [self.accelerator.prepare_model(model, evaluation_mode=True) for model in models.values()]
        progress = Progress(self.data.state_dict())
        if state := self.checkpoints.resume(self.networks, self.data, self.say):
            for part in (progress, self.log, self.watching):
                part.load_state_dict(state)
        length = (config.lr_warmup_steps, config.max_train_steps, progress.step)
        schedulers = {name: make_scheduler(config.lr_scheduler, one, *length) for name, one in optimizers.items()}
        self.loop = Loop(self, schedulers, progress)
        if few := describe_few(config, self.data, self.accelerator.num_processes):
            self.say(few)
        return prepared

    @property
    def step(self) -> int:
        """How many steps have been taken."""
        return self.loop.progress.step

    @property
    def done(self) -> bool:
        """Whether the last step has been taken."""
        return self.loop.done

    @property
    def epochs(self) -> str:
        """How often all steps go through the images, in words; empty where their number is unknown."""
        return epochs_of(self.config, self.data.batch_size * self.accelerator.num_processes, self.num_images)

    def say(self, text: str) -> None:
        """Print what the main process has to say, above the progress bar."""
        if self.accelerator.is_main_process:
            tqdm.write(self.config.spoken(text))

    def shape(self, classes_for: str = "") -> dict[str, Any]:
        """The data's shape as arguments of a network; `classes_for` says who needs its classes, too, and raises UserError."""
        shape = {"sample_size": self.data.sample_size, "num_channels": self.data.num_channels}
        if classes_for:
            require_classes(self.data, classes_for)
            shape |= {"num_classes": self.data.num_classes, "class_names": self.data.class_names}
        return shape

    def steps(self) -> Iterator[Batch]:
        """Batches on the device, one a step, until --max_train_steps; everything between two steps happens here.

        After an exception, here or in the script's own code, `rescue` saves.

        Raises:
            UserError: a loss or a weight is not finite, or a checkpoint cannot be written.
            RunEnded: after SIGTERM or Ctrl-C, as the step is done and a checkpoint is written.
        """
        return self.loop.steps()

    def update(self, optimizer: torch.optim.Optimizer, loss_of: Loss, batch: Batch) -> None:
        """One optimizer step down the gradient of `loss_of(batch)`: a mean over the batch, and scalars to log by their names.

        With --gradient_accumulation_steps the batch is taken in so many parts; with several processes the gradient is the
        mean over all their batches. Only the optimizer's own parameters get a gradient, whatever else the loss went through.
        The scalars are read, and so waited for, only every --logging_steps steps.
        """
        self.loop.update(optimizer, loss_of, batch)

    def whole_split(self, split: str | None = None) -> Iterator[Batch]:
        """All images of a split once, in the dataset's order and unflipped, in any process: for what the end needs.

        Args:
            split: by default the one that is trained on.

        Raises:
            UserError: there is no such split.
        """
        options = {**self.config.reading(), "split": split or self.config.split}
        if options["split"] == self.config.split:
            options |= {"max_samples": self.config.max_train_samples, "seed": self.config.seed}
        return load_images(**options, batch_size=500, num_workers=0).once()

    def rescue(self, error: BaseException) -> str:
        """After an exception, in any process: save the last whole step and, of the one under way, the updates that are done.

        Returns:
            What became of the training, in a sentence; "" if there was none yet, or nothing is lost.
        """
        return self.loop.rescue(error) if hasattr(self, "loop") else ""

    def close(self) -> None:
        """Give back signals and output folder; a run that ended in whatever way may be closed again."""
        if hasattr(self, "loop"):
            self.loop.close()
        self.checkpoints.close()
