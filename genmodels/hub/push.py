"""Uploading a folder to the Hub in one commit, and finding out first whether that will be allowed."""

from __future__ import annotations

import hashlib
import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, RepositoryNotFoundError
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import validate_repo_id

from ..errors import UserError
from ..families import BY_PIPELINE
from ..folder import TRAINING, ModelFolder, read_json
from .cards import write_card
from .contents import MODEL_KINDS, check_files, copy_file, files_of
from .notebook import NOTEBOOK, write_notebook
from .retries import delay_before, describe, is_transient, one_deadline, retry, status_of
from .standalone import add_code, carried_files

TITLE = "Upload the model"
# How often a request is tried: about a minute, since what is pushed took longer to make.
PATIENCE = 8
# Of uploads the clients try each request five times themselves.
UPLOAD_PATIENCE = 3
MOVED = "moved"
# Where a model lies as ONNX, and what that is made of.
ONNX, ONNX_KINDS = "onnx", (".json", ".md", ".onnx")
# Where training leaves its newest checkpoint with --hub_strategy every_save.
CHECKPOINT_FOLDER = "last-checkpoint"


def check_rights(repo_id: str, *, private: bool = False, token: str | None = None, repo_type: str = "model") -> None:
    """Find out, without changing anything, whether the token may push to a repository that may not exist yet.

    Args:
        repo_id: "name/model", the name being the user's own or an organization's.
        private: whether it is to be private: then it must not exist as a public one.
        token: by default the one of `hf auth login` or HF_TOKEN.
        repo_type: "model", "dataset" or "space".

    Raises:
        UserError: a malformed id, no token, one that is wrong or may not write there, somebody else's namespace, a public
            repository in place of a private one, or a Hub that cannot be reached.
    """
    check_id(repo_id)
    user, owner = who_am_i(token), repo_id.split("/")[0]
    orgs = {org["name"]: org.get("roleInOrg") for org in user.get("orgs", [])}
    if owner not in (user["name"], *orgs):
        raise UserError(
            f"You are {user['name']} on the Hub and cannot push to {repo_id!r}: begin the id with one of "
            f"{', '.join([user['name'], *orgs])} and a slash."
        )
    if orgs.get(owner) == "read":
        raise UserError(
            f"You can only read in the organization {owner}: ask for a role that may write, or push to {user['name']}/..."
        )
    check_token(user.get("auth", {}).get("accessToken", {}), repo_id)
    if private:
        with hub_errors(f"Looking for {repo_id} failed"):
            check_still_private(HfApi(token=token), repo_id, repo_type)


def check_id(repo_id: str) -> None:
    """Raise UserError unless it is a name, a slash and a name as the Hub takes them."""
    try:
        validate_repo_id(repo_id)
    except HFValidationError:
        pass
    else:
        if repo_id.count("/") == 1:
            return
    raise UserError(
        f"{repo_id!r} is not an id on the Hub: give your name, a slash and a name of letters, digits, -, _ and dots, such as "
        "your-name/cgan-mnist."
    )


def check_token(token: dict[str, Any], repo_id: str) -> None:
    """Raise UserError if a token, as whoami describes it, cannot write to `repo_id`."""
    if token.get("role") == "read":
        raise UserError("Your token can only read: make one that may write at https://huggingface.co/settings/tokens.")
    if token.get("role") == "fineGrained" and "fineGrained" in token:
        if "repo.write" in (token["fineGrained"].get("global") or []):
            return
        scopes = token["fineGrained"].get("scoped") or []
        writable = [scope["entity"].get("name") for scope in scopes if "repo.write" in scope["permissions"]]
        if not {repo_id, repo_id.split("/")[0]} & set(writable):
            raise UserError(
                f"Your token may not write to {repo_id}, only to {', '.join(filter(None, writable)) or 'no repository'}: add "
                "it at https://huggingface.co/settings/tokens."
            )


def who_am_i(token: str | None = None) -> dict[str, Any]:
    """What the Hub says of the token's user, retried; raises UserError if there is no token, or a wrong one."""
    try:
        with hub_errors("Asking the Hub who you are failed"):
            return retry(lambda: HfApi(token=token).whoami())
    except LocalTokenNotFoundError as error:
        raise UserError("Pushing needs a token: run `hf auth login`, or set HF_TOKEN.") from error


