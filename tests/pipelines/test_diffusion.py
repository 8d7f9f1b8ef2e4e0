"""DDIM steps against values worked out by hand, and what only the diffusion pipeline promises."""

from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler, FlowMatchLCMScheduler, UNet2DModel
from helpers import make_pipeline
from torch.nn import functional as F

from genmodels import PixelDiffusionPipeline, UNet, load_pipeline
from genmodels.errors import UserError
from genmodels.latents import draw_latents
from genmodels.models.diffusion import DiffusionStep


@pytest.fixture(scope="module")
def pipe() -> PixelDiffusionPipeline:
    return make_pipeline("diffusion")


def patches(images: torch.Tensor) -> torch.Tensor:
    return F.pixel_unshuffle(images, 2)


def know(monkeypatch, pipe, clean: torch.Tensor) -> list[torch.Tensor]:
    """Replace the U-Net by one that knows the clean image; returns the list in which it notes what it was shown."""
    shown = []

    def velocity(self, noisy, timestep, class_labels=None):
        # v = (sqrt(abar) x_t - x) / sqrt(1 - abar), from x_t = sqrt(abar) x + sqrt(1 - abar) eps.
        shown.append(noisy.clone())
        share = pipe.scheduler.alphas_cumprod[timestep]
        return SimpleNamespace(sample=(share.sqrt() * noisy - patches(clean)) / (1 - share).sqrt())

    monkeypatch.setattr(UNet, "forward", velocity)
    return shown


