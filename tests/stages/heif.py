"""HEIF files made box by box, of pictures coded with HEVC: one picture, or one of two tiles.

Source: ISO/IEC 14496-12, 8.11 (items), ISO/IEC 23008-12, 6.5 and 6.6.2.3 (properties, grid).
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def _full(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24), *parts)


def _coded(rgb: NDArray[np.uint8]) -> tuple[bytes, bytes]:
    """The decoder's configuration (hvcC) and the coded picture."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx265", rate=25, options={"x265-params": "log-level=none:crf=4:bframes=0"})
        stream.height, stream.width, stream.pix_fmt = *rgb.shape[:2], "yuv420p"
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    data = file.getvalue()
    place = data.index(b"hvcC")
    (size,) = struct.unpack_from(">I", data, place - 4)
    file.seek(0)
    with av.open(file) as read:
        sample = next(bytes(packet) for packet in read.demux(read.streams.video[0]) if packet.size)
    return data[place + 4 : place - 4 + size], sample


def write_heif(path: Path, tiles: list[NDArray[np.uint8]]) -> Path:
    """One picture of one tile, or of several beside each other, uint8 [H, W, 3] of one size."""
    height, width = tiles[0].shape[:2]
    coded: list[Any] = [_coded(tile) for tile in tiles]
    items = [(number, b"hvc1", sample) for number, (_, sample) in enumerate(coded, start=1)]
    refs, primary = b"", 1
    sizes = struct.pack(">II", width, height)
    properties = [_box(b"hvcC", coded[0][0]), _full(b"ispe", sizes)]
    uses = [(number, (0x81, 2)) for number, _, _ in items]
    if len(tiles) > 1:
        primary = len(tiles) + 1
        grid = struct.pack(">BBBBHH", 0, 0, 0, len(tiles) - 1, width * len(tiles), height)
        items.append((primary, b"grid", grid))
        numbers = [number for number, _, _ in items[:-1]]
        refs = _full(b"iref", _box(b"dimg", struct.pack(f">HH{len(numbers)}H", primary, len(numbers), *numbers)))
        properties.append(_full(b"ispe", struct.pack(">II", width * len(tiles), height)))
        uses.append((primary, (3,)))
    infos = b"".join(_full(b"infe", struct.pack(">HH4sB", n, 0, kind, 0), version=2) for n, kind, _ in items)
    associations = b"".join(struct.pack(f">HB{len(p)}B", n, len(p), *p) for n, p in uses)

    def meta(first: int) -> bytes:
        places, place = b"", first
        for number, _, data in items:
            places += struct.pack(">HHHII", number, 0, 1, place, len(data))
            place += len(data)
        return _full(
            b"meta",
            _full(b"hdlr", struct.pack(">I4s12sB", 0, b"pict", bytes(12), 0)),
            _full(b"pitm", struct.pack(">H", primary)),
            _full(b"iloc", struct.pack(">BBH", 0x44, 0, len(items)), places),
            _full(b"iinf", struct.pack(">H", len(items)), infos),
            refs,
            _box(b"iprp", _box(b"ipco", *properties), _full(b"ipma", struct.pack(">I", len(uses)), associations)),
        )

    head = _box(b"ftyp", b"heic", bytes(4), b"mif1heic")
    before = len(head) + len(meta(0)) + 8
    path.write_bytes(head + meta(before) + _box(b"mdat", *(data for _, _, data in items)))
    return path
