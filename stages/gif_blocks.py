"""What the blocks of a GIF say of damage, which FFmpeg passes over. Source: GIF89a specification, sections 17 to 27."""

from __future__ import annotations

import re

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
# A graphic control extension, with no bits where none may be, and the beginning of the image that belongs to it.
_PICTURE = re.compile(rb"!\xf9\x04[\x00-\x1f]...\x00,", re.DOTALL)


def further_pictures(packet: bytes) -> int:
    """How many pictures one packet holds beyond its first: FFmpeg finds the next packet late where blocks are broken."""
    return max(0, len(_PICTURE.findall(packet)) - 1)


def ends_whole(packet: bytes) -> bool:
    """Whether the blocks of a GIF's last packet are whole up to the trailer."""
    place = 0
    if packet[:4] == b"GIF8":
        place = 13 + _table_bytes(packet[10])
    while place < len(packet):
        kind = packet[place]
        if kind == _TRAILER:
            return True
        if kind == _EXTENSION:
            place += 2
        elif kind == _IMAGE and place + 10 < len(packet):
            place += 11 + _table_bytes(packet[place + 9])
        else:
            return False
        while place < len(packet) and packet[place]:
            place += 1 + packet[place]
        place += 1
    return False


def _table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