def test_steps_are_those_of_ddim(monkeypatch, pipe):
    """x_t' = sqrt(abar') x + sqrt(1 - abar') eps: equation 12 of the paper with sigma = 0, here for two steps."""
    clean = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 1.8 - 0.9
    shown = know(monkeypatch, pipe, clean)
    output = pipe(num_images=3, seed=1, num_inference_steps=2, output_type="pt")
    noise = output.latents.view(3, 4, 8, 8)
    torch.testing.assert_close(shown[0], noise)
    # The squared cosine of Nichol and Dhariwal, in the middle of 1,000 timesteps; betas are at most 0.999.
    middle = np.cos((500 / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    assert middle == pytest.approx(0.4938, abs=1e-4)
    torch.testing.assert_close(shown[1], middle**0.5 * patches(clean) + (1 - middle) ** 0.5 * noise, atol=2e-3, rtol=0)
    torch.testing.assert_close(output.images, clean, atol=1e-4, rtol=0)


def test_one_step_by_hand(monkeypatch, pipe):
    """At the last timestep there is noise alone, and so x = -v: what the network says, within [-1, 1]."""
    monkeypatch.setattr(
        UNet,
        "forward",
        lambda self, noisy, timestep, class_labels=None: SimpleNamespace(sample=torch.full_like(noisy, 0.25)),
    )
    images = pipe(num_images=2, seed=0, num_inference_steps=1, output_type="pt").images
    torch.testing.assert_close(images, torch.full((2, 1, 16, 16), -0.25), atol=1e-3, rtol=0)
    monkeypatch.setattr(
        UNet,
        "forward",
        lambda self, noisy, timestep, class_labels=None: SimpleNamespace(sample=torch.full_like(noisy, 3.0)),
    )
    assert torch.equal(pipe(seed=0, num_inference_steps=1, output_type="pt").images, torch.full((1, 1, 16, 16), -1.0))


@pytest.mark.parametrize("steps", [1, 3, 7, 25])
def test_a_network_that_knows_the_image_gives_it(monkeypatch, pipe, steps):
    clean = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    shown = know(monkeypatch, pipe, clean)
    output = pipe(num_images=2, seed=5, num_inference_steps=steps, output_type="pt", return_trajectory=True)
    assert len(shown) == len(output.trajectory) == steps
    for images in output.trajectory:
        torch.testing.assert_close(images, clean, atol=1e-3, rtol=0)


def test_the_trajectory_ends_with_the_images(pipe):
    for output_type in ("pil", "pt", "np"):
        output = pipe(num_images=2, seed=0, num_inference_steps=4, output_type=output_type, return_trajectory=True)
        assert len(output.trajectory) == 4
        first, last = (np.stack([np.asarray(image) for image in output.trajectory[i]]) for i in (0, -1))
        np.testing.assert_array_equal(last, np.stack([np.asarray(image) for image in output.images]))
        assert not np.array_equal(first, last)
    assert pipe(seed=0, num_inference_steps=4).trajectory is None
    assert len(pipe(num_images=300, seed=0, num_inference_steps=2, return_trajectory=True).trajectory[0]) == 300


def test_images_are_the_pixels_of_their_latents(monkeypatch, pipe):
    """Patches are put back where they were cut."""
    monkeypatch.setattr(
        UNet, "forward", lambda self, noisy, timestep, class_labels=None: SimpleNamespace(sample=-noisy / 8)
    )
    output = pipe(num_images=2, seed=0, num_inference_steps=1, output_type="pt")
    torch.testing.assert_close(patches(output.images * 8).flatten(1), output.latents, atol=1e-2, rtol=0)


def test_shapes_follow_from_the_network():
    pipe = make_pipeline("diffusion")
    for channels, patch, side in ((1, 1, 28), (1, 2, 14), (3, 2, 16), (3, 1, 32), (1, 4, 7), (3, 4, 8)):
        pipe.unet.register_to_config(in_channels=channels * patch**2, sample_size=side)
        assert (pipe.num_channels, pipe.patch_size, pipe.sample_size) == (channels, patch, side * patch)
        assert pipe.latent_dim == channels * (side * patch) ** 2


@pytest.mark.parametrize("steps", [0, -1, 1001, 2.5, "10", True])
def test_wrong_inference_steps(pipe, steps):
    with pytest.raises(ValueError, match=r"num_inference_steps must be an integer from 1 to 1,000, got"):
        pipe(seed=0, num_inference_steps=steps)
    with pytest.raises(ValueError, match="num_inference_steps must be"):
        pipe.interpolate(0, 1, num_inference_steps=steps)


def test_calls_leave_the_scheduler_as_it_was(pipe):
    before = pipe.scheduler.timesteps.clone()
    pipe(seed=0, num_inference_steps=3)
    assert torch.equal(pipe.scheduler.timesteps, before)


def test_the_network_is_a_plain_unet_in_diffusers(pipe, saved):
    plain = UNet2DModel.from_pretrained(saved["diffusion"], subfolder="unet", use_safetensors=True)
    noisy = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(plain(noisy, 10).sample, make_pipeline("diffusion").unet.eval()(noisy, 10).sample)


@pytest.fixture
def broken(saved, tmp_path):
    return shutil.copytree(saved["diffusion"], tmp_path / "broken")


def test_a_scheduler_that_is_missing_or_another_is_refused(broken):
    index = json.loads((broken / "model_index.json").read_text())
    for wrong in (["diffusers", "UNet2DModel"], ["os", "system"], "x", ["diffusers", "NoScheduler"], ["diffusers", 3]):
        (broken / "model_index.json").write_text(json.dumps({**index, "scheduler": wrong}))
        with pytest.raises(UserError, match=r"its scheduler is .*, not a scheduler of diffusers"):
            load_pipeline(broken)
    (broken / "model_index.json").write_text(json.dumps({**index, "scheduler": ["elsewhere", "DDIMScheduler"]}))
    assert load_pipeline(broken)(seed=0).images
    (broken / "scheduler" / "scheduler_config.json").write_text("{")
    with pytest.raises(UserError, match="does not load"):
        load_pipeline(broken)
    (broken / "scheduler" / "scheduler_config.json").unlink()
    with pytest.raises(UserError, match=r"it lacks scheduler/scheduler_config\.json"):
        load_pipeline(broken)
    shutil.rmtree(broken / "scheduler")
    with pytest.raises(UserError, match="it lacks the folder scheduler"):
        load_pipeline(broken)


@pytest.mark.parametrize("word", ["missing", "unexpected", "non-finite"])
def test_wrong_weights_are_refused(broken, word):
    from safetensors.torch import load_file, save_file

    path = broken / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    if word == "missing":
        del tensors["conv_in.weight"]
    elif word == "unexpected":
        tensors["extra"] = torch.zeros(1)
    else:
        tensors["conv_in.weight"][0] = float("nan")
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(UserError, match=f"do not fit UNet: {word} (conv_in.weight|extra)"):
        load_pipeline(broken)


DIGITS = [str(digit) for digit in range(10)]


def make_flow(num_classes: int = 10) -> PixelDiffusionPipeline:
    torch.manual_seed(0)
    names = DIGITS[:num_classes] or None
    unet = UNet.of_patches(16, 1, 2, [8, 16], 1, num_classes=num_classes, class_names=names)
    return PixelDiffusionPipeline(unet, FlowMatchEulerDiscreteScheduler(1000))


def test_a_flow_follows_straight_lines(monkeypatch):
    """x_t = (1 - t) x + t eps: a network that knows the image sees points of that line, and arrives."""
    pipe, shown = make_flow(0), []
    clean = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1

    def velocity(self, noisy, timestep, class_labels=None):
        shown.append((noisy.clone(), float(timestep)))
        return SimpleNamespace(sample=(noisy - patches(clean)) / (timestep / 1000))

    monkeypatch.setattr(UNet, "forward", velocity)
    output = pipe(num_images=2, seed=5, num_inference_steps=4, output_type="pt", return_trajectory=True)
    noise = output.latents.view(2, 4, 8, 8)
    assert [timestep for _, timestep in shown] == pytest.approx([1000, 750, 500, 250])
    for noisy, timestep in shown:
        t = timestep / 1000
        torch.testing.assert_close(noisy, (1 - t) * patches(clean) + t * noise, atol=1e-5, rtol=0)
    for images in output.trajectory:
        torch.testing.assert_close(images, clean, atol=1e-5, rtol=0)


def test_guidance_goes_from_no_class_to_the_wanted_one(monkeypatch):
    pipe, asked = make_flow(), []

    def velocity(self, noisy, timestep, class_labels):
        asked.append(class_labels.tolist())
        # Towards -0.1 for no class, whose label is the one after the last, and towards -0.2 for class 3.
        towards = torch.where(class_labels == 10, 0.1, 0.2).view(-1, 1, 1, 1).to(noisy)
        return SimpleNamespace(sample=noisy + towards)

    monkeypatch.setattr(UNet, "forward", velocity)
    for scale, expected in ((1, -0.2), (0, -0.1), (2.5, -0.35)):
        images = pipe(class_labels="3", seed=0, num_inference_steps=1, guidance_scale=scale, output_type="pt").images
        torch.testing.assert_close(images, torch.full((1, 1, 16, 16), expected))
    assert asked == [[3], [3], [10], [3], [10]]


def test_classes_of_a_flow(tmp_path):
    pipe = make_flow()
    options = {"seed": 0, "num_inference_steps": 3, "guidance_scale": 2.0, "output_type": "pt"}
    output = pipe(class_labels=["7", 1], **options)
    assert output.class_labels.tolist() == [7, 1]
    # An image is its latent's and label's, whatever stands beside it.
    alone = pipe(class_labels=7, latents=output.latents[:1], **{**options, "seed": None})
    torch.testing.assert_close(alone.images, output.images[:1])
    weights = torch.eye(10)[[7, 1]]
    torch.testing.assert_close(pipe(class_labels=weights, **options).images, output.images)
    mixed = pipe.interpolate(0, 0, 3, class_labels=("7", "1"), num_inference_steps=3, output_type="pt")
    assert mixed.class_labels[1].tolist() == pytest.approx([0, 0.5, 0, 0, 0, 0, 0, 0.5, 0, 0])
    pipe.save_pretrained(tmp_path)
    loaded = load_pipeline(tmp_path)
    assert (loaded.num_classes, loaded.class_names) == (10, DIGITS)
    assert torch.equal(loaded(class_labels=["7", 1], **options).images, output.images)
    plain = UNet2DModel.from_pretrained(tmp_path, subfolder="unet", use_safetensors=True)
    noisy = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(
        plain(noisy, 10, torch.tensor([7, 10])).sample, pipe.unet(noisy, 10, torch.tensor([7, 10])).sample
    )


@pytest.mark.parametrize(
    ("num_classes", "options", "message"),
    [
        (10, {"guidance_scale": 20.5}, "guidance_scale must be a number from 0 to 20, got 20.5"),
        (10, {"guidance_scale": "2"}, "guidance_scale must be a number"),
        (10, {"class_labels": 10}, "There is no class 10: give a number from 0 to 9"),
        (0, {"guidance_scale": 2}, "no classes to guide towards: leave guidance_scale out"),
        (0, {"class_labels": 1}, "no classes: leave class_labels out"),
    ],
)
def test_wrong_classes_and_guidance(num_classes, options, message):
    with pytest.raises(ValueError, match=message):
        make_flow(num_classes)(seed=0, **options)


def test_schedulers_of_flows_and_of_noise_are_not_exchanged(pipe):
    flow = make_flow()
    with pytest.raises(ValueError, match="this one was trained by flow matching"):
        flow.scheduler = DDIMScheduler(prediction_type="v_prediction")
    with pytest.raises(ValueError, match="for models of another kind: take one such as DDIMScheduler"):
        pipe.scheduler = FlowMatchEulerDiscreteScheduler()
    with pytest.raises(ValueError, match="stochastic_sampling"):
        flow.scheduler = FlowMatchEulerDiscreteScheduler(stochastic_sampling=True)
    for options, message in (
        ({"use_dynamic_shifting": True}, "does not work with the settings that it has"),
        ({"invert_sigmas": True}, "does not (work|take the noise away)"),
        ({"num_train_timesteps": 500}, "counts time in another way"),
    ):
        with pytest.raises(ValueError, match=message):
            flow.scheduler = FlowMatchEulerDiscreteScheduler(**options)
    flow.scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    assert flow(seed=0, num_inference_steps=2).images


def test_a_consistency_model_jumps_to_the_end_of_the_path(monkeypatch):
    """Of data N(0, 1/4) the ends are known; each step after the first adds noise to where it came, and jumps again."""
    flow, shown = make_flow(), []
    pipe = PixelDiffusionPipeline(flow.unet, FlowMatchLCMScheduler(1000), num_inference_steps=1)

    def velocity(self, noisy, timestep, class_labels=None):
        t = float(timestep) / 1000
        shown.append(t)
        end = 0.5 / ((0.5 * (1 - t)) ** 2 + t**2) ** 0.5 * noisy
        return SimpleNamespace(sample=(noisy - end) / t)

    monkeypatch.setattr(UNet, "forward", velocity)
    options = {"seed": 0, "class_labels": list(range(10)), "output_type": "pt"}
    for steps in (None, 4):
        output = pipe(**options, num_inference_steps=steps)
        assert float(output.images.std()) == pytest.approx(0.5, abs=0.04)
        again = pipe(latents=output.latents[3:4], class_labels=3, num_inference_steps=steps, output_type="pt")
        torch.testing.assert_close(again.images, output.images[3:4])
    path = [1, 0.75, 0.5, 0.25]
    assert shown == pytest.approx([1, 1, *path, *path])
    for model, other in ((flow, FlowMatchLCMScheduler()), (pipe, FlowMatchEulerDiscreteScheduler())):
        with pytest.raises(ValueError, match="for models of another kind: this one was trained"):
            model.scheduler = other


def test_a_models_own_number_of_steps_is_saved(tmp_path):
    flow = make_flow(0)
    PixelDiffusionPipeline(flow.unet, flow.scheduler, num_inference_steps=3).save_pretrained(tmp_path)
    pipe = load_pipeline(tmp_path)
    assert len(pipe(seed=0, return_trajectory=True).trajectory) == 3
    assert len(pipe(seed=0, num_inference_steps=2, return_trajectory=True).trajectory) == 2
    assert len(flow(seed=0, return_trajectory=True).trajectory) == 25
    with pytest.raises(ValueError, match="num_inference_steps must be an integer from 1 to 1,000, got 0"):
        PixelDiffusionPipeline(flow.unet, flow.scheduler, num_inference_steps=0)


@pytest.mark.parametrize(
    "scheduler",
    [
        DDIMScheduler(prediction_type="v_prediction", beta_schedule="squaredcos_cap_v2", timestep_spacing="trailing"),
        DDIMScheduler(prediction_type="epsilon", timestep_spacing="leading", steps_offset=1),
        DDIMScheduler(prediction_type="sample", set_alpha_to_one=False, timestep_spacing="linspace"),
        DDIMScheduler(prediction_type="v_prediction", clip_sample=False),
        FlowMatchEulerDiscreteScheduler(),
        FlowMatchEulerDiscreteScheduler(shift=3.0),
    ],
    ids=lambda scheduler: " ".join(
        str(scheduler.config.get(name)) for name in ("_class_name", "prediction_type", "clip_sample", "shift")
    ),
)
def test_six_numbers_say_what_a_scheduler_does(scheduler):
    unet = make_pipeline("diffusion").unet.eval()
    pipe = PixelDiffusionPipeline(unet, scheduler)
    given = draw_latents(2, pipe.latent_dim, seed=0)
    latents, images, step = given, None, DiffusionStep(unet, 1)
    for row in pipe.step_numbers(6):
        with torch.no_grad():
            latents, images, _ = step(latents, torch.tensor(row, dtype=torch.float32))
    expected = pipe(latents=given, num_inference_steps=6, output_type="pt").images
    torch.testing.assert_close(images, expected.clamp(-1, 1), rtol=0, atol=1e-3)
