"""What can be said of an ONNX file without any library: is it one, is it whole, what is it made of.

An ONNX file is one protobuf message (``ModelProto``); weights may lie in further files that it names.
Source: https://protobuf.dev/programming-guides/encoding and onnx.proto3 (field numbers).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from ..pipeline.beside import beside
from ..pipeline.errors import EngineError

Raw: TypeAlias = bytes | memoryview
"""The bytes of a message; a view where the file is large, so that nothing is copied to look into it."""

GRAPH = 7  # ModelProto.graph
NODE = 1  # GraphProto.node
_OPSET, _OPSET_VERSION = 8, 2  # ModelProto.opset_import, OperatorSetIdProto.version
_NEWEST_OPSET = 1000  # versions count up by about two a year, and are below 30 in 2026
_OP_TYPE = 4  # NodeProto.op_type
_QUANTISED = (b"QuantizeLinear", b"QLinearConv", b"QLinearMatMul")
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LOCATION = b"\n\x08location\x12"  # StringStringEntryProto of key "location", then the tag of its value


def read_network(path: Path) -> bytes:
    """The bytes of an ONNX file.

    Raises:
        EngineError: the file cannot be read, is not an ONNX network, or is cut short.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EngineError(f"cannot read network {path}: {error.strerror or error}") from error
    problem = _problem(data) or _opset_problem(data)
    if problem:
        raise EngineError(f"cannot open {path.name}: {problem}; export the network again")
    return data


def network_digest(path: Path, data: bytes) -> str:
    """SHA-256 (hex) over an ONNX file and the files its weights lie in.

    Raises:
        EngineError: a file of weights is missing, or lies outside of the folder.
    """
    digest = hashlib.sha256(data)
    for location in external_files(data):
        try:
            with beside(path, location).open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        except ValueError as error:
            raise EngineError(
                f"cannot open {path.name}: it keeps weights in {error}; export the network again"
            ) from error
        except OSError as error:
            raise EngineError(
                f"cannot open {path.name}: its weights are in {location!r}, which cannot be read "
                f"({error.strerror or error}); keep both files in one folder"
            ) from error
    return digest.hexdigest()


def external_files(data: bytes) -> tuple[str, ...]:
    """Names (relative to the file) of the further files an ONNX file keeps weights in; mostly none."""
    found: dict[str, None] = {}
    position = data.find(_LOCATION)
    while position >= 0:
        start = position + len(_LOCATION)
        length, start = _varint(data, start)
        if length is not None and start + length <= len(data):
            found[data[start : start + length].decode(errors="replace")] = None
        position = data.find(_LOCATION, start)
    return tuple(found)


def is_quantised(data: bytes) -> bool:
    """Whether an ONNX file (whole, as :func:`read_network` gives it) has quantised operators: it computes in int8."""
    for graph in messages(memoryview(data), GRAPH):
        for node in messages(graph, NODE):
            if any(kind in _QUANTISED for kind in messages(node, _OP_TYPE)):
                return True
    return False


def messages(data: Raw, wanted: int) -> Iterator[Raw]:
    """The values of one field of a message, where it is text, bytes or a message; of a view they are views."""
    return (value for number, value in fields(data) if number == wanted and not isinstance(value, int))


def fields(data: Raw) -> Iterator[tuple[int, Raw | int]]:
    """Number and value of a message's fields that are numbers, text, bytes or messages; it ends where they are cut."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        if tag is None:
            return
        kind = tag & 7
        if kind in (_VARINT, _BYTES):
            value, position = _varint(data, position)
            if value is None:
                return
            yield tag >> 3, value if kind == _VARINT else data[position : position + value]
            position += value if kind == _BYTES else 0
        else:
            position += 8 if kind == _FIXED64 else 4


def _problem(data: bytes) -> str | None:
    """Walk the top-level fields; say what is wrong, or None."""
    position, has_graph = 0, False
    while position < len(data):
        tag, position = _varint(data, position)
        if tag is None:
            return "the file is cut short" if has_graph else "it is not an ONNX network"
        field, kind = tag >> 3, tag & 7
        if field == 0 or kind not in (_VARINT, _FIXED64, _BYTES, _FIXED32):
            return "it is not an ONNX network"
        if kind == _VARINT:
            value, position = _varint(data, position)
            if value is None:
                return "the file is cut short"
        elif kind == _BYTES:
            length, position = _varint(data, position)
            has_graph = has_graph or field == GRAPH
            if length is None or position + length > len(data):
                return "the file is cut short" if has_graph else "it is not an ONNX network"
            position += length
        else:
            position += 8 if kind == _FIXED64 else 4
    return None if has_graph else "it is not an ONNX network"


def _opset_problem(data: bytes) -> str | None:
    """Say which version of operators there cannot be; OpenVINO looks through all below it, one by one."""
    for opset in messages(memoryview(data), _OPSET):
        for number, version in fields(opset):
            if number == _OPSET_VERSION and isinstance(version, int) and version > _NEWEST_OPSET:
                return f"it asks for version {version} of the operators, and there are not so many"
    return None


def _varint(data: Raw, position: int) -> tuple[int | None, int]:
    """A base-128 number at ``position`` and where it ends; None where the data ends first."""
    value = 0
    for count, byte in enumerate(data[position : position + 10]):
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, position + count + 1
    return None, position
