"""The README of a model repository, made from what lies in its folder: model_index.json, training.json, evaluation.json.

Imports neither torch nor diffusers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from yaml import YAMLError

from .. import zoo
from ..errors import UserError
from ..families import BY_PIPELINE
from ..folder import CARD, EVALUATION, TRAINING, EvaluationFacts, ModelFolder, SelectedFacts, TrainingFacts
from ..privacy import HUB_ID, redact, redact_values

# By arXiv id, or DOI of what is not there: authors as in BibTeX, title, year.
PAPERS: dict[str, tuple[list[str], str, int]] = json.loads(
    (Path(__file__).parent / "papers.json").read_text(encoding="utf-8")
)
LICENSES = {
    **dict.fromkeys(
        ("ylecun/mnist", "zoo:mnist-sample"),
        "The images of MNIST (LeCun, Cortes, Burges) are distributed under CC BY-SA 3.0.",
    ),
    **dict.fromkeys(
        ("uoft-cs/cifar10", "zoo:cifar10-frogs-sample"),
        "CIFAR-10 (Krizhevsky 2009) is distributed for research without a formal licence.",
    ),
}
CELEBA = {
    "license": "other",
    "license_name": "celeba-non-commercial-research",
    "license_link": "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
}

# Between them stands the table of evaluation.json, and nothing else: `verify` compares it.
TABLE_MARKERS = ("<!-- evaluation.json -->", "<!-- end of evaluation.json -->")
NEIGHBORS = (
    "In each row a generated image, then the training images that are nearest to it in the evaluator's features, the nearest "
    "first; and again. A copy would show."
)
TOLERANCE_NOTE = (
    "What follows a number after ± is its tolerance: the same machine and thread count repeat every number exactly; others, or "
    "another torch version, differ in a float's last bits, which can move a pixel's rounding, a nearest neighbour or a class."
)


def make_public(saved: ModelFolder) -> None:
    """Leave in training.json and evaluation.json, which are uploaded beside the card, only what may be published."""
    for name, facts in ((TRAINING, dict(saved.training)), (EVALUATION, dict(saved.evaluation))):
        if (public := redact_values(facts)) != facts:
            saved.write(name, public)


def write_card(folder: Path, repo_id: str | None = None) -> None:
    """Write `folder`/README.md: metadata the Hub validates, then what the model is, how to load it, how it was made and measured.

    Tokens, local paths and user@host are replaced, not refused: a run that took hours must not fail at its card.

    Args:
        folder: of a saved pipeline or evaluator, with training.json and, once measured, evaluation.json.
        repo_id: where it will lie on the Hub. By default the card shows how to load it as the built-in model that it is, or
            from the folder that the reader is in.

    Raises:
        UserError: it holds another kind of model, or one of its files lacks what the card says or has it as another type.
    """
    saved = ModelFolder(folder)
    make_public(saved)
    training, evaluation, index = saved.training, saved.evaluation, saved.index
    name = (repo_id or folder.resolve().name).split("/")[-1]
    parts, task, tags = pipeline_parts(saved, repo_id) if index else evaluator_parts(saved, repo_id)
    if (saved.path / "onnx" / "README.md").is_file():
        parts += ["Without torch, in Python, Node and a browser, by onnxruntime: [`onnx/`](onnx/README.md)."]
    dataset = training.get("dataset")
    if training:
        parts += ["## Training", *earlier_trainings(training), fenced(training["command"])]
        parts += [table(training_rows(training))]
    if saved.film.is_file():
        what = "noisy images" if "denoising" in tags else "latents"
        parts += [f"The same {what} during training:", "![Film of the training](film.webp)"]
    if monitor := training.get("monitor"):
        parts += [f"The training monitor: {plain(monitor)}"]
    if saved.neighbors.is_file():
        parts += ["## Copies?", NEIGHBORS, "![Nearest training images](neighbors.png)"]
    if evaluation.get("metrics"):
        parts += ["## Evaluation", plain(evaluation["protocol"]), TABLE_MARKERS[0]]
        parts += [evaluation_table(evaluation), TABLE_MARKERS[1], *reading_notes(evaluation)]
        if any(row.get("tolerance") is not None for row in evaluation["metrics"]):
            again = f"`python -m genmodels verify {load_name(folder, repo_id)}` measures again and compares."
            parts += [f"{TOLERANCE_NOTE} {again}"]
    parts += ["## Limits", limits(saved), "## Licence", licence_text(dataset)]
    papers = training.get("papers", []) if index else ["1512.03385"]
    papers = [paper for paper in [*papers, *(["1411.7766"] if is_celeba(dataset) else [])] if paper in PAPERS]
    licence: dict[str, Any] = CELEBA if is_celeba(dataset) else {"license": "apache-2.0"}
    if papers:
        parts += ["## Citation", "\n".join(map(cite, papers)), f"```bibtex\n{chr(10).join(map(bibtex, papers))}\n```"]
    data = ModelCardData(
        **licence,
        library_name="diffusers",
        pipeline_tag=task,
        tags=["genmodels", *tags],
        datasets=[dataset] if dataset and HUB_ID.fullmatch(dataset) else None,
        model_name=name,
        eval_results=eval_results(evaluation, task) or None,
    )
    text = "\n\n".join([f"# {name}", *parts])
    saved.write(CARD, redact(str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}\n"))))


def load_name(folder: Path, repo_id: str | None) -> str:
    """What `from_pretrained` takes for this folder: its Hub id, its built-in name, or "." for a reader inside it."""
    built_in = zoo.model_folder(folder.resolve().name)
    return repo_id or (folder.resolve().name if built_in and built_in.resolve() == folder.resolve() else ".")


def pipeline_parts(saved: ModelFolder, repo_id: str | None) -> tuple[list[str], str, list[str]]:
    """What a pipeline is and how to load it: paragraphs, the Hub's task, tags."""
    family = saved.family
    if family is None:
        raise UserError(
            f"{saved.path} holds a {saved.class_name}; cards are for {', '.join(BY_PIPELINE)}, and evaluators."
        )
    class_name = family.class_name
    what, tags = family.description, list(family.tags)
    if saved.config("generator").get("upsampling") == "nearest":
        what = what.replace("transposed convolutions", "nearest-neighbour upsampling and convolutions")
    call = "pipe(num_images=4, seed=0)"
    config = saved.config(family.draws)
    num_classes, names = config.get("num_classes", 0), config.get("class_names") or []
    if num_classes:
        labels = [label % num_classes for label in (2, 0, 2, 6)]
        # A number that is the name of another class is refused.
        if (
            len(names) == num_classes
            and all(map(str.isdecimal, names))
            and any(int(names[label]) != label for label in labels)
        ):
            labels = [names[label] for label in labels]
        call = f"pipe(num_images=4, class_labels={labels}, seed=0)"
    denoises = bool(saved.config("encoder").get("noise"))
    if denoises:
        what = "An encoder that sees noisy images through a bottleneck and a decoder that draws them clean."
        tags = [*tags, "denoising"]
    if family.encodes and num_classes:
        what = (
            "An encoder that places images of a known class in a continuous latent space and a decoder that draws images of a "
            "wanted class from any point of it."
        )
        tags = [*tags, "conditional-vae"]
    name = json.dumps(load_name(saved.path, repo_id))
    lines = [f"images = {call}.images", 'images[0].save("sample.png")']
    if num_classes and family.classifies:
        lines += ["classes = pipe.classify(images).class_labels"]
    if family.compresses:
        lines += ["# Images of its size go in: yours, or those."]
        lines += ["clean = pipe.denoise(images).images"] if denoises else ["again = pipe.reconstruct(images).images"]
        lines += ["small = pipe.compress(images, bits=8)", "restored = pipe.decompress(small).images"]
    if gaussians := saved.config("prior").get("num_components"):
        what += f' It draws from a mixture of {gaussians} Gaussians fitted to its latents; `prior="normal"` draws from N(0, I).'
    attributes = saved.config("attributes").get("attribute_names", [])
    if attributes:
        what += (
            f" It has learnt directions for {', '.join(attributes)}: strength 1 adds the whole difference of the means."
        )
        lines += ["# Images of its size go in: yours, or those."]
        lines += [f"edited = pipe.edit(images, {json.dumps(attributes[0])}, strength=1.5).images"]
    draw = "\n".join([*lines, "```"])
    parts = [
        f"{saved.training.get('title', class_name)}. {what}",
        *(["![Samples](samples.png)"] if saved.samples.is_file() else []),
        "## Use",
        f"```python\nfrom genmodels import {class_name}\n\npipe = {class_name}.from_pretrained({name})\n{draw}",
    ]
    if not isinstance(saved.index["_class_name"], str):
        parts += [
            "Without genmodels, by the code that the repository carries:",
            f"```python\nfrom diffusers import DiffusionPipeline\n\n"
            f"pipe = DiffusionPipeline.from_pretrained({name}, trust_remote_code=True)\n{draw}",
        ]
    return parts, "image-to-image" if denoises else "unconditional-image-generation", tags


