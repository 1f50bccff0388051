"""What FFmpeg does not say of an image file: its Exif orientation, mirrored ones too, and whether it is cut off."""

from __future__ import annotations

import struct

from .av_picture import UPRIGHT, Orientation

_PNG = b"\x89PNG\r\n\x1a\n"
_ORIENTATION_TAG, _WIDTH_TAG, _HEIGHT_TAG = 0x0112, 0x0100, 0x0101
_PACKED = (b"zTXt", b"iCCP")
_MOST_PACKED = 1 << 16  # bytes: they come to a thousand times as many at most
_LONG = 4  # kind of a TIFF value: 32 bits
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


def without_packed_notes(data: bytes) -> bytes:
    """A PNG file without compressed texts and colour profile where these are long: FFmpeg unpacks them, whatever they
    come to, and nothing here reads them. Other files as they are.

    Source: PNG third edition, 11.3.2.3 (iCCP) and 11.3.3.3 (zTXt).
    """
    if data[:8] != _PNG or not any(kind in data for kind in _PACKED):
        return data
    kept, packed, place = [data[:8]], 0, 8
    while place + 8 <= len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        if data[place + 4 : place + 8] in _PACKED:
            packed += end - place
        else:
            kept.append(data[place:end])
        place = end
    return b"".join(kept) if packed > _MOST_PACKED else data


def announced_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) as the head of a PNG, JPEG, GIF, BMP, WebP or TIFF file says, not turned; None: not known.

    Source: PNG third edition 11.2.1, ITU-T T.81 B.2.2, GIF89a 18, BITMAPINFOHEADER, RFC 9649 2.5 to 2.7,
    TIFF 6.0 section 8.
    """
    try:
        width, height = _announced(data)
    except (struct.error, IndexError):  # cut off in the middle
        return None
    return (height, width) if width > 0 and height > 0 else None


def _announced(data: bytes) -> tuple[int, int]:
    if data[:8] == _PNG:
        return struct.unpack_from(">II", data, 16)
    if data[:4] == b"GIF8":
        return struct.unpack_from("<HH", data, 6)
    if data[:2] == b"BM":
        width, height = struct.unpack_from("<ii", data, 18)
        return width, abs(height)
    if data[:4] == b"RIFF" and data[12:16] == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if data[:4] == b"RIFF" and data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if data[:4] == b"RIFF" and data[12:16] == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _first_value(data, _WIDTH_TAG), _first_value(data, _HEIGHT_TAG)
    place = 2
    while data[:2] == b"\xff\xd8" and data[place] == 0xFF:  # the segments of a JPEG
        if 0xC0 <= data[place + 1] <= 0xCF and data[place + 1] not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", data, place + 5)
            return width, height
        place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    return 0, 0


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
    return _first_value(block, _ORIENTATION_TAG) or 1


def _first_value(block: bytes, wanted: int) -> int:
    """The value of a tag in the first directory of a TIFF structure, one of 16 or 32 bits; 0 where it has none."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 0
    (place,) = struct.unpack_from(f"{order}I", block, 4)
    (count,) = struct.unpack_from(f"{order}H", block, place)
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", block, entry)
        if tag == wanted:
            return int(value) if kind != _LONG else int(struct.unpack_from(f"{order}I", block, entry + 8)[0])
    return 0
