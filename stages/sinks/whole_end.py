"""How far a video file that is not finished is whole: to the end of its last fragment (MP4) or cluster (Matroska)."""

from __future__ import annotations

import os

_FTYP, _MOOF, _MDAT, _MOOV = b"ftyp", b"moof", b"mdat", b"moov"
_EBML, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675


def whole_end(descriptor: int) -> int | None:
    """The length up to which a file has whole pictures; all of it where it is finished, 0 where there are none yet.

    None: it is neither an MP4 nor a Matroska file.
    """
    size = os.fstat(descriptor).st_size
    if size == 0:
        return 0
    start = os.pread(descriptor, 8, 0)
    if start[4:8] == _FTYP:
        return _end_of_fragments(descriptor, size)
    if start[:4] == _EBML.to_bytes(4, "big"):
        return _end_of_clusters(descriptor, size)
    return None


def _end_of_fragments(descriptor: int, size: int) -> int:
    """Source: ISO/IEC 14496-12, 4.2 (boxes), 8.8 (fragments). A finished file has one ``mdat``, then its index."""
    place, end, fragmented, kind = 0, 0, False, b""
    while place + 8 <= size:
        before = kind
        header = os.pread(descriptor, 16, place)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        place += length
        if length < 8 or place > size:
            break
        fragmented |= kind == _MOOF
        if before == _MOOF and kind == _MDAT:
            end = place
        elif before == _MDAT and kind == _MOOV and not fragmented:
            return size
    return end


def _end_of_clusters(descriptor: int, size: int) -> int:
    """Source: RFC 8794, 4 to 6 (elements); RFC 9559, 5.1 (the segment, of unknown length until it is finished)."""
    place, end = 0, 0
    while place < size:
        kind, length, place = _element(descriptor, place)
        if kind == _SEGMENT:
            continue
        if length is None or place + length > size:
            break
        place += length
        if kind == _CLUSTER or end:
            end = place
    return end


def _element(descriptor: int, place: int) -> tuple[int, int | None, int]:
    """Identifier and length (None: unknown, or not whole) of the element at ``place``, and where its content begins."""
    header = os.pread(descriptor, 12, place)
    id_bytes = 9 - header[0].bit_length()
    size_bytes = 9 - header[id_bytes].bit_length() if id_bytes < len(header) else 9
    if id_bytes > 4 or size_bytes > 8 or id_bytes + size_bytes > len(header):
        return 0, None, place
    content = id_bytes + size_bytes
    value = int.from_bytes(header[id_bytes:content], "big") & ((1 << 7 * size_bytes) - 1)
    unknown = value == (1 << 7 * size_bytes) - 1
    return int.from_bytes(header[:id_bytes], "big"), None if unknown else value, place + content
