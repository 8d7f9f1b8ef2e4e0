"""Streams: every source gives the same kind of batches, nothing is lost, a position can be resumed, mistakes get a sentence."""

import io
import random
import subprocess
import sys

import datasets
import numpy as np
import pytest
import torch
from helpers import run_python
from PIL import Image

from genmodels.data import load_images
from genmodels.errors import UserError
from genmodels.images import make_square


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


def write_numbers(root, sizes: list[int]) -> str:
    """A dataset folder of numbered images, classes even and odd, as parquet shards of the given sizes."""
    features = datasets.Features(
        {
            "picture": datasets.Image(),
            "label": datasets.ClassLabel(names=["even", "odd"]),
            "big": datasets.Value("bool"),
        }
    )
    start = 0
    for shard, size in enumerate(sizes):
        numbers = range(start, start + size)
        rows = {
            "picture": [numbered(i) for i in numbers],
            "label": [i % 2 for i in numbers],
            "big": [i > 49 for i in numbers],
        }
        name = f"train-{shard:05}-of-{len(sizes):05}.parquet"
        datasets.Dataset.from_dict(rows, features=features).to_parquet(root / name)
        start += size
    return str(root)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """100 numbered images in one shard."""
    return write_numbers(tmp_path_factory.mktemp("numbers"), [100])


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """100 numbered images in uneven shards: two workers have 89 and 11, so each has a rest among 2 or 3 processes."""
    return write_numbers(tmp_path_factory.mktemp("shards"), [50, 11, 39])


# Workers are processes to start.
layouts = pytest.mark.parametrize(
    ("layout", "num_workers"),
    [
        ("folder", 0),
        ("shards", 0),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in (("folder", 1), ("shards", 2))),
    ],
)
caches = pytest.mark.parametrize("cache_gb", [0.0, 1.0])


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


@layouts
@caches
@pytest.mark.parametrize(("world_size", "batch_size"), [(1, 10), (2, 10), (3, 11), (3, 1)])
def test_processes_share_every_epoch_without_loss(request, layout, num_workers, cache_gb, world_size, batch_size):
    options = {"batch_size": batch_size, "shuffle_buffer": 30, "num_workers": num_workers, "cache_gb": cache_gb}
    per_epoch = 100 // (world_size * batch_size)
    epochs = [[], [], []]
    for rank in range(world_size):
        stream = load_images(request.getfixturevalue(layout), rank=rank, world_size=world_size, **options)
        batches = stream.forever()
        for epoch in range(3):
            epochs[epoch] += numbers([next(batches) for _ in range(per_epoch)])
            assert stream.state_dict() == {"epoch": epoch, "batch": per_epoch}
        # The next batch begins an epoch, as in every other process.
        next(batches)
        assert stream.state_dict() == {"epoch": 3, "batch": 1}
        batches.close()
    for epoch in epochs:
        assert len(epoch) == len(set(epoch)) == per_epoch * world_size * batch_size
    assert epochs[0] != epochs[1] != epochs[2] != sorted(epochs[2])


@layouts
@caches
@pytest.mark.parametrize("world_size", [1, 3])
def test_a_position_resumes_exactly(request, layout, num_workers, cache_gb, world_size):
    options = {"batch_size": 5, "shuffle_buffer": 30, "num_workers": num_workers, "cache_gb": cache_gb, "seed": 5}

    def new():
        rank = world_size - 1
        return load_images(request.getfixturevalue(layout), rank=rank, world_size=world_size, **options)

    per_epoch = 20 // world_size
    stream = new()
    batches, states = stream.forever(), [stream.state_dict()]
    whole = []
    for _ in range(3 * per_epoch):
        whole.append(values(next(batches)))
        states.append(stream.state_dict())
    batches.close()
    for position in (0, 3, per_epoch, per_epoch + 2, 2 * per_epoch + 1):
        resumed = new()
        resumed.load_state_dict(states[position])
        assert [values(batch) for batch in take(resumed, 3 * per_epoch - position)] == whole[position:]


def test_more_workers_than_shards_are_refused(folder, shards):
    message = r"`num_workers` is 2, but .* \(split train\) has 1 shard, .* give at most 1\."
    with pytest.raises(UserError, match=message):
        load_images(folder, num_workers=2)
    with pytest.raises(UserError, match=r"has 3 shards, .* at most 3\."):
        load_images(shards, num_workers=4)


