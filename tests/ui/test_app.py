"""`python app.py` with wrong arguments: one sentence, no traceback."""

from __future__ import annotations

import argparse
import runpy
import socket
import sys

import pytest
from helpers import REPO, free_port, run_fresh_python

from genmodels.commands import app

APP = REPO / "app.py"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--models", "no/such/folder/here"], "there is no such folder"),
        (["--models", str(APP)], "that is a file"),
        (["--models", str(REPO / "tests")], "model_index.json"),
        (["--port", "0"], "1 to 65535"),
        (["--port", "99999"], "1 to 65535"),
        (["--port", "abc"], "invalid int value"),
        (["--host", "256.1.1.1"], "Cannot listen on 256.1.1.1"),
        (["--modles", "x"], "unrecognized arguments"),
    ],
)
def test_wrong_arguments_are_one_sentence(arguments, says, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["app.py", "--port", str(free_port()), *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(APP), run_name="__main__")
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert says in error
    assert len([line for line in error.splitlines() if line.startswith("app.py: ")]) == 1


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    app.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("host", "root_path", "address"),
    [
        ("127.0.0.1", "", "http://127.0.0.1:7861"),
        ("0.0.0.0", "", "http://127.0.0.1:7861"),
        ("::1", "", "http://[::1]:7861"),
        ("::", "", "http://[::1]:7861"),
        ("mybox", "/app/", "http://mybox:7861/app"),
        ("127.0.0.1", "https://a.example/app", "https://a.example/app"),
    ],
)
def test_the_address_is_one_that_a_browser_opens(host, root_path, address):
    assert app.address_of(host, 7861, root_path) == address


def test_gradios_own_variables_are_defaults(monkeypatch):
    for arguments, host, port in ([], "::1", 7999), (["--host", "[::]", "--port", "1234"], "::", 1234):
        monkeypatch.setenv("GRADIO_SERVER_NAME", "::1")
        monkeypatch.setenv("GRADIO_SERVER_PORT", "7999")
        options = parse(arguments)
        assert (options.host, options.port) == (host, port)
    monkeypatch.delenv("GRADIO_SERVER_NAME", raising=False)
    monkeypatch.delenv("GRADIO_SERVER_PORT", raising=False)
    assert (parse([]).host, parse([]).port) == ("127.0.0.1", 7860)


def test_a_wrong_port_in_the_environment_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setenv("GRADIO_SERVER_PORT", "many")
    with pytest.raises(SystemExit):
        parse([])
    assert "invalid int value: 'many'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_busy_port_is_one_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run_fresh_python(str(APP), "--port", str(port))
    assert result.returncode == 2
    assert f"Cannot listen on 127.0.0.1 port {port}" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1
