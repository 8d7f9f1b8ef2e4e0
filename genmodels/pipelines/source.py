"""Where a model lies and how it gets here: built-in names, folders, Hub ids, and one sentence for whatever goes wrong."""

from __future__ import annotations

import difflib
import errno
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import diffusers
from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from .. import zoo
from ..errors import UserError
from ..models.modeling import check_hash, weight_patterns
from ..retries import causes_of, is_transient, retry, status_of

INDEX = "model_index.json"
CLASS_NAMES = (
    "AutoencoderPipeline",
    "VAEPipeline",
    "VanillaGANPipeline",
    "DCGANPipeline",
    "WGANPipeline",
    "LAPGANPipeline",
    "CGANPipeline",
    "PixelDiffusionPipeline",
)
HUB_OPTIONS = ("revision", "token", "cache_dir", "local_files_only", "force_download")
# For the first question about a model, at which somebody waits who may have mistyped its name: 3.5 seconds.
LOOKUP_ATTEMPTS = 4


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


def locate(name_or_path: str | Path, subfolder: str | None = None) -> str:
    """A built-in name, a folder or a Hub id, as a folder or a Hub id; raises UserError for anything else.

    Args:
        name_or_path: what a user may give as a model.
        subfolder: where inside it the pipeline lies.
    """
    name = str(name_or_path)
    folder = Path(name) if name and Path(name).is_dir() else zoo.model_folder(name)
    if folder is not None:
        folder = folder / check_subfolder(subfolder)
        if not (folder / INDEX).is_file():
            raise UserError(f"The folder {folder} has no model_index.json: it does not hold a saved pipeline.")
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
    """

    name: str
    folder: Path
    class_name: str | None
    repo_id: str | None = None
    commit: str | None = None
    subfolder: str = ""
    options: dict = field(default_factory=dict)

    @property
    def advice(self) -> str:
        """How to load it, if it is one of ours."""
        ours = self.class_name in CLASS_NAMES
        return f": load it with {self.class_name}.from_pretrained or genmodels.load_pipeline" if ours else ""

    def fetch(self, variant: str | None = None) -> None:
        """Bring the configs and weights into `folder`, or find them there.

        `DiffusionPipeline.download` is of no use here: it takes the module of a component for a file of the repository.

        Raises:
            UserError: the Hub does not give them.
        """
        if self.repo_id is not None:
            head = f"{self.subfolder}/" if self.subfolder else ""
            patterns = [f"{head}{pattern}" for pattern in ("*.json", *(f"*/{w}" for w in weight_patterns(variant)))]
            fetch(self.repo_id, patterns, **{**self.options, "revision": self.commit})


def find_pipeline(name_or_path: str | Path, subfolder: str | None = None, **options) -> Source:
    """Find a model and what it is, from its model_index.json alone: a wrong id must not download somebody's gigabytes.

    In the cache, this costs one HEAD request; offline, or with a commit as `revision`, none.

    Args:
        name_or_path: a built-in name, a folder or a Hub id.
        subfolder: where inside it the pipeline lies.
        options: `revision`, `token`, `cache_dir`, `local_files_only`, `force_download`.

    Raises:
        UserError: there is no such model, it is not a pipeline, or its index is damaged.
    """
    name, place = str(name_or_path), locate(name_or_path, subfolder)
    if Path(place).is_dir():
        return Source(name, Path(place), read_class_name(Path(place) / INDEX))
    subfolder = check_subfolder(subfolder)
    index = fetch_index(place, f"{subfolder}/{INDEX}" if subfolder else INDEX, options)
    try:
        check_hash(index)
    except ValueError as error:
        raise UserError(f"{name!r} does not load: {error}") from error
    commit = index.parents[len(PurePosixPath(subfolder).parts)].name
    return Source(name, index.parent, read_class_name(index), place, commit, subfolder, options)


def fetch_index(repo_id: str, filename: str, options: dict) -> Path:
    """A repository's model_index.json, downloaded or from the cache; raises UserError if it has none."""
    offline = is_offline(options)
    with hub_errors(repo_id, **options):
        # The client would wait 23 seconds for a Hub that does not answer, and say less about what is there instead.
        if not offline and not is_cached(repo_id, filename, options):
            require_pipeline(repo_id, filename, options)
        try:
            return Path(retry(lambda: whole(hf_hub_download, repo_id, filename, **options)))
        except EntryNotFoundError as error:
            # Something else may have been uploaded over it since.
            if not offline and not isinstance(error, LocalEntryNotFoundError):
                require_pipeline(repo_id, filename, options)
            raise