def test_a_cache_that_is_too_small_is_not_used(folder):
    # 100 images of 256 bytes.
    streams = [load_images(folder, batch_size=10, num_workers=0, cache_gb=size) for size in (25e-6, 0.0, 26e-6)]
    too_small, none, enough = [[values(batch) for batch in take(stream, 20)] for stream in streams]
    assert too_small == none
    assert too_small[10:] != enough[10:]


def test_a_sample_is_the_same_in_every_process_and_leaves_no_trace(folder, shards):
    def new(rank: int, world_size: int):
        return load_images(
            folder, batch_size=10, shuffle_buffer=30, num_workers=0, rank=rank, world_size=world_size, random_flip=True
        )

    undisturbed = new(1, 2)
    torch.manual_seed(0)
    expected = [values(batch) for batch in take(undisturbed, 3)]
    stream = new(1, 2)
    torch.manual_seed(0)
    batches = stream.forever()
    got = [values(next(batches))]
    before = (stream.state_dict(), torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate())
    images, labels = stream.sample(12)
    after = (stream.state_dict(), torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate())
    assert before == after
    assert got + [values(next(batches)) for _ in range(2)] == expected
    assert (images.dtype, images.shape) == (torch.uint8, (12, 1, 16, 16))
    assert (labels.dtype, labels.tolist()) == (torch.int64, [i % 2 for i in images[:, 0, 0, 0].tolist()])
    assert images[:, 0, 0, 0].tolist() == numbers(take(new(0, 1), 2))[:12]
    assert torch.equal(images, new(0, 2).sample(12)[0])
    assert len(load_images(shards, num_workers=0).sample(1000)[0]) == 100


@pytest.mark.slow
def test_signals_to_the_process_group_do_not_reach_workers(folder):
    # The handlers stand for those of training, which finishes its step first.
    script = f"""
import os, signal
from genmodels.data import load_images
caught = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: caught.append(number))
batches = load_images({folder!r}, batch_size=10, num_workers=1, cache_gb=0).forever()
next(batches)
os.killpg(0, signal.SIGINT)
os.killpg(0, signal.SIGTERM)
for _ in range(30):
    next(batches)
print(sorted(map(int, caught)))
"""
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, start_new_session=True
    )
    assert result.stdout.strip() == "[2, 15]", result.stderr


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
        ({"image_column": "label"}, "no image column .label.: its image columns are picture"),
        ({"label_column": "picture"}, r"is of type PIL\.Image\.Image, which holds no classes"),
        ({"label_column": "nothing"}, "`label_column` takes label, big"),
        ({"classes": ["prime"]}, "no class 'prime': its classes are even, odd"),
        ({"fit": "squeeze"}, "crop, pad, stretch"),
    ],
)
def test_wrong_arguments_get_a_sentence(folder, arguments, message):
    with pytest.raises(UserError, match=message):
        load_images(**{"source": folder, **arguments})


def test_a_batch_larger_than_the_dataset_is_filled(folder):
    (batch,) = take(load_images(folder, batch_size=130, num_workers=0), 1)
    assert sorted(values(batch)[:100]) == list(range(100))
    assert len(set(values(batch)[100:])) == 30


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_unreadable_image_is_named(image_folder, num_workers):
    (image_folder / "white" / "3.png").write_bytes(b"not an image")
    with pytest.raises(UserError, match=r"3\.png cannot be read as an image"):
        take(load_images(str(image_folder), batch_size=10, num_workers=num_workers), 1)


@pytest.mark.parametrize(
    ("column", "values"), [("picture", [None, numbered(1)]), ("label", [0, None]), ("label", [0, -1])]
)
@pytest.mark.parametrize("last", [False, True], ids=["first", "later"])
def test_rows_without_image_or_label_name_the_column(tmp_path, column, values, last):
    features = datasets.Features({"picture": datasets.Image(), "label": datasets.ClassLabel(names=["even", "odd"])})
    rows = {"picture": [numbered(i) for i in range(2)], "label": [0, 1], column: values[::-1] if last else values}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(UserError, match=f"The column {column} has .* from the dataset"):
        take(load_images(str(tmp_path), batch_size=2, num_workers=0), 1)


def test_images_of_different_sizes_need_a_resolution(image_folder):
    numbered(0, size=20).save(image_folder / "white" / "big.png")
    with pytest.raises(UserError, match="`sample_size`"):
        take(load_images(str(image_folder), batch_size=11, num_workers=0), 1)
    assert take(load_images(str(image_folder), batch_size=11, sample_size=16, num_workers=0), 1)


