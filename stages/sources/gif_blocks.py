"""What the blocks of a GIF say of damage, which FFmpeg passes over. Source: GIF89a specification, sections 17 to 27."""

from __future__ import annotations

import re

_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
# A graphic control extension, with no bits where none may be, and the beginning of the image that belongs to it.
_PICTURE = re.compile(rb"!\xf9\x04[\x00-\x1f]...\x00,", re.DOTALL)


def further_pictures(packet: bytes) -> int:
    """How many pictures a packet holds beyond its first: where blocks are broken, FFmpeg finds the next one late."""
    return max(0, len(_PICTURE.findall(packet)) - 1)


def ends_whole(packet: bytes) -> bool:
    """Whether the blocks of a GIF's last packet are whole up to the trailer."""
    place = 13 + _table_bytes(packet[10]) if packet[:4] == b"GIF8" and len(packet) > 13 else 0
    while place < len(packet):
        kind = packet[place]
        if kind == _EXTENSION:
            place += 2
        elif kind == _IMAGE and place + 9 < len(packet):
            place += 11 + _table_bytes(packet[place + 9])
        else:
            return kind == _TRAILER
        while place < len(packet) and packet[place]:
            place += 1 + packet[place]
        place += 1
    return False


def _table_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
