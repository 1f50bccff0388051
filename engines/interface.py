"""What an ONNX file calls its inputs and outputs.

An engine may know them by other names: OpenVINO lets go of nodes that do nothing (Identity, Cast to the same type,
Dropout) and gives what was before and behind them one set of names, or only the later of the two.
Source: onnx.proto (element types).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..pipeline.errors import EngineError
from .onnx_file import lenient_text
from .spec import TensorSpec, fixed_spec

if TYPE_CHECKING:
    from onnx import ModelProto, TensorShapeProto, ValueInfoProto

_DTYPES = {
    1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_,
    10: np.float16, 11: np.float64, 12: np.uint32, 13: np.uint64,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeclaredInput:
    """An input as the file declares it: ``element`` is its TensorProto.DataType, 0 where it is no tensor."""

    name: str
    element: int
    shape: tuple[int | str | None, ...] | None

    def spec(self, owner: str) -> TensorSpec:
        """As an engine takes it.

        Raises:
            EngineError: of the network ``owner``: its type is not one of NumPy's, or its shape is open.
        """
        if self.element not in _DTYPES:
            raise EngineError(
                f"cannot open {owner}: input {self.name!r} has element type {self.element}, which NumPy does not have"
            )
        return fixed_spec(owner, self.name, _DTYPES[self.element], self.shape if self.shape is not None else (None,))


@dataclass(frozen=True, slots=True)
class Interface:
    """Inputs and outputs of an ONNX file in its order; initial values are no inputs, even where it lists them.

    ``makers`` has, of every tensor that a node makes, the first tensor that the node reads.
    """

    inputs: tuple[DeclaredInput, ...]
    outputs: tuple[str, ...]
    makers: Mapping[str, str]

    def fed_by(self, names: Iterable[str]) -> str | None:
        """The input that a tensor with ``names`` is, or is made of by nodes that an engine let go of; None: none."""
        known = {each.name for each in self.inputs}
        names = sorted(names)
        own = next((name for name in names if name in known), None)
        if own is not None:
            return own
        for name in names:
            passed = {name}
            while name in self.makers and self.makers[name] not in passed:
                name = self.makers[name]
                passed.add(name)
            if name in known:
                return name
        return None


def read_interface(model: ModelProto) -> Interface:
    """Read it from an ONNX file (as ``read_network`` gives it)."""
    graph = model.graph
    values = {lenient_text(tensor.name) for tensor in graph.initializer}
    inputs = tuple(each for each in map(_input, graph.input) if each.name not in values)
    outputs = tuple(lenient_text(each.name) for each in graph.output)
    makers = {
        lenient_text(made): lenient_text(node.input[0]) for node in graph.node if node.input for made in node.output
    }
    return Interface(inputs, outputs, makers)


def _input(value: ValueInfoProto) -> DeclaredInput:
    tensor = value.type.tensor_type
    shape = tuple(map(_length, tensor.shape.dim)) if tensor.HasField("shape") else None
    return DeclaredInput(lenient_text(value.name), tensor.elem_type, shape)


def _length(dimension: TensorShapeProto.Dimension) -> int | str | None:
    """A length, or its name; exporters write -1 too for what is open."""
    if dimension.HasField("dim_value"):
        return dimension.dim_value if 0 <= dimension.dim_value < 2**31 else None
    return lenient_text(dimension.dim_param) if dimension.HasField("dim_param") else None
