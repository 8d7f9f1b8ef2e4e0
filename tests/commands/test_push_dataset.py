"""An image folder goes up as parquet shards, and comes back as the stream that training reads."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pytest
import yaml
from helpers import run_python
from huggingface_hub import HfApi, hf_hub_download
from PIL import ExifTags, Image

from genmodels.commands import push_dataset as module
from genmodels.commands.push_dataset import hold_out, list_published, read_picture, size_category, write_shards
from genmodels.data import load_images
from genmodels.data.listing import Picture
from genmodels.errors import UserError


def save_image(path: Path, value: int, size: tuple[int, int] = (20, 20), mode: str = "RGB", **options) -> Path:
    """An image of one brightness, by which a test knows it again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value,) * 3).save(path, **options)
    return path


@pytest.fixture
def photos(tmp_path) -> Path:
    """30 cats of brightness 0 to 29 and 20 dogs from 100 on, 20x20 pixels."""
    for name, start, count in (("cat", 0, 30), ("dog", 100, 20)):
        for i in range(count):
            save_image(tmp_path / "photos" / name / f"{i:02d}.png", start + i)
    (tmp_path / "photos" / "cat" / "notes.txt").write_text("no image")
    save_image(tmp_path / "photos" / ".hidden" / "x.png", 1)
    return tmp_path / "photos"


def picture_of(path: Path) -> Picture:
    """One image file without a class."""
    return Picture(path.name, None, str(path))


def brightness(rows) -> list[int]:
    return [int(np.asarray(row["image"])[0, 0, 0]) for row in rows]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["train/cat/0.png", "test/dog/1.png"], "has the classes dog, which train lacks"),
        (["train/cat/0.png", "test/1.png"], "has no classes: every split needs those of train"),
        (["train/0.png", "test/dog/1.png"], "has the classes dog, which train lacks"),
    ],
)
def test_splits_are_published_with_equal_classes(tmp_path, files, message):
    for i, file in enumerate(files):
        save_image(tmp_path / file, i)
    with pytest.raises(UserError, match=message):
        list_published(tmp_path)


@pytest.mark.parametrize("link", ["cat/private.png", "cat"])
def test_links_that_lead_out_of_the_folder_are_not_published(tmp_path, link):
    save_image(tmp_path / "photos" / "dog" / "1.png", 1)
    save_image(tmp_path / "home" / "private.png", 2)
    (tmp_path / "photos" / link).parent.mkdir(exist_ok=True)
    (tmp_path / "photos" / link).symlink_to(tmp_path / "home" / ("private.png" if link.endswith("png") else ""))
    with pytest.raises(UserError, match=f"holds the link '{link}', which leads out of it"):
        list_published(tmp_path / "photos")


def test_links_within_the_folder_are_published(tmp_path):
    save_image(tmp_path / "photos" / "dog" / "1.png", 1)
    (tmp_path / "photos" / "dog" / "2.png").symlink_to(tmp_path / "photos" / "dog" / "1.png")
    assert len(list_published(tmp_path / "photos").pictures("train")) == 2


def test_hold_out_takes_its_share_of_every_class():
    pictures = [Picture(f"{name}{i}", name, f"{name}{i}") for name, n in (("a", 40), ("b", 5)) for i in range(n)]
    train, test = hold_out(pictures, 0.1)
    assert Counter(picture.class_name for picture in test) == {"a": 4, "b": 1}
    assert sorted([*train, *test], key=str) == sorted(pictures, key=str)
    assert hold_out(pictures, 0.1) == (train, test)
    with pytest.raises(UserError, match="leaves no training image of 1 in class 'c'"):
        hold_out([*pictures, Picture("c", "c", "c")], 0.1)


