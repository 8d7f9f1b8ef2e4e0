"""The scripts in train/ by themselves: short, with a header that uv and Hugging Face Jobs read, and one that needs no engine."""

from __future__ import annotations

import ast
import json
import re
import runpy
import sys
import tomllib

import pytest
from helpers import REPO, run_python
from huggingface_hub.cli._uv_script_header import parse_uv_script_header
from PIL import Image
from safetensors.torch import load_file

SCRIPTS = sorted((REPO / "train").glob("*.py"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_short_and_says_what_it_needs(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= (100 if path.stem == "minimal" else 120)
    lines = re.search(r"# /// script\n((?:#.*\n)+?)# ///\n", text)[1].splitlines()
    header = tomllib.loads("\n".join(line[2:] for line in lines))
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert header["requires-python"] == project["requires-python"]
    if path.stem != "minimal":
        assert header["dependencies"] == ["genmodels[train] @ git+https://github.com/genmodels/genmodels"]
    # Raises for a key that Jobs do not know.
    jobs = parse_uv_script_header(text)
    assert jobs.flavor
    assert jobs.timeout


def test_the_smallest_script_needs_no_engine():
    tree = ast.parse((REPO / "train/minimal.py").read_text(encoding="utf-8"))
    modules = {getattr(node, "module", None) or node.names[0].name for node in ast.walk(tree) if "Import" in str(node)}
    assert {name.split(".")[0] for name in modules if name} == {
        *("accelerate", "argparse", "datasets", "itertools", "numpy", "pathlib", "PIL", "safetensors", "torch"),
    }


@pytest.mark.slow
def test_the_smallest_script_trains(two_shards, tmp_path, monkeypatch, capsys):
    flags = ["--max_train_steps", "3", "--train_batch_size", "64", "--output_dir", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", ["train/minimal.py", "--dataset_name", two_shards, *flags])
    runpy.run_path(str(REPO / "train/minimal.py"), run_name="__main__")
    assert "step 3: loss_d" in capsys.readouterr().out
    with Image.open(tmp_path / "run/samples.png") as sheet:
        assert (sheet.size, sheet.mode) == ((256, 256), "L")
        assert sheet.getextrema()[0] < sheet.getextrema()[1]
    weights = load_file(tmp_path / "run/generator.safetensors")
    assert weights["1.weight"].shape == (64, 256, 4, 4)
    monkeypatch.setattr(sys, "argv", ["train/minimal.py", "--dataset_name", two_shards, "--train_batch_size", "99"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(REPO / "train/minimal.py"), run_name="__main__")
    assert "there are 96 images: give a smaller --train_batch_size" in capsys.readouterr().err


@pytest.mark.slow
def test_a_script_runs_from_the_file_alone(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    script = tmp_path / "elsewhere/vae.py"
    script.write_text((REPO / "train/vae.py").read_text(encoding="utf-8"), encoding="utf-8")
    flags = [
        "--dataset_name",
        "zoo:mnist-sample",
        "--base_channels",
        "4",
        "--max_train_steps",
        "1",
        "--report_to",
        "none",
    ]
    done = run_python(str(script), *flags, "--output_dir", str(tmp_path / "run"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "run/model/training.json").read_text())
    assert facts["command"].startswith("accelerate launch elsewhere/vae.py --dataset_name zoo:mnist-sample")
