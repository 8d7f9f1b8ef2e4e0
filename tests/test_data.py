"""Streams: every source gives the same kind of batches, nothing is lost, a position can be resumed, mistakes get a sentence."""

import subprocess
import sys

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from genmodels.data import load_images, make_square
from genmodels.errors import UserError


def numbered(i: int, size: int = 16, mode: str = "L") -> Image.Image:
    """An image whose every pixel is `i`, so that a row can be recognised after decoding."""
    return Image.new(mode, (size, size), i if mode == "L" else (i, i, i))


def values(batch: dict) -> list[int]:
    """The numbers of `numbered` images in a batch."""
    return ((batch["pixel_values"][:, 0, 0, 0] + 1) * 127.5).round().int().tolist()


def numbers(batches: list[dict]) -> list[int]:
    """The numbers of all images of some batches."""
    return [value for batch in batches for value in values(batch)]


def take(stream, count: int) -> list[dict]:
    """The next `count` batches of an endless stream."""
    batches = stream.forever()
    return [next(batches) for _ in range(count)]


@pytest.fixture(autouse=True)
def short_shutdown(monkeypatch):
    """`datasets` sleeps 5 s whenever a stream of parquet files ends; less serves for small local files."""
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A dataset folder in parquet: 100 numbered images, classes even and odd, as one shard."""
    root = tmp_path_factory.mktemp("numbers")
    rows = {
        "picture": [numbered(i) for i in range(100)],
        "label": [i % 2 for i in range(100)],
        "big": [i > 49 for i in range(100)],
    }
    features = datasets.Features(
        {
            "picture": datasets.Image(),
            "label": datasets.ClassLabel(names=["even", "odd"]),
            "big": datasets.Value("bool"),
        }
    )
    datasets.Dataset.from_dict(rows, features=features).to_parquet(root / "train-00000-of-00001.parquet")
    return str(root)


@pytest.fixture
def image_folder(tmp_path):
    """A folder of images in two sub-folders."""
    for name, level in (("black", 0), ("white", 255)):
        (tmp_path / name).mkdir()
        for i in range(5):
            numbered(level).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_built_in_sample_gives_digits():
    stream = load_images("zoo:mnist-sample", batch_size=32, num_workers=0)
    batch = take(stream, 1)[0]
    assert batch["pixel_values"].shape == (32, 1, 28, 28)
    assert batch["pixel_values"].dtype == torch.float32
    assert batch["pixel_values"].min() == -1
    assert 0.9 < batch["pixel_values"].max() <= 1
    assert batch["class_labels"].dtype == torch.int64
    assert stream.class_names == [str(i) for i in range(10)]
    assert (stream.sample_size, stream.num_channels, stream.num_classes) == (28, 1, 10)


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("cache_gb", [0.0, 1.0])
def test_every_row_once_per_epoch_in_a_new_order(folder, num_workers, cache_gb):
    stream = load_images(folder, batch_size=10, shuffle_buffer=30, num_workers=num_workers, cache_gb=cache_gb)
    batches = take(stream, 30)
    epochs = [numbers(batches[i : i + 10]) for i in (0, 10, 20)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(100))
    assert epochs[0] != epochs[1] != epochs[2] != list(range(100))


@pytest.mark.parametrize("cache_gb", [0.0, 1.0])
@pytest.mark.parametrize("position", [0, 3, 10, 27])
def test_a_position_resumes_exactly(folder, cache_gb, position):
    def new():
        return load_images(folder, batch_size=10, shuffle_buffer=30, num_workers=0, cache_gb=cache_gb, seed=5)

    whole = [values(batch) for batch in take(new(), 35)]
    first = new()
    take(first, position)
    second = new()
    second.load_state_dict(first.state_dict())
    assert [values(batch) for batch in take(second, 35 - position)] == whole[position:]


def test_processes_share_the_rows(folder):
    seen = []
    for rank in range(3):
        stream = load_images(folder, batch_size=11, num_workers=0, rank=rank, world_size=3, shuffle_buffer=20)
        seen += numbers(take(stream, 3))
    # 34, 33 and 33 rows; a rank's rest that fills no batch is left out.
    assert len(seen) == len(set(seen)) == 99


def test_once_keeps_the_order_and_the_short_last_batch(folder):
    batches = list(load_images(folder, batch_size=32, num_workers=0).once())
    assert [len(batch["pixel_values"]) for batch in batches] == [32, 32, 32, 4]
    assert numbers(batches) == list(range(100))


def test_classes_are_filtered_and_renumbered(folder):
    stream = load_images(folder, classes=["odd"], batch_size=25, num_workers=0)
    batch = take(stream, 1)[0]
    assert all(value % 2 for value in values(batch))
    assert set(batch["class_labels"].tolist()) == {0}
    assert stream.class_names == ["odd"]


def test_a_boolean_column_makes_two_classes(folder):
    stream = load_images(folder, label_column="big", batch_size=100, num_workers=0, shuffle_buffer=0)
    assert stream.class_names == ["not big", "big"]
    assert take(stream, 1)[0]["class_labels"].tolist() == [0] * 50 + [1] * 50


def test_image_folder_with_classes(image_folder):
    stream = load_images(str(image_folder), batch_size=10, num_workers=0)
    batch = take(stream, 1)[0]
    assert stream.class_names == ["black", "white"]
    assert [value // 255 for value in values(batch)] == batch["class_labels"].tolist()


def test_flip_mirrors_about_half(tmp_path):
    left = Image.new("L", (16, 16))
    left.putpixel((0, 0), 255)
    for i in range(64):
        left.save(tmp_path / f"{i}.png")
    stream = load_images(str(tmp_path), batch_size=64, random_flip=True, num_workers=0)
    flipped = (take(stream, 1)[0]["pixel_values"][:, 0, 0, -1] == 1).sum()
    assert 10 < flipped < 54


@pytest.mark.parametrize(("fit", "corner"), [("crop", 200), ("pad", 0), ("stretch", 200)])
def test_making_square(fit, corner):
    wide = Image.new("L", (60, 30), 200)
    square = np.asarray(make_square(wide, 20, fit))
    assert square.shape == (20, 20)
    assert square[0, 0] == corner
    assert square[10, 10] == 200


def test_colour_images_can_be_read_as_grey(tmp_path):
    numbered(100, mode="RGB").save(tmp_path / "a.png")
    assert load_images(str(tmp_path), num_workers=0).num_channels == 3
    assert (
        take(load_images(str(tmp_path), num_channels=1, batch_size=1, num_workers=0), 1)[0]["pixel_values"].shape[1]
        == 1
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "no such thing"}, "neither a folder here, nor a Hub id"),
        ({"source": "zoo:nothing"}, "zoo:mnist-sample"),
        ({"split": "validation"}, "no split 'validation': it has train"),
        ({"image_column": "label"}, "no Image column 'label': its Image columns are picture"),
        ({"label_column": "picture"}, "--label_column takes label, big"),
        ({"classes": ["prime"]}, "no class 'prime': its classes are even, odd"),
        ({"fit": "squeeze"}, "crop, pad, stretch"),
    ],
)
def test_wrong_arguments_get_a_sentence(folder, arguments, message):
    with pytest.raises(UserError, match=message):
        load_images(**{"source": folder, **arguments})


def test_a_batch_larger_than_the_dataset_is_refused(folder):
    with pytest.raises(UserError, match="fewer images than one batch of 101"):
        take(load_images(folder, batch_size=101, num_workers=0), 1)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_unreadable_image_is_named(image_folder, num_workers):
    (image_folder / "white" / "3.png").write_bytes(b"not an image")
    with pytest.raises(UserError, match=r"3\.png cannot be read as an image"):
        take(load_images(str(image_folder), batch_size=10, num_workers=num_workers), 1)


def test_images_of_different_sizes_need_a_resolution(image_folder):
    numbered(0, size=20).save(image_folder / "white" / "big.png")
    with pytest.raises(UserError, match="--resolution"):
        take(load_images(str(image_folder), batch_size=11, num_workers=0), 1)
    assert take(load_images(str(image_folder), batch_size=11, sample_size=16, num_workers=0), 1)


def test_images_that_are_not_square_need_a_resolution(tmp_path):
    Image.new("L", (30, 20)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="30x20, not square: give a size with --resolution"):
        load_images(str(tmp_path))


def test_an_empty_folder_says_what_is_missing(tmp_path):
    with pytest.raises(UserError, match="neither images"):
        load_images(str(tmp_path))


def test_a_class_without_images_is_named(tmp_path):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["full", "empty"])})
    rows = {"image": [numbered(1)], "label": [0]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(UserError, match=r"no images in .* classes empty"):
        load_images(str(tmp_path), classes=["empty"])


def test_without_network_the_hub_id_is_named():
    # The environment's HF_ENDPOINT is a port where nobody listens.
    script = (
        "from genmodels.data import load_images\nfrom genmodels.errors import UserError\n"
        "try: load_images('ylecun/mnist')\nexcept UserError as error: print(error)"
    )
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": "", "PATH": "", "HOME": "/nonexistent"}
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=120
    )
    assert "'ylecun/mnist'" in result.stdout, result.stderr
    assert "\n" not in result.stdout.strip()