def test_shards_mix_the_classes_and_are_the_same_each_time(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARD_IMAGES", 10)
    pictures = list_published(photos).pictures("train")
    contents = []
    for name in ("once", "again"):
        (tmp_path / name).mkdir()
        assert write_shards(pictures, ["cat", "dog"], "train", tmp_path / name) == 5
        contents.append({path.name: path.read_bytes() for path in sorted((tmp_path / name / "data").iterdir())})
    assert contents[0] == contents[1]
    assert list(contents[0]) == [f"train-0000{i}-of-00005.parquet" for i in range(5)]
    rows = datasets.load_dataset(str(tmp_path / "once"), split="train", streaming=True)
    assert rows.features["label"].names == ["cat", "dog"]
    for shard in range(5):
        assert {row["label"] for row in rows.shard(5, shard)} == {0, 1}
    assert sorted(brightness(rows)) == [*range(30), *range(100, 120)]
    assert all((value >= 100) == row["label"] for value, row in zip(brightness(rows), rows, strict=True))


def test_files_are_published_as_they_are(tmp_path):
    path = save_image(tmp_path / "a.jpg", 100, quality=31)
    assert read_picture(picture_of(path), None, "crop", False) == path.read_bytes()


def with_place(path: Path, **tags: int) -> Path:
    """A JPEG that says where it was taken."""
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (52.0, 31.0, 12.0)
    for name, value in tags.items():
        exif[ExifTags.Base[name]] = value
    return save_image(path, 100, (30, 20), exif=exif)


def test_the_place_of_a_photo_is_not_published_unasked(tmp_path):
    picture = picture_of(with_place(tmp_path / "a.jpg"))
    with pytest.raises(UserError, match="says where it was taken"):
        read_picture(picture, None, "crop", keep_metadata=False)
    assert read_picture(picture, None, "crop", keep_metadata=True) == Path(picture.place).read_bytes()
    resized = Image.open(io.BytesIO(read_picture(picture, 16, "crop", keep_metadata=False)))
    assert resized.size == (16, 16)
    assert not resized.getexif()


def test_a_photo_taken_sideways_is_turned_up(tmp_path):
    path = tmp_path / "a.jpg"
    left_dark = Image.new("L", (40, 40), 255)
    left_dark.paste(0, (0, 0, 20, 40))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    left_dark.save(path, exif=exif, quality=95)
    turned = np.asarray(Image.open(io.BytesIO(read_picture(picture_of(path), 16, "crop", False))))
    assert turned[:7].max() < 30
    assert turned[9:].min() > 225


@pytest.mark.parametrize(("mode", "expected"), [("L", "L"), ("1", "L"), ("RGBA", "RGB"), ("CMYK", "RGB"), ("P", "RGB")])
def test_resized_images_are_grey_or_colour(tmp_path, mode, expected):
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.new("RGB", (32, 24), (250, 250, 250)).convert(mode).save(path)
    image = Image.open(io.BytesIO(read_picture(picture_of(path), 16, "pad", False)))
    assert (image.mode, image.size, image.format) == (expected, (16, 16), "PNG")


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n cut"])
def test_an_unreadable_image_is_named(tmp_path, content):
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.png' cannot be read as an image .* nothing was pushed"):
        read_picture(picture_of(tmp_path / "bad.png"), None, "crop", False)


@pytest.mark.parametrize(
    ("count", "name"), [(1, "n<1K"), (1000, "1K<n<10K"), (99_999, "10K<n<100K"), (2_000_000, "1M<n<10M")]
)
def test_size_categories(count, name):
    assert size_category(count) == name


def push(hub, home: Path, *arguments: str, user: str | None = "alice"):
    return run_python("-m", "genmodels", "push-dataset", *arguments, env=hub.env(home, user=user))


def test_a_folder_goes_up_and_training_streams_it(hub, photos, tmp_path):
    done = push(hub, tmp_path / "home", str(photos), "alice/photos", "--test_share", "0.2", "--license", "mit")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "50 images in 2 classes; 1 file of other kinds left out (.txt)",
        "train: 40 images in 1 shard",
        "test: 10 images in 1 shard",
        f"{hub.endpoint}/datasets/alice/photos",
        "Train on it: accelerate launch train/cgan.py --dataset_name alice/photos --resolution 64",
    ]
    api = HfApi(endpoint=hub.endpoint, token=hub.tokens["alice"])
    assert set(api.list_repo_files("alice/photos", repo_type="dataset")) - {".gitattributes"} == {
        "README.md",
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
    }
    card = Path(
        hf_hub_download(
            "alice/photos", "README.md", repo_type="dataset", endpoint=hub.endpoint, cache_dir=tmp_path / "cache"
        )
    ).read_text()
    assert str(tmp_path) not in card
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert (metadata["license"], metadata["size_categories"]) == ("mit", ["n<1K"])
    assert "| cat | 24 | 6 |" in card
    read = """
import torch
from genmodels.data import load_images
from genmodels.data.listing import Picture
stream = load_images("alice/photos", split="test", batch_size=4)
batches = list(stream.once())
labels = torch.cat([batch["class_labels"] for batch in batches])
print(stream.class_names, stream.sample_size, labels.bincount().tolist())
"""
    done = run_python("-c", read, env=hub.env(tmp_path / "reader", user=None))
    assert done.stdout.strip() == "['cat', 'dog'] 20 [6, 4]", done.stderr


