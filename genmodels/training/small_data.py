"""What is done by itself where there are few images, which a discriminator soon knows by heart."""

from __future__ import annotations

import math

from ..data import ImageStream
from ..errors import UserError
from ..losses import AUGMENTATIONS
from .config import TrainingConfig

# Below so many: StyleGAN2-ADA (Karras et al. 2020, https://arxiv.org/abs/2006.06676) gains from a few thousand up to this.
FEW = 10_000
# Share of few images that is held out, or of fewer so much that it is about WANTED_HELD_OUT images, MOST_HELD_OUT of all at most.
HELD_OUT, WANTED_HELD_OUT, MOST_HELD_OUT = 0.05, 15, 0.15
# Of fewer than so many held-out images a mean score says too little to take them away from so few.
FEWEST_HELD_OUT = 10
NO_AUGMENTATION = "none"
SIDED = {"left", "right"}


def may_be_mirrored(class_names: list[str]) -> bool:
    """Whether a mirrored image is still of its class: not of letters and digits, nor of what is left or right."""
    words = {word for name in class_names for word in name.lower().replace("_", " ").split()}
    return not (class_names and all(len(name) == 1 for name in class_names)) and not words & SIDED


def count_of(data: ImageStream) -> int | None:
    """How many images there are, to be asked before any are held out; None for a stream of many that does not say."""
    return data.count(FEW) if data.num_images is None else data.num_images


def choose_for(config: TrainingConfig, data: ImageStream, count: int | None) -> str | None:
    """Settle --random_flip, --diffaugment and --hold_out where the command line leaves them open, in place.

    Returns:
        What was chosen because there are few images, and how to choose otherwise; None where nothing was.
    """
    few = count is not None and count < FEW
    said = []
    if config.random_flip is None:
        config.random_flip = few and may_be_mirrored(data.class_names)
        if config.random_flip:
            said.append("they are mirrored at random (--no-random_flip turns that off)")
        elif few:
            said.append("their classes forbid to mirror them (--random_flip does)")
    data.random_flip = config.random_flip
    if hasattr(config, "diffaugment"):
        if config.diffaugment is None and few:
            config.diffaugment = list(AUGMENTATIONS)
            said.append("the discriminator sees them changed at random (--diffaugment none turns that off)")
        elif config.diffaugment is not None and NO_AUGMENTATION in config.diffaugment:
            config.diffaugment = None
    if hasattr(config, "hold_out"):
        if config.hold_out is None:
            share = max(HELD_OUT, WANTED_HELD_OUT / count) if few and count else 1.0
            config.hold_out = share if share <= MOST_HELD_OUT else 0.0
            if config.hold_out:
                said.append(f"{share:.0%} are held out, to see whether it learns the others by heart (--hold_out 0)")
        data.hold_out(config.hold_out)
    return f"{count:,} images are few: {'; '.join(said)}." if said else None


def epochs_of(config: TrainingConfig, batch_size: int, count: int | None) -> str:
    """How often all steps go through the images, in words; nothing where their number is unknown."""
    if count is None:
        return ""
    learned = max(1, round(count * (1 - getattr(config, "hold_out", 0))))
    epochs = config.max_train_steps * batch_size / learned
    return f"{epochs:,.{0 if epochs >= 10 else 1}f} epochs of {learned:,} images"


def steps_of(epochs: int, data: ImageStream, world_size: int) -> int:
    """How many batches so many passes over the images make, in each of the processes.

    Raises:
        UserError: nobody knows how many images there are.
    """
    count = data.num_images if data.num_images is not None else data.count_labels()
    if count is None:
        raise UserError(
            "How many images there are is not known before they have been read: give --max_train_steps in place of "
            "--num_train_epochs."
        )
    batches = count // world_size // data.batch_size
    # Of fewer images than a batch takes, several passes fill one.
    return epochs * batches or math.ceil(epochs * count / (world_size * data.batch_size))


def require_classes(images: ImageStream, what: str) -> None:
    """Raise UserError unless there are images of two classes at least, for `what` to learn."""
    if images.num_classes >= 2:
        return
    if images.num_classes == 1:
        here = f"here there is one, {images.class_names[0]!r}"
    elif images.label_columns:
        here = f"none are chosen here: name the column that holds them with --label_column, {' or '.join(images.label_columns)}"
    else:
        here = (
            "there are none here: sort the images into one folder for each class, or give a column with --label_column"
        )
    raise UserError(f"{what} needs labels of at least two classes; {here}.")
