"""The wire format of protocol buffers, as far as reading and rewriting an ONNX file needs it.

Source: https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from ..pipeline.errors import CheckpointError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types."""

Raw: TypeAlias = bytes | memoryview
"""The bytes of a message; a view where the file is large, so that nothing is copied to look into it."""

Field: TypeAlias = tuple[int, int, Raw]
"""Field number, wire type and raw value (for ``VARINT`` its encoded bytes)."""


def fields(message: Raw, path: Path) -> Iterator[Field]:
    """The fields of one message, in file order; values of a view are views.

    Raises:
        CheckpointError: ``message``, of the file ``path``, is cut short or no such message.
    """
    position = 0
    try:
        while position < len(message):
            tag, position = decode_varint(message, position)
            number, wire = tag >> 3, tag & 7
            start = position
            if wire == VARINT:
                _, end = decode_varint(message, position)
            elif wire == BYTES:
                length, start = decode_varint(message, position)
                end = start + length
            elif wire in (FIXED64, FIXED32):
                end = start + (8 if wire == FIXED64 else 4)
            else:
                raise ValueError(f"wire type {wire}")
            if number == 0 or end > len(message):
                raise ValueError("cut short")
            yield number, wire, message[start:end]
            position = end
    except (IndexError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged or no ONNX file ({error})") from error


def decode_varint(message: Raw, position: int = 0) -> tuple[int, int]:
    """The variable-length number at ``position``, and the position behind it.

    Raises:
        IndexError: the message ends before.
        ValueError: the number has more than 64 bits.
    """
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def signed(value: int) -> int:
    """A decoded number as the int64 that it stands for."""
    return value - 2**64 if value >= 2**63 else value


def encode_varint(value: int) -> bytes:
    """A number from 0 as its variable-length bytes."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def encode(number: int, wire: int, raw: Raw) -> bytes:
    """One field."""
    tag = encode_varint(number << 3 | wire)
    return b"".join((tag, encode_varint(len(raw)) if wire == BYTES else b"", raw))


def text(message: Raw, wanted: int, path: Path) -> str:
    """The first text of field ``wanted``; "" where there is none.

    Raises:
        CheckpointError: it is no text.
    """
    raw = child(message, wanted, path)
    try:
        return "" if raw is None else bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path} is damaged or no ONNX file (a name that is no text)") from error


def child(message: Raw, wanted: int, path: Path) -> Raw | None:
    """The first message (or text) of field ``wanted``, or None."""
    return next((raw for number, wire, raw in fields(message, path) if number == wanted and wire == BYTES), None)


def number(message: Raw, wanted: int, path: Path) -> int | None:
    """The first number of field ``wanted``, or None."""
    return next((signed(decode_varint(raw)[0]) for each, wire, raw in fields(message, path)
                 if each == wanted and wire == VARINT), None)  # fmt: skip


def numbers(message: Raw, wanted: int, path: Path) -> tuple[int, ...]:
    """All numbers of a repeated field, packed or not."""
    found: list[int] = []
    for each, wire, raw in fields(message, path):
        if each != wanted:
            continue
        position = 0
        while position < len(raw):
            value, position = decode_varint(raw, position)
            found.append(signed(value))
        if wire not in (VARINT, BYTES):
            raise CheckpointError(f"{path} is damaged or no ONNX file (wire type {wire} for whole numbers)")
    return tuple(found)


def value_info(message: Raw, shape: tuple[int, ...] | None, path: Path) -> bytes:
    """A ``ValueInfoProto`` (name 1, type 2) with another shape, or with none; the element type stays.

    Raises:
        CheckpointError: it is no tensor.
    """
    tensor_type = child(child(message, 2, path) or b"", 1, path)  # TypeProto.tensor_type
    element = None if tensor_type is None else number(tensor_type, 1, path)
    if element is None:
        raise CheckpointError(f"{path} is damaged or no ONNX file ({text(message, 1, path)!r} is no tensor)")
    tensor = encode(1, VARINT, encode_varint(element))
    if shape is not None:
        dims = b"".join(encode(1, BYTES, encode(1, VARINT, encode_varint(length))) for length in shape)
        tensor += encode(2, BYTES, dims)
    name = encode(1, BYTES, text(message, 1, path).encode())
    return name + encode(2, BYTES, encode(1, BYTES, tensor))


def tensor(name: str, element: int, shape: tuple[int, ...], values: Raw) -> bytes:
    """A ``TensorProto``: dims 1, data_type 2, name 8, raw_data 9 (little endian)."""
    dims = b"".join(encode(1, VARINT, encode_varint(length)) for length in shape)
    data_type = encode(2, VARINT, encode_varint(element))
    return dims + data_type + encode(8, BYTES, name.encode()) + encode(9, BYTES, values)


def int64_bytes(values: tuple[int, ...]) -> bytes:
    """Whole numbers as ``raw_data``."""
    return struct.pack(f"<{len(values)}q", *values)
