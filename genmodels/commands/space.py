"""Hosted Spaces: a folder that stands alone, and the way onto the Hub."""

from __future__ import annotations

import argparse
import functools
import json
import re
import shlex
import shutil
import tempfile
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import HfApi, SpaceHardware, get_token
from huggingface_hub.errors import RepositoryNotFoundError

from .. import zoo
from ..errors import UserError
from ..families import BY_PIPELINE
from ..folder import TRAINING, ModelFolder, check_output, replacing_folder
from ..hub.cards import PAPERS, cite, is_celeba, licence_of, licence_text, plain
from ..hub.contents import SPACE_KINDS, check_files, files_of
from ..hub.push import check_rights, hub_errors, push_folder
from ..hub.retries import one_deadline, retry
from ..privacy import HUB_ID
from ..ui import models as shown_models
from ..ui.models import CLASSES, FACES, KINDS_SHOWN, Model, ModelStore, find_models, kinds_of

PACKAGE = Path(__file__).parents[1]
# The Spaces' own files lie beside the package, in the checkout only.
SPACES = PACKAGE.parent / "spaces"
TABS_OF_SPACE = {
    "suite": shown_models.TABS,
    "vae": ("map",),
    "dcgan": ("samples",),
    "cgan": ("classes",),
    "real-vs-fake": ("real_or_fake",),
}
# The page without a server, of which browsers do all the computing.
STATIC = "static"
PAGE_KINDS = (".json", ".md", ".mjs", ".onnx", ".wasm", ".webp")
STATIC_KINDS = (*SPACE_KINDS, *PAGE_KINDS, ".gz", ".webmanifest")
# Where all generators of a kind can be chosen; a Space of one tab has one of them.
SPACES_WITH_ALL = ("suite",)
# Of those the ones that show another than the package's first of its kind, as their app.py says.
OWN_MODELS = {"dcgan": "dcgan-cifar10-frogs"}
# Where an evaluator guesses beside the visitor.
GAME_TAB = "real_or_fake"
# Where trainings are shown of which the zoo has no model.
REPLAY_TAB = "training"
# ZeroGPU documents torch 2.8.0, 2.9.1, 2.10.0, 2.11.0 and, of late, 2.12.1 and 2.13.0, and refuses others; of its two
# Pythons, 3.10.13 is too old for the NumPy that is pinned.
ZERO_GPU_TORCH, ZERO_GPU_PYTHON, ZERO_GPU_HARDWARE = "2.11.0", "3.12.12", "zero-a10g"
# Made by the Hub in every repository.
OWN_FILES_OF_HUB = {".gitattributes"}
# In the card of every Space that is made here.
OWN_TAG = "genmodels"


def source_of(name: str) -> Path:
    """The folder with a Space's own files.

    Raises:
        UserError: there is no such Space, or this is an installed package without the checkout.
    """
    if name not in (*TABS_OF_SPACE, STATIC):
        raise UserError(f"There is no Space {name!r}: give one of {', '.join([*TABS_OF_SPACE, STATIC])}.")
    folder = SPACES / name
    if not (folder / "README.md").is_file():
        raise UserError(
            f"The Spaces' own files are not part of an installed package, and {folder} does not exist: run this in a checkout "
            "of the repository."
        )
    return folder


def models_on_hub(models: str, kinds: list[str], several: bool) -> list[Model]:
    """The models of a Hub namespace, or of Hub ids with commas between, that a Space can show, in the order of `kinds`.

    Args:
        models: the namespace or ids.
        kinds: what it shows.
        several: whether it shows as many of a kind as a tab can, and not the first only.

    Raises:
        UserError: it is no such name, the Hub has no model that fits, or it cannot be reached.
    """
    for part in models.split(","):
        if Path(part).exists() or zoo.model_folder(part) is not None:
            raise UserError(
                f"--models {part}: a Space takes its models from the Hub, so give a namespace or a Hub id such as name/model; "
                "push a folder first."
            )
    found = retry(lambda: find_models(models))
    kept = []
    for kind in kinds:
        of_kind = [model for model in found if model.kind == kind]
        kept += of_kind if several else of_kind[:1]
    if not kept:
        shown = [
            f"{'an' if name[0] in 'AE' else 'a'} {name}" for name, family in BY_PIPELINE.items() if family.view in kinds
        ]
        if CLASSES in kinds:
            shown += [
                f"a {name} with classes"
                for name, family in BY_PIPELINE.items()
                if family.encodes and family.takes_classes
            ]
        raise UserError(f"--models {models}: this Space shows {' or '.join(shown)}.")
    return kept


