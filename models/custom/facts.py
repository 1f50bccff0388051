"""What an ONNX file itself says, read from the wire format: inputs, outputs, metadata, operators, further files.

Source: onnx.proto (field numbers, element types).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from ...pipeline.beside import beside
from ...pipeline.errors import CheckpointError
from ..wire import BYTES, Raw, child, decode_varint, fields, number, numbers, text
from .inside import takes_bytes

Shape: TypeAlias = tuple[int | str | None, ...]
"""Lengths; a text where the file only names one, None where it says nothing."""

IR_VERSION, PRODUCER, PRODUCER_VERSION, GRAPH, OPSET, METADATA = 1, 2, 3, 7, 8, 14  # fields of ModelProto
NODE, INITIALIZER, INPUT, OUTPUT, VALUE_INFO = 1, 5, 11, 12, 13  # fields of GraphProto
DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
}  # fmt: skip
"""TensorProto.DataType -> name."""


_MOST_A_BYTE = 4
"""Elements of a tensor that a byte holds, those of two bits."""


@dataclass(frozen=True, slots=True)
class TensorFact:
    """One input or output as the file declares it; ``shape`` is None where even the rank is open."""

    name: str
    dtype: str
    shape: Shape | None

    @property
    def fixed(self) -> bool:
        """Whether every length is a number."""
        return self.shape is not None and all(isinstance(length, int) for length in self.shape)

    def __str__(self) -> str:
        return f"{self.name} ({self.dtype} {shape_text(self.shape)})"


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """What a file says of itself.

    Attributes:
        inputs: what must be fed; initial values are none, even where the file lists them.
        outputs: in the order of the file.
        metadata: ``metadata_props``.
        opset: of ONNX's own operators.
        external_files: names, relative to the file, of further files that hold weights.
        producer: what wrote the file.
        parameters: elements of all its weights.
        normalised: names of inputs whose values the graph normalises itself, see :func:`.inside.takes_bytes`.
    """

    inputs: tuple[TensorFact, ...]
    outputs: tuple[TensorFact, ...]
    metadata: dict[str, str]
    opset: int
    external_files: tuple[str, ...]
    producer: str
    parameters: int
    normalised: frozenset[str] = frozenset()

    @property
    def fixed(self) -> bool:
        """Whether all inputs and outputs have fixed shapes."""
        return all(each.fixed for each in (*self.inputs, *self.outputs))


def read_file(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        CheckpointError: it is not there, or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"no such file: {path}") from error
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error


def read_facts(path: Path) -> NetworkFacts:
    """Read what an ONNX file says.

    Raises:
        CheckpointError: it is missing, damaged, cut short, no network, or says no opset, or a file of its
            weights is missing.
    """
    return facts_of(memoryview(read_file(path)), path)


def facts_of(data: Raw, path: Path) -> NetworkFacts:
    """As :func:`read_facts`, of bytes that are read; ``path`` is for messages and for the files beside it."""
    metadata: dict[str, str] = {}
    opset, graph = None, None
    producer = []
    for field, wire, raw in fields(data, path):
        if wire == BYTES:
            if field == GRAPH:
                graph = raw
            elif field == METADATA:
                metadata[text(raw, 1, path)] = text(raw, 2, path)
            elif field in (PRODUCER, PRODUCER_VERSION):
                producer.append(bytes(raw).decode(errors="replace"))
            elif field == OPSET and text(raw, 1, path) in ("", "ai.onnx"):
                opset = number(raw, 2, path)
    if graph is None:
        raise CheckpointError(f"{path} has no graph: it is damaged or no ONNX file; export the network again")
    if not opset:
        raise CheckpointError(f"{path} does not say its opset (the version of its operators); export the network again")
    weights, files, parameters = _weights(graph, path)
    inputs = tuple(fact for fact in _values(graph, INPUT, path) if fact.name not in weights)
    outputs = tuple(_values(graph, OUTPUT, path))
    if not inputs or not outputs:
        raise CheckpointError(f"{path} has no {'input' if not inputs else 'output'}; export the network again")
    pictures = [fact.name for fact in inputs if fact.shape is not None and len(fact.shape) == 4]
    normalised = frozenset(name for name in pictures if takes_bytes(graph, name, path))
    written_by = " ".join(filter(None, producer))
    return NetworkFacts(inputs, outputs, metadata, opset, files, written_by, parameters, normalised)


def check_beside(path: Path, file: str) -> Path:
    """The path of a file of weights that ``path`` names.

    Raises:
        CheckpointError: it is not there, or not in the folder of ``path`` (or below).
    """
    try:
        found = beside(path, file)
    except ValueError as error:
        raise CheckpointError(f"{path} keeps weights in {error}; export the network again") from error
    if not found.is_file():
        raise CheckpointError(
            f"{path} keeps weights in {file[:200]!r}, which is not beside it; keep both in one folder"
        )
    return found


def external_data(tensor: Raw, path: Path) -> dict[str, str]:
    """Where a tensor's values are if not in the tensor: ``location``, ``offset``, ``length``; else empty."""
    if number(tensor, 14, path) != 1:  # TensorProto.data_location: EXTERNAL
        return {}
    return {text(raw, 1, path): text(raw, 2, path) for field, _, raw in fields(tensor, path) if field == 13}


def shape_text(shape: Shape | None) -> str:
    """``[1, 3, height, ?]``; ``of any shape`` where the rank is open."""
    if shape is None:
        return "of any shape"
    return "[" + ", ".join("?" if length is None else str(length) for length in shape) + "]"


def _weights(graph: Raw, path: Path) -> tuple[frozenset[str], tuple[str, ...], int]:
    """Names of the initial values, further files they lie in, and their elements together."""
    names, files, count = set(), dict[str, None](), 0
    for field, _, raw in fields(graph, path):
        if field != INITIALIZER:
            continue
        names.add(text(raw, 8, path))
        external = external_data(raw, path)
        if external:
            files[external.get("location", "")] = None
        elements = 1
        for length in numbers(raw, 1, path):
            elements *= length
        held = check_beside(path, external.get("location", "")).stat().st_size if external else len(raw)
        if not 0 <= elements <= _MOST_A_BYTE * held:
            name = text(raw, 8, path)
            raise CheckpointError(f"{path} is damaged: its tensor {name[:80]!r} is larger than what holds it")
        count += elements
    return frozenset(names), tuple(files), count


def _values(graph: Raw, wanted: int, path: Path) -> Iterator[TensorFact]:
    for field, _, raw in fields(graph, path):
        if field == wanted:
            yield _tensor_fact(raw, path)


def _tensor_fact(value: Raw, path: Path) -> TensorFact:
    name = text(value, 1, path)
    tensor = child(child(value, 2, path) or b"", 1, path)
    if tensor is None:
        return TensorFact(name, "no tensor", None)
    element = number(tensor, 1, path)
    dtype = DTYPES.get(element or 0, f"element type {element}")
    shape = child(tensor, 2, path)
    if shape is None:
        return TensorFact(name, dtype, None)
    return TensorFact(name, dtype, tuple(_length(raw, path) for field, _, raw in fields(shape, path) if field == 1))


def _length(dimension: Raw, path: Path) -> int | str | None:
    """A length from 1, its name, or None; exporters write 0 and -1 too for what is open."""
    for field, _, raw in fields(dimension, path):
        if field == 1:
            value, _ = decode_varint(raw)
            return value if 0 < value < 2**31 else None
        if field == 2:
            return bytes(raw).decode(errors="replace") or None
    return None
