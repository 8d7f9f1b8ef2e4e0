"""The README of an exported model: its files, and code that draws with them in Python and in JavaScript."""

from __future__ import annotations

import json
from typing import Any

from ..hub.cards import plain
from .facts import FACTS

PYTHON = "python -m pip install onnxruntime numpy pillow"
NODE = "npm install onnxruntime-web"
COUNT = 4
# N(0, 1) from two uniform numbers (Box, Muller 1958).
NORMAL = "const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());"


def readme_of(facts: dict[str, Any]) -> str:
    """README.md in Markdown, for what export.json says."""
    model = facts["model"]
    name = model["id"] or model["title"]
    rows = [["file", "takes", "gives", "bytes", "weights", "differs from torch by at most"], ["---"] * 6]
    for network in facts["networks"].values():
        ports = [
            ", ".join(f"`{port['name']}` {shape_of(port)}" for port in network[side]) for side in ("inputs", "outputs")
        ]
        differs = ", ".join(f"{port['max_difference']:.2g}" for port in network["outputs"])
        rows.append([f"`{network['file']}`", *ports, f"{network['bytes']:,}", network["weights"], differs])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    licence = model.get("license_name") or model.get("license") or "not stated"
    if model.get("license_link"):
        licence += f", {model['license_link']}"
    parts = [
        f"# {plain(name)}, for onnxruntime",
        f"{plain(model['title'])}. {model['description']}",
        table,
        f"N is any number of images. `{FACTS}` says what the numbers mean, what latents are drawn from, and the classes' names. "
        "Weights in float16 are widened when a file is loaded, and everything is computed in float32.",
        f"## Python\n\n`{PYTHON}`\n\n```python\n{python_of(facts)}\n```",
        f"## JavaScript\n\n`{NODE}`; as `draw.mjs` in this folder for Node 20 or newer, or in a page by way of a bundler.\n\n"
        f"```js\n{javascript_of(facts)}\n```",
        f"Licence: {licence}.",
    ]
    return "\n\n".join(parts) + "\n"


def shape_of(port: dict[str, Any]) -> str:
    """(N, 64)."""
    sides = ", ".join(map(str, port["shape"]))
    return f"({sides}{',' if len(port['shape']) == 1 else ''})"


def labels_of(facts: dict[str, Any]) -> list[int]:
    """The classes of the images in the code."""
    count = len(facts["classes"]["names"])
    return [label % count for label in (2, 0, 2, 6)]


def inputs_of(network: dict[str, Any]) -> dict[str, list[int | str]]:
    """Name of each input to its shape."""
    return {port["name"]: port["shape"] for port in network["inputs"]}


def python_of(facts: dict[str, Any]) -> str:
    """Code that draws images, or classifies one."""
    images = facts["images"]
    name = facts.get("draws", "classifier")
    network = facts["networks"][name]
    load = f'{name} = onnxruntime.InferenceSession("{network["file"]}")'
    read = f'facts = json.load(open("{FACTS}"))'
    if "draws" not in facts:
        shape = (1, images["channels"], images["size"], images["size"])
        many = "[name for name, logit in zip(names, logits[0]) if logit > 0]"
        return f"""import json

import numpy as np
import onnxruntime

names = json.load(open("{FACTS}"))["classes"]["names"]
{load}
pixel_values = np.zeros({shape}, np.float32)  # 8 bits / 127.5 - 1
logits, features = {name}.run(None, {{"pixel_values": pixel_values}})
print({"names[logits[0].argmax()]" if facts["classes"]["exclusive"] else many})"""
    inputs, mixture = inputs_of(network), facts["latents"]["law"] == "mixture"
    given = {"latents": "latents"}
    if "class_labels" in inputs:
        given["class_labels"] = f"np.array({labels_of(facts)})"
    if "class_weights" in inputs:
        given["class_weights"] = f"np.eye({inputs['class_weights'][1]}, dtype=np.float32)[{labels_of(facts)}]"
    if "step" in inputs:
        given["step"] = "np.float32(step)"
    collect = f"inputs = {{{', '.join(f'{json.dumps(key)}: {value}' for key, value in given.items())}}}"
    draw = f"""{collect}
(images,) = {name}.run(["pixel_values"], inputs)"""
    if "step" in inputs:
        draw = f"""for step in facts["schedule"]["steps"]:
    {collect}
    latents, images = {name}.run(["next_latents", "pixel_values"], inputs)"""
    fit = f"""
law = {{key: np.array(value) for key, value in facts["latents"].items()}}
k = rng.choice(len(law["weights"]), {COUNT}, p=law["weights"])
latents = (law["means"][k] + np.einsum("nij,nj->ni", law["factors"][k], latents)).astype(np.float32)"""
    pixels = "pixels[:, 0]" if images["channels"] == 1 else "pixels.transpose(0, 2, 3, 1)"
    save = f'Image.fromarray(np.hstack({pixels})).save("images.png")'
    if images["channels"] == 4:
        save = f"""sheet = np.hstack({pixels})
Image.frombytes("RGBa", sheet.shape[1::-1], sheet.tobytes()).convert("RGBA").save("images.png")"""
    needs_facts = mixture or "step" in inputs
    return f"""{"import json" + chr(10) * 2 if needs_facts else ""}import numpy as np
import onnxruntime
from PIL import Image

{read + chr(10) if needs_facts else ""}{load}
rng = np.random.default_rng(0)
latents = rng.standard_normal(({COUNT}, {facts["latents"]["dim"]}), np.float32){fit if mixture else ""}
{draw}
pixels = ((images + 1) * 127.5).round().clip(0, 255).astype(np.uint8)
{save}"""