def package_files(models: list[str], samples: list[str]) -> dict[str, Path]:
    """The package's files by their path in it, sorted; of the zoo only the named folders and image samples.

    Raises:
        UserError: among them is one that is not to be published; see `contents.files_of`.
    """
    kept = {zoo.ROOT / name for name in models} | {zoo.sample_folder(name) for name in samples}

    def wanted(path: Path) -> bool:
        # They are for who checks types; nobody does so in a Space.
        if path.name in ("py.typed", "__init__.pyi"):
            return False
        return not path.is_relative_to(zoo.ROOT) or path.parent == zoo.ROOT or bool(kept & set(path.parents))

    return files_of(PACKAGE, SPACE_KINDS, wanted=wanted)


def build_space(
    name: str,
    out: Path,
    models: str | None = None,
    zero_gpu: bool = False,
    page: Path | None = None,
    public: bool = False,
) -> str:
    """Make a folder that runs as a Space: its own files, the package, and the zoo models that it shows.

    The same arguments make the same bytes.

    Args:
        name: of `TABS_OF_SPACE`.
        out: where; must not exist, or be an empty folder.
        models: a Hub namespace, or Hub ids with commas between: these models are loaded from the Hub, and their weights
            left out of the folder; kinds that it lacks stay built in.
        zero_gpu: pin the versions that ZeroGPU offers.
        page: a folder of `app --prepare_page` that goes along, so that visitors' browsers compute. All built-in models and
            the engine are 59 MB beside the suite's 43, far below a Space's gigabyte; a visitor loads the engine, 3.7 MB as
            gzip, and the models that they use.
        public: whether everybody will see it: then no model may be private.

    Returns:
        What was made, in words.

    Raises:
        UserError: no such Space or models, a file among its own that is not to be published, or the folder cannot be written.
    """
    source, tabs = source_of(name), TABS_OF_SPACE[name]
    check_output(out)
    kinds, several = kinds_of(tabs, KINDS_SHOWN), name in SPACES_WITH_ALL
    from_hub = [] if models is None else models_on_hub(models, kinds, several)
    if public:
        check_public(from_hub)
    kinds_from_hub = {model.kind for model in from_hub}
    kinds = [kind for kind in kinds if kind in kinds_from_hub or shown_models.is_built_in(kind)]
    shown = {model.kind: model for model in reversed(from_hub)}
    inside = {kind: shown_models.built_in_model(kind) for kind in kinds if kind not in kinds_from_hub}
    if inside and (own := zoo.model_folder(OWN_MODELS.get(name, ""))):
        inside = {kind: shown_models.read_model(own, own.name) or model for kind, model in inside.items()}
    shown |= inside
    for model in shown.values():
        if model.reason is not None:
            raise UserError(model.reason)
    others = [shown_models.other_built_in(kind) for kind in shown_models.MOST if several and kind not in kinds_from_hub]
    all_shown = [*from_hub, *inside.values(), *chain.from_iterable(others)]
    built_in = [model.name for model in all_shown if model not in from_hub]
    if GAME_TAB in tabs:
        shapes = {
            (shown[kind].sample_size, shown[kind].num_channels) for kind in KINDS_SHOWN[GAME_TAB] if kind in shown
        }
        built_in += [name for shape, name in zoo.EVALUATORS.items() if shape in shapes]
    if REPLAY_TAB in tabs:
        built_in.append("replays")
    compared = {
        shown_models.REAL_SAMPLES.get(shown[kind].num_channels) for kind in kinds_of(tabs, shown_models.KINDS_COMPARED)
    }
    samples, built_in = sorted(filter(None, compared)), list(dict.fromkeys(built_in))
    hub_ids = [model.name for model in from_hub]

    files = {f"{PACKAGE.name}/{name}": path for name, path in package_files(built_in, samples).items()}
    files |= files_of(source, SPACE_KINDS)
    if page is not None:
        files |= files_of_page(page, ModelStore(",".join(hub_ids) or OWN_MODELS.get(name), tabs))
    check_files(files, Path(name), get_token())
    with replacing_folder(out) as temporary:
        for relative, path in files.items():
            (temporary / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, temporary / relative)
        adapt(temporary, hub_ids, zero_gpu)
        if hub_ids:
            credit(temporary / "README.md", all_shown, samples, tabs)
    size = sum((out / relative).stat().st_size for relative in files) / 1e6
    parts = [f"{', '.join(hub_ids)} from the Hub"] if hub_ids else []
    parts += [f"{', '.join(built_in)} inside"] if built_in else []
    return f"{len(files)} files, {size:.1f} MB, {' and '.join(parts)}"


