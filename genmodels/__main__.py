"""The command line: `python -m genmodels list`, `sample`, `train`, `evaluate`, `verify`, `push`, `push-dataset` and `space`.

torch is imported only once there is something to draw, so that `list`, --help and most mistakes are answered at once.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from . import __version__, zoo
from .errors import UserError, in_flags
from .flags import explain

MAX_IMAGES = 10_000
MAX_SEED = 2**63 - 1
FORMATS = {".png": "PNG", ".webp": "WEBP", ".jpg": "JPEG", ".jpeg": "JPEG"}

EXAMPLES = (
    "python -m genmodels list",
    "python -m genmodels sample vae-mnist --output digits.png",
    "python -m genmodels sample cgan-mnist --class_labels 2,0,2,6 --seed 7 --output year.png",
    "python -m genmodels sample dcgan-cifar10-frogs --num_images 64 --psi 0.8 --output frogs.png",
    "python -m genmodels train cgan --dataset_name zoo:mnist-sample --max_train_steps 500",
    "python -m genmodels evaluate cgan-mnist",
    "python -m genmodels evaluate runs/cgan/model --write_card",
    "python -m genmodels verify your-name/cgan-mnist",
    "python -m genmodels push runs/cgan/model your-name/cgan-mnist",
    "python -m genmodels push-dataset photos your-name/photos --resolution 64 --test_share 0.1",
    "python -m genmodels space build suite my-space",
    "python -m genmodels space deploy vae your-name/vae",
)


class OneLineParser(argparse.ArgumentParser):
    """Answers a mistake with one sentence instead of the whole usage, and --help with the examples of its command."""

    def __init__(self, **options):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)
        mine = [example for example in EXAMPLES if f"{example} ".startswith(f"{self.prog} ")]
        self.epilog = "\n  ".join(["examples:" if len(mine) > 1 else "example:", *mine])

    def parse_known_args(self, args=None, namespace=None):
        # Here, not by the parser above, which does not know this command's flags.
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return namespace, unknown

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {explain(self, message)} (--help shows what is possible)\n")


def whole_number(low: int, high: int):
    """An argparse type: an integer from `low` to `high`."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}, got {text!r}")
        return value

    return parse


