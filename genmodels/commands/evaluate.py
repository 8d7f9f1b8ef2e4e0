"""`genmodels evaluate`: measure a model, print each number beside its floor, and write them down if wanted."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .. import zoo
from ..data import stated_reading, unusual_reading
from ..errors import UserError
from ..folder import EVALUATION, EvaluationFacts, as_json, write_text
from ..grid import make_grid
from ..hub.cards import evaluation_table, write_card
from . import silence_libraries
from .arguments import MAX_SEED, add_steps, guidance, whole_number
from .verify import fetch_model

if TYPE_CHECKING:
    from PIL import Image

    from ..pipelines import ImagePipeline

# Generated images whose neighbours are drawn, and of these how many.
DRAWN, NEAREST = 12, 3
# How to read data that is not the model's own.
READING_FLAGS = {
    "dataset_config_name": "configuration of the dataset, if it has several",
    "dataset_revision": "commit, branch or tag on the Hub",
    "image_column": "name of the column",
    "label_column": "text, integers or booleans",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a built-in name, a folder, or a Hub id such as name/model")
    parser.add_argument("--dataset_name", help="Hub id or folder; default: what the model was trained on")
    parser.add_argument("--split", help="of real images to compare with; default: test")
    for name, what in READING_FLAGS.items():
        parser.add_argument(f"--{name}", help=f"{what}; default: as in training")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="default: those the model was trained on")
    parser.add_argument(
        "--evaluator", help="name, folder or Hub id of a classifier; default: the built-in one of this shape"
    )
    parser.add_argument(
        "--baseline", metavar="MODEL", help="measure this one too, by the same protocol, for a column beside"
    )
    parser.add_argument("--seed", type=whole_number(0, MAX_SEED), default=0, help="0 or more; default: %(default)s")
    add_steps(parser)
    parser.add_argument(
        "--guidance_scale", type=guidance, help="of diffusion models with classes only, 0 to 20; default: 1, none"
    )
    parser.add_argument(
        "--inception_fid",
        action="store_true",
        help="measure the standard FID too, on features of ImageNet's Inception: takes minutes on a CPU, needs the "
        "package torch-fidelity, and downloads 91 MB once",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here too")
    parser.add_argument(
        "--write_card", action="store_true", help="write them into the model's folder: evaluation.json and README.md"
    )
    parser.add_argument(
        "--neighbors",
        action="store_true",
        help="with --write_card: show on the card the training images nearest to generated ones, so that copies would show; "
        "where the card goes, these training images go",
    )


def run(args: argparse.Namespace) -> int:
    """Measure a model, print each number beside its floor and, if wanted, write them down.

    Raises:
        UserError: no such model, data or evaluator, or a file that cannot be written.
    """
    if args.write_card and not (Path(args.model).is_dir() or zoo.model_folder(args.model)):
        raise UserError(f"--write_card writes into a folder: download {args.model} first and give its folder.")
    if args.neighbors and not args.write_card:
        raise UserError("--neighbors draws a picture for the card: add --write_card.")
    model = fetch_model(args.model)
    training, old = model.saved.training, model.saved.evaluation
    dataset_name = args.dataset_name or training.get("dataset")
    if dataset_name is None:
        raise UserError(f"{args.model} does not say what it was trained on: give --dataset_name.")

    silence_libraries()
    from ..evaluation.classifiers import evaluate_classifier
    from ..evaluation.evaluate import evaluate
    from ..evaluation.reproduce import load_model
    from ..pipelines import ImagePipeline

    classes = args.classes or training.get("classes")
    # Another dataset has columns and configurations of its own, and a copy of the same one has the same.
    reading = unusual_reading(training)
    if args.dataset_name not in (None, training.get("dataset")):
        reading = {name: reading[name] for name in reading if name not in ("dataset_config_name", "dataset_revision")}
    reading |= {name: getattr(args, name) for name in READING_FLAGS if getattr(args, name) is not None}
    stated = {"classes": classes, **stated_reading(reading)}
    options = dict(stated)
    loaded = load_model(model.saved.path)
    if not isinstance(loaded, ImagePipeline):
        if (
            args.evaluator
            or args.baseline
            or args.num_inference_steps
            or args.guidance_scale is not None
            or args.inception_fid
            or args.neighbors
        ):
            raise UserError(
                f"{args.model} is an evaluator itself: leave --evaluator, --baseline, --num_inference_steps, "
                "--guidance_scale, --inception_fid and --neighbors out."
            )
        split = args.split or training.get("test_split", "test")
        result = evaluate_classifier(loaded, dataset_name, split=split, **options).to_dict()
    else:
        options |= {
            "evaluator": args.evaluator,
            "seed": args.seed,
            "inception": args.inception_fid,
            "reference_split": args.split or "test",
            "train_split": training.get("split") or "train",
        }
        if "max_train_samples" in training:
            reading |= {"max_train_samples": training["max_train_samples"], "train_seed": training["seed"]}
            options |= {name: reading[name] for name in ("max_train_samples", "train_seed")}
        drawing = {"num_inference_steps": args.num_inference_steps, "guidance_scale": args.guidance_scale}
        result = evaluate(loaded, dataset_name, **options, **drawing).to_dict()
        if args.baseline:
            baseline = fetch_model(args.baseline).saved
            beside = load_model(baseline.path)
            if not isinstance(beside, ImagePipeline):
                raise UserError(f"{args.baseline} is an evaluator, which draws nothing: give --baseline another model.")
            other = evaluate(beside, dataset_name, **options)
            facts = dict(baseline.training)
            result["baseline"] = {
                name: facts.get(name) for name in ("title", "command", "images_seen", "commit", "version")
            }
            values = {metric.metric: metric.value for metric in other.metrics}
            for row in result["metrics"]:
                row["baseline"] = values.get(row["metric"])
        else:
            keep_baseline(result, old)
    result |= reading
    print(f"{result['protocol']}\n\n{evaluation_table(cast(EvaluationFacts, result))}")
    outputs = [args.json] if args.json else []
    for output in [*outputs, *([model.saved.path / EVALUATION] if args.write_card else [])]:
        try:
            write_text(output, as_json(result))
        except OSError as error:
            raise UserError(f"{str(output)!r} cannot be written: {error.strerror or error}.") from error
    if args.write_card:
        if args.neighbors and isinstance(loaded, ImagePipeline):
            stated["split"] = training.get("split") or "train"
            if "max_train_samples" in training:
                stated |= {"max_samples": training["max_train_samples"], "seed": training["seed"]}
            draw_neighbors(loaded, args.seed, dataset=dataset_name, **stated).save(model.saved.neighbors)
        write_card(model.saved.path)
    return 0


def draw_neighbors(pipe: ImagePipeline, first_seed: int, **training_images) -> Image.Image:
    """Generated images, each with its nearest training images to the right, two such rows side by side, at twice their size."""
    images = pipe(num_images=DRAWN, seed=first_seed).images
    near = pipe.neighbors(images, NEAREST, **training_images)
    rows = [part for image, found in zip(images, near.images, strict=True) for part in (image, *found)]
    sheet = make_grid(rows, 2 * (NEAREST + 1))
    return sheet.resize((2 * sheet.width, 2 * sheet.height), resample=0)


def keep_baseline(result: dict[str, Any], old: EvaluationFacts) -> None:
    """Carry the baseline of an earlier evaluation.json over, if it was measured by the same protocol."""
    protocol = ("dataset", "split", "n", "seed", "evaluator")
    if not old.get("baseline") or any(result[name] != dict(old).get(name) for name in protocol):
        return
    if old.get("evaluator_sha256", result["evaluator_sha256"]) != result["evaluator_sha256"]:
        return
    result["baseline"] = old["baseline"]
    values = {row["metric"]: row["baseline"] for row in old["metrics"] if row.get("baseline") is not None}
    for row in result["metrics"]:
        if row["metric"] in values:
            row["baseline"] = values[row["metric"]]
