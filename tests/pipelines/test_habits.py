"""What users of diffusers write: it works as there, or one sentence says what to write instead."""

from __future__ import annotations

import copy
import inspect
import shutil
from pathlib import Path

import diffusers
import pytest
import torch
from helpers import KINDS, make_pipeline

import genmodels
from genmodels import load_pipeline
from genmodels.hub.source import read_name

OBEYED = (
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
)


@pytest.fixture(scope="module")
def pipes() -> dict:
    return {kind: make_pipeline(kind) for kind in (*KINDS, "cvae")}


def refused(call, *args, **kwargs) -> str:
    """The text of the error, which must be one line."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def pixels(pipe, **options) -> torch.Tensor:
    return pipe(output_type="pt", **{"num_images": 3, "seed": 1, **options}).images


@pytest.mark.parametrize("kind", [*KINDS, "cvae"])
def test_arguments_of_calls(pipes, kind):
    pipe = pipes[kind]
    expected = pixels(pipe)
    assert torch.equal(pipe(batch_size=3, seed=1, output_type="pt").images, expected)
    assert torch.equal(pipe(num_images_per_prompt=3, seed=1, output_type="pt").images, expected)
    assert len(pipe(batch_size=2, num_images_per_prompt=2, seed=1).images) == 4
    assert "Give num_images alone" in refused(pipe, num_images=3, batch_size=3)
    (images,) = pipe(num_images=3, seed=1, output_type="pt", return_dict=False)
    assert torch.equal(images, expected)
    latents = pipe(num_images=3, seed=1).latents
    assert torch.equal(pipe(latents=latents.numpy(), output_type="pt").images, expected)
    generators = [torch.Generator().manual_seed(seed) for seed in (5, 6)]
    each = pipe(num_images=2, generator=generators, output_type="pt").images
    # Not to the bit: a batch of another size is convolved in another order.
    alone = pixels(pipe, num_images=1, seed=5)
    if kind not in ("cgan", "cvae"):
        torch.testing.assert_close(each[:1], alone, atol=1e-5, rtol=0)
    assert "one per image: 3 images, 2 generators" in refused(pipe, num_images=3, generator=generators)
    size = pipe.sample_size
    assert torch.equal(pixels(pipe, height=size, width=size), expected)
    assert f"draws {size}x{size} pixels and no other size: leave height out" in refused(pipe, height=512)
    for seed in (2**64, 2**70):
        assert f"seed must be at most 2**64 - 1, got {seed}" in refused(pipe, seed=seed)
    assert len(pipe(seed=2**64 - 1).images) == 1
    assert "the latents are there beside the images, as `.latents`" in refused(pipe, output_type="latent")
    assert f"{type(pipe).__name__} takes no prompt: there is no text" in refused(pipe, prompt="a frog")
    no_guidance = "no classes to guide towards" if kind == "diffusion" else "takes no guidance_scale"
    assert no_guidance in refused(pipe, guidance_scale=7.5)
    if kind != "diffusion":
        for name in ("num_inference_steps", "eta", "callback_on_step_end"):
            assert f"takes no {name}: it draws in one step: leave it out." in refused(pipe, **{name: 1})
    with pytest.raises(TypeError, match="unexpected keyword argument 'sede'"):
        pipe(sede=1)
    # What help() shows is the pipeline's own.
    assert "output_type" in inspect.signature(pipe.__call__).parameters


@pytest.mark.parametrize("kind", [*KINDS, "cvae"])
def test_the_default_precision_of_torch_changes_no_picture(saved, kind, pipes, tmp_path):
    folder = saved.get(kind) or tmp_path
    pipes[kind].save_pretrained(tmp_path)
    expected = pixels(load_pipeline(folder))
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(pixels(pipes[kind]), expected)
        pipe = load_pipeline(folder)
        assert torch.equal(pixels(pipe), expected)
        assert pipe(seed=1).latents.dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("kind", KINDS)
def test_pipelines_are_handed_around(pipes, kind):
    pipe, expected = pipes[kind], pixels(pipes[kind])
    assert torch.equal(pixels(type(pipe)(**pipe.components)), expected)
    assert torch.equal(pixels(type(pipe).from_pipe(pipe)), expected)
    assert torch.equal(pixels(copy.deepcopy(pipe)), expected)
    half = copy.deepcopy(pipe).to(torch.float16)
    assert half.dtype == torch.float16
    assert pixels(half).isfinite().all()
    for enable in (pipe.enable_model_cpu_offload, pipe.enable_sequential_cpu_offload, pipe.enable_group_offload):
        assert "of which nothing has to be moved away" in refused(enable)
    for device in ("cuda", "cuda:7", "mps"):
        if not torch.cuda.is_available():
            assert f"This machine cannot use the device '{device}'" in refused(pipe.to, device)
    assert torch.equal(pixels(pipe.to("cpu")), expected)


@pytest.mark.parametrize("name", OBEYED)
def test_another_scheduler_draws_is_saved_and_loads(name, tmp_path):
    pipe = make_pipeline("diffusion")
    before = pixels(pipe, num_inference_steps=8)
    pipe.scheduler = getattr(diffusers, name).from_config(pipe.scheduler.config)
    after = pixels(pipe, num_inference_steps=8)
    assert after.isfinite().all()
    assert after.abs().max() <= 1
    assert not torch.allclose(before, after, atol=1e-3)
    assert torch.equal(pixels(pipe, num_inference_steps=8), after)
    # Image i of a seed is the same whatever stands beside it, also where noise is added on the way.
    torch.testing.assert_close(pixels(pipe, num_images=1, num_inference_steps=8), after[:1], atol=1e-4, rtol=0)
    trajectory = pipe(seed=1, num_inference_steps=8, output_type="pt", return_trajectory=True)
    assert torch.equal(trajectory.trajectory[-1], trajectory.images)
    pipe.save_pretrained(tmp_path)
    again = load_pipeline(tmp_path)
    assert type(again.scheduler).__name__ == name
    assert torch.equal(pixels(again, num_inference_steps=8), after)


def test_schedulers_come_near_each_other():
    """Steps of other kinds follow the same path, but for where images are kept in range on the way."""
    pipe = make_pipeline("diffusion")
    expected = pixels(pipe, num_images=2)
    # What another seed draws is this far from it, or more.
    assert (pixels(pipe, num_images=4)[2:] - expected).abs().mean() > 0.3
    for name in ("EulerDiscreteScheduler", "UniPCMultistepScheduler", "DPMSolverMultistepScheduler"):
        pipe.scheduler = getattr(diffusers, name).from_config(pipe.scheduler.config)
        assert (pixels(pipe, num_images=2) - expected).abs().mean() < 0.1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda c: diffusers.FlowMatchEulerDiscreteScheduler(),
            "is for models of another kind: take one such as DDIMScheduler",
        ),
        (
            lambda c: diffusers.EulerDiscreteScheduler(),
            "expects a network that predicts 'epsilon', and this one predicts 'v_pred",
        ),
        (
            lambda c: diffusers.EulerDiscreteScheduler(prediction_type="v_prediction"),
            "adds noise in another way than the network was trained with: make it with EulerDiscreteScheduler.from_config(",
        ),
        (lambda c: diffusers.DDIMInverseScheduler.from_config(c), "does not take the noise away"),
        (lambda c: diffusers.HeunDiscreteScheduler.from_config(c), "does not take the noise away"),
        (
            lambda c: diffusers.UniPCMultistepScheduler.from_config(c, use_karras_sigmas=True),
            "does not work with the settings that it has (AssertionError): make it with UniPCMultistepScheduler.from_config(",
        ),
        (lambda c: diffusers.RePaintScheduler.from_config(c), "is for models of another kind"),
        (lambda c: None, "A scheduler of diffusers is expected, such as DDIMScheduler, got NoneType."),
        (lambda c: "euler", "A scheduler of diffusers is expected, such as DDIMScheduler, got str."),
    ],
)
def test_a_scheduler_that_cannot_work_is_refused_when_it_is_assigned(make, message):
    pipe = make_pipeline("diffusion")
    before, expected = pipe.scheduler, pixels(pipe)
    scheduler = make(pipe.scheduler.config)
    with pytest.raises(ValueError, match=r"(?s).*") as caught:
        pipe.scheduler = scheduler
    assert message in str(caught.value)
    assert pipe.scheduler is before
    assert torch.equal(pixels(pipe), expected)


@pytest.mark.parametrize("name", ["EulerAncestralDiscreteScheduler", "PNDMScheduler"])
def test_no_picture_is_drawn_of_steps_that_give_no_numbers(name):
    """In three steps the one computes the root of a negative number, the other mixes batches up."""
    pipe = make_pipeline("diffusion")
    pipe.scheduler = getattr(diffusers, name).from_config(pipe.scheduler.config)
    assert f"{name} cannot draw in num_inference_steps=3: take another" in refused(
        pipe, num_images=2, num_inference_steps=3
    )
    # What it draws in as many as it can is no blank page.
    assert pixels(pipe, num_inference_steps=5).std() > 0.3


def test_a_network_may_see_another_precision_or_no_device_at_all():
    pipe = make_pipeline("dcgan")
    assert "a dtype of floats such as torch.float16" in refused(pipe.to, torch.int8)
    assert "'meta', which holds no weights: load the pipeline again" in refused(copy.deepcopy(pipe).to("meta"))
    message = refused(pipe, generator=7)
    assert message == "generator must be a torch.Generator or a list of them, got int: give a number as seed instead."
    assert "got int" in refused(pipe, num_images=2, generator=[torch.Generator(), 7])


@pytest.mark.parametrize("answer", [[1], {"latents": torch.zeros(3)}, {"latents": None}])
def test_a_callback_that_returns_nothing_to_go_on_with_is_told(answer):
    message = refused(make_pipeline("diffusion"), num_images=2, callback_on_step_end=lambda *_: answer)
    assert message == (
        'callback_on_step_end must return None or a dict with "latents", a tensor of shape (2, 4, 8, 8).'
    )


def test_callbacks_see_and_change_each_step():
    pipe, seen = make_pipeline("diffusion"), []
    expected = pixels(pipe, num_inference_steps=4)

    def watch(pipeline, number, timestep, tensors):
        seen.append((number, int(timestep), tuple(tensors["latents"].shape)))
        return tensors

    assert torch.equal(pixels(pipe, num_inference_steps=4, callback_on_step_end=watch), expected)
    assert [number for number, *_ in seen] == [0, 1, 2, 3]
    assert [timestep for _, timestep, _ in seen] == sorted((t for _, t, _ in seen), reverse=True)
    assert {shape for *_, shape in seen} == {(3, 4, 8, 8)}

    def stop(pipeline, number, timestep, tensors):
        return {"latents": torch.zeros_like(tensors["latents"])}

    assert not torch.allclose(pixels(pipe, num_inference_steps=4, callback_on_step_end=stop), expected)
    message = refused(pipe, callback_on_step_end=watch, callback_on_step_end_tensor_inputs=["prompt_embeds"])
    assert "may name 'latents' alone" in message
    assert not torch.equal(pixels(pipe, eta=1.0), pixels(pipe))
    assert "eta must be a number from 0 to 1, got 2." in refused(pipe, eta=2)


def test_keywords_of_from_pretrained(saved):
    expected = pixels(load_pipeline(saved["dcgan"]))
    for options in (
        {"use_safetensors": True},
        {"use_safetensors": None, "low_cpu_mem_usage": True},
        {"torch_dtype": None},
    ):
        assert torch.equal(pixels(load_pipeline(Path(saved["dcgan"]), **options)), expected)
    message = refused(load_pipeline, saved["dcgan"], use_safetensors=False)
    assert message == "use_safetensors=False: other files of weights may run code, and are never loaded; leave it out."
    assert "code of others is never run" in refused(load_pipeline, saved["dcgan"], custom_pipeline="x/y")
    scheduler = diffusers.UniPCMultistepScheduler.from_config(make_pipeline("diffusion").scheduler.config)
    assert load_pipeline(saved["diffusion"], scheduler=scheduler).scheduler is scheduler
    assert load_pipeline(saved["dcgan"], discriminator=None).discriminator is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("https://huggingface.co/alice/cgan", ("alice/cgan", None, None)),
        ("https://huggingface.co/alice/cgan/", ("alice/cgan", None, None)),
        ("http://www.huggingface.co/alice/cgan?not-for-all-audiences=true", ("alice/cgan", None, None)),
        ("huggingface.co/alice/cgan#use", ("alice/cgan", None, None)),
        ("https://hf.co/alice/cgan/tree/main", ("alice/cgan", "main", None)),
        ("https://huggingface.co/alice/cgan/tree/v1/runs/best", ("alice/cgan", "v1", "runs/best")),
        ("https://huggingface.co/alice/cgan/blob/main/model_index.json", ("alice/cgan", "main", None)),
        ("https://huggingface.co/models/alice/cgan", ("alice/cgan", None, None)),
        ("http://127.0.0.1:9/alice/cgan", ("alice/cgan", None, None)),
        ("hf://alice/cgan", ("alice/cgan", None, None)),
        ("hf://models/alice/cgan@v1", ("alice/cgan", "v1", None)),
        ("hf://alice/cgan@v1/runs", ("alice/cgan", "v1", "runs")),
        ("HTTPS://HuggingFace.co/alice/cgan", ("alice/cgan", None, None)),
        ("https://alice:secret@huggingface.co/alice/cgan", ("alice/cgan", None, None)),
        ("https://huggingface.co/alice/cgan/tree/refs%2Fpr%2F1/best", ("alice/cgan", "refs/pr/1", "best")),
        ("https://huggingface.co/alice/cgan/tree/refs/pr/1", ("alice/cgan", "refs/pr/1", None)),
        ("https://huggingface.co/alice/cgan/commit/0a1b2c", ("alice/cgan", "0a1b2c", None)),
        ("https://huggingface.co/alice/cgan/discussions/3", ("alice/cgan", None, None)),
        ("https://huggingface.co/alice/cgan/blob/main/best/generator/config.json", ("alice/cgan", "main", "best")),
        ("https://huggingface.co/alice/cgan/resolve/main/a.safetensors?download=true", ("alice/cgan", "main", None)),
        ("https://huggingface.co/alice/cgan/tree/main/my%20folder", ("alice/cgan", "main", "my folder")),
        ("https://huggingface.co/api/models/alice/cgan/revision/v1", ("alice/cgan", "v1", None)),
        ("git@hf.co:alice/cgan.git", ("alice/cgan", None, None)),
        ("<https://hf.co/alice/cgan>", ("alice/cgan", None, None)),
        ("'alice/cgan'", ("alice/cgan", None, None)),
        ("alice/cgan@v1", ("alice/cgan", "v1", None)),
        ("alice/cgan/", ("alice/cgan", None, None)),
        (" alice/cgan ", ("alice/cgan", None, None)),
        ("cgan-mnist", ("cgan-mnist", None, None)),
        ("alice/cgan", ("alice/cgan", None, None)),
    ],
)
def test_names_as_people_paste_them(name, expected):
    assert read_name(name) == expected


@pytest.mark.parametrize("page", ["papers/1706.1", "docs/diffusers", "alice", "", "collections/alice/x"])
def test_other_pages_of_the_hub_are_no_models(page):
    assert "is the address of something else on the Hub, not of a model: give one such as" in refused(
        load_pipeline, f"https://huggingface.co/{page}"
    )


def test_names_that_say_two_things(saved, tmp_path, monkeypatch):
    assert "is the address of a dataset, not of a model" in refused(
        load_pipeline, "https://huggingface.co/datasets/a/b"
    )
    assert "is the address of a Space, not of a model" in refused(load_pipeline, "hf://spaces/a/b")
    message = refused(load_pipeline, "hf://alice/cgan@v1", revision="v2")
    assert message == "'hf://alice/cgan@v1' says the revision 'v1', and revision='v2': give one of them."
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(saved["vae"], tmp_path / "models" / "x")
    assert type(load_pipeline("~/models/x/")) is genmodels.VAEPipeline


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved["dcgan"], tmp_path / "model"))


def test_weights_under_other_names_are_told(folder):
    generator = folder / "generator" / "diffusion_pytorch_model.safetensors"
    generator.rename(generator.with_name("diffusion_pytorch_model.fp16.safetensors"))
    head = f"'{folder}' does not load: its generator"
    assert refused(load_pipeline, folder) == f"{head} has no plain weights: give variant='fp16'."
    assert refused(load_pipeline, folder, variant="bf16") == f"{head} has no such variant: give variant='fp16'."
    (folder / "generator" / "diffusion_pytorch_model.fp16.safetensors").rename(folder / "generator" / "model.bin")
    assert refused(load_pipeline, folder).startswith(f"{head} has its weights in files that may run code when loaded")
    (folder / "generator" / "model.bin").unlink()
    assert refused(load_pipeline, folder) == (
        f"{head} lacks diffusion_pytorch_model.safetensors. Download or save it again."
    )


def test_a_part_of_a_pipeline_is_told(folder, tmp_path):
    message = refused(load_pipeline, folder / "generator")
    assert (
        message == f"The folder {folder / 'generator'} holds a DCGANGenerator, one part of a pipeline: give {folder}."
    )
    shutil.copytree(folder / "generator", tmp_path / "alone")
    assert "it holds a DCGANGenerator, a single network and no pipeline." in refused(load_pipeline, tmp_path / "alone")


@pytest.mark.parametrize("name", ["model_index.json", "generator/config.json"])
def test_a_byte_order_mark_is_told(folder, name):
    (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    message = refused(load_pipeline, folder)
    assert "begins with a byte order mark" in message
    assert "as UTF-8 without one" in message.replace("Save", "save")


def test_saving_over_older_shards_leaves_a_folder_that_loads(folder):
    pipe = make_pipeline("dcgan", seed=1)
    make_pipeline("dcgan").save_pretrained(folder, max_shard_size="2KB")
    assert len(list((folder / "generator").glob("*.safetensors"))) > 1
    pipe.save_pretrained(folder)
    names = [path.name for path in (folder / "generator").iterdir()]
    assert sorted(names) == ["config.json", "diffusion_pytorch_model.safetensors"]
    assert torch.equal(pixels(load_pipeline(folder)), pixels(pipe))
    other = make_pipeline("dcgan", seed=2)
    other.save_pretrained(folder, max_shard_size="2KB")
    assert "diffusion_pytorch_model.safetensors" not in [path.name for path in (folder / "generator").iterdir()]
    assert torch.equal(pixels(load_pipeline(folder)), pixels(other))
    # Weights of another variant stay.
    pipe.to(torch.float16).save_pretrained(folder, variant="fp16")
    assert torch.equal(pixels(load_pipeline(folder)), pixels(other))
