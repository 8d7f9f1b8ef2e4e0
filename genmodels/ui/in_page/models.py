"""Exported models beside a page, and what its JavaScript has to know of each: `models/index.json` and a folder each."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ... import zoo
from ...errors import UserError
from .. import Json, directions, films, first_page, gallery, pair, replay
from ..faces import MAX_ATTRIBUTES
from ..models import (
    AUTOENCODER,
    CLASSES,
    FACES,
    GAN_KINDS,
    MAP,
    SAMPLES,
    Model,
    ModelStore,
    RealImages,
    weights_digest,
    without_path,
)
from ..pictures import sheet
from . import layers_of

if TYPE_CHECKING:
    from ...export import Origin

INDEX = "index.json"
# Of a folder: a name may be as long as a file system lets it be.
LONGEST_NAME = 60
FILM = films.FILE
# Of an export; the name is the exporter's, which loads torch.
FACTS = "export.json"


def write_models(store: ModelStore, root: Path) -> list[Json]:
    """Export every model that a store shows to `root/models`, a folder each, with the real images beside them and an index.

    A model that cannot be exported is left out; its entry says why.

    Args:
        store: which models; they must have been loaded.
        root: of the page, where its `engine` lies, too; made if it is not there.

    Returns:
        What `pageBackend` takes as `models`, and `models/index.json` holds.

    Raises:
        UserError: the folder cannot be written.
        ModuleNotFoundError: see `export.export_model`.
    """
    folder = root / "models"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # In the order in which the tabs list them.
        models = {id(model): model for model in (*store.gallery, *store.conditional, *store.shown)}
        written: dict[str, Json] = {}
        entries = []
        for model in models.values():
            # One that stands in two tabs lies there once.
            twin = written.get(model.name)
            own = twin and {**twin, "kind": model.kind, "main": model is store.models.get(model.kind), "class": ""}
            entries.append(own or written.setdefault(model.name, write_model(store, model, folder)))
        replays = [*write_replays(store, folder, entries)]
        entries += [*write_samples(store, folder), *write_evaluators(store, folder), *replays]
        if all(kind in store.models and store.models[kind].reason is None for kind in pair.PAIR):
            write_json(folder / "pair.json", pair_page(store))
        write_json(folder / INDEX, entries)
    except OSError as error:
        raise UserError(f"{str(folder)!r} cannot be written: {error.strerror or error}.") from error
    return entries


def write_json(path: Path, content: object) -> None:
    """A file of JSON, as short as it can be."""
    path.write_text(json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n", encoding="utf-8")


def read_index(root: Path) -> list[Json]:
    """What `write_models` has written; nothing where that cannot be read."""
    try:
        entries = json.loads((root / "models" / INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return entries if isinstance(entries, list) else []


def left_out(entries: list[Json]) -> list[str]:
    """A sentence for each model that could not be exported."""
    return [f"{entry['name']} is left out: {entry['reason']}" for entry in entries if "reason" in entry]


def folder_name(folder: Path, name: str) -> str:
    """A name as that of a folder and in an address, which no other has in `folder`: of signs outside of ASCII little is left."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:LONGEST_NAME] or "model"
    # There are file systems to which capital letters are no others.
    taken = {path.name.lower() for path in folder.iterdir()}
    return next(found for n in count(1) if (found := plain if n == 1 else f"{plain}-{n}").lower() not in taken)


