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
from helpers import REPO, make_pipeline, run_coroutine

from genmodels.errors import UserError
from genmodels.folder import check_output
from genmodels.ui.in_page import engine, files
from genmodels.ui.in_page.models import folder_name
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


def test_folders_of_models_are_plain_and_no_two_are_one(tmp_path):
    """Of signs outside of ASCII nothing is left, and there are file systems without capital letters."""
    found = []
    for name in ("猫", "犬", "alice/a-b", "alice-a/b", "Alice/a-b", "..", "x" * 300, "x" * 301, "<b>&'\""):
        found.append(folder_name(tmp_path, name))
        (tmp_path / found[-1]).mkdir()
    assert found[:6] == ["model", "model-2", "alice-a-b", "alice-a-b-2", "Alice-a-b-3", "model-3"]
    assert len({name.lower() for name in found}) == len(found)
    assert all(name.isascii() and len(name) < 70 for name in found)


def test_only_a_page_is_written_over(folder, tmp_path):
    check_output(folder, files.holds_page)
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty: name a folder that does not exist yet"):
        check_output(folder, files.holds_page)
    with pytest.raises(UserError, match="is a file"):
        check_output(folder / "mine.txt")
    with pytest.raises(UserError, match="make it first"):
        check_output(tmp_path / "no" / "page")


def test_models_of_a_folder_are_called_by_their_names_in_a_page_for_others(tmp_path):
    for place in ("runs/one/model", "runs/two"):
        make_pipeline("gan").save_pretrained(tmp_path / place)
    store = ModelStore(str(tmp_path / "runs"), tabs=("samples",))
    assert [model.title for model in store.gallery] == ["one", "two"]
    assert store.gallery[0].name == str(tmp_path / "runs/one/model")
    store.forget_places()
    assert [(model.name, model.key, model.title) for model in store.gallery] == [(n, n, n) for n in ("one", "two")]
