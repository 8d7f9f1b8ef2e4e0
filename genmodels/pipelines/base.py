"""What every pipeline shares: built-in names, checked loading, reproducible latents, images in and out."""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers import DiffusionPipeline, SchedulerMixin
from diffusers.configuration_utils import FrozenDict
from diffusers.pipelines import pipeline_utils
from diffusers.schedulers.scheduling_utils import SCHEDULER_CONFIG_NAME
from diffusers.utils import BaseOutput
from PIL import Image

from ..errors import UserError
from ..images import to_8_bits, upright
from ..models.modeling import WEIGHTS, check_hash, weight_patterns
from .source import HUB_OPTIONS, Source, describe_class, find_pipeline, first_sentence

OUTPUT_TYPES = ("pil", "pt", "np")
MODES = ("slerp", "lerp")
MAX_PSI = 2.0
# Images drawn in one forward pass: bounds the memory of a call, whatever num_images is.
CHUNK = 256

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

Images = Image.Image | Sequence[Image.Image] | torch.Tensor | np.ndarray


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

    images: list[Image.Image] | torch.Tensor | np.ndarray
    latents: torch.Tensor
    class_labels: torch.Tensor | None = None


@dataclass
class NeighborsOutput(BaseOutput):
    """The training images nearest to N given ones, the nearest first.

    Attributes:
        images: N lists of k PIL images ("pil"), `pixel_values` (N, k, C, H, W) float32 in [-1, 1] ("pt"), or an array
            (N, k, H, W, C) float32 in [0, 1] ("np").
        distances: (N, k) float32: Euclidean between the evaluator's features, or the root mean square of the difference in
            brightness, from 0 for the same image to 1 for black and white.
        indices: (N, k) int64, their numbers in the dataset's order.
    """

    images: list[list[Image.Image]] | torch.Tensor | np.ndarray
    distances: torch.Tensor
    indices: torch.Tensor


