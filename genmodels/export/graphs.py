"""A network as a file of ONNX: with float16 weights where they are enough, and compared with torch."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ..errors import UserError, first_line

if TYPE_CHECKING:
    import onnx

# That of ONNX 1.17: what onnxruntime has understood since 2024.
OPSET = 18
# Half a step of 8 bits, as a share of the range: of pixels in [-1, 1] 1/255.
TOLERANCE = 1 / 510
RANGES = {"pixel_values": 2.0}
# Smaller tensors, and those that hold one number for each channel, are left as they are: a node that widens them is as long.
SMALLEST_HALF = 256
BATCH = "N"


@dataclass(frozen=True)
class Port:
    """An input of a graph.

    Attributes:
        name: in the graph.
        argument: in the forward of the network.
        dtype: "float32" or "int64".
        shape: its sides, the first one of a batch being `BATCH`.
    """

    name: str
    argument: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class Graph:
    """A network as ONNX, and how well it agrees with torch.

    Attributes:
        data: the file.
        weights: "float16", widened to float32 when it is loaded, or "float32".
        outputs: name to shape, without the batch.
        differences: of each output, the largest absolute difference from torch.
        limits: of each output, the largest difference that counts as none.
        float16_difference: the largest one with float16 weights, where those were tried and are not enough.
        depends_on_batch: whether what it says of an image depends on those beside it.
    """

    data: bytes
    weights: str
    outputs: dict[str, tuple[int, ...]]
    differences: list[float]
    limits: list[float]
    float16_difference: float | None
    depends_on_batch: bool


class Positional(nn.Module):
    """A network with positional inputs, and a tuple as output.

    Class numbers (N,) become weights over `num_rows` classes here: to check their range, as networks do, is no part of a graph.

    Args:
        network: what is called.
        arguments: of its forward, by name, in the order of the inputs.
        num_rows: how many classes there are, with that of no class; 0 if `class_labels` are weights, or there are none.
        options: further arguments of its forward.
    """

    def __init__(self, network: nn.Module, arguments: Sequence[str], num_rows: int, options: dict[str, Any]):
        super().__init__()
        self.network, self.arguments, self.num_rows, self.options = network, list(arguments), num_rows, options

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        named = dict(zip(self.arguments, inputs, strict=True))
        if self.num_rows:
            named["class_labels"] = (named["class_labels"][:, None] == torch.arange(self.num_rows)).float()
        outputs = self.network(**named, **self.options)
        if isinstance(outputs, list):
            # Levels of an image: the last one is the image, which comes first.
            outputs = (outputs[-1], *outputs[:-1])
        return outputs if isinstance(outputs, tuple) else (outputs,)


@contextmanager
def quiet() -> Iterator[None]:
    """Without what torch's exporter says of its own insides."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def export_graph(
    network: nn.Module,
    inputs: Sequence[Port],
    name_outputs: Callable[[int], Sequence[str]],
    batches: Sequence[Sequence[torch.Tensor]],
    num_rows: int = 0,
    options: dict[str, Any] | None = None,
    half: bool = True,
) -> Graph:
    """A network as ONNX, compared with torch on each of `batches`.

    Args:
        network: in float32 on the CPU, in eval mode.
        inputs: what it takes.
        name_outputs: from how many outputs there are to their names.
        batches: inputs of several sizes, with which it is compared.
        num_rows, options: see `Positional`.
        half: whether float16 weights are tried.

    Raises:
        UserError: it cannot be exported, or does not agree with torch; the message says why.
    """
    import onnx

    plain = Positional(network, [port.argument for port in inputs], num_rows, options or {}).eval()
    with torch.no_grad():
        wanted = [plain(*batch) for batch in batches]
        one = [part[:1] if port.shape[0] == BATCH else part for port, part in zip(inputs, batches[-1], strict=True)]
        alone = plain(*one)
    names = name_outputs(len(wanted[0]))
    model = trace(plain, inputs, names, batches[-1])
    limits = []
    for parts, name in zip(zip(*wanted, strict=True), names, strict=True):
        values = torch.cat([part.flatten() for part in parts])
        limits.append(TOLERANCE * RANGES.get(name, float(values.max() - values.min())))
    pairs = zip(alone, wanted[-1], limits, strict=True)
    depends_on_batch = any(float((a - b[:1]).abs().max()) > limit for a, b, limit in pairs)
    tried: float | None = None
    for weights in ("float16", "float32") if half else ("float32",):
        data = (halved(model) if weights == "float16" else model).SerializeToString()
        try:
            onnx.checker.check_model(data)
            found = differences(data, inputs, batches, wanted)
        except Exception as error:
            raise UserError(f"onnxruntime does not run it ({first_line(error)})") from error
        if all(a <= b for a, b in zip(found, limits, strict=True)):
            outputs = {name: tuple(part.shape[1:]) for name, part in zip(names, wanted[0], strict=True)}
            return Graph(data, weights, outputs, found, limits, tried, depends_on_batch)
        tried = max(found)
    raise UserError(f"onnxruntime's answers differ from torch's by up to {tried:.2g}")


