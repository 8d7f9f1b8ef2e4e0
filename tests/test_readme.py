"""Each command and snippet of the README, as printed and in its order, in a folder as a clone is, against a Hub of the tests."""

from __future__ import annotations

import re
import shlex

import numpy as np
import pytest
from helpers import REPO, run_python
from PIL import Image

TEXT = (REPO / "README.md").read_text(encoding="utf-8")
NOT_RUN = {
    "git clone https://github.com/genmodels/genmodels && cd genmodels": "the clone is here",
    "python -m venv .venv && . .venv/bin/activate": "so is the environment",
    "python -m pip install -r requirements.txt -e . && python app.py": "installed already; tests/browser open the page",
    'python -m pip install -r requirements.txt -e ".[test]" && python -m pytest': "this is the test run",
}
# What is put in place of what is printed: the reader's name on the Hub, and less to compute.
INSTEAD = {"your-name/": "alice/", "max_train_steps=500": "max_train_steps=2"}
SHORT = ["--max_train_steps", "2", "--train_batch_size", "8", "--base_channels", "4", "--dataloader_num_workers", "0"]
# In place of the 60,000 digits of MNIST.
FEW = ["--dataset_name", "alice/digits"]


def pieces() -> list[tuple[str, str]]:
    """Every line of shell, and every piece of Python, with its language."""
    found = []
    blocks = re.finditer(
        r"^```(sh|python)\n(.*?)^```|`(genmodels\.training\.train\(.*?\))`", TEXT, re.DOTALL | re.MULTILINE
    )
    for language, code, call in (block.groups() for block in blocks):
        if language == "sh":
            found += [("sh", line.split("  #")[0].strip()) for line in code.splitlines() if line.strip()]
        else:
            found.append(("python", code or f"import genmodels.training\n{call}"))
    return found


def test_everything_runs_as_printed(hub, digits_on_hub, tmp_path):
    for name in ("train", "genmodels", "app.py"):
        (tmp_path / name).symlink_to(REPO / name)
    notebook = tmp_path / "notebook"
    for folder in (notebook, tmp_path / "photos"):
        folder.mkdir()
    for k in range(12):
        pixels = np.random.default_rng(k).integers(0, 256, (80, 90, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{k}.png")
    env, ran = hub.env(tmp_path / "home"), []
    for language, piece in pieces():
        if piece in NOT_RUN:
            continue
        code = piece
        for printed, used in INSTEAD.items():
            code = code.replace(printed, used)
        if language == "python":
            command = ["-c", code]
        else:
            program, *words = shlex.split(code)
            if program == "accelerate":
                # Without the launcher, which tests/launch start.
                command = [*words[1:], *([] if "--dataset_name" in words else FEW), *SHORT]
            else:
                assert program == "python", f"{piece!r} is neither run nor said to be left out"
                command = words
        done = run_python(*command, env=env, cwd=notebook if language == "python" else tmp_path)
        assert done.returncode == 0, f"{piece}: {done.stderr}"
        ran.append(command)
    assert len(ran) == len(pieces()) - len(NOT_RUN) >= 10
    assert (notebook / "two.png").is_file()
    assert (tmp_path / "year.png").is_file()


@pytest.mark.parametrize("piece", NOT_RUN)
def test_what_is_left_out_is_there(piece):
    assert ("sh", piece) in pieces()
