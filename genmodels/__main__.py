"""The command line: `python -m genmodels list`, `sample`, `evaluate` and `push`.

torch is imported only once there is something to draw, so that `list`, --help and most mistakes are answered at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from . import __version__, zoo
from .errors import UserError

MAX_IMAGES = 10_000
MAX_SEED = 2**63 - 1
FORMATS = {".png": "PNG", ".webp": "WEBP", ".jpg": "JPEG", ".jpeg": "JPEG"}

EXAMPLES = """examples:
  python -m genmodels list
  python -m genmodels sample vae-mnist --output digits.png
  python -m genmodels sample cgan-mnist --class_labels 2,0,2,6 --seed 7 --output year.png
  python -m genmodels sample dcgan-cifar10-frogs --num_images 64 --psi 0.8 --output frogs.png
  python -m genmodels evaluate cgan-mnist
  python -m genmodels evaluate runs/cgan/model --write_card
  python -m genmodels push runs/cgan/model your-name/cgan-mnist
"""


class OneLineParser(argparse.ArgumentParser):
    """Answers a mistake with one sentence instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (--help shows what is possible)\n")


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


def make_parser() -> argparse.ArgumentParser:
    """The arguments of `python -m genmodels`."""
    options = {"epilog": EXAMPLES, "formatter_class": argparse.RawDescriptionHelpFormatter}
    parser = OneLineParser(
        prog="python -m genmodels", description="Classic generative models: list, sample, evaluate and push.", **options
    )
    parser.add_argument("--version", action="version", version=f"genmodels {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{list,sample,evaluate,push}")
    commands.add_parser("list", help="the built-in models and one measured number of each", **options)
    sample = commands.add_parser("sample", help="draw images into one grid", **options)
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
    sample.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help=f"the grid: a {', '.join(FORMATS)} file in a folder that exists; an old file of that name is replaced",
    )
    evaluate = commands.add_parser("evaluate", help="measure a model against real images", **options)
    evaluate.add_argument("model", metavar="MODEL", help="a built-in name, a folder, or a Hub id such as name/model")
    evaluate.add_argument("--dataset_name", help="Hub id or folder; default: what the model was trained on")
    evaluate.add_argument("--classes", nargs="+", metavar="NAME", help="default: those the model was trained on")
    evaluate.add_argument("--evaluator", help="name or folder of a classifier; default: the built-in one of this shape")
    evaluate.add_argument(
        "--baseline", metavar="MODEL", help="measure this one too, by the same protocol, for a column beside"
    )
    evaluate.add_argument("--seed", type=whole_number(0, MAX_SEED), default=0, help="0 or more; default: %(default)s")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here too")
    evaluate.add_argument(
        "--write_card", action="store_true", help="write them into the model's folder: evaluation.json and README.md"
    )
    add_push_command(commands, options)
    return parser


def add_push_command(commands: argparse._SubParsersAction, options: dict) -> None:
    """`push FOLDER NAME/MODEL`."""
    push = commands.add_parser(
        "push", help="upload a model's folder to the Hub, with its card, in one commit", **options
    )
    push.add_argument("folder", type=Path, metavar="FOLDER", help="of a trained model, such as runs/cgan/model")
    push.add_argument(
        "repo_id", metavar="NAME/MODEL", help="where to: your name or your organization's, a slash, a name"
    )
    push.add_argument("--private", action="store_true", help="only you, or the organization, can see it")


def push_model(args: argparse.Namespace) -> None:
    """Push; the token is that of `hf auth login` or HF_TOKEN."""
    from .hub.push import push_command

    push_command(args)


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


def describe_model(name: str) -> tuple[str, str, str, str, str]:
    """Name, kind, images, classes and headline number of a built-in model, from its JSON and YAML alone."""
    folder = zoo.model_folder(name)
    index = json.loads((folder / "model_index.json").read_text())
    component = "decoder" if "decoder" in index else "generator"
    config = json.loads((folder / component / "config.json").read_text())
    size = f"{config['sample_size']}x{config['sample_size']}"
    colour = "grey" if config["num_channels"] == 1 else "colour"
    kind = index["_class_name"].removesuffix("Pipeline")
    return name, kind, f"{size} {colour}", str(config.get("num_classes", "-")), read_headline(folder / "README.md")


def list_models() -> None:
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
    from .pipelines import CGANPipeline, GANPipeline, load_pipeline

    # What goes wrong is said in one sentence here, not in the libraries' warnings before it.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    pipe = load_pipeline(args.model)
    options = {}
    if args.psi is not None:
        if not isinstance(pipe, GANPipeline):
            raise UserError(f"--psi works for GANs only: {args.model} is a {type(pipe).__name__}.")
        options["psi"] = args.psi
    num_images = args.num_images
    if args.class_labels is not None:
        if not isinstance(pipe, CGANPipeline):
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


def evaluate_model(args: argparse.Namespace) -> None:
    """Measure a model, print each number beside its floor and, if wanted, write them down.

    Raises:
        UserError: no such model, data or evaluator, or a file that cannot be written.
    """
    from diffusers.utils import logging

    from .evaluation.evaluate import evaluate
    from .hub.cards import evaluation_table, read_json, write_card
    from .pipelines import load_pipeline
    from .pipelines.source import locate

    logging.disable_progress_bar()
    folder = Path(locate(args.model))
    if args.write_card and not folder.is_dir():
        raise UserError(f"--write_card writes into a folder: download {args.model} first and give its folder.")
    training = read_json(folder / "training.json")
    dataset_name = args.dataset_name or training.get("dataset")
    if dataset_name is None:
        raise UserError(f"{args.model} does not say what it was trained on: give --dataset_name.")
    classes = args.classes or training.get("classes")
    options = {"classes": classes, "evaluator": args.evaluator, "seed": args.seed}
    result = evaluate(load_pipeline(args.model), dataset_name, **options).to_dict()
    if args.baseline:
        other = evaluate(load_pipeline(args.baseline), dataset_name, **options)
        facts = read_json(Path(locate(args.baseline)) / "training.json")
        result["baseline"] = {name: facts.get(name) for name in ("title", "command", "images_seen", "commit")}
        values = {metric.metric: metric.value for metric in other.metrics}
        for row in result["metrics"]:
            row["baseline"] = values.get(row["metric"])
    print(f"{result['protocol']}\n\n{evaluation_table(result)}")
    text = json.dumps(result, indent=2) + "\n"
    outputs = [args.json] if args.json else []
    for output in [*outputs, *([folder / "evaluation.json"] if args.write_card else [])]:
        with replacing(output) as temporary:
            temporary.write_text(text, encoding="utf-8")
    if args.write_card:
        write_card(folder)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, or 2 for a mistake of the user."""
    args = make_parser().parse_args(argv)
    try:
        if args.command == "list":
            list_models()
        else:
            {"sample": sample_model, "evaluate": evaluate_model, "push": push_model}[args.command](args)
    except UserError as error:
        print(f"python -m genmodels {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
