"""Print how fast DCGAN and CGAN train on this machine's CPU, as a Markdown table.

    python tests/benchmarks/train_throughput.py
    python tests/benchmarks/train_throughput.py --mnist path/to/mnist --cifar10 path/to/cifar10 --rounds 9

The default recipes of train/dcgan.py and train/cgan.py run as they are, in a process of their own, on one feed after
another; a plain loop runs in a second process. They take turns, round after round, so that a machine that slows down slows
them all. Run it alone: beside another program it measures that program.

- first epoch: the script, its images streamed and decoded while it trains, from the first batch on;
- cached: the script in a later epoch, its images in memory;
- tensor: the script, fed with batches that are ready;
- plain: the same networks, objective and batch as tutorials write them: fp32, torch's default layout and Adam, gradients
  into everything, losses printed at each step, images from a tensor in memory;
- autocast: plain with one line more, torch.autocast("cpu", torch.bfloat16): what is left beyond it is ours.

With --mixed_precision no the script computes in fp32 as well, as on a machine without bf16.

Sample grids, monitor, validation and checkpoints are off in timed steps and timed by themselves. FLOPs are those of the
convolutions and matrix products, with 2 for a multiply-add, that one step of the script executes: two draws of fakes, the
discriminator's passes, gradients of the penalties' gradients, and gradients into the weights that are trained. The plain
loop is credited with the same number: it computes further gradients, but nobody needs them. The peak is the best product
of two square matrices in any round; "held" is the median over the rounds of what a second full of such products reaches.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import sys

import torch
from throughput_children import BATCH, CHECKS, WARMUP, Child, cores, multiply, train_plain, train_script

from genmodels.commands.arguments import whole_number

TITLES = {"dcgan": "DCGAN, CIFAR-10 frogs, 32x32", "cgan": "CGAN, MNIST, 28x28"}
# Of the first epoch: so many that the shuffle buffer is refilled as often as it is on average.
FIRST_EPOCH_STEPS = 156


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", default="ylecun/mnist", help="Hub id or folder (default: %(default)s)")
    parser.add_argument("--cifar10", default="uoft-cs/cifar10", help="Hub id or folder (default: %(default)s)")
    parser.add_argument("--rounds", type=whole_number(1, 10**6), default=5, help="(default: %(default)s)")
    parser.add_argument(
        "--steps", type=whole_number(1, 10**6), default=25, help="timed in each series (default: %(default)s)"
    )
    parser.add_argument(
        "--mixed_precision", choices=["no", "bf16"], help="of the script (default: what the machine has)"
    )
    return parser.parse_args()


def measure(name: str, dataset: str, rounds: int, steps: int, *flags: str) -> dict:
    """Everything of one recipe; lists hold one number a round."""
    series: dict[str, list[float]] = {
        "plain": [],
        "autocast": [],
        "tensor": [],
        "cached": [],
        "first epoch": [],
        "wait": [],
    }
    with (
        Child(functools.partial(train_script, flags=flags), name, dataset) as script,
        Child(train_plain, name, dataset) as plain,
        Child(multiply, name, dataset) as products,
    ):
        facts, plain_facts, _ = script.answer(), plain.answer(), products.answer()
        if facts["weights"] != plain_facts["weights"]:
            raise SystemExit("The plain loop's networks are not those of the script any more.")
        epoch = min(FIRST_EPOCH_STEPS, facts["epoch_steps"] - WARMUP - 1)
        peaks = [products.ask("")]
        for i in range(rounds):
            for kind in ("plain", "autocast"):
                series[kind].append(plain.ask(kind, steps)["rate"])
            series["tensor"].append(script.ask("tensor", steps)["rate"])
            series["cached"].append(script.ask("cached", steps)["rate"])
            if i == 0:
                memory = {"ours": script.ask("memory"), "plain": plain.ask("memory")}
            first = script.ask("first epoch", epoch)
            series["first epoch"].append(first["rate"])
            series["wait"].append(first["wait"])
            peaks.append(products.ask(""))
            rates = ", ".join(f"{key} {values[-1]:.0f}" for key, values in series.items() if key != "wait")
            print(f"{name}, round {i + 1} of {rounds}: {rates} images/s", file=sys.stderr)
        checks = script.ask("checks")
        memory["checks"] = script.ask("memory")
    peak = {name: (statistics.median if "held" in name else max)(p[name] for p in peaks) for name in peaks[0]}
    return {**facts, **series, "first_steps": epoch, "memory": memory, "peak": peak, "checks": checks}


def spread(values: list[float], digits: int = 0) -> str:
    """The median, and the smallest and the largest value."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def ratio(above: list[float], below: list[float]) -> str:
    """Of two series, round by round."""
    return spread([a / b for a, b in zip(above, below, strict=True)], digits=2)


