"""`genmodels verify`: whether what a card says is so."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, ModelCard, constants, snapshot_download
from huggingface_hub.hf_api import RepoFile
from yaml import YAMLError

from .. import zoo
from ..errors import UserError, escaped
from ..families import BY_PIPELINE
from ..folder import CARD, INDEX, EvaluationFacts, ModelFolder
from ..hub.cards import table_differences
from ..hub.push import hash_of
from ..hub.retries import is_transient, one_deadline, retry
from ..privacy import HUB_ID
from . import in_columns, silence_libraries

CONFIG = "config.json"
# What the numbers depend on, and what states them.
FILES = [CARD, "*.json", "*.safetensors", "*.py"]
CHECKPOINTS = ["checkpoint*", "last-checkpoint/*"]


@dataclass
class FoundModel:
    """A model on this disk, and where it came from.

    Attributes:
        name: what the user called it.
        saved: its files.
        repo_id: its Hub id; None for a built-in one or a folder.
        commit: of the Hub's repository; empty for a folder.
        files: the Hub's list of the commit's files; None if the Hub could not be asked.
    """

    name: str
    saved: ModelFolder
    repo_id: str | None = None
    commit: str = ""
    files: list[RepoFile] | None = None


@one_deadline()
def fetch_model(name: str, revision: str | None = None) -> FoundModel:
    """Find a model of the suite, pipeline or evaluator, downloading what `verify` needs if it is on the Hub.

    Args:
        name: a built-in name, a folder or a Hub id.
        revision: branch, tag or commit on the Hub.

    Raises:
        UserError: there is no such model, it is none of ours, or the Hub cannot be reached.
    """
    folder = Path(name) if Path(name).is_dir() else zoo.model_folder(name)
    if folder is not None:
        if revision is not None:
            raise UserError(f"--revision is for models on the Hub, and {name!r} lies on this disk: leave it out.")
        return FoundModel(name, checked(folder, name))
    from ..hub.source import hub_errors, locate, read_name, whole

    given, (name, pasted, _) = name, read_name(name)
    if Path(name).is_dir():
        return fetch_model(name, revision)
    if pasted is not None and revision not in (None, pasted):
        raise UserError(f"{given!r} says the revision {pasted!r}: leave --revision out.")
    revision = pasted or revision
    if not HUB_ID.fullmatch(name):
        locate(given)
    with hub_errors(name, revision=revision):
        commit, files = list_files(name, revision)
        options = {"revision": commit or revision, "ignore_patterns": CHECKPOINTS}
        folder = Path(retry(lambda: whole(snapshot_download, name, allow_patterns=[INDEX, CONFIG], **options)))
    # What it is, is known before its weights are downloaded.
    checked(folder, name)
    with hub_errors(name, revision=revision):
        folder = Path(retry(lambda: whole(snapshot_download, name, allow_patterns=FILES, **options)))
    return FoundModel(name, ModelFolder(folder), name, commit or folder.name, files)


def checked(folder: Path, name: str) -> ModelFolder:
    """A folder that holds a pipeline or an evaluator of ours; raises UserError for any other."""
    saved, file = ModelFolder(folder), INDEX
    try:
        index, kind = saved.index, saved.class_name
        if not index:
            file, index = CONFIG, saved.config()
            kind = index.get("_class_name") or ", ".join(index.get("architectures") or [])
    except (ValueError, TypeError) as error:
        raise UserError(f"{name!r} has no readable {file}: download or save it again.") from error
    if saved.family or (file == CONFIG and kind == "Classifier"):
        return saved
    if index:
        kind = kind or "model of another library"
        raise UserError(f"{name!r} holds a {kind}; genmodels measures {', '.join(BY_PIPELINE)} and its evaluators.")
    raise UserError(f"{name!r} has neither {INDEX} nor {CONFIG}: it does not hold a saved model.")


def list_files(repo_id: str, revision: str | None) -> tuple[str | None, list[RepoFile] | None]:
    """The commit that a revision names and its files with their hashes; None for both if the Hub cannot be reached."""
    if constants.HF_HUB_OFFLINE:
        return None, None
    api = HfApi()

    def ask() -> tuple[str | None, list[RepoFile]]:
        commit = api.model_info(repo_id, revision=revision).sha
        entries = api.list_repo_tree(repo_id, revision=commit, recursive=True)
        return commit, [entry for entry in entries if isinstance(entry, RepoFile)]

    try:
        return retry(ask, attempts=4)
    except Exception as error:
        if is_transient(error):
            return None, None
        raise


def check_files(model: FoundModel) -> tuple[int, list[str]]:
    """Compare a downloaded model's files with the hashes that the Hub has for them.

    Without an answer of the Hub, the hashes are those by which its cache names the files.

    Returns:
        How many files were checked, and a sentence for each that is not as on the Hub.
    """
    folder = model.saved.path
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    if model.files is not None:
        known = {file.path: file.lfs.sha256 if file.lfs else file.blob_id for file in model.files}
    else:
        from ..models.modeling import recorded_hash

        known = {name: digest for name, path in paths.items() if (digest := recorded_hash(path)) is not None}
    hashes = {name: hash_of(path, known[name]) for name, path in paths.items() if name in known}
    return len(hashes), [
        f"{name} is damaged: its hash is {found[:12]}..., on the Hub {known[name][:12]}..."
        for name, found in hashes.items()
        if found != known[name]
    ]


def card_differences(saved: ModelFolder, stated: EvaluationFacts) -> list[str]:
    """Where README.md and evaluation.json, or an evaluator's config, do not say the same, in words."""
    if not saved.card.is_file():
        return ["there is no README.md."]
    try:
        results = ModelCard.load(saved.card).data.eval_results or []
    except (YAMLError, ValueError, TypeError, LookupError, AttributeError) as error:
        return [f"the metadata of README.md is not readable ({type(error).__name__})."]
    shown = {result.metric_type: result for result in results}
    rows = {row["metric"]: row for row in stated.get("metrics", [])}
    found = [f"README.md states {name}, evaluation.json does not." for name in shown.keys() - rows.keys()]
    for name, row in rows.items():
        if name not in shown:
            found.append(f"evaluation.json states {name}, the metadata of README.md does not.")
            continue
        result = shown[name]
        pairs: list[tuple[str, Any, Any]] = [("", result.metric_value, row["value"])]
        pairs += [
            (f" {key}", value, dict(row).get(key))
            for key, value in (result.metric_args or {}).items()
            if key in ("floor", "tolerance", "floor_tolerance")
        ]
        pairs += [
            (f", {key}", value, dict(stated).get(key))
            for key, value in {"split": result.dataset_split, **(result.dataset_args or {})}.items()
        ]
        found += [
            f"README.md states {name}{what} {in_card}, evaluation.json {in_json}."
            for what, in_card, in_json in pairs
            if not same(in_card, in_json)
        ]
    if rows:
        found += table_differences(saved.card.read_text(encoding="utf-8"), stated)
    accuracy = saved.config().get("test_accuracy")
    if accuracy is not None and "accuracy" in rows and not same(accuracy, rows["accuracy"]["value"]):
        found.append(f"config.json states accuracy {accuracy}, evaluation.json {rows['accuracy']['value']}.")
    return found


