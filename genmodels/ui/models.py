"""Which models the tabs show: found from their JSON alone, loaded later in a background thread."""

from __future__ import annotations

import functools
import hashlib
import logging
import math
import os
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import zoo
from ..errors import UserError, first_line
from ..families import BY_PIPELINE, FAMILIES, Family
from ..folder import CARD, MAX_BYTES, ModelFolder, find_json, load_json, shape_of
from ..hub.retries import describe, is_transient, one_deadline, retry
from . import Json
from .admission import stop_if_abandoned

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

# A tab's own models come first: all are loaded in this order.
MAP, AUTOENCODER, SAMPLES, CLASSES, FACES = KINDS = ("map", "autoencoder", "samples", "classes", "faces")
BUILT_IN = {
    MAP: "vae-mnist",
    AUTOENCODER: "autoencoder-mnist",
    SAMPLES: "cgan-emoji",
    CLASSES: "cgan-mnist",
    FACES: "vae-celeba",
}
# Pairs of classes with which a page opens where a model has both: 3 and 8 share most of their strokes; of emoji, faces and people
# are learned best.
FEATURED = (("3", "8"), ("Smileys & Emotion", "People & Body"))
# Kinds that a tab does without where there is no such model.
OPTIONAL = (FACES,)
GAN_KINDS = (CLASSES, SAMPLES)
# What each tab shows, and beside which of it stand real images.
KINDS_SHOWN = {
    "map": (MAP, AUTOENCODER, FACES),
    "samples": (SAMPLES,),
    "classes": (CLASSES,),
    "real_or_fake": GAN_KINDS,
    "training": GAN_KINDS,
}
KINDS_COMPARED = {**KINDS_SHOWN, "map": (MAP, AUTOENCODER), "samples": (), "classes": ()}
# The tabs that show every model of a kind, and how many at most, since all of them stay in memory; of other kinds one is shown.
GALLERY_TAB, CLASSES_TAB = "samples", "classes"
MOST = {SAMPLES: 12, CLASSES: 4}
TABS = tuple(KINDS_SHOWN)
# Larger numbers in a config are damage: no network of the suite goes beyond 128 pixels.
MAX_SIDE, MAX_CLASSES = 1024, 10_000
# The maps are planes.
MAP_DIM = 2
# What training calls a model in the folder of its run.
TRAINED = "model"
# Repositories of a Hub namespace that are looked at, and what is shown of a model before its weights are there, in bytes at most.
MAX_REPOSITORIES = 100
BESIDE = (CARD, "evaluation.json", "training.json", "film.webp", "metrics.jsonl")
# In a training command what says nothing of the training; in its papers arXiv numbers, DOIs and addresses: what goes in front.
OUTPUT_DIR = re.compile(r" --output_dir \S+")
ADDRESSES = {
    r"\d{4}\.\d{4,5}": "https://arxiv.org/abs/",
    r"10\.\d{4,9}/[\w.;():/-]+": "https://doi.org/",
    r"https://[\w./-]+": "",
}
MAX_PAPERS = 12
# Trainings of a model of which each started from the one before.
MAX_TRAININGS = 8
# The built-in images that stand for "real", by the number of channels of a model; what they are, the dataset that they were
# drawn from, and which of its classes, if not all.
REAL_SAMPLES = {1: "zoo:mnist-sample", 3: "zoo:cifar10-frogs-sample", 4: "zoo:noto-emoji-sample"}
ORIGINS = {
    "zoo:mnist-sample": ("MNIST digits", "ylecun/mnist", None),
    "zoo:cifar10-frogs-sample": ("CIFAR-10 frogs", "uoft-cs/cifar10", ["frog"]),
    "zoo:noto-emoji-sample": ("Noto emoji", "googlefonts/noto-emoji", None),
}


# What a pipeline can do beside drawing, its family says; views ask that first.
Pipeline = Any


class NotReadyError(Exception):
    """The model that a visitor asks for is still loading."""