def fetch(source: str, patterns: list[str], **options) -> Path:
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


def whole(download: Callable[..., str], *args, **kwargs) -> str:
    """`download(...)` with an error of its own for a file of the wrong size, so that it is tried again."""
    try:
        return download(*args, **kwargs)
    except OSError as error:
        if "Consistency check failed" in str(error):
            raise CutShortError(first_sentence(error)) from error
        raise


def is_offline(options: dict) -> bool:
    """Whether the client may ask nobody."""
    return bool(options.get("local_files_only")) or constants.HF_HUB_OFFLINE


def is_cached(repo_id: str, filename: str, options: dict) -> bool:
    """Whether some version of a file of this revision is in the cache."""
    where = {key: options.get(key) for key in ("cache_dir", "revision")}
    return isinstance(try_to_load_from_cache(repo_id, filename, **where), str)


def require_pipeline(repo_id: str, filename: str, options: dict) -> None:
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
        except (HfHubHTTPError, OSError):
            continue
    return None


@contextmanager
def hub_errors(name: str, **options) -> Iterator[None]:
    """Turn the clients' many errors about one Hub id into one sentence each.

    Args:
        name: the Hub id.
        options: those of the request: `revision`, `token`, `local_files_only`.
    """
    try:
        yield
    except UserError:
        raise
    except (HfHubHTTPError, HFValidationError, EntryNotFoundError, OSError, ValueError) as error:
        raise UserError(explain(name, options, error)) from error
    except Exception as error:
        # The HTTP library's own errors, whichever it is.
        if not is_transient(error):
            raise
        raise UserError(explain(name, options, error)) from error


def explain(name: str, options: dict, error: Exception) -> str:
    """One sentence for an error of the Hub's client."""
    causes, status = list(causes_of(error)), status_of(error)
    revision, token = options.get("revision") or "main", options.get("token")

    def has(*types: type[BaseException]) -> bool:
        return any(isinstance(cause, types) for cause in causes)

    page = f"{constants.ENDPOINT}/{name}"
    if has(HFValidationError):
        return f"{name!r} is not a Hub id: give 'name/model' of letters, digits, '-', '_' and '.'."
    if has(RevisionNotFoundError):
        return f"{name!r} has no revision {revision!r}: give a branch, a tag or a commit that {page} shows."
    if has(GatedRepoError):
        return f"{name!r} is gated: ask for access at {page}, then run `hf auth login` or set HF_TOKEN."
    if has(RepositoryNotFoundError):
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
    if is_offline(options) and has(LocalEntryNotFoundError, OfflineModeIsEnabled):
        how = "HF_HUB_OFFLINE=0" if constants.HF_HUB_OFFLINE else "local_files_only=False"
        return f"{name!r}, revision {revision!r}, is not whole in the cache, and offline: load it once with {how}."
    if has(EntryNotFoundError) and status == 404:
        return f"{name!r}, revision {revision!r}, lacks a file of the pipeline: its owner has to push it again."
    if has(CutShortError):
        return f"The files of {name!r} arrive cut short, again and again: check the network, or try later."
    if is_transient(error):
        if status is not None:
            return f"The Hub answers {status} for {name!r}, again and again, and the cache does not have it: try later."
        return (
            f"The Hub at {constants.ENDPOINT} cannot be reached, and {name!r} is not whole in the cache: check the "
            "network and try again."
        )
    full = next((c for c in causes if isinstance(c, OSError) and c.errno in (errno.ENOSPC, errno.EACCES)), None)
    if full is not None:
        return f"{name!r} cannot be stored in the cache: {full.strerror}; make room or choose another cache_dir."
    return f"{name!r} cannot be downloaded: {first_sentence(error)}"


def read_json(path: Path) -> dict:
    """A JSON object from a file; raises UserError if the file is not readable as one."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it is not an object")
        return content
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not a readable {path.name}: {first_sentence(error)}") from error


def read_class_name(index: Path) -> str | None:
    """The pipeline class that a model_index.json names, alone or behind the file that a repository carries for it.

    Raises:
        UserError: the file is not readable as one.
    """
    found = read_json(index).get("_class_name")
    if isinstance(found, list) and len(found) == 2:
        found = found[1]
    return found if isinstance(found, str) else None


def describe_class(class_name: str | None) -> str:
    """A class from a model_index.json, with where it is from if that is known."""
    if class_name is None:
        return "pipeline without a class name"
    return f"{class_name} (diffusers)" if hasattr(diffusers, class_name) else class_name


def first_sentence(error: Exception) -> str:
    """The first line of an error's text: what is left of a page of advice."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
