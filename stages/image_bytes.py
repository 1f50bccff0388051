"""What FFmpeg does not say of an image file: its Exif orientation, mirrored ones too, and whether it is cut off."""

from __future__ import annotations

import struct

from .av_picture import UPRIGHT, Orientation

_PNG = b"\x89PNG\r\n\x1a\n"
_ORIENTATION_TAG = 0x0112
_HEAD = 1 << 18  # bytes in which the data of a JPEG is looked for; it stands before the pixels

# Source: Exif 2.32 (CIPA DC-008), 4.6.4 A, tag Orientation; 5 and 7 are the transpositions.
_ORIENTATIONS = {
    1: UPRIGHT,
    2: Orientation(0, mirrored=True),
    3: Orientation(180),
    4: Orientation(180, mirrored=True),
    5: Orientation(270, mirrored=True),
    6: Orientation(90),
    7: Orientation(90, mirrored=True),
    8: Orientation(270),
}


def exif_orientation(data: bytes) -> Orientation:
    """How a JPEG, PNG, WebP or TIFF file says to turn it; upright where it says nothing (legible)."""
    block = _exif_block(data)
    try:
        return _ORIENTATIONS.get(_orientation_value(block), UPRIGHT)
    except struct.error:  # cut off in the middle
        return UPRIGHT


def is_cut_off(data: bytes) -> bool:
    """Whether a JPEG, PNG or WebP file lacks its end; False for other kinds.

    Source: ITU-T T.81 B.1.1 (markers), PNG third edition 5.3, RFC 9649 2.3.
    """
    if data[:2] == b"\xff\xd8":
        place = 2
        while data[place : place + 2] != b"\xff\xda":  # segments up to the first scan; a thumbnail is inside of one
            length = int.from_bytes(data[place + 2 : place + 4], "big")
            if data[place : place + 1] != b"\xff" or length < 2:
                return place >= len(data)
            place += 2 + length
        return data.find(b"\xff\xd9", place) < 0
    if data[:8] == _PNG:
        return b"IEND" not in data
    return data[:4] == b"RIFF" and int.from_bytes(data[4:8], "little") + 8 > len(data)


def has_icc_profile(data: bytes) -> bool:
    """Whether a JPEG, PNG or WebP file seems to have a colour profile; False for other kinds."""
    mark = {b"\xff\xd8": b"ICC_PROFILE\0", b"\x89P": b"iCCP", b"RI": b"ICCP"}.get(data[:2])
    return mark is not None and data.find(mark, 0, _HEAD) >= 0


def _exif_block(data: bytes) -> bytes:
    """The TIFF structure with the Exif data, or nothing."""
    if data[:4] in (b"II*\0", b"MM\0*"):
        return data
    if data[:2] == b"\xff\xd8":
        place = data.find(b"Exif\0\0", 0, _HEAD)
        return data[place + 6 : place + 6 + (1 << 16)] if place >= 0 else b""
    if data[:8] == _PNG:
        return _chunk(data, 8, b"eXIf", ">I", name_first=False, extra=4, even=False)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _chunk(data, 12, b"EXIF", "<I", name_first=True, extra=0, even=True).removeprefix(b"Exif\0\0")
    return b""


def _chunk(
    data: bytes, place: int, name: bytes, size_format: str, *, name_first: bool, extra: int, even: bool
) -> bytes:
    """The content of the first chunk called ``name``; a chunk is 4 bytes each of name and size, then its content."""
    while place + 8 <= len(data):
        first, second = data[place : place + 4], data[place + 4 : place + 8]
        (size,) = struct.unpack(size_format, second if name_first else first)
        if (first if name_first else second) == name:
            return data[place + 8 : place + 8 + size]
        place += 8 + size + extra + (size % 2 if even else 0)
    return b""


def _orientation_value(block: bytes) -> int:
    """The value of the tag in the first directory of a TIFF structure; 1 where it has none."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 1
    (place,) = struct.unpack_from(f"{order}I", block, 4)
    (count,) = struct.unpack_from(f"{order}H", block, place)
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", block, entry)
        if tag == _ORIENTATION_TAG:
            return int(value)
    return 1
