"""The film of a model's training, frame by frame: what became of the same latents."""

from __future__ import annotations

import base64
import functools
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeGuard

from PIL import Image

from ...errors import UserError
from .. import Json
from ..admission import normal_lane
from ..inputs import server_function
from ..models import Model
from . import snippets

FILE = "film.webp"
# A film of training has 60 frames of at most 8 x 8 images; what is much larger is none.
MAX_FRAMES, MAX_SIDE, MAX_PIXELS = 100, 1200, 2**25
# The largest whole number that a page's JavaScript counts to.
MAX_STEP = 2**53 - 1
# Films that stay in memory, about half a megabyte each.
KEPT = 4


def film_of(model: Model) -> str | None:
    """The name by which the page asks for a model's film, None if there is none beside it."""
    return model.key if model.folder and (model.folder / FILE).is_file() else None


def steps_of(training: Json, count: int) -> list[int]:
    """The training step of each of `count` frames.

    Runs that do not say which they kept made them evenly, the first at step 0 and the last at the end.
    """
    steps = training.get("film_steps")
    if isinstance(steps, list) and len(steps) == count and all(map(is_step, steps)):
        return steps
    given = training.get("steps")
    last = given if is_step(given) else 0
    return [round(i * last / max(count - 1, 1)) for i in range(count)]


def is_step(value: Any) -> TypeGuard[int]:
    """Whether a number from a file may be a step of training."""
    return isinstance(value, int) and 0 <= value <= MAX_STEP


@functools.lru_cache(maxsize=KEPT)
def sprite(path: Path) -> Json:
    """All frames of a film on one sheet, as square as can be: a page can then scrub without a server.

    Raises:
        UserError: it is no film that can be shown.
    """
    place = f"{path.parent.name}/{path.name}"
    try:
        with Image.open(path, formats=("WEBP",)) as film:
            count, (width, height) = getattr(film, "n_frames", 1), film.size
            if not 1 < count <= MAX_FRAMES or max(width, height) > MAX_SIDE or count * width * height > MAX_PIXELS:
                raise UserError(f"{place} is no film of training: it has {count} frame(s) of {width}x{height} pixels.")
            columns = math.ceil(math.sqrt(count))
            sheet = Image.new("RGB", (columns * width, -(-count // columns) * height))
            for i in range(count):
                film.seek(i)
                sheet.paste(film.convert("RGB"), (i % columns * width, i // columns * height))
    except UserError:
        raise
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"{place} is no film that can be read.") from error
    buffer = io.BytesIO()
    sheet.save(buffer, "WEBP", quality=85, method=2)
    uri = "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
    return {"sprite": uri, "columns": columns, "count": count, "width": width, "height": height}


def film_answer(model: Model) -> Json:
    """The film of a model, the step of each frame, and its Python.

    Raises:
        UserError: there is none that can be shown.
    """
    if model.folder is None or not film_of(model):
        raise UserError(f"{model.title} came without a film of its training.")
    found = sprite(model.folder / FILE)
    steps = steps_of(model.read("training.json"), found["count"])
    code = snippets.film(model.name, model.folder, found["count"] - 1)
    return {**found, "model": model.key, "steps": steps, "code": code}


def film_function(chosen: Callable[[Json], Model]) -> Callable:
    """What a tab's page calls for the film of a model.

    Args:
        chosen: from the page's payload to the model.
    """

    @server_function(normal_lane)
    def film(payload: Json) -> Json:
        return film_answer(chosen(payload))

    return film