@dataclass
class Model:
    """One model that a tab shows.

    Attributes:
        kind: one of `KINDS`.
        name: what `from_pretrained` takes: a built-in name, a folder or a Hub id.
        class_name: its pipeline's.
        config: config.json of the decoder or generator; empty if it could not be read.
        reason: why the model cannot be used, or None.
        pipe: the pipeline once it is loaded.
        built_in: whether its first page lies in the package.
        folder: where its model_index.json lies, and maybe evaluation.json, training.json and film.webp beside it.
        number: 2 for the second of the same title, and so on.
    """

    kind: str
    name: str
    class_name: str = ""
    config: Json = field(default_factory=dict)
    reason: str | None = None
    pipe: Pipeline | None = None
    built_in: bool = False
    folder: Path | None = None
    number: int = 1

    @property
    def family(self) -> Family:
        """What it can do."""
        return BY_PIPELINE[self.class_name]

    @property
    def key(self) -> str:
        """What the page calls it by: its name, of a folder the last part, since where it lies is nobody's business."""
        return self.title if self.folder is not None and self.name == str(self.folder) else self.name

    @property
    def on_hub(self) -> bool:
        """Whether its name is a Hub id."""
        return self.folder is not None and "/" in self.name and self.name != str(self.folder)

    @property
    def title(self) -> str:
        """Its name without the folder or namespace in front, which no other model of the page has."""
        *before, last = self.name.rstrip("/").split("/")
        # As training leaves it: runs/NAME/model.
        if last == TRAINED and before and self.name == str(self.folder):
            last = before[-1]
        return last if self.number == 1 else f"{last} ({self.number})"

    @property
    def sample_size(self) -> int:
        """Side of the images in pixels."""
        return shape_of(self._shape)[0]

    @property
    def num_channels(self) -> int:
        """1, 3 or 4; those of 4 have opacity."""
        return shape_of(self._shape)[1]

    @property
    def _shape(self) -> Json:
        usual = (32, 3) if self.kind == SAMPLES else (28, 1)
        return {"sample_size": usual[0], "num_channels": usual[1], **self.config}

    @property
    def class_names(self) -> list[str]:
        """Names of the classes of a conditional model in order; their numbers if they have no names."""
        return [str(c) for c in self.config.get("class_names") or range(int(self.config.get("num_classes") or 10))]

    @property
    def labelled(self) -> bool:
        """Whether its images are of classes."""
        return self.kind == CLASSES or bool(self.config.get("num_classes"))

    @property
    def featured(self) -> tuple[str, str]:
        """The two classes with which a page opens."""
        names = self.class_names
        found = (pair for pair in FEATURED if set(pair) <= set(names))
        return next(found, (names[0], names[min(1, len(names) - 1)]))

    @property
    def sources(self) -> Json:
        """See `sources_of`."""
        return sources_of(self.read("training.json"))

    @property
    def sample(self) -> str | None:
        """The built-in images that are drawn from those its training.json names; None if there are none, or it names none."""
        training, name = self.read("training.json"), REAL_SAMPLES.get(self.num_channels)
        dataset, classes = training.get("dataset"), training.get("classes")
        if name is None or training.get("split") != "train" or not isinstance(classes, list | None):
            return None
        _, origin, chosen = ORIGINS[name]
        return name if dataset == name or (dataset == origin and chosen in (None, classes)) else None

    def read(self, file: str) -> Json:
        """A JSON file beside its model_index.json; empty if there is none that can be read."""
        return find_json(self.folder / file) if self.folder else {}