def factor(text: str) -> float:
    """An argparse type: a number; its range is the pipeline's to judge."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None


def share(text: str) -> float:
    """An argparse type: a number of at least 0 and below 1."""
    value = factor(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to below 1, got {text!r}")
    return value


def add_push_dataset(commands) -> None:
    """Add the subcommand push-dataset."""
    push = commands.add_parser("push-dataset", help="make a folder of images a dataset on the Hub")
    push.add_argument(
        "folder",
        type=Path,
        metavar="FOLDER",
        help="images, or folders of images by class, below train, test, validation if there are such; or a .zip or .tar of it",
    )
    push.add_argument("repo_id", metavar="NAME/DATASET", help="your name or an organisation's, a slash, a name")
    push.add_argument("--private", action="store_true", help="make it private, if it is new")
    push.add_argument("--replace", action="store_true", help="put it in the place of what that dataset holds")
    push.add_argument(
        "--resolution",
        type=whole_number(16, 1024),
        metavar="PIXELS",
        help="publish square PNGs of this size, without metadata; default: the files as they are",
    )
    push.add_argument("--fit", choices=("crop", "pad", "stretch"), default="crop", help="how; default: %(default)s")
    push.add_argument(
        "--test_share", type=share, default=0.0, help="hold out this share of each class as a test split; default: none"
    )
    push.add_argument("--license", metavar="ID", help="of the images, as the Hub calls it, such as cc-by-4.0")
    push.add_argument(
        "--keep_metadata", action="store_true", help="publish images even if they say where they were taken (GPS)"
    )


def make_parser() -> argparse.ArgumentParser:
    """The arguments of `python -m genmodels`."""
    parser = OneLineParser(
        prog="python -m genmodels",
        description="Classic generative models: list, sample, train, evaluate, verify, push and host.",
    )
    parser.add_argument("--version", action="version", version=f"genmodels {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="{list,sample,train,evaluate,verify,push,push-dataset,space}"
    )
    commands.add_parser("list", help="the built-in models and one measured number of each")
    sample = commands.add_parser("sample", help="draw images into one grid")
    sample.add_argument("model", metavar="MODEL", help="a built-in name, a folder, or a Hub id such as name/model")
    sample.add_argument(
        "--num_images",
        type=whole_number(1, MAX_IMAGES),
        help=f"1 to {MAX_IMAGES}; default: one per class label, or else 16",
    )
    sample.add_argument("--seed", type=whole_number(0, MAX_SEED), default=0, help="0 or more; default: %(default)s")
    sample.add_argument(
        "--class_labels",
        metavar="LABELS",
        help="class numbers or names with commas between: one for all images, or one per image; "
        "only for models with classes; default: all classes in turn",
    )
    sample.add_argument("--psi", type=factor, help="truncation of GAN latents, 0 (all alike) to 2; default: 1")
    add_steps(sample)
    sample.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help=f"the grid: a {', '.join(FORMATS)} file in a folder that exists; an old file of that name is replaced",
    )
    train = commands.add_parser("train", help="train a model by the script of this name in train/")
    train.add_argument("script", metavar="SCRIPT", help="such as cgan; `train cgan --help` shows its flags")
    train.add_argument("flags", nargs=argparse.REMAINDER, metavar="...", help="the flags of the script")
    evaluate = commands.add_parser("evaluate", help="measure a model against real images")
    evaluate.add_argument("model", metavar="MODEL", help="a built-in name, a folder, or a Hub id such as name/model")
    evaluate.add_argument("--dataset_name", help="Hub id or folder; default: what the model was trained on")
    evaluate.add_argument("--split", help="of real images to compare with; default: test")
    for name, what in (
        ("dataset_config_name", "configuration of the dataset, if it has several"),
        ("dataset_revision", "commit, branch or tag on the Hub"),
        ("image_column", "name of the column"),
        ("label_column", "text, integers or booleans"),
    ):
        evaluate.add_argument(f"--{name}", help=f"{what}; default: as in training")
    evaluate.add_argument("--classes", nargs="+", metavar="NAME", help="default: those the model was trained on")
    evaluate.add_argument(
        "--evaluator", help="name, folder or Hub id of a classifier; default: the built-in one of this shape"
    )
    evaluate.add_argument(
        "--baseline", metavar="MODEL", help="measure this one too, by the same protocol, for a column beside"
    )
    evaluate.add_argument("--seed", type=whole_number(0, MAX_SEED), default=0, help="0 or more; default: %(default)s")
    add_steps(evaluate)
    evaluate.add_argument(
        "--inception_fid",
        action="store_true",
        help="measure the standard FID too, on features of ImageNet's Inception: takes minutes on a CPU, needs the "
        "package torch-fidelity, and downloads 91 MB once",
    )
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here too")
    evaluate.add_argument(
        "--write_card", action="store_true", help="write them into the model's folder: evaluation.json and README.md"
    )
    add_verify_command(commands)
    add_push_command(commands)
    add_push_dataset(commands)
    add_space_command(commands)
    return parser


def add_steps(command: argparse.ArgumentParser) -> None:
    """Add --num_inference_steps."""
    command.add_argument(
        "--num_inference_steps",
        type=whole_number(1, 1000),
        help="of diffusion models only: more take longer; default: 25",
    )


def add_push_command(commands) -> None:
    """`push FOLDER NAME/MODEL`."""
    push = commands.add_parser("push", help="upload a model's folder to the Hub, with its card, in one commit")
    push.add_argument("folder", type=Path, metavar="FOLDER", help="of a trained model, such as runs/cgan/model")
    push.add_argument(
        "repo_id", metavar="NAME/MODEL", help="where to: your name or your organization's, a slash, a name"
    )
    push.add_argument("--private", action="store_true", help="only you, or the organization, can see it")


def add_space_command(commands) -> None:
    """`space build` and `space deploy`."""
    space = commands.add_parser("space", help="build a folder for a hosted Space, or deploy it")
    actions = space.add_subparsers(dest="action", required=True, metavar="{build,deploy}")
    build = actions.add_parser("build", help="make a folder that runs as a Space")
    deploy = actions.add_parser("deploy", help="create the Space on the Hub and upload it")
    for action in (build, deploy):
        action.add_argument("name", metavar="NAME", help="suite, vae, dcgan, cgan or real-vs-fake")
    build.add_argument("out", type=Path, metavar="OUT", help="the folder; must not exist yet, or be empty")
    deploy.add_argument("repo_id", metavar="HUB_ID", help="the Space, such as your-name/vae")
    for action in (build, deploy):
        action.add_argument(
            "--models",
            metavar="NAMESPACE",
            help="show models from the Hub instead of the built-in ones: a namespace, or Hub ids with commas between",
        )
        action.add_argument("--zero_gpu", action="store_true", help="for ZeroGPU hardware instead of CPU Basic")
    deploy.add_argument("--private", action="store_true", help="only you, or the organization, can see it")


def add_verify_command(commands) -> None:
    """`verify`: measure a model again and compare with its card."""
    verify = commands.add_parser("verify", help="check a model's files and measure its card's numbers again")
    verify.add_argument("model", metavar="MODEL", help="a Hub id such as name/model, a built-in name, or a folder")
    verify.add_argument("--revision", help="branch, tag or commit on the Hub; default: main")
    verify.add_argument("--dataset_name", help="Hub id or folder; default: what the card states")
    verify.add_argument("--evaluator", help="name, folder or Hub id of a classifier; default: what the card states")


def read_headline(card: Path) -> str:
    """The first metric of a model card's model-index, as "name value"; empty if the card has none."""
    import yaml

    parts = card.read_text(encoding="utf-8").split("---\n", 2) if card.is_file() else []
    metadata = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0] else {}
    for model in (metadata or {}).get("model-index", []):
        for result in model.get("results", []):
            for metric in result.get("metrics", []):
                return f"{metric.get('name', metric['type'])} {metric['value']:.4g}"
    return ""


