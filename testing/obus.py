"""The open bitstream units of AV1: as its encoder writes them, with sizes, and as RTP carries them, without."""

from __future__ import annotations

from collections.abc import Iterator

_HAS_SIZE, _HAS_EXTENSION = 2, 4
_DELIMITER = 2


def split(data: bytes) -> Iterator[bytes]:
    """The units of ``data`` without their sizes, and without temporal delimiters, which RTP does not carry."""
    at = 0
    while at < len(data):
        head = 2 if data[at] & _HAS_EXTENSION else 1
        size, length = _read_size(data, at + head)
        start = at + head + length
        if data[at] >> 3 & 15 != _DELIMITER:
            yield bytes([data[at] & ~_HAS_SIZE]) + data[at + 1 : at + head] + data[start : start + size]
        at = start + size


def with_size(unit: bytes) -> bytes:
    """The unit with its size in it."""
    head = 2 if unit[0] & _HAS_EXTENSION else 1
    left, coded = len(unit) - head, bytearray()
    while left > 127:
        coded.append(left & 127 | 128)
        left >>= 7
    return bytes([unit[0] | _HAS_SIZE]) + unit[1:head] + bytes(coded) + bytes([left]) + unit[head:]


def _read_size(data: bytes, at: int) -> tuple[int, int]:
    """A number in LEB128, and how many bytes it has."""
    size = length = 0
    while True:
        byte = data[at + length]
        size |= (byte & 127) << 7 * length
        length += 1
        if byte < 128:
            return size, length
