"""`python -m genmodels export`: what it prints and writes, and one sentence for each mistake."""

from __future__ import annotations

import json
import os
import re
import sys

import pytest

from genmodels.__main__ import main


def run(capsys, *args: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one export."""
    try:
        code = main(["export", *map(str, args)])
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


@pytest.mark.slow
def test_it_prints_what_it_writes_and_replaces_its_own(capsys, saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gan-onnx").mkdir()
    code, out, err = run(capsys, saved["gan"])
    assert (code, err) == (0, "")
    files = ["README.md", "discriminator.onnx", "export.json", "generator.onnx"]
    assert sorted(os.listdir("gan-onnx")) == files
    head, *rows, last = out.splitlines()
    assert head.split() == ["FILE", "BYTES", "WEIGHTS", "OUTPUT", "DIFFERENCE", "ALLOWED"]
    facts = json.loads((tmp_path / "gan-onnx/export.json").read_text())
    for row, (name, output) in zip(rows, {"generator": "pixel_values", "discriminator": "scores"}.items(), strict=True):
        size = (tmp_path / f"gan-onnx/{name}.onnx").stat().st_size
        assert row.split()[:4] == [f"{name}.onnx", f"{size:,}", "float16", output]
        assert facts["networks"][name]["bytes"] == size
    assert last == "gan-onnx: 2 networks, 0.1 MB, compared with torch; README.md there shows how to draw."
    # No path of the user's, which is no name for others.
    assert facts["model"]["id"] is None
    assert str(saved["gan"]) not in (tmp_path / "gan-onnx/export.json").read_text()
    assert run(capsys, saved["gan"])[0] == 0
    assert os.listdir(tmp_path) == ["gan-onnx"]
    (tmp_path / "gan-onnx/mine.txt").write_text("mine")
    code, out, err = run(capsys, saved["gan"])
    assert (code, out) == (2, "")
    assert err == ("python -m genmodels export: 'gan-onnx' is not empty: name a folder that does not exist yet.\n")
    assert sorted(os.listdir("gan-onnx")) == sorted([*files, "mine.txt"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("nobody", "There is no model 'nobody': built in are"),
        ("cgan-mnsit", "There is no model 'cgan-mnsit': did you mean 'cgan-mnist'?"),
        ("cgan-mnist --output {tmp}/no/where", "is to lie in '{tmp}/no', which is not a folder: make it first."),
        ("cgan-mnist --output {tmp}/file", "'{tmp}/file' is a file: name a folder that does not exist yet."),
        (
            "cgan-mnist --output {tmp}",
            "'{tmp}' is not empty: name a folder that does not exist yet.",
        ),
        ("cgan-mnist --format pb", "argument --format: invalid choice: 'pb'"),
        (
            "cgan-mnist --num_inference_steps 4 --output {tmp}/x",
            "--num_inference_steps is for models that draw in steps, and a",
        ),
        (
            "gan-mnist --class_weights --output {tmp}/x",
            "--class_weights is for models that draw with classes, and this one has",
        ),
        (
            "evaluator-mnist --class_weights --output {tmp}/x",
            "--class_weights is for models that draw with classes, and this",
        ),
    ],
)
def test_mistakes_are_one_sentence(capsys, tmp_path, arguments, message):
    (tmp_path / "file").write_text("")
    code, out, err = run(capsys, *arguments.format(tmp=tmp_path).split())
    assert (code, out) == (2, "")
    assert re.fullmatch(r"python -m genmodels export: [^\n]*\n", err)
    assert message.format(tmp=tmp_path) in err
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_library_is_named_with_its_extra(capsys, monkeypatch, tmp_path, package):
    monkeypatch.setitem(sys.modules, package, None)
    code, out, err = run(capsys, "gan-mnist", "--output", tmp_path / "x")
    assert (code, out) == (2, "")
    assert err == (
        f"python -m genmodels export: {package} is not installed; `pip install 'genmodels[onnx]'` brings it.\n"
    )
    assert not (tmp_path / "x").exists()
