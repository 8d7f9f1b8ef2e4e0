"""What every network of the suite shares: checked sizes, strict loading, label handling."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import torch
from diffusers.configuration_utils import ConfigMixin, FrozenDict
from diffusers.models.modeling_utils import ModelMixin
from huggingface_hub import constants, try_to_load_from_cache
from safetensors import SafetensorError
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from ..checks import check_integers

MIN_SIZE, MAX_SIZE = 16, 128
LEGAL_CHANNELS = (1, 3, 4)
WEIGHTS = "diffusion_pytorch_model"
# Bytes; at multiples of it torch allocates.
ALIGNMENT = 64


def weight_patterns(variant: str | None = None) -> list[str]:
    """Names of the files, one or several shards and their index, in which a network's weights may lie."""
    stem = f"{WEIGHTS}.{variant}" if variant else WEIGHTS
    return [f"{stem}.safetensors", f"{stem}-*.safetensors"]


def recorded_hash(path: Path) -> str | None:
    """The hash that the Hub gave for a file in its cache: sha256, or git's SHA-1 of small files; else None.

    <cache>/models--ns--name/snapshots/<commit>/<file> is a link to .../blobs/<hash>. Where links are not possible,
    .../trees/<commit>.json lists the hashes.
    """
    path = Path(os.path.abspath(path))
    if path.is_symlink():
        target = Path(os.readlink(path))
        found = target.name if target.parent.name == "blobs" else ""
    else:
        snapshot = next((parent for parent in path.parents if parent.parent.name == "snapshots"), None)
        if snapshot is None:
            return None
        try:
            files = json.loads((snapshot.parent.parent / "trees" / f"{snapshot.name}.json").read_text())["files"]
            entry = files[path.relative_to(snapshot).as_posix()]
            found = entry.get("lfs_sha256") or entry.get("blob_id") or ""
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None
    return found if re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{40}", found) else None