def javascript_of(facts: dict[str, Any]) -> str:
    """The same in JavaScript, which prints what it has drawn."""
    images = facts["images"]
    name = facts.get("draws", "classifier")
    network = facts["networks"][name]
    load = f'const {name} = await ort.InferenceSession.create("{network["file"]}");'
    read = f'import facts from "./{FACTS}" with {{ type: "json" }};'
    if "draws" not in facts:
        shape = [1, images["channels"], images["size"], images["size"]]
        best = "names[logits.data.indexOf(Math.max(...logits.data))]"
        return f"""import * as ort from "onnxruntime-web";
{read}

const {{ names }} = facts.classes;
{load}
const black = new Float32Array({images["channels"] * images["size"] ** 2}).fill(-1); // 8 bits / 127.5 - 1
const pixel_values = new ort.Tensor("float32", black, {shape});
const {{ logits }} = await {name}.run({{ pixel_values }});
console.log({best if facts["classes"]["exclusive"] else "names.filter((_, i) => logits.data[i] > 0)"});"""
    inputs, mixture, dim = inputs_of(network), facts["latents"]["law"] == "mixture", facts["latents"]["dim"]
    stepped = "step" in inputs
    numbers = f"Float32Array.from({{ length: {COUNT * dim} }}, normal)"
    lines = [
        f"""import * as ort from "onnxruntime-web";
{read + chr(10) if mixture or stepped else ""}
{load}
{NORMAL}"""
    ]
    if mixture:
        numbers = f"Array.from({{ length: {COUNT} }}, draw).flat()"
        lines += [
            """const { weights, means, factors } = facts.latents;
const draw = () => {
  let rest = Math.random();
  const k = weights.findIndex((weight) => (rest -= weight) < 0);
  const noise = means.at(k).map(normal);
  return means.at(k).map((mean, i) => factors.at(k)[i].reduce((sum, factor, j) => sum + factor * noise[j], mean));
};"""
        ]
    given = ["latents"]
    lines += [f'{"let" if stepped else "const"} latents = new ort.Tensor("float32", {numbers}, [{COUNT}, {dim}]);']
    if "class_labels" in inputs:
        given += ["class_labels"]
        lines += [f'const class_labels = new ort.Tensor("int64", {labels_of(facts)}, [{COUNT}]);']
    if "class_weights" in inputs:
        given += ["class_weights"]
        rows = inputs["class_weights"][1]
        lines += [
            f"""const shares = new Float32Array({COUNT} * {rows});
{labels_of(facts)}.forEach((label, i) => {{ shares[i * {rows} + label] = 1; }});
const class_weights = new ort.Tensor("float32", shares, [{COUNT}, {rows}]);"""
        ]
    draw = f"const {{ pixel_values }} = await {name}.run({{ {', '.join(given)} }});"
    if stepped:
        draw = f"""let pixel_values;
for (const row of facts.schedule.steps) {{
  const step = new ort.Tensor("float32", row, [6]);
  const given = {{ {", ".join([*given, "step"])} }};
  ({{ next_latents: latents, pixel_values }} = await {name}.run(given));
}}"""
    return "\n".join(
        [
            *lines,
            f"""{draw}
// Image i begins at i C H W, one colour after the other.
const bytes = Uint8ClampedArray.from(pixel_values.data, (x) => (x + 1) * 127.5);
console.log(`${{pixel_values.dims}}: ${{bytes.filter((byte) => byte > 127).length}} light of ${{bytes.length}}`);""",
        ]
    )
