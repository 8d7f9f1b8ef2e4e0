"""`genmodels push`: upload a model's folder to the Hub."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

from huggingface_hub.utils import logging

from ..folder import ModelFolder
from ..hub.push import check_id, check_model_folder, check_rights, push_model
from ..hub.retries import one_deadline
from . import silence_libraries


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of a trained model, such as runs/cgan/model")
    parser.add_argument(
        "repo_id", metavar="NAME/MODEL", help="where to: your name or your organization's, a slash, a name"
    )
    parser.add_argument(
        "--onnx",
        action="store_true",
        help="export the model, too, to onnx/ there, for programs without torch; without this, no onnx/ is there afterwards",
    )
    parser.add_argument("--private", action="store_true", help="only you, or the organization, can see it")


@one_deadline()
def run(args: argparse.Namespace) -> None:
    """`python -m genmodels push`: check the folder, then the rights, then push."""
    check_id(args.repo_id)
    check_model_folder(args.folder)
    check_rights(args.repo_id, private=args.private)
    # The clients' warnings of each new attempt hold signed addresses.
    logging.set_verbosity_error()
    export = partial(export_to, args.folder, args.repo_id) if args.onnx else None
    print(f"Pushed to {push_model(args.folder, args.repo_id, private=args.private, export=export)}")


def export_to(folder: Path, repo_id: str, output: Path) -> None:
    """The model in a folder as ONNX, under the name that it will have."""
    from ..evaluation.reproduce import load_model
    from ..export import Origin, export_model

    silence_libraries()
    export_model(load_model(folder, folded=False), output, Origin(repo_id, ModelFolder(folder)))
