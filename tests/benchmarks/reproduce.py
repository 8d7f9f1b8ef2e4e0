"""Fill a table of results/ with numbers of models trained right here.

    python tests/benchmarks/reproduce.py                    # which tables there are, and what they still lack
    python tests/benchmarks/reproduce.py mixtures           # train and measure what is missing, then write the table
    python tests/benchmarks/reproduce.py beta --rows "beta = 1" "beta = 4"

Each row is trained by the command that the table prints, in a folder of its own below --runs, and measured. A run that was
interrupted goes on from its last checkpoint; what stands in results/TABLE.json with the same command and all columns is not
measured again.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tables import TABLES, Column, Row, Table

HERE = Path(__file__).parent
REPO = HERE.parents[1]
RESULTS = HERE / "results"
DATASETS = {"mnist": "ylecun/mnist", "cifar10": "uoft-cs/cifar10", "emoji": "googlefonts/noto-emoji"}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", help=f"one of {', '.join(TABLES)}")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help="only these (default: all)")
    parser.add_argument("--runs", type=Path, default=REPO / "runs" / "reproduce", help="(default: runs/reproduce)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="(default: those of the repository)")
    for name, default in DATASETS.items():
        parser.add_argument(f"--{name}", default=default, help="Hub id or folder (default: %(default)s)")
    args = parser.parse_args()
    if args.table is not None and args.table not in TABLES:
        parser.exit(2, f"There is no table {args.table!r}: choose one of {', '.join(TABLES)}.\n")
    # The scripts run in the repository.
    args.runs = args.runs.resolve()
    names = [row.name for row in TABLES[args.table].rows] if args.table else []
    if unknown := set(args.rows or ()) - set(names):
        parser.exit(2, f"No row is called {', '.join(sorted(unknown))}: choose from {', '.join(names)}.\n")
    return args


class Results:
    """The numbers of one table, in a file that is whole at any time.

    Args:
        path: of the JSON file, which need not exist.
    """

    def __init__(self, path: Path):
        self.path = path
        self.rows: dict[str, dict[str, dict]] = json.loads(path.read_text()) if path.is_file() else {}

    def of(self, row: Row) -> list[dict]:
        """What was measured of a row as it is defined now, by seed."""
        entries = [self.rows.get(row.name, {}).get(str(seed)) for seed in range(row.seeds)]
        return [entry for entry in entries if entry and entry["made_by"] == made_by(row)]

    def add(self, row: Row, seed: int, entry: dict) -> None:
        """Put in what was measured, and write the file."""
        self.rows.setdefault(row.name, {})[str(seed)] = {"made_by": made_by(row), **entry}
        write(self.path, json.dumps(self.rows, indent=2) + "\n")


def write(path: Path, content: str | bytes) -> None:
    """A file, or none: never half of one."""
    partial = path.with_name(f".{path.name}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(partial, path)


def slug(row: Row) -> str:
    """A row's name as part of a file's."""
    return re.sub(r"[^a-z0-9]+", "-", row.name.lower()).strip("-")


def made_by(row: Row) -> str:
    """What decides a row's numbers beside the seed, in words."""
    if row.command:
        return f"accelerate launch {row.command}"
    return f"Settings({', '.join(f'{name}={value!r}' for name, value in row.settings.items())})"


def missing(table: Table, results: Results) -> Iterator[tuple[Row, int]]:
    """The rows and seeds that have no numbers yet, or not in all columns."""
    for row in table.rows:
        found = results.rows.get(row.name, {})
        for seed in range(row.seeds):
            entry = found.get(str(seed), {})
            whole = {column.key for column in table.columns} <= entry.get("values", {}).keys()
            if entry.get("made_by") != made_by(row) or not whole:
                yield row, seed


