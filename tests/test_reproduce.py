"""The program that fills the tables of results/: it leaves what is there, goes on where it was, and spreads are shown."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
from helpers import REPO, run_python, set_clock
from PIL import Image

from genmodels.training.scripts import load_script


@pytest.fixture
def reproduce(monkeypatch):
    monkeypatch.syspath_prepend(str(REPO / "tests" / "benchmarks"))
    yield importlib.import_module("reproduce")
    for name in ("reproduce", "tables", "figures"):
        sys.modules.pop(name, None)


@pytest.fixture
def table(reproduce, monkeypatch):
    """Two rows that need no training: one of one seed, one of three."""

    def measure(folder, row, seed, dataset_name):
        if (row.name, seed) in measured.broken:
            raise KeyboardInterrupt
        measured.append((row.name, seed))
        return {"x": row.settings["x"] + 2 * seed, "x_floor": 0.25, "other": 1.0}, "Counted by hand."

    class Measured(list):
        broken = set()

    measured = Measured()
    rows = (
        reproduce.Row("one", settings={"x": 1.0}, published="3.0", source="[a paper](https://arxiv.org/abs/1312.6114)"),
        reproduce.Row("three", seeds=3, settings={"x": 0.5}),
    )
    columns = (reproduce.Column("x", "number", ".2f"),)
    table = reproduce.Table("A few numbers", "What they tell.", columns, rows, measure)
    monkeypatch.setitem(reproduce.TABLES, "few", table)
    return table, measured


def run(reproduce, monkeypatch, folder, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "few", "--results", str(folder), *arguments])
    reproduce.main()


def test_means_spreads_floors_and_published_numbers_are_shown(reproduce, table, monkeypatch, tmp_path):
    run(reproduce, monkeypatch, tmp_path)
    text = (tmp_path / "few.md").read_text()
    assert "| *real images* | 0.25 |  |  |" in text
    assert "| one | 1.00 | 3.0 | [a paper](https://arxiv.org/abs/1312.6114) |" in text
    # 0.5, 2.5 and 4.5.
    assert "| three | 2.50 ± 2.00 |  |  |" in text
    assert "Counted by hand. Mean and standard deviation over 3 seeds." in text
    assert "`python tests/benchmarks/reproduce.py few`" in text
    assert json.loads((tmp_path / "few.json").read_text())["one"]["0"]["values"] == {"x": 1.0, "x_floor": 0.25}


def test_what_is_measured_stays_and_what_was_interrupted_follows(reproduce, table, monkeypatch, tmp_path):
    measured = table[1]
    measured.broken = {("three", 1)}
    with pytest.raises(KeyboardInterrupt):
        run(reproduce, monkeypatch, tmp_path)
    assert measured == [("one", 0), ("three", 0)]
    # The table shows what there is, and says what is not.
    text = (tmp_path / "few.md").read_text()
    assert "| three | 0.50 |" in text
    assert "Not measured yet: three (1 of 3 seeds)." in text
    measured.clear()
    measured.broken = set()
    run(reproduce, monkeypatch, tmp_path)
    assert measured == [("three", 1), ("three", 2)]
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["few.json", "few.md"]


def test_another_command_is_measured_anew(reproduce, table, monkeypatch, tmp_path):
    table, measured = table
    run(reproduce, monkeypatch, tmp_path)
    measured.clear()
    one = dataclasses.replace(table.rows[0], settings={"x": 7.0})
    monkeypatch.setitem(reproduce.TABLES, "few", dataclasses.replace(table, rows=(one, table.rows[1])))
    run(reproduce, monkeypatch, tmp_path)
    assert measured == [("one", 0)]
    assert "| one | 7.00 |" in (tmp_path / "few.md").read_text()


def test_a_new_column_is_measured_of_all_rows(reproduce, table, monkeypatch, tmp_path):
    table, measured = table
    run(reproduce, monkeypatch, tmp_path)
    measured.clear()
    columns = (*table.columns, reproduce.Column("other", "another", ".1f"))
    monkeypatch.setitem(reproduce.TABLES, "few", dataclasses.replace(table, columns=columns))
    run(reproduce, monkeypatch, tmp_path)
    assert measured == [("one", 0), ("three", 0), ("three", 1), ("three", 2)]
    assert "| three | 2.50 ± 2.00 | 1.0 ± 0.0 |" in (tmp_path / "few.md").read_text()


def test_single_rows_can_be_chosen(reproduce, table, monkeypatch, tmp_path, capsys):
    run(reproduce, monkeypatch, tmp_path, "--rows", "three")
    assert table[1] == [("three", 0), ("three", 1), ("three", 2)]
    # What real images have stands in every row.
    assert "| *real images* | 0.25 |" in (tmp_path / "few.md").read_text()
    with pytest.raises(SystemExit, match="2"):
        run(reproduce, monkeypatch, tmp_path, "--rows", "two")
    assert capsys.readouterr().err == "No row is called two: choose from one, three.\n"


def test_a_row_is_trained_once_and_goes_on_from_its_checkpoint(reproduce, monkeypatch, tmp_path):
    commands = []

    def train(command, cwd, env):
        """Is killed after its first checkpoint, and comes to its end when it is called again."""
        commands.append(command)
        folder = tmp_path / "run"
        (folder / ("model" if len(commands) > 1 else "checkpoints/checkpoint-5")).mkdir(parents=True)
        return dataclasses.make_dataclass("Done", ["returncode"])(int(len(commands) == 1))

    monkeypatch.setattr(reproduce.subprocess, "run", train)
    row = reproduce.Row("a VAE", "train/vae.py --beta 2")
    with pytest.raises(SystemExit, match="goes on from its last checkpoint"):
        reproduce.train(row, 1, tmp_path / "run", "a/folder", "ylecun/mnist")
    for _ in range(2):
        assert reproduce.train(row, 1, tmp_path / "run", "a/folder", "ylecun/mnist") == tmp_path / "run" / "model"
    first, second = (command[command.index("train/vae.py") :] for command in commands)
    assert first == [
        *("train/vae.py", "--beta", "2", "--seed", "1", "--output_dir", str(tmp_path / "run")),
        *("--dataset_name", "a/folder"),
    ]
    assert second == [*first, "--resume_from_checkpoint", "latest"]


def test_a_row_against_the_clock_begins_anew_and_counts_its_command_alone(reproduce, table, monkeypatch, tmp_path):
    clock = iter((100.0, 107.0))

    def train(row, seed, folder, *_):
        assert not folder.exists()
        folder.mkdir(parents=True)
        facts = {"steps": 5, "batch_size": 64, "minutes": 1.0, "device": "CPU", "commit": "abc", "torch": "2"}
        (folder / "training.json").write_text(json.dumps(facts))
        return folder

    monkeypatch.setattr(reproduce, "train", train)
    set_clock(monkeypatch, lambda: next(clock), of=reproduce.__name__)
    rows = (reproduce.Row("a GAN", "train/gan.py", settings={"x": 1.0}),)
    digest = reproduce.hashlib.sha256(reproduce.made_by(rows[0]).encode()).hexdigest()[:8]
    (tmp_path / f"few/a-gan-{digest}-seed0/checkpoints").mkdir(parents=True)
    columns = (reproduce.Column("seconds", "seconds", ".0f"),)
    monkeypatch.setitem(reproduce.TABLES, "few", dataclasses.replace(table[0], rows=rows, columns=columns, timed=True))
    run(reproduce, monkeypatch, tmp_path / "results", "--runs", str(tmp_path))
    assert "| a GAN | 7 |" in (tmp_path / "results/few.md").read_text()


def test_what_a_row_draws_stands_below_its_table(reproduce, table, monkeypatch, tmp_path):
    def train(row, seed, folder, *_):
        folder.mkdir(parents=True)
        facts = {"steps": 5, "batch_size": 64, "minutes": 1.0, "device": "CPU", "commit": "abc", "torch": "2"}
        (folder / "training.json").write_text(json.dumps(facts))
        (folder / "samples.png").write_bytes(row.name.encode())
        return folder

    monkeypatch.setattr(reproduce, "train", train)
    rows = (reproduce.Row("A GAN, plain", "train/gan.py", settings={"x": 1.0}),)
    monkeypatch.setitem(reproduce.TABLES, "few", dataclasses.replace(table[0], rows=rows, pictures=True))
    run(reproduce, monkeypatch, tmp_path / "results", "--runs", str(tmp_path))
    assert (tmp_path / "results/few-a-gan-plain.png").read_bytes() == b"A GAN, plain"
    assert "| ![what A GAN, plain draws](few-a-gan-plain.png) |" in (tmp_path / "results/few.md").read_text()


def test_binarised_data_are_made_once_and_have_the_brightness_on_average(reproduce, table, tmp_path):
    grey = [Image.fromarray(np.full((64, 64), value, np.uint8)) for value in (0, 64, 255)]
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b"])})
    data = datasets.Dataset.from_dict({"image": grey, "label": [0, 1, 1]}, features=features)
    for split in ("train", "test"):
        (tmp_path / "grey/data").mkdir(parents=True, exist_ok=True)
        data.to_parquet(tmp_path / f"grey/data/{split}-00000-of-00001.parquet")
    table = dataclasses.replace(table[0], dataset="mnist", make_data=reproduce.TABLES["likelihood"].make_data)
    args = SimpleNamespace(mnist=str(tmp_path / "grey"), runs=tmp_path)
    folder = reproduce.data_of(table, args)
    made = datasets.load_dataset(folder, split="test")
    images = [np.asarray(image) for image in made["image"]]
    assert [sorted(set(image.flat)) for image in images] == [[0], [0, 255], [255]]
    assert images[1].mean() / 255 == pytest.approx(64 / 255, abs=0.03)
    assert made["label"][:] == [0, 1, 1]
    # Another call finds them.
    assert reproduce.data_of(table, SimpleNamespace(mnist="none", runs=tmp_path)) == folder


def test_stacked_digits_are_a_colour_each(reproduce, monkeypatch, tmp_path):
    digits = [Image.fromarray(np.full((28, 28), value, np.uint8)) for value in (10, 20, 30)]
    for split in ("train", "test"):
        (tmp_path / "grey/data").mkdir(parents=True, exist_ok=True)
        data = datasets.Dataset.from_dict({"image": digits}, features=datasets.Features({"image": datasets.Image()}))
        data.to_parquet(tmp_path / f"grey/data/{split}-00000-of-00001.parquet")
    make = reproduce.TABLES["stacked-mnist"].make_data
    monkeypatch.setitem(make.__globals__["STACKED"], "train", 300)
    monkeypatch.setitem(make.__globals__["STACKED"], "test", 20)
    make(tmp_path / "stacked", str(tmp_path / "grey"))
    made = datasets.load_dataset(str(tmp_path / "stacked"))
    assert [len(made[split]) for split in ("train", "test")] == [300, 20]
    colours = [np.unique(np.asarray(image).reshape(-1, 3), axis=0) for image in made["train"]["image"]]
    assert all(len(colour) == 1 for colour in colours)
    # Each of the 27 modes.
    assert {tuple(colour[0]) for colour in colours} == set(itertools.product((10, 20, 30), repeat=3))


def test_commands_of_all_tables_are_legal(reproduce):
    for made in reproduce.TABLES.values():
        folder = f"runs/reproduce/{reproduce.data_name(made)}" if made.make_data else ""
        assert all(f"--dataset_name {folder} " in row.command for row in made.rows if folder)
    commands = [row.command for table in reproduce.TABLES.values() for row in table.rows if row.command]
    assert commands
    for command in commands:
        # It raises UserError if the script does not know a flag.
        script, *words = command[command.index("train/") :].split()
        load_script(Path(script).stem).Config.parse(words)


def test_a_model_is_measured_on_the_classes_that_it_learned(reproduce, monkeypatch, tmp_path):
    (tmp_path / "training.json").write_text(json.dumps({"classes": ["frog"]}))
    asked = {}

    def evaluate(pipeline, dataset_name, **options):
        asked.update(options)
        return SimpleNamespace(metrics=[], protocol="")

    monkeypatch.setattr("genmodels.load_pipeline", lambda folder: None)
    monkeypatch.setattr("genmodels.evaluation.evaluate.evaluate", evaluate)
    table = reproduce.TABLES["tricks"]
    table.measure(tmp_path, table.rows[0], 0, "uoft-cs/cifar10")
    assert asked == {"classes": ["frog"], "c2st": False, "cas": False}


@pytest.mark.slow
def test_an_unknown_table_is_answered_with_their_names():
    done = run_python("tests/benchmarks/reproduce.py", "fid")
    assert done.returncode == 2
    assert done.stderr.startswith("There is no table 'fid': choose one of likelihood, ")


def test_stored_tables_are_what_their_numbers_say(reproduce):
    """results/TABLE.md is written from results/TABLE.json, and every number in it is of a row that there still is."""
    for path in reproduce.RESULTS.glob("*.json"):
        table, results = reproduce.TABLES[path.stem], reproduce.Results(path)
        assert path.with_suffix(".md").read_text() == reproduce.rendered(path.stem, table, results)
        assert set(results.rows) <= {row.name for row in table.rows}
        pictures = [reproduce.picture(results, row) for row in table.rows if table.pictures and results.of(row)]
        assert all(Image.open(picture).size > (100, 100) for picture in pictures)


@pytest.fixture
def drawn(reproduce, monkeypatch, tmp_path):
    """A function that puts numbers into tables, draws the figures and returns the bytes of each."""

    def draw(*names: str, tables: tuple[str, ...] = ()) -> dict[str, bytes]:
        figures = importlib.import_module("figures")
        for name in names:
            table, results = reproduce.TABLES[name], reproduce.Results(tmp_path / f"{name}.json")
            for row, seed in reproduce.missing(table, results):
                values = {column.key: 0.1 + 0.2 * seed for column in table.columns}
                values |= {f"{column.key}_floor": 0.05 for column in table.columns}
                if table is reproduce.TABLES["mixtures"] and seed == 0:
                    values["points"] = {"ring": {"5": "0.10,-2.00 1.00,0.50", "10": "0.00,0.00"}}
                results.add(row, seed, {"values": values, "protocol": ""})
        monkeypatch.setattr(sys, "argv", ["figures.py", *tables, "--results", str(tmp_path)])
        figures.main()
        return {path.stem: path.read_bytes() for path in tmp_path.glob("*.svg")}

    return draw


@pytest.mark.slow
def test_every_table_with_numbers_has_its_figure_and_the_same_numbers_the_same_one(drawn):
    first = drawn("autoencoder", "tricks", "mixtures")
    assert set(first) == {"autoencoder", "tricks", "mixtures", "mixtures-points"}
    assert drawn() == first
    # Two rasters of points in each row.
    assert first["mixtures-points"].count(b"<image ") == 2 * 9
    assert first["autoencoder"].count(b"<image ") == 0


def test_a_figure_without_numbers_says_how_to_get_them(drawn):
    with pytest.raises(SystemExit, match=r"beta has no numbers yet: python tests/benchmarks/reproduce\.py beta"):
        drawn("tricks", tables=("beta",))
    with pytest.raises(SystemExit, match="2"):
        drawn(tables=("gamma",))


def test_stored_figures_are_drawn_from_the_stored_tables(reproduce):
    stems = {path.stem for path in reproduce.RESULTS.glob("*.json")}
    figures = {path.stem for path in reproduce.RESULTS.glob("*.svg")}
    assert stems <= figures
    assert {stem.removesuffix("-points") for stem in figures} <= stems


def test_every_seeds_commit_is_named(reproduce):
    first, second = {"commit": "aa"}, {"commit": "bb"}
    assert reproduce.commits_of([first, first]) == "commit aa"
    assert reproduce.commits_of([first, second, second]) == "commits aa (seed 0), bb (seeds 1 and 2)"