def check_hash(path: Path) -> None:
    """Compare a file in the Hub's cache with the hash that the Hub gave for it; other files pass.

    The clients compare sizes only, and those only while they download.

    Raises:
        ValueError: the file is damaged; the message has the command that repairs it.
    """
    expected = recorded_hash(path)
    if expected is None:
        return
    size = os.path.getsize(path)
    digest = hashlib.sha256() if len(expected) == 64 else hashlib.sha1(b"blob %d\0" % size)
    with open(path, "rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    if digest.hexdigest() != expected:
        kind = "sha256" if len(expected) == 64 else "git SHA-1"
        raise ValueError(
            f"{path} is damaged: its {kind} is {digest.hexdigest()[:12]}..., not {expected[:12]}... as on the Hub; "
            f"repair it with `{repair_command(path)}` and load it again."
        )


def repair_command(path: Path) -> str:
    """The shell command that replaces a file in the Hub's cache, or makes room for a new download of it."""
    parts = Path(os.path.abspath(path)).parts
    at = max(i for i, part in enumerate(parts) if part == "snapshots")
    repo_id = parts[at - 1].removeprefix("models--").replace("--", "/")
    cache, commit, name = Path(*parts[: at - 1]), parts[at + 1], "/".join(parts[at + 2 :])
    offline = constants.HF_HUB_OFFLINE
    if path.is_symlink():
        command = ["hf", "download", repo_id, name, "--revision", commit, "--force-download"]
    else:
        # Without links, a forced download leaves the old file in its place.
        command, offline = ["hf", "cache", "rm", f"model/{repo_id}", "--yes"], False
    if cache != Path(os.path.abspath(constants.HF_HUB_CACHE)):
        command += ["--cache-dir", str(cache)]
    return ("HF_HUB_OFFLINE=0 " if offline else "") + shlex.join(command)


def check_hashes(folder: Path, variant: str | None = None) -> None:
    """`check_hash` for the config and the weights of the network in a folder."""
    for pattern in ("config.json", *weight_patterns(variant), f"{WEIGHTS}.safetensors.index*.json"):
        for path in sorted(folder.glob(pattern)):
            check_hash(path)


class Network(ModelMixin, ConfigMixin):
    """A diffusers model that refuses to load damaged or half-loaded weights.

    diffusers only warns about a missing tensor and leaves it on the meta device; an unexpected one passes silently; a
    flipped bit in the cache is never seen. All mean that the numbers behind the pictures are not those of the card, so
    here they raise.

    A subclass names ModelMixin as a base once more: diffusers looks for that name in the file of the class that it loads.
    """

    # The constructor's arguments, each an attribute.
    config: Any
    # None in diffusers' other base.
    config_name: Any = ModelMixin.config_name

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str] | None,
        *,
        output_loading_info: bool = False,
        **kwargs,
    ) -> Self:
        """Load as diffusers does, from safetensors only.

        Raises:
            ValueError: the weights have missing, unexpected, wrongly shaped or non-finite tensors, or are not what the Hub
                has; the message names the file and the tensors.
        """
        where = f"{pretrained_model_name_or_path}"
        if kwargs.get("subfolder"):
            where += f"/{kwargs['subfolder']}"
        kwargs["use_safetensors"] = True
        failure = None
        try:
            loaded: Any = super().from_pretrained(pretrained_model_name_or_path, output_loading_info=True, **kwargs)
        except (SafetensorError, RuntimeError, OSError, ValueError) as error:
            failure = error
        # Looked at in any case: that a file is damaged explains best why it does not load.
        folder = find_folder(str(pretrained_model_name_or_path), **kwargs)
        if folder is not None:
            check_hashes(folder, kwargs.get("variant"))
        if failure is not None:
            # What follows the first sentence is advice on how to load it all the same.
            reason = str(failure).strip().splitlines()[0].split(". ")[0].split(" for '")[0].rstrip(" .")
            raise ValueError(
                f"The model in {where} does not load as {cls.__name__}: {reason}. Download or save it again."
            ) from failure
        model, info = loaded
        problems = [
            f"{word} {', '.join(sorted(map(str, names))[:4])}{' ...' if len(names) > 4 else ''}"
            for word, names in (
                ("missing", info["missing_keys"]),
                ("unexpected", info["unexpected_keys"]),
                ("wrongly shaped", info["mismatched_keys"]),
                ("unset", [n for n, t in model.state_dict().items() if t.is_meta and n not in info["missing_keys"]]),
                (
                    "non-finite",
                    [n for n, t in model.state_dict().items() if not t.is_meta and not torch.isfinite(t).all()],
                ),
            )
            if names
        ]
        if problems:
            raise ValueError(
                f"The weights in {where} do not fit {cls.__name__}: {'; '.join(problems)}. Download or save them again."
            )
        # diffusers notes where a model came from; saved again, that would publish a path of the user's machine.
        model._internal_dict = FrozenDict({k: v for k, v in model.config.items() if k != "_name_or_path"})
        align(model)
        return loaded if output_loading_info else model

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        is_main_process: bool = True,
        save_function: Callable | None = None,
        safe_serialization: bool = True,
        variant: str | None = None,
        max_shard_size: int | str = "10GB",
        *args,
        **kwargs,
    ) -> None:
        """Save as diffusers does, and remove what an earlier save has left of the same weights: loading would take that."""
        # diffusers' pipelines look at the names of these arguments, and give those that they find.
        options = (is_main_process, save_function, safe_serialization, variant, max_shard_size, *args)
        super().save_pretrained(save_directory, *options, **kwargs)
        folder, middle = Path(save_directory), f".{variant}" if variant else ""
        whole, index = folder / f"{WEIGHTS}{middle}.safetensors", folder / f"{WEIGHTS}.safetensors.index{middle}.json"
        if whole.is_file() and index.is_file():
            older = whole if index.stat().st_mtime_ns > whole.stat().st_mtime_ns else index
            older.unlink()
        kept = set(json.loads(index.read_text())["weight_map"].values()) if index.is_file() else set()
        for shard in folder.glob(f"{WEIGHTS}{middle}-*-of-*.safetensors"):
            if shard.name not in kept:
                shard.unlink()


def align(model: nn.Module) -> None:
    """Move tensors that begin anywhere, as those that lie in a file do, to where torch puts its own.

    On some processors the sums over the others are taken in another order: a loaded network would answer otherwise in the last
    bits than the one that was saved.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.device.type == "cpu" and tensor.data_ptr() % ALIGNMENT:
            tensor.data = tensor.data.clone()


def find_folder(name_or_path: str, subfolder: str | None = None, **kwargs) -> Path | None:
    """The folder on this disk from which diffusers loads a network; None if it is not in the Hub's cache."""
    if os.path.isdir(name_or_path):
        return Path(name_or_path, subfolder or "")
    config = f"{subfolder}/config.json" if subfolder else "config.json"
    options = {key: kwargs.get(key) for key in ("cache_dir", "revision")}
    try:
        path = try_to_load_from_cache(name_or_path, config, **options)
    except ValueError:
        return None
    return Path(path).parent if isinstance(path, str) else None


def check_image_shape(sample_size: int, num_channels: int) -> int:
    """The internal size, a power of two, for images of `sample_size` pixels.

    Raises:
        ValueError: the size is not an integer from 16 to 128, or there are not 1, 3 or 4 channels.
    """
    check_integers(MIN_SIZE, MAX_SIZE, sample_size=sample_size)
    if num_channels not in LEGAL_CHANNELS:
        raise ValueError(f"num_channels must be 1 (grey), 3 (colour) or 4 (colour and opacity), got {num_channels!r}.")
    return 1 << (sample_size - 1).bit_length()


def pad_to(images: torch.Tensor, size: int) -> torch.Tensor:
    """Centre (N, C, s, s) images on a black (-1) canvas of `size` pixels, which with four channels is transparent."""
    missing = size - images.shape[-1]
    if not missing:
        return images
    before = missing // 2
    return F.pad(images, (before, missing - before, before, missing - before), value=-1.0)