def train(row: Row, seed: int, folder: Path, dataset_name: str, default_name: str) -> Path:
    """Run a row's command, or the rest of it; returns the trained model's folder."""
    model = folder / "model"
    if model.is_dir():
        return model
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", *row.command.split()]
    command += ["--seed", str(seed), "--output_dir", str(folder)]
    if dataset_name != default_name:
        command += ["--dataset_name", dataset_name]
    if any((folder / "checkpoints").glob("checkpoint-*")):
        command += ["--resume_from_checkpoint", "latest"]
    done = subprocess.run(command, cwd=REPO, env={**os.environ, "PYTHONPATH": str(REPO)})
    if done.returncode or not model.is_dir():
        raise SystemExit(f"{row.name}, seed {seed}: stopped. The same command goes on from its last checkpoint.")
    return model


def data_name(table: Table) -> str:
    """The folder below --runs for the data that a table makes."""
    return f"{table.dataset}-{table.make_data.__name__}"


def data_of(table: Table, args: argparse.Namespace) -> str:
    """What a table's scripts read: a dataset, or a folder that is made of it once, such as mnist-binarized."""
    source = getattr(args, table.dataset) if table.dataset else ""
    if table.make_data is None:
        return source
    folder = args.runs / data_name(table)
    if not folder.is_dir():
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        table.make_data(partial, source)
        partial.rename(folder)
    return str(folder)


def fill(name: str, table: Table, args: argparse.Namespace, results: Results) -> None:
    """Train and measure what is missing."""
    todo = [(row, seed) for row, seed in missing(table, results) if not args.rows or row.name in args.rows]
    for number, (row, seed) in enumerate(todo, 1):
        print(f"[{number}/{len(todo)}] {row.name}, seed {seed}: {made_by(row)}", flush=True)
        default_name = DATASETS.get(table.dataset, "")
        dataset_name = data_of(table, args)
        entry, model = {"device": f"CPU, {platform.machine()}"}, None
        if row.command:
            digest = hashlib.sha256(made_by(row).encode()).hexdigest()[:8]
            folder = args.runs / name / f"{slug(row)}-{digest}-seed{seed}"
            if table.timed:
                shutil.rmtree(folder, ignore_errors=True)
            started = time.monotonic()
            model = train(row, seed, folder, dataset_name, default_name)
            facts = json.loads((model / "training.json").read_text())
            entry = {key: facts[key] for key in ("steps", "batch_size", "minutes", "device", "commit", "torch")}
            # The weights are those of the step with the lowest FID in training, unless --validation_steps is 0.
            entry["selected_step"] = facts.get("selected", {}).get("step", facts["steps"])
        seconds = {"seconds": time.monotonic() - started} if table.timed else {}
        values, protocol = table.measure(model, row, seed, dataset_name)
        values |= seconds | {key: entry[key] for key in ("minutes",) if key in entry}
        kept = {"points", *(column.key for column in table.columns)}
        kept |= {f"{key}_floor" for key in kept}
        entry |= {
            "values": {key: value for key, value in values.items() if key in kept},
            "protocol": protocol,
            "date": datetime.date.today().isoformat(),
        }
        if table.pictures and seed == 0:
            write(picture(results, row), (model / "samples.png").read_bytes())
        results.add(row, seed, entry)


def picture(results: Results, row: Row) -> Path:
    """Where it stands what a row draws."""
    return results.path.with_name(f"{results.path.stem}-{slug(row)}.png")


def written(column: Column, entries: list[dict]) -> str:
    """A number as the table shows it: the mean over the seeds, and their standard deviation."""
    values = [entry["values"][column.key] for entry in entries if column.key in entry["values"]]
    if not values:
        return ""
    text = format(statistics.mean(values), column.form)
    return f"{text} ± {format(statistics.stdev(values), column.form)}" if len(values) > 1 else text


