"""export.json: all that a program has to know of an exported model to draw with it."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from .. import __version__
from ..folder import ModelFolder
from ..hub.cards import licence_of
from ..models.modeling import WEIGHTS
from ..privacy import redact_values
from .graphs import BATCH, Graph, Port
from .subject import BATCH_SIZES, Subject

FACTS = "export.json"
# Of this file's form: another number means that what is there may mean something else.
VERSION = 1
COLOURS = {1: "grey", 3: "RGB", 4: "RGB, multiplied by the opacity, and the opacity"}
STEP_COLUMNS = ("timestep", "a", "b", "c", "d", "e")
FORMULA = "pixel_values = clip(a x + b p, -1, 1); next_latents = c pixel_values + d x + e p; x: latents, p: prediction"
GUIDANCE = "p = p_none + scale (p_class - p_none), from a pass with class `classes.none` and one with the wanted class"
MIXTURE = (
    "means[k] + factors[k] e, with e from N(0, I) and k by the weights. For the latents of a seed in genmodels: k is where the "
    "normal distribution function of e[0] lies among the sums of the weights, and e[0] is then replaced by the normal quantile "
    "of how far into that k's share it lies."
)
VALUES = {
    "class_labels": "numbers of classes.names, from 0",
    "class_weights": "shares of classes.names",
    "features": "what the logits are made of, at least 0",
    "latents": "see latents",
    "log_variance": "of the latents' distribution, which has this variance",
    "logits": "of each of the names",
    "mean": "of the latents' distribution; what decodes to the image",
    "next_latents": "what the next step takes as latents",
    "pixel_values": "images",
    "prediction": "the p of schedule.formula",
    "scores": "higher is more real; unbounded",
    "stage": "the images of this level, the coarsest being 0",
    "step": "a row of schedule.steps",
}


@dataclass(frozen=True)
class Origin:
    """Where a model comes from.

    Attributes:
        name: under which others find it, a built-in name or a Hub id; None for anything else.
        saved: its folder; None for a pipeline that was not loaded.
        commit: on the Hub.
    """

    name: str | None = None
    saved: ModelFolder | None = None
    commit: str | None = None


def facts_of(
    subject: Subject, graphs: dict[str, Graph], origin: Origin, drawn: dict[str, Any] | None
) -> dict[str, Any]:
    """The content of export.json.

    Args:
        subject: what was exported.
        graphs: by component, what was made of it.
        origin: where it comes from.
        drawn: of a model that draws in steps, how far its images are from those of torch.
    """
    import onnxruntime

    family, model = subject.family, subject.model
    channels, side, _ = subject.image_shape
    facts: dict[str, Any] = {
        "format": "onnx",
        "version": VERSION,
        "made_by": f"genmodels {__version__}, torch {torch.__version__}, onnxruntime {onnxruntime.__version__}",
        "model": redact_values(model_facts(subject, origin)),
        "images": {
            "size": side,
            "channels": channels,
            "colours": COLOURS[channels],
            "range": [-1, 1],
            "to_8_bits": "round((x + 1) * 127.5)",
        },
        "networks": {name: network_facts(name, subject, graph, origin) for name, graph in graphs.items()},
        "compared": {"seeds": list(range(len(BATCH_SIZES))), "batch_sizes": list(BATCH_SIZES)},
    }
    if family is None:
        names, attributes = model.config.class_names, model.config.attribute_names
        facts["classes"] = {"names": list(attributes or names or map(str, range(model.config.num_classes)))}
        facts["classes"]["exclusive"] = attributes is None
        return facts
    facts["draws"] = family.draws
    facts["view"] = family.view
    without = {
        "takes_classes": not subject.num_rows,
        "edits": getattr(model, "attributes", None) is None,
        "discriminates": "discriminator" not in graphs,
    }
    able = [f.name for f in fields(family) if getattr(family, f.name) is True]
    facts["abilities"] = [name for name in able if not without.get(name)]
    facts["latents"] = {"dim": model.latent_dim, **law_of(model)}
    if subject.num_rows:
        none = model.num_classes if subject.steps else None
        facts["classes"] = {"names": model.class_names, "none": none}
    if (attributes := getattr(model, "attributes", None)) is not None:
        names = list(attributes.config.attribute_names)
        facts["attributes"] = {"names": names, "directions": rounded(attributes.directions)}
    if subject.steps:
        facts["schedule"] = {
            "num_inference_steps": len(subject.steps),
            # A latent is an image of noise in patches: see torch's pixel_unshuffle.
            "patch_size": model.patch_size,
            "formula": FORMULA,
            **({"guidance": GUIDANCE} if subject.num_rows else {}),
            "columns": list(STEP_COLUMNS),
            "steps": subject.steps,
        }
        facts["compared"]["drawn"] = drawn
    return facts


def model_facts(subject: Subject, origin: Origin) -> dict[str, Any]:
    """What export.json says of the model as a whole."""
    family, kind = subject.family, type(subject.model).__name__
    training = origin.saved.training if origin.saved else {}
    return {
        "id": origin.name,
        "commit": origin.commit or None,
        "class": kind,
        "title": training.get("title") or (family.title if family else kind),
        "description": family.description if family else "A classifier that measures generated images.",
        "dataset": training.get("dataset"),
        **(licence_of(origin.saved) if origin.saved else {}),
    }


def network_facts(component: str, subject: Subject, graph: Graph, origin: Origin) -> dict[str, Any]:
    """What export.json says of one network."""
    source = None
    if origin.saved is not None:
        folder = origin.saved.path / component if subject.family else origin.saved.path
        saved = subject.model.components[component] if subject.family else subject.model
        source = hash_of_weights(folder / f"{WEIGHTS}.safetensors", saved)
    # Of weights that are too large for it, it is no number, which JSON does not have.
    lost = graph.float16_difference
    pairs = zip(graph.outputs.items(), graph.differences, graph.limits, strict=True)
    return {
        "file": f"{component}.onnx",
        "bytes": len(graph.data),
        "sha256": hashlib.sha256(graph.data).hexdigest(),
        "weights": graph.weights,
        **({} if lost is None else {"float16_difference": float(f"{lost:.2g}") if math.isfinite(lost) else None}),
        "weights_sha256": source,
        "depends_on_batch": graph.depends_on_batch,
        "inputs": [input_facts(port, subject) for port in subject.inputs_of(component)],
        "outputs": [
            {
                "name": name,
                "dtype": "float32",
                "shape": [BATCH, *shape],
                "values": VALUES.get(
                    name.split("_")[0] if name.startswith("stage_") else name, "what the network returns"
                ),
                **({"range": [-1, 1]} if name == "pixel_values" else {}),
                "max_difference": float(f"{difference:.2g}"),
                "limit": float(f"{limit:.2g}"),
            }
            for (name, shape), difference, limit in pairs
        ],
    }


def input_facts(port: Port, subject: Subject) -> dict[str, Any]:
    """What export.json says of an input."""
    bounds = {"pixel_values": [-1, 1], "class_labels": [0, subject.num_rows - 1]}.get(port.name)
    values = VALUES[port.name]
    if port.argument == "class_labels" and subject.steps:
        values += ", and classes.none, of no class"
    facts = {"name": port.name, "dtype": port.dtype, "shape": list(port.shape), "values": values}
    return {**facts, **({"range": bounds} if bounds else {})}


def law_of(model: Any) -> dict[str, Any]:
    """What latents are drawn from: N(0, I), or the mixture that was fitted to the model's latents."""
    mixture = getattr(model, "prior", None)
    if mixture is None:
        return {"law": "normal"}
    weights = mixture.weights.double()
    return {
        "law": "mixture",
        "how": MIXTURE,
        "weights": (weights / weights.sum()).tolist(),
        "means": rounded(mixture.means),
        "factors": rounded(mixture.factors),
    }


def rounded(values: torch.Tensor) -> list[Any]:
    """A float32 tensor as lists of numbers, each as short as float32 allows."""
    array = values.detach().float().cpu().numpy()
    return np.vectorize(lambda number: float(str(number)), otypes=[float])(array).tolist()


def hash_of_weights(path: Path, network: nn.Module) -> str | None:
    """sha256 of a file of weights, if a network has just those."""
    try:
        with safe_open(path, "pt") as file:
            state = network.state_dict()
            same = set(file.keys()) == set(state) and all(
                torch.equal(file.get_tensor(name).to(tensor.dtype), tensor.cpu()) for name, tensor in state.items()
            )
        return hashlib.sha256(path.read_bytes()).hexdigest() if same else None
    except (OSError, SafetensorError):
        return None
