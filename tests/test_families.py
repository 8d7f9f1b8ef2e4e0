"""A family is one row: what the suite knows of a new one follows from it, and a model of none harms nobody."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import REPO, TIMEOUT

import genmodels
from genmodels import zoo
from genmodels.__main__ import main
from genmodels.families import BY_PIPELINE, FAMILIES, HOMES

NETWORK = '''
import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from .modeling import Network


class ToyGenerator(Network, ModelMixin):
    """One layer."""

    @register_to_config
    def __init__(self, sample_size: int = 28, num_channels: int = 1, latent_dim: int = 4):
        super().__init__()
        self.layer = nn.Linear(latent_dim, num_channels * sample_size**2)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        size = self.config.sample_size
        return self.layer(latents).tanh().view(len(latents), self.config.num_channels, size, size)
'''
PIPELINE = '''
from ..models.toy import ToyGenerator
from .gan import UnconditionalGANPipeline


class ToyPipeline(UnconditionalGANPipeline):
    """Draws."""

    _optional_components = []

    def __init__(self, generator: ToyGenerator):
        super().__init__()
        self.register_modules(generator=generator)
'''
SCRIPT = '''
"""Train a toy."""

from dataclasses import dataclass
from pathlib import Path

import torch

from genmodels import ToyGenerator, ToyPipeline
from genmodels.training import TrainingRun, main, publish_run
from genmodels.training.config import TrainingConfig


@dataclass(kw_only=True)
class Config(TrainingConfig):
    output_dir: str = "runs/toy"


def train(run: TrainingRun[Config]) -> Path:
    generator = ToyGenerator(**run.shape())
    optimizer = torch.optim.SGD(generator.parameters(), lr=0.1)
    generator = run.prepare(
        models={"generator": generator}, optimizers={"generator": optimizer}, make_pipeline=ToyPipeline
    )
    generator = generator[0] if isinstance(generator, list | tuple) else generator

    def loss(batch):
        mean = generator(torch.randn(len(batch["pixel_values"]), 4)).mean()
        return mean.square(), {"loss": mean.square()}

    for batch in run.steps():
        run.update(optimizer, loss, batch)
    return publish_run(run, title="A toy")


if __name__ == "__main__":
    main(Config, train)
'''
ROW = """    Family(
        pipeline="toy.ToyPipeline",
        networks={"generator": "toy.ToyGenerator"},
        description="A layer that draws images from noise.",
        tags=("toy",),
        truncates=True,
        breeds=True,
    ),
)
BY_PIPELINE ="""
USE = """
import json, shutil, sys
from pathlib import Path
import genmodels
from genmodels import load_pipeline, zoo
from genmodels.__main__ import main
from genmodels.evaluation.evaluate import evaluate
from genmodels.hub.cards import write_card
from genmodels.hub.push import push_model
from genmodels.ui.models import ModelStore
from genmodels.ui import samples

assert "ToyPipeline" in genmodels.__all__ and "ToyGenerator" in genmodels.__all__
run = ["--dataset_name", "zoo:mnist-sample", "--max_train_steps", "2", "--train_batch_size", "8", "--output_dir", "run"]
assert main(["train", "toy", *run, "--monitor_steps", "0", "--validation_steps", "0", "--report_to", "none"]) == 0
folder = zoo.ROOT / "toy-mnist"
shutil.copytree("run/model", folder)
write_card(folder)
assert "A layer that draws images from noise." in (folder / "README.md").read_text()
assert main(["list"]) == 0
measured = evaluate(load_pipeline("toy-mnist"), "zoo:mnist-sample", max_train_samples=60, c2st=False)
assert {"fid", "recall"} <= {metric.metric for metric in measured.metrics}
assert main(["export", "toy-mnist", "--output", "toy-onnx"]) == 0
assert json.loads(Path("toy-onnx/export.json").read_text())["networks"]["generator"]["weights"] in ("float16", "float32")
push_model(folder, "alice/toy")
assert type(load_pipeline("alice/toy")).__name__ == "ToyPipeline"
store = ModelStore(str(folder), tabs=("samples",))
store.load()
assert samples.sheet_answer(store, store.gallery[0], 0, 16, {"psi": 0.5})["sheet"]
"""


def test_a_new_family_is_two_files_a_script_and_a_row(hub, tmp_path):
    package, ignored = tmp_path / "genmodels", shutil.ignore_patterns("__pycache__")
    shutil.copytree(
        REPO / "genmodels", package, ignore=lambda home, names: ignored(home, names) | unwanted(home, names)
    )
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "toy.py").write_text(SCRIPT)
    (package / "models" / "toy.py").write_text(NETWORK)
    (package / "pipelines" / "toy.py").write_text(PIPELINE)
    families = package / "families.py"
    families.write_text(families.read_text().replace(")\nBY_PIPELINE =", ROW, 1))
    env = {**hub.env(tmp_path / "home"), "PYTHONPATH": str(tmp_path)}
    options = {"env": env, "cwd": tmp_path, "capture_output": True, "text": True, "timeout": TIMEOUT}
    done = subprocess.run([sys.executable, "-c", USE], stdin=subprocess.DEVNULL, **options)
    assert done.returncode == 0, done.stderr
    assert any(line.startswith("toy-mnist") and "Toy " in line for line in done.stdout.splitlines())


def unwanted(home: str, names: list[str]) -> set[str]:
    """Of the zoo what the test does without."""
    if Path(home) != zoo.ROOT:
        return set()
    return {name for name in names if (zoo.ROOT / name).is_dir() and name not in ("evaluator-mnist", "samples")}


def test_each_name_has_its_home():
    assert len(BY_PIPELINE) == len(FAMILIES)
    for name, home in HOMES.items():
        assert (REPO / "genmodels" / f"{home.replace('.', os.sep)}.py").is_file()
        assert name in genmodels.__all__


def test_type_checkers_see_each_name_where_it_lies():
    seen = re.findall(r"from \.(\S+) import (\w+) as \2\n", (REPO / "genmodels/__init__.pyi").read_text())
    assert {name: home for home, name in seen} == {"load_pipeline": "pipelines", **HOMES}


@pytest.mark.parametrize("index", [{"_class_name": "OtherPipeline", "network": ["other", "Net"]}, {}, [1], None])
def test_models_of_no_family_are_listed_too(capsys, monkeypatch, tmp_path, index):
    for name, content in (
        ("other", index),
        ("usual", json.loads((zoo.ROOT / "gan-mnist/model_index.json").read_text())),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model_index.json").write_text("damaged" if content is None else json.dumps(content))
    shutil.copytree(zoo.ROOT / "gan-mnist/generator", tmp_path / "usual/generator")
    monkeypatch.setattr(zoo, "ROOT", tmp_path)
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", "other", "usual"]
    assert "VanillaGAN" in lines[2]
    assert "28x28 grey" in lines[2]
