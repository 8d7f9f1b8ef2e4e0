"""What goes up is of a few kinds, lies in its folder, and holds neither code that loading runs nor a secret."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import pickle
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from safetensors.torch import load_file, save_file

from genmodels.commands.push_dataset import read_picture
from genmodels.commands.space import STATIC_KINDS, build_space, package_files
from genmodels.data.listing import Picture
from genmodels.errors import UserError
from genmodels.hub import push
from genmodels.hub.contents import CHECKPOINT_KINDS, DATASET_KINDS, MODEL_KINDS, check_files, files_of
from genmodels.hub.standalone import add_code, carried_files

# None of them is anybody's.
SECRETS = {
    "a token for the Hub": "hf_" + "aB3" * 12,
    "a GitHub token": "ghp_" + "aB3" * 12,
    "an API key": "sk-proj-" + "aB3_" * 12,
    "a key for Weights & Biases": "WANDB_API_KEY=" + "0a1b2c3d4e" * 4,
    "an AWS key": "AKIA" + "IOSFODNN7EXAMPLE",
    "a private key": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE\n",
}
TOKEN = SECRETS["a token for the Hub"]


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    """A model's folder that may go up."""
    folder = Path(shutil.copytree(saved["vae"], tmp_path / "model"))
    (folder / "README.md").write_text("# A model\n\nN. B. this is no pickle.\n")
    Image.new("RGB", (8, 8)).save(folder / "samples.png")
    Image.new("RGB", (8, 8)).save(folder / "film.webp")
    return folder


def look(folder: Path, kinds=MODEL_KINDS) -> dict[str, Path]:
    """What a push looks at before anything goes up."""
    files = files_of(folder, kinds)
    check_files(files, folder, None, carried_files(folder).values())
    return files


def refused(folder: Path, kinds=MODEL_KINDS) -> str:
    with pytest.raises(UserError) as caught:
        look(folder, kinds)
    message = str(caught.value)
    assert "\n" not in message
    assert TOKEN not in message
    return message


