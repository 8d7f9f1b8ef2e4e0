"""An image folder as a dataset on the Hub: parquet shards that the training scripts stream, with a card.

`datasets` and torch are imported only once there is something to read, so that mistakes are answered at once.
"""

from __future__ import annotations

import argparse
import io
import itertools
import math
import random
import shlex
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from ..data.archives import place_bytes, read_place
from ..data.listing import Listing, Picture, list_pictures, printable, readable
from ..errors import UserError
from ..hub.retries import is_transient, one_deadline, retry
from ..privacy import find_secret
from .arguments import share, whole_number

# One download of a shard should neither take minutes nor be one of thousands.
SHARD_BYTES = 256 * 2**20
# Below so many images another shard, and with it another worker, gains nothing.
SHARD_IMAGES, USUAL_SHARDS = 1000, 8
# A row group is what a reader takes at once.
ROW_GROUP, ROW_GROUP_BYTES = 100, 2**24

CARD = """# {name}

{count:,} images{classes_text}, pushed with genmodels.

{table}

## Use

```python
import datasets

rows = datasets.load_dataset("{repo_id}", split="train", streaming=True)
print(next(iter(rows)))
```

Train on it:

```sh
{command}
```
"""


def list_published(folder: Path) -> Listing:
    """The images of a folder or an archive as `list_pictures` finds them, all of which may be published.

    Raises:
        UserError: there are none, their classes differ between splits, or a link leads out of the folder.
    """
    listing = list_pictures(str(folder))
    if listing.leads_out is not None:
        raise UserError(
            f"{str(folder)!r} holds the link {printable(listing.leads_out)!r}, which leads out of it: put a copy in its place, "
            "or remove it; nothing was pushed."
        )
    for split in listing.splits:
        has_classes = {picture.class_name is not None for picture in listing.pictures(split)}
        if has_classes != {bool(listing.class_names)}:
            has = (
                "classes, which train lacks" if True in has_classes else "no classes: every split needs those of train"
            )
            raise UserError(f"The split {split} of {str(folder)!r} has {has}.")
    return listing


def hold_out(pictures: list[Picture], share: float) -> tuple[list[Picture], list[Picture]]:
    """Part of each class, chosen at random with a fixed seed: the others, and a test split of at least one image a class.

    Raises:
        UserError: a class has too few images to leave one on both sides.
    """
    chosen = set()
    for name in sorted({picture.class_name for picture in pictures}, key=str):
        members = [picture for picture in pictures if picture.class_name == name]
        count = max(1, round(share * len(members)))
        if count >= len(members):
            raise UserError(
                f"--test_share {share:g} leaves no training image of {len(members)}"
                + (f" in class {name!r}" if name else "")
                + ": give a smaller share or more images."
            )
        chosen |= set(random.Random(0).sample(members, count))
    return [p for p in pictures if p not in chosen], [p for p in pictures if p in chosen]


def read_picture(picture: Picture, resolution: int | None, fit: str, keep_metadata: bool) -> bytes:
    """The bytes to publish: the file's own, or the image as a square PNG of `resolution` pixels without metadata.

    The PNG is grey, in colour, or with transparency as the image is: training decides what to make of it.

    Raises:
        UserError: it cannot be read as an image, or would publish the place where it was taken.
    """
    from ..hub.contents import check_data, texts_in_picture
    from ..images import has_colour, make_square, open_image, read_image, reading, to_8_bits

    name = repr(printable(picture.name))
    try:
        with reading(name):
            data = read_place(picture.place)
        image = read_image(data, name, near=resolution)
        image, channels = to_8_bits(image, 4, name=name), 3 if has_colour(image) else 1
        # Alpha that hides nothing is left out.
        if image.getchannel("A").getextrema()[0] == 255:
            image = to_8_bits(image, channels)
    except UserError as error:
        raise UserError(f"{str(error).removesuffix('.')}; nothing was pushed.") from error
    if secret := find_secret(picture.name):
        raise UserError(f"The name of {name} contains {secret}: rename it; nothing was pushed.")
    if resolution is None:
        check_data(Path(picture.name), data, reader=texts_in_picture)
        if tells_place(open_image(data, name)) and not keep_metadata:
            raise UserError(
                f"{printable(picture.name)!r} says where it was taken (GPS): --resolution SIZE publishes images without "
                "metadata, --keep_metadata publishes it as it is; nothing was pushed."
            )
        return data
    out = io.BytesIO()
    make_square(image, resolution, fit).save(out, format="PNG")
    return out.getvalue()


