"""What a graph does to its picture before anything else: whether it normalises values of 0 to 255 itself.

Source: onnx.proto (field numbers) and the operators Cast, Identity, Transpose, Sub, Add, Mul, Div of ONNX.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..wire import Raw, child, fields, number, numbers, text

INSIDE = "the graph, which normalises values of 0 to 255 itself"
"""Source of a mean and a deviation that leave the values as they are."""

_NODE, _INITIALIZER = 1, 5  # fields of GraphProto
_PASSED = ("Cast", "Identity", "Transpose")
_ARITHMETIC = ("Sub", "Add", "Mul", "Div")
_UNNOTICED = ("Shape", "Size")
_FLOATS, _MOST_VALUES = {1: "<f4", 10: "<f2", 11: "<f8"}, 3
_LARGEST_SCALE = 0.05
"""Values of 0 to 1 would nearly vanish by it; the deviations of published networks are from 16 to 255."""

Values = NDArray[np.float64]


def takes_bytes(graph: Raw, name: str, path: Path) -> bool:
    """Whether the graph makes of the input ``name`` what it would of values of 0 to 255, and not of 0 to 1.

    The first steps are looked at as long as each adds or multiplies constants, one or one a channel. They are
    made for 0 to 255 where they divide by much, or where values of 0 to 1 would end far from 0.

    Args:
        graph: a ``GraphProto`` of the file ``path``.

    Raises:
        CheckpointError: the file is damaged.
    """
    scale, shift, steps = np.ones(1), np.zeros(1), 0
    constants: dict[str, Values] | None = None
    for field, _, node in fields(graph, path):
        if field != _NODE or text(node, 7, path) not in ("", "ai.onnx"):
            continue
        inputs = [bytes(raw).decode(errors="replace") for at, _, raw in fields(node, path) if at == 1]
        operator = text(node, 4, path)
        if name not in inputs or operator in _UNNOTICED:
            continue
        if operator in _ARITHMETIC:
            if constants is None:
                constants = _constants(graph, path)
            stepped = _stepped(operator, inputs, name, constants, scale, shift)
            if stepped is None:
                break
            scale, shift = stepped
            steps += 1
        elif operator not in _PASSED:
            break
        name = text(node, 2, path)
    if not steps:
        return False
    low, high = np.minimum(shift, shift + scale), np.maximum(shift, shift + scale)
    far = ((low > 0) & (low > np.abs(scale))) | ((high < 0) & (-high > np.abs(scale)))
    return bool(np.abs(scale).max() <= _LARGEST_SCALE or far.all())


def _stepped(
    operator: str, inputs: list[str], name: str, constants: Mapping[str, Values], scale: Values, shift: Values
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


def _constants(graph: Raw, path: Path) -> dict[str, Values]:
    """Name -> values of the constants of the graph that have one value, or one for each channel."""
    tensors = [(text(raw, 8, path), raw) for field, _, raw in fields(graph, path) if field == _INITIALIZER]
    for field, _, node in fields(graph, path):
        if field == _NODE and text(node, 4, path) == "Constant":
            value = child(child(node, 5, path) or b"", 5, path)  # its first attribute, that is a tensor
            if value is not None:
                tensors.append((text(node, 2, path), value))
    found = {name: _values(raw, path) for name, raw in tensors}
    return {name: values for name, values in found.items() if values is not None}


def _values(tensor: Raw, path: Path) -> Values | None:
    """The numbers of a ``TensorProto`` of few floats, or None."""
    element = number(tensor, 2, path)
    count = int(np.prod(numbers(tensor, 1, path), dtype=np.int64))
    if element not in _FLOATS or count not in (1, _MOST_VALUES):
        return None
    raw = child(tensor, 9, path)
    if raw is None:
        raw = b"".join(bytes(value) for field, _, value in fields(tensor, path) if field == 4 and element == 1)
    if len(raw) != count * np.dtype(_FLOATS[element]).itemsize:
        return None
    return np.frombuffer(raw, _FLOATS[element]).astype(np.float64)
