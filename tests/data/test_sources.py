"""Rows of tables: labels of any type, splits, configurations, and no file but the dataset's own."""

from __future__ import annotations

import io
import os
from pathlib import Path

import datasets
import numpy as np
import pandas
import pyarrow
import pytest
from helpers import run_python
from PIL import Image
from pyarrow import parquet

from genmodels.data import load_images
from genmodels.errors import UserError

N = 8


def png(value: int = 0) -> bytes:
    data = io.BytesIO()
    Image.new("L", (16, 16), value).save(data, "PNG")
    return data.getvalue()


IMAGES = [{"bytes": png(i), "path": None} for i in range(N)]


def save(root: Path, columns: dict, features: dict, name: str = "train.parquet") -> str:
    """A dataset folder with a column of images and these."""
    root.mkdir(parents=True, exist_ok=True)
    columns = {"image": IMAGES, **columns}
    features = {"image": datasets.Image(), **features}
    datasets.Dataset.from_dict(columns, features=datasets.Features(features)).to_parquet(root / name)
    return str(root)


def labels_of(source: str, **options) -> tuple[list[str], list[int]]:
    stream = load_images(source, batch_size=N, num_workers=0, **options)
    return stream.class_names, [n for batch in stream.once() for n in batch["class_labels"].tolist()]


@pytest.mark.parametrize(
    ("dtype", "values", "names", "numbers"),
    [
        ("string", ["dog", "cat"] * 4, ["cat", "dog"], [1, 0] * 4),
        ("large_string", ["b10", "b2"] * 4, ["b2", "b10"], [1, 0] * 4),
        ("int64", [3, 0] * 4, ["0", "3"], [1, 0] * 4),
        ("int8", [10, 9] * 4, ["9", "10"], [1, 0] * 4),
        ("uint8", [200, 7] * 4, ["7", "200"], [1, 0] * 4),
        ("float64", [1.0, 0.0] * 4, ["0", "1"], [1, 0] * 4),
        ("string", ["10.0", "9.0"] * 4, ["9", "10"], [1, 0] * 4),
        ("string", ["1.0", "1.5"] * 4, ["1.0", "1.5"], [0, 1] * 4),
        ("bool", [True, False] * 4, ["not kind", "kind"], [1, 0] * 4),
    ],
)
def test_labels_of_any_type_are_taken_when_asked_for(tmp_path, dtype, values, names, numbers):
    folder = save(tmp_path, {"kind": values}, {"kind": datasets.Value(dtype)})
    assert labels_of(folder, label_column="kind") == (names, numbers)
    stream = load_images(folder, num_workers=0)
    assert (stream.class_names, stream.label_columns) == ([], ["kind"])
    assert labels_of(folder, label_column="kind", classes=names[1:]) == (names[1:], [0] * 4)


@pytest.mark.parametrize(
    ("feature", "values"),
    [
        (datasets.Value("int64"), [0, 1, None] + [1] * 5),
        (datasets.Value("int64"), [0, 1, -1] + [1] * 5),
        (datasets.Value("string"), ["a", None, ""] + ["b"] * 5),
        (datasets.Value("float32"), [0.0, float("nan"), 1.0] + [1.0] * 5),
        (datasets.ClassLabel(names=["a", "b"]), [0, 1, None] + [1] * 5),
        (datasets.ClassLabel(names=["a", "b"]), [0, 1, -1] + [1] * 5),
    ],
)
def test_missing_labels_get_a_sentence_unless_classes_are_chosen(tmp_path, feature, values):
    folder = save(tmp_path, {"label": values}, {"label": feature})
    with pytest.raises(UserError, match=r"The column label has no label for some images: choose .* with `classes`"):
        labels_of(folder, label_column="label")
    names = ["a", "b"] if "a" in values or hasattr(feature, "names") else ["0", "1"]
    labelled = [value for value in values if value in (0, 1, "a", "b")]
    assert len(labels_of(folder, label_column="label", classes=names)[1]) == len(labelled)


