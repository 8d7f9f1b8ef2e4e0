"""Print how long the first page takes against importing what it stands on: `python tests/benchmarks/first_paint.py`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from suite_browser import running_app

RUNS = 3
# How the map's atlas lies in the page.
PICTURE = '"atlas":"data:image/png;base64,'


def import_seconds() -> float:
    """Seconds of a process that imports gradio and torch."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import gradio, torch"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def page_seconds() -> float:
    """Seconds from the start of app.py to its first page with the first tab's picture in it."""
    with running_app() as (_, page, seconds):
        # JSON in a text of JSON.
        if PICTURE not in page.replace("\\", "").replace('": "', '":"'):
            raise SystemExit("The first page came without the map's picture: run python -m genmodels.ui.prepare.")
    return seconds


def main() -> None:
    import_seconds()  # fills the disk cache
    imports, pages = zip(*((import_seconds(), page_seconds()) for _ in range(RUNS)), strict=True)
    base, page = statistics.median(imports), statistics.median(pages)
    print(f"import gradio, torch {base:.2f} s; first page {page:.2f} s; ratio {page / base:.2f} (median of {RUNS})")


if __name__ == "__main__":
    main()
