"""Which nodes of an ONNX network may compute in half precision (fp16), and which stay in fp32.

What sums over many numbers, what exponentiates, and what says *where* something is stays in fp32: positions have 11
bits in fp16, which is half a cell on a map 1024 wide. Positions are what Floor, Ceil, Round, a cast to whole numbers
and the grid of GridSample are made of, back to the convolution or product that gives them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...pipeline.errors import EngineError
from ..spec import shortened

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

LARGEST = float(np.finfo(np.float16).max)
"""65504, above which fp16 has only infinity."""

FLOAT, HALF = 1, 10  # TensorProto.DataType

KEPT_OPERATORS = frozenset({
    "Softmax", "LogSoftmax", "Exp", "Log", "Pow", "Softplus",  # exponents
    "InstanceNormalization", "LayerNormalization", "GroupNormalization", "LpNormalization",  # statistics
    "MeanVarianceNormalization", "RMSNormalization", "ReduceMean", "ReduceSum", "ReduceSumSquare", "ReduceL1",
    "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceProd", "CumSum",
    "Floor", "Ceil", "Round", "Mod", "Range", "GridSample", "AffineGrid", "RoiAlign", "NonMaxSuppression",  # positions
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear",  # scales are fp32
    "Cast", "CastLike", "ConstantOfShape", "EyeLike", "RandomNormal", "RandomNormalLike", "RandomUniform",
    "RandomUniformLike", "Bernoulli", "Multinomial",  # a type of their own in an attribute
})  # fmt: skip
"""Operators that stay in fp32."""

_POSITIONS = {"Floor": 0, "Ceil": 0, "Round": 0, "Mod": 0, "GridSample": 1}
_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "Einsum"})
_WHOLE = frozenset({2, 3, 4, 5, 6, 7, 12, 13})  # TensorProto.DataType of whole numbers
_FP32_INPUTS = {"Resize": (1, 2), "Upsample": (1,)}
"""Inputs that are of fp32 whatever the data is."""


@dataclass(frozen=True, slots=True)
class HalfPlan:
    """What becomes of each node.

    Attributes:
        half: names of the nodes that compute in fp16.
        floats: names of all tensors of fp32 that nodes give and take, constants included.
        constants: of those, the values of constants.
    """

    half: frozenset[str]
    floats: frozenset[str]
    constants: dict[str, NDArray[np.float32]]

    def takes(self, node: NodeProto) -> tuple[int, ...]:
        """Places of the inputs that a node in ``half`` takes in fp16."""
        fixed = _FP32_INPUTS.get(node.op_type, ())
        return tuple(place for place, name in enumerate(node.input) if name in self.floats and place not in fixed)


def name_of(node: NodeProto) -> str:
    """What messages and plans call a node."""
    return str(node.name or next((name for name in node.output if name), node.op_type))


def with_constants(model: ModelProto, folder: str) -> ModelProto:
    """A copy with all weights in the message, and constants of float numbers as initial values.

    Args:
        folder: of the file, where its weights may lie in further files.
    """
    from onnx import external_data_helper, numpy_helper

    copy = type(model)()
    copy.CopyFrom(model)
    external_data_helper.load_external_data_for_model(copy, folder)
    kept = []
    for node in copy.graph.node:
        value = _float_constant(node)
        if value is None:
            kept.append(node)
        else:
            copy.graph.initializer.append(numpy_helper.from_array(value, node.output[0]))
    del copy.graph.node[:]
    copy.graph.node.extend(kept)
    return copy


def _float_constant(node: NodeProto) -> NDArray[np.float32] | None:
    from onnx import numpy_helper

    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx"):
        return None
    (attribute,) = node.attribute
    if attribute.name == "value" and attribute.t.data_type == FLOAT:
        return np.asarray(numpy_helper.to_array(attribute.t), np.float32)
    if attribute.name in ("value_float", "value_floats"):
        return np.array(attribute.f if attribute.name == "value_float" else attribute.floats, np.float32)
    return None


def plan_half(model: ModelProto, keep: Collection[str] = ()) -> HalfPlan:
    """Decide for a network that :func:`with_constants` gave.

    Args:
        keep: names of nodes that stay in fp32 besides.

    Raises:
        EngineError: the types of its tensors cannot be inferred.
    """
    from onnx import numpy_helper

    graph = model.graph
    types = _types(model)
    floats = frozenset(name for name, kind in types.items() if kind == FLOAT)
    constants = {
        tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.data_type == FLOAT
    }
    large = {name for name, values in constants.items() if np.abs(values).max(initial=0.0) > LARGEST}
    able = [node for node in graph.node if _fits(node, types) and not large.intersection(node.input)]
    outputs = {node.output[0] for node in able}
    unable = {name_of(node) for node in graph.node if not outputs.intersection(node.output)}  # names may be shared
    kept = {*keep, *unable, *_of_positions(graph, floats)}
    return HalfPlan(frozenset({name_of(node) for node in able} - kept), floats, constants)


def around(model: ModelProto, tensors: Collection[str]) -> frozenset[str]:
    """Names of the nodes that give and take any of ``tensors``: with them in fp32 it is nowhere in fp16."""
    wanted = set(tensors)
    return frozenset(name_of(node) for node in model.graph.node if wanted.intersection((*node.input, *node.output)))


def _types(model: ModelProto) -> dict[str, int]:
    """Of every tensor of the outer graph, its TensorProto.DataType."""
    from onnx import shape_inference

    try:
        graph = shape_inference.infer_shapes(model).graph
    except Exception as error:  # protobuf's where it is too large, its own, and ValueError
        raise EngineError(
            f"cannot make a network in fp16: its types are not known ({shortened(str(error))})"
        ) from error
    types = {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info, *graph.output)}
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


def _fits(node: NodeProto, types: dict[str, int]) -> bool:
    """Whether a node can compute in fp16 at all."""
    if node.domain not in ("", "ai.onnx") or node.op_type in KEPT_OPERATORS or any(_subgraphs(node)):
        return False
    names = [name for name in (*node.input, *node.output) if name]
    return all(name in types for name in names) and any(types[name] == FLOAT for name in names)


def _subgraphs(node: NodeProto) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def captured(node: NodeProto) -> frozenset[str]:
    """Names that the graphs inside a node read from around it."""
    names = set()
    for graph in _subgraphs(node):
        for inner in graph.node:
            names |= {*inner.input, *captured(inner)}
        names |= {value.name for value in graph.output}
    return frozenset(names)


def _of_positions(graph: GraphProto, floats: Collection[str]) -> set[str]:
    """Names of the nodes that compute positions, and of the fractions behind the points of them."""
    makers = {name: node for node in graph.node for name in node.output if name}
    pending = [name for node in graph.node for name in _positions(node) if name in floats]
    seen, kept = set(pending), set[str]()
    while pending:
        node = makers.get(pending.pop())
        if node is None:
            continue
        kept.add(name_of(node))
        if node.op_type not in _PRODUCTS:
            further = {name for name in node.input if name in floats} - seen
            seen |= further
            pending += further
    rounded = {name for node in graph.node if node.op_type in _POSITIONS for name in node.output} - _sampled(graph)
    return kept | {name_of(node) for node in graph.node if node.op_type == "Sub" and rounded.intersection(node.input)}


def _sampled(graph: GraphProto) -> set[str]:
    return {name for node in graph.node if node.op_type == "GridSample" for name in node.output}


def _positions(node: NodeProto) -> list[str]:
    """The inputs of a node that are positions."""
    if node.op_type == "Cast":
        return [node.input[0]] if any(each.i in _WHOLE for each in node.attribute if each.name == "to") else []
    place = _POSITIONS.get(node.op_type)
    return [node.input[place]] if place is not None and len(node.input) > place else []