def write_model(store: ModelStore, model: Model, folder: Path) -> Json:
    """Export one model to a folder of its own in `folder`; returns its entry."""
    from ...export import export_model

    name = folder_name(folder, model.key)
    entry: Json = {
        "name": model.key,
        "folder": name,
        "kind": model.kind,
        "main": model is store.models.get(model.kind),
        "title": model.title,
        "saved": model.name,
        "class_name": model.class_name,
        "truncates": model.family.truncates,
        "breeds": model.family.breeds,
        "labelled": model.labelled,
        "guided": model.family.takes_steps and model.labelled,
        "class": gallery.opening_class(model) if model.kind == SAMPLES else "",
    }
    try:
        pipe, own = store.pipe(model), folder / name
        facts = export_model(pipe, own, origin_of(model), class_weights=bool(pipe.num_classes))
    except UserError as error:
        return {**entry, "reason": without_path(str(error), model.folder)}
    facts = keep_networks(own, facts, networks_asked(model, entry["main"]))
    entry |= {
        "size": pipe.sample_size,
        "latent_dim": pipe.latent_dim,
        "class_names": pipe.class_names,
        "weights": weights_digest(model.folder) if model.folder else None,
        "discriminates": "discriminator" in facts["networks"],
        "bytes": sum(network["bytes"] for network in facts["networks"].values()),
    }
    if model.kind in (MAP, AUTOENCODER):
        write_json(own / "layers.json", layers_of(pipe))
    if model.kind == FACES:
        entry["held_fixed"] = bool(pipe.attributes.config.decorrelated)
        entry["attributes"] = pipe.attribute_names[:MAX_ATTRIBUTES]
    if model.family.breeds and model.kind == SAMPLES:
        found = pipe.principal_directions(min(directions.SLIDERS, pipe.latent_dim), **gallery.class_of(model, {}))
        explained = [round(float(share), 4) for share in found.explained]
        write_json(own / "directions.json", {"directions": found.directions.tolist(), "explained": explained})
    if films.film_of(model):
        # Of a film that is none the view says that it is not there; the model works all the same.
        with suppress(UserError):
            write_json(own / "film.json", with_film(films.film_answer(model), folder, name))
    return entry


def networks_asked(model: Model, main: bool) -> set[str]:
    """Those of a model's networks that some view asks."""
    asked = {model.family.draws}
    if model.kind in (MAP, FACES):
        asked.add("encoder")
    # A conditional GAN among the samples stands among the classes, too.
    if model.kind in GAN_KINDS and (main or CLASSES in (model.kind, model.family.view)):
        asked.add("discriminator")
    return asked


def keep_networks(folder: Path, facts: Json, kept: set[str]) -> Json:
    """Remove the other networks from an export; returns what is left of its facts."""
    for name, network in facts["networks"].items():
        if name not in kept:
            (folder / network["file"]).unlink()
    facts = {**facts, "networks": {name: network for name, network in facts["networks"].items() if name in kept}}
    write_json(folder / FACTS, facts)
    return facts


def with_film(answer: Json, folder: Path, name: str) -> Json:
    """An answer whose film lies beside it as a file, once for all that show it; `sprite` is then its path in `folder`."""
    path = folder / name / FILM
    if not path.is_file():
        path.write_bytes(base64.b64decode(answer["sprite"].partition(",")[2]))
    return {**answer, "sprite": f"{name}/{path.name}"}


def write_samples(store: ModelStore, folder: Path) -> Iterator[Json]:
    """The real images beside the models, those of several kinds once: a picture of all, the training images first."""
    written: dict[str, Json] = {}
    for kind in (MAP, AUTOENCODER, *GAN_KINDS):
        if kind not in store.models or store.models[kind].reason is not None:
            continue
        real = store.real_images(kind)
        if real is None:
            continue
        parts = (real.train, real.test, real.train_labels, real.test_labels)
        content = hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()
        if content in written:
            written[content]["of"].append(kind)
            continue
        written[content] = write_sample(real, folder / folder_name(folder, f"real-{kind}")) | {"of": [kind]}
    yield from written.values()


