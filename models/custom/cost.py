"""What one run of a network costs: multiplications and additions of its convolutions and matrix products.

The shapes of inner tensors are those that an engine infers: they are made outputs of a copy that is only read.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ...engines.network_file import ONNX, kind_of
from ...engines.onnx_file import info_of, read_model
from ...engines.open import read_ports
from ...pipeline.errors import CheckpointError
from .network import openvino_file
from .static_shapes import hold_weights, serialised, set_outputs

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

Lengths: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """A node that multiplies: its kind, the tensors whose shapes say how much, and whether the first is turned."""

    kind: str
    left: str
    right: str
    result: str
    turned: bool = False


def flop_of(file: Path, *, engine: str = "auto") -> int | None:
    """Floating-point operations (two for each multiplication with its addition) of one run.

    Args:
        file: a network of fixed shapes; inner graphs (``If``, ``Loop``) are not counted.
        engine: the one to ask for shapes first.

    Returns:
        None where a shape is not to be inferred.

    Raises:
        CheckpointError: the file is damaged.
        EngineError: no engine can read it.
    """
    if kind_of(file) != ONNX:
        reader = openvino_file()
        count: int | None = reader.multiplications(reader.read_model(file))
        return None if count is None else 2 * count
    model = read_model(file)
    info = info_of(model, file)
    products = list(_products(model.graph, file))
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    for each in (*info.inputs, *info.outputs):
        if each.fixed:
            shapes[each.name] = tuple(int(length or 0) for length in each.shape or ())
    wanted = {name for each in products for name in (each.left, each.right, each.result)} - set(shapes)
    if wanted:
        shapes |= _inferred(model, file, wanted, engine)
    try:
        return 2 * sum(_multiplications(each, shapes) for each in products)
    except (KeyError, IndexError):  # a shape that is not known, or not that of such an input
        return None


def _inferred(model: ModelProto, file: Path, wanted: set[str], engine: str) -> dict[str, Lengths]:
    """Shapes of inner tensors; they become outputs of ``model``, which is changed."""
    with tempfile.TemporaryDirectory(prefix="vidgraph-check-") as folder:
        copy = Path(folder, "watched.onnx")
        hold_weights(model.graph, file)
        set_outputs(model.graph, file, {}, watched=sorted(wanted))
        copy.write_bytes(serialised(model, file))
        ports = read_ports(copy, file.name, engine=engine)
    return {
        port.name: tuple(int(length or 0) for length in port.shape)
        for port in ports
        if port.shape is not None and None not in port.shape
    }


def _products(graph: GraphProto, path: Path) -> Iterator[Product]:
    for node in graph.node:
        if node.op_type not in _OPERANDS:
            continue
        left, right = _OPERANDS[node.op_type]
        if max(left, right) >= len(node.input) or not node.output:
            raise CheckpointError(f"{path} is damaged: a {node.op_type} has {len(node.input)} inputs")
        turned = any(each.name == "transA" and each.i for each in node.attribute)
        yield Product(node.op_type, node.input[left], node.input[right], node.output[0], turned)


_OPERANDS = {
    "Conv": (0, 1), "ConvTranspose": (0, 1), "ConvInteger": (0, 1), "QLinearConv": (0, 3),
    "MatMul": (0, 1), "MatMulInteger": (0, 1), "QLinearMatMul": (0, 3), "Gemm": (0, 1),
}  # fmt: skip
"""Kind of node -> which of its inputs are multiplied."""


def _multiplications(product: Product, shapes: Mapping[str, Lengths]) -> int:
    """Of one node; KeyError where a shape is not known."""
    left, right, result = (shapes[name] for name in (product.left, product.right, product.result))
    if product.kind == "ConvTranspose":
        return math.prod(left) * math.prod(right[1:])
    if "Conv" in product.kind:
        return math.prod(result) * math.prod(right[1:])
    return math.prod(result) * left[0 if product.turned else -1]