def test_images_that_are_not_square_need_a_resolution(tmp_path):
    Image.new("L", (30, 20)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="30x20, not square: give a size with `sample_size`"):
        load_images(str(tmp_path))


def test_an_empty_folder_says_what_is_missing(tmp_path):
    with pytest.raises(UserError, match="holds no images to train on: it is empty"):
        load_images(str(tmp_path))


def test_a_class_without_images_is_named(tmp_path):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["full", "empty"])})
    rows = {"image": [numbered(1)], "label": [0]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(UserError, match=r"no images in .* classes empty"):
        load_images(str(tmp_path), classes=["empty"])


@pytest.mark.slow
def test_without_network_the_hub_id_is_named():
    # The environment's HF_ENDPOINT is a port where nobody listens.
    script = (
        "from genmodels.data import load_images\nfrom genmodels.errors import UserError\n"
        "try: load_images('ylecun/mnist')\nexcept UserError as error: print(error)"
    )
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": "", "PATH": "", "HOME": "/nonexistent"}
    result = run_python("-c", script, env=environment)
    assert "'ylecun/mnist'" in result.stdout, result.stderr
    assert "\n" not in result.stdout.strip()


ATTRIBUTES = {"big": lambda i: i > 49, "round": lambda i: i % 10 == 0}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """100 numbered images in two shards, with two boolean columns and no classes."""
    root = tmp_path_factory.mktemp("labelled")
    features = {"image": datasets.Image(), **{name: datasets.Value("bool") for name in ATTRIBUTES}}
    for shard, numbers in enumerate((range(61), range(61, 100))):
        rows = {"image": [numbered(i) for i in numbers]}
        rows |= {name: [has(i) for i in numbers] for name, has in ATTRIBUTES.items()}
        name = f"train-{shard:05}-of-00002.parquet"
        datasets.Dataset.from_dict(rows, features=datasets.Features(features)).to_parquet(root / name)
    return str(root)


def agree(batches: list[dict], names: list[str]) -> bool:
    """Whether the attributes are those of the images' numbers."""
    return all(
        batch["attributes"].dtype == torch.bool
        and batch["attributes"].tolist() == [[ATTRIBUTES[name](i) for name in names] for i in values(batch)]
        for batch in batches
    )


@pytest.mark.parametrize("cache_gb", [0.0, 1.0])
@pytest.mark.parametrize(("world_size", "num_workers"), [(1, 0), (3, 0), (3, 2)])
def test_attributes_stay_with_their_images(labelled, cache_gb, world_size, num_workers):
    options = {"batch_size": 10, "shuffle_buffer": 30, "num_workers": num_workers, "cache_gb": cache_gb}
    seen = []
    for rank in range(world_size):
        stream = load_images(labelled, attributes=["round", "big"], rank=rank, world_size=world_size, **options)
        assert (stream.attribute_names, stream.class_names) == (["round", "big"], [])
        # Three epochs: one that is streamed, two from memory or streamed again.
        per_epoch = 100 // (10 * world_size)
        batches = take(stream, 3 * per_epoch)
        assert agree(batches, ["round", "big"])
        seen += numbers(batches[:per_epoch])
        assert batches[0].keys() == {"pixel_values", "attributes"}
    assert len(set(seen)) == len(seen)


def test_attributes_resume_exactly_and_are_read_once(labelled):
    def new():
        return load_images(labelled, attributes="all", batch_size=8, num_workers=0)

    stream = new()
    batches = stream.forever()
    for _ in range(15):
        next(batches)
    resumed = new()
    resumed.load_state_dict(stream.state_dict())
    for again in take(resumed, 3):
        batch = next(batches)
        assert torch.equal(again["attributes"], batch["attributes"])
        assert torch.equal(again["pixel_values"], batch["pixel_values"])
    once = list(new().once())
    assert numbers(once) == list(range(100))
    assert agree(once, list(ATTRIBUTES))
    assert "attributes" not in next(iter(load_images(labelled, num_workers=0).once()))


def test_attributes_beside_a_label(folder):
    stream = load_images(folder, attributes=["big"], label_column="big", batch_size=100, num_workers=0)
    (batch,) = stream.once()
    assert torch.equal(batch["attributes"][:, 0], batch["class_labels"] == 1)


def test_unknown_attributes_are_answered_with_the_known_ones(labelled, image_folder, tmp_path):
    with pytest.raises(UserError, match="has no attribute 'Smiling': its boolean columns are big, round"):
        load_images(labelled, attributes=["big", "Smiling"])
    with pytest.raises(UserError, match="has no attribute 'all': it has no boolean column at all"):
        load_images(str(image_folder), attributes="all")
    (tmp_path / "gaps").mkdir()
    features = datasets.Features({"image": datasets.Image(), "big": datasets.Value("bool")})
    rows = {"image": [numbered(i) for i in range(2)], "big": [True, None]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "gaps" / "train.parquet")
    with pytest.raises(UserError, match="The column big has no value for some images"):
        load_images(str(tmp_path / "gaps"), attributes="all", num_workers=0)


def write_mixed(folder, files: dict) -> str:
    """A folder of encoded pictures, as they are given."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return str(folder)


def encoded(image: Image.Image, format: str = "PNG", **options) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


@pytest.mark.parametrize(
    ("modes", "expected"),
    [("LLL", 1), ("LRL", 3), ("RLL", 3), ("LLP", 3), ("AAA", 1), ("16", 1), ("RRR", 3), ("L" * 255 + "R", 3)],
)
def test_any_of_the_first_images_makes_it_colour(tmp_path, modes, expected):
    kinds = {"L": numbered(9), "R": numbered(9, mode="RGB"), "P": numbered(9, mode="RGB").convert("P")}
    kinds |= {"A": numbered(9).convert("LA"), "1": numbered(1).convert("1"), "6": numbered(9).convert("I;16")}
    write_mixed(tmp_path, {f"{i:03d}.png": encoded(kinds[mode]) for i, mode in enumerate(modes)})
    stream = load_images(str(tmp_path), num_workers=0)
    assert stream.num_channels == expected
    assert load_images(str(tmp_path), num_workers=0, num_channels=4 - expected).num_channels == 4 - expected


def test_transparency_shows_the_background_or_is_kept(tmp_path):
    sprite = Image.new("RGBA", (16, 16), (9, 90, 200, 0))
    sprite.paste((255, 0, 0, 255), (4, 4, 12, 12))
    folder = write_mixed(tmp_path, {"a.png": encoded(sprite)})

    def corners(**options) -> list:
        (batch,) = load_images(folder, num_workers=0, **options).once()
        return ((batch["pixel_values"][0, :, [0, 8], [0, 8]] + 1) * 127.5).round().int().T.tolist()

    assert corners() == [[0, 0, 0], [255, 0, 0]]
    assert corners(background="white") == [[255, 255, 255], [255, 0, 0]]
    assert corners(background="#ff8000") == [[255, 128, 0], [255, 0, 0]]
    assert corners(num_channels=4) == [[0, 0, 0, 0], [255, 0, 0, 255]]
    with pytest.raises(UserError, match="background must be black, white or a colour"):
        load_images(folder, background="blak")
    with pytest.raises(UserError, match="`num_channels` must be 1, 3 or 4, got 2"):
        load_images(folder, num_channels=2)


def test_dark_images_stay_darker_than_bright_ones(tmp_path):
    arrays = [np.full((16, 16), level, np.int32) for level in (200, 30_000, 60_000)]
    folder = write_mixed(tmp_path, {f"{i}.tif": encoded(Image.fromarray(a), "TIFF") for i, a in enumerate(arrays)})
    assert numbers(load_images(folder, num_workers=0).once()) == [1, 117, 233]


@pytest.mark.parametrize(("level", "said"), [(4095, True), (60_000, False)])
def test_dark_numbers_are_said(tmp_path, caplog, level, said):
    image = Image.fromarray(np.full((16, 16), level, np.uint16))
    stream = load_images(write_mixed(tmp_path, {"a.png": encoded(image)}), num_workers=0)
    assert numbers(stream.once()) == [round(level / 257)]
    words = "The images are dark: their numbers go up to 4,095, where 65,535 is white."
    assert any(words in record.getMessage() for record in caplog.records) == said


@pytest.fixture
def damaged(tmp_path):
    """100 numbered images in parquet, of which 7, 50 and 51 are damaged."""
    features = datasets.Features({"image": datasets.Image()})
    rows = [{"bytes": encoded(numbered(i)), "path": f"{i}.png"} for i in range(100)]
    for i, data in ((7, b""), (50, rows[50]["bytes"][:40]), (51, b"text")):
        rows[i]["bytes"] = data
    datasets.Dataset.from_dict({"image": rows}, features=features).to_parquet(tmp_path / "train.parquet")
    return str(tmp_path)


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("cache_gb", [0.0, 1.0])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_unreadable_images_are_skipped_and_named(damaged, caplog, num_workers, cache_gb, world_size):
    """By all processes alike: they take equally many steps, nothing is seen twice, and a position resumes exactly."""
    options = {"batch_size": 4, "shuffle_buffer": 30, "num_workers": num_workers, "cache_gb": cache_gb}

    def new(rank):
        return load_images(damaged, skip_unreadable=True, rank=rank, world_size=world_size, **options)

    per_epoch = 97 // (4 * world_size)
    epochs = [[], []]
    for rank in range(world_size):
        stream = new(rank)
        batches = stream.forever()
        for epoch in epochs:
            epoch += numbers([next(batches) for _ in range(per_epoch)])
        assert stream.state_dict() == {"epoch": 1, "batch": per_epoch}
        state, after = stream.state_dict(), values(next(batches))
        batches.close()
        resumed = new(rank)
        resumed.load_state_dict(state)
        assert values(take(resumed, 1)[0]) == after
        assert sorted(stream.skipped.values()) == [1, 1, 1]
    for epoch in epochs:
        assert len(set(epoch)) == len(epoch) == per_epoch * world_size * 4
        assert not {7, 50, 51} & set(epoch)
    said = {record.getMessage() for record in caplog.records}
    assert len(said) == 3
    assert "Skipped: 7.png cannot be read as an image (empty file): repair or remove it." in said
    assert len(new(0).sample(1000)[0]) == 97
    if world_size == 1:
        assert numbers(new(0).once()) == [i for i in range(100) if i not in (7, 50, 51)]


def test_nothing_is_skipped_unasked(damaged):
    with pytest.raises(UserError, match=r"7\.png cannot be read as an image \(empty file\)"):
        list(load_images(damaged, num_workers=0).once())


@pytest.mark.parametrize("world_size", [1, 2])
@pytest.mark.parametrize("buffer_bytes", [2**29, 5000])
def test_large_files_are_shuffled_exactly_in_few_bytes(tmp_path, monkeypatch, world_size, buffer_bytes):
    """Bounded in bytes, the order is another; still nothing is lost, nothing is seen twice, and a position resumes."""
    noise = np.random.default_rng(0).integers(0, 256, (100, 64, 64), dtype=np.uint8)
    for i, image in enumerate(noise):
        image[:] = image // 64 + i
    rows = {"image": [{"bytes": encoded(Image.fromarray(image)), "path": None} for image in noise]}
    features = datasets.Features({"image": datasets.Image()})
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "train.parquet")
    monkeypatch.setattr("genmodels.data.rows.BUFFER_BYTES", buffer_bytes)
    monkeypatch.setattr("genmodels.data.rows.READ_BYTES", 2 * buffer_bytes)

    def new(rank):
        options = {"rank": rank, "world_size": world_size, "sample_size": 16, "cache_gb": 0}
        return load_images(str(tmp_path), batch_size=5, num_workers=0, shuffle_buffer=40, **options)

    per_epoch = 20 // world_size
    epochs = [[], []]
    for rank in range(world_size):
        stream = new(rank)
        batches, whole = stream.forever(), []
        for epoch in epochs:
            whole += [next(batches)["pixel_values"] for _ in range(per_epoch)]
            epoch += [round(float(image.mean() + 1) * 127.5 - 1.5) for batch in whole[-per_epoch:] for image in batch]
        resumed = new(rank)
        resumed.load_state_dict({"epoch": 0, "batch": 3})
        for again, before in zip(take(resumed, 4), whole[3:7], strict=True):
            assert torch.equal(again["pixel_values"], before)
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(100))
    assert epochs[0] != epochs[1] != sorted(epochs[1])


def test_a_sample_is_taken_from_memory_where_it_is(folder, monkeypatch):
    def new():
        return load_images(folder, batch_size=10, shuffle_buffer=30, num_workers=1)

    expected = new().sample(20)
    stream = new()
    batches = stream.forever()
    for _ in range(3):
        next(batches)
    monkeypatch.setattr("genmodels.data.rows.RowStream.decode", None)
    for images in (stream.sample(20), stream.sample(20)):
        assert all(map(torch.equal, images, expected))
    for _ in range(10):
        next(batches)
    assert all(map(torch.equal, stream.sample(20), expected))
    monkeypatch.setattr("genmodels.data.stream.SAMPLE_BYTES", 16 * 16 * 7)
    assert len(stream.sample(20)[0]) == 7
