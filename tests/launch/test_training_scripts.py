"""The real `accelerate launch` on every training script, with tiny networks and few steps."""

import json
import subprocess

import datasets
import numpy as np
import pytest
import torch
from helpers import run_python

from genmodels import load_pipeline
from genmodels.data import load_images
from genmodels.features.classifier import Classifier

TINY = ["--train_batch_size", "16", "--base_channels", "4", "--sample_steps", "4", "--logging_steps", "2"]
# Measuring images takes longer than all else of a tiny run, and TensorBoard and a worker take seconds to start.
TINY += ["--validation_steps", "0", "--report_to", "none", "--dataloader_num_workers", "0"]
SAMPLE = ["--dataset_name", "zoo:mnist-sample"]
DENSE = ["--generator_dims", "16", "16", "--discriminator_dims", "16"]
STABILISED = ["--loss", "nonsaturating", "--label_smoothing", "0.1", "--label_flips", "0.1", "--instance_noise", "0.5"]
STABILISED += ["--dropout", "0.2", "--spectral_norm", "--minibatch_stddev", "--minibatch_discrimination", "4"]
STABILISED += ["--feature_matching", "--historical_averaging", "--discriminator_learning_rate", "4e-3"]
STABILISED += ["--upsampling", "nearest", "--residual_layers", "2"]
UNET = ["--block_out_channels", "8", "--patch_size", "4", "--watch_inference_steps", "2"]

ACCELERATE = ["accelerate.commands.launch", "--quiet", "--cpu", "--num_processes", "1"]


def launch(script: str, *arguments: str, launcher=ACCELERATE) -> subprocess.CompletedProcess:
    """Run a script as a user would."""
    return run_python("-m", *launcher, f"train/{script}.py", *arguments)


def train(script: str, *arguments: str, env=None) -> subprocess.CompletedProcess:
    """Run a script without the launcher, which is sooner done."""
    return run_python(f"train/{script}.py", *arguments, env=env)


def tiny(script: str) -> list[str]:
    """`TINY`, in terms of the script's own networks."""
    networks = {"gan": DENSE, "diffusion": UNET}
    return [*TINY[:2], *networks.get(script, TINY[2:4]), *TINY[4:]]


def log_of(folder) -> list[dict]:
    """The lines of a run's metrics.jsonl."""
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def without_rate(lines: list[dict]) -> list[dict]:
    """Log lines without what depends on the machine's load."""
    return [{name: value for name, value in line.items() if name != "images_per_second"} for line in lines]


RUNS = [
    ("autoencoder", [], "AutoencoderPipeline", 1),
    ("autoencoder", ["--noise", "0.5", "--latent_dim", "5"], "AutoencoderPipeline", 1),
    ("vae", [], "VAEPipeline", 1),
    ("vae", ["--likelihood", "gaussian", "--beta", "4", "--latent_dim", "5"], "VAEPipeline", 1),
    ("vae", ["--conditional", "--validation_steps", "4"], "VAEPipeline", 1),
    ("gan", [], "VanillaGANPipeline", 1),
    ("gan", ["--preset", "classic", "--label_flips", "0.1"], "VanillaGANPipeline", 1),
    ("dcgan", ["--classes", "3"], "DCGANPipeline", 1),
    ("dcgan", ["--classes", "3", "--preset", "paper"], "DCGANPipeline", 1),
    ("dcgan", ["--classes", "3", *STABILISED], "DCGANPipeline", 1),
    ("wgan", [], "WGANPipeline", 5),
    ("wgan", ["--gradient_penalty", "--critic_steps", "3", "--critic_channels", "8"], "WGANPipeline", 3),
    ("lapgan", ["--conditional", "--loss", "nonsaturating"], "LAPGANPipeline", 1),
    ("cgan", ["--validation_steps", "4", "--report_to", "tensorboard"], "CGANPipeline", 1),
    ("cgan", ["--preset", "wgan-gp", "--auxiliary_classifier"], "CGANPipeline", 3),
    ("diffusion", [], "PixelDiffusionPipeline", 1),
]


@pytest.mark.parametrize(("script", "arguments", "kind", "batches"), RUNS)
def test_a_run_ends_with_a_pipeline_that_loads(tmp_path, script, arguments, kind, batches):
    flags = [*SAMPLE, *tiny(script), "--max_train_steps", "4", "--output_dir", str(tmp_path / "run"), *arguments]
    # One of them as a user would start it, since the launcher does not care which; the others are about what is trained.
    done = (launch if arguments is RUNS[0][1] else train)(script, *flags)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "run"
    pipeline = load_pipeline(run / "model")
    assert type(pipeline).__name__ == kind
    assert pipeline(2, seed=0).images[0].size == (28, 28)
    if "--critic_channels" in arguments:
        assert (pipeline.discriminator.config.base_channels, pipeline.generator.config.base_channels) == (8, 4)
    assert [line["step"] for line in log_of(run) if "images_per_second" in line] == [1, 2, 4]
    assert (run / "samples" / "step-000004.png").is_file()
    card = (run / "model" / "README.md").read_text()
    assert f"{kind}.from_pretrained" in card
    assert str(tmp_path) not in card
    training = json.loads((run / "model" / "training.json").read_text())
    assert (training["steps"], training["seed"], training["images_seen"]) == (4, 0, 64 * batches)
    assert any((run / "logs").glob("*")) == ("tensorboard" in arguments)


