"""`genmodels push`: upload a model's folder to the Hub."""

from __future__ import annotations

import argparse
from pathlib import Path

from huggingface_hub.utils import logging

from ..hub.push import check_id, check_model_folder, check_rights, push_model
from ..hub.retries import one_deadline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of a trained model, such as runs/cgan/model")
    parser.add_argument(
        "repo_id", metavar="NAME/MODEL", help="where to: your name or your organization's, a slash, a name"
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
    print(f"Pushed to {push_model(args.folder, args.repo_id, private=args.private)}")
