"""The hosted Space: its settings are whole, its packages are those of the suite, and it starts as it would be uploaded."""

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
import yaml
from helpers import REPO
from suite_browser import free_port

SPACE = REPO / "spaces" / "suite"


def test_settings_match_the_pinned_packages():
    settings = yaml.safe_load((SPACE / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    pins = dict(line.split("==") for line in (SPACE / "requirements.txt").read_text().splitlines() if "==" in line)
    assert settings["sdk"] == "gradio"
    assert settings["sdk_version"] == pins["gradio"]
    assert (SPACE / settings["app_file"]).is_file()
    assert len(settings["short_description"]) <= 60
    assert (SPACE / "requirements.txt").read_text() == (REPO / "requirements.txt").read_text()


def test_the_space_answers_from_a_folder_of_its_own(tmp_path):
    shutil.copytree(SPACE, tmp_path, dirs_exist_ok=True)
    shutil.copytree(REPO / "genmodels", tmp_path / "genmodels", ignore=shutil.ignore_patterns("__pycache__"))
    port = free_port()
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "PYTHONPATH": ""}
    server = subprocess.Popen([sys.executable, "app.py"], cwd=tmp_path, env=environment)
    try:
        for _ in range(240):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
                    assert answer.status == 200
                    return
            except (urllib.error.URLError, ConnectionError):
                assert server.poll() is None, "the Space ended"
                time.sleep(0.5)
        pytest.fail("the Space did not answer within two minutes")
    finally:
        server.terminate()
        server.wait()
