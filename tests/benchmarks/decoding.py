"""Memory and time of reading large pictures: bytes at the peak, and how many times faster photos are decoded near their size.

    python tests/benchmarks/decoding.py memory [--row_group 50]
    python tests/benchmarks/decoding.py photos

`memory` writes 303 PNGs of 2 MB as parquet, 605 MB, into a folder that it removes, and prints the largest resident memory of
one process and of all together while one image is seen and while two epochs are read at 64 x 64. `photos` decodes JPEGs of 12
megapixels whole and near 64 x 64.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

IMAGES, SIDE = 303, 816
CHILD = """
import sys
from genmodels.data import load_images
folder, what = sys.argv[1:]
if what == "open":
    next(load_images(folder, batch_size=1, num_workers=0).once())
    sys.exit()
stream = load_images(folder, sample_size=64, batch_size=50)
batches = stream.forever()
for _ in range(12):
    next(batches)
if what == "monitor":
    stream.sample(10_000)
batches.close()
"""


def resident(pid: int) -> dict[int, int]:
    """Bytes of a process and of those that it started, by their number."""
    found = {}
    try:
        found[pid] = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found |= resident(int(child))
    except (OSError, ValueError, IndexError):
        pass
    return found


def peak(folder: str, what: str) -> tuple[int, int]:
    """The most bytes of one process and of all together while the child runs."""
    process = subprocess.Popen([sys.executable, "-c", CHILD, folder, what])
    one, together = 0, 0
    while process.poll() is None:
        now = resident(process.pid).values()
        one, together = max(one, *now, 0), max(together, sum(now))
        time.sleep(0.01)
    if process.returncode:
        raise SystemExit(f"The child ended with {process.returncode}.")
    return one, together


def write_parquet(path: Path, row_group: int) -> None:
    """Noise, which no compression makes smaller, as `Dataset.to_parquet` would write it."""
    import datasets
    import pyarrow
    from pyarrow import parquet

    random = np.random.default_rng(0)
    schema = datasets.Features({"image": datasets.Image()}).arrow_schema
    with parquet.ParquetWriter(path, schema, use_dictionary=False, compression="none") as writer:
        for start in range(0, IMAGES, row_group):
            rows = []
            for _ in range(start, min(start + row_group, IMAGES)):
                out = io.BytesIO()
                pixels = random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(out, "PNG", compress_level=0)
                rows.append({"image": {"bytes": out.getvalue(), "path": None}})
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema), row_group_size=row_group)


def memory(row_group: int) -> None:
    """Print the table of peaks."""
    with tempfile.TemporaryDirectory() as folder:
        write_parquet(Path(folder) / "train.parquet", row_group)
        size = (Path(folder) / "train.parquet").stat().st_size
        print(f"{size / 1e6:.0f} MB of parquet, row groups of {row_group}")
        for what in ("open", "epochs", "monitor"):
            one, together = peak(folder, what)
            print(f"{what:>8}: largest process {one / 1e6:.0f} MB, all together {together / 1e6:.0f} MB", flush=True)


def photos() -> None:
    """Print how many times faster a photo is decoded near its size."""
    from genmodels.images import make_square, read_image

    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (30, 40, 3), dtype=np.uint8)).resize((4000, 3000))
    pixels = np.asarray(coarse).astype(np.int16) + random.integers(-6, 7, (3000, 4000, 3), dtype=np.int16)
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=88)
    times = {}
    for near in (None, 64):
        start = time.perf_counter()
        for _ in range(10):
            make_square(read_image(out.getvalue(), "a", near=near), 64, "crop")
        times[near] = (time.perf_counter() - start) / 10
    whole, near = times[None], times[64]
    print(
        f"JPEG of 12 megapixels, {len(out.getvalue()) / 1e6:.1f} MB: {1000 * whole:.0f} ms, {1000 * near:.0f} ms near 64 x 64"
    )
    print(f"{whole / near:.1f} times faster")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("memory", "photos"))
    parser.add_argument("--row_group", type=int, default=50, help="rows in a row group (default: %(default)s, 100 MB)")
    args = parser.parse_args()
    if args.what == "memory":
        memory(args.row_group)
    else:
        photos()
