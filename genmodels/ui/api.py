"""The functions that programs may call over HTTP, and assistants as MCP tools: few, typed, bounded."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, cast

import gradio as gr
import numpy as np
from gradio.data_classes import APIInfo
from PIL import Image

from ..errors import UserError
from . import Json, bulk, models, real_or_fake
from .admission import normal_lane, slow_lane
from .comparer import Comparer
from .front_door import queued
from .inputs import MAX_PAGE_SEED, MAX_PSI, P, T, answered, read_image
from .models import AUTOENCODER, CLASSES, FACES, GAN_KINDS, MAP, SAMPLES, Model, ModelStore, Pipeline
from .pictures import sheet, to_bytes
from .plane import MAX_LIMIT, pictures

MAX_IMAGES, MAX_STEPS, MAX_NEIGHBOURS, MAX_STRENGTH = 64, 32, 16, 4.0
# The model that an endpoint takes if it is given none is the first of these kinds that the page shows.
DRAWING = (SAMPLES, CLASSES, MAP, FACES, AUTOENCODER)
ENCODING = (MAP, FACES, AUTOENCODER)
# What a caller of `discriminate` gets of each side.
SCORED = ("sheet", "scores", "labels")


def bounded(name: str, value: float, low: float, high: float) -> float:
    """`value` if it is a finite number in [low, high].

    Raises:
        UserError: it is not.
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not low <= value <= high
        or not math.isfinite(value)
    ):
        raise UserError(f"{name} must be a number from {low:.10g} to {high:.10g}.")
    return value


def counted(name: str, value: int, low: int, high: int) -> int:
    """`value` if it is a whole number in [low, high].

    Raises:
        UserError: it is not.
    """
    if bounded(name, value, low, high) != int(value):
        raise UserError(f"{name} must be a whole number from {low} to {high}.")
    return int(value)


def seeded(name: str, value: int) -> int:
    """A seed; see `counted`."""
    return counted(name, value, 0, MAX_PAGE_SEED)


def named(value: str, options: dict[str, Model], kinds: Sequence[str]) -> Model:
    """The model of that name; for none the first of `kinds`.

    Args:
        options: models by the names that are offered, at least one.

    Raises:
        UserError: it is not offered.
    """
    if value == "":
        return min(options.values(), key=lambda model: kinds.index(model.kind))
    if not isinstance(value, str) or value not in options:
        raise UserError(f"model must be one of {', '.join(options)}.")
    return options[value]


def labels_of(value: str, pipe: Pipeline) -> list[str] | None:
    """Classes by their names, with commas between: "2, 0, 2, 6"; None if there are none.

    Raises:
        UserError: the model has no classes, or none of that name.
    """
    if not isinstance(value, str) or len(value) > 16 * MAX_IMAGES:
        raise UserError("class_labels must be names of classes with commas between.")
    names = [name.strip() for name in value.split(",") if name.strip()]
    if not names:
        return None
    known = getattr(pipe, "class_names", [])
    if not known:
        raise UserError("This model has no classes: leave class_labels empty.")
    for name in names:
        if name not in known:
            raise UserError(f"There is no class {name[:20]!r}: known are {', '.join(known[:20])}.")
    return names


def truncation(model: Model, psi: float) -> Json:
    """`psi` as an argument of the model's pipeline; autoencoders and diffusion have no truncation.

    Raises:
        UserError: it is out of its range, or the model takes none.
    """
    psi = float(bounded("psi", psi, 0, MAX_PSI))
    if model.kind in (SAMPLES, CLASSES) and model.family.truncates:
        return {"psi": psi}
    if psi != 1:
        raise UserError(f"{model.title} has no truncation: leave psi at 1.")
    return {}


def picture(images: np.ndarray, columns: int) -> gr.FileData:
    """(N, H, W, C) uint8 images as one contact sheet, a PNG file that the caller may fetch until it is an hour old."""
    pixels = sheet(images, columns)
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    path = gr.processing_utils.save_pil_to_cache(image, gr.utils.get_upload_folder(), format="png")
    # Gradio takes JSON as it is.
    return cast(gr.FileData, {"path": path, "mime_type": "image/png", "meta": {"_type": "gradio.FileData"}})


