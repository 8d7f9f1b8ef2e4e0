"""What happens to weights beside the algorithm: gradients of several processes, averages, schedules, precision."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.optimization import get_scheduler
from torch import nn


def average_gradients(accelerator: Accelerator, parameters: list[nn.Parameter]) -> None:
    """Replace each gradient by its mean over all processes, in one collective call.

    After the whole backward pass and not inside it, as DistributedDataParallel does: so a penalty on gradients, two passes
    through one network, or a pass through a network that is not being trained need no care, and every process ends with
    the same bits. The networks are small beside what overlapping the two would save.
    """
    if accelerator.num_processes == 1:
        return
    gradients = []
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        gradients.append(parameter.grad)
    mean = accelerator.reduce(torch.cat([gradient.flatten() for gradient in gradients]), "mean")
    for gradient, part in zip(gradients, mean.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def seed_all(words: str, device: torch.device) -> None:
    """Let torch's random numbers on the CPU and on this device follow from `words`."""
    seed = int.from_bytes(hashlib.sha256(words.encode()).digest()[:4], "big")
    # torch.manual_seed asks after every kind of device: a third of a millisecond.
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def split_batch(batch: dict[str, torch.Tensor], parts: int) -> Iterator[dict[str, torch.Tensor]]:
    """`parts` equal slices of a batch."""
    chunks = {name: tensor.chunk(parts) for name, tensor in batch.items()}
    for i in range(parts):
        yield {name: chunk[i] for name, chunk in chunks.items()}


class Average:
    """An exponential moving average (EMA) of weights and BatchNorm statistics, warmed up as (1 + n) / (10 + n).

    Unlike torch's AveragedModel it never reads a number back from the device, for which a GPU would wait.

    Args:
        model: the network.
        decay: how much of the average stays in each step; None for the plain mean over all steps.

    Attributes:
        module: a copy of the network with the averages in it.
    """

    def __init__(self, model: nn.Module, decay: float | None):
        self.module = copy.deepcopy(model).requires_grad_(False)
        self._decay, self._count = decay, 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take one step towards the weights of `model`; the first one copies them."""
        if self._decay is None:
            decay = self._count / (self._count + 1)
        else:
            decay = min(self._decay, (1 + self._count) / (10 + self._count)) if self._count else 0.0
        self._count += 1
        averages, currents = [], []
        for average, current in zip(self.module.state_dict().values(), model.state_dict().values(), strict=True):
            if average.is_floating_point():
                averages.append(average)
                currents.append(current)
            else:
                average.copy_(current)
        torch._foreach_lerp_(averages, currents, 1 - decay)

    def state_dict(self) -> dict[str, Any]:
        """The averages and how many steps are in them."""
        return {"module": self.module.state_dict(), "count": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.module.load_state_dict(state["module"])
        self._count = state["count"]


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load the moments in `state`; rates and betas stay those of the flags, which may have changed on purpose."""
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    # Files hold plain layouts, and a fused step reads weights and moments side by side in memory.
    for parameter, moments in optimizer.state.items():
        for name, moment in moments.items():
            if isinstance(moment, torch.Tensor) and moment.shape == parameter.shape:
                moments[name] = torch.empty_like(parameter).copy_(moment)


def make_scheduler(
    name: str, optimizer: torch.optim.Optimizer, warmup_steps: int, total_steps: int, steps_taken: int = 0
) -> torch.optim.lr_scheduler.LRScheduler:
    """diffusers' schedule of that name, or one of two others.

    "trapezoid" is constant for the first half, then a line to 0; "exponential" is divided by the same factor every step, down
    to a tenth.

    The rate depends on the number of steps alone, so a resumed run needs no state of it but `steps_taken`.
    """
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    last_epoch = steps_taken - 1

    def warmed_up(step: int) -> float:
        return min(1.0, (step + 1) / (warmup_steps + 1))

    own: dict[str, Callable[[int], float]] = {
        "trapezoid": lambda step: min(warmed_up(step), 2 * (1 - step / total_steps)),
        "exponential": lambda step: warmed_up(step) * 0.1 ** (step / total_steps),
    }
    if name in own:
        return torch.optim.lr_scheduler.LambdaLR(optimizer, own[name], last_epoch=last_epoch)
    name = "constant_with_warmup" if name == "constant" else name
    return get_scheduler(
        name, optimizer, num_warmup_steps=warmup_steps, num_training_steps=total_steps, last_epoch=last_epoch
    )


def choose_mixed_precision(wanted: str) -> str:
    """The precision for "auto": bf16 where the hardware has it, else none."""
    if wanted != "auto":
        return wanted
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "no"