def files_of_page(page: Path, store: ModelStore) -> dict[str, Path]:
    """The files of a page that computes, as a Space has them, where `find_page` looks for them.

    Raises:
        UserError: it is none, or none of its models is one that the store shows.
    """
    from ..ui.in_page.files import find_page, usable

    folder = find_page(page)
    if folder is None or usable(store, folder) is None:
        raise UserError(
            f"--page {page}: none of its models is one that this Space shows: make it with `python -m genmodels app "
            "--prepare_page --page DIR` and the same --models."
        )
    return {f"page/{name}": path for name, path in files_of(folder, PAGE_KINDS).items()}


def check_public(models: list[Model]) -> None:
    """Raise UserError if not everybody may read one of these models, which a public Space would show to everybody."""
    names = [model.name for model in models if model.on_hub]
    with hub_errors("Asking the Hub whether the models are public failed"):
        infos = {name: retry(functools.partial(HfApi().model_info, name)) for name in names}
    closed = [name for name, info in infos.items() if info.private or info.gated]
    if closed:
        left = ",".join(name for name in names if name not in closed)
        others = f", or name the others alone: --models {left}" if left else ", or make it public on the Hub"
        raise UserError(
            f"{' and '.join(closed)} {'is' if len(closed) == 1 else 'are'} private or gated, and everybody would get from a "
            f"public Space what only some may read: add --private{others}."
        )


def build_static(out: Path, models: str | None = None, public: bool = False) -> str:
    """Make a folder with the whole page, whose models run in browsers: any file server shows it, as a Static Space does.

    Args:
        out: where; must not exist, or be an empty folder.
        models: as in `ModelStore`: a folder, a Hub namespace or Hub ids, whose models stand in for the built-in ones.
        public: whether everybody will see it: then no model may be private.

    Returns:
        What was made, in words.

    Raises:
        UserError: no such models, npm does not bring the engine, or the folder cannot be written.
    """
    from ..ui.in_page.engine import bring_engine
    from ..ui.in_page.models import left_out, write_models
    from ..ui.static import write_page

    source = source_of(STATIC)
    check_output(out)
    # What is missing or wrong is said before the minutes that exporting takes.
    store = ModelStore(models)
    if public:
        check_public(store.shown)
    with replacing_folder(out) as temporary:
        bring_engine(temporary / "engine")
        store.load()
        store.forget_places()
        entries = write_models(store, temporary)
        write_page(store, temporary)
        card = temporary / "README.md"
        shutil.copyfile(source / card.name, card)
        if models is not None:
            samples = [entry["sample"] for entry in entries if entry["kind"] == "sample"]
            working = {entry["name"] for entry in entries if "reason" not in entry}
            credit(card, [model for model in store.shown if model.key in working], samples)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
    missing = left_out(entries)
    return "; ".join([f"{len(entries) - len(missing)} models and samples, {size:.1f} MB", *missing])


def credit(card: Path, models: list[Model], samples: list[str], tabs: Sequence[str] = shown_models.TABS) -> None:
    """Let a Space's card name what it shows, where that is not what the repository's card says: models, data, papers."""
    from ..ui.suite import TABS, TITLE

    title = TITLE if len(tabs) > 1 else TABS[tabs[0]][1]
    settings, text = read_card(card)
    models = list({model.name: model for model in models}.values())
    facts = [model.read(TRAINING) for model in models]
    trained = [origin_of(fact.get("dataset")) for fact in facts]
    datasets = [name for name in [*trained, *(origin_of(sample) for sample in samples)] if name]
    hub_ids = [model.name for model in models if model.on_hub]
    settings = {name: value for name, value in settings.items() if name not in ("datasets", "models")}
    settings |= {
        name: value for name, value in (("models", hub_ids), ("datasets", [*dict.fromkeys(datasets)])) if value
    }
    lines = [
        f"- {link_to(model)}: {model.family.title}{f', trained on {plain(data)}' if data else ''}{licence_in_words(model)}"
        for model, data in zip(models, trained, strict=True)
    ]
    papers = [paper for fact in facts for paper in fact.get("papers") or [] if paper in PAPERS]
    said = re.search(r"A photo that you choose[^.]*\.", text)
    head, made = text.strip().split("\n\n")[0], "Made with genmodels" + text.partition("Made with genmodels")[2]
    parts = [head, title, *([said[0]] if said and any(model.kind == FACES for model in models) else [])]
    parts += ["Models:", "\n".join(lines)]
    if any(map(is_celeba, trained)):
        parts += [licence_text("celeba")]
    if papers:
        parts += ["Papers:", "\n".join(map(cite, dict.fromkeys(papers)))]
    write_card(card, settings, "\n" + "\n\n".join([*parts, made.strip()]) + "\n")


