"""`python -m genmodels`: run in this process where nothing depends on a fresh one."""

from __future__ import annotations

import json
import os
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import run_fresh_python
from PIL import Image

from genmodels import __version__, load_pipeline, zoo
from genmodels.__main__ import main
from genmodels.commands.list import read_headline
from genmodels.grid import make_grid


def run(capsys, *args: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    try:
        code = main(list(map(str, args)))
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


def test_sample_writes_the_grid_it_reports(capsys, saved, tmp_path):
    output = tmp_path / "grid.png"
    code, out, err = run(capsys, "sample", saved["dcgan"], "--num_images", 5, "--seed", 2, "--output", output)
    # 5 images of 32 pixels: 3 columns, 2 rows, 2 pixels around each
    assert (code, out, err) == (0, f"{output}: 5 images of {saved['dcgan']}, 104x70 pixels, seed 2\n", "")
    images = load_pipeline(saved["dcgan"])(num_images=5, seed=2).images
    with Image.open(output) as sheet:
        assert (sheet.format, sheet.size, sheet.mode) == ("PNG", (104, 70), "RGB")
        np.testing.assert_array_equal(np.asarray(sheet)[36:68, 36:68], np.asarray(images[4]))
    assert os.listdir(tmp_path) == ["grid.png"]


def test_defaults_are_16_images_of_seed_0(capsys, saved, tmp_path):
    code, out, _ = run(capsys, "sample", saved["vae"], "--output", tmp_path / "a.webp")
    assert code == 0
    assert ": 16 images of " in out
    assert out.endswith(", seed 0\n")


@pytest.mark.parametrize(
    ("arguments", "count", "labels"),
    [
        (("--class_labels", "2"), 16, 2),
        (("--class_labels", "2,0,2,1"), 4, [2, 0, 2, 1]),
        (("--class_labels", "dog, ant"), 2, [3, 0]),
        (("--class_labels", "bee", "--num_images", "3"), 3, 1),
        ((), 16, None),
    ],
)
def test_class_labels(capsys, saved, tmp_path, arguments, count, labels):
    output = tmp_path / "grid.png"
    code, _, err = run(capsys, "sample", saved["cgan"], *arguments, "--output", output)
    assert (code, err) == (0, "")
    # A number is read from left to right.
    columns = count if isinstance(labels, list) else None
    expected = make_grid(load_pipeline(saved["cgan"])(count, labels, seed=0).images, columns)
    with Image.open(output) as sheet:
        np.testing.assert_array_equal(np.asarray(sheet), np.asarray(expected))


def test_a_scaled_grid_has_squares_for_pixels(capsys, saved, tmp_path):
    for scale in (1, 3):
        output = tmp_path / f"{scale}.png"
        assert run(capsys, "sample", saved["dcgan"], "--num_images", 2, "--scale", scale, "--output", output)[0] == 0
    plain, large = (np.asarray(Image.open(tmp_path / f"{scale}.png")) for scale in (1, 3))
    np.testing.assert_array_equal(large, plain.repeat(3, 0).repeat(3, 1))


@pytest.mark.parametrize(("command", "package", "extra"), [("app", "gradio", "app"), ("evaluate", "datasets", "eval")])
def test_what_is_not_installed_is_named_with_its_extra(capsys, monkeypatch, saved, command, package, extra):
    monkeypatch.setattr(
        "genmodels.__main__.module_of", lambda name: SimpleNamespace(add_arguments=lambda p: None, run=missing)
    )

    def missing(args):
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    code, _, err = run(capsys, command)
    assert code == 2
    assert err == (
        f"python -m genmodels {command}: {package} is not installed; `pip install 'genmodels[{extra}]'` brings it.\n"
    )


def test_psi_zero_makes_all_images_alike(capsys, saved, tmp_path):
    output = tmp_path / "grid.png"
    code, _, _ = run(capsys, "sample", saved["dcgan"], "--num_images", 2, "--psi", 0, "--output", output)
    assert code == 0
    pixels = np.asarray(Image.open(output))
    np.testing.assert_array_equal(pixels[2:34, 2:34], pixels[2:34, 36:68])


def test_steps_of_diffusion_are_chosen(capsys, saved, tmp_path):
    output = tmp_path / "grid.png"
    arguments = ["--num_images", 2, "--num_inference_steps", 3, "--output", output]
    assert run(capsys, "sample", saved["diffusion"], *arguments)[0] == 0
    expected = make_grid(load_pipeline(saved["diffusion"])(2, seed=0, num_inference_steps=3).images)
    np.testing.assert_array_equal(np.asarray(Image.open(output)), np.asarray(expected))


MISTAKES = [
    (
        "dcgan --num_inference_steps 5",
        "--num_inference_steps works for diffusion models only: {dcgan} is a DCGANPipeline.",
    ),
    (
        "diffusion --num_inference_steps 1001",
        "argument --num_inference_steps: must be a whole number from 1 to 1000, got '1001' (--help shows what is possible)",
    ),
    ("diffusion --psi 0.5", "--psi works for GANs and VAEs only: {diffusion} is a PixelDiffusionPipeline."),
    ("vae --class_labels 1", "--class_labels works for models with classes only: {vae} has none."),
    ("lapgan --class_labels 1", "--class_labels works for models with classes only: {lapgan} has none."),
    ("autoencoder --psi 0.5", "--psi works for GANs and VAEs only: {autoencoder} is a AutoencoderPipeline."),
    ("cgan --class_labels 9", "There is no class 9: give a number from 0 to 3 or one of ant, bee, cat, dog."),
    ("cgan --class_labels -1", "There is no class -1: give a number from 0 to 3 or one of ant, bee, cat, dog."),
    ("cgan --class_labels cow", "There is no class 'cow': give a number from 0 to 3 or one of ant, bee, cat, dog."),
    ("cgan --class_labels 1,2 --num_images 3", "Give one class label or one per image: 3 images, 2 labels."),
    ("dcgan --psi 2.5", "psi must be a number from 0 to 2, got 2.5."),
    ("dcgan --psi nan", "psi must be a number from 0 to 2, got nan."),
    ("dcgan --psi much", "argument --psi: must be a number, got 'much' (--help shows what is possible)"),
    (
        "dcgan --num_images 0",
        "argument --num_images: must be a whole number from 1 to 10000, got '0' (--help shows what is possible)",
    ),
    (
        "dcgan --num_images 10001",
        "argument --num_images: must be a whole number from 1 to 10000, got '10001' (--help shows what is possible)",
    ),
    (
        "dcgan --num_images 2.5",
        "argument --num_images: must be a whole number from 1 to 10000, got '2.5' (--help shows what is possible)",
    ),
    (
        "dcgan --seed -1",
        f"argument --seed: must be a whole number from 0 to {2**63 - 1}, got '-1' (--help shows what is possible)",
    ),
]


def test_a_class_of_thousands_of_digits_does_not_exist(capsys, saved, tmp_path):
    label = "9" * 5000
    code, _, err = run(capsys, "sample", saved["cgan"], "--class_labels", label, "--output", tmp_path / "grid.png")
    assert (code, "There is no class" in err, "Traceback" in err) == (2, True, False)


@pytest.mark.parametrize(("command", "sentence"), MISTAKES, ids=[command for command, _ in MISTAKES])
def test_mistakes_are_one_sentence(capsys, saved, tmp_path, command, sentence):
    kind, *options = command.split()
    output = tmp_path / "grid.png"
    code, out, err = run(capsys, "sample", saved[kind], *options, "--output", output)
    assert (code, out) == (2, "")
    assert err == f"python -m genmodels sample: {sentence.format(**saved)}\n"
    assert not output.exists()


def test_wrong_outputs_are_told_before_a_model_is_loaded(capsys, tmp_path):
    (tmp_path / "folder.png").mkdir()
    for output, sentence in (
        (tmp_path / "grid.txt", f"--output must end in .png, .webp, .jpg, .jpeg, got '{tmp_path}/grid.txt'."),
        (tmp_path / "no" / "a.png", f"--output is to lie in '{tmp_path}/no', which is not a folder: make it first."),
        (tmp_path / "folder.png", f"--output '{tmp_path}/folder.png' is a folder: name a file in it."),
    ):
        code, out, err = run(capsys, "sample", "no such model", "--output", output)
        assert (code, out, err) == (2, "", f"python -m genmodels sample: {sentence}\n")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="/proc is the folder in which not even root may write")
