"""Where a model lies and how it gets here: built-in names, folders, Hub ids, and one sentence for whatever goes wrong."""

from __future__ import annotations

import difflib
import errno
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import diffusers
from huggingface_hub import HfApi, constants, errors, hf_hub_download, snapshot_download, try_to_load_from_cache

from .. import zoo
from ..errors import UserError, first_line
from ..families import BY_PIPELINE
from ..folder import INDEX, ModelFolder, read_json
from ..models.modeling import check_hash, weight_patterns
from .retries import TroubleError, causes_of, is_transient, is_unreadable, one_deadline, retry, status_of

HUB_OPTIONS = ("revision", "token", "cache_dir", "local_files_only", "force_download")
# Of addresses on the Hub: what stands in the place of an owner and is none, and what follows a model's name.
NO_OWNERS = (
    *("api", "blog", "buckets", "chat", "collections", "datasets", "docs", "join", "learn", "login", "models"),
    *("papers", "posts", "pricing", "settings", "spaces", "tasks"),
)
PAGES_OF_A_REVISION = ("blame", "blob", "commit", "commits", "edit", "raw", "resolve", "revision", "tree")
OTHER_PAGES = ("community", "discussions", "settings")
# For the first question about a model, at which somebody waits who may have mistyped its name: 3.5 seconds.
LOOKUP_ATTEMPTS = 4
# A disk that is full, or must not be written to.
STORAGE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)


def describe_missing(name: str) -> str:
    """One sentence for a name that is neither built in, nor a folder, nor a Hub id."""
    names = zoo.model_names()
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]!r}? Built in are" if close else "built in are"
    return f"There is no model {name!r}: {hint} {', '.join(names)}; or give a folder, or a Hub id such as 'name/model'."


def check_subfolder(subfolder: str | None) -> str:
    """A path inside a model with slashes, "" for the model itself; raises UserError if it leads out of it."""
    path = PurePosixPath(subfolder or "")
    if path.is_absolute() or ".." in path.parts or re.search(r"[*?\[\\]", str(path)):
        raise UserError(f"subfolder must be a folder inside the model such as 'best', got {subfolder!r}.")
    return "" if path == PurePosixPath("") else str(path)


def read_name(name_or_path: str | Path) -> tuple[str, str | None, str | None]:
    """A model's name as people paste it, as a built-in name, a folder or a Hub id, with the revision and subfolder that it says.

    Understood are `https://huggingface.co/name/model`, also with `/tree/main` or a file behind it, `git@hf.co:name/model`,
    `hf://name/model@main`, quotes around it, a slash at the end, and `~`.

    Raises:
        UserError: it is the address of something else on the Hub.
    """
    name = str(name_or_path).strip()
    if not name or os.path.isdir(name):
        return name, None, None
    name = name.strip("'\"`<>")
    if os.path.isdir(home := os.path.expanduser(name)):
        return home, None, None
    hosts = "|".join(map(re.escape, ("huggingface.co", "hf.co", constants.ENDPOINT.partition("://")[2])))
    address = re.fullmatch(
        rf"(?i:hf://|git@(?:{hosts}):|(?:https?://)?(?:[^/@]*@)?(?:www\.)?(?:{hosts})(?:/|$))([^?#]*)(?:[?#].*)?", name
    )
    if address is None:
        plain = re.fullmatch(r"([\w.-]+/[\w.-]+)(?:@([\w.-]+))?/*", name)
        return (plain[1], plain[2], None) if plain else (name, None, None)
    parts = [part for part in address[1].split("/") if part]
    if parts[:2] == ["api", "models"] or (parts[:1] == ["models"] and len(parts) > 2):
        parts = parts[parts.index("models") + 1 :]
    if len(parts) < 2 or parts[0] in NO_OWNERS:
        kinds = {"datasets": "a dataset", "spaces": "a Space"}
        kind = kinds.get(parts[0] if parts else "", "something else on the Hub")
        raise UserError(
            f"{name!r} is the address of {kind}, not of a model: give one such as {constants.ENDPOINT}/name/model."
        )
    repo_id, _, revision = "/".join(parts[:2]).partition("@")
    inside = parts[2:]
    if inside[:1] and inside[0] in PAGES_OF_A_REVISION and len(inside) > 1:
        # A pull request's revision is of three parts.
        length = 3 if inside[1] == "refs" else 1
        revision, inside = unquote("/".join(inside[1 : 1 + length])), inside[1 + length :]
    elif inside[:1] and inside[0] in OTHER_PAGES:
        inside = []
    inside = list(map(unquote, inside))
    # A file's address means the folder that it lies in; that of a component's file, the pipeline's.
    if inside and PurePosixPath(inside[-1]).suffix in (".json", ".safetensors", ".md"):
        inside = inside[:-1] if inside[-1] in (INDEX, "README.md") else inside[:-2]
    return repo_id.removesuffix(".git"), revision or None, "/".join(inside) or None


