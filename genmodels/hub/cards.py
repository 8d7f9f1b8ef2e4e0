"""The README of a model repository, made from what lies in its folder: model_index.json, training.json, evaluation.json."""

from __future__ import annotations

import json
from pathlib import Path

from huggingface_hub import EvalResult, ModelCard, ModelCardData

PAPERS = {
    "1312.6114": ("Kingma, Welling", "Auto-Encoding Variational Bayes", 2014),
    "1406.2661": ("Goodfellow et al.", "Generative Adversarial Networks", 2014),
    "1411.1784": ("Mirza, Osindero", "Conditional Generative Adversarial Nets", 2014),
    "1511.06434": (
        "Radford, Metz, Chintala",
        "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
        2016,
    ),
    "2501.05441": (
        "Huang, Gokaslan, Kuleshov, Tompkin",
        "The GAN is dead; long live the GAN! A Modern GAN Baseline",
        2024,
    ),
}

KINDS = {
    "VAEPipeline": (
        "An encoder that places images in a continuous latent space and a decoder that draws them back from any point of it.",
        ["vae"],
        "pipe(num_images=4, seed=0)",
    ),
    "DCGANPipeline": (
        "A generator that draws images from noise by transposed convolutions, with the discriminator that taught it.",
        ["gan", "dcgan"],
        "pipe(num_images=4, seed=0)",
    ),
    "CGANPipeline": (
        "A generator that draws images of a wanted class from noise, with the discriminator that taught it.",
        ["gan", "conditional-gan"],
        "pipe(num_images=4, class_labels=[2, 0, 2, 6], seed=0)",
    ),
}

EVALUATOR_CARD = """# {name}

The evaluator of genmodels for {dataset}: a half-width ResNet-9 classifier whose accuracy and features (FID, precision, recall)
measure generated images. **{accuracy:.2%}** of the {split} split are classified right.

## Use

```python
import torch

from genmodels import zoo
from genmodels.evaluation.classifier import Classifier

classifier = Classifier.from_pretrained(str(zoo.model_folder("{name}")))
pixel_values = torch.zeros(1, {channels}, {size}, {size})
print(classifier(pixel_values).argmax(1), classifier.features(pixel_values).shape)
```

## Training

```sh
{command}
```

{table}

## Limits

Its features see what tells these classes apart, and little else: FID on them compares only with FID on them.

## Licence

Weights and code: Apache-2.0. {licence}

## Papers

- He, Zhang, Ren, Sun, *Deep Residual Learning for Image Recognition*, 2016, https://arxiv.org/abs/1512.03385
"""

LICENSES = {
    "ylecun/mnist": "The images of MNIST (LeCun, Cortes, Burges) are distributed under CC BY-SA 3.0.",
    "uoft-cs/cifar10": "CIFAR-10 (Krizhevsky 2009) is distributed for research without a formal licence.",
    "flwrlabs/celeba": "CelebA (Liu et al. 2015) is for non-commercial research only, and so is this model.",
}


def read_json(path: Path) -> dict:
    """A JSON file's content, or an empty dict if there is no such file."""
    return json.loads(path.read_text()) if path.is_file() else {}


def write_card(folder: Path, repo_id: str | None = None) -> None:
    """Write `folder`/README.md: metadata the Hub validates, then what the model is, how to load it, how it was made and measured.

    Args:
        folder: of a saved pipeline, with training.json and, once measured, evaluation.json.
        repo_id: where it will lie on the Hub; by default the folder's own name, which loads it if it is a built-in model.
    """
    if not (folder / "model_index.json").is_file():
        write_evaluator_card(folder)
        return
    class_name = read_json(folder / "model_index.json")["_class_name"]
    training, evaluation = read_json(folder / "training.json"), read_json(folder / "evaluation.json")
    what, tags, call = KINDS[class_name]
    name = repo_id or folder.name
    dataset = training.get("dataset")
    rows = evaluation.get("metrics", [])
    data = ModelCardData(
        license="apache-2.0",
        library_name="diffusers",
        pipeline_tag="unconditional-image-generation",
        tags=["genmodels", *tags],
        datasets=[dataset] if dataset else None,
        model_name=name.split("/")[-1],
        eval_results=[
            EvalResult(
                task_type="unconditional-image-generation",
                dataset_type=evaluation["dataset"],
                dataset_name=evaluation["dataset"],
                dataset_split=evaluation["split"],
                metric_type=row["metric"],
                metric_name=row["name"],
                metric_value=row["value"],
            )
            for row in rows
        ]
        or None,
    )
    parts = [
        f"# {name.split('/')[-1]}",
        f"{training.get('title', class_name)}. {what}",
        "![Samples](samples.png)",
        "## Use",
        f"```python\nfrom genmodels import {class_name}\n\npipe = {class_name}.from_pretrained({json.dumps(name)})\n"
        f'images = {call}.images\nimages[0].save("sample.png")\n```',
    ]
    if training:
        parts += ["## Training", "```sh", training["command"], "```", table(training_rows(training))]
    if (folder / "film.webp").is_file():
        parts += ["The same latents during training:", "![Film of the training](film.webp)"]
    if training.get("monitor"):
        parts += [f"The training monitor: {training['monitor']}"]
    if rows:
        parts += ["## Evaluation", evaluation["protocol"], evaluation_table(evaluation)]
    parts += ["## Limits", limits(class_name, training), "## Licence"]
    parts += [f"Weights and code: Apache-2.0. {LICENSES.get(dataset, 'The training data has a licence of its own.')}"]
    cited = [(PAPERS[paper], paper) for paper in training.get("papers", []) if paper in PAPERS]
    if cited:
        parts += ["## Papers", "\n".join(f"- {a}, *{t}*, {y}, https://arxiv.org/abs/{n}" for (a, t, y), n in cited)]
    text = "\n\n".join(parts).replace("```sh\n\n", "```sh\n").replace("\n\n```\n\n|", "\n```\n\n|")
    save_card(folder, data, text)


