"""Draw the figures of results/ from the numbers that reproduce.py wrote there.

    python tests/benchmarks/figures.py            # all that have numbers
    python tests/benchmarks/figures.py tricks

Needs matplotlib: `python -m pip install -e ".[test]"`.
"""

from __future__ import annotations

import argparse
import re
import sys
from itertools import product
from pathlib import Path
from statistics import mean, stdev

import matplotlib
from matplotlib.figure import Figure
from reproduce import RESULTS, Results
from tables import TABLES, Column, Row, Table

# Of Okabe and Ito, which everybody can tell apart.
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#666666"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "svg.fonttype": "path",
    # The same numbers make the same file.
    "svg.hashsalt": "genmodels",
}
Found = list[tuple[Row, list[dict[str, float]]]]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)} (default: all with numbers)"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="(default: those of the repository)")
    args = parser.parse_args()
    if unknown := [name for name in args.tables if name not in TABLES]:
        parser.exit(2, f"There is no table {unknown[0]!r}: choose from {', '.join(TABLES)}.\n")
    return args


def values_of(found: list[dict[str, float]], key: str) -> list[float]:
    """A number of a row, of each seed that has it."""
    return [values[key] for values in found if key in values]


def is_share(column: Column) -> bool:
    """Whether a column is written in percent."""
    return column.form.endswith("%")


def draw_rows(table: Table, found: Found) -> Figure:
    """A panel for each column: a dot for each seed, a stroke at their mean, a dashed line for real images."""
    figure = Figure(figsize=(2.6 + 1.9 * len(table.columns), 0.9 + 0.32 * len(found)), layout="constrained")
    panels = figure.subplots(1, len(table.columns), sharey=True, squeeze=False)[0]
    for panel, column in zip(panels, table.columns, strict=True):
        for place, (_, seeds) in enumerate(found):
            numbers = values_of(seeds, column.key)
            panel.plot(numbers, [place] * len(numbers), "o", color=BLUE, markersize=5, alpha=0.7, clip_on=False)
            if len(numbers) > 1:
                panel.plot([mean(numbers)], [place], "|", color=BLUE, markersize=16)
        draw_floor(panel.axvline, found, column)
        panel.set_title(column.heading)
        panel.margins(x=0.12)
        panel.grid(axis="x", color="#dddddd", linewidth=0.6)
        panel.tick_params(axis="y", length=0)
        if is_share(column):
            panel.xaxis.set_major_formatter(f"{{x:{column.form}}}")
            panel.locator_params(axis="x", nbins=3)
    panels[0].set_yticks(range(len(found)), [row.name for row, _ in found])
    panels[0].set_ylim(len(found) - 0.5, -0.5)
    return figure


def draw_floor(line, found: Found, column: Column) -> None:
    """What real images reach, as a dashed line, if the column has it."""
    floors = [value for _, seeds in found for value in values_of(seeds, f"{column.key}_floor")]
    if floors:
        line(floors[0], color=GREY, linewidth=1, linestyle="--", zorder=0)


def draw_curves(table: Table, found: Found) -> Figure:
    """Curves over the number in the rows' names, each column in a panel of its own unless it names another."""
    places = [float(re.search(r"[\d.]+", row.name).group()) for row, _ in found]
    columns: dict[str, list[Column]] = {}
    for column in table.columns:
        columns.setdefault(column.panel or column.heading, []).append(column)
    figure = Figure(figsize=(2.4 * len(columns), 2.3), layout="constrained")
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    for panel, (title, shown) in zip(panels, columns.items(), strict=True):
        for column, color in zip(shown, (BLUE, ORANGE), strict=False):
            numbers = [values_of(seeds, column.key) for _, seeds in found]
            spreads = [stdev(values) if len(values) > 1 else 0 for values in numbers]
            style = {"color": color, "markersize": 4, "capsize": 2 * any(spreads), "label": column.heading}
            panel.errorbar(places, [mean(values) for values in numbers], spreads, fmt="o-", **style)
            draw_floor(panel.axhline, found, column)
        if len(shown) > 1:
            panel.legend(frameon=False)
        panel.set_xscale("log")
        panel.set_xticks(places, [f"{place:g}" if place < 1000 else f"{place / 1000:g}k" for place in places])
        panel.minorticks_off()
        # Zero is shown, too.
        panel.update_datalim([(places[0], 0)])
        panel.autoscale_view()
        panel.set_xlabel(table.axis)
        panel.set_title(title)
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
        if is_share(shown[0]):
            panel.yaxis.set_major_formatter(f"{{x:{shown[0].form}}}")
    return figure


def draw_points(found: Found) -> Figure:
    """What each row's generator drew during training, beside the last points: a row of pictures each."""
    shown = [(row, seeds[0]["points"]) for row, seeds in found if "points" in seeds[0]]
    data = list(shown[0][1])
    steps = list(shown[0][1][data[0]])
    figure = Figure(figsize=(1.15 * len(data) * len(steps) + 1.6, 1.15 * len(shown) + 0.4), layout="constrained")
    panels = figure.subplots(len(shown), len(data) * len(steps), squeeze=False)
    for (row, points), line in zip(shown, panels, strict=True):
        pictures = [points[name][step] for name, step in product(data, steps)]
        for panel, picture in zip(line, pictures, strict=True):
            points = [[float(x) for x in point.split(",")] for point in picture.split()]
            panel.scatter(*zip(*points, strict=True), s=1.5, color=ORANGE, linewidths=0, rasterized=True)
            panel.set(xlim=(-3, 3), ylim=(-3, 3), xticks=[], yticks=[], aspect="equal")
            panel.spines[:].set(visible=True, color="#cccccc")
        line[0].set_ylabel(row.name, rotation=0, ha="right", va="center")
    for panel, (name, step) in zip(panels[0], product(data, steps), strict=True):
        panel.set_title(f"{name}, step {int(step):,}", fontsize=8)
    return figure


def main() -> None:
    args = parse_args()
    matplotlib.rcParams.update(STYLE)
    for name in args.tables or TABLES:
        table, results = TABLES[name], Results(args.results / f"{name}.json")
        found = [(row, [entry["values"] for entry in results.of(row)]) for row in table.rows if results.of(row)]
        if not found:
            if args.tables:
                raise SystemExit(f"{name} has no numbers yet: python tests/benchmarks/reproduce.py {name}")
            continue
        figures = {name: draw_curves(table, found) if table.axis else draw_rows(table, found)}
        if "points" in found[0][1][0]:
            figures[f"{name}-points"] = draw_points(found)
        for stem, figure in figures.items():
            path = args.results / f"{stem}.svg"
            figure.savefig(path, metadata={"Date": None}, facecolor="white", dpi=150)
            print(f"Wrote {path}")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    main()