def test_unwritable_folder(capsys, saved):
    code, _, err = run(capsys, "sample", saved["vae"], "--output", "/proc/self/grid.png")
    assert code == 2
    assert err.startswith("python -m genmodels sample: ")
    assert err.count("\n") == 1
    assert "/proc/self" in err


def test_failed_write_leaves_the_old_file(capsys, saved, tmp_path, monkeypatch):
    output = tmp_path / "grid.png"
    output.write_bytes(b"old")

    def full_disk(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full_disk)
    code, _, err = run(capsys, "sample", saved["vae"], "--output", output)
    assert (code, err) == (2, f"python -m genmodels sample: '{output}' cannot be written: No space left on device.\n")
    assert output.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["grid.png"]


def test_damaged_weights(capsys, saved, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(saved["dcgan"], folder)
    weights = folder / "generator" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    code, out, err = run(capsys, "sample", folder, "--output", tmp_path / "a.png")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "broken" in err
    assert "Download or save it again" in err


def test_unknown_model_and_missing_arguments(capsys, tmp_path):
    code, _, err = run(capsys, "sample", "nonsense", "--output", tmp_path / "a.png")
    assert code == 2
    assert err.startswith("python -m genmodels sample: There is no model 'nonsense': ")
    for arguments in ((), ("sample",), ("sample", "vae-mnist"), ("paint",), ("list", "--all")):
        code, _, err = run(capsys, *arguments)
        assert code == 2
        assert err.count("\n") == 1


COMMANDS = ["list", "sample", "evaluate", "verify", "push", "push-dataset", "space", "space build", "space deploy"]


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_shows_the_command_s_own_examples(capsys, command):
    code, out, err = run(capsys, *command.split(), "--help")
    assert (code, err) == (0, "")
    shown = re.findall(r"^  python -m genmodels (.+)$", out, re.MULTILINE)
    assert shown
    assert all(f"{example} ".startswith(f"{command} ".lstrip()) for example in shown)


def test_help_of_sample_says_the_limits(capsys):
    out = run(capsys, "sample", "--help")[1]
    assert "1 to 10000" in out
    assert ".png" in out


def test_version(capsys):
    assert run(capsys, "--version") == (0, f"genmodels {__version__}\n", "")


def test_list_describes_every_model(capsys, saved, tmp_path, monkeypatch):
    for kind in saved:
        shutil.copytree(saved[kind], tmp_path / f"tiny-{kind}")
    card = {"model-index": [{"results": [{"metrics": [{"type": "fid", "name": "FID", "value": 22.84262}]}]}]}
    (tmp_path / "tiny-cgan" / "README.md").write_text(f"---\n{json.dumps(card)}\n---\n# A card\n")
    monkeypatch.setattr(zoo, "ROOT", tmp_path)
    code, out, err = run(capsys, "list")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert rows == [
        ["NAME", "KIND", "IMAGES", "CLASSES", "MEASURED"],
        ["tiny-autoencoder", "Autoencoder", "28x28", "grey", "-"],
        ["tiny-cgan", "CGAN", "16x16", "grey", "4", "FID", "22.84"],
        ["tiny-dcgan", "DCGAN", "32x32", "colour", "-"],
        ["tiny-diffusion", "PixelDiffusion", "16x16", "grey", "-"],
        ["tiny-gan", "VanillaGAN", "28x28", "grey", "-"],
        ["tiny-lapgan", "LAPGAN", "32x32", "colour", "-"],
        ["tiny-vae", "VAE", "28x28", "grey", "-"],
        ["tiny-wgan", "WGAN", "32x32", "colour", "-"],
    ]


def test_cards_without_numbers_have_no_headline(tmp_path):
    card = tmp_path / "README.md"
    assert read_headline(card) == ""
    for text in ("# no metadata\n", "---\nlicense: mit\n---\ntext\n", "---\n---\n"):
        card.write_text(text)
        assert read_headline(card) == ""


def test_module_runs_as_a_command():
    done = run_fresh_python("-m", "genmodels", "list")
    assert done.returncode == 0
    assert done.stderr == ""
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["NAME", *zoo.model_names()]


@pytest.mark.slow
def test_evaluate_prints_and_writes_the_numbers_beside_a_baseline(capsys, tmp_path, few_digits, quick_measures):
    folder = tmp_path / "gan"
    shutil.copytree(zoo.model_folder("wgan-mnist"), folder)
    outputs = ["--json", tmp_path / "numbers.json", "--write_card"]
    code, out, _ = run(capsys, "evaluate", folder, "--dataset_name", few_digits, "--baseline", "wgan-mnist", *outputs)
    assert code == 0
    written = json.loads((folder / "evaluation.json").read_text())
    assert written == json.loads((tmp_path / "numbers.json").read_text())
    metrics = {row["metric"]: row for row in written["metrics"]}
    assert all(row["baseline"] == row["value"] for row in metrics.values())
    assert metrics["recall"]["value"] > 0.2
    table = out.split("\n\n", 1)[1].split("\n\n")[0]
    assert table in (folder / "README.md").read_text()
    assert "n = 200 " in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["no-such-model"], "There is no model 'no-such-model'"),
        (["cgan-mnist", "--dataset_name", "zoo:nothing"], "There is no built-in sample 'zoo:nothing'"),
        (["cgan-mnist", "--dataset_name", "zoo:mnist-sample", "--classes", "ten"], "has no class 'ten'"),
        (["name/model", "--write_card"], "--write_card writes into a folder"),
    ],
)
def test_evaluate_answers_mistakes_with_one_sentence(capsys, arguments, sentence):
    code, _, err = run(capsys, "evaluate", *arguments)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err
