"""The Python for a frame of the film of a training."""

from __future__ import annotations

from pathlib import Path

from ... import zoo
from ...folder import find_json
from ..models import sources_of
from ..snippets import PIL, quoted


def film(name: str, folder: Path, frame: int) -> str:
    """A frame of the film of a training, and the command that trained.

    Args:
        name: of the model or replay: a built-in name, the folder itself or a Hub id.
        folder: where its film.webp lies.
    """
    more, where = "", quoted(str(folder / "film.webp"))
    if folder.is_relative_to(zoo.ROOT):
        more = "from genmodels import zoo\n"
        where = " / ".join(["zoo.ROOT", *map(quoted, folder.relative_to(zoo.ROOT).parts), '"film.webp"'])
    elif name != str(folder):
        more, where = "from huggingface_hub import hf_hub_download\n", f'hf_hub_download({quoted(name)}, "film.webp")'
    commands = sources_of(find_json(folder / "training.json"))["command"].splitlines()
    return (
        f"{PIL}\n{more}\n"
        + "".join(f"# {'and then' if i else 'Trained'} by: {command}\n" for i, command in enumerate(commands))
        + (f'film = Image.open({where})\nfilm.seek({frame})\nfilm.convert("RGB").save("frame.png")\n')
    )