def crop_to(images: torch.Tensor, size: int) -> torch.Tensor:
    """The inverse of `pad_to`."""
    before = (images.shape[-1] - size) // 2
    return images[..., before : before + size, before : before + size]


def clamp_through(images: torch.Tensor) -> torch.Tensor:
    """Images clamped to [-1, 1], with gradients as if they were not: a pixel beyond would else never come back."""
    clamped = images.clamp(-1, 1)
    return images + (clamped - images).detach() if images.requires_grad else clamped


def spend_headroom(images: torch.Tensor, headroom: float) -> torch.Tensor:
    """What a tanh drew, in (-1, 1), to [-1, 1] with both ends: divided by 1 - headroom, and clamped.

    A tanh alone comes near black and white, where most pixels of a digit lie, and never arrives. This is done in training, too:
    the discriminator sees what will be seen.
    """
    return clamp_through(images.float() / (1 - headroom)) if headroom else images


def on_white(pixel_values: torch.Tensor) -> torch.Tensor:
    """Images of four channels laid on white, (N, 4, H, W) to (N, 3, H, W); others as they are.

    Colours are premultiplied by their opacity: c + 1 - a, each from 0 to 1.
    """
    if pixel_values.shape[1] != 4:
        return pixel_values
    return (pixel_values[:, :3] - pixel_values[:, 3:] + 1).clamp(-1, 1)


def check_images(images: torch.Tensor, sample_size: int, num_channels: int) -> None:
    """Raise ValueError unless `images` is (N, num_channels, sample_size, sample_size)."""
    if images.ndim != 4 or images.shape[1:] != (num_channels, sample_size, sample_size):
        raise ValueError(
            f"Expected images of shape (N, {num_channels}, {sample_size}, {sample_size}), got {tuple(images.shape)}."
        )


def check_latents(latents: torch.Tensor, latent_dim: int) -> None:
    """Raise ValueError unless `latents` is (N, latent_dim)."""
    if latents.ndim != 2 or latents.shape[1] != latent_dim:
        raise ValueError(f"Expected latents of shape (N, {latent_dim}), got {tuple(latents.shape)}.")


def check_classes(num_classes: int, class_names: list[str] | None, optional: bool = False) -> None:
    """Raise ValueError unless there are at least two classes and, if named, as many distinct names; or, optionally, none."""
    if optional and num_classes == 0 and not isinstance(num_classes, bool) and not class_names:
        return
    check_integers(2, num_classes=num_classes)
    names = class_names if isinstance(class_names, list | tuple) else []
    is_named = len(names) == num_classes and all(isinstance(name, str) for name in names)
    if class_names is not None and not (is_named and len(set(names)) == num_classes):
        raise ValueError(f"class_names must be {num_classes} different names, got {class_names!r}.")


def one_hot_labels(class_labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """Labels as weights over classes: (N,) integers become one-hot, (N, num_classes) weights pass through.

    Raises:
        ValueError: the shape is neither of the two, or a label is not in 0 ... num_classes - 1.
    """
    if class_labels.ndim == 2 and class_labels.shape[1] == num_classes and class_labels.is_floating_point():
        return class_labels
    if class_labels.ndim != 1 or class_labels.is_floating_point():
        raise ValueError(
            f"class_labels must be (N,) integers or (N, {num_classes}) weights, got {class_labels.dtype} of shape "
            f"{tuple(class_labels.shape)}."
        )
    # Reading the values would stall a GPU; there the index kernel itself checks them.
    if class_labels.device.type == "cpu" and class_labels.numel():
        low, high = int(class_labels.min()), int(class_labels.max())
        if low < 0 or high >= num_classes:
            raise ValueError(f"class_labels must be from 0 to {num_classes - 1}, got {low if low < 0 else high}.")
    return F.one_hot(class_labels, num_classes).float()


def optional_labels(class_labels: torch.Tensor | None, num_classes: int) -> torch.Tensor | None:
    """`one_hot_labels`, or None for a network without classes.

    Raises:
        ValueError: labels for a network without classes, none for one with classes, or wrong ones.
    """
    if (class_labels is None) == bool(num_classes):
        raise ValueError(
            f"This network has {num_classes} classes: give class_labels, (N,) integers or (N, {num_classes}) weights."
            if num_classes
            else "This network has no classes: leave class_labels out, or build it with num_classes."
        )
    return None if class_labels is None else one_hot_labels(class_labels, num_classes)


def init_dcgan(module: nn.Module) -> None:
    """Weights from N(0, 0.02), as in the DCGAN paper (Radford et al. 2016, section 4); use with `Module.apply`."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        # With spectral norm, `weight` is computed from the one that is trained.
        parametrized = parametrize.is_parametrized(module, "weight")
        weight = module.get_parameter("parametrizations.weight.original") if parametrized else module.weight
        nn.init.normal_(weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
