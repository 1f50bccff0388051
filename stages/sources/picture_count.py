"""How many pictures an image file holds, from its headers: animations, pages, sequences."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

Data = bytes | mmap.mmap

_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_PAGES = 1_000_000  # of a TIFF: its directories may form a ring
SUBFILE_TYPE, LESSER_PAGE = 254, 1 | 4  # bits of a reduced version and of a mask. Source: TIFF 6.0, section 8
_SEQUENCES = (b"avis", b"msf1", b"hevc", b"hevx")
"""Brands of files with a sequence of pictures. Source: ISO/IEC 23008-12, 10; AV1 Image File Format, 6.3."""
_DERIVED = (b"grid", b"iovl")
"""Kinds of pictures that are put together from others. Source: ISO/IEC 23008-12, 6.6.2."""
_META = 1 << 18  # bytes in which the items of an AVIF or HEIF file are listed


def picture_count(data: Data) -> int:
    """Pictures in a PNG, WebP, GIF or TIFF file; 2 for an AVIF or HEIF file with a sequence; 1 for all others."""
    try:
        if data[:8] == _PNG:
            return _png_pictures(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return max(1, _webp_pictures(data))
        if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return max(1, _tiff_pages(data))
        if data[:6] in (b"GIF87a", b"GIF89a"):
            return max(1, _gif_pictures(data))
    except (struct.error, IndexError):  # cut off
        return 1
    return 2 if any(brand in _SEQUENCES for brand in _brands(data)) and b"moov" in data[: 1 << 20] else 1


def how_to_play(path: Path) -> Literal["image", "animation", "video"]:
    """What the pictures of an image file are: one, several for Pillow, or a sequence for FFmpeg, as in a video.

    What cannot be read is an image; whoever opens it says why.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if picture_count(data) == 1:
                return "image"
            return "video" if _brands(data) else "animation"
    except (OSError, ValueError):  # ValueError: empty
        return "image"


def is_put_together(data: Data) -> bool:
    """Whether the picture of an AVIF or HEIF file consists of tiles or layers, which FFmpeg gives one by one."""
    meta = bytes(data[:_META]) if _brands(data) else b""
    place = meta.find(b"pitm")
    if place < 0:
        return False
    long = meta[place + 4 : place + 5] != b"\0"  # version 0 has item numbers of 2 bytes. Source: ISO/IEC 14496-12, 8.11
    primary = meta[place + 8 : place + (12 if long else 10)]
    while (place := meta.find(b"infe", place + 1)) >= 0:
        end = place + 8 + (4 if meta[place + 4] == 3 else 2)
        if int.from_bytes(meta[place + 8 : end], "big") == int.from_bytes(primary, "big"):
            return meta[end + 2 : end + 6] in _DERIVED
    return False


def _brands(data: Data) -> list[bytes]:
    if data[4:8] != b"ftyp":
        return []
    box = bytes(data[8 : min(int.from_bytes(data[:4], "big"), 256)])
    return [box[place : place + 4] for place in range(0, len(box), 4)]


def _png_pictures(data: Data) -> int:
    """Source: PNG third edition, 11.3.6.1: acTL, with the number of pictures, stands before the first IDAT."""
    place = 8
    while data[place + 4 : place + 8] not in (b"IDAT", b"IEND", b""):
        size, kind = struct.unpack_from(">I4s", data, place)
        if kind == b"acTL":
            return max(1, int(struct.unpack_from(">I", data, place + 8)[0]))
        place += 12 + size
    return 1


def _webp_pictures(data: Data) -> int:
    """Source: RFC 9649, 2.7.1.1: each picture of an animation is a chunk ANMF; one that is cut off is counted."""
    if data[12:16] != b"VP8X" or not data[20] & 2:
        return 1
    return sum(kind == b"ANMF" for kind, _ in _chunks(data))


def _chunks(data: Data) -> Iterator[tuple[bytes, int]]:
    """Name and end of each chunk of a RIFF file; the end may lie behind that of the data."""
    place = 12
    while place + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, place)
        place += 8 + size + size % 2
        yield kind, place


def whole_chunks(data: bytes) -> bytes:
    """A WebP file without its end that is not there, since decoders refuse such a file; others as they are.

    Source: RFC 9649, 2.4: the size of all that follows stands after ``RIFF``.
    """
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or int.from_bytes(data[4:8], "little") + 8 <= len(data):
        return data
    end = max((end for _, end in _chunks(data) if end <= len(data)), default=12)
    return data[:4] + (end - 8).to_bytes(4, "little") + data[8:end]


def _tiff_pages(data: Data) -> int:
    """Pages of full size. Source: TIFF 6.0, section 2; BigTIFF, which has 8 bytes where that has 4 (or 2)."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    offset, number, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    (place,) = struct.unpack_from(order + offset, data, 8 if big else 4)
    seen: set[int] = set()
    pages = 0
    while place and place not in seen and len(seen) < _MOST_PAGES and place < len(data):
        seen.add(place)
        (entries,) = struct.unpack_from(order + number, data, place)
        place += 8 if big else 2
        pages += not _is_lesser_page(data, order, place, entries=entries, entry=entry)
        (place,) = struct.unpack_from(order + offset, data, place + entries * entry)
    return pages


def _is_lesser_page(data: Data, order: str, place: int, *, entries: int, entry: int) -> bool:
    if not entries:
        return True
    tag, _ = struct.unpack_from(f"{order}HH", data, place)  # entries are in the order of their tags: it is the first
    value = struct.unpack_from(f"{order}I", data, place + entry - (8 if entry == 20 else 4))[0]
    return bool(tag == SUBFILE_TYPE and value & LESSER_PAGE)


def _gif_pictures(data: Data) -> int:
    """Source: GIF89a, 17 to 26: blocks, each followed by sub-blocks up to an empty one."""
    place, count = 13 + _table(data[10]), 0
    while data[place] != 0x3B:
        if data[place] == 0x2C:
            count += 1
            place += 10 + _table(data[place + 9]) + 1
        else:
            place += 2
        while data[place]:
            place += 1 + data[place]
        place += 1
    return count


def _table(flags: int) -> int:
    """Bytes of a table of colours."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0
