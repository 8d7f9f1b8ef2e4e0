"""Starting from the weights of a trained model, and what the new model says of the old one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageSequence
from torch import nn

from ..errors import UserError
from ..folder import ModelFolder
from ..hub.source import find_pipeline
from ..pipelines import load_pipeline
from ..privacy import public_name

# Of a network's config, what may differ between a model and one that starts from it: the names of as many classes, what is
# only for training, and how far the same tanh reaches.
MAY_DIFFER = {"class_names", "dropout", "headroom"}
# What one needs to repeat the training of the model that was started from.
REPEATED = ("command", "seed", "steps", "batch_size", "images_seen", "commit", "version", "selected", "started_from")


@dataclass(frozen=True)
class Start:
    """The trained model that a run starts from.

    Attributes:
        name: as the user gave it.
        saved: where it lies, with its film and log, as far as it came with them.
        training: what its training.json says.
    """

    name: str
    saved: ModelFolder
    training: dict[str, Any]

    @property
    def steps(self) -> int:
        """Steps taken so far, those of the model that it was started from included."""
        before = self.training.get("started_from", {})
        return self.training.get("steps", 0) + before.get("all_steps", 0)

    @property
    def facts(self) -> dict[str, Any]:
        """For the training.json of the new model."""
        kept = {key: self.training[key] for key in REPEATED if key in self.training}
        return {"model": public_name(self.name), "all_steps": self.steps, **kept}

    def frames(self) -> list[tuple[int, Image.Image]]:
        """Its film, each frame behind its step; nothing if it came without. Raises UserError if it is no film."""
        steps = self.training.get("film_steps", [])
        if not self.saved.film.is_file():
            return []
        try:
            with Image.open(self.saved.film) as film:
                frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(film)]
        except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
            raise UserError(f"{self.saved.film} is not a readable film: download it again, or remove it.") from error
        return list(zip(steps, frames, strict=True)) if len(steps) == len(frames) else []

    def log(self) -> list[str]:
        """The lines of its metrics.jsonl. Raises UserError if it is no text."""
        try:
            return self.saved.log.read_text(encoding="utf-8").splitlines() if self.saved.log.is_file() else []
        except (OSError, ValueError) as error:
            raise UserError(f"{self.saved.log} is not readable: download it again, or remove it.") from error


def start_from(name: str, models: dict[str, nn.Module]) -> Start:
    """Give networks the weights of a trained model.

    Args:
        name: a built-in name, a folder or a Hub id.
        models: networks by their component name, such as "generator"; changed in place.

    Raises:
        UserError: there is no such model, its networks are others than these, or a file beside it is damaged.
    """
    pipeline, saved = load_pipeline(name), ModelFolder(find_pipeline(name).folder)
    start = Start(name, saved, dict(saved.training))
    # Read after the last step only, they would cost the user the whole training.
    start.frames()
    start.log()
    for component, network in models.items():
        other = getattr(pipeline, component, None)
        if other is None:
            raise UserError(
                f"--pretrained_model_name_or_path {name} holds a {type(pipeline).__name__} without {component}: give a model "
                "that this script has trained."
            )
        known = {key: value for key, value in other.config.items() if not key.startswith("_") and key not in MAY_DIFFER}
        # torch says that whatever it does not know of a network is a tensor or a network.
        config: Any = network.config
        wanted = {key: config.get(key) for key in known}
        if known != wanted:
            differ = ", ".join(f"{key} {known[key]} (here {wanted[key]})" for key in known if known[key] != wanted[key])
            raise UserError(
                f"The {component} of {name} is another network, with {differ}: give the flags that it was trained with."
            )
        network.load_state_dict(other.state_dict())
    return start


def shift_steps(line: str, steps: int) -> str:
    """A line of metrics.jsonl, so many steps later."""
    entry = json.loads(line)
    return json.dumps({**entry, "step": entry["step"] + steps})
