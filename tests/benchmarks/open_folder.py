"""How long a folder of many images takes to open, and how evenly loader workers share it.

    python tests/benchmarks/open_folder.py --images 70000

Opens it as `load_images` does, and as the imagefolder builder of `datasets` does, which took its place before; each in a
process of its own on one core. Prints seconds and their ratio as JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

REPO = Path(__file__).parents[2]
OPEN = {
    "listing": "from genmodels.data.listing import list_pictures; opened = list_pictures(folder).pictures('train')",
    "load_images": (
        "from genmodels.data import load_images; opened = load_images(folder, num_workers=2)._rows.source; "
        "opened = range(opened.num_images)"
    ),
    "imagefolder": (
        "import datasets; opened = datasets.load_dataset('imagefolder', data_dir=folder, streaming=True)['train']; "
        "next(iter(opened)); opened = range(opened.num_shards)"
    ),
}
TIME = """
import os, sys, time
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
import genmodels.data.listing, datasets, torch, genmodels.data.stream
folder = sys.argv[1]
wall, cpu = time.perf_counter(), time.process_time()
exec(sys.argv[2])
print(time.perf_counter() - wall, time.process_time() - cpu, len(opened))
"""


def make_folder(root: Path, images: int, classes: int) -> None:
    """Images of 16x16 pixels in folders by class."""
    data = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 20, 20)).save(data, "PNG")
    for number in range(classes):
        folder = root / f"class {number}"
        folder.mkdir()
        for i in range(number, images, classes):
            (folder / f"{i:06}.png").write_bytes(data.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=70_000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--peer", action=argparse.BooleanOptionalAction, default=True, help="time imagefolder too")
    args = parser.parse_args()
    result: dict = {"images": args.images}
    with tempfile.TemporaryDirectory() as scratch:
        make_folder(Path(scratch), args.images, args.classes)
        for name, code in OPEN.items():
            if name == "imagefolder" and not args.peer:
                continue
            done = subprocess.run(
                [sys.executable, "-c", TIME, scratch, code],
                capture_output=True,
                text=True,
                env={**os.environ, "PYTHONPATH": str(REPO), "HF_HOME": tempfile.gettempdir()},
            )
            if done.returncode:
                raise SystemExit(done.stderr)
            wall, cpu, opened = done.stdout.split()[-3:]
            result[name] = {
                "seconds": round(float(wall), 2),
                "cpu_seconds": round(float(cpu), 2),
                "opened": int(opened),
            }
    if args.peer:
        result["imagefolder_over_load_images"] = round(
            result["imagefolder"]["cpu_seconds"] / result["load_images"]["cpu_seconds"], 1
        )
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
