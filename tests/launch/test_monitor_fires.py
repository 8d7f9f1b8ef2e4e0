"""The monitor on a real run: it speaks of a recipe that is known to collapse, once that has lasted."""

from __future__ import annotations

import json

from test_training_scripts import SAMPLE, train

SMALL = ["--base_channels", "8", "--discriminator_channels", "8", "--lr_scheduler", "constant"]
WATCH = ["--monitor_steps", "100", "--validation_steps", "0", "--sample_steps", "700", "--report_to", "none"]
COLLAPSING = ["--loss", "nonsaturating", "--r1", "0", "--r2", "0", "--learning_rate", "2e-4", "--adam_beta1", "0.5"]


def test_a_collapsing_recipe_is_found_out_and_the_card_says_so(tmp_path):
    recipe = [*COLLAPSING, "--adam_beta2", "0.999", "--max_train_steps", "700"]
    done = train("cgan", *SAMPLE, *SMALL, *WATCH, *recipe, "--output_dir", str(tmp_path))
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stdout.splitlines() if line.startswith("Monitor, step")]
    # What has not held for 500 steps is not spoken of: healthy runs begin so, too.
    assert {line.split(":")[0] for line in said} <= {"Monitor, step 600", "Monitor, step 700"}
    spoken = next(line for line in said if "mode collapse" in line)
    assert "nearly identical since step" in spoken
    assert "try --loss relativistic --r1 0.5 --r2 0.5" in spoken
    assert "mode collapse" in (tmp_path / "model/README.md").read_text()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    diversity = [line["monitor"]["diversity"] for line in lines if "monitor" in line]
    assert len(diversity) == 7
    assert max(diversity[2:]) < 0.3
