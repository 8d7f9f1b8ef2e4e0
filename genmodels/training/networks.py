"""The networks of a run: as they learn, averaged, and as they are saved."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ..pipelines import ImagePipeline
from .optimization import Average, restore_optimizer

States = dict[str, dict[str, torch.Tensor]]


class Networks:
    """Networks and optimizers by their names, on one device, with the averages of their weights.

    Args:
        models, optimizers: of the script.
        make_pipeline: from the networks, as keyword arguments, to what is saved.
        ema_decay: of the averages (EMA) that are saved, of all networks but a discriminator.
        historical: whether the mean of the weights over all steps is kept, too.
        device: where they go.
    """

    def __init__(
        self,
        models: dict[str, nn.Module],
        optimizers: dict[str, torch.optim.Optimizer],
        make_pipeline: Callable[..., ImagePipeline],
        ema_decay: float,
        historical: bool,
        device: torch.device,
    ):
        self.models, self.optimizers, self._make_pipeline = models, optimizers, make_pipeline
        for model in models.values():
            lay_out(model.to(device), torch.channels_last)
        self.averages = {name: Average(models[name], ema_decay) for name in models if name != "discriminator"}
        self.histories = {name: Average(models[name], None) for name in models if historical}

    def average(self) -> None:
        """Take one step with every average."""
        for averages in (self.averages, self.histories):
            for name, average in averages.items():
                average.update(self.models[name])

    def history(self, name: str) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
        """The parameters of a network, and the mean of each over all steps, if `historical`."""
        return list(self.models[name].parameters()), list(self.histories[name].module.parameters())

    def buffers(self) -> list[torch.Tensor]:
        """What a forward pass may change, such as statistics of BatchNorm."""
        return [buffer for model in self.models.values() for buffer in model.buffers()]

    def broken(self) -> str | None:
        """The name of a network with a weight that is not finite, if there is one."""
        for name, model in self.models.items():
            if not torch.stack([p.detach().sum() for p in model.parameters()]).sum().isfinite():
                return name
        return None

    def pipeline(self, weights: States | None = None) -> ImagePipeline:
        """The pipeline as it would be saved now, in evaluation mode, or of other weights."""
        networks = {}
        for name, source in self._saved().items():
            network = copy.deepcopy(source).eval().requires_grad_(False)
            if weights:
                network.load_state_dict(weights[name])
            networks[name] = lay_out(network, torch.contiguous_format)
        return self._make_pipeline(**networks)

    def saved_states(self) -> States:
        """A copy of the weights as they would be saved now, averaged where there are averages."""
        return {
            name: {key: tensor.cpu().clone() for key, tensor in network.state_dict().items()}
            for name, network in self._saved().items()
        }

    def _saved(self) -> dict[str, nn.Module]:
        return {
            name: self.averages[name].module if name in self.averages else model for name, model in self.models.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """Weights, averages, and the optimizers' moments."""
        return {
            "models": {name: model.state_dict() for name, model in self.models.items()},
            "averages": {name: average.state_dict() for name, average in self.averages.items()},
            "histories": {name: average.state_dict() for name, average in self.histories.items()},
            "optimizers": {name: optimizer.state_dict()["state"] for name, optimizer in self.optimizers.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned; raises RuntimeError, ValueError or KeyError if it is of other networks."""
        for kind, parts in (("models", self.models), ("averages", self.averages), ("histories", self.histories)):
            for name, part in parts.items():
                part.load_state_dict(state[kind][name])
        for name, optimizer in self.optimizers.items():
            restore_optimizer(optimizer, state["optimizers"][name])


def lay_out(network: nn.Module, memory_format: torch.memory_format) -> nn.Module:
    """The network, its weights in another memory layout from now on."""
    # torch's own types leave the argument out.
    return network.to(memory_format=memory_format)  # type: ignore[call-overload]


def versions(optimizer: torch.optim.Optimizer) -> int:
    """A number that grows when an optimizer changes weights or its own state."""
    tensors = [
        value for state in optimizer.state.values() for value in state.values() if isinstance(value, torch.Tensor)
    ]
    return sum(t._version for t in [*tensors, *(p for group in optimizer.param_groups for p in group["params"])])


def half_precision(states: States) -> States:
    """State dicts with every float32 tensor rounded to what float16 can hold, its largest number at most."""
    limit = torch.finfo(torch.float16).max
    return {
        name: {
            key: tensor.clamp(-limit, limit).half().float() if tensor.dtype == torch.float32 else tensor
            for key, tensor in state.items()
        }
        for name, state in states.items()
    }


def beyond_half_precision(states: States) -> dict[str, int]:
    """How many numbers of each network float16 cannot hold, by the networks that have any."""
    limit = torch.finfo(torch.float16).max
    counts = {
        name: sum(int((tensor.abs() > limit).sum()) for tensor in state.values() if tensor.dtype == torch.float32)
        for name, state in states.items()
    }
    return {name: count for name, count in counts.items() if count}
