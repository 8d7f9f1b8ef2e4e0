"""The Samples tab's second view: every unconditional generator side by side, all drawing from the same random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...errors import UserError
from ...folder import INDEX
from .. import Json, films, numbers
from ..admission import normal_lane
from ..inputs import integer, seed_of, server_function
from ..models import SAMPLES, Model, ModelStore, Pipeline
from ..pictures import FRAMES, sheet_uri, to_bytes
from ..snippets import GRID, TORCH, options_of, quoted

COLUMNS = 6
# Each column has one vector of so many numbers, of which a model takes as many as its latent has: the length is fixed, because
# torch draws other numbers for other shapes.
LONGEST = 4096
FIRST_SEED = 0
# The metrics that stand beside a model: never the one without the other.
QUALITY, DIVERSITY = "fid", "recall"


def chosen(store: ModelStore, payload: Json) -> Model:
    """The model that a visitor asks for by its name, the tab's first one for any other."""
    return store.chosen(SAMPLES, payload.get("model"))


def opening_class(model: Model) -> str:
    """The class with which the views of a model open, "" for all in turn: what breeds is of one class."""
    return model.featured[0] if model.labelled and model.family.breeds else ""


def class_of(model: Model, payload: Json) -> Json:
    """The class that a visitor asks for, as an argument; none for all in turn, which "" asks for."""
    name = payload.get("class", opening_class(model))
    return {"class_labels": name} if model.labelled and name in model.class_names else {}


def classes_of(pipe: Pipeline, a: int, b: int) -> Json:
    """Arguments for `interpolate` between images `a` and `b` of a call, which gives models with classes these in turn."""
    count = getattr(pipe, "num_classes", 0)
    return {"class_labels": (pipe.class_names[a % count], pipe.class_names[b % count])} if count else {}


def row_answer(store: ModelStore, model: Model, seed: int, a: int, b: int) -> Json:
    """One model's image of each column, and FRAMES images from that of column `a` to that of column `b`."""
    import torch

    pipe = store.pipe(model)
    if pipe.latent_dim > LONGEST:
        raise UserError(
            f"A latent of {pipe.latent_dim:,} numbers is longer than the {LONGEST:,} that all models share."
        )
    vectors = torch.randn(COLUMNS, LONGEST, generator=torch.Generator().manual_seed(seed))
    latents, label = vectors[:, : pipe.latent_dim], class_of(model, {})
    images = to_bytes(pipe(latents=latents, output_type="np", **label).images)
    classes = label or classes_of(pipe, a, b)
    way = pipe.interpolate(latents[a], latents[b], FRAMES, output_type="np", **classes).images
    drawn = [other for other in store.gallery if other.pipe and other.pipe.latent_dim <= LONGEST]
    return {
        "model": model.key,
        "size": images.shape[1],
        "latent_dim": pipe.latent_dim,
        "sheet": sheet_uri(images, COLUMNS),
        "film": sheet_uri(to_bytes(way), FRAMES),
        "code": side_by_side(drawn, seed, COLUMNS, LONGEST),
    }


def described(model: Model) -> Json:
    """What the page says of a model before it draws: its name, its numbers, and what its images are."""
    return {
        "title": model.title,
        "reason": model.reason,
        "size": model.sample_size,
        "classes": model.class_names if model.labelled else [],
        "class": opening_class(model),
        "flow": "FlowMatch" in str(model.read(INDEX).get("scheduler")),
        "truncates": model.family.truncates,
        "figures": figures(model.read("evaluation.json")),
        "film": films.film_of(model),
        "sources": model.sources,
    }


def figures(evaluation: Json) -> Json | None:
    """FID and recall, each with its floor, and against what; None unless both were measured."""
    cells = numbers.cells_of(evaluation)
    quality, diversity = cells.get(QUALITY, [None]), cells.get(DIVERSITY, [None])
    if None in (*quality, *diversity):
        return None
    return {"quality": quality, "diversity": diversity, "dataset": str(evaluation.get("dataset"))}


def side_by_side(models: Sequence[Model], seed: int, columns: int, longest: int) -> str:
    """Several models from the same random numbers, a row each."""
    calls = "".join(
        f"    {quoted(model.name)}: dict({options_of(class_of(model, {})).removeprefix(', ')}),\n" for model in models
    )
    return (
        f"{TORCH}\n{GRID}\nfrom genmodels import load_pipeline\n\n"
        f"vectors = torch.randn({columns}, {longest}, generator=torch.Generator().manual_seed({seed}))\n"
        f"options = {{\n{calls}}}\nimages = []\nfor name in options:\n    pipe = load_pipeline(name)\n"
        "    images += pipe(latents=vectors[:, : pipe.latent_dim], **options[name]).images\n"
        "images = [image.resize((64, 64)) for image in images]\n"
        f'make_image_grid(images, rows=len(options), cols={columns}).save("side-by-side.png")\n'
    )


def functions(store: ModelStore) -> list[Callable]:
    """What the view's page may call."""

    @server_function(normal_lane)
    def row(payload: Json) -> Json:
        a, b = (integer(payload.get(end), 0, COLUMNS - 1, 0) for end in "ab")
        return row_answer(store, chosen(store, payload), seed_of(payload), a, b)

    return [row]