def tells_place(image: Image.Image) -> bool:
    """Whether an image says where it was taken."""
    try:
        return bool(image.getexif().get_ifd(ExifTags.IFD.GPSInfo))
    except Exception:
        # What Pillow cannot read in it, another program may.
        return "exif" in image.info


def write_shards(
    pictures: list[Picture],
    class_names: list[str],
    split: str,
    folder: Path,
    *,
    resolution: int | None = None,
    fit: str = "crop",
    keep_metadata: bool = False,
) -> int:
    """Write `folder`/data/<split>-00000-of-0000N.parquet with the columns `image` and, with classes, `label`.

    Rows are in a random order, with a fixed seed: in that of the folder each shard would hold a class or two, and a stream's
    shuffle buffer would not mix them. The same folder gives the same bytes.

    Returns:
        The number of shards.

    Raises:
        UserError: see `read_picture`.
    """
    import datasets

    features = {"image": datasets.Image()}
    if class_names:
        features["label"] = datasets.ClassLabel(names=class_names)
    schema = datasets.Features(features).arrow_schema
    pictures = random.Random(0).sample(pictures, len(pictures))
    size = sum(place_bytes(picture.place) for picture in pictures)
    if resolution is not None:
        # Before it is known how well they compress: at most three bytes a pixel.
        size = min(size, 3 * resolution**2 * len(pictures))
    shards = max(1, math.ceil(size / SHARD_BYTES), min(USUAL_SHARDS, len(pictures) // SHARD_IMAGES))
    shards = min(shards, len(pictures))
    (folder / "data").mkdir(exist_ok=True)
    for shard in range(shards):
        _write_shard(
            folder / "data" / f"{split}-{shard:05d}-of-{shards:05d}.parquet",
            schema,
            _rows(pictures[shard::shards], class_names, resolution, fit, keep_metadata),
        )
    return shards


def _rows(
    pictures: list[Picture], class_names: list[str], resolution: int | None, fit: str, keep_metadata: bool
) -> Iterator[dict[str, Any]]:
    numbers: dict[str | None, int] = {name: i for i, name in enumerate(class_names)}
    for picture in pictures:
        data = read_picture(picture, resolution, fit, keep_metadata)
        name = readable(picture.name.rsplit("/", 1)[-1])
        if resolution is not None:
            name = f"{Path(name).stem}.png"
        label = {"label": numbers[picture.class_name]} if class_names else {}
        yield {"image": {"bytes": data, "path": name}, **label}


def _write_shard(path: Path, schema: Any, rows: Iterator[dict[str, Any]]) -> None:
    """A parquet file, row group by row group: memory holds one of them."""
    import pyarrow as pa
    from pyarrow import parquet

    group: list[dict[str, Any]] = []
    size = 0
    # A dictionary of images would hold them all, and could be read only as a whole.
    with parquet.ParquetWriter(path, schema, use_dictionary=False) as writer:
        for row in itertools.chain(rows, [None]):
            if row is not None:
                group.append(row)
                size += len(row["image"]["bytes"])
            if group and (row is None or len(group) == ROW_GROUP or size >= ROW_GROUP_BYTES):
                writer.write_table(pa.Table.from_pylist(group, schema=schema))
                group, size = [], 0


def write_dataset_card(
    folder: Path,
    repo_id: str,
    splits: dict[str, list[Picture]],
    class_names: list[str],
    license_name: str | None,
    resolution: int | None,
) -> None:
    """Write `folder`/README.md: metadata, counts, and how to stream and train on it.

    Raises:
        UserError: the Hub does not take the metadata, because of an unknown license.
    """
    from huggingface_hub import DatasetCard, DatasetCardData

    from ..hub.cards import plain
    from ..hub.push import hub_errors

    count = sum(map(len, splits.values()))
    tasks = ["unconditional-image-generation", *(["image-classification"] if class_names else [])]
    data = DatasetCardData(
        license=license_name,
        pretty_name=repo_id.split("/")[-1],
        tags=["genmodels", "image"],
        task_categories=tasks,
        size_categories=[size_category(count)],
        configs=[
            {
                "config_name": "default",
                "data_files": [{"split": split, "path": f"data/{split}-*.parquet"} for split in splits],
            }
        ],
    )
    totals = {split: Counter(picture.class_name for picture in pictures) for split, pictures in splits.items()}
    lines = [["class" if class_names else "", *splits], ["---"] * (1 + len(splits))]
    lines += [[plain(name), *(f"{totals[split][name]:,}" for split in splits)] for name in class_names]
    lines += [["all", *(f"{len(pictures):,}" for pictures in splits.values())]]
    text = CARD.format(
        name=repo_id.split("/")[-1],
        count=count,
        classes_text=f" in {len(class_names)} classes" if class_names else "",
        table="\n".join(f"| {' | '.join(line)} |" for line in lines),
        repo_id=repo_id,
        command=training_command(repo_id, bool(class_names), resolution),
    )
    card = DatasetCard(f"---\n{data.to_yaml()}\n---\n\n{text}")
    with hub_errors("Having the dataset's card checked failed"):
        try:
            retry(lambda: card.validate(repo_type="dataset"))
        except ValueError as error:
            if is_transient(error):
                raise
            raise UserError(
                f"The Hub does not take the dataset's card, perhaps for --license {license_name}: give one of "
                "https://huggingface.co/docs/hub/repositories-licenses, or none."
            ) from error
    card.save(folder / "README.md")


def training_command(repo_id: str, has_classes: bool, resolution: int | None) -> str:
    """How to train on the dataset: the conditional GAN if there are classes to condition on."""
    script = "cgan" if has_classes else "dcgan"
    # Images that were not made square here may be of any size.
    return f"accelerate launch train/{script}.py --dataset_name {repo_id}" + ("" if resolution else " --resolution 64")


def size_category(count: int) -> str:
    """The Hub's name for a dataset of `count` rows: "n<1K", "1K<n<10K", ..."""
    if count < 1000:
        return "n<1K"
    steps = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")
    power = min(int(math.log10(count)) - 3, len(steps) - 2)
    return f"{steps[power]}<n<{steps[power + 1]}"


def check_place(folder: Path, repo_id: str, replace: bool) -> tuple[str, ...]:
    """The data files that the dataset on the Hub holds and `folder` does not: none, or those to be replaced.

    Raises:
        UserError: it holds other data, which was not asked to be replaced.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError

    from ..hub.push import hub_errors, is_same

    with hub_errors(f"Looking for {repo_id} failed"):
        try:
            info = retry(lambda: HfApi().dataset_info(repo_id, files_metadata=True))
        except RepositoryNotFoundError:
            return ()
    there = {file.rfilename: file for file in info.siblings or [] if file.rfilename != ".gitattributes"}
    here = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    if there and not replace and not (there.keys() == here.keys() and all(is_same(here[n], there[n]) for n in here)):
        raise UserError(
            f"{repo_id} is on the Hub already and holds something else: choose another name, or add --replace to put this in "
            "its place."
        )
    return tuple(name for name in there if name.startswith("data/") and name not in here)


@one_deadline()
def push_dataset(
    folder: Path,
    repo_id: str,
    *,
    private: bool = False,
    replace: bool = False,
    resolution: int | None = None,
    fit: str = "crop",
    test_share: float = 0.0,
    license_name: str | None = None,
    keep_metadata: bool = False,
) -> tuple[str, list[str]]:
    """Turn a folder of images into a dataset on the Hub, in one commit; returns its address and the names of its classes.

    Args:
        folder: images, or folders by class, below train, test and validation if there are such; or a .zip or .tar of them.
        repo_id: "name/dataset".
        private: make the repository private if it is new.
        replace: put the new data in the place of what the dataset holds.
        resolution: publish square PNGs of so many pixels, without metadata; by default the files as they are.
        fit: how they become square, as in `load_images`.
        test_share: if there is no test split, make one of this share of each class.
        license_name: of the images, as the Hub calls it, such as "cc-by-4.0".
        keep_metadata: publish images that say where they were taken.

    Raises:
        UserError: an image is unreadable, the folder is of no use, you may not write there, or the Hub does not answer.
    """
    from ..hub.contents import DATASET_KINDS
    from ..hub.push import check_rights, push_folder

    listing = list_published(folder)
    print(listing.summary())
    splits = {split: list(pictures) for split, pictures in listing.splits.items()}
    if test_share and "test" in splits:
        raise UserError(f"{str(folder)!r} has a test split already: leave --test_share out.")
    if test_share:
        splits["train"], splits["test"] = hold_out(splits["train"], test_share)
    class_names = listing.class_names
    check_rights(repo_id, private=private, repo_type="dataset")
    flags = [
        *(["--private"] if private else []),
        *(["--replace"] if replace else []),
        *(["--resolution", str(resolution), "--fit", fit] if resolution else []),
        *(["--test_share", f"{test_share:g}"] if test_share else []),
        *(["--license", license_name] if license_name else []),
        *(["--keep_metadata"] if keep_metadata else []),
    ]
    command = f"python -m genmodels push-dataset {shlex.join([str(folder), repo_id, *flags])}"
    scratch = Path(tempfile.mkdtemp(prefix="genmodels-dataset-"))
    try:
        write_dataset_card(scratch, repo_id, splits, class_names, license_name, resolution)
        for split, pictures in splits.items():
            shards = write_shards(
                pictures, class_names, split, scratch, resolution=resolution, fit=fit, keep_metadata=keep_metadata
            )
            print(f"{split}: {len(pictures):,} images in {shards} shard{'s' if shards > 1 else ''}")
        address = push_folder(
            scratch,
            repo_id,
            private=private,
            repo_type="dataset",
            kinds=DATASET_KINDS,
            title="Upload the dataset",
            replaced=check_place(scratch, repo_id, replace),
            source=folder,
            command=command,
        )
        return address, class_names
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        type=Path,
        metavar="FOLDER",
        help="images, or folders of images by class, below train, test, validation if there are such; or a .zip or .tar of it",
    )
    parser.add_argument("repo_id", metavar="NAME/DATASET", help="your name or an organisation's, a slash, a name")
    parser.add_argument("--private", action="store_true", help="make it private, if it is new")
    parser.add_argument("--replace", action="store_true", help="put it in the place of what that dataset holds")
    parser.add_argument(
        "--resolution",
        type=whole_number(16, 1024),
        metavar="PIXELS",
        help="publish square PNGs of this size, without metadata; default: the files as they are",
    )
    parser.add_argument("--fit", choices=("crop", "pad", "stretch"), default="crop", help="how; default: %(default)s")
    parser.add_argument(
        "--test_share", type=share, default=0.0, help="hold out this share of each class as a test split; default: none"
    )
    parser.add_argument("--license", metavar="ID", help="of the images, as the Hub calls it, such as cc-by-4.0")
    parser.add_argument(
        "--keep_metadata", action="store_true", help="publish images even if they say where they were taken (GPS)"
    )


def run(args: argparse.Namespace) -> None:
    """`python -m genmodels push-dataset`: push, and say how to train on it."""
    options = {name: getattr(args, name) for name in ("private", "replace", "resolution", "fit", "test_share")}
    address, class_names = push_dataset(
        args.folder, args.repo_id, license_name=args.license, keep_metadata=args.keep_metadata, **options
    )
    print(f"{address}\nTrain on it: {training_command(args.repo_id, bool(class_names), args.resolution)}")