@pytest.mark.parametrize(
    ("feature", "values", "message"),
    [
        (datasets.Value("float32"), [0.5] * N, "holds fractions such as 0.5, which are no classes"),
        (
            datasets.List(datasets.Value("int64")),
            [[1]] * N,
            "The column label of .* is of type list, which holds no classes",
        ),
        (datasets.Value("int64"), [None] * N, "has no label for any image"),
    ],
)
def test_columns_that_hold_no_classes_get_a_sentence(tmp_path, feature, values, message):
    folder = save(tmp_path, {"label": values}, {"label": feature})
    with pytest.raises(UserError, match=message):
        load_images(folder, label_column="label", num_workers=0)


def test_too_many_different_labels_are_no_classes(tmp_path, monkeypatch):
    monkeypatch.setattr("genmodels.data.columns.MAX_CLASSES", 5)
    folder = save(tmp_path, {"caption": [f"text {i}" for i in range(N)]}, {"caption": datasets.Value("string")})
    with pytest.raises(UserError, match="has more than 5 different values: it holds no classes"):
        load_images(folder, label_column="caption", num_workers=0)


def test_all_splits_number_classes_as_train_does(tmp_path):
    kind = {"kind": datasets.Value("string")}
    save(tmp_path, {"kind": ["c", "a", "b", "a"] * 2}, kind)
    folder = save(tmp_path, {"kind": ["c"] * N}, kind, "test.parquet")
    assert labels_of(folder, split="test", label_column="kind") == (["a", "b", "c"], [2] * N)
    save(tmp_path, {"kind": ["new"] * N}, kind, "test.parquet")
    with pytest.raises(UserError, match="has the class 'new', which the split train lacks"):
        labels_of(folder, split="test", label_column="kind")


def test_tables_written_by_pandas(tmp_path):
    for name, images in (("bytes", [image["bytes"] for image in IMAGES]), ("struct", IMAGES)):
        (tmp_path / name).mkdir()
        path = tmp_path / name / "rows.parquet"
        pandas.DataFrame({"image": images, "label": [i % 2 for i in range(N)]}).to_parquet(path)
        for source in (path, path.parent):
            assert labels_of(str(source), label_column="label") == (["0", "1"], [0, 1] * 4)
            assert load_images(str(source), num_workers=0).num_images == N


def test_what_save_to_disk_wrote(tmp_path):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    rows = datasets.Dataset.from_dict({"image": IMAGES, "label": [i % 2 for i in range(N)]}, features=features)
    rows.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"train": rows, "test": rows.select(range(3))}).save_to_disk(tmp_path / "splits")
    assert labels_of(str(tmp_path / "one"), label_column="label") == (["0", "1"], [0, 1] * 4)
    assert labels_of(str(tmp_path / "splits"), split="test", label_column="label") == (["0", "1"], [0, 1, 0])
    with pytest.raises(UserError, match="has no split 'test': it has train"):
        load_images(str(tmp_path / "one"), split="test")
    state = tmp_path / "one" / "state.json"
    state.write_text(state.read_text().replace('"data-', '"../one/data-'))
    with pytest.raises(UserError, match="names files outside of itself"):
        load_images(str(tmp_path / "one"))


@pytest.mark.parametrize(
    ("columns", "features", "message"),
    [
        ({"image": [[x] for x in IMAGES]}, {"image": datasets.List(datasets.Image())}, "holds lists of images"),
        (
            {"image": [np.zeros((4, 4), "uint8")] * N},
            {"image": datasets.Array2D((4, 4), "uint8")},
            "holds arrays of pixels: save them as images",
        ),
        (
            {"image": list("abcdefgh")},
            {"image": datasets.Value("string")},
            "has no image column: its columns are image",
        ),
    ],
)
def test_columns_that_hold_no_images_get_a_sentence(tmp_path, columns, features, message):
    with pytest.raises(UserError, match=message):
        load_images(save(tmp_path, columns, features), num_workers=0)


