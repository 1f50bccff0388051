"""What a graph does last to its outputs: whether boxes leave it as a convolution gave them, or are decoded.

Source: the operators of ONNX.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from .description import OutputEnd

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto, TensorProto

_MOVED = ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Cast")
"""Take one tensor and give its numbers as they are."""
_WEIGHTED = ("Conv", "ConvTranspose", "MatMul", "Gemm", "ConvInteger", "QLinearConv", "MatMulInteger", "QLinearMatMul")
"""End the walk back: what gave them is the network proper."""
_UNNOTICED = ("Shape", "Constant", "ConstantOfShape", "Size")
_INT64 = 7  # TensorProto.DataType
_MOST_NODES, _MOST_COLUMNS = 2000, 64
"""Looked at behind one output, and pieces of its rows; more are no end that is known."""


def ends_of(graph: GraphProto) -> Mapping[str, OutputEnd]:
    """The end of each output of a graph, by name."""
    makers = {name: node for node in graph.node for name in node.output if name}
    back = _Back(makers, {tensor.name: tensor for tensor in graph.initializer})
    return MappingProxyType(
        {each.name: OutputEnd(back.columns(each.name), back.operators(each.name)) for each in graph.output}
    )


@dataclass(frozen=True, slots=True)
class _Back:
    """A graph for walks from its outputs back: what makes each tensor, and the constant ones."""

    makers: Mapping[str, NodeProto]
    constants: Mapping[str, TensorProto]

    def operators(self, name: str) -> frozenset[str]:
        """The operators between a tensor and the layers that have weights."""
        seen: set[str] = set()
        found, waiting = set(), [name]
        while waiting and len(seen) < _MOST_NODES:
            name = waiting.pop()
            node = self.makers.get(name)
            if node is None or name in seen or node.op_type in (*_WEIGHTED, *_UNNOTICED):
                continue
            seen.add(name)
            found.add(node.op_type)
            waiting += list(node.input)
        return frozenset(found)

    def columns(self, name: str) -> tuple[tuple[str, int], ...]:
        """The columns of a row as :class:`.description.OutputEnd` has them; empty where they are anything else.

        All maps must have the same: their pieces follow one another.
        """
        pieces: list[tuple[str, int]] = []
        waiting = [(name, "")]
        for _ in range(_MOST_NODES):
            if not waiting or len(pieces) > _MOST_COLUMNS:
                break
            name, activation = waiting.pop()
            node = self.makers.get(name)
            if node is None:
                return ()
            if node.op_type in _MOVED and node.input:
                waiting.append((node.input[0], activation))
            elif node.op_type == "Concat" and not activation:
                waiting += [(each, "") for each in reversed(node.input)]
            elif node.op_type == "Sigmoid" and not activation and node.input:
                waiting.append((node.input[0], "sigmoid"))
            else:
                count = self._channels(node, name)
                if count is None:
                    return ()
                pieces.append((activation, count))
        return () if waiting else _period(pieces)

    def _channels(self, node: NodeProto, name: str) -> int | None:
        """How many channels of a convolution a tensor has: all of them, or a part that is split off; else None."""
        if node.op_type == "Conv" and len(node.input) > 1:
            weights = self.constants.get(node.input[1])
            return weights.dims[0] if weights is not None and weights.dims else None
        if node.op_type != "Split" or not node.input:
            return None
        maker = self.makers.get(node.input[0])
        if maker is None or maker.op_type != "Conv":
            return None
        lengths = next((list(each.ints) for each in node.attribute if each.name == "split"), None)
        if lengths is None and len(node.input) > 1:
            lengths = self._whole_numbers(node.input[1])
        at = list(node.output).index(name)
        return lengths[at] if lengths is not None and at < len(lengths) else None

    def _whole_numbers(self, name: str) -> list[int] | None:
        """The int64 values of a constant; None where it is none, or damaged."""
        node, tensor = self.makers.get(name), self.constants.get(name)
        if node is not None and node.op_type == "Constant" and node.attribute:
            tensor = node.attribute[0].t
        if tensor is None or tensor.data_type != _INT64:
            return None
        raw = tensor.raw_data if tensor.HasField("raw_data") else np.array(tensor.int64_data, "<i8").tobytes()
        return None if len(raw) % 8 else np.frombuffer(raw, "<i8").tolist()


def _period(pieces: list[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """The shortest part that ``pieces`` repeat; all of them where they repeat nothing."""
    for length in range(1, len(pieces) + 1):
        if len(pieces) % length == 0 and pieces == pieces[:length] * (len(pieces) // length):
            return tuple(pieces[:length])
    return ()