def check_still_private(api: HfApi, repo_id: str, repo_type: str) -> None:
    """Raise UserError if the repository exists and everybody can read it."""
    try:
        public = not retry(lambda: api.repo_info(repo_id, repo_type=repo_type)).private
    except RepositoryNotFoundError:
        return
    if public:
        raise UserError(
            f"{repo_id} exists and is public: make it private in its settings on the Hub, or push to another id."
        )


@contextmanager
def hub_errors(what: str, later: str = "") -> Iterator[None]:
    """Say in one sentence what the Hub's or the connection's error means; `later` is how to go on."""
    try:
        with one_deadline():
            yield
    except (UserError, LocalTokenNotFoundError):
        raise
    except Exception as error:
        # RuntimeError is what hf_xet raises.
        if not isinstance(error, HfHubHTTPError | OSError | ValueError | RuntimeError) and not is_transient(error):
            raise
        if status_of(error) == 401 and not later:
            raise UserError(
                "The Hub does not accept your token: run `hf auth login` again, or set HF_TOKEN."
            ) from error
        again = ": check the network, and try again later." if is_transient(error) else "."
        raise UserError(f"{what}: {describe(error)}{later or again}") from error


class Saveable(Protocol):
    """A pipeline."""

    def save_pretrained(self, save_directory: Path, *, safe_serialization: bool) -> object: ...


def create_repo(api: HfApi, repo_id: str, private: bool, repo_type: str, **options: Any) -> str:
    """Create a repository unless it exists; never push privately meant files to a public one."""
    # None leaves it to the organization's settings.
    url = retry(
        lambda: api.create_repo(repo_id, private=private or None, repo_type=repo_type, exist_ok=True, **options),
        attempts=PATIENCE,
    )
    if private:
        check_still_private(api, repo_id, repo_type)
    return str(url)


def push_folder(
    folder: str | Path,
    repo_id: str,
    *,
    token: str | None = None,
    path_in_repo: str = "",
    source: Path | None = None,
    kinds: tuple[str, ...] = MODEL_KINDS,
    linked: bool = False,
    **options: Any,
) -> str:
    """Upload the files of a folder in one commit, or in none if they are all there, and return the repository's address.

    Args:
        folder, kinds, linked: what goes up, see `contents.files_of`.
        repo_id: as in `check_rights`.
        path_in_repo: the folder's place there.
        source: the folder to name if it fails, where `folder` is a copy of it.
        token, options: as in `push_files`.

    Raises:
        UserError: a file that must not go up, or see `push_files`.
    """
    check_id(repo_id)
    folder = Path(folder)
    source, files = source or folder, files_of(folder, kinds, linked)
    check_files(files, source, token or get_token())
    head = f"{path_in_repo.strip('/')}/" if path_in_repo else ""
    files = {f"{head}{name}": path for name, path in files.items()}
    return push_files(files, repo_id, source, token=token, **options)


def push_files(
    files: dict[str, Path],
    repo_id: str,
    source: Path,
    *,
    private: bool = False,
    token: str | None = None,
    repo_type: str = "model",
    title: str = TITLE,
    replaced: tuple[str, ...] = (),
    command: str | None = None,
    **options: Any,
) -> str:
    """Upload files that have been checked in one commit, or in none if they are all there, and return the repository's address.

    Every request is tried again while the Hub stutters. No commit is made twice: each names the commit that it follows, so
    that one whose answer was lost either took effect, which is seen, or never will.

    Args:
        files: by their path in the repository.
        source: the folder to name if it fails.
        repo_id, private, token, repo_type: as in `check_rights`; the repository is created if need be.
        title: of the commit.
        replaced: files, or folders with a slash at the end, that the same commit removes if they are there.
        command: what does the same later, to be named if it fails; by default `python -m genmodels push`.
        options: further ones of `HfApi.create_repo`.

    Raises:
        UserError: the Hub refused or did not answer in the end.
    """
    again = command or push_command(source, repo_id, private)
    api = HfApi(token=token)
    with hub_errors(
        f"Pushing {source} to {repo_id} failed", f"; the folder is complete, push it later with `{again}`."
    ):
        url = create_repo(api, repo_id, private, repo_type, **options)
        commit_files(api, repo_id, repo_type, files, title, replaced)
    return url


