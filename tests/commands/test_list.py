"""The list of built-in models shows a damaged one as broken, and goes on."""

from __future__ import annotations

import shutil

import pytest

from genmodels import zoo
from genmodels.__main__ import main


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("README.md", b"---\na: [\n---\n", "README.md is broken"),
        ("README.md", b"---\n- a list\n---\n", "README.md is broken"),
        ("README.md", b"---\nmodel-index: 5\n---\n", "README.md is broken"),
        (
            "README.md",
            b"---\nmodel-index: [{results: [{metrics: [{type: fid, value: low}]}]}]\n---\n",
            "README.md is broken",
        ),
        ("README.md", b"---\n\xff\n---\n", "README.md is broken"),
        ("generator/config.json", b'{"sample_size": Infinity, "num_channels": 1}', "  broken  "),
        ("generator/config.json", b"{", "  broken  "),
        ("model_index.json", b"{", "  broken  "),
    ],
)
def test_a_damaged_model_is_broken_in_its_row(capsys, tmp_path, monkeypatch, file, content, said):
    for name in ("a-damaged", "b-whole"):
        kept_out = shutil.ignore_patterns("*.safetensors")
        shutil.copytree(zoo.ROOT / "cgan-emoji", tmp_path / name, ignore=kept_out)
    (tmp_path / "a-damaged" / file).write_bytes(content)
    monkeypatch.setattr(zoo, "ROOT", tmp_path)
    assert main(["list"]) == 0
    _, damaged, whole = capsys.readouterr().out.splitlines()
    assert damaged.startswith("a-damaged")
    assert said in damaged
    assert whole.startswith("b-whole")
    assert "broken" not in whole


def test_images_are_told_by_their_colours_and_what_they_show(capsys):
    assert main(["list"]) == 0
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "32x32 colour and opacity, noto-emoji " in rows["cgan-emoji"]
    assert "28x28 grey, mnist " in rows["cgan-mnist"]
    assert "32x32 colour, cifar10 " in rows["dcgan-cifar10-frogs"]