def image_shape(config: dict) -> tuple[int, int]:
    """Side in pixels and channels of what a decoder, generator or U-Net draws, from its config.json."""
    if "num_channels" in config:
        return config["sample_size"], config["num_channels"]
    # A U-Net's input channels are the pixels of a patch.
    channels = 3 if config["in_channels"] % 3 == 0 else 1
    return config["sample_size"] * math.isqrt(config["in_channels"] // channels), channels


def describe_model(name: str) -> tuple[str, str, str, str, str]:
    """Name, kind, images, classes and headline number of a built-in model, from its JSON and YAML alone."""
    folder = zoo.model_folder(name)
    index = json.loads((folder / "model_index.json").read_text())
    component = next(name for name in ("decoder", "generator", "unet") if name in index)
    config = json.loads((folder / component / "config.json").read_text())
    side, channels = image_shape(config)
    size, colour = f"{side}x{side}", "grey" if channels == 1 else "colour"
    kind = index["_class_name"].removesuffix("Pipeline")
    return name, kind, f"{size} {colour}", str(config.get("num_classes") or "-"), read_headline(folder / "README.md")


def list_models(args: argparse.Namespace) -> None:
    """Print a table of the built-in models."""
    rows = [("NAME", "KIND", "IMAGES", "CLASSES", "MEASURED"), *map(describe_model, zoo.model_names())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def check_output(output: Path) -> None:
    """Raise UserError unless an image can be written to `output`: known before a model is loaded."""
    if output.suffix.lower() not in FORMATS:
        raise UserError(f"--output must end in {', '.join(FORMATS)}, got {str(output)!r}.")
    if not output.parent.is_dir():
        raise UserError(f"--output is to lie in {str(output.parent)!r}, which is not a folder: make it first.")
    if output.is_dir():
        raise UserError(f"--output {str(output)!r} is a folder: name a file in it.")
    if not os.access(output.parent, os.W_OK):
        raise UserError(f"--output is to lie in {str(output.parent)!r}, where you may not write.")


def read_labels(text: str, class_names: list[str]) -> list[int | str]:
    """Comma-separated class names or numbers; a name that looks like a number is taken as the name."""
    labels = [label.strip() for label in text.split(",")]
    return [int(x) if x not in class_names and x.removeprefix("-").isdecimal() else x for x in labels]


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """A temporary name to write to, renamed to `output` in the end: a reader never meets half a file."""
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, output)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UserError(f"{str(output)!r} cannot be written: {error.strerror or error}.") from error


def save_image(image, output: Path) -> None:
    """Write an image in the format that the file's name asks for."""
    options = {"lossless": True} if output.suffix.lower() == ".webp" else {}
    with replacing(output) as temporary:
        image.save(temporary, format=FORMATS[output.suffix.lower()], **options)


def sample_model(args: argparse.Namespace) -> None:
    """Draw images and save them as one grid.

    Raises:
        UserError: a wrong argument, no such model, or one that does not load.
    """
    check_output(args.output)
    from diffusers.utils import logging

    from .grid import make_grid
    from .pipelines import GANPipeline, PixelDiffusionPipeline, load_pipeline

    # What goes wrong is said in one sentence here, not in the libraries' warnings before it.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    pipe = load_pipeline(args.model)
    options = {}
    if args.psi is not None:
        if not isinstance(pipe, GANPipeline):
            raise UserError(f"--psi works for GANs only: {args.model} is a {type(pipe).__name__}.")
        options["psi"] = args.psi
    if args.num_inference_steps is not None:
        if not isinstance(pipe, PixelDiffusionPipeline):
            raise UserError(
                f"--num_inference_steps works for diffusion models only: {args.model} is a {type(pipe).__name__}."
            )
        options["num_inference_steps"] = args.num_inference_steps
    num_images = args.num_images
    if args.class_labels is not None:
        if not getattr(pipe, "num_classes", 0):
            raise UserError(f"--class_labels works for models with classes only: {args.model} has none.")
        labels = read_labels(args.class_labels, pipe.class_names)
        options["class_labels"] = labels
        if num_images is None and len(labels) > 1:
            num_images = len(labels)
    try:
        images = pipe(num_images=num_images or 16, seed=args.seed, **options).images
    except ValueError as error:
        raise UserError(str(error)) from error
    sheet = make_grid(images)
    save_image(sheet, args.output)
    count = f"{len(images)} image{'s' if len(images) > 1 else ''}"
    print(f"{args.output}: {count} of {args.model}, {sheet.width}x{sheet.height} pixels, seed {args.seed}")


# The commands that are not here are in modules of their own, which only they load.
HOMES = {
    "train": ("training.scripts", "train_command"),
    "evaluate": ("hub.verify", "evaluate_model"),
    "verify": ("hub.verify", "verify_model"),
    "push": ("hub.push", "push_command"),
    "push-dataset": ("hub.push_dataset", "push_dataset_command"),
    "space": ("hub.space", "space_command"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 if `verify` found something wrong, or 2 for a mistake of the user."""
    args = make_parser().parse_args(argv)
    try:
        if args.command in HOMES:
            module, function = HOMES[args.command]
            return getattr(import_module(f"genmodels.{module}"), function)(args) or 0
        {"list": list_models, "sample": sample_model}[args.command](args)
    except UserError as error:
        print(f"python -m genmodels {args.command}: {in_flags(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader, such as head, has seen enough; Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