def endpoint(call: Callable[P, T]) -> Callable[P, T]:
    """The call as Gradio wants it: see `answered`; and each argument of its docstring, and what it returns, on one line."""

    @functools.wraps(call)
    def function(*args: P.args, **options: P.kwargs) -> T:
        return answered(call, *args, **options)

    # Of more Gradio keeps the first. What continues an entry stands deeper than the entry.
    text, _, returned = str(inspect.getdoc(call)).partition("Returns:")
    text = re.sub(r"\n {8,}(?=\S)", " ", text)
    function.__doc__ = f"{text}Returns:\n    {' '.join(returned.split())}\n"
    return function


class Page(gr.Blocks):
    """Blocks whose description of the API says of each argument what its docstring does; Gradio tells only MCP clients."""

    def get_api_info(self, *args: Any, **options: Any) -> APIInfo:
        info = super().get_api_info(*args, **options)
        functions = {f"/{function.api_name}": function.fn for function in self.fns.values() if function.fn}
        for name, endpoint in info["named_endpoints"].items():
            _, arguments, returned = gr.utils.get_function_description(functions[name])
            told: list[tuple[Any, str, str]] = [
                (part, part["parameter_name"], arguments[part["parameter_name"]]) for part in endpoint["parameters"]
            ]
            for part, label, text in [*told, *((part, "output", " ".join(returned)) for part in endpoint["returns"])]:
                part["label"], part["type"] = label, {**part["type"], "description": text}
                part["python_type"]["description"] = text
        return info


