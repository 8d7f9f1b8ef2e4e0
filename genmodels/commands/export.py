"""`genmodels export`: a model as files that need no torch."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..folder import check_output
from ..privacy import public_name
from . import in_columns, silence_libraries
from .arguments import add_steps
from .verify import fetch_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a built-in name, a folder, or a Hub id such as name/model")
    parser.add_argument("--format", choices=["onnx"], default="onnx", help="default: %(default)s")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="a folder that does not exist yet, is empty, or holds an earlier export, which is replaced; default: the model's "
        "name with -onnx behind it",
    )
    add_steps(parser)
    parser.add_argument(
        "--class_weights",
        action="store_true",
        help="of models with classes: the files take (N, classes) float32 weights, which may mix classes, and not (N,) int64 "
        "numbers",
    )


def run(args: argparse.Namespace) -> None:
    """Export a model, and print how large each file is and how far it is from torch.

    Raises:
        UserError: no such model, one that cannot be exported, or a folder that cannot be written.
    """
    output = args.output or Path(f"{Path(args.model).resolve().name}-{args.format}")
    silence_libraries()
    from ..evaluation.reproduce import load_model
    from ..export import Origin, export_model, is_export

    check_output(output, is_export)
    found = fetch_model(args.model)
    origin = Origin(found.repo_id or public_name(args.model), found.saved, found.commit)
    model = load_model(found.saved.path, folded=False)
    facts = export_model(model, output, origin, args.format, args.num_inference_steps, args.class_weights)
    networks = facts["networks"].values()
    rows = [("FILE", "BYTES", "WEIGHTS", "OUTPUT", "DIFFERENCE", "ALLOWED")]
    for network in networks:
        head = (network["file"], f"{network['bytes']:,}", network["weights"])
        for port in network["outputs"]:
            rows.append((*head, port["name"], f"{port['max_difference']:.1e}", f"{port['limit']:.1e}"))
            head = ("", "", "")
    print("\n".join(in_columns(rows)))
    for network in networks:
        if "float16_difference" in network:
            lost = network["float16_difference"]
            why = (
                "its weights are too large for float16" if lost is None else f"float16 makes a difference of {lost:.1e}"
            )
            print(f"{network['file']} is in float32: {why}.")
    if drawn := facts["compared"].get("drawn"):
        print(
            f"Images after {len(facts['schedule']['steps'])} steps: {drawn['max_difference']:.1e}, allowed {drawn['limit']:.1e}."
        )
    size = sum(network["bytes"] for network in networks) / 1e6
    count = f"{len(networks)} network{'s' if len(networks) > 1 else ''}"
    print(f"{output}: {count}, {size:.1f} MB, compared with torch; README.md there shows how to draw.")
