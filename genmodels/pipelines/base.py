"""What every pipeline shares: built-in names, checked loading, and calls as in diffusers."""

from __future__ import annotations

import functools
import inspect
import os
import re
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import diffusers
import numpy as np
import torch
from diffusers.configuration_utils import FrozenDict
from diffusers.pipelines import pipeline_utils
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers.scheduling_utils import SCHEDULER_CONFIG_NAME, SchedulerMixin
from diffusers.utils import BaseOutput, logging

from ..checks import check_count
from ..errors import UserError, first_line
from ..export import Origin, export_model
from ..families import BY_PIPELINE, Family
from ..features.neighbours import NeighborsOutput, neighbors
from ..folder import ModelFolder
from ..hub.push import push_pipeline
from ..hub.source import HUB_OPTIONS, Source, describe_class, find_pipeline, read_json
from ..latents import Generators, draw_latents, truncated
from ..models.modeling import WEIGHTS, Network, check_hash, weight_patterns
from ..pixels import Images, OutputImages, to_pixel_values
from ..privacy import public_name

# Images drawn in one forward pass: bounds the memory of a call, whatever num_images is.
CHUNK = 256
MAX_TRAIN_TIMESTEPS = 100_000

# What calls of diffusers' pipelines take and these have no use for, and what to do instead.
NOT_TAKEN = {
    "prompt": "there is no text to draw from: leave it out, or give class_labels to a model with classes",
    "negative_prompt": "there is no text to draw from: leave it out",
    "guidance_scale": "nothing guides the drawing: leave it out; psi makes images of most models more typical",
    "num_inference_steps": "it draws in one step: leave it out",
    "timesteps": "steps are chosen by their number: give num_inference_steps to a diffusion model",
    "sigmas": "steps are chosen by their number: give num_inference_steps to a diffusion model",
    "eta": "it draws in one step: leave it out",
    "callback": "give callback_on_step_end to a diffusion model; others draw in one step",
    "callback_steps": "give callback_on_step_end to a diffusion model; others draw in one step",
    "callback_on_step_end": "it draws in one step: leave it out",
    "callback_on_step_end_tensor_inputs": "it draws in one step: leave it out",
}


@dataclass
class GenerationOutput(BaseOutput):
    """What a pipeline returns.

    Attributes:
        images: a list of PIL images ("pil"), `pixel_values` (N, C, H, W) float32 in [-1, 1] ("pt"), or an array
            (N, H, W, C) float32 in [0, 1] ("np"). Of images with opacity (C = 4) the colours of `pixel_values` are premultiplied
            by it, so that what lies under a transparent pixel counts for nothing; in the other two they are not.
        latents: (N, latent_dim) float32, what the images were drawn from.
        class_labels: (N,) int64 or (N, num_classes) float32 weights; None for models without classes.
    """

    images: OutputImages
    latents: torch.Tensor
    class_labels: torch.Tensor | None = None


@contextmanager
def without_progress_bar() -> Iterator[None]:
    """Let diffusers draw no bar: a few megabytes are loaded before it can be read."""
    was = logging._tqdm_active
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was:
            logging.enable_progress_bar()