def test_what_saving_and_training_write_goes_up(folder):
    add_code(folder)
    (folder / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n')
    (folder / ".env").write_text(TOKEN)
    (folder / "half.partial").write_text(TOKEN)
    names = set(look(folder))
    assert {"README.md", "model_index.json", "samples.png", "film.webp", "metrics.jsonl", "pipeline_vae.py"} < names
    assert not names & {".env", "half.partial"}


@pytest.mark.parametrize(
    "name",
    [
        "id_rsa",
        "notes.env",
        "weights.BIN",
        "a.Pkl",
        "x.PT",
        "x.npy",
        "x.ckpt",
        "x.onnx",
        "x.yaml",
        "x.ipynb",
        "encoder/x.sh",
        "x.safetensors.zip",
        "x.h5",
        "Makefile",
        "x.html",
    ],
)
def test_other_kinds_are_refused_by_name(folder, name):
    (folder / name).write_bytes(b"")
    assert refused(folder).startswith(f"{folder / name} ")
    assert "remove it" in refused(folder)


def test_only_what_a_checkpoint_and_a_dataset_are_made_of(folder, tmp_path):
    assert "README.md is none of the files that go up, which are .json, .safetensors: remove it." in refused(
        folder, CHECKPOINT_KINDS
    )
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.parquet").write_bytes(pickle.dumps([]))
    assert "is a pickle" in refused(tmp_path / "data", DATASET_KINDS)


def test_ways_out_of_the_folder_are_refused(folder, tmp_path):
    stranger, place = tmp_path / "id_rsa", folder / "notes.txt"
    stranger.write_text("private")
    (folder / ".hidden").write_text("private")
    for target in (stranger, Path("../id_rsa"), Path("../model/../id_rsa"), Path(".hidden")):
        place.symlink_to(target)
        assert refused(folder) == (
            f"{place} is a link to a file that is not to be published: remove it, or put a copy in its place."
        )
        place.unlink()
    os.link(stranger, place)
    assert refused(folder) == (
        f"{place} is also a file outside of {folder}, by a hard link: remove it, or put a copy in its place."
    )
    place.unlink()
    for target in ("nowhere", "notes.txt"):
        place.symlink_to(target)
        assert refused(folder) == f"{place} is a link to nothing, or cannot be read: remove it."
        place.unlink()
    for target in (".", "..", "encoder", tmp_path):
        (folder / "loop").symlink_to(target)
        assert f"{folder / 'loop'} is a link to a folder" in refused(folder)
        (folder / "loop").unlink()
    os.mkfifo(place)
    assert refused(folder) == f"{place} is no plain file: remove it."
    place.unlink()
    # Inside, both sorts of links are other names of what goes up anyway.
    place.symlink_to("README.md")
    os.link(folder / "README.md", folder / "again.md")
    assert {"notes.txt", "again.md"} < set(look(folder))


@pytest.mark.parametrize("what", SECRETS)
@pytest.mark.parametrize("name", ["notes.md", "a.txt", "run.json", "metrics.jsonl"])
def test_secrets_in_texts(folder, name, what):
    text = f"login: {SECRETS[what]}"
    if "json" in name:
        # As JSON may write them, too.
        text = (
            json.dumps({"deep": [{"er": text}]}).replace("hf_", "\\u0068f_").replace("-----BEGIN", "\\u002d----BEGIN")
        )
    (folder / name).write_text(text)
    assert refused(folder) == f"{folder / name} contains {what}: remove it from the file, and revoke it."


def test_words_are_no_secrets(folder):
    text = "hf_MyVeryLongModelNameForTesting, hf_" + "x" * 34 + ", ghp_" + "x" * 36 + ", https://user:password@host/\n"
    text += f"![](data:image/png;base64,{base64.b64encode(np.random.default_rng(0).bytes(300_000)).decode()})\n"
    text += "sk-learn-based-classification, task-aaaaaaaaaaaaaaaaaaaaaaaa, commit " + "0a1b2c3d4e" * 4
    text += "\nhf_hub_download and --report_to wandb, then " + "0a1b2c3d4e" * 4
    (folder / "notes.md").write_text(text)
    look(folder)


def test_of_a_name_that_stands_twice_in_json_both_values_count(folder):
    (folder / "run.json").write_text('{"a": "\\u0068' + TOKEN[1:] + '", "a": "x"}')
    assert "contains a token for the Hub" in refused(folder)


def picture_with(suffix: str, place: str) -> bytes:
    """A picture that carries TOKEN where few look."""
    image, out, options = Image.new("RGB", (8, 8), "red"), io.BytesIO(), {}
    if place in ("text", "packed", "international"):
        notes = PngImagePlugin.PngInfo()
        if place == "international":
            notes.add_itxt("Comment", TOKEN, zip=True)
        else:
            notes.add_text("Comment", TOKEN, zip=place == "packed")
        options["pnginfo"] = notes
    elif place in ("exif", "comment"):
        exif = Image.Exif()
        exif[0x010E] = "a picture"
        if place == "exif":
            exif[0x010E] = TOKEN
        else:
            exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + TOKEN.encode("utf-16-le")
        options["exif"] = exif
    elif place == "xmp":
        options["xmp"] = f"<x:xmpmeta>{TOKEN}</x:xmpmeta>".encode()
    elif place == "escaped":
        options["xmp"] = f"<x:xmpmeta>&#104;{TOKEN[1:]}</x:xmpmeta>".encode()
    image.save(out, format={".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}[suffix], **options)
    behind = {"behind": TOKEN.encode(), "wide": TOKEN.encode("utf-16-le"), "zipped": gzip.compress(TOKEN.encode())}
    chunks = {"private": [(b"prVt", zlib.compress(TOKEN.encode()))]}
    # Of two notes of one name, readers know the second.
    chunks["twice"] = [(b"zTXt", b"k\0\0" + zlib.compress(text.encode())) for text in (TOKEN, "nothing")]
    for kind, data in chunks.get(place, []):
        chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        out = io.BytesIO(out.getvalue()[:-12] + chunk + out.getvalue()[-12:])
    return out.getvalue() + behind.get(place, b"")


PLACES = {
    ".png": ("text", "packed", "international", "exif", "comment", "behind", "wide", "zipped", "private", "twice"),
    ".jpg": ("exif", "comment", "xmp", "escaped", "behind", "wide", "zipped"),
    ".webp": ("exif", "comment", "xmp", "escaped", "behind"),
}


@pytest.mark.parametrize(("suffix", "place"), [(s, p) for s, places in PLACES.items() for p in places])
def test_secrets_in_pictures(folder, suffix, place, tmp_path):
    (folder / f"samples{suffix}").write_bytes(picture_with(suffix, place))
    assert "contains a token for the Hub" in refused(folder)
    # A picture of a dataset goes up as it is, unless it is resized.
    picture = Picture(f"samples{suffix}", None, str(folder / f"samples{suffix}"))
    with pytest.raises(UserError, match="contains a token for the Hub"):
        read_picture(picture, None, "crop", True)
    again = Image.open(io.BytesIO(read_picture(picture, 8, "crop", False)))
    assert TOKEN not in str(again.info)


def test_secrets_in_weights_and_names(folder):
    path = folder / "encoder" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    save_file(tensors, path, metadata={"format": "pt", "note": TOKEN})
    assert "contains a token for the Hub" in refused(folder)
    save_file({**tensors, "x": torch.tensor(list(TOKEN.encode()), dtype=torch.uint8)}, path)
    assert "contains a token for the Hub" in refused(folder)
    save_file(tensors, path)
    (folder / f"{TOKEN}.txt").write_text("x")
    with pytest.raises(UserError, match=r"The name of .* contains a token for the Hub: rename it"):
        look(folder)


def test_what_the_environment_keeps_secret_does_not_go_up(folder, monkeypatch):
    monkeypatch.setenv("SOME_SERVICE_API_KEY", "as-nobody-would-guess")
    (folder / "notes.md").write_text("with as-nobody-would-guess it works")
    assert "contains a token of yours" in refused(folder)


@pytest.mark.parametrize(
    "text",
    [
        "hf_oauth_" + "aB3" * 12,
        "r8_" + "aB3" * 12,
        "pypi-" + "aB3_" * 20,
        "https://hooks.slack.com/services/T0/B0/" + "aB3" * 8,
        "export COMET_API_KEY='" + "aB3" * 8 + "'",
        "url = https://alice:aB3aB3aB3@git.example.com/x",
    ],
)
def test_secrets_of_other_services(folder, text):
    (folder / "notes.md").write_text(f"Notes\n{text}\n")
    assert "notes.md contains a" in refused(folder)


def test_the_way_home_is_not_published(folder, monkeypatch):
    monkeypatch.setenv("HOME", "/home/alice")
    (folder / "run.json").write_text('{"data": "/home/alice/private"}')
    assert refused(folder) == f"{folder / 'run.json'} contains the path of your home folder: remove it from the file."
    (folder / "run.json").write_text('{"data": "/home/alice2/private"}')
    look(folder)


def test_what_is_looked_at_is_what_goes_up(folder, tmp_path, monkeypatch):
    """A file that becomes a link, a pipe or another text in between."""
    (tmp_path / "private.txt").write_text("private")
    notes, scan = folder / "notes.md", push.files_of

    def changed(change):
        notes.unlink(missing_ok=True)
        notes.write_text("Notes\n")

        def scan_and_change(place, **options):
            files = scan(place, **options)
            if place == folder:
                notes.unlink()
                change()
            return files

        monkeypatch.setattr(push, "files_of", scan_and_change)
        with pytest.raises(UserError) as caught, push.prepared(folder, "alice/x"):
            pass
        return str(caught.value)

    assert "is a link to a file that is not to be published" in changed(lambda: notes.symlink_to("../private.txt"))
    assert changed(lambda: os.mkfifo(notes)) == f"{notes} is no plain file: remove it."
    assert "notes.md contains a token for the Hub" in changed(lambda: notes.write_text(TOKEN))


class Evil:
    def __reduce__(self):
        return os.system, ("true",)


def torch_file(**options) -> bytes:
    out = io.BytesIO()
    torch.save({"x": torch.zeros(2)}, out, **options)
    return out.getvalue()


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("data.pkl", data)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        *(pickle.dumps(Evil(), protocol) for protocol in range(6)),
        torch_file(),
        torch_file(_use_new_zipfile_serialization=False),
        zipped(pickle.dumps(Evil())),
    ],
    ids=[*(f"protocol {i}" for i in range(6)), "torch", "old torch", "zip"],
)
@pytest.mark.parametrize("name", ["notes.txt", "run.json", "samples.png", "README.md", "encoder/config.json"])
def test_pickles_under_other_names(folder, data, name):
    (folder / name).write_bytes(data)
    assert refused(folder) == (
        f"{folder / name} is a pickle, or an archive as of one, which runs code when loaded: remove it."
    )


def test_a_zip_behind_a_picture_or_weights(folder):
    for name in ("samples.png", "encoder/diffusion_pytorch_model.safetensors"):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole + torch_file())
        assert "is a pickle, or an archive as of one" in refused(folder)
        (folder / name).write_bytes(whole)