def origin_of(dataset: object) -> str | None:
    """The Hub id of a dataset, or of that which a built-in sample was drawn from; None for anything else."""
    if isinstance(dataset, str) and dataset in shown_models.ORIGINS:
        return shown_models.ORIGINS[dataset][1]
    return dataset if isinstance(dataset, str) and HUB_ID.fullmatch(dataset) else None


def link_to(model: Model) -> str:
    """Its name, of a model on the Hub as a link."""
    return f"[{plain(model.name)}](https://huggingface.co/{model.name})" if model.on_hub else plain(model.key)


def licence_in_words(model: Model) -> str:
    """What follows on a model in a list of them."""
    licence = licence_of(ModelFolder(model.folder)) if model.folder else {}
    name = licence.get("license_name") or licence.get("license")
    return f"; licence: {plain(name)}" if name else ""


def read_card(card: Path) -> tuple[dict[str, Any], str]:
    """The settings at the head of a Space's card, and what follows."""
    _, head, text = card.read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head), text


def write_card(card: Path, settings: dict[str, Any], text: str) -> None:
    """The reverse of `read_card`."""
    head = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
    card.write_text(f"---\n{head}---\n{text}", encoding="utf-8")


def adapt(folder: Path, hub_ids: list[str], zero_gpu: bool) -> None:
    """Write into a Space's own files what differs from how they lie in the repository."""
    if hub_ids:
        app = folder / "app.py"
        call = re.compile(r"^serve\((.*)\)$", re.MULTILINE)
        argument = f"models={json.dumps(','.join(hub_ids))}"
        text = re.sub(r', models="[^"]*"', "", app.read_text())
        app.write_text(call.sub(lambda m: f"serve({', '.join(filter(None, [m[1], argument]))})", text))
    if zero_gpu:
        requirements = folder / "requirements.txt"
        pins = re.sub(r"^torch==.*$", f"torch=={ZERO_GPU_TORCH}", requirements.read_text(), flags=re.MULTILINE)
        requirements.write_text(pins)
    card = folder / "README.md"
    settings, text = read_card(card)
    if hub_ids:
        settings |= {"models": hub_ids, "preload_from_hub": list(hub_ids)}
    if zero_gpu:
        settings |= {"python_version": ZERO_GPU_PYTHON, "suggested_hardware": ZERO_GPU_HARDWARE}
    write_card(card, settings, text)


@one_deadline()
def deploy_space(
    name: str,
    repo_id: str,
    models: str | None = None,
    zero_gpu: bool = False,
    private: bool = False,
    page: Path | None = None,
) -> tuple[str, str]:
    """Create a Space unless it exists, and make it equal to the folder that `build_space` makes, in one commit.

    Args:
        name, models, zero_gpu, page: see `build_space`. With `zero_gpu` the hardware is asked for too.
        repo_id: "name/space".
        private: whether only its owners can see it.

    Returns:
        The Space's address, and what lies there, in words.

    Raises:
        UserError: see `build_space` and `push.push_folder`, or another kind of Space lies there; that and the rights are checked
            first.
    """
    source_of(name)
    check_options(name, zero_gpu, page)
    check_rights(repo_id, private=private, repo_type="space")
    sdk = "static" if name == STATIC else "gradio"
    check_replaced(repo_id, sdk)
    options = [*(["--models", models] if models else []), *(["--page", str(page)] if page else [])]
    options += ["--zero_gpu"] if zero_gpu else []
    options += ["--private"] if private else []
    hardware: dict[str, Any] = {"space_hardware": ZERO_GPU_HARDWARE} if zero_gpu else {}
    with tempfile.TemporaryDirectory(prefix="genmodels-space-") as scratch:
        folder = Path(scratch) / name
        if name == STATIC:
            built = build_static(folder, models, public=not private)
        else:
            built = build_space(name, folder, models, zero_gpu, page, public=not private)
        url = push_folder(
            folder,
            repo_id,
            private=private,
            repo_type="space",
            kinds=STATIC_KINDS if name == STATIC or page else SPACE_KINDS,
            title=f"Deploy the Space {name}",
            replaced=obsolete_files(repo_id, folder),
            source=Path(name),
            command=shlex.join(["python", "-m", "genmodels", "space", "deploy", name, repo_id, *options]),
            space_sdk=sdk,
            **hardware,
        )
    if zero_gpu:
        with hub_errors(
            f"Asking for ZeroGPU failed, although {url} was uploaded", ": choose it in the Space's settings."
        ):
            request_zero_gpu(repo_id)
    return url, built