def test_a_dataset_is_replaced_only_when_asked(hub, photos, tmp_path):
    arguments = [str(photos), "alice/again"]
    assert push(hub, tmp_path, *arguments).returncode == 0
    api = HfApi(endpoint=hub.endpoint, token=hub.tokens["alice"])
    commits = len(api.list_repo_commits("alice/again", repo_type="dataset"))
    # The same once more changes nothing.
    assert push(hub, tmp_path, *arguments).returncode == 0
    assert len(api.list_repo_commits("alice/again", repo_type="dataset")) == commits
    refused = push(hub, tmp_path, *arguments, "--test_share", "0.5")
    assert refused.returncode == 2
    assert "add --replace" in refused.stderr
    done = push(hub, tmp_path, *arguments, "--resolution", "16", "--replace")
    assert done.returncode == 0, done.stderr
    assert len(api.list_repo_commits("alice/again", repo_type="dataset")) == commits + 1


def test_mistakes_are_known_before_anything_goes_up(hub, photos, tmp_path):
    (photos / "cat" / "29.png").write_bytes(b"no image")
    for arguments, user, message in (
        ([str(photos), "alice/broken"], "alice", "29.png' cannot be read"),
        ([str(photos), "acme-rivals/broken"], "alice", "acme-rivals"),
        ([str(photos), "bob/broken"], "bob", "read"),
        ([str(photos), "alice/broken"], None, "hf auth login"),
        ([str(photos / "nothing"), "alice/broken"], "alice", "There is no folder"),
        ([str(photos), "alice/broken", "--license", "nonsense"], "alice", "perhaps for --license nonsense"),
        ([str(photos), "alice/broken", "--test_share", "2"], "alice", "from 0 to below 1"),
    ):
        done = push(hub, tmp_path, *arguments, user=user)
        assert done.returncode == 2
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
    api = HfApi(endpoint=hub.endpoint, token=hub.tokens["alice"])
    assert not api.repo_exists("alice/broken", repo_type="dataset")


def test_a_pushed_folder_equals_the_folder_itself(photos, tmp_path):
    """What `load_images` reads from the shards is what it reads from the images."""
    write_shards(list_published(photos).pictures("train"), ["cat", "dog"], "train", tmp_path)
    pictures = []
    for source in (photos, tmp_path / "data"):
        (batch,) = load_images(str(source), batch_size=50, num_workers=0).once()
        rows = zip(batch["pixel_values"].mean((1, 2, 3)).tolist(), batch["class_labels"].tolist(), strict=True)
        pictures.append(sorted(rows))
    assert pictures[0] == pictures[1]
