"""Quantised networks as TensorRT takes them: numbers of int8 around zero.

``vidgraph export`` quantises for processors: activations that are never negative become uint8, others int8 around a
zero point of their own. TensorRT has neither. The same ranges around zero lose at most one bit of the eight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_LARGEST = 127


def symmetric(model: ModelProto) -> ModelProto:
    """A copy in which activations are quantised to int8 with the zero point 0; weights stay as they are."""
    from onnx import numpy_helper

    made = type(model)()
    made.CopyFrom(model)
    graph = made.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    written: set[str] = set()
    for node in graph.node:
        values = _quantisation(node, constants)
        if values is None:
            continue
        names = tuple(f"{node.input[1]}.{node.input[2]}.{what}" for what in ("symmetric", "zero"))
        scale = np.asarray(_symmetric_scale(*values), np.float32)
        for name, value in zip(names, (scale, np.zeros(scale.shape, np.int8)), strict=True):
            if name not in written:
                written.add(name)
                graph.initializer.append(numpy_helper.from_array(value, name))
        node.input[1:3] = names
    if written:
        del graph.value_info[:]
    return made


def _quantisation(node: NodeProto, constants: dict[str, Any]) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Scale and zero point of a node that quantises an activation otherwise than TensorRT does, or back; else None."""
    from onnx import numpy_helper

    if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or len(node.input) < 3 or node.input[0] in constants:
        return None
    scale, zero = (constants.get(name) for name in node.input[1:3])
    if scale is None or zero is None:
        return None
    values = numpy_helper.to_array(scale), numpy_helper.to_array(zero)
    fits = values[1].dtype == np.int8 and not values[1].any()
    return None if fits or values[1].dtype not in (np.int8, np.uint8) else values


def _symmetric_scale(scale: NDArray[Any], zero: NDArray[Any]) -> NDArray[np.float64]:
    """With which 127 is the number of the range that is farthest from 0."""
    info = np.iinfo(zero.dtype)
    farthest = np.maximum(info.max - zero.astype(np.int64), zero.astype(np.int64) - info.min)
    reached: NDArray[np.float64] = scale.astype(np.float64) * farthest / _LARGEST
    return reached
