"""What train_throughput.py measures, each in a process of its own that rests until it is asked."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import re
import runpy
import statistics
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from genmodels import CGANDiscriminator, CGANGenerator, DCGANDiscriminator, DCGANGenerator, losses
from genmodels.data import ImageStream, load_images
from genmodels.errors import UserError
from genmodels.training import TrainingRun
from genmodels.training.scripts import load_script

SCRIPTS = Path(__file__).parents[2] / "train"
BATCH = 64
# Steps in front of each timed series.
WARMUP = 3
# What a run does besides training, how, and every how many steps by default; off in timed steps.
CHECKS = {
    "monitor": (lambda run: run.loop._look(), 250),
    "validation": (lambda run: run.loop._validate(), 1000),
    "sample grid": (lambda run: run.watching.save_samples(run.step), 500),
    "checkpoint": (lambda run: run.loop.save(), 1000),
}
NEVER = "1000000"
OFF = ["--monitor_steps", "0", "--validation_steps", "0", "--sample_steps", NEVER, "--checkpointing_steps", NEVER]


class Child:
    """A process that does some work on request, for as long as it is entered.

    Args:
        work: called with `name`, `dataset` and a connection, on which it sends what it has to say of itself, and then an
            answer to each (command, steps).
    """

    def __init__(self, work: Callable[[str, str, Connection], None], name: str, dataset: str):
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_run_child, args=(work, name, dataset, other))
        self._process.start()
        other.close()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exception) -> None:
        # Without its connection a child ends, after what it is doing.
        self._connection.close()
        self._process.join()

    def answer(self) -> dict | float:
        """The next answer; SystemExit with the child's own words if it failed."""
        try:
            answer = self._connection.recv()
        except EOFError:
            raise SystemExit("A process of the benchmark was killed.") from None
        if isinstance(answer, str):
            raise SystemExit(answer)
        return answer

    def ask(self, command: str, steps: int = 0) -> dict | float:
        """The answer to a command."""
        self._connection.send((command, steps))
        return self.answer()


def _run_child(work: Callable[[str, str, Connection], None], name: str, dataset: str, connection: Connection) -> None:
    # Progress bars and losses are printed, as they would be, but not shown.
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    # Processes that this one starts begin as they would in a script, not as this one has.
    multiprocessing.set_start_method(None, force=True)
    try:
        work(name, dataset, connection)
    except (EOFError, BrokenPipeError):
        pass
    except UserError as error:
        connection.send(f"train_throughput.py: error: {error}")
    except SystemExit as error:
        connection.send(str(error))
    except Exception:
        connection.send(traceback.format_exc())


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_memory() -> float:
    """MiB that this process has held at most, on Linux. Not getrusage's number, which begins at that of the parent."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


class FlopCounter(TorchDispatchMode):
    """Adds up the FLOPs of what runs while it is entered; unlike torch's own it allows for gradients of gradients."""

    flops = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            self.flops += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out


class Feed:
    """Takes the place of a stream's `forever` and hands out batches from a source that changes on demand.

    Attributes:
        epoch_steps: batches in an epoch.
    """

    def __init__(self, data: ImageStream):
        self._data, self._stream, self._batches = data, data.forever, iter(())
        # The whole first epoch, after which the stream is in memory.
        self.epoch_steps = sum(1 for _ in itertools.takewhile(lambda _: not data.state_dict()["epoch"], self._epoch(0)))
        self._ready = list(itertools.islice(self._epoch(1), 16))
        self.open("tensor")

    def _epoch(self, number: int) -> Iterator[dict[str, torch.Tensor]]:
        self._data.load_state_dict({"epoch": number, "batch": 0})
        return self._stream()

    def open(self, source: str) -> None:
        """Go on with "first epoch", "cached" or "tensor"."""
        # The old source goes first, and its worker with it.
        self._batches = iter(())
        if source == "tensor":
            self._batches = ({name: t.detach() for name, t in batch.items()} for batch in itertools.cycle(self._ready))
        else:
            self._batches = self._epoch({"first epoch": 0, "cached": 1}[source])

    def forever(self) -> Iterator[dict[str, torch.Tensor]]:
        """Batches without end."""
        while True:
            yield next(self._batches)


def train_script(name: str, dataset: str, connection: Connection, flags: tuple[str, ...] = ()) -> None:
    """Run a training script whose steps are taken when, and on the batches that, the parent process asks for."""
    steps = TrainingRun.steps
    TrainingRun.steps = lambda run: _answer(run, steps(run), connection)
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = [
            str(SCRIPTS / f"{name}.py"),
            "--dataset_name",
            dataset,
            "--output_dir",
            f"{folder}/run",
            *OFF,
            *flags,
        ]
        runpy.run_path(sys.argv[0], run_name="__main__")


