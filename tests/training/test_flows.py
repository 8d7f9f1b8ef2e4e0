"""What scripts learn of latents: flows with classes, and laws that are fitted after the training."""

from __future__ import annotations

import pytest
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler, FlowMatchLCMScheduler

from genmodels.pipelines import load_pipeline

SHORT = [
    "--dataset_name",
    "zoo:mnist-sample",
    "--max_train_steps",
    "2",
    "--train_batch_size",
    "8",
    "--mixed_precision",
    "no",
]
SHORT += ["--report_to", "none", "--monitor_steps", "0", "--validation_steps", "0"]


@pytest.mark.parametrize(
    ("flags", "scheduler"),
    [([], FlowMatchEulerDiscreteScheduler), (["--preset", "v-prediction"], DDIMScheduler)],
    ids=["flow", "v-prediction"],
)
def test_diffusion_learns_classes(train, tmp_path, flags, scheduler):
    run = tmp_path / "run"
    train("diffusion", *SHORT, "--conditional", "--block_out_channels", "8", "16", "--output_dir", run, *flags)
    pipe = load_pipeline(run / "model")
    assert isinstance(pipe.scheduler, scheduler)
    assert pipe.class_names == [str(digit) for digit in range(10)]
    images = pipe(class_labels="3", seed=0, num_inference_steps=2, guidance_scale=2.0, output_type="pt").images
    assert images.shape == (1, 1, 28, 28)


def test_one_step_is_learnt_from_a_flow(train, tmp_path):
    flow, one_step = tmp_path / "flow", tmp_path / "one-step"
    flags = [*SHORT, "--conditional", "--block_out_channels", "8", "16"]
    train("diffusion", *flags, "--output_dir", flow)
    start = [*SHORT, "--max_train_steps", "8", "--output_dir", one_step]
    train("consistency", *start, "--pretrained_model_name_or_path", flow / "model")
    pipe = load_pipeline(one_step / "model")
    assert isinstance(pipe.scheduler, FlowMatchLCMScheduler)
    assert pipe.config.num_inference_steps == 1
    assert len(pipe(seed=0, return_trajectory=True).trajectory) == 1
    start = ["--pretrained_model_name_or_path", flow / "model"]
    mistakes = {
        "learned from a flow: train one by": [],
        "learned from a flow, and .* is none: train one by": [start[0], one_step / "model"],
        r"with sample_size 28 \(here 32\): give": [*start, "--resolution", "32"],
        r"with num_classes 10 \(here 2\), class_names": [*start, "--classes", "1", "2"],
    }
    for message, more in mistakes.items():
        with pytest.raises(SystemExit, match=message):
            train("consistency", *SHORT, *more, "--output_dir", tmp_path / "third")


@pytest.mark.parametrize("script", ["vae", "autoencoder"])
def test_a_law_is_fitted_to_the_latents(train, tmp_path, script):
    run, sizes = tmp_path / "run", ["--base_channels", "4", "--hidden_dim", "16"]
    train(script, *SHORT, *sizes, "--max_train_samples", "100", "--fit_latents", "3", "--output_dir", run)
    pipe = load_pipeline(run / "model")
    assert pipe.prior.config.num_components == 3
    assert "1903.12436" in (run / "model" / "README.md").read_text()


def test_too_many_gaussians(train, tmp_path):
    sizes = ["--base_channels", "4", "--hidden_dim", "16", "--max_train_samples", "30", "--fit_latents", "10"]
    with pytest.raises(SystemExit) as caught:
        train("vae", *SHORT, *sizes, "--output_dir", tmp_path / "run")
    said = str(caught.value)
    assert "--fit_latents: 10 Gaussians need more than 30 latents, got 30." in said
    assert "a lower --fit_latents goes on from there" in said