def test_lengths_that_look_like_a_pickle_are_none(folder):
    """A safetensors file of which the header is 0x280 bytes long begins like a pickle of protocol 2."""
    path = folder / "encoder" / "diffusion_pytorch_model.safetensors"
    header = json.dumps({"x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode().ljust(0x280)
    path.write_bytes((0x280).to_bytes(8, "little") + header + np.float32(1).tobytes())
    assert path.read_bytes()[:2] == b"\x80\x02"
    look(folder)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("samples.png", b"not a picture"),
        ("samples.webp", b"\x89PNG\r\n\x1a\n"),
        ("encoder/config.json", b"{"),
        ("encoder/config.json", b"\xef\xbb\xbf{}"),
        ("metrics.jsonl", b"{}\n[\n"),
        ("notes.txt", b"\xff\xfe\x00"),
        ("notes.md", b"a\0b"),
        ("run.json", b"[" * 100_000),
        ("encoder/x.safetensors", b"cut"),
    ],
)
def test_what_is_not_what_its_suffix_says(folder, name, data):
    (folder / name).write_bytes(data)
    assert refused(folder).startswith(f"{folder / name} ")


def test_a_picture_of_another_format(folder):
    Image.new("L", (8, 8)).save(folder / "samples.png", format="GIF")
    assert refused(folder) == f"{folder / 'samples.png'} is GIF in truth, and not PNG: rename it, or save it again."