def locate(name_or_path: str | Path, subfolder: str | None = None) -> str:
    """A built-in name, a folder or a Hub id, as a folder or a Hub id; raises UserError for anything else.

    Args:
        name_or_path: what a user may give as a model.
        subfolder: where inside it the pipeline lies.
    """
    name = read_name(name_or_path)[0]
    folder = Path(name) if name and Path(name).is_dir() else zoo.model_folder(name)
    if folder is not None:
        folder = folder / check_subfolder(subfolder)
        if not (folder / INDEX).is_file():
            kind = ModelFolder(folder).config().get("_class_name")
            if kind and (folder.parent / INDEX).is_file():
                raise UserError(f"The folder {folder} holds a {kind}, one part of a pipeline: give {folder.parent}.")
            holds = (
                f"it holds a {kind}, a single network and no pipeline" if kind else "it does not hold a saved pipeline"
            )
            raise UserError(f"The folder {folder} has no model_index.json: {holds}.")
        return str(folder)
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise UserError(describe_missing(name))
    return name


@dataclass(frozen=True)
class Source:
    """A pipeline of ours that was found, before its weights are there.

    Attributes:
        name: as the user gave it, for messages.
        folder: where its model_index.json lies on this disk.
        class_name: its class, as model_index.json names it.
        repo_id, commit: where more of it comes from; None for a folder.
        subfolder: where in the repository the pipeline lies, "" at its root.
        options: `token`, `cache_dir`, ... for the Hub's client.
        older: a commit that was in the cache before, to fall back to if the cache cannot be written.
    """

    name: str
    folder: Path
    class_name: str | None
    repo_id: str | None = None
    commit: str | None = None
    subfolder: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    older: str | None = None

    @property
    def advice(self) -> str:
        """How to load it, if it is one of ours."""
        ours = self.class_name in BY_PIPELINE
        return f": load it with {self.class_name}.from_pretrained or genmodels.load_pipeline" if ours else ""

    def fetch(self, variant: str | None = None) -> Source:
        """Bring the configs and weights into `folder`, or find them there; returns where they are: an older commit, perhaps.

        `DiffusionPipeline.download` is of no use here: it takes the module of a component for a file of the repository.

        Raises:
            UserError: the Hub does not give them.
        """
        if self.repo_id is None:
            return self
        head = f"{self.subfolder}/" if self.subfolder else ""
        patterns = [f"{head}{pattern}" for pattern in ("*.json", *(f"*/{w}" for w in weight_patterns(variant)))]
        try:
            fetch(self.repo_id, patterns, **{**self.options, "revision": self.commit})
            return self
        except UserError as error:
            full = storage_error(error)
            if full is None or self.older is None or self.older == self.commit:
                raise
            options = {**self.options, "revision": self.older, "local_files_only": True, "force_download": False}
            folder = fetch(self.repo_id, patterns, **options) / self.subfolder
            say_older(self.name, self.older, full)
            class_name = ModelFolder(folder).class_name
            return replace(self, folder=folder, commit=self.older, class_name=class_name, options=options)

    def files_in(self, component: str) -> list[str]:
        """Names of the files of a component, on this disk or on the Hub, if that answers."""
        names = [path.name for path in (self.folder / component).iterdir()]
        if self.repo_id is not None and not is_offline(self.options):
            head = f"{self.subfolder}/{component}/" if self.subfolder else f"{component}/"
            try:
                info = HfApi(token=self.options.get("token")).model_info(self.repo_id, revision=self.commit)
            except (errors.HfHubHTTPError, OSError):
                return names
            names += [
                file.rfilename.removeprefix(head) for file in info.siblings or [] if file.rfilename.startswith(head)
            ]
        return names


def storage_error(error: BaseException) -> OSError | None:
    """What is wrong with the disk, if that is behind an error: it is full, or must not be written to."""
    return next((c for c in causes_of(error) if isinstance(c, OSError) and c.errno in STORAGE_ERRORS), None)


def say_older(name: str, commit: str, error: OSError) -> None:
    """Warn that not the newest version is loaded."""
    warnings.warn(
        f"{name!r} has a newer version on the Hub, but the cache cannot be written ({error.strerror}): commit {commit[:12]} is "
        "loaded, which is there.",
        stacklevel=2,
    )


