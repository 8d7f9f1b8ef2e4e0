"""How many of its data's modes a generator draws, where a classifier can count them: MNIST digits stacked as three colours.

Metz et al., "Unrolled Generative Adversarial Networks", 2017, https://arxiv.org/abs/1611.02163, section 3.3.1: a random digit
each in red, green and blue make 1,000 modes, equally likely.
"""

from __future__ import annotations

import math

import torch

from ..errors import UserError
from ..features.classifier import Classifier
from ..features.evaluators import FEATURES_BATCH

DIGITS, COLOURS = 10, 3
STACKED_MODES = DIGITS**COLOURS


@torch.no_grad()
def stacked_modes(images: torch.Tensor, classifier: Classifier) -> tuple[int, float]:
    """Modes with at least one image, and the reverse KL divergence from equally many images in each.

    Args:
        images: (N, 3, H, W) in [-1, 1], a digit in each channel.
        classifier: of digits in one channel.

    Returns:
        how many of the 1,000 modes there are, and sum_k p_k ln(1000 p_k) in nats, p_k being the share of mode k: ln 1000 = 6.9
        when all images are of one mode. N images of equally likely modes have about 999 / (2 N) by chance alone.

    Raises:
        UserError: there are fewer images than modes, or they have not three channels.
    """
    if images.ndim != 4 or images.shape[1] != COLOURS:
        raise UserError(f"Stacked digits have three channels, (N, 3, H, W); these images are {tuple(images.shape)}.")
    if len(images) < STACKED_MODES:
        raise UserError(f"{len(images):,} images cannot show {STACKED_MODES:,} modes: draw more, papers draw 26,000.")
    digits = torch.cat([classifier(part).argmax(1) for part in images.flatten(0, 1)[:, None].split(FEATURES_BATCH)])
    weights = torch.tensor([DIGITS**place for place in reversed(range(COLOURS))])
    counts = (digits.cpu().view(-1, COLOURS) * weights).sum(1).bincount(minlength=STACKED_MODES)
    shares = counts[counts > 0].double() / len(images)
    return len(shares), float((shares * (shares.log() + math.log(STACKED_MODES))).sum())