@dataclass
class RealImages:
    """Real images in the shape of one model.

    Attributes:
        title: what they are, in words: "MNIST digits".
        sample: the name for `zoo.load_sample`.
        train, test: (N, H, W, C) uint8.
        train_labels, test_labels: (N,) int64, numbers of the model's classes for a conditional model, else of `class_names`.
        class_names: names of the labels in order.
        unchanged: whether they are the sample's own arrays: not resized, and none left out.
    """

    title: str
    sample: str
    train: np.ndarray
    test: np.ndarray
    train_labels: np.ndarray
    test_labels: np.ndarray
    class_names: list[str]
    unchanged: bool

    @functools.cached_property
    def _points(self) -> torch.Tensor:
        return points_of(self.train)

    def nearest(self, images: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Numbers and distances (M, count) of the training images nearest to each of (M, H, W, C) uint8 ones, the nearest first.

        Distances are Euclidean, of the pixels, as a root mean square: 0 the same, 1 black from white.
        """
        from ..features.neighbours import nearest_points

        distances, found = nearest_points(points_of(images), self._points, count)
        return found.numpy(), distances.numpy()


def points_of(images: np.ndarray) -> torch.Tensor:
    """(N, H, W, C) uint8 as `pixel_points`."""
    from ..features.neighbours import pixel_points
    from ..pixels import to_pixel_values

    return pixel_points(to_pixel_values(images, images.shape[1], images.shape[-1]))


class ModelStore:
    """The models of the chosen tabs and the real images beside them.

    Args:
        models: what to use instead of the built-in models: a pipeline folder, a folder of them, a built-in name, a Hub id,
            several of these with commas between, or a Hub namespace.
        tabs: which tabs will be shown, of `TABS`; no model that they do not need is loaded.

    Attributes:
        here: what a page computes with by itself; see `in_page.files.usable`.

    Raises:
        UserError: `models` leads to no usable model.
    """

    here: Json | None = None

    def __init__(self, models: str | None = None, tabs: Sequence[str] = TABS):
        everything = built_in_models() if models is None else find_all(models)
        found = [] if models is None else fitting(everything, models)
        first = {model.kind: model for model in reversed(found)}
        kinds = [kind for kind in kinds_of(tabs, KINDS_SHOWN) if kind in first or is_built_in(kind)]
        self.models = {kind: first.get(kind) or built_in_model(kind) for kind in kinds}
        self.gallery = by_age(self._several(SAMPLES, found)) if GALLERY_TAB in tabs else []
        self.conditional = self._several(CLASSES, found) if CLASSES_TAB in tabs else []
        # Also those that no tab has a place for.
        self.known = list({model.name: model for model in [*everything, *self.shown]}.values())
        titles: Counter[str] = Counter()
        for model in self.known:
            titles[model.title] += 1
            model.number = titles[model.title]
        # One model may stand in two tabs.
        numbers = {model.name: model.number for model in self.known}
        for model in self.shown:
            model.number = numbers[model.name]
        self._compared = kinds_of(tabs, KINDS_COMPARED)
        self._real: dict[tuple, RealImages | None] = {}
        self._real_lock = threading.Lock()
        self._first_pages: dict[str, Json] = {}
        self._first_page_lock = threading.Lock()

    def _several(self, kind: str, found: list[Model]) -> list[Model]:
        """All models of a kind that has a tab for several, which opens with one that works, if there is one."""
        given = [model for model in found if model.kind == kind]
        models = given or [self.models[kind], *other_built_in(kind)]
        working = [model for model in [self.models[kind], *models] if model.reason is None]
        self.models[kind] = working[0] if working else self.models[kind]
        return models

    def chosen(self, kind: str, name: Any) -> Model:
        """The model of such a kind that a visitor asks for by its name, the tab's first one for any other."""
        models = self.gallery if kind == SAMPLES else self.conditional
        return next((model for model in models if name in (model.key, model.name)), self.models[kind])

    @property
    def shown(self) -> list[Model]:
        """Every model that a tab shows, once, in the order in which they are loaded."""
        models = [*self.models.values(), *self.conditional, *self.gallery]
        return list({id(model): model for model in models}.values())

    def load_in_background(self) -> threading.Thread:
        """Start loading every model; returns at once."""
        thread = threading.Thread(target=self.load, name="load models", daemon=True)
        thread.start()
        return thread

    def load(self, further: bool = True) -> None:
        """Load every model, the first tab's first; what fails leaves its reason in the model.

        Args:
            further: whether those are loaded too, last, that do not stand on the tabs' first pages.
        """
        import torch
        from diffusers.utils.logging import set_verbosity_error

        # A Space has no accelerate, and hears about it for every network; what matters is checked after loading.
        set_verbosity_error()
        # One visitor's forward pass may use one core: see the note in this package's __init__.
        torch.set_num_threads(1)
        loaded: dict[str, Model] = {}

        def load_once(model: Model) -> None:
            same = loaded.setdefault(model.name, model)
            load_model(same)
            model.pipe, model.reason = same.pipe, same.reason

        for model in self.models.values():
            load_once(model)
        for kind in self._compared:
            if self.models[kind].pipe is not None:
                self.real_images(kind)
        for model in self.shown if further else []:
            load_once(model)

    def forget_places(self) -> None:
        """Call the models of folders by their keys alone, also in the Python of the page: it is for others to read.

        They must have been loaded.
        """
        for model in [*self.known, *self.shown]:
            if model.folder is not None and model.name == str(model.folder):
                model.name, model.number = model.key, 1

    def pipe(self, which: str | Model) -> Pipeline:
        """The pipeline of a kind, or of a model of the gallery.

        Raises:
            NotReadyError: it is still loading.
            UserError: it cannot be used; the text says why.
        """
        model = which if isinstance(which, Model) else self.models[which]
        if model.reason is not None:
            raise UserError(model.reason)
        if model.pipe is None:
            raise NotReadyError(model.name)
        return model.pipe

    def first_page(self, tab: str, make: Callable[[ModelStore], Json]) -> Json:
        """`make(self)`, computed once however many visitors ask."""
        with self._first_page_lock:
            if tab not in self._first_pages:
                self._first_pages[tab] = make(self)
            return self._first_pages[tab]

    def real_images(self, kind: str) -> RealImages | None:
        """Images like those that a model learned from, in its size; None if the package has none, or they are not known."""
        model = self.models[kind]
        sample = model.sample
        if sample is None:
            return None
        # One copy for all models that want the same.
        key = (sample, model.sample_size, str(wanted_classes(model)), model.labelled)
        with self._real_lock:
            if key not in self._real:
                self._real[key] = load_real_images(model, sample)
            return self._real[key]

    def real_images_beside(self, kind: str) -> RealImages:
        """`real_images` of a model that is loaded.

        Raises:
            NotReadyError: it is still loading.
            UserError: it cannot be used, or there are no real images like its own.
        """
        self.pipe(kind)
        real = self.real_images(kind)
        if real is None:
            raise UserError(without_real_images(self.models[kind]))
        return real


def commands_of(training: Json) -> list[str]:
    """How a model was trained: the command, behind those of the models that it started from."""
    commands: list[str] = []
    now: Any = training
    while isinstance(now, dict) and len(commands) < MAX_TRAININGS:
        if isinstance(command := now.get("command"), str):
            # A stranger's command must not pass for several.
            commands.insert(0, " ".join(command.split()))
        now = now.get("started_from")
    return commands


def sources_of(training: Json) -> Json:
    """Where a training.json says that a model comes from: the commands, a line each, and addresses of papers by their names."""
    papers = training.get("papers")
    papers = [paper for paper in papers if isinstance(paper, str)] if isinstance(papers, list) else []
    return {
        "command": "\n".join(OUTPUT_DIR.sub("", command) for command in commands_of(training)),
        "papers": {
            paper.removeprefix("https://"): prefix + paper
            for paper in papers[:MAX_PAPERS]
            for pattern, prefix in ADDRESSES.items()
            if re.fullmatch(pattern, paper)
        },
    }


def kinds_of(tabs: Sequence[str], kinds: dict[str, tuple[str, ...]]) -> list[str]:
    """The kinds that `kinds` names for any of the tabs, in the order of `KINDS`."""
    return [kind for kind in KINDS if any(kind in kinds[tab] for tab in tabs)]


def by_age(models: list[Model]) -> list[Model]:
    """Models in the order in which their kinds were invented, then by name."""
    return sorted(models, key=lambda model: (list(BY_PIPELINE).index(model.class_name), model.title))


def load_model(model: Model) -> None:
    """Load a model that is not loaded yet; what fails leaves its reason in it."""
    from ..pipelines import load_pipeline

    if model.reason is not None or model.pipe is not None:
        return
    try:
        pipe: Pipeline = load_pipeline(model.name)
        for network in pipe.components.values():
            if hasattr(network, "register_forward_pre_hook"):
                network.register_forward_pre_hook(stop_if_abandoned)
        pipe(num_images=1, seed=0)  # the first forward pass allocates; no visitor should wait for it
        model.pipe = pipe
    except UserError as error:
        model.reason = str(error)
    except Exception as error:
        logger.exception("Loading %s failed", model.name)
        model.reason = f"{model.name!r} does not load: {first_line(error)}"
    if model.reason is not None:
        print(model.reason, file=sys.stderr)
        model.reason = without_path(model.reason, model.folder)


def wanted_classes(model: Model) -> list | None:
    """Names of the classes of which a model's real images may be; None for all."""
    # A discriminator that wants a label with each image can be shown classes of the same name only.
    return model.class_names if model.labelled else model.read("training.json").get("classes")


def without_real_images(model: Model) -> str:
    """Why there are no real images beside a model, in one sentence."""
    dataset = model.read("training.json").get("dataset")
    if not isinstance(dataset, str):
        why = f"It is not known what {model.title} learned from, since no training.json beside it names a dataset"
    else:
        why = f"{model.title} learned from {dataset[:80]}, and the package has no sample of just those images"
    return f"{why}: there is nothing to compare with."


def load_real_images(model: Model, sample: str) -> RealImages | None:
    """See `ModelStore.real_images`; `sample` is the model's."""
    splits = [zoo.load_sample(sample, split) for split in ("train", "test")]
    class_names, wanted, unchanged = splits[0].class_names, wanted_classes(model), True
    kept = []
    for split in splits:
        images, labels = split.images, np.asarray(split.labels)
        known = np.array([wanted is None or n in wanted for n in class_names])[labels]
        if not known.all() or (model.labelled and class_names != wanted):
            unchanged = False
            images, labels = images[known], labels[known]
            if model.labelled:
                labels = np.array([model.class_names.index(class_names[i]) for i in labels], dtype=np.int64)
        if images.shape[1] != model.sample_size:
            unchanged = False
            images = resized(images, model.sample_size)
        kept.append((images, labels))
    if any(len(images) == 0 for images, _ in kept):
        return None
    (train, train_labels), (test, test_labels) = kept
    names = model.class_names if model.labelled else class_names
    return RealImages(ORIGINS[sample][0], sample, train, test, train_labels, test_labels, names, unchanged)


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """(N, H, W, C) uint8 images at another size, (N, size, size, C)."""
    from PIL import Image

    squeezed = images[..., 0] if images.shape[-1] == 1 else images
    stacked = [np.asarray(Image.fromarray(a).resize((size, size), Image.Resampling.BILINEAR)) for a in squeezed]
    return np.stack(stacked).reshape(len(images), size, size, images.shape[-1]) if stacked else images[:0]


def is_built_in(kind: str) -> bool:
    """Whether the package has a model of a kind, or must have one."""
    return kind not in OPTIONAL or zoo.model_folder(BUILT_IN[kind]) is not None


def built_in_model(kind: str) -> Model:
    """The package's model of a kind; a conditional GAN may stand among the samples, too."""
    name = BUILT_IN[kind]
    class_name = next(
        family.class_name for family in FAMILIES if family.view == kind or (kind == FACES and family.edits)
    )
    folder = zoo.model_folder(name)
    found = read_folder(folder, name) if folder else None
    if found is None:
        state = "is damaged: install the package again." if folder else "is not in this installation: install it again."
        return Model(kind, name, class_name, reason=f"The built-in model {name!r} {state}")
    found.kind, found.built_in = kind, True
    return found


def built_in_models() -> list[Model]:
    """All of the package's models that a tab may show, and those that only the table of measurements does."""
    found = []
    for name in zoo.model_names():
        try:
            found.append(read_model(zoo.ROOT / name, name))
        except UserError as error:
            print(error, file=sys.stderr)
    return list(filter(None, found))


def other_built_in(kind: str) -> list[Model]:
    """The package's models of a kind beside the one that stands in `BUILT_IN`."""
    found = [model for model in built_in_models() if model.kind == kind and model.name != BUILT_IN[kind]]
    return found[: MOST[kind] - 1]


def read_folder(folder: Path, name: str) -> Model | None:
    """The model in a pipeline folder, judged by its JSON files; None if no tab shows such a one."""
    model = read_model(folder, name)
    return model if model is not None and fits(model) else None


def fits(model: Model) -> bool:
    """Whether a tab can show a model; if not it is said why."""
    dim = MAP_DIM if model.reason else model.config.get("latent_dim")
    if model.kind in (MAP, AUTOENCODER) and dim != MAP_DIM:
        print(f"{model.name}: its latent has {dim} numbers, the map needs {MAP_DIM}.", file=sys.stderr)
        return False
    return True


def read_model(folder: Path, name: str) -> Model | None:
    """What a pipeline folder holds; None if no tab shows pipelines of its class."""
    saved = ModelFolder(folder)
    if saved.family is None:
        print(f"Not shown: {name} holds a {saved.class_name}, of which no tab shows any.", file=sys.stderr)
        return None
    class_name, kind, path = saved.family.class_name, saved.family.view, saved.drawing_config
    strange = strange_file(folder)
    if strange is not None:
        return broken(kind, name, class_name, folder, f"{strange} is neither a file nor a folder: remove it.")
    try:
        config = load_json(path)
        if kind == MAP and config.get("num_classes"):
            kind = CLASSES
        elif kind == MAP and "attributes" in saved.components and config.get("num_channels") == 3:
            kind = FACES
        model = Model(kind, name, class_name, config, folder=folder)
        if model.num_channels not in (1, 3, 4):
            raise ValueError(f"{model.num_channels} channels are not possible")
        if not 1 <= model.sample_size <= MAX_SIDE:
            raise ValueError(f"{model.sample_size} pixels are not possible")
        # Models of other kinds may have classes too, or say that they have none.
        fewest = 1 if kind == CLASSES else 0
        if not fewest <= int(config.get("num_classes") or fewest) <= MAX_CLASSES or len(model.class_names) < fewest:
            raise ValueError("its classes are not possible")
    except (OSError, ValueError, TypeError, AttributeError, OverflowError) as error:
        return broken(kind, name, class_name, folder, f"{path}: {first_line(error)}")
    return model


def strange_file(folder: Path) -> str | None:
    """The first pipe, device or socket below a folder: whoever opened it might wait without end."""
    for home, _, names in os.walk(folder):
        for path in (Path(home, name) for name in names):
            if path.exists() and not path.is_file() and not path.is_dir():
                return path.relative_to(folder).as_posix()
    return None


def broken(kind: str, name: str, class_name: str, folder: Path, why: str) -> Model:
    """A model that is shown with what is wrong with it."""
    return Model(kind, name, class_name, reason=without_path(f"{name!r} is broken: {why}", folder), folder=folder)


def without_path(text: str, folder: Path | None) -> str:
    """The text with no more of a model's folder than its name: visitors read it."""
    if folder:
        for path in sorted({str(folder), str(folder.resolve())}, key=len, reverse=True):
            text = text.replace(path, folder.name)
    return text


def find_models(models: str) -> list[Model]:
    """The first models by name of each kind, as many as `MOST` allows; see `ModelStore`."""
    return fitting(find_all(models), models)


def find_all(models: str) -> list[Model]:
    """Every model there that is of a kind that a tab shows; see `ModelStore`."""
    folder = Path(models)
    if folder.is_dir():
        found = find_in_folder(folder)
    elif "," in models:
        found = [model for part in models.split(",") for model in find_all(part.strip())]
    elif folder.exists():
        raise UserError(
            f"--models {models}: that is a file; give a folder of saved pipelines, a Hub id or a namespace."
        )
    elif (built_in := zoo.model_folder(models)) is not None and (built_in / "model_index.json").is_file():
        found = [read_model(built_in, models)]
    elif re.fullmatch(r"[\w.-]+(/[\w.-]+)?", models) and not models.startswith("."):
        found = find_on_hub(models)
    else:
        raise UserError(f"--models {models}: there is no such folder.")
    return list(filter(None, found))


def fitting(found: list[Model], models: str) -> list[Model]:
    """Those of the models found at `models` that the tabs show; see `find_models`."""
    kept: list[Model] = []
    # Conditional GANs go before conditional VAEs: they have a discriminator, which other tabs ask.
    for model in sorted(
        filter(fits, found), key=lambda model: model.kind == CLASSES and not model.family.discriminates
    ):
        same = [other for other in kept if other.kind == model.kind]
        if len(same) < MOST.get(model.kind, 1):
            kept.append(model)
        else:
            print(f"Not shown: {model.name}; the tab already has {same[0].name}.", file=sys.stderr)
    if not kept:
        raise UserError(
            f"--models {models}: no model there that a tab can show: {', '.join(BY_PIPELINE)} "
            f"({' and '.join(family.class_name for family in FAMILIES if family.encodes)} need a latent of {MAP_DIM} numbers, or "
            "classes, or attributes and colours)."
        )
    return kept


def find_in_folder(folder: Path) -> list[Model | None]:
    """The pipelines in a folder, or the one that it is."""
    candidates = [folder] if (folder / "model_index.json").is_file() else []
    candidates = candidates or sorted(
        index.parent for place in ("*", f"*/{TRAINED}") for index in folder.glob(f"{place}/model_index.json")
    )
    if not candidates:
        raise UserError(f"--models {folder}: neither this folder nor one in it has a model_index.json.")
    found = []
    for candidate in candidates:
        try:
            found.append(read_model(candidate, str(candidate)))
        except UserError as error:
            found.append(unreadable(candidate, str(candidate), error))
    return found


def unreadable(folder: Path, name: str, error: UserError) -> Model:
    """A model whose index cannot be read, and so not what it is; says so, too."""
    print(error, file=sys.stderr)
    # Which tab it was meant for cannot be known: the one that shows most has a place for it.
    return broken(SAMPLES, name, FAMILIES[-1].class_name, folder, str(error))


@one_deadline()
def find_on_hub(name: str) -> list[Model | None]:
    """The models of a Hub namespace, or the one of a Hub id, judged by their JSON files."""
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, OfflineModeIsEnabled

    def read(repository: str) -> Model | None:
        index = Path(hf_hub_download(repository, "model_index.json"))
        saved = ModelFolder(index.parent)
        if saved.family is None:
            return read_model(index.parent, repository)
        try:
            beside = HfApi().get_paths_info(repository, list(BESIDE))
        except Exception as error:
            if not isinstance(error, OfflineModeIsEnabled) and not is_transient(error):
                raise
            beside = []  # what is in the cache lies beside the index already
        wanted = [file.path for file in beside if getattr(file, "size", math.inf) <= MAX_BYTES]
        for file in (*(f"{network}/config.json" for network in saved.components), *wanted):
            try:
                hf_hub_download(repository, file)
            except EntryNotFoundError:
                continue
        return read_model(index.parent, repository)

    try:
        if "/" in name:
            return [retry(functools.partial(read, name), attempts=3)]
        repositories = retry(
            lambda: [info.id for info in HfApi().list_models(author=name, limit=MAX_REPOSITORIES)], attempts=3
        )
        found = []
        for repository in sorted(repositories):
            try:
                found.append(retry(functools.partial(read, repository), attempts=3))
            except EntryNotFoundError:
                continue  # a repository of another kind
            except UserError as error:
                found.append(
                    unreadable(Path(hf_hub_download(repository, "model_index.json")).parent, repository, error)
                )
        return found
    except UserError:
        raise
    except Exception as error:
        # The HTTP library's own errors, whichever it is, count as transient.
        if not isinstance(error, HfHubHTTPError | OSError | ValueError) and not is_transient(error):
            raise
        if is_transient(error):
            raise UserError(
                f"--models {name}: there is no such folder, and the Hub's models cannot be listed: {describe(error)}. Check the "
                "network, and try again later."
            ) from error
        raise UserError(
            f"--models {name}: there is no such folder, and the Hub has no readable models of that name or cannot be "
            f"reached ({type(error).__name__})."
        ) from error


def weights_digest(folder: Path) -> str:
    """sha256 over a pipeline's safetensors files, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        digest.update(path.relative_to(folder).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()
