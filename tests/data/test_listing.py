"""Folders and archives that people bring: which images, in which classes and splits, and what is left out."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import unicodedata
import zipfile
from pathlib import Path

import pytest
from helpers import run_fresh_python
from PIL import Image

from genmodels.data import load_images
from genmodels.data.listing import list_pictures, natural_key
from genmodels.errors import UserError


def png(value: int = 0) -> bytes:
    """A grey image of 16x16 pixels of one brightness."""
    data = io.BytesIO()
    Image.new("L", (16, 16), value).save(data, "PNG")
    return data.getvalue()


def numbered(*folders: str, count: int = 2, suffix: str = ".png") -> dict[str, bytes]:
    """`count` images in each folder; "" is the top."""
    return {(f"{folder}/" if folder else "") + f"{i}{suffix}": png(10 * i) for folder in folders for i in range(count)}


def write(root: Path, files: dict[str, bytes | str]) -> str:
    """Files by name; names with a slash at the end are folders."""
    for name, content in files.items():
        path = root / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(root)


def write_zip(path: Path, files: dict[str, bytes | str]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return str(path)


def write_tar(path: Path, files: dict[str, bytes | str], mode: str = "w") -> str:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return str(path)


CSV = "file_name,label\n0.png,dog\n1.png,cat\n"
FOLDERS = [
    # What the folder holds, its line, and its classes.
    ("flat", numbered(""), "2 images without classes", []),
    ("one", {"a.png": png()}, "1 image without classes", []),
    ("classes", numbered("dog", "cat"), "4 images in 2 classes", ["cat", "dog"]),
    ("one class", numbered("cat"), "2 images in 1 class", ["cat"]),
    ("a class called train", numbered("car", "train", "bike"), "6 images in 3 classes", ["bike", "car", "train"]),
    ("a class of trains", numbered("car", "bullet train"), "4 images in 2 classes", ["bullet train", "car"]),
    ("classes dev and test", numbered("dev", "test", "prod"), "6 images in 3 classes", ["dev", "prod", "test"]),
    ("test alone", numbered("test"), "2 images in 1 class", ["test"]),
    (
        "files named like splits",
        {"test shot.png": png(), "photo of a train.png": png(), "val-1.png": png()},
        "3 images without classes",
        [],
    ),
    ("files in classes", {"cat/test-001.png": png(), "dog/train.png": png()}, "2 images in 2 classes", ["cat", "dog"]),
    ("depth", numbered("cat/day", "cat/night", "dog/day"), "6 images in 2 classes", ["cat", "dog"]),
    ("uneven depth", numbered("cat", "dog", "dog/more"), "6 images in 2 classes", ["cat", "dog"]),
    ("splits", numbered("train/cat", "train/dog", "val/cat"), "4 images in 2 classes", ["cat", "dog"]),
    ("capital splits", numbered("Train/cat", "Testing/cat"), "2 images in 1 class", ["cat"]),
    ("splits without classes", numbered("train", count=3) | numbered("test"), "3 images without classes", []),
    ("splits one deeper", numbered("archive/train/cat", "archive/test/cat"), "2 images in 1 class", ["cat"]),
    ("splits two deeper", numbered("data/images/train/cat", "data/images/test/cat"), "2 images in 1 class", ["cat"]),
    ("training images two deeper", numbered("data/images/train"), "2 images without classes", []),
    (
        "splits and other folders",
        numbered("train/cat", "test/cat") | {"annotations/a.xml": "<a/>", "README.md": "x"},
        "2 images in 1 class",
        ["cat"],
    ),
    ("images and masks", numbered("images", "masks"), "4 images in 2 classes", ["images", "masks"]),
    (
        "numbers",
        numbered("0", "1", "2", "10", "11", "20", "-1", "other"),
        "16 images in 8 classes",
        ["-1", "0", "1", "2", "10", "11", "20", "other"],
    ),
    (
        "odd names",
        numbered("cat [old]", "what?", "C#", "dog%20x", "a,b; c", "my 'cat' \"x\"", "dög 🐶", "a::b", "n" * 200),
        "18 images in 9 classes",
        sorted(
            ["cat [old]", "what?", "C#", "dog%20x", "a,b; c", "my 'cat' \"x\"", "dög 🐶", "a::b", "n" * 200],
            key=natural_key,
        ),
    ),
    (
        "two forms of one name",
        numbered(unicodedata.normalize("NFC", "Bär"), unicodedata.normalize("NFD", "Bär")),
        "4 images in 1 class",
        [unicodedata.normalize("NFC", "Bär")],
    ),
    (
        "suffixes",
        {f"{i}{s}": png() for i, s in enumerate((".JPG", ".Jpeg", ".jfif", ".pgm", ".ppm", ".tiff", ".avif", ".webp"))},
        "8 images without classes",
        [],
    ),
    (
        "other kinds",
        numbered("") | {f"IMG_{i}.HEIC": "x" for i in range(3)} | {"0.txt": "a cat"},
        "2 images without classes; 4 files of other kinds left out (.heic, .txt)",
        [],
    ),
    (
        "what Pillow cannot decode",
        numbered("") | {"film.mpeg": "x", "a.eps": "x", "a.h5": "x"},
        "2 images without classes; 3 files of other kinds left out (.eps, .h5, .mpeg)",
        [],
    ),
    (
        "junk",
        numbered("cat", "dog")
        | {"cat/._0.png": "x", "cat/.DS_Store": "x", "cat/Thumbs.db": "x", "desktop.ini": "x", "__MACOSX/._1.png": "x"}
        | {".ipynb_checkpoints/0-checkpoint.png": png(), "@eaDir/0.png": png()},
        "4 images in 2 classes",
        ["cat", "dog"],
    ),
    (
        "an archive beside classes",
        numbered("cat", "dog") | {"backup.zip": "x", "backup.tar.gz": "x", "rows.parquet": "x"},
        "4 images in 2 classes; 3 files of other kinds left out (.parquet, .tar.gz, .zip)",
        ["cat", "dog"],
    ),
    (
        "an empty class",
        numbered("cat", "dog") | {"bird/": ""},
        "4 images in 2 classes; 1 folder without images",
        ["cat", "dog"],
    ),
    ("metadata.csv", numbered("") | {"metadata.csv": CSV}, "2 images in 2 classes", ["cat", "dog"]),
    ("with a mark", numbered("") | {"metadata.csv": "\ufeff" + CSV}, "2 images in 2 classes", ["cat", "dog"]),
    ("semicolons", numbered("") | {"metadata.csv": CSV.replace(",", ";")}, "2 images in 2 classes", ["cat", "dog"]),
    ("repeated rows", numbered("") | {"metadata.csv": CSV + "0.png,dog\n"}, "2 images in 2 classes", ["cat", "dog"]),
    (
        "floats",
        numbered("") | {"metadata.csv": "file_name,label\n0.png,10.0\n1.png,9.0\n"},
        "2 images in 2 classes",
        ["9", "10"],
    ),
    (
        "versions",
        numbered("") | {"metadata.csv": "file_name,label\n0.png,1.0\n1.png,1.5\n"},
        "2 images in 2 classes",
        ["1.0", "1.5"],
    ),
    ("folders as Hive names them", numbered("label=cat", "label=dog"), "4 images in 2 classes", ["cat", "dog"]),
    ("of several names", numbered("a=cat", "b=dog"), "4 images in 2 classes", ["a=cat", "b=dog"]),
    ("missing files", numbered("") | {"metadata.csv": CSV + "9.png,bird\n"}, "2 images in 2 classes", ["cat", "dog"]),
    (
        "missing rows",
        numbered("", count=3) | {"metadata.csv": CSV},
        "3 images without classes; label is known of 2 of 3 only",
        [],
    ),
    (
        "metadata.jsonl",
        numbered("") | {"metadata.jsonl": '{"file_name": "0.png", "label": 10}\n{"file_name": "1.png", "label": 2}\n'},
        "2 images in 2 classes",
        ["2", "10"],
    ),
    (
        "metadata of each split",
        numbered("train", "test") | {"train/metadata.csv": CSV, "test/metadata.csv": CSV},
        "2 images in 2 classes",
        ["cat", "dog"],
    ),
    (
        "captions beside classes",
        numbered("cat", "dog") | {"metadata.csv": "file_name,caption\ncat/0.png,a cat\n"},
        "4 images in 2 classes",
        ["cat", "dog"],
    ),
    (
        "another program's metadata.csv beside classes",
        numbered("cat", "dog") | {"metadata.csv": "id,age\n1,2\n"},
        "4 images in 2 classes; metadata.csv is not used: metadata.csv has no column file_name: its columns are id, age.",
        ["cat", "dog"],
    ),
    (
        "StyleGAN",
        numbered("00000") | {"dataset.json": json.dumps({"labels": [["00000/0.png", 6], ["00000/1.png", 10]]})},
        "2 images in 2 classes",
        ["6", "10"],
    ),
    (
        "StyleGAN one-hot",
        numbered("00000")
        | {"dataset.json": json.dumps({"labels": [["00000/0.png", [0, 1]], ["00000/1.png", [1, 0]]]})},
        "2 images in 2 classes",
        ["0", "1"],
    ),
    (
        "StyleGAN without labels",
        numbered("00000", "00001") | {"dataset.json": '{"labels": null}'},
        "4 images without classes",
        [],
    ),
    ("another dataset.json", numbered("a", "b") | {"dataset.json": "[]"}, "4 images in 2 classes", ["a", "b"]),
    ("many classes", numbered(*(f"n{i:04}" for i in range(1200)), count=1), "1,200 images in 1,200 classes", None),
]


@pytest.mark.parametrize(("files", "line", "classes"), [case[1:] for case in FOLDERS], ids=[c[0] for c in FOLDERS])
def test_folders(tmp_path, files, line, classes):
    listing = list_pictures(write(tmp_path, files))
    assert listing.summary() == line
    if classes is not None:
        assert listing.class_names == classes


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no images to train on: it is empty. Give a folder of images"),
        ({"notes.txt": "x", "a.heic": "x"}, "it holds 1 .heic, 1 .txt"),
        ({"train/": ""} | numbered("test"), "holds no images to train on: its folder train has none"),
        (numbered("", "cat"), "holds 2 images beside folders of images, first '0.png': move them"),
        (numbered("train", "train/cat"), "holds 2 images beside folders of images, first '0.png'"),
        (numbered("", "train", "test"), "2 images beside the folders of its splits, first '0.png'"),
        (numbered("train", "val", "validation"), "has the split validation twice, val and validation"),
        (
            numbered("") | {"metadata.csv": "name,label\n0.png,cat\n"},
            "no column file_name: its columns are name, label",
        ),
        (numbered("") | {"metadata.csv": CSV + "../x.png,cat\n"}, "names '../x.png' in line 4, which leads out"),
        (numbered("") | {"metadata.csv": CSV + "0.png,cat\n"}, "gives '0.png' two values of label"),
        (numbered("") | {"metadata.csv": b"file_name,label\n0.png,caf\xe9\n"}, "metadata.csv is not UTF-8 text"),
        (numbered("") | {"metadata.jsonl": "{]\n"}, "metadata.jsonl is no JSON in line 1"),
        (numbered("") | {"dataset.json": '{"labels": [["0.png"]]}'}, "pairs of a file name and a number, or null"),
        (numbered("") | {"dataset.json": '{"labels": [["0.png", 1]]}'}, "no label for 1 image, first '1.png'"),
    ],
)
def test_folders_of_no_use_get_a_sentence(tmp_path, files, message):
    with pytest.raises(UserError) as error:
        list_pictures(write(tmp_path, files)).pictures("train")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_splits_share_the_classes_of_train(tmp_path):
    folder = write(tmp_path, numbered("train/cat", "train/dog", "valid/dog", "test/bird"))
    listing = list_pictures(folder)
    assert {picture.class_name for picture in listing.pictures("val")} == {"dog"}
    assert load_images(folder, split="validation", num_workers=0).class_names == ["cat", "dog"]
    assert {label for batch in load_images(folder, split="dev").once() for label in batch["class_labels"].tolist()} == {
        1
    }
    with pytest.raises(UserError, match=r"The split test of .* has the classes bird, which train lacks"):
        listing.pictures("test")


def test_a_folder_without_splits_has_one(tmp_path):
    folder = write(tmp_path, numbered("cat", "dog"))
    with pytest.raises(
        UserError, match=r"has no split 'test': all its images are in the split 'train'\. Splits of a folder"
    ):
        load_images(folder, split="test")


def test_links_are_followed_once(tmp_path):
    write(tmp_path / "real", numbered("cat", "dog"))
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "cat").symlink_to(tmp_path / "real" / "cat")
    (linked / "dog").mkdir()
    (linked / "dog" / "a.png").symlink_to(tmp_path / "real" / "dog" / "0.png")
    (linked / "dog" / "gone.png").symlink_to(tmp_path / "gone.png")
    (linked / "dog" / "above").symlink_to(linked)
    listing = list_pictures(str(linked))
    assert listing.summary() == "3 images in 2 classes; 1 file of other kinds left out (broken links)"
    assert listing.leads_out == "cat" or listing.leads_out == "dog/a.png"
    (tmp_path / "root").symlink_to(tmp_path / "real")
    assert list_pictures(str(tmp_path / "root")).summary() == "4 images in 2 classes"
    assert list_pictures(str(tmp_path / "root")).leads_out is None


@pytest.mark.skipif(sys.platform != "linux", reason="needs file names of any bytes")
def test_names_that_are_no_utf8(tmp_path):
    (tmp_path / "caf").mkdir()
    (tmp_path / "caf" / "0.png").write_bytes(png())
    os.rename(tmp_path / "caf", os.fsencode(tmp_path) + b"/caf\xe9")
    assert list_pictures(str(tmp_path)).class_names == ["café"]
    assert len(list(load_images(str(tmp_path), num_workers=0).once())) == 1


ARCHIVES = [
    ("classes", numbered("cat", "dog"), "4 images in 2 classes", ["cat", "dog"]),
    ("flat", numbered(""), "2 images without classes", []),
    ("one folder around", numbered("all/cat", "all/dog"), "4 images in 2 classes", ["cat", "dog"]),
    ("its own name around", numbered("photos"), "2 images without classes", []),
    ("one class", numbered("cat"), "2 images in 1 class", ["cat"]),
    ("splits", numbered("data/train/cat", "data/test/cat"), "2 images in 1 class", ["cat"]),
    ("a dot", numbered("./cat", "./dog"), "4 images in 2 classes", ["cat", "dog"]),
    (
        "junk of a Mac",
        numbered("photos/cat", "photos/dog") | {"__MACOSX/photos/cat/._0.png": "x"},
        "4 images in 2 classes",
        ["cat", "dog"],
    ),
    ("metadata", numbered("") | {"metadata.csv": CSV}, "2 images in 2 classes", ["cat", "dog"]),
    (
        "StyleGAN",
        numbered("00000") | {"dataset.json": json.dumps({"labels": [["00000/0.png", 6], ["00000/1.png", 10]]})},
        "2 images in 2 classes",
        ["6", "10"],
    ),
    (
        "WebDataset cls",
        {"0.jpg": png(), "0.cls": "3", "1.jpg": png(), "1.cls": "12"},
        "2 images in 2 classes",
        ["3", "12"],
    ),
    (
        "WebDataset json",
        {"a/0.png": png(), "a/0.json": '{"label": 1}', "a/1.png": png(), "a/1.json": '{"label": 0}'},
        "2 images in 2 classes",
        ["0", "1"],
    ),
]


@pytest.mark.parametrize("kind", [".zip", ".tar", ".tar.gz"])
@pytest.mark.parametrize(("files", "line", "classes"), [case[1:] for case in ARCHIVES], ids=[c[0] for c in ARCHIVES])
def test_archives(tmp_path, kind, files, line, classes):
    path = tmp_path / f"photos{kind}"
    write_zip(path, files) if kind == ".zip" else write_tar(path, files, "w:gz" if kind == ".tar.gz" else "w")
    # As itself, and alone in a folder.
    for source in (path, tmp_path):
        listing = list_pictures(str(source))
        assert (listing.summary(), listing.class_names) == (line, classes)
    stream = load_images(str(path), batch_size=8, num_workers=1)
    (batch,) = stream.once()
    assert len(batch["pixel_values"]) == stream.num_images
    # Each image is the one of its name.
    values = ((batch["pixel_values"][:, 0, 0, 0] + 1) * 12.75).round().int().tolist()
    if not classes or files.keys().isdisjoint({"0.cls", "a/0.json"}):
        assert values == [int(picture.name[-5]) for picture in listing.pictures("train")]


def test_several_archives_are_classes_splits_or_parts(tmp_path):
    for name, files, line, classes in (
        ("classes", {"cat.zip": numbered(""), "dog.zip": numbered("dog")}, "4 images in 2 classes", ["cat", "dog"]),
        ("splits", {"train.zip": numbered("cat"), "test.zip": numbered("cat")}, "2 images in 1 class", ["cat"]),
        ("parts", {"p-0.zip": numbered("cat"), "p-1.zip": numbered("dog")}, "4 images in 2 classes", ["cat", "dog"]),
    ):
        (tmp_path / name).mkdir()
        for archive, content in files.items():
            write_zip(tmp_path / name / archive, content)
        listing = list_pictures(str(tmp_path / name))
        assert (listing.summary(), listing.class_names) == (line, classes), name
    shards = tmp_path / "shards"
    shards.mkdir()
    for i, split in enumerate(("train", "train", "val")):
        write_tar(shards / f"x-{split}-{i}.tar", {"0.png": png(i), "0.cls": str(i % 2)})
    listing = list_pictures(str(shards))
    assert (listing.summary(), len(listing.pictures("val"))) == ("2 images in 2 classes", 1)


def link_in_tar(path: Path, target: str) -> None:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("cat/0.png")
        info.type, info.linkname = tarfile.SYMTYPE, target
        archive.addfile(info)


@pytest.mark.parametrize("name", ["../x.png", "/etc/x.png", "a/../../x.png"])
@pytest.mark.parametrize("kind", [".zip", ".tar"])
def test_members_that_lead_out_are_refused(tmp_path, kind, name):
    path = tmp_path / f"photos{kind}"
    (write_zip if kind == ".zip" else write_tar)(path, {"0.png": png(), name: png()})
    with pytest.raises(UserError, match=r"has a member .*, which leads out of the archive"):
        list_pictures(str(path))


def test_archives_are_harmless(tmp_path):
    (tmp_path / "secret.png").write_bytes(png(99))
    link_in_tar(tmp_path / "links.tar", str(tmp_path / "secret.png"))
    with pytest.raises(UserError, match="holds no images to train on: it holds 1 broken links"):
        list_pictures(str(tmp_path / "links.tar"))
    for name, content, message in (
        ("broken.zip", b"PK not", "cannot be read as an archive"),
        ("broken.tar", b"not a tar" * 100, "cannot be read as an archive"),
        ("broken.tar.gz", b"\x1f\x8b not", "cannot be read as an archive"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=message):
            list_pictures(str(tmp_path / name))


def test_a_member_that_unpacks_to_anything_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("genmodels.data.archives.MAX_MEMBER_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.png", bytes(100_000))
    with pytest.raises(UserError, match=r"0\.png cannot be read as an image \(it unpacks to"):
        load_images(str(tmp_path / "bomb.zip"), num_workers=0)


def test_an_encrypted_archive_gets_a_sentence(tmp_path):
    path = tmp_path / "photos.zip"
    write_zip(path, {"0.png": png()})
    data = bytearray(path.read_bytes())
    # Bit 0 of the flags, in the local and in the central header.
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match="is encrypted: unpack it"):
        list_pictures(str(path))


def test_the_listing_loads_neither_torch_nor_datasets():
    code = (
        "import sys\nfrom genmodels.data.listing import list_pictures\nprint({'torch', 'datasets'} & set(sys.modules))"
    )
    done = run_fresh_python("-c", code)
    assert done.stdout.strip() == "set()", done.stderr


def test_other_data_have_another_fingerprint(tmp_path):
    folder = write(tmp_path / "a", numbered("cat", "dog"))
    before = list_pictures(folder).fingerprint()
    assert list_pictures(write(tmp_path / "b", numbered("cat", "dog"))).fingerprint() == before
    (tmp_path / "a" / "cat" / "0.png").write_bytes(png() + b"more")
    assert list_pictures(folder).fingerprint() != before


def test_archives_of_windows_have_its_separator(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name, content in numbered("cat", "dog").items():
            archive.writestr(name.replace("/", "\\"), content)
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        for name, content in numbered("cat", "dog").items():
            info = tarfile.TarInfo(name.replace("/", "\\"))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    for name in ("photos.zip", "photos.tar"):
        stream = load_images(tmp_path / name, num_workers=0, batch_size=4)
        assert (stream.class_names, stream.num_images) == (["cat", "dog"], 4)
        assert next(stream.once())["class_labels"].tolist() == [0, 0, 1, 1]
    with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
        archive.writestr("..\\..\\0.png", png())
    with pytest.raises(UserError, match="leads out of the archive"):
        load_images(tmp_path / "out.zip")


def test_what_a_decoder_leaves_half_done_is_a_sentence(tmp_path):
    """Pillow's ICNS has colours of a palette that it does not keep."""
    Image.new("P", (16, 16), 0).save(tmp_path / "a.icns")
    stream = load_images(tmp_path, num_workers=0, sample_size=16)
    with pytest.raises(UserError, match=r"a\.icns cannot be read as an image"):
        list(stream.once())
