"""What an ONNX file calls its inputs and outputs.

An engine may know them by other names: OpenVINO lets go of nodes that do nothing (Identity, Cast to the same type,
Dropout) and gives what was before and behind them one set of names, or only the later of the two.
Source: onnx.proto (field numbers, element types).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..pipeline.errors import EngineError
from .network import GRAPH, NODE, Raw, fields, messages
from .spec import TensorSpec, fixed_spec

_INITIALIZER, _INPUT, _OUTPUT = 5, 11, 12  # fields of GraphProto
_TENSOR_NAME = 8  # TensorProto.name
_NODE_INPUT, _NODE_OUTPUT = 1, 2  # fields of NodeProto
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
    """Inputs and outputs of an ONNX file in its order; initial values are no inputs, even where it lists them."""

    inputs: tuple[DeclaredInput, ...]
    outputs: tuple[str, ...]
    graph: Raw

    def fed_by(self, names: Iterable[str]) -> str | None:
        """The input that a tensor with ``names`` is, or is made of by nodes that an engine let go of; None: none."""
        known = {each.name for each in self.inputs}
        names = sorted(names)
        own = next((name for name in names if name in known), None)
        if own is not None:
            return own
        makers = self._makers()
        for name in names:
            passed = {name}
            while name in makers and makers[name] not in passed:
                name = makers[name]
                passed.add(name)
            if name in known:
                return name
        return None

    def _makers(self) -> dict[str, str]:
        """Of every tensor that a node makes, the first tensor that the node reads."""
        makers = {}
        for node in messages(self.graph, NODE):
            read = [_text(raw) for raw in messages(node, _NODE_INPUT)]
            if read:
                makers.update(dict.fromkeys((_text(raw) for raw in messages(node, _NODE_OUTPUT)), read[0]))
        return makers


def read_interface(data: bytes) -> Interface:
    """Read it from an ONNX file (whole, as ``read_network`` gives it)."""
    graph = next(messages(memoryview(data), GRAPH), b"")
    values: set[str] = set()
    inputs, outputs = [], []
    for number, raw in fields(graph):
        if isinstance(raw, int):
            continue
        if number == _INITIALIZER:
            values.update(_text(name) for name in messages(raw, _TENSOR_NAME))
        elif number == _INPUT:
            inputs.append(_input(raw))
        elif number == _OUTPUT:
            outputs.append(_name(raw))
    return Interface(tuple(each for each in inputs if each.name not in values), tuple(outputs), graph)


def _input(value: Raw) -> DeclaredInput:
    """A ``ValueInfoProto`` (type 2) of a ``TypeProto`` (tensor_type 1) of elem_type 1 and shape 2."""
    element, shape = 0, None
    for kind in messages(value, 2):
        for tensor in messages(kind, 1):
            for number, raw in fields(tensor):
                if number == 1 and isinstance(raw, int):
                    element = raw
                elif number == 2 and not isinstance(raw, int):
                    shape = tuple(_length(dimension) for dimension in messages(raw, 1))
    return DeclaredInput(_name(value), element, shape)


def _length(dimension: Raw) -> int | str | None:
    """A length (field 1), or its name (field 2); exporters write -1 too for what is open."""
    for number, raw in fields(dimension):
        if number in (1, 2):
            return _text(raw) if not isinstance(raw, int) else raw if raw < 2**31 else None
    return None


def _name(value: Raw) -> str:
    return next((_text(raw) for raw in messages(value, 1)), "")


def _text(raw: Raw) -> str:
    return bytes(raw).decode(errors="replace")