def _answer(run: TrainingRun, batches: Iterator[dict[str, torch.Tensor]], connection: Connection):
    feed = Feed(run.data)
    run.data.forever = feed.forever
    yield from itertools.islice(batches, WARMUP)
    batch = next(batches)
    with FlopCounter() as counter:
        yield batch
    facts = {
        "threads": torch.get_num_threads(),
        "precision": {"no": "fp32"}.get(run.accelerator.mixed_precision, run.accelerator.mixed_precision),
        "epoch_steps": feed.epoch_steps,
        "flops": counter.flops,
        "weights": _count_weights(*run.networks.models.values()),
    }
    connection.send(facts)
    while True:
        command, steps = connection.recv()
        if command == "memory":
            connection.send(peak_memory())
        elif command == "checks":
            connection.send((yield from _time_checks(run, batches)))
        else:
            times = [time.perf_counter()]
            feed.open(command)
            # A step is timed from its batch to the next one, so it takes one batch more than steps.
            for batch in itertools.islice(batches, WARMUP + steps + 1):
                times.append(time.perf_counter())
                yield batch
            feed.open("tensor")
            connection.send({"rate": steps * BATCH / (times[-1] - times[1 + WARMUP]), "wait": times[1] - times[0]})


def _time_checks(run: TrainingRun, batches: Iterator[dict[str, torch.Tensor]]):
    """Seconds of each check: the first time, and the median of three later times."""
    seconds = {}
    for check in CHECKS:
        calls = []
        for batch in itertools.islice(batches, 4):
            start = time.perf_counter()
            CHECKS[check][0](run)
            calls.append(time.perf_counter() - start)
            yield batch
        seconds[check] = (calls[0], statistics.median(calls[1:]))
    return seconds


def _count_weights(*networks: torch.nn.Module) -> int:
    return sum(parameter.numel() for network in networks for parameter in network.parameters())


def train_plain(name: str, dataset: str, connection: Connection) -> None:
    """Take steps of a loop as tutorials write it: the networks, objective and rates of a script's default recipe.

    Asked for "autocast" it has one line more, which lets the networks compute in bf16.
    """
    torch.set_num_threads(cores())
    args = load_script(name).Config.parse([])
    data = load_images(dataset, classes=args.classes)
    batches = list(itertools.islice(data.once(), 2048 // BATCH))
    images, labels = (torch.cat([batch[key] for batch in batches]) for key in ("pixel_values", "class_labels"))
    del batches
    shape = {"sample_size": data.sample_size, "num_channels": data.num_channels}
    if name == "dcgan":
        generator = DCGANGenerator(latent_dim=args.latent_dim, base_channels=args.base_channels, **shape)
        discriminator = DCGANDiscriminator(base_channels=args.base_channels, norm="none", **shape)
    else:
        shape["num_classes"] = data.num_classes
        generator = CGANGenerator(latent_dim=args.latent_dim, base_channels=args.base_channels, **shape)
        discriminator = CGANDiscriminator(base_channels=args.discriminator_channels, norm="none", **shape)
    betas = (args.adam_beta1, args.adam_beta2)
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=args.learning_rate, betas=betas)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=args.learning_rate, betas=betas)

    def step(bf16: bool) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            take_step()

    def take_step() -> None:
        index = torch.randint(len(images), (BATCH,))
        real, condition = images[index], [labels[index]] if name == "cgan" else []
        fake = generator(torch.randn(BATCH, args.latent_dim), *condition).detach()
        real.requires_grad_()
        fake.requires_grad_()
        real_scores, fake_scores = discriminator(real, *condition), discriminator(fake, *condition)
        loss_d = losses.relativistic_discriminator_loss(real_scores, fake_scores)
        loss_d = loss_d + args.r1 * losses.gradient_penalty(real_scores, real)
        loss_d = loss_d + args.r2 * losses.gradient_penalty(fake_scores, fake)
        optimizer_d.zero_grad()
        loss_d.backward()
        optimizer_d.step()

        fake = generator(torch.randn(BATCH, args.latent_dim), *condition)
        real_scores = discriminator(real, *condition).detach()
        loss_g = losses.relativistic_generator_loss(real_scores, discriminator(fake, *condition))
        optimizer_g.zero_grad()
        loss_g.backward()
        optimizer_g.step()
        print(f"loss_d {loss_d.item():.3f} loss_g {loss_g.item():.3f}")

    connection.send({"weights": _count_weights(generator, discriminator)})
    while True:
        command, steps = connection.recv()
        if command == "memory":
            connection.send(peak_memory())
            continue
        for _ in range(WARMUP):
            step(command == "autocast")
        start = time.perf_counter()
        for _ in range(steps):
            step(command == "autocast")
        connection.send({"rate": steps * BATCH / (time.perf_counter() - start)})


def multiply(name: str, dataset: str, connection: Connection) -> None:
    """Time products of square matrices: in each precision the FLOP/s of the best one, and of a second full of them."""
    torch.set_num_threads(cores())
    connection.send({})
    while True:
        connection.recv()
        answer = {}
        for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            best = 0.0
            for size in (512, 2048, 1024):
                a, b = torch.randn(2, size, size, dtype=dtype)
                a @ b
                for _ in range(16384 // size):
                    start = time.perf_counter()
                    a @ b
                    best = max(best, 2 * size**3 / (time.perf_counter() - start))
            count, start = 0, time.perf_counter()
            while time.perf_counter() - start < 1:
                a @ b
                count += 1
            answer[precision] = best
            answer[f"{precision} held"] = 2 * size**3 * count / (time.perf_counter() - start)
        connection.send(answer)