def evaluator_parts(saved: ModelFolder, repo_id: str | None) -> tuple[list[str], str, list[str]]:
    """The same of an evaluator."""
    config, training, evaluation = saved.config(), saved.training, saved.evaluation
    accuracy = evaluation["metrics"][0]["value"] if evaluation.get("metrics") else config.get("test_accuracy")
    split = evaluation.get("split") or training.get("test_split", "test")
    attributes = config.get("attribute_names")
    of = f"of the {split} split" + (f", on average over its {len(attributes)} attributes," if attributes else "")
    of += ", which it was trained on," if split == training.get("split") else ""
    measured = "" if accuracy is None else f" **{accuracy:.2%}** {of} are classified right."
    name = load_name(saved.path, repo_id)
    built_in = "/" not in name and name != "."
    source = f"str(zoo.model_folder({json.dumps(name)}))" if built_in else json.dumps(name)
    size, channels = config["sample_size"], config["num_channels"]
    lines = [
        "import torch",
        "",
        *(["from genmodels import zoo"] if built_in else []),
        "from genmodels.evaluation.classifier import Classifier",
        "",
        f"classifier = Classifier.from_pretrained({source})",
        f"pixel_values = torch.zeros(1, {channels}, {size}, {size})",
        f"print(classifier(pixel_values).{'sigmoid()' if attributes else 'argmax(1)'}, "
        "classifier.features(pixel_values).shape)",
    ]
    parts = [
        f"The evaluator of genmodels for {training.get('dataset') or 'own images'}: a half-width ResNet-9 classifier whose "
        f"accuracy and features (FID, KID, precision, recall) measure generated images.{measured}",
        "## Use",
        "\n".join(["```python", *lines, "```"]),
    ]
    return parts, "image-classification", ["evaluator"]