def write_evaluator_card(folder: Path) -> None:
    """The card of a folder that holds a classifier with its training.json."""
    config, training = read_json(folder / "config.json"), read_json(folder / "training.json")
    dataset = training["dataset"]
    result = EvalResult(
        task_type="image-classification",
        dataset_type=dataset or "own-images",
        dataset_name=dataset or "own images",
        dataset_split=training["test_split"],
        metric_type="accuracy",
        metric_name="accuracy",
        metric_value=config["test_accuracy"],
    )
    data = ModelCardData(
        license="apache-2.0",
        library_name="diffusers",
        pipeline_tag="image-classification",
        tags=["genmodels", "evaluator"],
        datasets=[dataset] if dataset else None,
        model_name=folder.name,
        eval_results=[result],
    )
    text = EVALUATOR_CARD.format(
        name=folder.name,
        dataset=dataset or "own images",
        accuracy=config["test_accuracy"],
        split=training["test_split"],
        channels=config["num_channels"],
        size=config["sample_size"],
        command=training["command"],
        table=table(training_rows(training)),
        licence=LICENSES.get(dataset, "The training data has a licence of its own."),
    )
    save_card(folder, data, text.rstrip())


def save_card(folder: Path, data: ModelCardData, text: str) -> None:
    """Write README.md under a temporary name, then rename."""
    partial = folder / ".README.partial"
    ModelCard(f"---\n{data.to_yaml()}\n---\n\n{text}\n").save(partial)
    partial.replace(folder / "README.md")


def training_rows(training: dict) -> list[tuple[str, str]]:
    """What a reader needs to repeat the run."""
    classes = f", classes {', '.join(training['classes'])}" if training.get("classes") else ""
    return [
        ("data", f"{training['dataset'] or 'own images'}, split {training['split']}{classes}"),
        ("steps", f"{training['steps']:,} of {training['batch_size']} images, {training['images_seen']:,} images seen"),
        *([("weights", selection_of(training["selected"]))] if training.get("selected") else []),
        ("seed", str(training["seed"])),
        ("precision", f"mixed, {training['mixed_precision']}" if training["mixed_precision"] != "no" else "float32"),
        ("hardware", f"{training['device']}, {training['processes']} process(es)"),
        ("time", f"{training['minutes']} minutes"),
        ("code", f"commit {training['commit']}, torch {training['torch']}, {training['date']}"),
    ]


def selection_of(selected: dict) -> str:
    """Which weights of a run these are, and how they were chosen."""
    return (
        f"average (EMA) after step {selected['step']:,}, where FID of {selected['n']:,} images against training images was "
        f"lowest: {selected['fid']:.4g}, recall {selected['recall']:.2f}; after the last step {selected['last_fid']:.4g}, "
        f"recall {selected['last_recall']:.2f}"
    )


def table(rows: list[tuple[str, str]]) -> str:
    """Two columns in Markdown, without titles."""
    return "\n".join(["| | |", "| --- | --- |", *(f"| {a} | {b} |" for a, b in rows)])


def evaluation_table(evaluation: dict) -> str:
    """The metrics, each beside its floor: what real images score against real ones; and beside a baseline, if measured."""
    baseline = evaluation.get("baseline")
    titles = ["metric", "this model", *(["baseline"] if baseline else []), "real against real", "better"]
    lines = [titles, ["---"] * len(titles)]
    for row in evaluation["metrics"]:
        numbers = [row["value"], *([row.get("baseline")] if baseline else []), row.get("floor")]
        lines.append([row["name"], *("" if x is None else f"{x:.4g}" for x in numbers), row["better"]])
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if baseline:
        text += (
            f"\n\nThe baseline, {baseline['title']}, has seen {baseline['images_seen']:,} images (commit {baseline['commit']}):"
            f"\n\n```sh\n{baseline['command']}\n```"
        )
    return text


def limits(class_name: str, training: dict) -> str:
    """What not to expect."""
    blurred = " Its images are blurrier than real ones, as those of every VAE with a per-pixel likelihood."
    return "It draws only what its training images show, at their size." + (
        blurred if class_name == "VAEPipeline" else " A share of its images is malformed: the table says how far it is."
    )
