"""What is done by itself where there are few images, which a discriminator soon knows by heart."""

from __future__ import annotations

import argparse

from ..data import ImageStream
from ..losses import AUGMENTATIONS

# Below so many: StyleGAN2-ADA (Karras et al. 2020, https://arxiv.org/abs/2006.06676) gains from a few thousand up to this.
FEW = 10_000
HELD_OUT = 0.05
# Of fewer than so many held-out images a mean score says too little to take them away from so few.
FEWEST_HELD_OUT = 16
NO_AUGMENTATION = "none"
SIDED = {"left", "right"}


def may_be_mirrored(class_names: list[str]) -> bool:
    """Whether a mirrored image is still of its class: not of letters and digits, nor of what is left or right."""
    words = {word for name in class_names for word in name.lower().replace("_", " ").split()}
    return not (class_names and all(len(name) == 1 for name in class_names)) and not words & SIDED


def count_of(data: ImageStream) -> int | None:
    """How many images there are, to be asked before any are held out; None for a stream of many that does not say."""
    return data.count(FEW) if data.num_images is None else data.num_images


def choose_for(args: argparse.Namespace, data: ImageStream, count: int | None) -> str | None:
    """Settle --random_flip, --diffaugment and --hold_out where the command line leaves them open, in place.

    Returns:
        What was chosen because there are few images, and how to choose otherwise; None where nothing was.
    """
    few = count is not None and count < FEW
    said = []
    if args.random_flip is None:
        args.random_flip = few and may_be_mirrored(data.class_names)
        if args.random_flip:
            said.append("they are mirrored at random (--no-random_flip turns that off)")
        elif few:
            said.append("their classes forbid to mirror them (--random_flip does)")
    data.random_flip = args.random_flip
    if "diffaugment" in args:
        if args.diffaugment is None and few:
            args.diffaugment = list(AUGMENTATIONS)
            said.append("the discriminator sees them changed at random (--diffaugment none turns that off)")
        elif args.diffaugment is not None and NO_AUGMENTATION in args.diffaugment:
            args.diffaugment = None
    if "hold_out" in args:
        if args.hold_out is None:
            args.hold_out = HELD_OUT if few and count * HELD_OUT > FEWEST_HELD_OUT else 0.0
            if args.hold_out:
                said.append(f"{HELD_OUT:.0%} are held out, to see whether it learns the others by heart (--hold_out 0)")
        data.hold_out(args.hold_out)
    return f"{count:,} images are few: {'; '.join(said)}." if said else None


def epochs_of(args: argparse.Namespace, batch_size: int, count: int | None) -> str:
    """How often all steps go through the images, in words; nothing where their number is unknown."""
    if count is None:
        return ""
    learned = max(1, round(count * (1 - getattr(args, "hold_out", 0))))
    epochs = args.max_train_steps * batch_size / learned
    return f"{epochs:,.{0 if epochs >= 10 else 1}f} epochs of {learned:,} images"
