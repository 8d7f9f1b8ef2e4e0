"""The Python for the image on the page: programs that use only the public API and run as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import zoo
from .models import WITHOUT_PSI, Model, RealImages, read_json, sources_of
from .pictures import STRIP


def head(model: Model, extra: Sequence[str] = (), modules: Sequence[str] = ()) -> str:
    """Imports and the line that loads the model."""
    class_name = model.class_name
    ours = f"from genmodels import {', '.join([class_name, *modules])}"
    imports = "\n".join([*extra, ours])
    return f"{imports}\n\npipe = {class_name}.from_pretrained({quoted(model.name)})\n"


TORCH = "import torch"
PIL = "from PIL import Image"
GRID = "from diffusers.utils import make_image_grid"


def quoted(text: str) -> str:
    """A string literal with double quotes."""
    return json.dumps(text, ensure_ascii=False)


def listed(numbers: Sequence[float]) -> str:
    """[0.5, -1.25] with as few digits as the page shows."""
    return "[" + ", ".join(f"{v:.2f}" for v in numbers) + "]"


def rows_of(count: int) -> int:
    """Rows of a square contact sheet."""
    return max(1, round(count**0.5))


def decode(model: Model, z: Sequence[float]) -> str:
    """One point of the map."""
    return head(model, [TORCH]) + f'pipe.decode(torch.tensor([{listed(z)}])).images[0].save("picture.png")\n'


def resample(model: Model, mean: Sequence[float], deviation: Sequence[float], count: int, seed: int) -> str:
    """Draws from the posterior of an image."""
    return head(model, [TORCH, GRID]) + (
        f"mean, deviation = torch.tensor({listed(mean)}), torch.tensor({listed(deviation)})\n"
        f"noise = torch.randn({count}, 2, generator=torch.Generator().manual_seed({seed}))\n"
        f'make_image_grid(pipe.decode(mean + deviation * noise).images, rows=1, cols={count}).save("draws.png")\n'
    )


def decode_both(models: Sequence[Model], z: Sequence[float]) -> str:
    """One point of two maps."""
    loads = "".join(f"    {model.class_name}.from_pretrained({quoted(model.name)}),\n" for model in models)
    return (
        f"{TORCH}\n{GRID}\nfrom genmodels import {', '.join(sorted(model.class_name for model in models))}\n\n"
        f"pipes = [\n{loads}]\n"
        f"z = torch.tensor([{listed(z)}])\n"
        "images = [pipe.decode(z).images[0] for pipe in pipes]\n"
        'make_image_grid(images, rows=1, cols=2).save("both.png")\n'
    )


def line(model: Model, a: Sequence[float], b: Sequence[float]) -> str:
    """The strip between two anchors of the map."""
    return head(model, [TORCH, GRID]) + (
        f"a, b = torch.tensor({listed(a)}), torch.tensor({listed(b)})\n"
        f"latents = torch.lerp(a, b, torch.linspace(0, 1, {STRIP})[:, None])\n"
        f'make_image_grid(pipe.decode(latents).images, rows=1, cols={STRIP}).save("line.png")\n'
    )


def atlas(model: Model, steps: int, limit: float) -> str:
    """The whole map."""
    return head(model, [GRID]) + (
        f"images = pipe.traverse(steps={steps}, limit={limit:g}).images\n"
        f'make_image_grid(images, rows={steps}, cols={steps}).save("atlas.png")\n'
    )


def reconstruct(model: Model, real: RealImages, index: int) -> str:
    """A test image through the bottleneck and back."""
    return head(model, modules=["zoo"]) + (
        f'images = zoo.load_sample({quoted(real.sample)}, "test").images[{index}:{index + 1}]\n'
        "print(pipe.encode(images).mean)\n"
        'pipe.reconstruct(images).images[0].save("reconstruction.png")\n'
    )


def psi_of(psi: float | None) -> str:
    """`psi` as a further argument, nothing for models that have none."""
    return "" if psi is None else f", psi={psi:g}"


@dataclass
class Face:
    """Which face is edited: number `index` of those drawn with `seed`, or the visitor's photo.

    Attributes:
        square: of the photo: left, top and side of the part that is used, in its pixels.
    """

    seed: int = 0
    index: int = 0
    square: tuple[int, int, int] | None = None


def face_lines(model: Model, face: Face, extra: Sequence[str]) -> str:
    """The program as far as `latents`, (1, latent_dim)."""
    if face.square is None:
        return (
            head(model, extra)
            + f"latents = pipe(num_images={face.index + 1}, seed={face.seed}).latents[{face.index}:]\n"
        )
    (left, top, side), size = face.square, model.sample_size
    return head(model, [*extra, "from PIL import Image, ImageOps"]) + (
        'photo = ImageOps.exif_transpose(Image.open("photo.jpg")).convert("RGB")\n'
        f"photo = photo.crop(({left}, {top}, {left + side}, {top + side})).resize(({size}, {size}))\n"
        "latents = pipe.encode(photo).mean\n"
    )


def edit(model: Model, face: Face, strengths: Mapping[str, float]) -> str:
    """A face with more or less of some attributes."""
    listed_strengths = ", ".join(f"{quoted(name)}: {strength:g}" for name, strength in strengths.items())
    called = f"edit(latents=latents, attribute={{{listed_strengths}}})" if strengths else "decode(latents)"
    return face_lines(model, face, []) + f'pipe.{called}.images[0].save("face.png")\n'


def arithmetic(model: Model, seed: int, which: tuple[int, int, int]) -> str:
    """Face A minus face B plus face C."""
    a, b, c = which
    return head(model) + (
        f"latents = pipe(num_images={max(which) + 1}, seed={seed}).latents\n"
        f"z = latents[{a}] - latents[{b}] + latents[{c}]\n"
        'pipe.decode(z[None]).images[0].save("face.png")\n'
    )


def factors(model: Model, face: Face, attributes: tuple[str, str], steps: int, limit: float) -> str:
    """A face with two attributes on two axes."""
    a, b = attributes
    return face_lines(model, face, [GRID]) + (
        "images = pipe.traverse(\n"
        f"    attributes=({quoted(a)}, {quoted(b)}), latents=latents[0], steps={steps}, limit={limit:g}\n"
        f').images\nmake_image_grid(images, rows={steps}, cols={steps}).save("grid.png")\n'
    )


def samples(model: Model, count: int, seed: int, psi: float | None) -> str:
    """A contact sheet."""
    rows = rows_of(count)
    return head(model, [GRID]) + (
        f"images = pipe(num_images={count}, seed={seed}{psi_of(psi)}).images\n"
        f'make_image_grid(images, rows={rows}, cols={count // rows}).save("samples.png")\n'
    )


def between(model: Model, a: int, b: int, seed: int, psi: float | None, classes: dict) -> str:
    """The strip between two images of a contact sheet."""
    more = "".join(f", {name}={value!r}" for name, value in classes.items())
    return head(model, [GRID]) + (
        f"latents = pipe(num_images={max(a, b) + 1}, seed={seed}).latents\n"
        f"images = pipe.interpolate(latents[{a}], latents[{b}], steps={STRIP}{psi_of(psi)}{more}).images\n"
        f'make_image_grid(images, rows=1, cols={STRIP}).save("between.png")\n'
    )


def litter(model: Model, parents: Sequence[Sequence[float]], mutation: float, seed: int, count: int) -> str:
    """Children of two latents."""
    rows = rows_of(count)
    return head(model, [TORCH, GRID]) + (
        f"a, b = torch.tensor([\n    {listed(parents[0])},\n    {listed(parents[1])},\n])\n"
        f"images = pipe.breed(a, b, num_images={count}, mutation={mutation:g}, seed={seed}).images\n"
        f'make_image_grid(images, rows={rows}, cols={count // rows}).save("children.png")\n'
    )


def moved(model: Model, seed: int, strengths: Sequence[float], count: int) -> str:
    """Images moved along the principal directions of their generator."""
    return head(model, [TORCH, GRID]) + (
        f"directions = pipe.principal_directions({len(strengths)}).directions\n"
        f"latents = pipe(num_images={count}, seed={seed}).latents\n"
        f"images = pipe(latents=latents + torch.tensor({listed(strengths)}) @ directions).images\n"
        f'make_image_grid(images, rows=1, cols={count}).save("moved.png")\n'
    )


def loop(model: Model, seed: int, steps: int, scale: int, duration: int) -> str:
    """A film without end."""
    return head(model) + (
        f"a, b = pipe(num_images=2, seed={seed}).latents\n"
        f"images = pipe.loop(a, b, steps={steps}).images\n"
        f"frames = [image.resize((image.width * {scale}, image.height * {scale}), resample=0) for image in images]\n"
        f'frames[0].save("loop.webp", save_all=True, append_images=frames[1:], duration={duration}, loop=0, lossless=True)\n'
    )


def stages(model: Model, count: int, seed: int, psi: float) -> str:
    """Images from coarse to fine, a row for each level."""
    return head(model, [GRID]) + (
        f"stages = pipe(num_images={count}, seed={seed}, psi={psi:g}, return_stages=True).stages\n"
        "images = [image.resize((64, 64), resample=0) for stage in stages for image in stage]\n"
        f'make_image_grid(images, rows=len(stages), cols={count}).save("stages.png")\n'
    )


def side_by_side(models: Sequence[Model], seed: int, columns: int, longest: int) -> str:
    """Several models from the same random numbers, a row each."""
    names = "".join(f"    {quoted(model.name)},\n" for model in models)
    return (
        f"{TORCH}\n{GRID}\nfrom genmodels import load_pipeline\n\n"
        f"vectors = torch.randn({columns}, {longest}, generator=torch.Generator().manual_seed({seed}))\n"
        f"names = [\n{names}]\nimages = []\nfor name in names:\n    pipe = load_pipeline(name)\n"
        "    images += pipe(latents=vectors[:, : pipe.latent_dim]).images\n"
        "images = [image.resize((64, 64)) for image in images]\n"
        f'make_image_grid(images, rows=len(names), cols={columns}).save("side-by-side.png")\n'
    )


def every_class(model: Model, count: int, seed: int, psi: float) -> str:
    """One latent as every class."""
    return head(model, [GRID]) + (
        f"latent = pipe(seed={seed}).latents\n"
        f"images = pipe(latents=latent.repeat({count}, 1), psi={psi:g}).images\n"
        f'make_image_grid(images, rows=1, cols={count}).save("classes.png")\n'
    )


def table(model: Model, styles: int, count: int, seed: int, psi: float) -> str:
    """Several latents, a row each, as every class."""
    return head(model, [GRID]) + (
        f"latents = pipe(num_images={styles}, seed={seed}).latents.repeat_interleave({count}, 0)\n"
        f"images = pipe(latents=latents, class_labels=pipe.class_names[:{count}] * {styles}, psi={psi:g}).images\n"
        f'make_image_grid(images, rows={styles}, cols={count}).save("table.png")\n'
    )


def one_class(model: Model, name: str, count: int, seed: int, psi: float) -> str:
    """Several latents as one class."""
    return head(model, [GRID]) + (
        f"images = pipe(num_images={count}, class_labels={quoted(name)}, seed={seed}, psi={psi:g}).images\n"
        f'make_image_grid(images, rows=1, cols={count}).save("class.png")\n'
    )


def mix(model: Model, a: str, b: str, seed: int, psi: float) -> str:
    """From one class to another with the latent held."""
    return head(model, [GRID]) + (
        f"latent = pipe(seed={seed}).latents\n"
        f"mixed = pipe.label_path(({quoted(a)}, {quoted(b)}), steps={STRIP})\n"
        f"images = pipe(latents=latent.repeat({STRIP}, 1), class_labels=mixed, psi={psi:g}).images\n"
        f'make_image_grid(images, rows=1, cols={STRIP}).save("mix.png")\n'
    )


def write(model: Model, text: str, seed: int, psi: float) -> str:
    """A number in generated handwriting."""
    return head(model, [GRID]) + (
        f"images = pipe(class_labels=list({quoted(text)}), seed={seed}, psi={psi:g}).images\n"
        f'make_image_grid(images, rows=1, cols={len(text)}).save("number.png")\n'
    )


def real_lines(model: Model, real: RealImages, name: str, split: str, chosen: str = "") -> str:
    """Lines that make PIL images of a split as the model takes them, their numbers in `sample` being `kept`.

    Args:
        name: what the images are called.
        chosen: Python for the numbers among those images that are wanted; all by default.
    """
    text, resize = f"sample = zoo.load_sample({quoted(real.sample)}, {quoted(split)})\n", ""
    if not real.unchanged:
        resize = f".resize(({model.sample_size}, {model.sample_size}), Image.Resampling.BILINEAR)"
    if real.unchanged or model.kind != "classes":
        text += f"kept = {chosen or 'range(len(sample.images))'}\n"
    else:
        # The discriminator wants a label with each image: only classes that it knows can be shown to it.
        text += "kept = [i for i, label in enumerate(sample.labels) if sample.class_names[label] in pipe.class_names]\n"
        text += f"kept = [kept[i] for i in {chosen}]\n" if chosen else ""
    return text + f"{name} = [Image.fromarray(sample.images[i].squeeze()){resize} for i in kept]\n"


def evenly(real: RealImages, count: int) -> str:
    """Python for so many numbers of test images, from the first to the last."""
    return f"np.linspace(0, {len(real.test) - 1}, {min(count, len(real.test))}).astype(int)"


def among(model: Model, real: RealImages) -> tuple[str, str]:
    """Lines that make the training images `train` if they are not those that `neighbors` takes by itself, and its arguments."""
    if real.unchanged:
        return "", 'space="pixels"'
    return real_lines(model, real, "train", "train"), 'dataset=train, space="pixels"'


def discriminate(model: Model, real: RealImages | None, count: int, start: int, seed: int) -> str:
    """The scores of real and generated images, and both: the real ones on the left."""
    labelled = model.kind == "classes"
    rows = rows_of(count)
    columns = count // rows
    text = f"fake = pipe(num_images={count}, seed={seed})\n"
    text += f"print(pipe.discriminate(fake.images{', fake.class_labels' if labelled else ''}))\n"
    # A model of one rare class may have fewer test images than places.
    if real is None or len(real.test) < count:
        text += f'make_image_grid(fake.images, rows={rows}, cols={columns}).save("scores.png")\n'
        return head(model, [GRID]) + text
    labels = ", [sample.class_names[sample.labels[i]] for i in kept]" if labelled else ""
    text += real_lines(model, real, "real", "test", f"range({start}, {start + count})")
    text += f"print(pipe.discriminate(real{labels}))\n"
    text += (
        f"both = [image for i in range(0, {count}, {columns}) "
        f"for image in real[i : i + {columns}] + fake.images[i : i + {columns}]]\n"
        f'make_image_grid(both, rows={rows}, cols={2 * columns}).save("scores.png")\n'
    )
    return head(model, [PIL, GRID], modules=["zoo"]) + text


def histogram(model: Model, real: RealImages | None, count: int, seed: int) -> str:
    """The scores of many real and generated images, and how often a real one wins."""
    labelled = model.kind == "classes"
    text = f"fake = pipe(num_images={count}, seed={seed})\n"
    text += f"of_fake = pipe.discriminate(fake.images{', fake.class_labels' if labelled else ''})\n"
    text += 'print("median score of generated images:", of_fake.median())\n'
    if real is None:
        return head(model) + text
    labels = ", [sample.class_names[sample.labels[i]] for i in kept]" if labelled else ""
    text += real_lines(model, real, "real", "test", evenly(real, count))
    text += (
        f"of_real = pipe.discriminate(real{labels})\n"
        'print("median score of real images:", of_real.median())\n'
        'print("pairs in which the real one scores higher:", (of_real[:, None] > of_fake).float().mean())\n'
    )
    return head(model, ["import numpy as np", PIL], modules=["zoo"]) + text


def nearest(model: Model, real: RealImages, index: int, count: int, seed: int | None = None) -> str:
    """The training images nearest to generated image `index` of a seed; without a seed, to test image `index`."""
    lines, arguments = among(model, real)
    if seed is None:
        image = real_lines(model, real, "real", "test", f"[{index}]") + "image = real[0]\n"
    else:
        image = f"image = pipe(num_images={index + 1}, seed={seed}).images[{index}]\n"
    uses_sample = seed is None or bool(lines)
    return head(model, [PIL, GRID] if uses_sample else [GRID], modules=["zoo"] if uses_sample else []) + (
        f"{image}{lines}near = pipe.neighbors(image, k={count}, {arguments})\n"
        "print(near.distances)\n"
        f'make_image_grid([image, *near.images[0]], rows=1, cols={count + 1}).save("nearest.png")\n'
    )


def memorised(model: Model, real: RealImages, count: int, seed: int, shown: int, nearest: int) -> str:
    """Distances of generated and of test images to the nearest training image, and the generated ones that come nearest."""
    lines, arguments = among(model, real)
    return head(model, ["import numpy as np", PIL, GRID], modules=["zoo"]) + (
        f"{lines}images = pipe(num_images={count}, seed={seed}).images\n"
        f"near = pipe.neighbors(images, k={nearest}, {arguments})\n"
        f"{real_lines(model, real, 'real', 'test', evenly(real, count))}"
        f"of_real = pipe.neighbors(real, k=1, {arguments}).distances\n"
        'print("median distance:", near.distances[:, 0].median(), "generated,", of_real.median(), "test images")\n'
        f"suspects = near.distances[:, 0].argsort()[:{shown}]\n"
        "pictures = [picture for i in suspects for picture in (images[i], *near.images[i])]\n"
        f'make_image_grid(pictures, rows={shown}, cols={nearest + 1}).save("by-heart.png")\n'
    )


def many(model: Model, count: int, columns: int, seed: int, psi: float) -> str:
    """A sheet of many images, the last row filled up."""
    missing = -count % columns
    text = f"images = pipe(num_images={count}, seed={seed}{psi_of(psi)}).images\n"
    extra = [GRID]
    if model.class_name in WITHOUT_PSI:
        text = f"images = pipe(num_images={count}, seed={seed}).images\n"
        if psi != 1:
            extra = [TORCH, GRID]
            text = (
                f"generator = torch.Generator().manual_seed({seed})\n"
                f"latents = torch.stack([torch.randn(pipe.latent_dim, generator=generator) for _ in range({count})])\n"
                f"images = pipe(latents=latents * {psi:g}).images\n"
            )
    if missing:
        extra = [PIL, *extra]
        text += f"images += {missing} * [Image.new(images[0].mode, images[0].size)]\n"
    rows = -(-count // columns)
    return head(model, extra) + text + f'make_image_grid(images, rows={rows}, cols={columns}).save("sheet.png")\n'


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
    commands = sources_of(read_json(folder / "training.json"))["command"].splitlines()
    return (
        f"{PIL}\n{more}\n"
        + "".join(f"# {'and then' if i else 'Trained'} by: {command}\n" for i, command in enumerate(commands))
        + (f'film = Image.open({where})\nfilm.seek({frame})\nfilm.convert("RGB").save("frame.png")\n')
    )


def live(settings: Mapping, steps: int) -> str:
    """A GAN trained as the Training tab did, to the same weights."""
    from ..live import Settings

    changed = {name: value for name, value in settings.items() if value != getattr(Settings, name)}
    arguments = ", ".join(f"{name}={quoted(v) if isinstance(v, str) else v}" for name, v in changed.items())
    if settings["data"] != "digits":
        return (
            "from genmodels.live import LiveGAN, Settings\n\n"
            f"gan = LiveGAN(Settings({arguments}))\n"
            f"gan.train({steps})\n"
            'print("modes reached, share of points near one:", gan.coverage())\n'
        )
    return (
        f"{TORCH}\nfrom diffusers.image_processor import VaeImageProcessor\n{GRID}\nfrom genmodels import zoo\n"
        "from genmodels.live import LiveGAN, Settings\n\n"
        'pixels = torch.from_numpy(zoo.load_sample("zoo:mnist-sample", "train").images)\n'
        "images = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1\n"
        f"gan = LiveGAN(Settings({arguments}), images)\n"
        f"gan.train({steps})\n"
        "digits = VaeImageProcessor().postprocess(gan.sample(36))\n"
        'make_image_grid(digits, rows=6, cols=6).save("digits.png")\n'
    )
