"""`genmodels space build static`: what is wrong is said before anything is exported, and leaves nothing."""

from __future__ import annotations

import pytest
import yaml
from helpers import REPO

from genmodels.__main__ import main
from genmodels.commands.space import build_static
from genmodels.errors import UserError


def test_its_card_says_static():
    settings = yaml.safe_load((REPO / "spaces" / "static" / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert (settings["sdk"], settings["app_file"], settings["license"]) == ("static", "index.html", "apache-2.0")
    assert len(settings["short_description"]) <= 60


def test_without_npm_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(UserError, match=r"no npm.*install Node\.js"):
        build_static(tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_it_replaces_no_folder(tmp_path):
    (tmp_path / "kept").write_text("kept")
    with pytest.raises(UserError, match="not empty"):
        build_static(tmp_path)


def test_hardware_is_not_its_business(tmp_path, capsys):
    assert main(["space", "build", "static", str(tmp_path / "out"), "--zero_gpu"]) == 2
    assert "leave out --zero_gpu" in capsys.readouterr().err
