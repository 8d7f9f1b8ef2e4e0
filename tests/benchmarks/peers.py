"""Measure genmodels beside what a user would pick instead, in turns on the same machine, as a Markdown table.

    python -m pip install pythae dcgan-pytorch
    python tests/benchmarks/peers.py

Each contender has the same network as the others of its group, and in every round a process of its own with one thread. It
imports its package, loads the network from a folder, draws images as its package has it, and trains on digits in memory.
A package that is not installed is left out. Load time is without the import; memory is the most that the process held.

- VAE: encoder and decoder with one hidden layer of 512, 16 latent numbers, 28x28 pixels, Adam, batches of 64.
- DCGAN: the generator of the paper for 64x64 pixels in colour, 100 latent numbers. dcgan-pytorch trains nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

BATCH, TRAINED, EPOCHS, CALLS = 64, 6400, 3, 20
REPO = Path(__file__).parents[2]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--child", nargs=2, metavar=("CONTENDER", "FOLDER"), help=argparse.SUPPRESS)
    return parser.parse_args()


def digits():
    """(TRAINED, 1, 28, 28) images of the built-in sample, from 0 to 1."""
    import torch

    from genmodels import zoo

    images = torch.from_numpy(zoo.load_sample("zoo:mnist-sample", "train").images).permute(0, 3, 1, 2).float() / 255
    return images.repeat(-(-TRAINED // len(images)), 1, 1, 1)[:TRAINED]


def genmodels_vae(folder: Path, prepare: bool) -> tuple[Callable, Callable, Callable | None]:
    """Returns what loads, what draws a number of images, and what trains in a folder and returns the seconds of an epoch."""
    from genmodels import VAEDecoder, VAEEncoder, VAEPipeline

    shape = {"network": "dense", "hidden_dim": 512, "latent_dim": 16}
    if prepare:
        VAEPipeline(VAEEncoder(**shape), VAEDecoder(**shape)).save_pretrained(folder)

    def load() -> VAEPipeline:
        return VAEPipeline.from_pretrained(folder)

    def train(run: str) -> float:
        arguments = ["--dataset_name", "zoo:mnist-sample", "--network", "dense", "--hidden_dim", "512"]
        arguments += ["--latent_dim", "16", "--train_batch_size", str(BATCH), "--monitor_steps", "0"]
        arguments += ["--validation_steps", "0", "--sample_steps", "1000000", "--report_to", "none"]
        steps = EPOCHS * TRAINED // BATCH
        arguments += ["--checkpointing_steps", "1000000", "--max_train_steps", str(steps), "--output_dir", run]
        done = subprocess.run([sys.executable, "train/vae.py", *arguments], cwd=REPO, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        logged = [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]
        # Of the later epochs, whose images are in memory as those of the others are.
        return TRAINED / statistics.median(line["images_per_second"] for line in logged if line["step"] > steps / 2)

    return load, lambda pipe, count: pipe(num_images=count, output_type="pt").images, train


def pythae_vae(folder: Path, prepare: bool) -> tuple[Callable, Callable, Callable | None]:
    """See `genmodels_vae`."""
    from pythae.models import VAE, AutoModel, VAEConfig
    from pythae.samplers import NormalSampler

    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=16, reconstruction_loss="bce")
    if prepare:
        VAE(config).save(str(folder))

    def load() -> NormalSampler:
        return NormalSampler(AutoModel.load_from_folder(str(folder)).eval())

    def train(run: str) -> float:
        from pythae.trainers import BaseTrainer, BaseTrainerConfig

        seconds = []
        for epochs in (1, 1 + EPOCHS):
            settings = BaseTrainerConfig(
                output_dir=run,
                num_epochs=epochs,
                per_device_train_batch_size=BATCH,
                learning_rate=1e-3,
                optimizer_cls="Adam",
                no_cuda=True,
            )
            trainer = BaseTrainer(VAE(config), dataset_of(digits()), training_config=settings)
            start = time.perf_counter()
            trainer.train()
            seconds.append(time.perf_counter() - start)
        # Without what is done once.
        return (seconds[1] - seconds[0]) / EPOCHS

    return load, lambda sampler, count: sampler.sample(num_samples=count, batch_size=count), train


def dataset_of(images):
    """Images as pythae wants them."""
    import torch
    from pythae.data.datasets import BaseDataset

    return BaseDataset(images, torch.zeros(len(images)))


def plain_vae(folder: Path, prepare: bool) -> tuple[Callable, Callable, Callable | None]:
    """See `genmodels_vae`: as a tutorial writes it."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    def networks() -> nn.ModuleDict:
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 32))
        return nn.ModuleDict(
            {"encoder": encoder, "decoder": nn.Sequential(nn.Linear(16, 512), nn.ReLU(), nn.Linear(512, 784))}
        )

    if prepare:
        folder.mkdir()
        torch.save(networks().state_dict(), folder / "vae.pt")

    def load() -> nn.ModuleDict:
        made = networks()
        made.load_state_dict(torch.load(folder / "vae.pt", weights_only=True))
        return made.eval()

    @torch.no_grad()
    def draw(made: nn.ModuleDict, count: int) -> torch.Tensor:
        return made["decoder"](torch.randn(count, 16)).sigmoid().view(count, 1, 28, 28)

    def train(run: str) -> float:
        made, images = networks(), digits()
        optimizer = torch.optim.Adam(made.parameters(), lr=1e-3)
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images), BATCH, shuffle=True)
        for epoch in range(1 + EPOCHS):
            if epoch == 1:
                start = time.perf_counter()
            for (batch,) in loader:
                mean, log_variance = made["encoder"](batch).chunk(2, dim=1)
                logits = made["decoder"](mean + (log_variance / 2).exp() * torch.randn_like(mean))
                loss = F.binary_cross_entropy_with_logits(logits, batch.flatten(1), reduction="sum")
                loss = loss + 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
                optimizer.zero_grad()
                (loss / len(batch)).backward()
                optimizer.step()
        return (time.perf_counter() - start) / EPOCHS

    return load, draw, train