def test_several_image_columns_are_to_be_chosen_from(tmp_path):
    folder = save(tmp_path / "a", {"mask": IMAGES}, {"mask": datasets.Image()})
    assert load_images(folder, num_workers=0).num_images == N
    rows = {"image": IMAGES, "before": IMAGES, "after": IMAGES}
    features = datasets.Features(dict.fromkeys(("before", "after"), datasets.Image()) | {"image": datasets.Image()})
    (tmp_path / "b").mkdir()
    datasets.Dataset.from_dict(rows, features=features).remove_columns("image").to_parquet(tmp_path / "b/x.parquet")
    with pytest.raises(UserError, match="choose one of before, after with `image_column`"):
        load_images(str(tmp_path / "b"), num_workers=0)


def test_several_configurations_are_listed(tmp_path):
    for name in ("small", "big"):
        save(tmp_path / name, {}, {})
    configs = "".join(f"- config_name: {n}\n  data_files: {n}/train.parquet\n" for n in ("small", "big"))
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    with pytest.raises(UserError, match="has several configurations: choose one of small, big with `config_name`"):
        load_images(str(tmp_path))
    with pytest.raises(UserError, match="has no configuration 'huge': it has small, big"):
        load_images(str(tmp_path), config_name="huge")
    assert load_images(str(tmp_path), config_name="big", num_workers=0).num_images == N


def test_images_and_tables_side_by_side_are_not_both_taken(tmp_path):
    folder = save(tmp_path, {}, {})
    (tmp_path / "0.png").write_bytes(png())
    with pytest.raises(UserError, match=r"holds 1 image and also train\.parquet with images of its own"):
        load_images(folder)
    (tmp_path / "README.md").write_text("---\nconfigs:\n- config_name: default\n  data_files: train.parquet\n---\n")
    assert load_images(folder, num_workers=0).num_images == N


def test_a_table_in_the_layout_of_the_hub_comes_before_pictures_beside_it(tmp_path):
    folder = save(tmp_path, {}, {})
    (tmp_path / "data").mkdir()
    (tmp_path / "train.parquet").rename(tmp_path / "data" / "train-00000-of-00001.parquet")
    (tmp_path / "preview.png").write_bytes(png())
    assert load_images(folder, num_workers=0).num_images == N


def test_a_table_that_names_the_pictures_beside_it_is_taken(own):
    (own / "link.png").unlink()
    rows_naming(own, "images/own.png")
    (batch,) = load_images(str(own), num_workers=0).once()
    assert batch["pixel_values"].shape[0] == 1
    assert batch["pixel_values"].max() < -0.9


@pytest.mark.parametrize(
    ("name", "message"),
    [("a.png", "is a single image: give the folder"), ("a.csv", "is a file of another kind: give a folder of images")],
)
def test_files_of_no_use_get_a_sentence(tmp_path, name, message):
    (tmp_path / name).write_bytes(png())
    with pytest.raises(UserError, match=message):
        load_images(str(tmp_path / name))


def test_some_of_the_images(tmp_path):
    folder = save(tmp_path / "rows", {}, {})
    assert load_images(folder, max_samples=3, num_workers=0).num_images == 3
    for i in range(N):
        (tmp_path / f"{i}.png").write_bytes(png(i))

    def chosen(seed: int) -> list[int]:
        stream = load_images(str(tmp_path), max_samples=3, seed=seed, batch_size=N, num_workers=0)
        (batch,) = stream.once()
        return ((batch["pixel_values"][:, 0, 0, 0] + 1) * 127.5).round().int().tolist()

    (tmp_path / "rows" / "train.parquet").unlink()
    assert len(set(chosen(0))) == 3
    assert chosen(0) == chosen(0) == sorted(chosen(0))
    assert any(chosen(seed) != chosen(0) for seed in range(1, 5))


# A private picture, and paths by which a dataset might ask for it or for more.
OUTSIDE = [
    "{secret}",
    "../secret.png",
    "images/../../secret.png",
    "file://{secret}",
    "FILE:{secret}",
    "local://{secret}",
    "link.png",
    "http://127.0.0.1:9/x.png",
    "ftp://127.0.0.1:9/x.png",
    "hf://datasets/alice/private/x.png",
    "reference://::{reference}",
    "zip://x.png::{secret}",
    "simplecache::file://{secret}",
    "filecache::{secret}",
    "memory://x",
    "github://a:b@/x.png",
]