def eval_results(evaluation: EvaluationFacts, task: str) -> list[EvalResult]:
    """The numbers for the card's model-index, with the protocol as the dataset's arguments and the floor as the metric's."""
    dataset = evaluation.get("dataset")
    protocol = (
        "train_split",
        "classes",
        "n",
        "n_reference",
        "seed",
        "num_inference_steps",
        "guidance_scale",
        "evaluator",
    )
    return [
        EvalResult(
            task_type=task,
            dataset_type=dataset or "own-images",
            dataset_name=dataset or "own images",
            dataset_split=evaluation["split"],
            dataset_args=chosen(evaluation, *protocol, "evaluator_sha256"),
            metric_type=row["metric"],
            metric_name=row["name"],
            metric_value=row["value"],
            metric_args={**chosen(row, "floor", "tolerance", "floor_tolerance"), **row.get("args", {})} or None,
        )
        for row in evaluation.get("metrics", [])
    ]


def chosen(facts: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The named facts that are known."""
    return {name: facts[name] for name in names if facts.get(name) is not None}


def is_celeba(dataset: str | None) -> bool:
    return "celeba" in (dataset or "").lower()


def licence_of(saved: ModelFolder) -> dict[str, str]:
    """`license` and, of one that the Hub has no name for, `license_name` and `license_link`: as the card says, or would."""
    with suppress(YAMLError, OSError, ValueError, TypeError, AttributeError):
        stated = ModelCard.load(saved.card).data.to_dict()
        if stated.get("license"):
            return {name: str(stated[name]) for name in CELEBA if name in stated}
    if not saved.training:
        return {}
    return CELEBA if is_celeba(saved.training.get("dataset")) else {"license": "apache-2.0"}


def licence_text(dataset: str | None) -> str:
    """The licence of weights and code, and of the data."""
    if is_celeba(dataset):
        return (
            "Code: Apache-2.0. CelebA (Liu et al. 2015) is for non-commercial research only, and so are these weights: "
            f"{CELEBA['license_link']}"
        )
    return f"Weights and code: Apache-2.0. {LICENSES.get(dataset or '', 'The training data has a licence of its own.')}"


def cite(paper: str) -> str:
    """A paper in one line of Markdown."""
    authors, title, year = PAPERS[paper]
    names = [author.split(",")[0] for author in authors]
    shown = ", ".join(names) if len(names) < 5 else f"{names[0]} et al."
    return f"- {shown}, *{title}*, {year}, {address_of(paper)}"


def address_of(paper: str) -> str:
    """Where a paper is found by its arXiv id or DOI."""
    return f"https://doi.org/{paper}" if paper.startswith("10.") else f"https://arxiv.org/abs/{paper}"


def bibtex(paper: str) -> str:
    """A paper as a BibTeX entry."""
    authors, title, year = PAPERS[paper]
    key = f"{authors[0].split(',')[0].lower()}{year}{title.split()[0].split('-')[0].lower()}"
    source = f"doi = {{{paper}}}" if paper.startswith("10.") else f"eprint = {{{paper}}},\n  archivePrefix = {{arXiv}}"
    return (
        f"@misc{{{key},\n  title = {{{{{title}}}}},\n  author = {{{' and '.join(authors)}}},\n  year = {{{year}}},\n"
        f"  {source},\n  url = {{{address_of(paper)}}}\n}}"
    )


def earlier_trainings(training: TrainingFacts) -> list[str]:
    """How the model was made that this training started from, and the one before it: paragraphs, the first training first."""
    start = training.get("started_from")
    if not start:
        return []
    name = f"`{start['model']}`" if start.get("model") else "a model in a folder"
    if not {"command", "seed", "steps", "commit"} <= start.keys():
        return [f"It started from the weights of {name}, of which no training is known."]
    step = start.get("selected", {}).get("step", start["steps"])
    facts = f"seed {start['seed']}, {code_of(start)}, weights after step {step:,} of {start['steps']:,}"
    return [
        *earlier_trainings(start),
        fenced(start["command"]),
        f"made {name}, as it was then ({facts}), from whose weights went on:",
    ]


def training_rows(training: TrainingFacts) -> list[tuple[str, str]]:
    """What a reader needs to repeat the run."""
    names = training.get("classes")
    classes = f", classes {', '.join(names)}" if names else ""
    in_all = " in all" if training.get("started_from") else ""
    return [
        ("data", f"{training['dataset'] or 'own images'}, split {training['split']}{classes}"),
        (
            "steps",
            f"{training['steps']:,} of {training['batch_size']} images, {training['images_seen']:,} images seen{in_all}",
        ),
        *([("weights", selection_of(training["selected"]))] if training.get("selected") else []),
        ("seed", str(training["seed"])),
        ("precision", f"mixed, {training['mixed_precision']}" if training["mixed_precision"] != "no" else "float32"),
        ("hardware", f"{training['device']}, {training['processes']} process(es)"),
        ("time", f"{training['minutes']} minutes"),
        ("code", f"{code_of(training)}, torch {training['torch']}, {training['date']}"),
    ]


def code_of(training: TrainingFacts) -> str:
    """Which code a model was trained with: the commit, or of an installed package the version."""
    return f"commit {training['commit']}" if training["commit"] else f"genmodels {training.get('version', '')}".strip()


def selection_of(selected: SelectedFacts) -> str:
    """Which weights of a run these are, and how they were chosen."""
    features = ""
    if selected.get("features"):
        other = "" if selected.get("features_of_this_data") else ", which has never seen such images"
        features = f" on the features of {selected['features']}{other}"
        if "floor" in selected:
            features += f" (two halves of the training images, {selected['floor_n']:,} each: {selected['floor']:.4g})"
    chosen = "; these numbers chose the weights, and so do not measure them" if features else ""
    return (
        f"average (EMA) after step {selected['step']:,}, where FID of {selected['n']:,} images against training images{features} "
        f"was lowest: {selected['fid']:.4g}, recall {selected['recall']:.2f}; after the last step {selected['last_fid']:.4g}, "
        f"recall {selected['last_recall']:.2f}{chosen}"
    )


def plain(text: str) -> str:
    """Text, such as the name of a class, that Markdown, HTML and tables show as it is, on one line."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # An underscore within a word is no emphasis.
    return re.sub(r"([\\`*\[\]|~$]|(?<!\w)_|_(?!\w))", r"\\\1", text)


def fenced(command: str) -> str:
    """A command as a block of code that nothing in it can end."""
    longest = max(map(len, re.findall("`+", command)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sh\n{command}\n{fence}"


def table(rows: list[tuple[str, str]]) -> str:
    """Two columns in Markdown, without titles."""
    return "\n".join(["| | |", "| --- | --- |", *(f"| {a} | {plain(b)} |" for a, b in rows)])


def evaluation_table(evaluation: EvaluationFacts) -> str:
    """The metrics with their tolerances, each beside its floor, what real images score against real ones, and a baseline."""
    baseline = evaluation.get("baseline")
    floor = evaluation.get("floor_name", "real against real")
    titles = ["metric", "this model", *(["baseline"] if baseline else []), floor, "better"]
    lines = [titles, ["---"] * len(titles)]
    for row in evaluation["metrics"]:
        numbers = [
            with_tolerance(row["value"], row.get("tolerance")),
            *([with_tolerance(row.get("baseline"))] if baseline else []),
            with_tolerance(row.get("floor"), row.get("floor_tolerance")),
        ]
        lines.append([plain(row["name"]), *numbers, row["better"]])
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if baseline:
        text += (
            f"\n\nThe baseline, {baseline['title']}, has seen {baseline['images_seen']:,} images ({code_of(baseline)}):"
            f"\n\n{fenced(baseline['command'])}"
        )
    return text


def reading_notes(evaluation: EvaluationFacts) -> list[str]:
    """What a generator's table does not say of itself: what its numbers reward, and which tests it lacks."""
    measured = {row["metric"] for row in evaluation["metrics"]}
    if "precision" not in measured:
        return []
    notes = ["Precision and class accuracy reward right textures alone: read them beside recall and C2ST."]
    wanted = {"c2st": "how well a fresh network tells its images from real ones (C2ST)"}
    if "within_class_recall" in measured:
        wanted["cas"] = "what a fresh network that learned from its images alone knows of real ones (CAS)"
    missing = [name for metric, name in wanted.items() if metric not in measured]
    return [" ".join([*notes, *([f"Not measured: {'; '.join(missing)}."] if missing else [])])]


def with_tolerance(value: float | None, tolerance: float | None = None) -> str:
    """A number for a table, with how far a repetition may be off if that is known; empty if there is none."""
    return ("" if value is None else f"{value:.4g}") + ("" if tolerance is None else f" ± {tolerance:.2g}")


def limits(saved: ModelFolder) -> str:
    """What not to expect."""
    if saved.family is None:
        return "Its features see what tells these classes apart, and little else: FID on them compares only with FID on them."
    beside = saved.family.limits
    return f"It draws only what its training images show, at their size. {beside}"


def visible_lines(text: str) -> list[tuple[str, bool]]:
    """A card's lines as readers see them, without comments; of each, whether it is code, which shows as it is.

    A comment that begins in a line of its own and the fence of a block of code last until their end, or that of the text.
    """
    lines, fence, hidden = [], "", False
    for line in text.splitlines():
        if fence:
            is_end = line.strip() == line.strip()[:1] * len(line.strip()) and line.strip().startswith(fence)
            lines.append((line, True))
            fence = "" if is_end else fence
            continue
        if not hidden and line.strip() in TABLE_MARKERS:
            lines.append((line.strip(), False))
            continue
        shown = ""
        while line:
            head, mark, rest = line.partition("-->" if hidden else "<!--")
            shown += "" if hidden else head
            hidden, line = (not hidden if mark else hidden), rest
        start = re.match(r" {0,3}(```+|~~~+)", shown)
        fence = start[1] if start else ""
        lines.append((shown, bool(start) or shown.startswith(("    ", "\t"))))
    return lines


def table_differences(text: str, evaluation: EvaluationFacts) -> list[str]:
    """How the table of numbers that a card shows differs from the one that an evaluation.json makes, in words.

    Args:
        text: of README.md. Its table stands between `TABLE_MARKERS`; in a card of an older version, without any, it stands once.
        evaluation: the content of evaluation.json.
    """
    expected, lines = evaluation_table(evaluation), visible_lines(text.split("\n---\n", 1)[-1])
    places = [
        [i for i, (line, is_code) in enumerate(lines) if line == marker and not is_code] for marker in TABLE_MARKERS
    ]
    if not any(marker in text for marker in TABLE_MARKERS):
        first = expected.splitlines()[0]
        starts = [i for i, (line, is_code) in enumerate(lines) if line == first and not is_code]
        places = [[i - 1 for i in starts], [i + len(expected.splitlines()) for i in starts]]
    if [len(place) for place in places] != [1, 1] or places[0] >= places[1]:
        return ["README.md does not show one table of the numbers of evaluation.json, between its two markers."]
    (start,), (end,) = places
    found = []
    if "\n".join(line for line, _ in lines[start + 1 : end]).strip() != expected:
        found.append("the table of README.md does not show the numbers of evaluation.json.")
    outside = [line for line, _ in (*lines[: start + 1], *lines[end:])]
    if any(plain(row["name"]) in line and "|" in line for row in evaluation["metrics"] for line in outside):
        found.append("README.md shows numbers in a second table.")
    tags = OpenTags()
    tags.feed("\n".join("" if is_code else line for line, is_code in lines[:start]))
    if tags.open or re.search(r"(?i)<(?:table|style|script)\b", "\n".join(outside)):
        found.append("README.md has HTML around or beside its table, which may hide or replace it.")
    return found


class OpenTags(HTMLParser):
    """The elements of HTML that are open at the end of what was fed."""

    CLOSED_BY_THEMSELVES = {"br", "hr", "img", "input", "li", "p", "source", "wbr"}

    def __init__(self):
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.CLOSED_BY_THEMSELVES:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.open:
            self.open.remove(tag)