def check_options(name: str, zero_gpu: bool, page: Path | None) -> None:
    """Raise UserError for what a static Space has no use for."""
    for option, given in (("--zero_gpu", zero_gpu), ("--page", page)):
        if given and name == STATIC:
            raise UserError(f"A static Space computes in its visitors' browsers: leave out {option}.")


def check_replaced(repo_id: str, sdk: str) -> None:
    """Raise UserError if a Space of another kind, or one that was not made here, lies where one is to be put."""
    with hub_errors(f"Looking at {repo_id} failed"):
        try:
            there = retry(lambda: HfApi().space_info(repo_id))
        except RepositoryNotFoundError:
            return
    other = "give another id, or delete that Space on the Hub first"
    if there.sdk and there.sdk != sdk:
        raise UserError(
            f"{repo_id} is there already, as a Space of the kind {there.sdk}, and this makes one of {sdk}: {other}."
        )
    files = {file.rfilename for file in there.siblings or []} - OWN_FILES_OF_HUB - {"README.md"}
    if files and OWN_TAG not in (getattr(there.card_data, "tags", None) or []):
        raise UserError(f"{repo_id} is there already, with files that are not of genmodels and would be lost: {other}.")


def request_zero_gpu(repo_id: str) -> None:
    """Ask for ZeroGPU where a Space has other hardware, as one that was there before."""
    api = HfApi()
    if retry(lambda: api.get_space_runtime(repo_id)).requested_hardware != ZERO_GPU_HARDWARE:
        retry(lambda: api.request_space_hardware(repo_id, SpaceHardware(ZERO_GPU_HARDWARE)))


def obsolete_files(repo_id: str, folder: Path) -> tuple[str, ...]:
    """What a Space on the Hub has beyond the folder's files."""
    with hub_errors(f"Looking at {repo_id} failed"):
        try:
            there = retry(lambda: HfApi().list_repo_files(repo_id, repo_type="space"))
        except RepositoryNotFoundError:
            return ()
    return tuple(name for name in there if name not in OWN_FILES_OF_HUB and not (folder / name).is_file())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="{build,deploy}")
    build = actions.add_parser("build", help="make a folder that runs as a Space")
    deploy = actions.add_parser("deploy", help="create the Space on the Hub and upload it")
    for action in (build, deploy):
        action.add_argument(
            "name",
            metavar="NAME",
            help="suite, vae, dcgan, cgan or real-vs-fake; or static: all tabs, computed in browsers",
        )
    build.add_argument("out", type=Path, metavar="OUT", help="the folder; must not exist yet, or be empty")
    deploy.add_argument("repo_id", metavar="HUB_ID", help="the Space, such as your-name/vae")
    for action in (build, deploy):
        action.add_argument(
            "--models",
            metavar="NAMESPACE",
            help="show models from the Hub instead of the built-in ones: a namespace, or Hub ids with commas between; of the "
            "static page also a folder",
        )
        action.add_argument(
            "--page",
            type=Path,
            metavar="DIR",
            help="take a folder of `python -m genmodels app --prepare_page` along, so that visitors' browsers compute",
        )
        action.add_argument("--zero_gpu", action="store_true", help="for ZeroGPU hardware instead of CPU Basic")
    deploy.add_argument("--private", action="store_true", help="only you, or the organization, can see it")


def run(args: argparse.Namespace) -> None:
    """`python -m genmodels space build` and `space deploy`, their arguments parsed."""
    if args.action == "build" and args.name == STATIC:
        check_options(args.name, args.zero_gpu, args.page)
        built = build_static(args.out, args.models)
        print(f"{args.out}: {built}; try it with `python -m http.server -d {args.out}`")
    elif args.action == "build":
        built = build_space(args.name, args.out, args.models, args.zero_gpu, args.page)
        print(f"{args.out}: {built}; try it with `cd {args.out} && python app.py`")
    else:
        url, done = deploy_space(args.name, args.repo_id, args.models, args.zero_gpu, args.private, args.page)
        print(f"{url}: {done}")