@pytest.fixture(scope="module")
def patches(tmp_path_factory) -> str:
    """A dataset folder of 64 + 16 dark images, of which some have a bright patch on the left and say so."""
    root = tmp_path_factory.mktemp("patches")
    features = datasets.Features(image=datasets.Image(), left=datasets.Value("bool"), even=datasets.Value("bool"))
    for split, count in (("train", 64), ("test", 16)):
        images = np.random.default_rng(0).integers(0, 50, (count, 28, 28), np.uint8)
        images[::3, :, :14] += 150
        rows = {"left": [i % 3 == 0 for i in range(count)], "even": [i % 2 == 0 for i in range(count)]}
        rows = datasets.Dataset.from_dict({"image": list(images), **rows}, features=features)
        rows.to_parquet(root / f"{split}.parquet")
    return str(root)


def test_a_vae_learns_attributes_and_an_evaluator_tells_them(patches, tmp_path):
    data = ["--dataset_name", patches, "--train_batch_size", "16", "--base_channels", "4", "--max_train_steps", "8"]
    done = train("vae", *data, "--attributes", "left", "--latent_dim", "5", "--output_dir", str(tmp_path / "vae"))
    assert done.returncode == 0, done.stderr
    pipe = load_pipeline(tmp_path / "vae" / "model")
    images = torch.cat([batch["pixel_values"] for batch in load_images(patches, num_workers=0).once()])
    latents, has = pipe.encode(images).mean, torch.arange(64) % 3 == 0
    expected = latents[has].mean(0) - latents[~has].mean(0)
    assert pipe.attribute_names == ["left"]
    # Saved in half precision.
    torch.testing.assert_close(pipe.attributes.directions[0], expected, atol=1e-3, rtol=1e-2)

    flags = [
        "--attributes",
        "all",
        "--early_pooling",
        "--lr_warmup_steps",
        "2",
        "--output_dir",
        str(tmp_path / "judge"),
    ]
    done = train("evaluator", *data, *flags)
    assert done.returncode == 0, done.stderr
    config = Classifier.from_pretrained(tmp_path / "judge" / "model").config
    assert (config.attribute_names, config.num_classes, config.early_pooling) == (["left", "even"], None, True)
    assert f"Accuracy on test: {config.test_accuracy:.2%}" in done.stdout
    assert "on average over its 2 attributes" in (tmp_path / "judge" / "model" / "README.md").read_text()
    done = train("evaluator", *data, "--attributes", "right", "--output_dir", str(tmp_path / "none"))
    assert "has no attribute 'right': its boolean columns are left, even" in done.stderr


def test_training_from_the_hub_and_pushing_back(hub, digits_on_hub, tmp_path):
    arguments = [
        "--dataset_name",
        digits_on_hub,
        *TINY,
        "--max_train_steps",
        "2",
        "--output_dir",
        str(tmp_path / "run"),
    ]
    env = hub.env(tmp_path / "home")
    done = train("cgan", *arguments, "--push_to_hub", "--hub_model_id", "alice/tiny-cgan", env=env)
    assert done.returncode == 0, done.stderr
    script = "import genmodels; print(genmodels.load_pipeline('alice/tiny-cgan')(3, seed=0).class_labels.tolist())"
    loaded = run_python("-c", script, env=hub.env(tmp_path / "other"))
    assert loaded.stdout.strip() == "[0, 1, 2]", loaded.stderr
    everything = "".join(
        path.read_text(errors="ignore") for path in (tmp_path / "run/model").rglob("*") if path.is_file()
    )
    assert hub.tokens["alice"] not in everything + done.stdout + done.stderr


def test_a_read_only_token_stops_before_training(hub, tmp_path):
    arguments = [*SAMPLE, *TINY, "--max_train_steps", "2", "--output_dir", str(tmp_path / "run"), "--push_to_hub"]
    done = train("vae", *arguments, env=hub.env(tmp_path / "home", user="bob"))
    assert "Your token can only read" in done.stderr
    assert not (tmp_path / "run").exists()


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path):
    done = train("dcgan", *SAMPLE, "--classes", "3", "--dry_run", "--output_dir", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    assert "28x28, 1 channel(s), classes 3" in done.stdout
    assert "--learning_rate" in done.stdout
    assert not (tmp_path / "run").exists()
