"""Reading and resizing exported ONNX files without any package.

An ONNX file is a protocol-buffers message. Reading its metadata and replacing the few numbers that
depend on the input's size needs only the wire format, so that a machine that runs a model needs
neither torch nor onnx: one exported file serves every frame geometry.

Source: onnx/onnx.proto (IR version 8).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..pipeline.errors import CheckpointError
from .wire import Raw, encode, fields, int64_bytes, tensor, text, value_info

_GRAPH, _METADATA = 7, 14  # fields of ModelProto
_INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 5, 11, 12, 13  # fields of GraphProto
_INT64 = 7  # TensorProto.DataType
_ELEMENTS = {"int64": _INT64, "float32": 1}


def read_metadata(path: Path) -> dict[str, str]:
    """The ``metadata_props`` of an ONNX file; empty where it has none.

    Raises:
        CheckpointError: the file cannot be read or is no ONNX file.
    """
    metadata = {}
    for number, _, value in fields(_read(path), path):
        if number == _METADATA:
            metadata[text(value, 1, path)] = text(value, 2, path)
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
    held = {name: (_INT64, (len(values),), int64_bytes(values)) for name, values in constants.items()}
    held |= {name: (_ELEMENTS[table.dtype.name], table.shape, table.tobytes()) for name, table in tables.items()}
    missing = {*inputs, *outputs, *held}

    def shaped(value: Raw, shapes: Mapping[str, tuple[int, ...]]) -> bytes:
        name = text(value, 1, path)
        if name not in shapes:
            raise CheckpointError(f"{path} has an unknown input or output {name!r}; known: {', '.join(shapes)}")
        missing.discard(name)
        return value_info(value, shapes[name], path)

    def constant(value: Raw) -> Raw:
        name = text(value, 8, path)
        if name not in held:
            return value
        missing.discard(name)
        return tensor(name, *held[name])

    rewrite: dict[int, Callable[[Raw], Raw]] = {
        _INPUT: lambda value: shaped(value, inputs),
        _OUTPUT: lambda value: shaped(value, outputs),
        _INITIALIZER: constant,
    }

    def graph(value: Raw) -> bytes:
        kept = (field for field in fields(value, path) if field[0] != _VALUE_INFO)
        return b"".join(
            encode(number, wire, rewrite[number](raw) if number in rewrite else raw) for number, wire, raw in kept
        )

    resized = b"".join(
        encode(number, wire, graph(raw) if number == _GRAPH else raw) for number, wire, raw in fields(_read(path), path)
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