@pytest.fixture
def own(tmp_path):
    """A dataset folder with a picture of its own, beside a private one."""
    (tmp_path / "secret.png").write_bytes(png(200))
    root = tmp_path / "dataset"
    (root / "images").mkdir(parents=True)
    (root / "images" / "own.png").write_bytes(png(7))
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    os.mkfifo(root / "pipe.png")
    return root


def rows_naming(root: Path, path: str) -> str:
    table = pandas.DataFrame({"image": [{"bytes": None, "path": path}]})
    table.to_parquet(root / "train.parquet")
    return str(root / "train.parquet")


@pytest.mark.parametrize("path", OUTSIDE)
def test_rows_open_no_file_outside_of_their_dataset(own, path):
    path = path.format(secret=own.parent / "secret.png", reference=own / "reference.json")
    with pytest.raises(UserError, match="only files of the dataset itself are opened") as error:
        load_images(rows_naming(own, path), num_workers=0)
    assert "\n" not in str(error.value)


def test_rows_open_files_of_their_dataset(own):
    for path in ("images/own.png", str(own / "images" / "own.png"), "images/../images/own.png"):
        (batch,) = load_images(rows_naming(own, path), num_workers=0).once()
        assert batch["pixel_values"].max() < -0.9
    for path in ("images/none.png", "pipe.png", "images"):
        with pytest.raises(UserError, match="cannot be read as an image"):
            load_images(rows_naming(own, path), num_workers=0)


@pytest.mark.parametrize(
    "path", ["../x.parquet", "/etc/x.parquet", "file:///x.parquet", "zip://a::b.zip", "https://a/b", "~/x"]
)
@pytest.mark.parametrize("card", ["README.md", ".huggingface.yaml"])
@pytest.mark.parametrize("form", ["data_files: {}", "data_files:\n  - split: train\n    path: [{}]", "data_dir: {}"])
def test_cards_name_no_data_outside_of_their_dataset(tmp_path, path, card, form):
    folder = save(tmp_path, {}, {})
    text = f"configs:\n- config_name: default\n  {form.format(repr(path))}\n"
    (tmp_path / card).write_text(f"---\n{text}---\n" if card == "README.md" else text)
    with pytest.raises(
        UserError, match=rf"The {card} of the dataset names the data files .* only files of the dataset itself"
    ):
        load_images(folder)


def test_pictures_that_other_programs_draw_are_not_opened(tmp_path):
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\n(/etc/passwd) run\n%%EOF\n"
    folder = save(tmp_path, {"image": [{"bytes": eps, "path": "a.png"}] * N}, {})
    with pytest.raises(UserError, match=r"a\.png cannot be read as an image \(unknown format\)"):
        load_images(folder, num_workers=0)


