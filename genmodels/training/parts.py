"""The parts of a run, as they see each other."""

from __future__ import annotations

from typing import Protocol

from accelerate import Accelerator

from ..data import ImageStream
from .config import TrainingConfig
from .log import RunLog
from .networks import Networks
from .resuming import Checkpoints
from .watching import Watching


class Run(Protocol):
    """What a loop needs of its run."""

    config: TrainingConfig
    accelerator: Accelerator
    data: ImageStream
    num_images: int | None
    log: RunLog
    networks: Networks
    watching: Watching
    checkpoints: Checkpoints

    @property
    def epochs(self) -> str: ...

    def say(self, text: str) -> None: ...
