"""Datasets on the Hub open nothing but their own files at one commit, and folders of images there are listed as they are here."""

from __future__ import annotations

import io
import json
import tarfile

import pandas
import pytest
from helpers import run_python
from huggingface_hub import CommitOperationAdd, HfApi
from PIL import Image

READ = """
import json, sys
from genmodels.data import load_images
from genmodels.errors import UserError
for options in json.loads(sys.argv[1]):
    try:
        stream = load_images(num_workers=0, batch_size=100, **options)
        (batch,) = stream.once()
        values = ((batch["pixel_values"][:, 0, 0, 0] + 1) * 127.5).round().int().tolist()
        print(json.dumps([values, stream.class_names, stream.summary, stream.fingerprint]))
    except UserError as error:
        print(json.dumps(str(error)))
"""


def png(value: int) -> bytes:
    data = io.BytesIO()
    Image.new("L", (16, 16), value).save(data, "PNG")
    return data.getvalue()


def rows(*paths: str) -> bytes:
    """Parquet of images that are named, not contained."""
    data = io.BytesIO()
    pandas.DataFrame({"image": [{"bytes": None, "path": path} for path in paths]}).to_parquet(data)
    return data.getvalue()


@pytest.fixture(scope="module")
def push(hub):
    """Push files as a dataset; returns its commit."""

    def push(name: str, files: dict[str, bytes], private: bool = False) -> str:
        api = HfApi(endpoint=hub.endpoint, token=hub.tokens["alice"])
        api.create_repo(f"alice/{name}", repo_type="dataset", private=private, exist_ok=True)
        operations = [CommitOperationAdd(path, data) for path, data in files.items()]
        return api.create_commit(f"alice/{name}", operations, commit_message="Add", repo_type="dataset").oid

    return push


@pytest.fixture
def read(hub, tmp_path):
    """What a fresh process reads of datasets, given as arguments of `load_images`."""

    def read(*options: dict) -> list:
        done = run_python("-c", READ, json.dumps(options), env=hub.env(tmp_path / "home"))
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("[", '"'))]

    return read


def test_rows_open_files_of_their_own_dataset_at_its_commit(push, read):
    first = push("own", {"images/a.png": png(7)})
    commit = push("own", {"images/a.png": png(9), "train.parquet": rows("images/a.png")})
    pinned = push("own-address", {"images/a.png": png(5), "train.parquet": rows("images/a.png")})
    push("own-address", {"test.parquet": rows(f"hf://datasets/alice/own-address@{pinned}/images/a.png")})
    (own, elsewhere, unknown) = read(
        {"source": "alice/own"},
        {"source": "alice/own-address", "split": "test"},
        {"source": "alice/own", "revision": "no-such-branch"},
    )
    assert (own[0], own[3]) == ([9], commit)
    # Of the same repository, at another commit.
    assert "only files of the dataset itself are opened" in elsewhere
    assert unknown == "The dataset 'alice/own' has no revision 'no-such-branch': give a commit, branch or tag."
    assert first != commit


def test_rows_open_nothing_else(push, read, tmp_path, hub):
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(200))
    push("private", {"x.png": png(1)}, private=True)
    paths = [
        str(secret),
        f"file://{secret}",
        "../private/x.png",
        "images/../../../private/x.png",
        "hf://datasets/alice/private/x.png",
        f"{hub.endpoint}/datasets/alice/private/resolve/main/x.png",
        f"zip://x.png::{secret}",
        "reference://x",
        "ftp://127.0.0.1/x.png",
    ]
    for i, path in enumerate(paths):
        push(f"hostile-{i}", {"train.parquet": rows(path)})
    answers = read(*({"source": f"alice/hostile-{i}"} for i in range(len(paths))))
    for path, answer in zip(paths, answers, strict=True):
        assert isinstance(answer, str), path
        assert "only files of the dataset itself are opened" in answer, path
        assert "\n" not in answer


def test_cards_name_no_data_elsewhere(push, read, tmp_path):
    elsewhere = tmp_path / "elsewhere.parquet"
    elsewhere.write_bytes(rows("a.png"))
    paths = [
        str(elsewhere),
        "../private/x.parquet",
        "hf://datasets/alice/private/x.parquet",
        "https://127.0.0.1:9/x.parquet",
    ]
    for i, path in enumerate(paths):
        card = f"---\nconfigs:\n- config_name: default\n  data_files: {json.dumps(path)}\n---\n"
        push(f"card-{i}", {"README.md": card.encode(), "train.parquet": rows("a.png")})
    for answer in read(*({"source": f"alice/card-{i}"} for i in range(len(paths)))):
        assert "The README.md of the dataset names the data files" in answer


def test_folders_of_images_are_listed_as_they_are_here(push, read):
    files = {f"{name}/{i}.png": png(10 * i) for name in ("10", "2", "train") for i in range(2)}
    push("folders", {**files, "notes.txt": b"x"})
    archive = io.BytesIO()
    import zipfile

    with zipfile.ZipFile(archive, "w") as zipped:
        for name, data in files.items():
            zipped.writestr(f"photos/{name}", data)
    push("zipped", {"photos.zip": archive.getvalue()})
    folders, zipped = read({"source": "alice/folders"}, {"source": "alice/zipped"})
    assert folders[:2] == zipped[:2] == [[0, 10] * 3, ["2", "10", "train"]]
    assert folders[2] == "6 images in 3 classes; 1 file of other kinds left out (.txt)"


def packed(members: dict[str, bytes], mode: str = "w") -> bytes:
    """A tar archive."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def test_archives_on_the_hub_are_listed_as_they_are_here(push, read):
    folders = {f"{kind}/{i}.png": png(i + (100 if kind == "dog" else 0)) for kind in ("cat", "dog") for i in range(2)}
    push("tar-folders", {"photos.tar": packed(folders)})
    push("tar-two", {"cat.tar": packed({"0.png": png(0)}), "dog.tar.gz": packed({"0.png": png(100)}, "w:gz")})
    push("tar-splits", {f"{split}.tar": packed(folders) for split in ("train", "test")})
    labels = {"metadata.csv": b"file_name,label\n0.png,cat\n1.png,dog\n", "0.png": png(0), "1.png": png(100)}
    push("tar-labels", {"a.tar": packed(labels)})
    samples = {f"{i:03}.{end}": data for i in range(3) for end, data in (("cls", b"%d" % (i % 2)), ("png", png(i)))}
    push("tar-samples", {"000.tar": packed(samples)})
    in_folders, in_archives, in_splits, in_file, in_samples, of_samples = read(
        {"source": "alice/tar-folders"},
        {"source": "alice/tar-two"},
        {"source": "alice/tar-splits", "split": "test"},
        {"source": "alice/tar-labels"},
        {"source": "alice/tar-samples"},
        {"source": "alice/tar-samples", "label_column": "cls"},
    )
    assert in_folders[:3] == [[0, 1, 100, 101], ["cat", "dog"], "4 images in 2 classes"]
    assert in_archives[:2] == [[0, 100], ["cat", "dog"]]
    assert in_splits[:2] == [[0, 1, 100, 101], ["cat", "dog"]]
    assert in_file[:2] == [[0, 100], ["cat", "dog"]]
    # Streamed: what the samples are is known as they come.
    assert in_samples[::2] == [[0, 1, 2], None]
    assert of_samples[:2] == [[0, 1, 2], ["0", "1"]]