def push_command(folder: Path, repo_id: str, private: bool) -> str:
    """What a user types to push a model's folder."""
    return f"python -m genmodels push {shlex.quote(str(folder))} {repo_id}{' --private' * private}"


def commit_files(
    api: HfApi, repo_id: str, repo_type: str, files: dict[str, Path], title: str, replaced: tuple[str, ...]
) -> None:
    """One commit that makes the files at `main` these; see `push_folder`."""
    for attempt in range(1, PATIENCE + 1):
        head, operations = upload_changes(api, repo_id, repo_type, files, replaced)
        if not operations:
            return
        commit = partial(
            api.create_commit, repo_id, operations, commit_message=title, repo_type=repo_type, parent_commit=head
        )
        try:
            # If the head has moved, the answer of this commit was lost or another one came first: look what is missing.
            if retry(commit, partial(moved_from, head, api, repo_id, repo_type), PATIENCE) != MOVED:
                return
        except HfHubHTTPError as error:
            # 412, or 409: it moved before this commit.
            if attempt == PATIENCE or status_of(error) not in (409, 412):
                raise
            time.sleep(delay_before(attempt, error))
    raise UserError(f"{repo_id} changes faster than one can push to it: wait for the other pushes.")


def moved_from(head: str | None, api: HfApi, repo_id: str, repo_type: str, error: BaseException) -> str | None:
    """After an error, MOVED if `main` is at another commit, else None."""
    now = retry(lambda: api.repo_info(repo_id, repo_type=repo_type), attempts=PATIENCE)
    return None if now.sha == head else MOVED


def upload_changes(
    api: HfApi, repo_id: str, repo_type: str, files: dict[str, Path], replaced: tuple[str, ...]
) -> tuple[str | None, list[CommitOperationAdd | CommitOperationDelete]]:
    """The commit at `main`, and what a commit after it has to do; large files are uploaded already."""
    head = retry(lambda: api.repo_info(repo_id, repo_type=repo_type, files_metadata=True), attempts=PATIENCE)
    # Of the kinds of repository that the client knows some have no list.
    there: dict[str, RepoSibling] = {file.rfilename: file for file in getattr(head, "siblings", None) or []}
    additions = [CommitOperationAdd(name, path) for name, path in files.items() if not is_same(path, there.get(name))]
    if additions:
        # Each addition remembers that it is uploaded, so that a new attempt goes on with the rest.
        retry(
            lambda: api.preupload_lfs_files(repo_id, additions, repo_type=repo_type, free_memory=False),
            attempts=UPLOAD_PATIENCE,
        )
    obsolete = [name for name in replaced if any(p == name or (name[-1] == "/" and p.startswith(name)) for p in there)]
    return head.sha, [*additions, *map(CommitOperationDelete, obsolete)]


def hash_of(path: Path, known: str) -> str:
    """A file's hash of the kind that `known` is: sha256 of large files, or the id that git gives to small ones (40 digits)."""
    data = path.read_bytes()
    if len(known) == 64:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def is_same(path: Path, there: RepoSibling | None) -> bool:
    """Whether a local file has the content of one that the Hub describes."""
    if there is None or there.size != path.stat().st_size:
        return False
    known = there.lfs.sha256 if there.lfs else there.blob_id
    return known is not None and hash_of(path, known) == known