def rows_of(result: dict) -> dict[str, str]:
    """A recipe's column of the table."""
    cached, tensor, plain, first = (result[key] for key in ("cached", "tensor", "plain", "first epoch"))
    precision, peak, memory = result["precision"], result["peak"], result["memory"]
    achieved = [rate / BATCH * result["flops"] for rate in cached]
    rows = {
        "first epoch, images/s": f"{spread(first)}, {result['first_steps']} of {result['epoch_steps']} steps",
        "cached, images/s": spread(cached),
        "tensor, images/s": spread(tensor),
        "plain, images/s": spread(plain),
        "plain with autocast, images/s": spread(result["autocast"]),
        "cached / plain (wanted: 1.7)": ratio(cached, plain),
        "cached / plain with autocast": ratio(cached, result["autocast"]),
        "cached / tensor (wanted: 0.95)": ratio(cached, tensor),
        "first epoch / tensor (wanted: 0.85)": ratio(first, tensor),
        "time to the first batch, s": spread(result["wait"], digits=1),
        "GFLOP a step": f"{result['flops'] / 1e9:.1f}",
        "cached, TFLOP/s": spread([rate / 1e12 for rate in achieved], digits=3),
        "peak, TFLOP/s": ", ".join(f"{name} {value / 1e12:.3f}" for name, value in peak.items()),
        f"cached / {precision} peak (wanted: 50%)": spread([100 * rate / peak[precision] for rate in achieved]) + "%",
        f"cached / {precision} peak held for a second": spread(
            [100 * rate / peak[f"{precision} held"] for rate in achieved]
        )
        + "%",
        "peak memory, MiB": f"ours {memory['ours']:.0f} ({memory['checks']:.0f} with monitor and validation), "
        f"plain {memory['plain']:.0f}",
    }
    for check, (once, again) in result["checks"].items():
        _, every = CHECKS[check]
        training = every * BATCH / statistics.median(cached)
        wanted = " (wanted: 2%)" if check == "monitor" else ""
        rows[f"{check}, share of {every:,} steps{wanted}"] = (
            f"{100 * again / training:.1f}% ({again:.2f} s; the first one {once:.1f} s)"
        )
    return rows


def machine() -> str:
    """The machine's class in a few words."""
    bf16 = "-bf16" if torch.cpu._is_avx512_bf16_supported() else ""
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{cores()} cores, {capability}{bf16}, torch {torch.__version__}"


def main() -> None:
    args = parse_args()
    # Plain loop and matrix products know only the CPU.
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    flags = ["--mixed_precision", args.mixed_precision] if args.mixed_precision else []
    results = {
        name: measure(name, dataset, args.rounds, args.steps, *flags)
        for name, dataset in {"dcgan": args.cifar10, "cgan": args.mnist}.items()
    }
    threads, precision = ({result[key] for result in results.values()}.pop() for key in ("threads", "precision"))
    print(f"{machine()}; {threads} threads, {precision}. Median (least to most) of {args.rounds} rounds.")
    print("The first epoch is timed from its first batch on; what comes before has a row of its own.\n")
    columns = [rows_of(result) for result in results.values()]
    print("|  |", " | ".join(TITLES[name] for name in results), "|")
    print("| --- |", " | ".join("---" for _ in results), "|")
    for row in columns[0]:
        print(f"| {row} |", " | ".join(column[row] for column in columns), "|")


if __name__ == "__main__":
    main()
