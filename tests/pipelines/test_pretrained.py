"""Pipelines are saved as safetensors and JSON, and come back whole or with one clear sentence."""

from __future__ import annotations

import doctest
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from diffusers.utils import logging
from helpers import DEAD_ENDPOINT, KINDS, make_pipeline
from safetensors.torch import load_file, save_file

import genmodels
from genmodels import zoo
from genmodels.errors import UserError
from genmodels.families import BY_PIPELINE
from genmodels.pipelines import load_pipeline


def class_of(kind: str):
    return type(make_pipeline(kind))


def refused(load, *args, **kwargs) -> str:
    """The text of the UserError, which must be one line."""
    with pytest.raises(UserError) as caught:
        load(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_pipelines_draw_the_same_pictures(saved, kind):
    before = make_pipeline(kind)
    for load in (class_of(kind).from_pretrained, load_pipeline):
        for path in (saved[kind], str(saved[kind])):
            after = load(path)
            assert type(after) is class_of(kind)
            expected, images = (pipe(num_images=3, seed=1, output_type="pt").images for pipe in (before, after))
            assert torch.equal(expected, images)


@pytest.mark.parametrize("kind", KINDS)
def test_folders_hold_safetensors_and_json_only(saved, kind, tmp_path):
    load_pipeline(saved[kind]).save_pretrained(tmp_path)
    components = {"autoencoder": ("decoder", "encoder"), "vae": ("decoder", "encoder"), "diffusion": ("unet",)}
    components = components.get(kind, ("discriminator", "generator"))
    files = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert files == sorted(
        ["model_index.json"]
        + [f"{c}/{f}" for c in components for f in ("config.json", "diffusion_pytorch_model.safetensors")]
        + (["scheduler/scheduler_config.json"] if kind == "diffusion" else [])
    )
    for path in tmp_path.rglob("*.json"):
        assert "_name_or_path" not in path.read_text()
        assert str(saved[kind]) not in path.read_text()


def test_loading_draws_no_progress_bar(saved, capfd):
    load_pipeline(saved["cgan"])
    assert capfd.readouterr() == ("", "")
    assert logging.is_progress_bar_enabled()


def test_class_names_travel(saved):
    assert load_pipeline(saved["cgan"]).class_names == ["ant", "bee", "cat", "dog"]


def test_wrong_kind(saved):
    assert refused(genmodels.VAEPipeline.from_pretrained, saved["cgan"]) == (
        f"'{saved['cgan']}' holds a CGANPipeline, not a VAEPipeline: load it with CGANPipeline.from_pretrained or "
        "genmodels.load_pipeline."
    )


def test_foreign_pipeline(tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    assert refused(load_pipeline, tmp_path) == (
        f"'{tmp_path}' holds a StableDiffusionPipeline (diffusers); genmodels loads {', '.join(BY_PIPELINE)}."
    )


def test_folder_without_a_pipeline(tmp_path):
    for load in (load_pipeline, genmodels.DCGANPipeline.from_pretrained):
        assert refused(load, tmp_path) == (
            f"The folder {tmp_path} has no model_index.json: it does not hold a saved pipeline."
        )


def test_unknown_names(saved, tmp_path, monkeypatch):
    for kind in KINDS:
        shutil.copytree(saved[kind], tmp_path / f"{kind}-tiny")
    monkeypatch.setattr(zoo, "ROOT", tmp_path)
    (tmp_path / "a/b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a/b")
    names = ", ".join(sorted(f"{kind}-tiny" for kind in KINDS))
    tail = f" {names}; or give a folder, or a Hub id such as 'name/model'."
    for load in (load_pipeline, genmodels.CGANPipeline.from_pretrained):
        assert refused(load, "cgan-tny") == (
            f"There is no model 'cgan-tny': did you mean 'cgan-tiny'? Built in are{tail}"
        )
        for name in ("zebra", "", "a/b/c", "./nowhere", "/no/where", "~/model", "../x"):
            assert refused(load, name) == f"There is no model {name!r}: built in are{tail}"
    assert type(load_pipeline("vae-tiny")) is genmodels.VAEPipeline
    assert type(genmodels.VAEPipeline.from_pretrained("vae-tiny")) is genmodels.VAEPipeline


@pytest.mark.slow
def test_unreachable_hub():
    for load in (load_pipeline, genmodels.CGANPipeline.from_pretrained):
        assert refused(load, "alice/model") == (
            f"The Hub at {DEAD_ENDPOINT} cannot be reached, and 'alice/model' is not whole in the cache: check the network "
            "and try again."
        )
    assert refused(load_pipeline, "not a/valid id").startswith(
        "'not a/valid id' is not a Hub id: give 'name/model' of "
    )


@pytest.fixture
def broken(saved, tmp_path) -> Path:
    shutil.copytree(saved["dcgan"], tmp_path / "broken")
    return tmp_path / "broken"


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "\x00"])
def test_damaged_index(broken, text):
    (broken / "model_index.json").write_text(text)
    message = refused(load_pipeline, broken)
    assert message.startswith(f"{broken}/model_index.json is not a readable model_index.json: ")


def test_damaged_components(broken):
    weights = broken / "generator" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    for edit in (
        lambda t: t.pop("layers.0.weight"),
        lambda t: t.update(extra=torch.zeros(1)),
        lambda t: t["layers.0.weight"].fill_(float("nan")),
        lambda t: t.update({"layers.0.weight": torch.zeros(2, 2)}),
    ):
        changed = {name: tensor.clone() for name, tensor in tensors.items()}
        edit(changed)
        save_file(changed, weights, metadata={"format": "pt"})
        for load in (load_pipeline, genmodels.DCGANPipeline.from_pretrained):
            message = refused(load, broken)
            assert message.startswith(f"'{broken}' does not load: ")
            assert f"{broken}/generator" in message
    weights.write_bytes(weights.read_bytes()[:500])
    assert f"{broken}/generator" in refused(load_pipeline, broken)
    weights.unlink()
    assert "its generator lacks diffusion_pytorch_model.safetensors" in refused(load_pipeline, broken)