def find_pipeline(name_or_path: str | Path, subfolder: str | None = None, **options: Any) -> Source:
    """Find a model and what it is, from its model_index.json alone: a wrong id must not download somebody's gigabytes.

    In the cache, this costs one HEAD request; offline, or with a commit as `revision`, none.

    Args:
        name_or_path: a built-in name, a folder or a Hub id.
        subfolder: where inside it the pipeline lies.
        options: `revision`, `token`, `cache_dir`, `local_files_only`, `force_download`.

    Raises:
        UserError: there is no such model, it is not a pipeline, or its index is damaged.
    """
    name, (pasted, revision, inside) = str(name_or_path), read_name(name_or_path)
    for word, given, said in (("revision", options.get("revision"), revision), ("subfolder", subfolder, inside)):
        if said is not None and given not in (None, said):
            raise UserError(f"{name!r} says the {word} {said!r}, and {word}={given!r}: give one of them.")
    subfolder = subfolder or inside
    place = locate(pasted, subfolder)
    if Path(place).is_dir():
        return Source(name, Path(place), ModelFolder(Path(place)).class_name)
    if revision is not None:
        options = {**options, "revision": revision}
    subfolder = check_subfolder(subfolder)
    filename = f"{subfolder}/{INDEX}" if subfolder else INDEX
    before = in_cache(place, filename, options)
    older = before.parents[len(PurePosixPath(subfolder).parts)].name if before else None
    try:
        index = fetch_index(place, filename, options)
    except UserError as error:
        full = storage_error(error)
        if before is None or older is None or full is None:
            raise
        say_older(name, older, full)
        index, options = before, {**options, "revision": older, "local_files_only": True, "force_download": False}
    try:
        check_hash(index)
    except ValueError as error:
        raise UserError(f"{name!r} does not load: {error}") from error
    commit = index.parents[len(PurePosixPath(subfolder).parts)].name
    return Source(name, index.parent, ModelFolder(index.parent).class_name, place, commit, subfolder, options, older)


def fetch_index(repo_id: str, filename: str, options: dict[str, Any]) -> Path:
    """A repository's model_index.json, downloaded or from the cache; raises UserError if it has none."""
    offline = is_offline(options)
    with hub_errors(repo_id, **options):
        # The client would wait 23 seconds for a Hub that does not answer, and say less about what is there instead.
        if not offline and in_cache(repo_id, filename, options) is None:
            require_pipeline(repo_id, filename, options)
        try:
            return Path(retry(lambda: whole(hf_hub_download, repo_id, filename, **options)))
        except errors.EntryNotFoundError as error:
            # Something else may have been uploaded over it since.
            if not offline and not isinstance(error, errors.LocalEntryNotFoundError):
                require_pipeline(repo_id, filename, options)
            raise


def fetch(source: str, patterns: list[str], **options: Any) -> Path:
    """The folder of what `locate` found; files on the Hub that match `patterns` are downloaded, or found in the cache.

    Raises:
        UserError: the Hub does not give them.
    """
    if Path(source).is_dir():
        return Path(source)
    options = {key: options[key] for key in HUB_OPTIONS if key in options}
    with hub_errors(source, **options):
        return Path(retry(lambda: whole(snapshot_download, source, allow_patterns=patterns, **options)))


class CutShortError(ConnectionError):
    """A download that ended early, as if it were complete."""


def whole(download: Callable[..., str], *args: Any, **kwargs: Any) -> str:
    """`download(...)` with an error of its own for a file of the wrong size, so that it is tried again."""
    try:
        return download(*args, **kwargs)
    except OSError as error:
        if "Consistency check failed" in str(error):
            raise CutShortError(first_line(error)) from error
        raise


def is_offline(options: dict[str, Any]) -> bool:
    """Whether the client may ask nobody."""
    return bool(options.get("local_files_only")) or constants.HF_HUB_OFFLINE


def in_cache(repo_id: str, filename: str, options: dict[str, Any]) -> Path | None:
    """A file of this revision in the cache, of whatever commit that was then; None if there is none."""
    where = {key: options.get(key) for key in ("cache_dir", "revision")}
    try:
        found = try_to_load_from_cache(repo_id, filename, **where)
    except errors.HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def require_pipeline(repo_id: str, filename: str, options: dict[str, Any]) -> None:
    """Ask the Hub what a repository is; raises UserError if it has no model_index.json at `filename`."""
    token, revision = options.get("token"), options.get("revision")
    info = retry(lambda: HfApi(token=token).model_info(repo_id, revision=revision), attempts=LOOKUP_ATTEMPTS)
    files = {file.rfilename for file in info.siblings or []}
    if filename in files:
        return
    indexes = sorted(str(PurePosixPath(file).parent) for file in files if PurePosixPath(file).name == INDEX)
    if indexes:
        places = ", ".join(f"subfolder={place!r}" if place != "." else "no subfolder" for place in indexes[:8])
        raise UserError(f"{repo_id!r} has no {filename}: load it with {places}.")
    config = {}
    if "config.json" in files:
        path = retry(lambda: hf_hub_download(repo_id, "config.json", revision=info.sha, token=token))
        config = read_json(Path(path))
    architectures = ", ".join(map(str, config.get("architectures") or []))
    if "_class_name" in config:
        kind = f"holds a {config['_class_name']}, a single network and"
    elif architectures or info.library_name == "transformers":
        kind = f"holds a transformers model{f' ({architectures})' if architectures else ''},"
    elif info.library_name:
        kind = f"holds a model of {info.library_name},"
    else:
        raise UserError(f"{repo_id!r} has no model_index.json: it does not hold a saved pipeline.")
    raise UserError(f"{repo_id!r} {kind} not a pipeline of genmodels: it has no model_index.json.")