def rendered(name: str, table: Table, results: Results) -> str:
    """The table as Markdown."""
    headings = ["", *(column.heading for column in table.columns)]
    published = any(row.published for row in table.rows)
    headings += ["published", "source"] if published else []
    lines = [headings, ["---"] * len(headings)]
    # Real images are nothing but 0 away from themselves: no floor worth a line.
    floors = [Column(f"{c.key}_floor", "", c.form) for c in table.columns]
    # They are the same real images whatever the seed of a training.
    measured = next(results.of(row)[:1] for row in table.rows if results.of(row))
    floors = [written(c, [e for e in measured if e["values"].get(c.key)]) for c in floors]
    if any(floors):
        lines.append(["*real images*", *floors, *([""] * 2 * published)])
    for row in table.rows:
        numbers = [written(column, results.of(row)) for column in table.columns]
        lines.append([row.name, *numbers, *([row.published, row.source] if published else [])])
    body = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    entries = [(row, results.of(row)) for row in table.rows if results.of(row)]
    if table.pictures:
        shown = [(row.name, f"![what {row.name} draws]({picture(results, row).name})") for row, _ in entries]
        grid = [[f"**{name}**" for name, _ in shown], ["---"] * len(shown), [link for _, link in shown]]
        body += "\n\nWhat they draw:\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in grid)
    seeds = {row.seeds for row in table.rows}
    several = " One seed: what is near may be so by chance."
    if max(seeds) > 1:
        several = f" Mean and standard deviation over {max(seeds)} seeds."
    found = {row.name: (len(results.of(row)), row.seeds) for row in table.rows}
    lacking = [name if not n else f"{name} ({n} of {of} seeds)" for name, (n, of) in found.items() if n < of]
    several += f" Not measured yet: {'; '.join(lacking)}." if lacking else ""
    trained = "\n".join(f"- {row.name}: {how_made(row, found)}" for row, found in entries)
    made = f", which also makes `runs/reproduce/{data_name(table)}`" if table.make_data else ""
    return (
        f"# {table.title}\n\n{table.about}\n\n{body}\n\n{entries[-1][1][-1]['protocol']}{several}\n\n"
        f"Made by `python tests/benchmarks/reproduce.py {name}`{made}. Its rows are made by\n\n{trained}\n"
    )


def how_made(row: Row, entries: list[dict]) -> str:
    """The command of a row, and what it ran on."""
    first = entries[0]
    if not row.command:
        return f"`{made_by(row)}`"
    minutes = statistics.mean(entry["minutes"] for entry in entries)
    chosen = ", ".join(f"{entry['selected_step']:,}" for entry in entries)
    chosen = "" if chosen == ", ".join([f"{first['steps']:,}"] * len(entries)) else f", weights of step {chosen}"
    where = f"{first['device']}, {commits_of(entries)}, torch {first['torch']}"
    return (
        f"`{made_by(row)}` ({first['steps']:,} steps of {first['batch_size']}{chosen}, {minutes:.0f} min each; {where})"
    )


def commits_of(entries: list[dict]) -> str:
    """The commit of each seed, those of the same one together."""
    seeds: dict[str, list[str]] = {}
    for seed, entry in enumerate(entries):
        seeds.setdefault(entry["commit"], []).append(str(seed))
    if len(seeds) == 1:
        return f"commit {entries[0]['commit']}"
    told = (f"{commit} (seed{'s' * (len(of) > 1)} {' and '.join(of)})" for commit, of in seeds.items())
    return f"commits {', '.join(told)}"


def main() -> None:
    args = parse_args()
    if args.table is None:
        for name, table in TABLES.items():
            left = len(list(missing(table, Results(args.results / f"{name}.json"))))
            rows = sum(row.seeds for row in table.rows)
            print(f"{name:14} {rows - left:3} of {rows:3} runs measured: {table.title}")
        return
    table, results = TABLES[args.table], Results(args.results / f"{args.table}.json")
    try:
        fill(args.table, table, args, results)
    finally:
        if any(results.of(row) for row in table.rows):
            write(args.results / f"{args.table}.md", rendered(args.table, table, results))
            print(f"Wrote {args.results / args.table}.md")


if __name__ == "__main__":
    sys.path.insert(0, str(REPO))
    main()
