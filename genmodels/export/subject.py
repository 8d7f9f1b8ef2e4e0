"""What of a model is exported: its networks, what each takes and gives, and inputs to compare them with."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from ..errors import UserError
from ..families import Family
from ..latents import draw_latents
from ..models.diffusion import DiffusionStep
from .graphs import BATCH, Port

# Components that are a few numbers: those go into the JSON.
NUMBERS = ("attributes", "prior")
# The batches with which a graph is compared, of seeds 0, 1 and 2.
BATCH_SIZES = (1, 3, 7)
# What a network gives, by its component and how many outputs it has.
OUTPUTS = {
    "classifier": (("logits", "features"),),
    "discriminator": (("scores",),),
    "encoder": (("latents",), ("mean", "log_variance")),
}
DRAWN = (("pixel_values",), ("next_latents", "pixel_values", "prediction"))


class Affine(nn.Module):
    """What a BatchNorm does in eval mode: (N, C, ...) to as many, each channel times a number plus one.

    An exporter would multiply a BatchNorm into the weights before it, and weights that were saved in float16 would be none.
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, norm: Any):
        super().__init__()
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        self.register_buffer("scale", scale.float())
        self.register_buffer("shift", (norm.bias.double() - norm.running_mean.double() * scale).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shape = (-1, *[1] * (x.ndim - 2))
        return x * self.scale.view(shape) + self.shift.view(shape)


@torch.no_grad()
def plain_copy(network: nn.Module) -> nn.Module:
    """A copy in float32 on the CPU, in eval mode; weights that are computed, such as those of spectral norm, are so once."""
    copied = copy.deepcopy(network).cpu().float().eval()
    for module in list(copied.modules()):
        if parametrize.is_parametrized(module):
            settled = {name: getattr(module, name).detach() for name in module.parametrizations}  # type: ignore[union-attr]
            # By hand: torch's own way takes them out of the class, which the original has, too.
            module.__class__ = parametrize.type_before_parametrizations(module)
            del module._modules["parametrizations"]
            for name, value in settled.items():
                module.register_parameter(name, nn.Parameter(value))
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d) and child.affine and child.track_running_stats:
                setattr(module, name, Affine(child))
    return copied


@dataclass
class Subject:
    """A pipeline, or a classifier, as what is exported of it.

    Attributes:
        model: which.
        class_weights: whether the graphs take weights that mix classes in place of labels.
        steps: `step_numbers` of a model that draws in steps; of others none.
    """

    model: Any
    class_weights: bool = False
    steps: list[list[float]] = field(default_factory=list)

    @property
    def family(self) -> Family | None:
        """None for a classifier."""
        return getattr(self.model, "family", None)

    def setting(self, name: str) -> Any:
        """A property of the pipeline, or a setting of the classifier."""
        return getattr(self.model if self.family else self.model.config, name)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        return (self.setting("num_channels"), self.setting("sample_size"), self.setting("sample_size"))

    @property
    def num_rows(self) -> int:
        """How many classes the networks tell apart: of those that draw in steps, one more is no class; 0 without classes."""
        count = self.model.num_classes if self.family else 0
        return count + bool(count and self.steps)

    @cached_property
    def networks(self) -> dict[str, nn.Module]:
        """Component to a plain copy of its network, the one that draws first."""
        if self.family is None:
            return {"classifier": plain_copy(self.model)}
        draws = self.family.draws
        found = {
            name: plain_copy(self.model.components[name])
            for name in sorted(self.model.components, key=lambda name: name != draws)
            if isinstance(self.model.components[name], nn.Module) and name not in NUMBERS
        }
        if self.steps:
            found[draws] = DiffusionStep(found[draws], self.model.num_channels)  # type: ignore[arg-type]
        return found

    def inputs_of(self, component: str) -> list[Port]:
        """What its network takes, by the arguments that its forward needs.

        Raises:
            UserError: it needs something else than networks here take.
        """
        known = {
            "latents": Port("latents", "latents", "float32", (BATCH, self.setting("latent_dim") if self.family else 0)),
            "pixel_values": Port("pixel_values", "pixel_values", "float32", (BATCH, *self.image_shape)),
            "step": Port("step", "step", "float32", (6,)),
            "class_labels": Port("class_labels", "class_labels", "int64", (BATCH,)),
        }
        if self.class_weights:
            known["class_labels"] = Port("class_weights", "class_labels", "float32", (BATCH, self.num_rows))
        arguments = inspect.signature(self.networks[component].forward).parameters.values()
        needed = [a.name for a in arguments if a.default is a.empty and a.kind not in (a.VAR_POSITIONAL, a.VAR_KEYWORD)]
        if self.num_rows and "class_labels" not in needed and any(a.name == "class_labels" for a in arguments):
            needed.append("class_labels")
        if unknown := [name for name in needed if name not in known]:
            raise UserError(f"it takes {unknown[0]}, and what can be exported takes {', '.join(known)}")
        return [known[name] for name in needed]

    def outputs_of(self, component: str, count: int) -> Sequence[str]:
        """Names of what its network gives."""
        draws = self.family is not None and component == self.family.draws
        if self.family is not None and draws and self.family.draws_in_stages:
            return ("pixel_values", *(f"stage_{i}" for i in range(count - 1)))
        known = [names for names in (DRAWN if draws else OUTPUTS.get(component, ())) if len(names) == count]
        return known[0] if known else [f"{component}_{i}" for i in range(count)]

    def options_of(self, component: str) -> dict[str, Any]:
        """Further arguments of its forward: what a classifier sees is wanted, too, and the levels of what draws in stages."""
        if self.family is not None and component == self.family.draws and self.family.draws_in_stages:
            return {"return_stages": True}
        return {"return_features": True} if component == "classifier" else {}

    @cached_property
    def batches(self) -> list[dict[str, torch.Tensor]]:
        """By name, inputs as networks meet them: of all classes, latents from the model's law, images that it drew from them."""
        return [self._batch(size, seed) for seed, size in enumerate(BATCH_SIZES)]

    @torch.no_grad()
    def _batch(self, size: int, seed: int) -> dict[str, torch.Tensor]:
        spread = torch.linspace(0, 1, size)[:, None, None, None]
        noise = torch.randn(size, *self.image_shape, generator=torch.Generator().manual_seed(seed))
        if self.family is None:
            return {"pixel_values": (spread * noise).clamp(-1, 1)}
        labels = (torch.arange(size) + seed) % max(1, self.num_rows)
        classes = (labels,) if self.num_rows else ()
        latents = self.from_normal(draw_latents(size, self.model.latent_dim, seed=seed))
        found = {"latents": latents, "class_labels": labels}
        if self.num_rows:
            weights = torch.eye(self.num_rows)[labels]
            found["class_weights"] = 0.75 * weights + 0.25 * weights.roll(1, 1)
        draw = self.networks[self.family.draws]
        if self.steps:
            # The first step, one in the middle, the last one.
            rows = torch.tensor(self.steps)
            at = [0, len(rows) // 2, len(rows) - 1][seed % 3]
            for row in rows[:at]:
                found["latents"] = draw(found["latents"], row, *classes)[0]
            return {**found, "step": rows[at]}
        # Beyond what it drew: the nearest to what a network sees of real images, which differ more.
        return {**found, "pixel_values": (draw(latents, *classes) + 0.3 * spread * noise).clamp(-1, 1)}

    def from_normal(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents from N(0, I) as the model draws from them, in float32 on the CPU."""
        weights = next(self.model.components[self.family.draws].parameters())  # type: ignore[union-attr]
        return self.model.from_normal(latents.to(weights)).float().cpu()
