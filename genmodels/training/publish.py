"""The end of a run: its model is saved with all that is known of it, gets a card, and goes to the Hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub.utils import logging
from safetensors import SafetensorError
from torch import nn

from ..errors import UserError
from ..folder import TRAINING, ModelFolder
from ..grid import make_grid
from ..hub.cards import write_card
from ..hub.push import check_rights, push_model, who_am_i
from ..pipelines import ImagePipeline
from .checkpoints import write_folder_atomically
from .config import TrainingConfig
from .facts import training_facts
from .film import save_film
from .networks import beyond_half_precision, half_precision
from .run import TrainingRun


def require_write_access(config: TrainingConfig) -> None:
    """With --push_to_hub, complete --hub_model_id and raise UserError unless the token may write there."""
    if not config.push_to_hub or config.dry_run:
        return
    if not config.hub_model_id:
        config.hub_model_id = f"{who_am_i()['name']}/{Path(config.output_dir).resolve().name}"
    check_rights(config.hub_model_id, private=config.hub_private)


def publish_run(
    run: TrainingRun[Any],
    *,
    title: str,
    complete: Callable[[Any], None] | None = None,
    **facts: Any,
) -> Path:
    """Save the model of a run that is done with its card, say how to load it and, with --push_to_hub, upload it.

    The weights are rounded to float16, half a download, and load as float32 again; checkpoints keep them whole.

    Args:
        run: after its last step.
        title: what the model is, in a few words, for its card.
        complete: called by the main process with the final pipeline, to add what training does not.
        facts: further entries of training.json, such as the arXiv ids of its papers.

    Returns:
        The model's folder.

    Raises:
        UserError: there is no room for it, or the Hub refuses it; then the folder is complete.
    """
    run.loop.save()
    folder = Path(run.config.output_dir) / "model"
    if run.accelerator.is_main_process:
        watching = run.watching
        best = watching.best if watching.chooses else None
        states = best["networks"] if best else run.networks.saved_states()
        for name, count in beyond_half_precision(states).items():
            run.say(
                f"{count:,} numbers of the {name} are beyond the largest of float16, 65,504, and are saved as that: the "
                "saved model may draw other images than the last samples show. Try a lower --learning_rate."
            )
        # Rounded before anything is drawn or measured, so that pictures and figures are those of what is saved.
        pipeline = run.networks.pipeline(half_precision(states))
        if complete:
            complete(pipeline)
        facts = {
            "title": title,
            **training_facts(run.config, run.accelerator, run.data, run.step, run.loop.seconds),
            **facts,
            **({"selected": selected} if (selected := watching.selected()) else {}),
            **({"monitor": verdict} if (verdict := watching.verdict()) is not None else {}),
        }
        if run.start:
            facts["started_from"] = run.start.facts
            facts["images_seen"] += run.start.training.get("images_seen", 0)
        save(run, pipeline, folder, facts)
        chosen = f", the weights after step {best['step']:,} with the lowest FID" if best else ""
        kind = type(pipeline).__name__
        run.say(f"Saved {folder}{chosen}: load it with {kind}.from_pretrained({str(folder)!r}).")
    run.accelerator.end_training()
    if run.accelerator.is_main_process:
        write_card(folder, run.config.hub_model_id)
        if run.config.push_to_hub:
            logging.set_verbosity_error()
            if run.uploads:
                # What waits is older than the model.
                run.uploads.close(newest=False)
            run.say(f"Pushed to {push_model(folder, run.config.hub_model_id, private=run.config.hub_private)}")
    return folder


def save(run: TrainingRun[Any], pipeline: ImagePipeline, folder: Path, facts: dict[str, Any]) -> None:
    """Write pipeline, samples, film, log and training.json, whole or not at all; raises UserError if there is no room."""

    def write(partial: Path) -> None:
        saved = ModelFolder(partial)
        if run.watching.draw_samples:
            make_grid(run.watching.draw_samples(pipeline)).save(saved.samples)
            facts["film_steps"] = save_film(run.watching.samples, saved.film, run.start)
        saved.write(TRAINING, facts)
        run.log.copy(saved.log, run.start)
        save_in_half_precision(pipeline, partial)

    try:
        write_folder_atomically(folder, write)
    except SafetensorError as error:
        raise UserError(
            f"{folder} could not be saved ({str(error).splitlines()[0]}). Checkpoints are intact: make room, then go on "
            "with --resume_from_checkpoint latest."
        ) from error


def save_in_half_precision(pipeline: ImagePipeline, folder: Path) -> None:
    """`save_pretrained` in float16; afterwards the pipeline, or the network that stands for one, is in float16 itself."""
    for component in getattr(pipeline, "components", {"network": pipeline}).values():
        # A scheduler has no weights, and an optional component may be missing.
        if isinstance(component, nn.Module):
            component.half()
    pipeline.save_pretrained(folder, safe_serialization=True)
