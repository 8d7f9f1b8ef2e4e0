"""A model for those who have no torch: a file of ONNX for each network, what it takes and gives, and code that draws with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from ..checks import check_choice
from ..errors import UserError
from ..folder import CARD, as_json, check_output, find_json, replacing_folder
from ..latents import draw_latents
from .facts import FACTS, Origin, facts_of
from .graphs import TOLERANCE, Graph, export_graph, open_graph
from .readme import readme_of
from .subject import Subject

__all__ = ["FACTS", "Origin", "export_model", "is_export"]

FORMATS = ("onnx",)
# Images that are drawn step by step to see how far the steps' differences add up.
NUM_DRAWN = 3


def is_export(folder: Path) -> bool:
    """Whether a folder holds what an export has written, and nothing else."""
    facts = find_json(folder / FACTS)
    networks = facts.get("networks")
    files = {network.get("file") for network in networks.values()} if isinstance(networks, dict) else set()
    return facts.get("format") in FORMATS and {path.name for path in folder.iterdir()} <= {FACTS, CARD, *files}


def export_model(
    model: Any,
    output: Path,
    origin: Origin,
    file_format: str = "onnx",
    num_inference_steps: int | None = None,
    class_weights: bool = False,
) -> dict[str, Any]:
    """Write a folder with a file of ONNX for each network of a model, export.json and README.md.

    Each network is compared with torch, on 1, 3 and 7 images. Its weights are float16 where no output differs by more than half a
    step of 8 bits, 1/510 of its range, and float32 otherwise. Nothing is left half written.

    Args:
        model: a pipeline or a `Classifier`; it is left as it is.
        output: the folder; must not exist, or be empty, or hold an earlier export, which is replaced.
        origin: where the model comes from.
        file_format: "onnx".
        num_inference_steps: of a model that draws in steps, for how many the numbers are written down; its own by default.
        class_weights: whether classes go in as (N, num_classes) weights, which may mix them, and not as (N,) numbers.

    Returns:
        The content of export.json.

    Raises:
        UserError: an argument is not possible, or a network cannot be exported: the message says which one and why.
        ModuleNotFoundError: onnx, onnxruntime or onnxscript is not installed.
    """
    import onnx  # noqa: F401
    import onnxruntime  # noqa: F401
    import onnxscript  # noqa: F401

    try:
        check_choice("format", file_format, FORMATS)
        check_output(output, is_export)
        subject = subject_of(model, num_inference_steps, class_weights)
    except ValueError as error:
        raise UserError(str(error)) from error
    graphs = {name: graph_of(subject, name) for name in subject.networks}
    drawn = None
    if subject.steps:
        drawn, draws = compare_drawn(subject, graphs), subject.family.draws  # type: ignore[union-attr]
        if not drawn["max_difference"] <= drawn["limit"]:
            graphs[draws] = graph_of(subject, draws, half=False)
            drawn = compare_drawn(subject, graphs)
        if not drawn["max_difference"] <= drawn["limit"]:
            raise UserError(
                f"After all steps its images differ from torch's by {drawn['max_difference']:.2g}: it cannot be exported."
            )
    facts = facts_of(subject, graphs, origin, drawn)
    with replacing_folder(output) as folder:
        for name, network in facts["networks"].items():
            (folder / network["file"]).write_bytes(graphs[name].data)
        (folder / FACTS).write_text(in_lines(facts), encoding="utf-8", newline="\n")
        (folder / CARD).write_text(readme_of(facts), encoding="utf-8", newline="\n")
    return facts


def in_lines(facts: dict[str, Any]) -> str:
    """JSON with each list of numbers or words in one line: a mixture has thousands."""

    def join(match: re.Match[str]) -> str:
        return "[" + re.sub(r"\n *", " ", match[1]).strip() + "]"

    return re.sub(r"\[(\n[^\[\]{}]*?\n *)\]", join, as_json(facts))


def subject_of(model: Any, num_inference_steps: int | None, class_weights: bool) -> Subject:
    """What of a model is exported; raises ValueError for what it does not have."""
    family = getattr(model, "family", None)
    takes_steps = family is not None and family.takes_steps
    if num_inference_steps is not None and not takes_steps:
        raise ValueError(
            f"`num_inference_steps` is for models that draw in steps, and a {type(model).__name__} does not."
        )
    if class_weights and not (family is not None and model.num_classes):
        raise ValueError("`class_weights` is for models that draw with classes, and this one has none: leave it out.")
    return Subject(model, class_weights, model.step_numbers(num_inference_steps) if takes_steps else [])


def graph_of(subject: Subject, component: str, half: bool = True) -> Graph:
    """A network as ONNX; raises UserError with its name if that is not possible."""
    try:
        ports = subject.inputs_of(component)
        batches = [[batch[port.name] for port in ports] for batch in subject.batches]
        num_rows = subject.num_rows if any(port.name == "class_labels" for port in ports) else 0
        return export_graph(
            subject.networks[component],
            ports,
            lambda count: subject.outputs_of(component, count),
            batches,
            num_rows,
            subject.options_of(component),
            half,
        )
    except UserError as error:
        raise UserError(f"The {component} cannot be exported: {error}.") from error


def compare_drawn(subject: Subject, graphs: dict[str, Graph]) -> dict[str, Any]:
    """How far images that onnxruntime draws, in all steps, are from those of the pipeline."""
    model, draws = subject.model, subject.family.draws  # type: ignore[union-attr]
    latents = draw_latents(NUM_DRAWN, model.latent_dim, seed=0)
    options: dict[str, Any] = {"num_inference_steps": len(subject.steps)}
    inputs: dict[str, Any] = {}
    if subject.num_rows:
        options["class_labels"] = torch.arange(NUM_DRAWN) % model.num_classes
        labels = options["class_labels"]
        as_input = torch.eye(subject.num_rows)[labels] if subject.class_weights else labels
        inputs["class_weights" if subject.class_weights else "class_labels"] = as_input.numpy()
    wanted = torch.as_tensor(model(latents=latents, output_type="pt", **options).images)
    session, noisy = open_graph(graphs[draws].data), latents.numpy()
    for row in subject.steps:
        given = {**inputs, "latents": noisy, "step": torch.tensor(row).numpy()}
        noisy, images = session.run(["next_latents", "pixel_values"], given)
    difference = float((torch.from_numpy(images) - wanted).abs().max())
    return {
        "num_images": NUM_DRAWN,
        "max_difference": float(f"{difference:.2g}"),
        "limit": float(f"{2 * TOLERANCE:.2g}"),
    }