def test_code_of_a_dataset_does_not_run(tmp_path):
    folder = save(tmp_path / "data", {}, {})
    (tmp_path / "data" / "data.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(UserError, match="scripts are no longer supported"):
        load_images(folder, num_workers=0)
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    folder = save(tmp_path / "data", {}, {})
    (tmp_path / "file").write_text("no folder")
    code = (
        "from genmodels.data import load_images\nfrom genmodels.errors import UserError\n"
        f"try: print(load_images({folder!r}, num_workers=0).num_images)\nexcept UserError as error: print(error)"
    )
    environment = {**os.environ, "HF_HOME": str(tmp_path / "file" / "cache")}
    done = run_python("-c", code, env=environment)
    assert "cannot be written" in done.stdout or done.stdout.strip() == str(N), done.stdout + done.stderr
    assert done.stdout.count("\n") == 1


def test_images_of_chosen_classes_are_counted_by_their_labels_alone(tmp_path):
    labels = {"kind": ["dog", "cat", "cat", "dog", "cat", None, "cat", ""]}
    folder = save(tmp_path, labels, {"kind": datasets.Value("string")})
    save(tmp_path, {"kind": ["dog", "cat"] + ["dog"] * 6}, {"kind": datasets.Value("string")}, "test.parquet")
    for options, count in (({}, 4), ({"max_samples": 3}, 2), ({"split": "test"}, 1)):
        stream = load_images(folder, label_column="kind", classes=["cat"], num_workers=0, sample_size=16, **options)
        assert stream.num_images is None
        assert stream.count_labels() == count
    assert load_images(folder, num_workers=0).count_labels() is None


def test_files_of_other_columns_get_a_sentence(tmp_path):
    save(tmp_path, {}, {}, "a.parquet")
    folder = save(tmp_path, {"kind": ["x"] * N}, {"kind": datasets.Value("string")}, "b.parquet")
    with pytest.raises(UserError, match=r"have different columns, image and image, kind: save them with the same ones"):
        load_images(folder, num_workers=0)


def test_tables_of_other_writers(tmp_path):
    """Arrow's views, and records that say more of an image than its bytes."""
    images = [image["bytes"] for image in IMAGES]
    views = {
        "image": pyarrow.array(images, pyarrow.binary_view()),
        "kind": pyarrow.array(list("abababab"), "string_view"),
    }
    records = {"image": [{"bytes": data, "path": None, "width": 16} for data in images], "kind": list("abababab")}
    for name, columns in (("views", views), ("records", records)):
        parquet.write_table(pyarrow.table(columns), tmp_path / f"{name}.parquet")
        assert labels_of(str(tmp_path / f"{name}.parquet"), label_column="kind") == (["a", "b"], [0, 1] * 4)


def test_names_of_folders_of_parquet_files_are_labels(tmp_path):
    """As Hive, Spark and pyarrow write partitions, in whatever split and however the values are escaped."""
    for split, kinds in (("train", ("dog", "a%20cat", "b10", "b2")), ("test", ("dog", "b2"))):
        for kind in kinds:
            save(
                tmp_path / split / f"kind={kind}",
                {"n": list(range(N))},
                {"n": datasets.Value("int64")},
                "part-0.parquet",
            )
    names, numbers = labels_of(str(tmp_path))
    assert names == ["a cat", "b2", "b10", "dog"]
    assert sorted(numbers) == sorted(N * [0, 1, 2, 3])
    assert labels_of(str(tmp_path), classes=["dog", "b2"]) == (["dog", "b2"], N * [1] + N * [0])
    assert labels_of(str(tmp_path), split="test") == (names, N * [1] + N * [3])
    # A column that is in the files can be chosen all the same.
    assert labels_of(str(tmp_path), label_column="n")[0] == [str(i) for i in range(N)]


def test_each_image_has_the_label_of_its_own_folder(tmp_path):
    for kind, first in (("cat", 0), ("dog", 100)):
        images = [{"bytes": png(first + i), "path": None} for i in range(N)]
        save(tmp_path / f"label={kind}", {"image": images}, {}, "part-0.parquet")
    stream = load_images(str(tmp_path), batch_size=N, num_workers=1)
    for batch in stream.once():
        values = ((batch["pixel_values"][:, 0, 0, 0] + 1) * 127.5).round()
        assert ((values >= 100).long() == batch["class_labels"]).all()
    assert stream.num_images == 2 * N


@pytest.mark.parametrize(
    ("folders", "says"),
    [
        (("year=1/kind=a", "year=2/kind=b"), "its folders name year and kind"),
        (("kind=a", "other=b"), "its folders name kind and other"),
        (("kind=a", "b"), "only some files lie in kind=..."),
    ],
)
def test_names_of_folders_that_are_no_labels_are_said(tmp_path, folders, says):
    for folder in folders:
        save(tmp_path / folder, {}, {}, "part-0.parquet")
    stream = load_images(str(tmp_path), batch_size=N, num_workers=0)
    assert stream.class_names == []
    assert says in stream.summary


def test_images_without_a_value_in_the_name_of_their_folder_have_no_label(tmp_path):
    for kind in ("a", "__HIVE_DEFAULT_PARTITION__"):
        save(tmp_path / f"kind={kind}", {}, {}, "part-0.parquet")
    with pytest.raises(UserError, match="no label for some images"):
        labels_of(str(tmp_path))
    assert labels_of(str(tmp_path), classes=["a"]) == (["a"], N * [0])
