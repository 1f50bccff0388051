"""Reading and resizing exported ONNX files without any package.

An ONNX file is a protocol-buffers message. Reading its metadata and replacing the few numbers that
depend on the input's size needs only the wire format, so that a machine that runs a model needs
neither torch nor onnx: one exported file serves every frame geometry.

Source: protobuf.dev/programming-guides/encoding and onnx/onnx.proto (IR version 8).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..pipeline.errors import CheckpointError

_GRAPH, _METADATA = 7, 14  # fields of ModelProto
_INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 5, 11, 12, 13  # fields of GraphProto
_INT64 = 7  # TensorProto.DataType
_ELEMENTS = {"int64": _INT64, "float32": 1}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types

Field = tuple[int, int, bytes]
"""Field number, wire type and raw value (for ``_VARINT`` its encoded bytes)."""


def read_metadata(path: Path) -> dict[str, str]:
    """The ``metadata_props`` of an ONNX file; empty where it has none.

    Raises:
        CheckpointError: the file cannot be read or is no ONNX file.
    """
    metadata = {}
    for number, _, value in _fields(_read(path), path):
        if number == _METADATA:
            entry = {key: text.decode() for key, _, text in _fields(value, path)}
            metadata[entry.get(1, "")] = entry.get(2, "")
    return metadata


def resize_graph(
    path: Path,
    *,
    inputs: Mapping[str, tuple[int, ...]],
    outputs: Mapping[str, tuple[int, ...]],
    constants: Mapping[str, tuple[int, ...]],
    tables: Mapping[str, NDArray[Any]],
) -> bytes:
    """The ONNX file with other static shapes.

    Args:
        path: a file of :func:`.onnx_export.export_graph`.
        inputs, outputs: name -> shape, for every input and output.
        constants: name -> values of the int64 vectors that depend on the size.
        tables: name -> int64 or float32 arrays that depend on it.

    Raises:
        CheckpointError: the file cannot be read, or lacks one of the names.
    """
    held = {
        name: (_INT64, (len(values),), struct.pack(f"<{len(values)}q", *values)) for name, values in constants.items()
    }
    held |= {name: (_ELEMENTS[table.dtype.name], table.shape, table.tobytes()) for name, table in tables.items()}
    missing = {*inputs, *outputs, *held}

    def shaped(value: bytes, shapes: Mapping[str, tuple[int, ...]]) -> bytes:
        name = _text(value, 1, path)
        if name not in shapes:
            raise CheckpointError(f"{path} has an unknown input or output {name!r}; known: {', '.join(shapes)}")
        missing.discard(name)
        return _value_info(value, shapes[name], path)

    def constant(value: bytes) -> bytes:
        name = _text(value, 8, path)
        if name not in held:
            return value
        missing.discard(name)
        return _tensor(name, *held[name])

    rewrite: dict[int, Callable[[bytes], bytes]] = {
        _INPUT: lambda value: shaped(value, inputs),
        _OUTPUT: lambda value: shaped(value, outputs),
        _INITIALIZER: constant,
    }

    def graph(value: bytes) -> bytes:
        kept = (field for field in _fields(value, path) if field[0] != _VALUE_INFO)
        return b"".join(
            _encode(number, wire, rewrite[number](raw) if number in rewrite else raw) for number, wire, raw in kept
        )

    resized = b"".join(
        _encode(number, wire, graph(raw) if number == _GRAPH else raw)
        for number, wire, raw in _fields(_read(path), path)
    )
    if missing:
        raise CheckpointError(f"{path} cannot be resized: it lacks {', '.join(sorted(missing))}")
    return resized


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(f"no such weights file: {path}") from error
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}") from error


def _fields(message: bytes, path: Path) -> Iterator[Field]:
    """The fields of one message, in file order."""
    position = 0
    try:
        while position < len(message):
            tag, position = _varint(message, position)
            number, wire = tag >> 3, tag & 7
            start = position
            if wire == _VARINT:
                _, end = _varint(message, position)
            elif wire == _BYTES:
                length, start = _varint(message, position)
                end = start + length
            elif wire in (_FIXED64, _FIXED32):
                end = start + (8 if wire == _FIXED64 else 4)
            else:
                raise ValueError(f"wire type {wire}")
            if number == 0 or end > len(message):
                raise ValueError("cut short")
            yield number, wire, message[start:end]
            position = end
    except (IndexError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or no ONNX file ({error})") from error


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """The variable-length number at ``position``, and the position behind it."""
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _encode(number: int, wire: int, raw: bytes) -> bytes:
    tag = _encode_varint(number << 3 | wire)
    return tag + (_encode_varint(len(raw)) if wire == _BYTES else b"") + raw


def _text(message: bytes, wanted: int, path: Path) -> str:
    return next((raw.decode() for number, _, raw in _fields(message, path) if number == wanted), "")


def _value_info(message: bytes, shape: tuple[int, ...], path: Path) -> bytes:
    """A ``ValueInfoProto`` (name 1, type 2) with another shape; the element type stays."""
    tensor_type = _child(_child(message, 2, path), 1, path)  # TypeProto.tensor_type
    element = next(raw for number, _, raw in _fields(tensor_type, path) if number == 1)
    dims = b"".join(_encode(1, _BYTES, _encode(1, _VARINT, _encode_varint(n))) for n in shape)
    tensor = _encode(1, _VARINT, element) + _encode(2, _BYTES, dims)
    return _encode(1, _BYTES, _text(message, 1, path).encode()) + _encode(2, _BYTES, _encode(1, _BYTES, tensor))


def _child(message: bytes, wanted: int, path: Path) -> bytes:
    child = next((raw for number, wire, raw in _fields(message, path) if number == wanted and wire == _BYTES), None)
    if child is None:
        raise CheckpointError(f"{path} is damaged or no ONNX file (a value without a type)")
    return child


def _tensor(name: str, element: int, shape: tuple[int, ...], values: bytes) -> bytes:
    """A ``TensorProto``: dims 1, data_type 2, name 8, raw_data 9 (little endian)."""
    dims = b"".join(_encode(1, _VARINT, _encode_varint(length)) for length in shape)
    data_type = _encode(2, _VARINT, _encode_varint(element))
    return dims + data_type + _encode(8, _BYTES, name.encode()) + _encode(9, _BYTES, values)