def other_kind(repo_id: str, token: str | bool | None) -> str | None:
    """ "dataset" or "Space" if the Hub has one of this id that may be read."""
    for repo_type, word in (("dataset", "dataset"), ("space", "Space")):
        try:
            HfApi(token=token).repo_info(repo_id, repo_type=repo_type)
            return word
        except (errors.HfHubHTTPError, OSError):
            continue
    return None


@contextmanager
def hub_errors(name: str, **options: Any) -> Iterator[None]:
    """Turn the clients' many errors about one Hub id into one sentence each.

    Args:
        name: the Hub id.
        options: those of the request: `revision`, `token`, `local_files_only`.
    """
    try:
        with one_deadline():
            yield
    except UserError:
        raise
    except Exception as error:
        # Transient are the HTTP library's own errors, whichever it is.
        if not isinstance(error, errors.HfHubHTTPError | OSError | ValueError) and not is_transient(error):
            raise
        raise UserError(explain(name, options, error)) from error


def explain(name: str, options: dict[str, Any], error: Exception) -> str:
    """One sentence for an error of the Hub's client."""
    causes, status = list(causes_of(error)), status_of(error)
    revision, token = options.get("revision") or "main", options.get("token")

    def has(*types: type[BaseException]) -> bool:
        return any(isinstance(cause, types) for cause in causes)

    page = f"{constants.ENDPOINT}/{name}"
    if has(errors.HFValidationError):
        return f"{name!r} is not a Hub id: give 'name/model' of letters, digits, '-', '_' and '.'."
    if has(errors.RevisionNotFoundError):
        return f"{name!r} has no revision {revision!r}: give a branch, a tag or a commit that {page} shows."
    if has(errors.GatedRepoError):
        return f"{name!r} is gated: ask for access at {page}, then run `hf auth login` or set HF_TOKEN."
    if has(errors.RepositoryNotFoundError):
        kind = other_kind(name, token)
        if kind:
            return f"{name!r} is a {kind} on the Hub, not a model."
        return (
            f"The Hub has no model {name!r}, or it is private and not yours to read: check the id or, if it is private, "
            "run `hf auth login` or set HF_TOKEN."
        )
    if status == 401:
        return f"The Hub does not accept your token, so {name!r} is not loaded: run `hf auth login` or set HF_TOKEN."
    if status == 403:
        return f"Your token may not read {name!r}: ask its owner, or use another with `hf auth login` or HF_TOKEN."
    if is_offline(options) and has(errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        how = "HF_HUB_OFFLINE=0" if constants.HF_HUB_OFFLINE else "local_files_only=False"
        return f"{name!r}, revision {revision!r}, is not whole in the cache, and offline: load it once with {how}."
    if has(errors.EntryNotFoundError) and status == 404:
        return f"{name!r}, revision {revision!r}, lacks a file of the pipeline: its owner has to push it again."
    if has(CutShortError):
        return f"The files of {name!r} arrive cut short, again and again: check the network, or try later."
    for cause in causes:
        if isinstance(cause, TroubleError):
            return f"{name!r} does not come from {constants.ENDPOINT}: {cause}. Try again later, or load what the cache has."
    if is_unreadable(error):
        return (
            f"What {constants.ENDPOINT} answers for {name!r} cannot be read ({first_line(error)}): check the network, such "
            "as a proxy or a page to sign in, and try again."
        )
    if is_transient(error):
        if status is not None:
            return f"The Hub answers {status} for {name!r}, again and again, and the cache does not have it: try later."
        return (
            f"The Hub at {constants.ENDPOINT} cannot be reached, and {name!r} is not whole in the cache: check the "
            "network and try again."
        )
    if (full := storage_error(error)) is not None:
        return f"{name!r} cannot be stored in the cache: {full.strerror}; make room or choose another cache_dir."
    if status is not None and status >= 400:
        # The client speaks of the connection then, which is well.
        return f"The Hub answers {status} for {name!r} and does not give it: look at {page}."
    return f"{name!r} cannot be downloaded: {first_line(error)}"


def describe_class(class_name: str | None) -> str:
    """A class from a model_index.json, with where it is from if that is known."""
    if class_name is None:
        return "pipeline without a class name"
    return f"{class_name} (diffusers)" if hasattr(diffusers, class_name) else class_name