def same(a: Any, b: Any) -> bool:
    """Whether two stated values are equal, up to how a number is written."""
    numbers = isinstance(a, int | float) and isinstance(b, int | float)
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) if numbers else a == b


def read_stated(model: FoundModel) -> EvaluationFacts:
    """The content of evaluation.json.

    Raises:
        UserError: there are no numbers, or not in a form that can be measured again.
    """
    measure = "`python -m genmodels evaluate FOLDER --write_card` measures a model and writes its card."
    try:
        stated = model.saved.evaluation
        rows = stated.get("metrics", [])
        for row in rows:
            if not (row["metric"] and row["name"] and math.isfinite(row["value"])):
                raise UserError(f"of its numbers, {row['metric'] or 'one'} has no name or is not finite.")
        _ = rows and (stated["split"], stated["seed"], stated["protocol"])
    except UserError as error:
        raise UserError(f"The evaluation.json of {model.name} is not readable as one: {error} {measure}") from error
    if not rows:
        raise UserError(f"{model.name} states no numbers with a protocol to measure them by: {measure}")
    return stated


def say(text: str) -> None:
    """Print a line of what others have written: no terminal obeys a character of it, and it stays one line."""
    print(escaped(text).replace("\n", "\\n"), flush=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a Hub id such as name/model, a built-in name, or a folder")
    parser.add_argument("--revision", help="branch, tag or commit on the Hub; default: main")
    parser.add_argument("--dataset_name", help="Hub id or folder; default: what the card states")
    parser.add_argument("--evaluator", help="name, folder or Hub id of a classifier; default: what the card states")


def run(args: argparse.Namespace) -> int:
    """Check a model's files, measure it again as its card says, and print per number whether it was reproduced.

    Returns:
        0 if everything was as stated, else 1.

    Raises:
        UserError: no such model, nothing to verify, or no data or evaluator to do it with.
    """
    model = fetch_model(args.model, args.revision)
    if model.repo_id is None:
        say(f"{model.name}: not from the Hub, so there are no hashes to check; that it loads is checked.")
    else:
        checked, wrong = check_files(model)
        source = "the Hub" if model.files is not None else "the cache, as the Hub cannot be reached"
        say(f"{model.name}, commit {model.commit[:12]}: {checked} files checked against the hashes of {source}.")
        if wrong:
            revision = f" --revision {args.revision}" if args.revision else ""
            for sentence in wrong:
                say(sentence)
            say(f"NOT verified. `hf download {model.repo_id}{revision} --force-download` downloads it again.")
            return 1
    stated = read_stated(model)
    differences = card_differences(model.saved, stated)
    for difference in differences:
        say(f"The card contradicts itself: {difference}")

    silence_libraries()
    from ..evaluation.reproduce import compare, load_model, measure_again, protocol_differences

    try:
        loaded = load_model(model.saved.path)
    except UserError as error:
        say(f"NOT verified: {error}")
        return 1
    say(f"Measuring again: {stated['protocol']}")
    measured = measure_again(loaded, stated, args.dataset_name, args.evaluator)
    changed = protocol_differences(stated, measured)
    for change in changed:
        say(f"The protocol is not as stated: {change}.")
    numbers = compare(stated, measured)
    rows = [("METRIC", "STATED", "MEASURED", "TOLERANCE", "")]
    for number in numbers:
        again = "-" if number.measured is None else f"{number.measured:.6g}"
        verdict = "reproduced" if number.reproduced else "NOT reproduced"
        rows.append((number.name, f"{number.stated:.6g}", again, f"{number.tolerance:.2g}", verdict))
    for line in in_columns(rows):
        say(line)
    if stated.get("baseline"):
        say("The baseline's column is not measured again: its weights are not in this model.")
    good = sum(number.reproduced for number in numbers)
    contradictions = len(differences) + len(changed)
    verdict = "verified" if good == len(numbers) and not contradictions else "NOT verified"
    said = f", {contradictions} contradiction(s) in the card" if contradictions else ""
    say(f"{model.name}: {good} of {len(numbers)} numbers reproduced{said}: {verdict}.")
    return 0 if verdict == "verified" else 1
