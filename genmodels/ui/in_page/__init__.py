"""A decoder that is small enough to run in the visitor's page: its layers as text, for decoder.js."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from .. import Json

if TYPE_CHECKING:
    from torch import nn

    from ..models import Pipeline

# More weights than these are not sent: 2 bytes each, and a quarter more as text.
MAX_WEIGHTS = 1_000_000


def layers_of(pipe: Pipeline) -> list[Json] | None:
    """A decoder's layers from latents to logits, None if it is too large, has classes or other layers than the page knows.

    Those are dense layers, SiLU, and transposed convolutions that double the sides (kernel 4, stride 2, padding 1); weights are
    float16 in base64, in the order in which torch keeps them.
    """
    from torch import nn

    if getattr(pipe, "num_classes", 0) or sum(weight.numel() for weight in pipe.decoder.parameters()) > MAX_WEIGHTS:
        return None
    layers = []
    for layer in pipe.decoder.layers:
        if isinstance(layer, nn.Linear):
            layers.append({"kind": "dense", **weights_of(layer)})
        elif isinstance(layer, nn.ConvTranspose2d) and doubles(layer):
            layers.append({"kind": "double", **weights_of(layer)})
        elif isinstance(layer, nn.SiLU):
            layers.append({"kind": "silu"})
        elif not isinstance(layer, nn.Unflatten):
            return None
    return layers


def doubles(layer: nn.ConvTranspose2d) -> bool:
    """Whether a transposed convolution is one that the page knows."""
    shape = layer.kernel_size, layer.stride, layer.padding, layer.output_padding, layer.dilation, layer.groups
    return shape == ((4, 4), (2, 2), (1, 1), (0, 0), (1, 1), 1) and layer.bias is not None


def weights_of(layer: nn.Module) -> Json:
    """`weight` and `bias` as text, and the first two numbers of the weight's shape."""
    halves = {name: tensor.detach().half().cpu().numpy() for name, tensor in layer.named_parameters()}
    text = {name: base64.b64encode(array.astype("<f2").tobytes()).decode() for name, array in halves.items()}
    return {**text, "shape": list(halves["weight"].shape[:2])}
