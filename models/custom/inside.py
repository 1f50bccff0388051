"""What a graph does to its picture before anything else, and last of all.

Whether it normalises values of 0 to 255 itself, and whether it gives probabilities.

Source: the operators Cast, Identity, Transpose, Sub, Add, Mul, Div, Softmax and those that only change shapes, of ONNX;
OpenVINO's are named after them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import GraphProto, TensorProto

INSIDE = "the graph, which normalises values of 0 to 255 itself"
"""Source of a mean and a deviation that leave the values as they are."""

SOFTMAX = "the graph, which ends in a softmax"
"""Source of scores that are given."""

_RESHAPED = ("Cast", "Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")
_PASSED = ("Cast", "Identity", "Transpose")
_ARITHMETIC = ("Sub", "Add", "Mul", "Div")
_UNNOTICED = ("Shape", "Size")
_FLOATS = {1: "<f4", 10: "<f2", 11: "<f8"}  # TensorProto.DataType -> dtype
MOST_VALUES = 3
"""Of a constant that is added or multiplied: one for each channel."""
_LARGEST_SCALE = 0.05
"""Values of 0 to 1 would nearly vanish by it; the deviations of published networks are from 16 to 255."""

Values = NDArray[np.float64]


Step = tuple[str, Sequence[str], Sequence[str]]
"""Operator of a node (one of another domain has another name), and the tensors that it takes and gives."""


def takes_bytes(graph: GraphProto, name: str) -> bool:
    """:func:`made_for_bytes` of an ONNX graph."""
    return made_for_bytes(_steps(graph), lambda: _constants(graph), name)


def made_for_bytes(steps: Iterable[Step], constants: Callable[[], Mapping[str, Values]], name: str) -> bool:
    """Whether a graph makes of the input ``name`` what it would of values of 0 to 255, and not of 0 to 1.

    The first steps are looked at as long as each adds or multiplies constants, one or one a channel. They are
    made for 0 to 255 where they divide by much, or where values of 0 to 1 would end far from 0.

    Args:
        steps: the nodes of the graph, in order, with the operators of ONNX.
        constants: gives those that have at most ``MOST_VALUES`` values, by name; called where they are needed.
    """
    scale, shift, taken = np.ones(1), np.zeros(1), 0
    known: Mapping[str, Values] | None = None
    for operator, inputs, outputs in steps:
        if name not in inputs or operator in _UNNOTICED:
            continue
        if operator in _ARITHMETIC:
            if known is None:
                known = constants()
            stepped = _stepped(operator, inputs, name, known, scale, shift)
            if stepped is None:
                break
            scale, shift = stepped
            taken += 1
        elif operator not in _PASSED:
            break
        if not outputs:
            break
        name = outputs[0]
    if not taken:
        return False
    low, high = np.minimum(shift, shift + scale), np.maximum(shift, shift + scale)
    far = ((low > 0) & (low > np.abs(scale))) | ((high < 0) & (-high > np.abs(scale)))
    return bool(np.abs(scale).max() <= _LARGEST_SCALE or far.all())


def ends_in_softmax(graph: GraphProto) -> bool:
    """Whether the one output of the graph is a softmax, perhaps in another shape or type."""
    if len(graph.output) != 1:
        return False
    makers = {name: node for node in graph.node for name in node.output}
    node = makers.get(graph.output[0].name)
    for _ in range(len(graph.node)):  # a damaged graph may go round in circles
        if node is None or node.op_type not in _RESHAPED or not node.input:
            break
        node = makers.get(node.input[0])
    return node is not None and node.op_type == "Softmax"


def _steps(graph: GraphProto) -> Iterator[Step]:
    """Those of ONNX's own operators."""
    for node in graph.node:
        if node.domain in ("", "ai.onnx"):
            yield node.op_type, node.input, node.output


def _stepped(
    operator: str, inputs: Sequence[str], name: str, constants: Mapping[str, Values], scale: Values, shift: Values
) -> tuple[Values, Values] | None:
    """Scale and shift after a step more; None where it is none of a tensor and a constant, in this order or a like."""
    other = next((each for each in inputs if each != name), "")
    value = constants.get(other)
    if value is None or len(inputs) != 2 or (inputs[0] != name and operator in ("Sub", "Div")):
        return None
    if operator in ("Sub", "Add"):
        return scale + 0 * value, shift + (value if operator == "Add" else -value)
    if operator == "Div" and not value.all():
        return None
    factor = value if operator == "Mul" else 1 / value
    return scale * factor, shift * factor


def _constants(graph: GraphProto) -> dict[str, Values]:
    """Name -> values of the constants of the graph that have one value, or one for each channel."""
    made = [node for node in graph.node if node.op_type == "Constant" and node.output and node.attribute]
    found = {tensor.name: _values(tensor) for tensor in graph.initializer}
    found |= {node.output[0]: _values(node.attribute[0].t) for node in made}
    return {name: values for name, values in found.items() if values is not None}


def _values(tensor: TensorProto) -> Values | None:
    """The numbers of a tensor of few floats, or None."""
    element, count = tensor.data_type, math.prod(tensor.dims)
    if element not in _FLOATS or count not in (1, MOST_VALUES):
        return None
    raw = tensor.raw_data if tensor.HasField("raw_data") else np.array(tensor.float_data, "<f4").tobytes()
    if len(raw) != count * np.dtype(_FLOATS[element]).itemsize:
        return None
    return np.frombuffer(raw, _FLOATS[element]).astype(np.float64)
