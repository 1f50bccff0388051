"""What one run of a network costs: multiplications and additions of its convolutions and matrix products.

The shapes of inner tensors are those that an engine infers: they are made outputs of a copy that is only read.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ...engines.open import read_ports
from ...pipeline.errors import CheckpointError
from ..wire import BYTES, Raw, child, fields, number, numbers, text
from .facts import GRAPH, INITIALIZER, NODE, read_facts, read_file
from .static_shapes import rewritten

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
    data = read_file(file)
    graph = child(memoryview(data), GRAPH, file) or b""
    products = list(_products(graph, file))
    shapes = _initial_shapes(graph, file)
    facts = read_facts(file)
    for fact in (*facts.inputs, *facts.outputs):
        if fact.fixed:
            shapes[fact.name] = tuple(int(length or 0) for length in fact.shape or ())
    wanted = {name for each in products for name in (each.left, each.right, each.result)} - set(shapes)
    if wanted:
        shapes |= _inferred(data, file, wanted, engine)
    try:
        return 2 * sum(_multiplications(each, shapes) for each in products)
    except (KeyError, IndexError):  # a shape that is not known, or not that of such an input
        return None


def _inferred(data: bytes, file: Path, wanted: set[str], engine: str) -> dict[str, Lengths]:
    """Shapes of inner tensors."""
    with tempfile.TemporaryDirectory(prefix="vidgraph-check-") as folder:
        copy = Path(folder, "watched.onnx")
        copy.write_bytes(rewritten(data, file, {}, {}, outputs={}, watched=sorted(wanted)))
        ports = read_ports(copy, file.name, engine=engine)
    return {
        port.name: tuple(int(length or 0) for length in port.shape)
        for port in ports
        if port.shape is not None and None not in port.shape
    }


def _products(graph: Raw, path: Path) -> Iterator[Product]:
    for field, wire, raw in fields(graph, path):
        if field != NODE or wire != BYTES:
            continue
        kind = text(raw, 4, path)
        if kind not in _OPERANDS:
            continue
        left, right = _OPERANDS[kind]
        inputs = [bytes(value).decode(errors="replace") for each, _, value in fields(raw, path) if each == 1]
        result = text(raw, 2, path)
        if max(left, right) >= len(inputs):
            raise CheckpointError(f"{path} is damaged: a {kind} has {len(inputs)} inputs")
        yield Product(kind, inputs[left], inputs[right], result, _is_set(raw, "transA", path))


_OPERANDS = {
    "Conv": (0, 1), "ConvTranspose": (0, 1), "ConvInteger": (0, 1), "QLinearConv": (0, 3),
    "MatMul": (0, 1), "MatMulInteger": (0, 1), "QLinearMatMul": (0, 3), "Gemm": (0, 1),
}  # fmt: skip
"""Kind of node -> which of its inputs are multiplied."""


def _is_set(node: Raw, attribute: str, path: Path) -> bool:
    return any(
        field == 5 and text(raw, 1, path) == attribute and number(raw, 3, path) for field, _, raw in fields(node, path)
    )


def _initial_shapes(graph: Raw, path: Path) -> dict[str, Lengths]:
    return {text(raw, 8, path): numbers(raw, 1, path) for field, _, raw in fields(graph, path) if field == INITIALIZER}


def _multiplications(product: Product, shapes: Mapping[str, Lengths]) -> int:
    """Of one node; KeyError where a shape is not known."""
    left, right, result = (shapes[name] for name in (product.left, product.right, product.result))
    if product.kind == "ConvTranspose":
        return math.prod(left) * math.prod(right[1:])
    if "Conv" in product.kind:
        return math.prod(result) * math.prod(right[1:])
    return math.prod(result) * left[0 if product.turned else -1]
