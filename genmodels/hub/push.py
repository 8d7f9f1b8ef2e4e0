"""Uploading a pipeline's folder, and finding out before training whether that will be allowed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from ..errors import UserError
from .cards import write_card

if TYPE_CHECKING:
    from ..training import TrainingRun


def require_write_access(args: argparse.Namespace) -> None:
    """With --push_to_hub, complete --hub_model_id and raise UserError unless the token may write there."""
    if not args.push_to_hub or args.dry_run:
        return
    try:
        user = HfApi().whoami()
    except LocalTokenNotFoundError as error:
        raise UserError("--push_to_hub needs a token: run `hf auth login`, or set HF_TOKEN.") from error
    except (HfHubHTTPError, OSError) as error:
        raise UserError(
            f"The Hub does not accept your token, or cannot be reached ({type(error).__name__}): run `hf auth login` again, or "
            "leave --push_to_hub out and push the folder later."
        ) from error
    if user.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise UserError("Your token can only read: make one that may write, or leave --push_to_hub out.")
    args.hub_model_id = args.hub_model_id or f"{user['name']}/{Path(args.output_dir).resolve().name}"
    owners = [user["name"], *(org["name"] for org in user.get("orgs", []))]
    if args.hub_model_id.count("/") != 1 or args.hub_model_id.split("/")[0] not in owners:
        raise UserError(
            f"You cannot push to {args.hub_model_id!r}: --hub_model_id takes {', '.join(owners)}, a slash, a name."
        )


def push_folder(folder: Path, repo_id: str) -> str:
    """Upload a pipeline's folder in one commit and return the repository's address.

    Raises:
        UserError: the upload failed; the folder is complete on disk.
    """
    api = HfApi()
    try:
        url = api.create_repo(repo_id, exist_ok=True)
        api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Upload the trained pipeline")
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise UserError(
            f"Pushing {folder} to {repo_id} failed ({type(error).__name__}); the folder is complete: push it later with "
            f"`hf upload {repo_id} {folder}`."
        ) from error
    return str(url)


def finish_run(run: TrainingRun, title: str, papers: list[str]) -> None:
    """Save the pipeline with its card and, with --push_to_hub, upload it."""
    folder = run.finish(title, papers=papers)
    if not run.accelerator.is_main_process:
        return
    write_card(folder, run.args.hub_model_id)
    if run.args.push_to_hub:
        print(f"Pushed to {push_folder(folder, run.args.hub_model_id)}")
