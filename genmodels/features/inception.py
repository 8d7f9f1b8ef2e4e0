"""The features of the standard FID: Inception-v3 of 2015, trained on ImageNet, as in Heusel et al. 2017,
https://arxiv.org/abs/1706.08500. Needs the extra `fid`, and the network once, for 91 MB of weights.

For a comparison with other people's tables; on small images of digits or frogs our own evaluators see more.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from ..errors import UserError

# TensorFlow's weights of the first FID, as converted for torch-fidelity; the name ends with the first digits of their SHA-256.
WEIGHTS_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
SHA256_PREFIX = "6726825d"
DIM = 2048
BATCH = 64


def load_inception() -> nn.Module:
    """The network: bytes (N, 3, H, W) of any size to a tuple of one (N, 2048) tensor, resized and scaled as the first FID did.

    Raises:
        UserError: the extra is not installed, or the weights cannot be downloaded or are damaged.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise UserError("The Inception FID needs a package more: python -m pip install torch-fidelity") from error
    path = Path(torch.hub.get_dir(), "checkpoints", WEIGHTS_URL.rsplit("/", 1)[1])
    try:
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(WEIGHTS_URL, str(path), hash_prefix=SHA256_PREFIX)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"The weights of Inception cannot be downloaded ({error}): they come once, from {WEIGHTS_URL} to {str(path)!r}."
        ) from error
    try:
        # torch-fidelity would run whatever a pickle holds, so it gets a file of ours, of the tensors that this call takes out.
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        with TemporaryDirectory() as folder:
            copy = Path(folder, "inception.pth")
            torch.save(tensors, copy)
            return FeatureExtractorInceptionV3("inception-v3", [str(DIM)], feature_extractor_weights_path=str(copy))
    except Exception as error:
        raise UserError(
            f"The weights of Inception in {str(path)!r} are damaged: delete that file and try again."
        ) from error


@torch.no_grad()
def inception_features(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Features (N, 2048) of images (N, C, H, W) in [-1, 1]; those with one channel are shown as grey."""
    pixels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return torch.cat([network(part.expand(-1, 3, -1, -1))[0] for part in pixels.split(BATCH)])