@contextmanager
def inference(module: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """Run a network without gradients and in eval mode, then put its mode back.

    A pipeline made of networks that were just built or trained would otherwise draw with BatchNorm's batch statistics,
    so that an image would depend on its neighbours in the batch.
    """
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad():
            yield module
    finally:
        module.train(was_training)


def check_count(name: str, value: int, low: int = 1) -> int:
    """Return `value` if it is an integer of at least `low`, else raise ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise ValueError(f"{name} must be an integer of at least {low}, got {value!r}.")
    return int(value)


def check_seed(seed: int) -> int:
    """Return `seed` if it is an integer from 0 to 2**64 - 1, else raise ValueError."""
    if check_count("seed", seed, low=0) >= 2**64:
        raise ValueError(f"seed must be at most 2**64 - 1, got {seed}: torch has no larger ones.")
    return int(seed)


def as_in_diffusers(call: Callable) -> Callable:
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


def draw_latents(
    num_images: int,
    latent_dim: int,
    generator: torch.Generator | Sequence[torch.Generator] | None = None,
    seed: int | None = None,
) -> torch.Tensor:
    """(num_images, latent_dim) float32 from N(0, 1).

    Drawn row by row, because one call of torch.randn gives other values for other shapes: so latents i of a seed are the
    same for every num_images. Of a list of generators each draws one row.

    Raises:
        ValueError: num_images is not a positive integer, the seed none from 0 to 2**64 - 1, there are not as many generators as
            images, or both a generator and a seed are given.
    """
    check_count("num_images", num_images)
    if generator is not None and seed is not None:
        raise ValueError("Give either generator or seed, not both.")
    if seed is not None:
        generator = torch.Generator().manual_seed(check_seed(seed))
    several = isinstance(generator, list | tuple)
    generators = list(generator) if several else [generator] * num_images
    if len(generators) != num_images:
        raise ValueError(f"Give one generator, or one per image: {num_images} images, {len(generators)} generators.")
    rows = [
        torch.randn(latent_dim, generator=one, device=one.device if one is not None else None, dtype=torch.float32)
        for one in generators
    ]
    return torch.stack([row.cpu() for row in rows] if several else rows)


def interpolate_latents(a: torch.Tensor, b: torch.Tensor, steps: int, mode: str = "slerp") -> torch.Tensor:
    """`steps` latents from `a` to `b`, both included.

    "lerp" is the straight line. "slerp" follows the great circle, on which samples of N(0, I) lie in high dimensions
    (White 2016, https://arxiv.org/abs/1609.04468): sin((1-t) w) / sin w a + sin(t w) / sin w b, w the angle between them.

    Args:
        a, b: (latent_dim,) float.
        steps: at least 2.
        mode: "slerp" or "lerp".

    Returns:
        (steps, latent_dim) float.

    Raises:
        ValueError: `steps` is below 2 or `mode` is unknown.
    """
    check_count("steps", steps, low=2)
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}.")
    t = torch.linspace(0, 1, steps, device=a.device, dtype=a.dtype)[:, None]
    norms = a.norm() * b.norm()
    if mode == "slerp" and norms > 0:
        angle = torch.arccos((a @ b / norms).clamp(-1, 1))
        # Parallel vectors have no arc, opposite ones have every arc: the line is right for the first, a choice for both.
        if torch.sin(angle) > 1e-4:
            return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)
    return (1 - t) * a + t * b


def truncated(latents: torch.Tensor, psi: float) -> torch.Tensor:
    """Latents times `psi`, from 0 to 2: below 1, images get more typical and more alike.

    Karras et al. 2019, https://arxiv.org/abs/1812.04948, section B, in latent space, whose mean is 0.

    Raises:
        ValueError: psi is no number from 0 to 2.
    """
    if isinstance(psi, bool) or not isinstance(psi, int | float) or not 0 <= psi <= MAX_PSI:
        raise ValueError(f"psi must be a number from 0 to {MAX_PSI:g}, got {psi!r}.")
    return latents * psi


def cross_latents(a: torch.Tensor, b: torch.Tensor, num_images: int, mutation: float, seed: int) -> torch.Tensor:
    """Children of two latents: each number is one parent's or the other's, by a coin, and then moves a little.

    A child is sqrt(1 - m^2) c + m e, c being the mixture, e from N(0, I) and m the mutation: children of latents from N(0, I)
    are from N(0, I) again, however far they mutate.

    Args:
        a, b: (latent_dim,) float.
        num_images: how many children; child i of a seed is the same however many there are.
        mutation: from 0, nothing new, to 1, nothing inherited.
        seed: of the coins and the noise.

    Returns:
        (num_images, latent_dim) float.

    Raises:
        ValueError: an argument is out of its range.
    """
    check_count("num_images", num_images)
    if isinstance(mutation, bool) or not isinstance(mutation, int | float) or not 0 <= mutation <= 1:
        raise ValueError(f"mutation must be a number from 0 to 1, got {mutation!r}.")
    generator = torch.Generator().manual_seed(check_seed(seed))
    children = []
    for _ in range(num_images):
        coins = torch.rand(len(a), generator=generator, dtype=torch.float32) < 0.5
        noise = torch.randn(len(a), generator=generator, dtype=torch.float32)
        children.append((1 - mutation**2) ** 0.5 * torch.where(coins, a.cpu(), b.cpu()) + mutation * noise)
    return torch.stack(children).to(a.device, a.dtype)


def circle_latents(a: torch.Tensor, b: torch.Tensor, steps: int) -> torch.Tensor:
    """`steps` latents on the closed way cos(t) a + sin(t) b, t from 0 to just below 2 pi.

    With a and b from N(0, I), each of them is from N(0, I), too, and the last is as far from the first as from the one before it.

    Args:
        a, b: (latent_dim,) float.
        steps: at least 2.

    Returns:
        (steps, latent_dim) float.

    Raises:
        ValueError: `steps` is below 2.
    """
    check_count("steps", steps, low=2)
    t = torch.arange(steps, device=a.device, dtype=a.dtype)[:, None] * (2 * torch.pi / steps)
    return torch.cos(t) * a + torch.sin(t) * b


def to_uint8(pixel_values: torch.Tensor) -> np.ndarray:
    """`pixel_values` (N, C, H, W) in [-1, 1] to (N, H, W, C) uint8, rounded."""
    scaled = ((pixel_values.detach().float().cpu() + 1) * 127.5).round().clamp(0, 255)
    return scaled.to(torch.uint8).permute(0, 2, 3, 1).numpy()


def to_pil(pixel_values: torch.Tensor) -> list[Image.Image]:
    """`pixel_values` (N, C, H, W) in [-1, 1] to PIL images, mode L, RGB or RGBA."""
    arrays = to_uint8(pixel_values)
    if arrays.shape[-1] == 4:
        # Pillow's name for premultiplied colours.
        return [Image.frombytes("RGBa", a.shape[1::-1], a.tobytes()).convert("RGBA") for a in arrays]
    return [Image.fromarray(a[..., 0] if a.shape[-1] == 1 else a) for a in arrays]


def to_output(pixel_values: torch.Tensor, output_type: str) -> list[Image.Image] | torch.Tensor | np.ndarray:
    """`pixel_values` in the form that `output_type` names; see `GenerationOutput`."""
    check_output_type(output_type)
    if output_type == "pil":
        return to_pil(pixel_values)
    pixel_values = pixel_values.detach().float().cpu()
    if output_type == "pt":
        return pixel_values
    array = ((pixel_values + 1) / 2).permute(0, 2, 3, 1).numpy()
    if array.shape[-1] == 4:
        opacity = array[..., 3:]
        array = np.concatenate([np.clip(array[..., :3] / np.maximum(opacity, 1 / 255), 0, 1), opacity], axis=-1)
    return array


def check_output_type(output_type: str) -> None:
    """Raise ValueError unless `output_type` is "pil", "pt" or "np"."""
    if output_type not in OUTPUT_TYPES:
        beside = ": the latents are there beside the images, as `.latents`" if output_type == "latent" else ""
        raise ValueError(f"output_type must be one of {', '.join(OUTPUT_TYPES)}, got {output_type!r}{beside}.")


def premultiplied(image: Image.Image) -> Image.Image:
    """An image with its colours premultiplied by their opacity, if it has any; Pillow calls that mode RGBa."""
    return image.convert("RGBa") if image.mode == "RGBA" else image


def to_pixel_values(images: Images, sample_size: int, num_channels: int) -> torch.Tensor:
    """Any form in which a pipeline returns images, back to `pixel_values` (N, C, H, W) float32 in [-1, 1].

    Args:
        images: a PIL image or a list of them (turned as their EXIF says, transparent parts black, numbers beyond 8 bits
            scaled by their range), a tensor (N, C, H, W) in [-1, 1], or an array (N, H, W, C) of floats in [0, 1] or of uint8.
        sample_size, num_channels: what the model takes.

    Raises:
        ValueError: no images, a wrong size or shape, or values out of range. Images are never resized silently.
    """
    if isinstance(images, Image.Image):
        images = [images]
    if isinstance(images, torch.Tensor):
        pixel_values = images.detach().float()
        low, high, form = -1.0, 1.0, "tensors hold pixel_values (N, C, H, W) in [-1, 1]"
    elif isinstance(images, np.ndarray):
        form = "arrays are (N, H, W, C) with floats in [0, 1] or uint8"
        if images.ndim != 4:
            raise ValueError(f"Got an array of shape {images.shape}; {form}.")
        scaled = images.astype(np.float32) / 255 if images.dtype == np.uint8 else images.astype(np.float32)
        if scaled.shape[-1] == 4:
            scaled = np.concatenate([scaled[..., :3] * scaled[..., 3:], scaled[..., 3:]], axis=-1)
        pixel_values = torch.from_numpy(scaled).permute(0, 3, 1, 2)
        low, high = 0.0, 1.0
    elif isinstance(images, Sequence) and images and all(isinstance(image, Image.Image) for image in images):
        images = [upright(image) for image in images]
        for image in images:
            if image.size != (sample_size, sample_size):
                raise ValueError(
                    f"Expected images of {sample_size}x{sample_size} pixels, got {image.width}x{image.height}: resize them, "
                    f"for example with image.resize(({sample_size}, {sample_size}))."
                )
        arrays = np.stack([np.asarray(premultiplied(to_8_bits(image, num_channels))) for image in images])
        return (
            torch.from_numpy(arrays).reshape(-1, sample_size, sample_size, num_channels).permute(0, 3, 1, 2).float()
            / 127.5
            - 1
        )
    else:
        raise ValueError("images must be a PIL image, a non-empty list of them, a tensor or an array.")
    if pixel_values.shape[1:] != (num_channels, sample_size, sample_size):
        raise ValueError(
            f"Expected {num_channels} channel(s) of {sample_size}x{sample_size} pixels, got shape {tuple(images.shape)}; {form}."
        )
    if not len(pixel_values):
        raise ValueError("There are no images: give one or more.")
    if not torch.isfinite(pixel_values).all() or pixel_values.min() < low - 1e-3 or pixel_values.max() > high + 1e-3:
        raise ValueError(f"The images have values out of range; {form}.")
    return pixel_values if low < 0 else pixel_values * 2 - 1


def require_component(source: Source, component: str, kind: type, variant: str | None) -> None:
    """Raise ValueError unless the component's folder is there, with weights of this variant, or a scheduler's config.

    diffusers would look for a component's files in the folder above and name that one, and take other weights than those of
    the variant. A network checks its own files when it loads; a scheduler's file is compared with the Hub's hash here.
    """
    folder = source.folder / component
    if not folder.is_dir():
        raise ValueError(f"it lacks the folder {component}. Download or save it again.")
    for config in folder.glob("*config.json"):
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


class ImagePipeline(DiffusionPipeline):
    """Base of the pipelines: loads a built-in name, a folder or a Hub id, strictly."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **kwargs):
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
        name, subfolder = pretrained_model_name_or_path, kwargs.pop("subfolder", None)
        return cls._load(find_pipeline(name, subfolder, **hub_options), **kwargs)

    @classmethod
    def _load(cls, source: Source, variant: str | None = None, dtype=None, torch_dtype=None, **kwargs):
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
            pipe = super().from_pretrained(source.folder, variant=variant, use_safetensors=True, **named, **kwargs)
        except (ValueError, OSError) as error:
            raise UserError(f"{name!r} does not load: {first_sentence(error)}") from error
        # As in StrictLoadingMixin: saved again, the origin would publish a path of the user's machine.
        pipe._internal_dict = FrozenDict({k: v for k, v in pipe.config.items() if k != "_name_or_path"})
        return pipe

    @classmethod
    def _components_in(cls, folder: Path) -> dict[str, type]:
        """The components that lie in a folder, by its model_index.json, and their classes."""
        index = cls.load_config(folder)
        return {name: kind for name, kind in cls._component_classes().items() if index.get(name, [None])[0] is not None}

    @classmethod
    def _component_classes(cls) -> dict[str, type]:
        """Component to class, by the annotations of the constructor."""
        hints = typing.get_type_hints(cls.__init__)
        return {
            name: next(t for t in (*typing.get_args(hint), hint) if isinstance(t, type)) for name, hint in hints.items()
        }

    @classmethod
    def load_config(cls, pretrained_model_name_or_path: str | Path, **kwargs) -> dict:
        """model_index.json with the installed classes in place of the files of code that a repository carries.

        Raises:
            ValueError: a component is of another class than this pipeline's.
        """
        config = super().load_config(pretrained_model_name_or_path, **kwargs)
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

    def to(self, *args, **kwargs):
        """Move the networks to a device or another precision, as in diffusers.

        Raises:
            UserError: this machine has no such device.
        """
        try:
            return super().to(*args, **kwargs)
        except (AssertionError, RuntimeError) as error:
            where = kwargs.get("device", args[0] if args else None)
            raise UserError(
                f"This machine cannot use the device {str(where)!r} ({first_sentence(error)}): leave it where it is, or take "
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

    def push_to_hub(self, repo_id: str, *, private: bool = False, token: str | None = None) -> str:
        """Push the pipeline with a card in one commit, trying again while the Hub stutters; returns its address.

        Args:
            repo_id: "name/model", the name being yours or your organization's.
            private: whether only you, or the organization, can see it.
            token: by default the one of `hf auth login` or HF_TOKEN.

        Raises:
            UserError: the token may not push there, or the upload failed: then the saved folder is kept, and named.
        """
        from ..hub.push import push_pipeline

        return push_pipeline(self, repo_id, private=private, token=token)

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
        from ..evaluation.neighbours import neighbors

        return neighbors(self, images, k, dataset, split, space, output_type, **reading)

    def _to_latents(
        self,
        num_images: int,
        latent_dim: int,
        generator: torch.Generator | Sequence[torch.Generator] | None,
        seed: int | None,
        latents: torch.Tensor | np.ndarray | None,
    ) -> torch.Tensor:
        if latents is None:
            return draw_latents(num_images, latent_dim, generator, seed).to(self.device, self.dtype)
        latents = torch.as_tensor(latents)
        if generator is not None or seed is not None:
            raise ValueError("Give either latents, or a seed or generator to draw them, not both.")
        elif latents.ndim != 2 or latents.shape[1] != latent_dim or not len(latents):
            raise ValueError(f"latents must have shape (N, {latent_dim}), got {tuple(latents.shape)}.")
        elif not torch.isfinite(latents).all():
            raise ValueError("latents must be finite numbers.")
        return latents.to(self.device, self.dtype)