def test_code_goes_up_only_as_genmodels_wrote_it(folder):
    add_code(folder)
    for name in ("pipeline_vae.py", "encoder/modeling_vae_encoder.py", "setup.py"):
        text = (folder / name).read_text() if (folder / name).exists() else ""
        (folder / name).write_text(f"{text}\nimport os\n")
        assert refused(folder).startswith(
            f"{folder / name} is not the code that this version of genmodels gives to a model"
        )
        (folder / name).unlink()
    look(folder)


def test_terminals_are_not_spoken_to(folder):
    (folder / "a\x1b[31m\u202eb.exe").write_text("")
    message = refused(folder)
    assert "a\\x1b[31m\\u202eb.exe" in message


def test_spaces_obey(monkeypatch, tmp_path):
    from genmodels.commands import space

    package = Path(shutil.copytree(space.PACKAGE / "hub", tmp_path / "genmodels"))
    (package / "id_rsa").symlink_to("/etc/hostname")
    monkeypatch.setattr(space, "PACKAGE", package)
    with pytest.raises(UserError, match=r"id_rsa is a link to a file that is not to be published"):
        package_files([], [])
    (package / "id_rsa").unlink()
    (package / "notes.txt").write_text(TOKEN)
    with pytest.raises(UserError, match=r"cgan/genmodels/notes.txt contains a token for the Hub"):
        build_space("cgan", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text",
    [
        TOKEN.replace("_", "\\_"),
        f"https://example.com/?token={TOKEN.replace('_', '%5F')}",
        TOKEN.replace("_", "&#95;"),
        "GOCSPX-" + "aB3d" * 7,
        "SG." + "aB3d" * 5 + "." + "aB3d" * 10,
        "dop_v1_" + "0a1b" * 16,
        "https://discord.com/api/webhooks/123456789012345678/" + "aB3d" * 17,
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=" + "aB3d" * 21 + "ab==",
    ],
)
def test_escaped_tokens_and_keys_of_other_services(folder, text):
    (folder / "notes.md").write_text(f"see {text} there")
    assert "notes.md contains" in refused(folder)


def test_lines_of_json_may_hold_any_sign_but_a_new_line(folder):
    (folder / "metrics.jsonl").write_text('{"note": "one\u2028two\u0085three"}\n', encoding="utf-8")
    assert "metrics.jsonl" in look(folder)


def test_a_picture_that_says_where_it_was_taken(folder):
    image = Image.new("RGB", (8, 8))
    exif = image.getexif()
    exif.get_ifd(0x8825)[2] = (48.0, 8.0, 1.0)
    image.save(folder / "samples.jpg", exif=exif)
    assert refused(folder).endswith(
        "samples.jpg says where it was taken (GPS): save it again without metadata, or remove it."
    )


@pytest.mark.parametrize("name", [b"a\x1b[31m.md", b"\xff.md", b"a\nb.md"])
def test_names_that_cannot_be_shown(folder, name):
    """They would write to the terminal, or cannot be sent."""
    with open(os.path.join(os.fsencode(folder), name), "w") as file:
        file.write("x")
    message = refused(folder)
    assert message.isascii()
    assert message.isprintable()
    assert "signs in its name that cannot be shown: rename it" in message


def test_gzip_and_webassembly_are_looked_into(folder):
    token = json.dumps({"a": TOKEN}).encode()
    cases = {
        "page.json.gz": (gzip.compress(token), "contains"),
        "weights.json.gz": (gzip.compress(b"\x80\4."), "pickle"),
        "engine.wasm.gz": (gzip.compress(b"no module"), "no WebAssembly"),
        "half.json.gz": (gzip.compress(b"{}" * 99)[:-9], "cut short"),
        "text.gz": (b"text", "no gzip"),
    }
    for name, (data, says) in cases.items():
        (folder / name).write_bytes(data)
        with pytest.raises(UserError, match=says):
            check_files({name: folder / name}, folder)
        (folder / name).unlink()
    (folder / "engine.wasm.gz").write_bytes(gzip.compress(b"\0asm\1\0\0\0"))
    assert "engine.wasm.gz" in files_of(folder, STATIC_KINDS)
    check_files({"engine.wasm.gz": folder / "engine.wasm.gz"}, folder)
