"""What visitors' browsers compute with: found, compared with the models on show, and served."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import subprocess
import tarfile

import pytest
from helpers import REPO, run_coroutine

from genmodels.errors import UserError
from genmodels.ui.in_page import engine, files
from genmodels.ui.models import ModelStore, weights_digest

MODULE = b"export {};"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with an engine of a few bytes, and an index of one model."""
    contents = {name: MODULE + name.encode() for name in engine.FILES}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in contents.items()}
    monkeypatch.setattr(engine, "FILES", digests)
    for name, data in contents.items():
        path = tmp_path / "page" / "engine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "page" / "models").mkdir()
    (tmp_path / "page" / "models" / "index.json").write_text("[]")
    (tmp_path / "secret.json").write_text("{}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("GENMODELS_PAGE", raising=False)
    monkeypatch.chdir(tmp_path / "page" / "models")
    return tmp_path / "page"


def answer(folder, path: str, headers=()) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what lies behind a path."""
    sent = []

    async def passed_on(scope, receive, send):
        await send({"type": "http.response.start", "status": 299, "headers": []})

    async def send(message):
        sent.append(message)

    async def receive():
        await asyncio.Event().wait()

    scope = {"type": "http", "method": "GET", "path": path, "headers": list(headers)}
    run_coroutine(files.PageFiles(passed_on, folder)(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:])


def test_the_folder_is_found(folder, tmp_path, monkeypatch):
    assert files.find_page() is None
    assert files.find_page(folder) == folder
    monkeypatch.setenv("GENMODELS_PAGE", str(folder))
    assert files.find_page() == folder
    monkeypatch.delenv("GENMODELS_PAGE")
    monkeypatch.chdir(tmp_path)
    assert files.find_page().resolve() == folder
    (folder / "engine" / next(iter(engine.FILES))).write_bytes(b"another")
    assert files.find_page() is None
    with pytest.raises(UserError, match=r"is no folder of a page that computes: let .* app --prepare_page"):
        files.find_page(folder)


def test_its_files_are_served_and_nothing_else(folder):
    name = "ort.wasm.bundle.min.mjs"
    status, headers, body = answer(folder, f"{files.ROUTE}0123/engine/{name}")
    assert (status, body) == (200, MODULE + name.encode())
    assert headers["content-type"].startswith("text/javascript")
    assert "immutable" in headers["cache-control"]
    status, headers, body = answer(folder, f"{files.ROUTE}0123/engine/{name}", [(b"accept-encoding", b"br, gzip")])
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == MODULE + name.encode()
    assert answer(folder, f"{files.ROUTE}0123/models/index.json")[0] == 200
    (folder / "models" / "notes.txt").write_text("private")
    for path in ("secret.json", "models/../../secret.json", "../secret.json", "models/notes.txt", "models", ""):
        assert answer(folder, f"{files.ROUTE}0123/{path}")[0] == 404, path
    assert answer(None, f"{files.ROUTE}0123/engine/{name}")[0] == 404
    assert answer(folder, "/assets/x.js")[0] == 299


def entry(store: ModelStore, kind: str) -> dict:
    model = store.models[kind]
    return {
        "name": model.key,
        "folder": model.key,
        "kind": kind,
        "main": True,
        "weights": weights_digest(model.folder),
    }


def test_only_models_with_the_weights_on_show_are_used(folder):
    store = ModelStore()
    entries = [entry(store, "map"), {**entry(store, "samples"), "weights": "0" * 64}]
    entries += [
        {"name": "real-map", "folder": "real-map", "kind": "sample", "of": ["map"]},
        {"name": "real-samples", "folder": "real-samples", "kind": "sample", "of": ["samples"]},
        {**entry(store, "classes"), "main": False},
    ]
    (folder / "models" / "index.json").write_text(json.dumps(entries))
    here = files.usable(store, folder)
    assert here["models"] == ["vae-mnist", "real-map"]
    assert here["root"].startswith("in_page/")
    (folder / "models" / "index.json").write_text("{torn")
    assert files.usable(store, folder) is None


def archive_of(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def test_npm_brings_the_engine_once(folder, tmp_path, monkeypatch):
    whole = {name: (folder / "engine" / name).read_bytes() for name in engine.FILES}
    brought = []

    def pack(command, cwd, **_):
        brought.append(command)
        (engine.Path(cwd) / "x.tgz").write_bytes(archive_of(content))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(engine.subprocess, "run", pack)
    monkeypatch.setattr(engine.shutil, "which", lambda name: f"/bin/{name}")
    content = {**whole, next(iter(whole)): b"another"}
    with pytest.raises(UserError, match="npm brought another onnxruntime-web"):
        engine.bring_engine(tmp_path / "a")
    assert not engine.is_engine(tmp_path / "a")
    content = whole
    assert engine.is_engine(engine.bring_engine(tmp_path / "a"))
    assert engine.is_engine(engine.bring_engine(tmp_path / "b"))
    assert len(brought) == 2
    assert brought[0][1:3] == ["pack", f"onnxruntime-web@{engine.VERSION}"]


def test_without_npm_it_is_said_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(engine.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"There is no npm, which brings onnxruntime-web, .*: install Node.js"):
        engine.bring_engine(tmp_path / "engine")


def test_the_engine_is_the_one_that_tests_run():
    package = json.loads((REPO / "package.json").read_text())
    assert package["devDependencies"][engine.PACKAGE] == engine.VERSION