def check_model_folder(folder: Path) -> None:
    """Raise UserError unless the folder holds a saved pipeline or evaluator whose weights can be read."""
    saved = ModelFolder(folder)
    if saved.index:
        if saved.family is None:
            raise UserError(
                f"{folder} holds a {saved.class_name}: what can be pushed is one of {', '.join(BY_PIPELINE)}, or an evaluator."
            )
        components = [name for name in saved.components if name != "scheduler"]
        if "scheduler" in saved.components and not read_json(folder / "scheduler" / "scheduler_config.json"):
            raise UserError(f"{folder / 'scheduler'} holds no scheduler_config.json: save the model again.")
    elif saved.config().get("_class_name") == "Classifier":
        components = ["."]
    else:
        raise UserError(
            f"{folder} is no saved model: give a folder with a model_index.json, as training leaves in model/."
        )
    for component in components:
        weights = sorted((folder / component).glob("*.safetensors"))
        if not weights:
            raise UserError(f"{folder / component} holds no weights: save the model again.")
        for path in weights:
            check_weights(path)


def check_weights(path: Path) -> None:
    """Raise UserError unless a safetensors file is whole."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np"):
            pass
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged ({error}): save the model again.") from error


@contextmanager
def prepared(
    folder: Path, repo_id: str, token: str | None = None, export: Callable[[Path], object] | None = None
) -> Iterator[Path]:
    """A copy of a model's files as they will lie on the Hub, with the code that plain diffusers needs, the card and a notebook.

    In a copy, since several pushes of one folder may run at once, and a push is no reason to change a folder. The copy is what
    is looked at: the folder may change meanwhile.

    Raises:
        UserError: the folder holds what must not go up.
    """
    with tempfile.TemporaryDirectory(prefix="genmodels-push-") as temporary:
        copy = Path(temporary) / repo_id.split("/")[1]
        # The notebook is made anew, as the card is, and an export.
        made = {folder / NOTEBOOK, *(folder / ONNX).rglob("*")}
        for name, path in files_of(folder, wanted=lambda path: path not in made).items():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            copy_file(path, folder, copy / name)
        check_files(files_of(copy), folder, token or get_token(), carried_files(copy).values())
        # Before the card, which says how to load it.
        add_code(copy)
        if export is not None:
            export(copy / ONNX)
            check_files(files_of(copy / ONNX, ONNX_KINDS), folder / ONNX, token or get_token())
        # Without training.json the card is somebody's own.
        if (copy / TRAINING).is_file() or not ModelFolder(copy).card.is_file():
            try:
                write_card(copy, repo_id)
                write_notebook(copy)
            except UserError as error:
                # The user knows nothing of the copy, which will be gone.
                raise UserError(str(error).replace(str(copy), str(folder))) from error
        yield copy


def push_model(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    token: str | None = None,
    export: Callable[[Path], object] | None = None,
) -> str:
    """Push the folder of a saved pipeline or evaluator, with its card, and return the repository's address.

    Args:
        folder: of the model.
        repo_id, private, token: as in `check_rights`.
        export: writes the model as ONNX to a folder, which goes up as `onnx`. Without it the repository has none afterwards: it
            would be of other weights.

    Raises:
        UserError: the folder is no model, holds what must not go up, or the upload failed; the folder is as it was.
    """
    check_id(repo_id)
    folder = Path(folder)
    check_model_folder(folder)
    with prepared(folder, repo_id, token, export) as copy:
        replaced = (f"{CHECKPOINT_FOLDER}/", *([] if export else [f"{ONNX}/"]))
        files = files_of(copy, (*MODEL_KINDS, *ONNX_KINDS, ".ipynb"))
        again = push_command(folder, repo_id, private) + (" --onnx" if export else "")
        return push_files(files, repo_id, folder, private=private, token=token, replaced=replaced, command=again)


@one_deadline()
def push_pipeline(
    pipeline: Saveable,
    repo_id: str,
    *,
    private: bool = False,
    token: str | None = None,
    export: Callable[[Path], object] | None = None,
) -> str:
    """Save a pipeline, push it with a card, and return the repository's address; the arguments are those of `push_model`.

    Raises:
        UserError: the token may not push there, or the upload failed: then the saved folder is kept, and named.
    """
    check_rights(repo_id, private=private, token=token)
    folder = Path(tempfile.mkdtemp(prefix="genmodels-pipeline-"))
    pipeline.save_pretrained(folder, safe_serialization=True)
    url = push_model(folder, repo_id, private=private, token=token, export=export)
    shutil.rmtree(folder)
    return url
