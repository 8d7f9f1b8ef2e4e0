"""Print what `--hub_strategy every_save` costs training: `python tests/benchmarks/upload_overhead.py`.

Runs train/cgan.py with and without it in turns, against a Hub on this machine that answers each request 200 ms late, and compares
steps a second between the first checkpoint and the end. Four to five minutes, alone on the machine.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from conftest import start_hub
from helpers import Hub, run_python

ROUNDS, STEPS, SAVE_STEPS = 3, 600, 200
DELAY = {"match": ".", "action": "delay", "seconds": 0.2}


def steps_per_second(hub: Hub, strategy: str, round_: int) -> float:
    """The rate of one run from its first checkpoint on."""
    with tempfile.TemporaryDirectory() as home:
        done = run_python(
            "train/cgan.py",
            *("--dataset_name", "zoo:mnist-sample", "--report_to", "none", "--output_dir", f"{home}/run"),
            *("--monitor_steps", "0", "--validation_steps", "0", "--sample_steps", str(STEPS)),
            *("--max_train_steps", str(STEPS), "--checkpointing_steps", str(SAVE_STEPS)),
            *("--push_to_hub", "--hub_model_id", f"alice/{strategy.replace('_', '-')}-{round_}"),
            *("--hub_strategy", strategy),
            env=hub.env(Path(home)),
        )
        assert done.returncode == 0, done.stderr
        rows = map(json.loads, (Path(home) / "run/metrics.jsonl").read_text().splitlines())
        rates = [row["images_per_second"] for row in rows if row["step"] > SAVE_STEPS]
    return 1 / statistics.mean(1 / rate for rate in rates) / 64


def main() -> None:
    with contextlib.contextmanager(start_hub)() as hub:
        hub.set_faults(DELAY)
        ratios = []
        for round_ in range(ROUNDS):
            without, with_ = (steps_per_second(hub, strategy, round_) for strategy in ("end", "every_save"))
            ratios.append(with_ / without)
            print(f"steps/s: {without:.2f} without, {with_:.2f} with uploads, ratio {ratios[-1]:.3f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.3f}, a checkpoint every {SAVE_STEPS} steps")


if __name__ == "__main__":
    main()