def parts_of(module: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """`module.modules()` in half its time: each call needs it."""
    yield module
    for part in module._modules.values():
        if part is not None:
            yield from parts_of(part)


def tensors_of(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    """Parameters and buffers."""
    for part in parts_of(module):
        for t in (*part._parameters.values(), *part._buffers.values()):
            if t is not None:
                yield t


@contextmanager
def inference(module: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """Run a network without gradients and in eval mode, then put its mode back.

    A pipeline made of networks that were just built or trained would otherwise draw with BatchNorm's batch statistics,
    so that an image would depend on its neighbours in the batch.
    """
    training = [part for part in parts_of(module) if part.training]
    for part in training:
        part.training = False
    try:
        with torch.no_grad():
            yield module
    finally:
        for part in training:
            part.training = True


def in_chunks(network: torch.nn.Module, *inputs: torch.Tensor | None, **options) -> list[Any]:
    """What a network says of inputs, chunk by chunk; those that are None are left out."""
    columns = [column.split(CHUNK) for column in inputs if column is not None]
    with inference(network):
        return [network(*chunk, **options) for chunk in zip(*columns, strict=True)]


Output = TypeVar("Output", bound=GenerationOutput)


def as_in_diffusers(call: Callable[..., Output]) -> Callable[..., Output]:
    """Let a pipeline's call take what those of diffusers' unconditional pipelines take, by the same names.

    `batch_size` and `num_images_per_prompt` mean `num_images`; `return_dict=False` returns the images in a tuple; `height` and
    `width` may say the size that the images have. What has no meaning here is refused in a sentence, see `NOT_TAKEN`.
    """
    taken = inspect.signature(call).parameters

    @functools.wraps(call)
    def wrapped(self, *args, return_dict: bool = True, **kwargs):
        counts = [kwargs.pop(name) for name in ("batch_size", "num_images_per_prompt") if name in kwargs]
        if counts:
            if args or "num_images" in kwargs:
                raise ValueError("Give num_images alone, without batch_size and num_images_per_prompt.")
            kwargs["num_images"] = functools.reduce(lambda a, b: check_count("batch_size", a) * b, counts)
        for name in ("height", "width"):
            if kwargs.pop(name, None) not in (None, self.sample_size):
                size = f"{self.sample_size}x{self.sample_size}"
                raise ValueError(
                    f"This model draws {size} pixels and no other size: leave {name} out, and resize the images."
                )
        for name in kwargs.keys() & NOT_TAKEN.keys() - taken.keys():
            raise ValueError(f"{type(self).__name__} takes no {name}: {NOT_TAKEN[name]}.")
        output = call(self, *args, **kwargs)
        return output if return_dict else (output.images,)

    return wrapped


def require_component(source: Source, component: str, kind: type, variant: str | None) -> None:
    """Raise ValueError unless the component's folder is there, with weights of this variant, or a scheduler's config.

    diffusers would look for a component's files in the folder above and name that one, and take other weights than those of
    the variant. A network checks its own files when it loads; a scheduler's file is compared with the Hub's hash here.
    """
    folder = source.folder / component
    if not folder.is_dir():
        raise ValueError(f"it lacks the folder {component}. Download or save it again.")
    for config in folder.glob("*config.json"):
        if not config.is_file():
            raise ValueError(f"{component}/{config.name} is no plain file. Download or save it again.")
        if config.read_bytes()[:3] == b"\xef\xbb\xbf":
            raise ValueError(f"{component}/{config.name} begins with a byte order mark. Save it as UTF-8 without one.")
    if issubclass(kind, SchedulerMixin):
        check_scheduler(folder / SCHEDULER_CONFIG_NAME)
    elif not any(any(folder.glob(pattern)) for pattern in weight_patterns(variant)):
        raise ValueError(f"its {component} {describe_weights(source.files_in(component), variant)}")


def describe_weights(names: list[str], variant: str | None) -> str:
    """What to do about a component without the weights that were asked for, by the names of its files."""
    variants = sorted(
        {match[1] for name in names if (match := re.match(rf"{WEIGHTS}\.(\w+)(-\d+.*)?\.safetensors$", name))}
    )
    others = ", ".join(f"variant={name!r}" for name in variants)
    if variant and any(re.match(rf"{WEIGHTS}(-\d+.*)?\.safetensors$", name) for name in names):
        return f"has no variant {variant!r}: leave variant out for its plain weights{f', or give {others}' if others else ''}."
    if variants:
        return f"has {'no such variant' if variant else 'no plain weights'}: give {others}."
    if any(Path(name).suffix in (".bin", ".ckpt", ".pt", ".pth") for name in names):
        return (
            "has its weights in files that may run code when loaded, and those are never read. Its owner can save it again, as "
            "safetensors."
        )
    return f"lacks {WEIGHTS}.safetensors. Download or save it again."


def check_scheduler(path: Path) -> None:
    """Raise ValueError unless a scheduler's config is there, undamaged: diffusers would put defaults in place of what is not."""
    if not path.is_file():
        raise ValueError(f"it lacks {path.parent.name}/{path.name}. Download or save it again.")
    check_hash(path)
    steps = read_json(path).get("num_train_timesteps", 1)
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= MAX_TRAIN_TIMESTEPS:
        # diffusers would reckon with each of them, and not come to an end.
        raise ValueError(
            f"its scheduler says num_train_timesteps={steps!r}: from 1 to {MAX_TRAIN_TIMESTEPS:,} are possible."
        )


class ImagePipeline(DiffusionPipeline):
    """Base of the pipelines: loads a built-in name, a folder or a Hub id, strictly."""

    __call__: Callable[..., GenerationOutput]
    # The component that draws: its config says what images.
    _drawing_component = "generator"
    _internal_dict: FrozenDict
    # The Source that it was loaded from.
    _source: Any = None

    @property
    def _drawing_network(self) -> Network:
        return getattr(self, self._drawing_component)

    @property
    def sample_size(self) -> int:
        """Side of the images in pixels."""
        return self._drawing_network.config.sample_size

    @property
    def num_channels(self) -> int:
        """1 for grey images, 3 for colour."""
        return self._drawing_network.config.num_channels

    @property
    def latent_dim(self) -> int:
        """Length of a latent."""
        return self._drawing_network.config.latent_dim

    @property
    def num_classes(self) -> int:
        """How many classes the model knows; 0 if it knows none."""
        return self._drawing_network.config.get("num_classes", 0)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes in the order of their numbers; the numbers themselves if the model has no names."""
        return list(self._drawing_network.config.get("class_names") or map(str, range(self.num_classes)))

    @property
    def family(self) -> Family:
        """What it can do."""
        return next(BY_PIPELINE[kind.__name__] for kind in type(self).__mro__ if kind.__name__ in BY_PIPELINE)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs) -> Self:
        """Load a pipeline.

        Files in the Hub's cache are compared with the hashes that the Hub gave for them. Code that a repository carries is
        never run: the classes are those of the installed genmodels.

        Args:
            pretrained_model_name_or_path: a built-in name (`python -m genmodels list`), a folder that `save_pretrained`
                wrote, or a Hub id ("name/model").
            kwargs: `revision` (a branch, tag or commit), `subfolder` where the pipeline lies, `dtype` (or `torch_dtype`) of
                the weights, `variant` ("fp16" reads diffusion_pytorch_model.fp16.safetensors), `token`, `cache_dir`,
                `local_files_only`, `force_download`, and the others of `DiffusionPipeline.from_pretrained`. Safetensors are
                loaded, and nothing else.

        Raises:
            UserError: there is no such model, it is another kind of pipeline, or its files are damaged; then the message
                has the command that repairs them.
        """
        hub_options = {key: kwargs.pop(key) for key in HUB_OPTIONS if key in kwargs}
        name = pretrained_model_name_or_path
        name = name if isinstance(name, str) else Path(name)
        return cls._load(find_pipeline(name, kwargs.pop("subfolder", None), **hub_options), **kwargs)

    @classmethod
    def _load(
        cls,
        source: Source,
        variant: str | None = None,
        dtype: torch.dtype | dict[str, torch.dtype] | None = None,
        torch_dtype: torch.dtype | dict[str, torch.dtype] | None = None,
        **kwargs,
    ) -> Self:
        """`from_pretrained` for what `find_pipeline` found."""
        name = source.name
        if source.class_name != cls.__name__:
            raise UserError(
                f"{name!r} holds a {describe_class(source.class_name)}, not a {cls.__name__}{source.advice}."
            )
        if dtype is not None and torch_dtype is not None and dtype != torch_dtype:
            raise UserError(f"dtype is {dtype} and torch_dtype is {torch_dtype}: give one of them.")
        dtype = torch_dtype if dtype is None else dtype
        if not isinstance(dtype, torch.dtype | dict | None):
            raise UserError(f"dtype must be a torch.dtype such as torch.float16, got {dtype!r}.")
        # Else what torch.set_default_dtype says would decide.
        dtype = torch.float32 if dtype is None else dtype
        if kwargs.pop("use_safetensors", None) is False:
            raise UserError(
                "use_safetensors=False: other files of weights may run code, and are never loaded; leave it out."
            )
        if kwargs.pop("custom_pipeline", None) is not None:
            raise UserError(
                "custom_pipeline: code of others is never run; leave it out, the classes are those of genmodels."
            )
        source = source.fetch(variant)
        # There is no code to trust: see load_config.
        kwargs.pop("trust_remote_code", None)
        try:
            for component, kind in cls._components_in(source.folder).items():
                if component not in kwargs:
                    require_component(source, component, kind, variant)
            # Older diffusers know the old name only, newer ones warn of it.
            named = {"dtype" if hasattr(pipeline_utils, "_resolve_dtype") else "torch_dtype": dtype}
            with without_progress_bar():
                pipe = super().from_pretrained(source.folder, variant=variant, use_safetensors=True, **named, **kwargs)
        except (ValueError, OSError) as error:
            raise UserError(f"{name!r} does not load: {first_line(error)}") from error
        # As in Network: saved again, the origin would publish a path of the user's machine.
        pipe._internal_dict = FrozenDict({k: v for k, v in pipe.config.items() if k != "_name_or_path"})
        pipe._source = source
        return pipe

    @classmethod
    def _components_in(cls, folder: Path) -> dict[str, type]:
        """The components that lie in a folder, by its model_index.json, and their classes."""
        index = cls.load_config(folder)
        return {name: kind for name, kind in cls._component_classes().items() if index.get(name, [None])[0] is not None}

    @classmethod
    def _component_classes(cls) -> dict[str, type]:
        """Component to class, by the annotations of the constructor."""
        hints = typing.get_type_hints(cls.__init__).items()
        kinds = {name: next(t for t in (*typing.get_args(hint), hint) if isinstance(t, type)) for name, hint in hints}
        return {name: kind for name, kind in kinds.items() if issubclass(kind, torch.nn.Module | SchedulerMixin)}

    @classmethod
    def load_config(  # type: ignore[override]  # diffusers declares a tuple, which it returns on demand only.
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs
    ) -> dict[str, Any]:
        """model_index.json with the installed classes in place of the files of code that a repository carries.

        Raises:
            ValueError: a component is of another class than this pipeline's.
        """
        config: Any = super().load_config(pretrained_model_name_or_path, **kwargs)
        config["_class_name"] = cls.__name__
        for component, kind in cls._component_classes().items():
            found, is_scheduler = config.get(component, [None, None]), issubclass(kind, SchedulerMixin)
            name = found[1] if isinstance(found, list) and len(found) == 2 else 0
            # Of schedulers diffusers has many; it finds its own classes under its own name alone.
            known = getattr(diffusers, name, None) if is_scheduler and isinstance(name, str) else None
            if isinstance(known, type) and issubclass(known, SchedulerMixin):
                kind = known
            if name not in (None, kind.__name__):
                wanted = "scheduler of diffusers" if is_scheduler else kind.__name__
                raise ValueError(f"its {component} is {found!r}, not a {wanted}. Download or save it again.")
            if name is not None:
                config[component] = ["diffusers" if is_scheduler else kind.__module__, kind.__name__]
        return config

    def _networks(self) -> Iterator[torch.nn.Module]:
        return (part for name in self.config if isinstance(part := self.__dict__.get(name), torch.nn.Module))

    # diffusers reads signatures and looks for hooks of all layers, which takes longer than a small network.
    @property
    def device(self) -> torch.device:
        """Where the networks lie; of several places that which is not the CPU."""
        places = [next(tensors_of(network)).device for network in self._networks()]
        return next((place for place in places if place.type not in ("cpu", "meta")), places[0])

    @property
    def dtype(self) -> torch.dtype:
        """In what the networks compute."""
        network = next(self._networks())
        if any("_diffusers_hook" in part.__dict__ for part in parts_of(network)):
            return super().dtype
        return next(t.dtype for t in tensors_of(network) if t.is_floating_point())

    def to(self, *args, **kwargs):
        """Move the networks to a device or another precision, as in diffusers.

        Raises:
            UserError: this machine has no such device.
        """
        try:
            return super().to(*args, **kwargs)
        except TypeError as error:
            raise UserError(
                f"A pipeline is moved to a device or to a dtype of floats such as torch.float16: {error}"
            ) from error
        except (AssertionError, RuntimeError) as error:
            where = kwargs.get("device", args[0] if args else None)
            raise UserError(
                f"This machine cannot use the device {str(where)!r} ({first_line(error)}): leave it where it is, or take "
                "another; the CPU is enough for these models."
            ) from error

    def enable_model_cpu_offload(self, *args, **kwargs):
        """Refused: see the error.

        Raises:
            UserError: always.
        """
        raise UserError(
            'These models take a few megabytes, of which nothing has to be moved away: pipe.to("cuda") is all that they need.'
        )

    enable_sequential_cpu_offload = enable_group_offload = enable_model_cpu_offload

    def push_to_hub(  # type: ignore[override]  # Of diffusers' options a push in one commit, with a card, decides most itself.
        self, repo_id: str, *, private: bool = False, token: str | None = None, onnx: bool = False
    ) -> str:
        """Push the pipeline with a card in one commit, trying again while the Hub stutters; returns its address.

        Args:
            repo_id: "name/model", the name being yours or your organization's.
            private: whether only you, or the organization, can see it.
            token: by default the one of `hf auth login` or HF_TOKEN.
            onnx: whether the repository gets what `export` writes, too, in `onnx`; without it the repository has none afterwards.

        Raises:
            UserError: the token may not push there, or the upload failed: then the saved folder is kept, and named.
        """
        export = (lambda folder: export_model(self, folder, Origin(repo_id))) if onnx else None
        return push_pipeline(self, repo_id, private=private, token=token, export=export)

    def export(
        self,
        format: str = "onnx",
        output: str | os.PathLike[str] | None = None,
        *,
        num_inference_steps: int | None = None,
        class_weights: bool = False,
    ) -> Path:
        """Write the model as files that need no torch, and return their folder.

        It holds a .onnx for each network, which takes any number of images; export.json, which says what goes in and comes out,
        what latents are drawn from and how far each network is from torch; and a README.md with code for onnxruntime in Python
        and JavaScript. Needs `pip install 'genmodels[onnx]'`.

        Args:
            format: "onnx".
            output: the folder; must not exist, or be empty, or hold an earlier export, which is replaced. By default the
                model's name with "-onnx" behind it.
            num_inference_steps: of a diffusion model, for how many steps the schedule is written down; the model's by default.
            class_weights: of a model with classes, whether they go in as (N, num_classes) float32 weights, which may mix them,
                and not as (N,) int64 numbers.

        Raises:
            UserError: an argument is not possible, or a network cannot be exported; the message says why.
        """
        source = self._source
        name = self.family.title.lower() if source is None else Path(source.name).name
        origin = (
            Origin()
            if source is None
            else Origin(source.repo_id or public_name(source.name), ModelFolder(source.folder), source.commit)
        )
        folder = Path(f"{name}-onnx" if output is None else output)
        export_model(self, folder, origin, format, num_inference_steps, class_weights)
        return folder

    def neighbors(
        self,
        images: Images,
        k: int = 5,
        *,
        dataset: str | Path | torch.Tensor | None = None,
        split: str = "train",
        space: str | None = None,
        output_type: str = "pil",
        **reading,
    ) -> NeighborsOutput:
        """The k training images nearest to each of the given ones: copies would show.

        The dataset is read batch by batch, so that memory holds N * k images of it and one batch.

        Args:
            images: (N) images in any form that the pipeline returns.
            k: how many of each.
            dataset: a Hub id, a folder or a built-in sample, read as in training; or `pixel_values`. By default the built-in
                sample of this size, a part of what the built-in models were trained on: 10,000 digits or 5,000 frogs.
            split: of the dataset.
            space: "features" of the built-in evaluator, where images of the same meaning are near, which is the default if there
                is one for this size; or "pixels".
            output_type: "pil", "pt" or "np".
            reading: further arguments of `genmodels.data.load_images` that were given in the training, such as `fit`,
                `background`, `image_column`, `config_name` or `revision`.

        Raises:
            ValueError: an argument is out of its range, or nothing built in fits this size.
            UserError: there is no such dataset.
        """
        return neighbors(self.sample_size, self.num_channels, images, k, dataset, split, space, output_type, **reading)

    def _to_pixels(self, images: Images) -> torch.Tensor:
        """Images in any form that the pipeline returns, as its networks take them."""
        return to_pixel_values(images, self.sample_size, self.num_channels).to(self.device, self.dtype)

    def from_normal(self, latents: torch.Tensor, prior: str | None = None, psi: float = 1.0) -> torch.Tensor:
        """Latents (N, latent_dim) from N(0, I) to as many from what the model draws from: that, scaled by psi."""
        return truncated(latents, psi)

    def _latent_of(self, which: int | torch.Tensor) -> torch.Tensor:
        """A seed, or a latent of any shape with latent_dim numbers, as (latent_dim,)."""
        if isinstance(which, torch.Tensor):
            if which.numel() != self.latent_dim:
                raise ValueError(f"A latent has {self.latent_dim} numbers, got shape {tuple(which.shape)}.")
            return which.flatten().to(self.device, self.dtype)
        return draw_latents(1, self.latent_dim, seed=which)[0].to(self.device, self.dtype)

    def _to_latents(
        self,
        num_images: int,
        generator: Generators,
        seed: int | None,
        latents: torch.Tensor | np.ndarray | None,
    ) -> torch.Tensor:
        device = self.device
        if device.type == "meta":
            raise ValueError("The networks lie on the device 'meta', which holds no weights: load the pipeline again.")
        if latents is None:
            return draw_latents(num_images, self.latent_dim, generator, seed).to(device, self.dtype)
        latents = torch.as_tensor(latents)
        if generator is not None or seed is not None:
            raise ValueError("Give either latents, or a seed or generator to draw them, not both.")
        elif latents.ndim != 2 or latents.shape[1] != self.latent_dim or not len(latents):
            raise ValueError(f"latents must have shape (N, {self.latent_dim}), got {tuple(latents.shape)}.")
        elif not torch.isfinite(latents).all():
            raise ValueError("latents must be finite numbers.")
        return latents.to(device, self.dtype)