def capture(network: nn.Module, example: tuple[torch.Tensor, ...], shapes: Any) -> torch.export.ExportedProgram:
    """What the forward of a network does to tensors, of any batch."""
    try:
        return torch.export.export(network, example, dynamic_shapes=shapes, strict=False)
    except Exception:
        # Slower, and reads the code itself: `len` of a tensor is then that of any batch.
        return torch.export.export(network, example, dynamic_shapes=shapes, strict=True)


def trace(
    network: nn.Module, inputs: Sequence[Port], output_names: Sequence[str], example: Sequence[torch.Tensor]
) -> onnx.ModelProto:
    """The graph of a network, of any batch, without what torch's exporter notes of this machine in it."""
    # diffusers' U-Net copies larger batches within memory, which is no part of a graph: the file takes any batch.
    size = torch.export.Dim(BATCH, max=63)
    shapes = tuple({0: size} if port.shape[:1] == (BATCH,) else None for port in inputs)
    with quiet():
        try:
            program = capture(network, tuple(example), (shapes,))
            exported = torch.onnx.export(
                program,
                dynamo=True,
                input_names=[port.name for port in inputs],
                output_names=list(output_names),
                opset_version=OPSET,
                verbose=False,
            )
        except ImportError:
            raise
        except Exception as error:
            # The exporter's own errors are pages of advice; what went wrong is at their bottom.
            cause: BaseException = error
            while cause.__cause__ is not None:
                cause = cause.__cause__
            raise UserError(f"torch cannot make a graph of it ({first_line(Exception(cause))})") from error
    assert exported is not None  # As it is unless it is asked to write a file.
    model = exported.model_proto
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("value_info")
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.shape.dim and not value.type.tensor_type.shape.dim[0].HasField("dim_value"):
            value.type.tensor_type.shape.dim[0].dim_param = BATCH
    return model


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its larger weights in float16 and, behind each, a node that widens it.

    onnxruntime computes such nodes once, when it loads the graph: files are half as large, and it goes on computing in float32.
    """
    from onnx import TensorProto, helper, numpy_helper

    small = type(model)()
    small.CopyFrom(model)
    casts = []
    for tensor in small.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1 and np.prod(tensor.dims) >= SMALLEST_HALF:
            name = tensor.name
            with np.errstate(over="ignore"):
                halves = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(halves, f"{name}.float16"))
            casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *small.graph.node]
    small.graph.ClearField("node")
    small.graph.node.extend(nodes)
    return small


def open_graph(data: bytes) -> Any:
    """A session of onnxruntime on one thread of the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def differences(
    data: bytes,
    inputs: Sequence[Port],
    batches: Sequence[Sequence[torch.Tensor]],
    wanted: Sequence[Sequence[torch.Tensor]],
) -> list[float]:
    """Of each output, the largest absolute difference between onnxruntime's answers and torch's; NaN if one is NaN."""
    session, names, largest = open_graph(data), [port.name for port in inputs], np.zeros(len(wanted[0]))
    for batch, parts in zip(batches, wanted, strict=True):
        answers = session.run(None, {name: part.numpy() for name, part in zip(names, batch, strict=True)})
        found = [np.abs(a - part.numpy()).max() for a, part in zip(answers, parts, strict=True)]
        largest = np.maximum(largest, found)
    return largest.tolist()