def genmodels_dcgan(folder: Path, prepare: bool) -> tuple[Callable, Callable, Callable | None]:
    """See `genmodels_vae`."""
    from genmodels import DCGANGenerator, DCGANPipeline

    if prepare:
        DCGANPipeline(DCGANGenerator(sample_size=64)).save_pretrained(folder)
    return (
        lambda: DCGANPipeline.from_pretrained(folder),
        lambda pipe, count: pipe(num_images=count, output_type="pt").images,
        None,
    )


def peer_dcgan(folder: Path, prepare: bool) -> tuple[Callable, Callable, Callable | None]:
    """See `genmodels_vae`."""
    import torch
    from dcgan_pytorch import Generator

    if prepare:
        folder.mkdir()
        torch.save(Generator.from_name("g-cifar").state_dict(), folder / "generator.pt")

    def load() -> Generator:
        made = Generator.from_name("g-cifar")
        made.load_state_dict(torch.load(folder / "generator.pt", weights_only=True))
        return made.eval()

    @torch.no_grad()
    def draw(made: Generator, count: int) -> torch.Tensor:
        return made(torch.randn(count, 100, 1, 1)) / 2 + 0.5

    return load, draw, None


# The contenders by their names in the table, and the package of each.
CONTENDERS = {
    "VAE: genmodels": (genmodels_vae, "genmodels"),
    "VAE: pythae": (pythae_vae, "pythae"),
    "VAE: a plain torch loop": (plain_vae, "torch"),
    "DCGAN: genmodels": (genmodels_dcgan, "genmodels"),
    "DCGAN: dcgan-pytorch": (peer_dcgan, "dcgan_pytorch"),
}
MEASURED = {
    "import_s": "import, s",
    "load_ms": "load, ms",
    "first_ms": "first image, ms",
    "one_ms": "1 image, ms",
    "many_ms": f"{BATCH} images, ms",
    "memory_mib": "memory, MiB",
    "train": "training, images/s",
}


def peak_memory() -> float:
    """MiB that this process has held at most."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024


def measure(name: str, folder: Path) -> dict[str, float]:
    """One contender, once, in this process."""
    make, package = CONTENDERS[name]
    start = time.perf_counter()
    # Names of genmodels resolve when they are asked for: with them comes torch.
    if package == "genmodels":
        from genmodels import DCGANPipeline, VAEPipeline  # noqa: F401
    else:
        __import__({"pythae": "pythae.models"}.get(package, package))
    values = {"import_s": time.perf_counter() - start}
    import torch

    torch.set_num_threads(1)
    load, draw, train = make(folder, not folder.exists())
    start = time.perf_counter()
    loaded = load()
    values["load_ms"] = 1000 * (time.perf_counter() - start)
    start = time.perf_counter()
    draw(loaded, 1)
    values["first_ms"] = 1000 * (time.perf_counter() - start)
    for key, count in (("one_ms", 1), ("many_ms", BATCH)):
        times = []
        for _ in range(3 + CALLS):
            start = time.perf_counter()
            shape = tuple(draw(loaded, count).shape)
            times.append(time.perf_counter() - start)
        assert shape[0] == count
        values[key] = 1000 * statistics.median(times[3:])
    values["memory_mib"] = peak_memory()
    if train:
        with tempfile.TemporaryDirectory() as run:
            values["train"] = TRAINED / train(f"{run}/run")
    return values


def main() -> None:
    args = parse_args()
    if args.child:
        name, folder = args.child
        answer = sys.stdout
        # What packages print is not the answer.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        values = measure(name, Path(folder))
        print(json.dumps(values), file=answer)
        return
    names = [name for name, (_, package) in CONTENDERS.items() if importlib.util.find_spec(package)]
    for name in set(CONTENDERS) - set(names):
        print(f"{name} is left out: it is not installed.", file=sys.stderr)
    found: dict[str, list[dict]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(args.rounds + 1):
            for place, name in enumerate(names):
                folder = Path(scratch) / str(place)
                command = [sys.executable, __file__, "--child", name, str(folder)]
                environment = {**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
                done = subprocess.run(command, capture_output=True, text=True, env=environment)
                if done.returncode:
                    raise SystemExit(f"{name} failed: {done.stderr}")
                # The first round makes the files, and brings them into the system's memory.
                if number:
                    found[name].append(json.loads(done.stdout))
                    print(f"round {number}, {name}: {done.stdout.strip()}", file=sys.stderr)
    print(f"Median of {args.rounds} rounds, one thread.\n")
    print("| |", " | ".join(MEASURED.values()), "|")
    print("| --- |", " | ".join("---" for _ in MEASURED), "|")
    for name, rounds in found.items():
        medians = [statistics.median(v[key] for v in rounds) if key in rounds[0] else None for key in MEASURED]
        cells = ["" if m is None else f"{m:,.0f}" if m >= 100 else f"{m:.3g}" for m in medians]
        print(f"| {name} |", " | ".join(cells), "|")


if __name__ == "__main__":
    sys.path.insert(0, str(REPO))
    main()