class Calls:
    """What programs may call; a model that is named "" is the first of those that the page shows and that can do it.

    Args:
        store: where the models come from.
    """

    def __init__(self, store: ModelStore):
        self.store, self.comparer = store, Comparer(store)
        self.shown = {model.title: model for model in store.shown}
        self.encoders = {title: model for title, model in self.shown.items() if model.kind in ENCODING}
        self.compared = {store.models[kind].title: store.models[kind] for kind in GAN_KINDS if kind in store.models}

    def sample(
        self, num_images: int = 0, seed: int = 0, psi: float = 1.0, model: str = "", class_labels: str = ""
    ) -> gr.FileData:
        """Draw images from noise.

        Args:
            num_images: 1 to 64; 0 for one of each of the class_labels, and without them for 16.
            seed: 0 to 2147483647; the same seed gives the same images.
            psi: truncation of a GAN, 0 to 2; below 1 images get more typical and more alike.
            model: one that the page shows, such as "cgan-emoji" or "cgan-mnist"; by default its first GAN.
            class_labels: of a model with classes: names with commas between, one for all images or one for each, such as
                "2,0,2,6"; by default the classes in turn.

        Returns:
            A contact sheet as a PNG, in reading order: as square as can be, one row where class_labels were given.
        """
        chosen = named(model, self.shown, DRAWING)
        pipe = self.store.pipe(chosen)
        labels = labels_of(class_labels, pipe)
        count = counted("num_images", num_images, 0, MAX_IMAGES) or (len(labels) if labels else 16)
        options = truncation(chosen, psi)
        if labels and (len(labels) not in (1, count) or count > MAX_IMAGES):
            raise UserError(f"Give one of class_labels, or one for each image: {count} images, {len(labels)} labels.")
        if labels:
            options["class_labels"] = labels if len(labels) > 1 else labels[0]
        images = pipe(num_images=count, seed=seeded("seed", seed), output_type="np", **options).images
        return picture(to_bytes(images), count if labels else bulk.columns_of(count))

    def sample_many(self, num_images: int = 1000, seed: int = 0, psi: float = 1.0, model: str = "") -> gr.FileData:
        """Draw up to 1,000 images at once, on a GPU where the Space has one.

        Args:
            num_images: 1 to 1000.
            seed: 0 to 2147483647; the same seed gives the same images.
            psi: what the latents are multiplied by, 0 to 2; below 1 images get more typical and more alike.
            model: one that the page shows; by default its first GAN. One with classes draws them in turn.

        Returns:
            One contact sheet as a PNG, as square as can be, in reading order.
        """
        count = counted("num_images", num_images, 1, bulk.MAX_IMAGES)
        factor = float(bounded("psi", psi, 0, MAX_PSI))
        images = bulk.draw_many(self.store, named(model, self.shown, DRAWING), count, seeded("seed", seed), factor)
        return picture(images, bulk.columns_of(count))

    def interpolate(
        self, seed_a: int = 0, seed_b: int = 1, steps: int = 9, model: str = "", class_labels: str = ""
    ) -> gr.FileData:
        """Walk through the latent space from one image to another.

        Args:
            seed_a: of the first image, 0 to 2147483647.
            seed_b: of the last one.
            steps: images from the one to the other, both counted, 2 to 32.
            model: one that the page shows; by default its first GAN.
            class_labels: of a model with classes: a name, or two with a comma between to change from the first class to the
                second on the way; by default the first class.

        Returns:
            The images in one row, as a PNG.
        """
        from ..latents import draw_latents, interpolate_latents

        pipe = self.store.pipe(named(model, self.shown, DRAWING))
        count = counted("steps", steps, 2, MAX_STEPS)
        seeds = seeded("seed_a", seed_a), seeded("seed_b", seed_b)
        a, b = (pipe.from_normal(draw_latents(1, pipe.latent_dim, seed=seed))[0] for seed in seeds)
        labels = labels_of(class_labels, pipe)
        if labels and len(labels) > 2:
            raise UserError("class_labels must be one class or two, with a comma between.")
        if hasattr(pipe, "decode"):
            classes = labels or getattr(pipe, "class_names", [])[:1]
            path = {"class_labels": pipe.label_path((classes[0], classes[-1]), count)} if classes else {}
            drawn = pipe.decode(interpolate_latents(a, b, count), output_type="np", **path)
        else:
            options = {"class_labels": tuple(labels) if len(labels) > 1 else labels[0]} if labels else {}
            drawn = pipe.interpolate(a, b, count, output_type="np", **options)
        return picture(to_bytes(drawn.images), count)

    def decode(self, x: float = 0.0, y: float = 0.0) -> gr.FileData:
        """Decode one point of the VAE's latent plane.

        Args:
            x: -6 to 6.
            y: -6 to 6.

        Returns:
            The image as a PNG.
        """
        self.store.pipe(MAP)
        z = [float(bounded(name, v, -MAX_LIMIT, MAX_LIMIT)) for name, v in (("x", x), ("y", y))]
        return picture(pictures(self.store, [z]), 1)

    def reconstruct(self, image: str, model: str = "") -> gr.FileData:
        """Squeeze an image through an autoencoder's or a VAE's bottleneck and back.

        Args:
            image: an image file as base64 or as a data URI; the square in its middle is used, in the model's size
                and colours. A digit is wanted white on black.
            model: an autoencoder that the page shows, such as "vae-mnist"; by default the map's VAE.

        Returns:
            What the model saw and what came back, side by side, as a PNG.
        """
        chosen = named(model, self.encoders, ENCODING)
        pipe = self.store.pipe(chosen)
        seen = read_image(image, chosen.sample_size, chosen.num_channels)[None]
        back = to_bytes(pipe.reconstruct(seen, output_type="np").images)
        return picture(np.concatenate([seen, back]), 2)

    def edit(self, attributes: dict[str, float], image: str = "", seed: int = 0) -> gr.FileData:
        """Add attributes to a face, or take them away.

        Args:
            attributes: strengths by the attributes' names, each -4 to 4, such as {"Smiling": 1.5, "Eyeglasses": -1}.
            image: a photo of a face, an image file as base64 or as a data URI, of which the square in the middle is
                used; without one a face that the model draws.
            seed: of that drawn face, 0 to 2147483647.

        Returns:
            The face before and after, side by side, as a PNG.
        """
        pipe = self.store.pipe(FACES)
        names = pipe.attribute_names
        if not isinstance(attributes, dict) or not attributes or not set(attributes) <= set(names):
            raise UserError(
                f"attributes must be strengths by name, such as {{{names[0]!r}: 1.5}}; known are {', '.join(names)}."
            )
        strengths = {name: float(bounded(name, v, -MAX_STRENGTH, MAX_STRENGTH)) for name, v in attributes.items()}
        number = seeded("seed", seed)
        if image == "":
            latents = pipe(num_images=1, seed=number).latents
        else:
            face = self.store.models[FACES]
            latents = pipe.encode(read_image(image, face.sample_size, face.num_channels)[None]).mean
        pair = [
            pipe.decode(latents, output_type="np"),
            pipe.edit(latents=latents, attribute=strengths, output_type="np"),
        ]
        return picture(to_bytes(np.concatenate([output.images for output in pair])), 2)

    def discriminate(self, model: str = "", seed: int = 0, image: str = "", class_label: str = "") -> Json:
        """Let a GAN's discriminator score 16 real test images, 16 generated ones, and one of your own.

        Args:
            model: a GAN that the page compares with real images.
            seed: 0 to 2147483647; chooses the images of both sides.
            image: to be scored too, if given: an image file as base64 or as a data URI, of which the square in the
                middle is used.
            class_label: of a model with classes: what the image is meant to show.

        Returns:
            "real" (null where the package has no real images that fit) and "generated", each with "sheet", a contact sheet
            as a PNG, "scores", higher for more real, and "labels"; "ranked", the share of pairs of a real and a generated image
            in which the real one scores higher; "given", the score of your image, or null.
        """
        chosen = named(model, self.compared, GAN_KINDS)
        # It says so if the model has no discriminator.
        answer = self.comparer.compare(chosen.kind, seeded("seed", seed), picture)
        given = self._scored(chosen, image, class_label) if image != "" else None
        sides = {side: answer[side] and {key: answer[side][key] for key in SCORED} for side in real_or_fake.SIDES}
        return {**sides, "ranked": answer.get("ranked"), "given": given}

    def _scored(self, model: Model, image: str, class_label: str) -> float:
        """The score of an image that came from outside."""
        pipe = self.store.pipe(model)
        pixels = read_image(image, model.sample_size, model.num_channels)[None]
        labels = labels_of(class_label, pipe)
        if model.labelled and (labels is None or len(labels) != 1):
            raise UserError(f"Say what the image shows: class_label must be one of {', '.join(pipe.class_names[:20])}.")
        return self.comparer.scores(model.kind, pixels, labels)[0]

    def neighbors(self, image: str = "", k: int = 5, model: str = "", seed: int = 0) -> Json:
        """Find the training images nearest to an image: has a model learned, or copied?

        Args:
            image: an image file as base64 or as a data URI, of which the square in the middle is used; without one
                the first image that the model draws.
            k: how many, 1 to 16.
            model: a GAN that the page compares with real images.
            seed: of the drawn image, 0 to 2147483647.

        Returns:
            "sheet", the image and its neighbours in one row, the nearest first, as a PNG; their "distances", the root mean square
            over the pixels, 0 for the same and 1 for black from white; "labels", their classes, or null for a model without
            classes; "total", how many images were searched.
        """
        chosen = named(model, self.compared, GAN_KINDS)
        count, number = counted("k", k, 1, MAX_NEIGHBOURS), seeded("seed", seed)
        real = self.store.real_images_beside(chosen.kind)
        if image == "":
            pixels = to_bytes(self.store.pipe(chosen)(num_images=1, seed=number, output_type="np").images)[0]
        else:
            pixels = read_image(image, chosen.sample_size, chosen.num_channels)
        return self.comparer.nearest(chosen.kind, real, pixels, count, picture)


def add_api(store: ModelStore, tabs: Sequence[str] = models.TABS) -> None:
    """Add the public endpoints that these tabs' models allow to the Blocks under construction."""
    calls = Calls(store)
    offered: list[tuple[Callable, bool]] = [
        (calls.sample, True),
        (calls.interpolate, True),
        (calls.decode, "map" in tabs),
        (calls.reconstruct, "map" in tabs),
        (calls.edit, FACES in store.models),
        (calls.discriminate, "real_or_fake" in tabs),
        (calls.neighbors, "real_or_fake" in tabs),
        (calls.sample_many, True),
    ]
    for call, wanted in offered:
        if wanted:
            lane = slow_lane if call == calls.sample_many else normal_lane
            gr.api(queued(lane(endpoint(call))), api_name=call.__name__)