def test_missing_component(broken):
    shutil.rmtree(broken / "generator")
    assert refused(load_pipeline, broken) == (
        f"'{broken}' does not load: it lacks the folder generator. Download or save it again."
    )


def test_component_of_an_unknown_class(broken):
    index = json.loads((broken / "model_index.json").read_text())
    for value in (["genmodels.models.dcgan", "Nothing"], ["os", "system"], ["DCGANGenerator"], "x", {}):
        (broken / "model_index.json").write_text(json.dumps({**index, "generator": value}))
        assert refused(load_pipeline, broken) == (
            f"'{broken}' does not load: its generator is {value!r}, not a DCGANGenerator. Download or save it again."
        )


def test_code_in_a_folder_is_never_run(broken, tmp_path):
    """A repository that loads in plain diffusers names its own files; here the installed classes stand in for them."""
    evil = f"open({str(tmp_path / 'ran')!r}, 'w')\nfrom genmodels.models import DCGANGenerator, DCGANDiscriminator\n"
    for path in ("pipeline.py", "generator/modeling.py", "discriminator/modeling.py"):
        (broken / path).write_text(evil)
    index = {
        "_class_name": ["pipeline", "DCGANPipeline"],
        "generator": ["modeling", "DCGANGenerator"],
        "discriminator": ["modeling", "DCGANDiscriminator"],
    }
    (broken / "model_index.json").write_text(json.dumps(index))
    for options in ({}, {"trust_remote_code": True}):
        pipe = load_pipeline(broken, **options)
        assert type(pipe) is genmodels.DCGANPipeline
        assert type(pipe.generator) is genmodels.DCGANGenerator
        assert len(pipe(num_images=2, seed=0).images) == 2
    assert not (tmp_path / "ran").exists()


def test_pipelines_lie_in_subfolders(saved, tmp_path):
    shutil.copytree(saved["cgan"], tmp_path / "runs" / "best")
    expected = load_pipeline(saved["cgan"])(seed=1, output_type="pt").images
    for load in (load_pipeline, genmodels.CGANPipeline.from_pretrained):
        pipe = load(tmp_path, subfolder="runs/best")
        assert torch.equal(pipe(seed=1, output_type="pt").images, expected)
        assert refused(load, tmp_path, subfolder="worst") == (
            f"The folder {tmp_path}/worst has no model_index.json: it does not hold a saved pipeline."
        )
        for bad in ("../runs", "/runs", "r*"):
            assert refused(load, tmp_path / "runs", subfolder=bad) == (
                f"subfolder must be a folder inside the model such as 'best', got {bad!r}."
            )


@pytest.mark.parametrize("option", ["dtype", "torch_dtype"])
def test_precision_is_chosen_by_either_name(saved, option):
    pipe = load_pipeline(saved["cgan"], **{option: torch.bfloat16})
    assert pipe.dtype == pipe.discriminator.dtype == torch.bfloat16
    assert len(pipe(num_images=2, seed=0).images) == 2
    assert refused(load_pipeline, saved["cgan"], **{option: "fp16"}) == (
        "dtype must be a torch.dtype such as torch.float16, got 'fp16'."
    )


def test_two_precisions_are_refused(saved):
    message = refused(load_pipeline, saved["cgan"], dtype=torch.float16, torch_dtype=torch.float32)
    assert message == "dtype is torch.float16 and torch_dtype is torch.float32: give one of them."


def test_variants(saved, tmp_path):
    pipe = load_pipeline(saved["dcgan"], torch_dtype=torch.float16)
    pipe.save_pretrained(tmp_path, variant="fp16")
    again = load_pipeline(tmp_path, variant="fp16")
    for name, tensor in pipe.generator.state_dict().items():
        assert torch.equal(again.generator.state_dict()[name].half(), tensor)
    assert refused(load_pipeline, tmp_path, variant="bf16") == (
        f"'{tmp_path}' does not load: its generator has no such variant: give variant='fp16'."
    )


@pytest.mark.parametrize("kind", KINDS)
def test_docstring_examples_run(kind, saved, tmp_path, monkeypatch):
    pipeline_class = class_of(kind)
    (test,) = doctest.DocTestFinder(recurse=False).find(pipeline_class, pipeline_class.__name__)
    wanted = next(line for line in pipeline_class.__doc__.splitlines() if "from_pretrained(" in line).split('"')[1]
    if wanted not in zoo.model_names():
        # What a user has trained.
        shutil.copytree(saved[kind], tmp_path / wanted)
        monkeypatch.chdir(tmp_path)
    results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
    assert results.attempted > 3
    assert results.failed == 0


def test_a_scheduler_of_endless_steps_is_refused_at_once(saved, tmp_path):
    folder = Path(shutil.copytree(saved["diffusion"], tmp_path / "model"))
    path = folder / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "num_train_timesteps": 10**9}))
    with pytest.raises(UserError, match=r"num_train_timesteps=1000000000: from 1 to 100,000 are possible"):
        load_pipeline(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_in_place_of_a_config_is_not_waited_for(saved, tmp_path):
    folder = Path(shutil.copytree(saved["dcgan"], tmp_path / "model"))
    (folder / "generator" / "config.json").unlink()
    os.mkfifo(folder / "generator" / "config.json")
    with pytest.raises(UserError, match=r"generator/config\.json is no plain file"):
        load_pipeline(folder)