def write_sample(real: RealImages, folder: Path) -> Json:
    """Real images as a folder; returns their entry, without the kinds of models that they are for."""
    folder.mkdir()
    images = np.concatenate([real.train, real.test])
    _, size, _, channels = images.shape
    if channels == 4:
        # Browsers keep colours under opacity only roughly: the opacity of all comes behind them.
        images = np.concatenate([images[..., :3], images[..., 3:].repeat(3, axis=-1)])
    count = len(images)
    columns = math.ceil(math.sqrt(count))
    labels: Json = {"train": real.train_labels.tolist(), "test": real.test_labels.tolist()}
    path = folder / "images.webp"
    pixels = sheet(images, columns)
    Image.fromarray(pixels.repeat(3, axis=-1) if channels == 1 else pixels).save(path, "WEBP", lossless=True, method=4)
    # What was saved with loss is smaller as it was than as one exact picture.
    originals = files_of_sample(real.sample) if real.unchanged else []
    if len(originals) == count and 1.4 * sum(map(len, originals)) < path.stat().st_size:
        path.unlink()
        path = folder / "labels.json"
        labels |= {"lengths": list(map(len, originals)), "files": base64.b64encode(b"".join(originals)).decode()}
    write_json(folder / "labels.json", labels)
    return {
        "name": folder.name,
        "folder": folder.name,
        "kind": "sample",
        "title": real.title,
        "sample": real.sample,
        "unchanged": real.unchanged,
        "class_names": real.class_names,
        "size": size,
        "channels": channels,
        "columns": columns,
        "train": len(real.train),
        "test": len(real.test),
        "bytes": path.stat().st_size,
    }


def files_of_sample(name: str) -> list[bytes]:
    """The images of a built-in sample as the files that they are, the training images first."""
    from pyarrow import parquet

    folder = zoo.sample_folder(name)
    files = (
        [file for split in ("train", "test") for file in sorted(folder.glob(f"data/{split}-*.parquet"))]
        if folder
        else []
    )
    return [row["bytes"] for file in files for row in parquet.read_table(file, columns=["image"])["image"].to_pylist()]


def write_evaluators(store: ModelStore, folder: Path) -> Iterator[Json]:
    """The classifiers that guess in the game."""
    from ...export import Origin, export_model
    from ...features.evaluators import load_classifier
    from ...folder import ModelFolder

    shapes = {
        (model.sample_size, model.num_channels)
        for model in (store.models[kind] for kind in GAN_KINDS if kind in store.models)
        if model.reason is None and store.real_images(model.kind) is not None
    }
    for size, channels in sorted(shapes & zoo.EVALUATORS.keys()):
        name = zoo.EVALUATORS[size, channels]
        home = zoo.model_folder(name)
        if home is None:
            continue
        classifier, _ = load_classifier(name, folded=False)
        own = folder_name(folder, name)
        facts = export_model(classifier, folder / own, Origin(name, ModelFolder(home)))
        total = sum(network["bytes"] for network in facts["networks"].values())
        entry = {"name": name, "folder": own, "kind": "evaluator", "title": name}
        yield {**entry, "size": size, "channels": channels, "bytes": total}


def write_replays(store: ModelStore, folder: Path, models: list[Json]) -> Iterator[Json]:
    """Finished trainings with film and curves; `models` are entries of those whose film may lie beside them already."""
    folders = {entry["name"]: entry["folder"] for entry in models if "reason" not in entry}
    for name in replay.replays(store):
        try:
            answer = replay.replay_answer(store, name)
        except UserError:
            # The view says that it is not there.
            continue
        own = folder_name(folder, f"replay-{name}")
        (folder / own).mkdir()
        beside = own if not (folder / folders.get(name, own) / FILM).is_file() else folders[name]
        write_json(folder / own / "replay.json", with_film(answer, folder, beside))
        yield {"name": name, "folder": own, "kind": "replay", "title": answer["title"]}


def pair_page(store: ModelStore) -> Json:
    """What the view of two maps begins with, see `pair`; or the `reason` why it does not."""
    prepared = first_page.read("pair") if all(store.models[kind].built_in for kind in pair.PAIR) else None
    try:
        return prepared or store.first_page("pair", pair.first_page)
    except UserError as error:
        return {"reason": str(error)}


def origin_of(model: Model) -> Origin:
    """Where a model comes from, for its export."""
    from ...export import Origin
    from ...folder import ModelFolder
    from ...privacy import public_name

    return Origin(public_name(model.name), ModelFolder(model.folder) if model.folder else None)
