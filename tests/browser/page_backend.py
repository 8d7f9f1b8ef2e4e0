"""The page's backend against the server's: the same calls of both, and how far their answers lie apart."""

from __future__ import annotations

import base64
import io
import json
import mimetypes
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from genmodels.ui import classes, map, real_or_fake, samples, training
from genmodels.ui.in_page.models import INDEX
from genmodels.ui.models import ModelStore
from genmodels.ui.modules import MODULES

HOST = "http://modules.test/"
TABS = {"map": map, "samples": samples, "classes": classes, "real_or_fake": real_or_fake, "training": training}
BEGIN = """async ([models]) => {
    const { pageBackend } = await import('/common/all.js');
    window.backend = await pageBackend({ root: '/page/', models });
    return Object.fromEntries(Object.entries(backend).map(([tab, functions]) => [tab, Object.keys(functions)]));
}"""
ASK = """async ([tab, name, payload]) => {
    const since = performance.now();
    const answer = await backend[tab][name](payload);
    return [answer, performance.now() - since];
}"""
# Bytes of pixels in base64, and pictures in data URIs.
RAW = {"picture", "seen", "map", "autoencoder"}


def serve(page, root: Path) -> None:
    """Let HOST have the page's modules, and what lies in `root` below /page/."""

    def fulfil(route) -> None:
        path = route.request.url.removeprefix(HOST)
        if path.startswith("page/"):
            file = root / path.removeprefix("page/")
            if not file.is_file():
                return route.fulfill(status=404, body="")
            kind = "text/javascript" if file.suffix == ".mjs" else mimetypes.guess_type(file.name)[0]
            return route.fulfill(body=file.read_bytes(), content_type=kind or "application/octet-stream")
        kind = "text/javascript" if path else "text/html"
        return route.fulfill(
            status=200 if path in MODULES or not path else 404, body=MODULES.get(path, b""), content_type=kind
        )

    page.route(f"{HOST}**", fulfil)
    page.goto(HOST)


def begin(page, root: Path, models: list[dict] | None = None) -> dict[str, list[str]]:
    """Start the backend; returns the names of its functions by tab."""
    serve(page, root)
    models = json.loads((root / "models" / INDEX).read_text()) if models is None else models
    return page.evaluate(BEGIN, [models])


def ask(page, tab: str, name: str, payload: dict) -> tuple[dict, float]:
    """The page's answer, and the milliseconds that it took."""
    return page.evaluate(ASK, [tab, name, payload])


def server_of(store: ModelStore) -> dict[str, dict[str, Callable]]:
    """The server's functions by tab and name."""
    return {tab: {function.__name__: function for function in module.functions(store)} for tab, module in TABS.items()}


def pixels_of(text: str) -> np.ndarray:
    """All frames of a picture in a data URI, laid on white."""
    image = Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2])))
    frames = []
    for number in range(getattr(image, "n_frames", 1)):
        image.seek(number)
        white = Image.new("RGBA", image.size, "white")
        frames.append(np.asarray(Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")))
    return np.stack(frames)


def differences(ours, theirs, path: str = "") -> Iterator[str]:
    """Where an answer of the page differs from the server's: pictures by more than a step of 8 bits, numbers by a hundredth."""
    if isinstance(theirs, dict):
        for key in theirs:
            if key not in ours:
                yield f"{path}.{key} is missing"
            else:
                yield from differences(ours[key], theirs[key], f"{path}.{key}")
    elif isinstance(theirs, list | tuple):
        if len(ours) != len(theirs):
            yield f"{path} has {len(ours)} entries, not {len(theirs)}"
        for i, (a, b) in enumerate(zip(ours, theirs, strict=False)):
            yield from differences(a, b, f"{path}[{i}]")
    elif isinstance(theirs, str) and (theirs.startswith("data:image") or path.rpartition(".")[2] in RAW):
        if theirs.startswith("data:image"):
            a, b = pixels_of(ours).astype(int), pixels_of(theirs).astype(int)
        else:
            a, b = (np.frombuffer(base64.b64decode(text), np.uint8).astype(int) for text in (ours, theirs))
        if a.shape != b.shape:
            yield f"{path} has shape {a.shape}, not {b.shape}"
        elif np.abs(a - b).max() > 1:
            yield f"{path}: pixels differ by {np.abs(a - b).max()}, {(np.abs(a - b) > 1).mean():.2%} by more than 1"
    elif isinstance(theirs, float) and isinstance(ours, int | float):
        if abs(ours - theirs) > 0.011:
            yield f"{path}: {ours}, not {theirs}"
    elif ours != theirs:
        yield f"{path}: {ours!r}, not {theirs!r}"
