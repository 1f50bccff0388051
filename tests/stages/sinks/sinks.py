"""What tests of outputs share: packets to write, and what can be read of a video afterwards."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from vidgraph.pipeline.packet import Frame, Packet
from vidgraph.pipeline.stage import EndReason, Sink
from vidgraph.pipeline.types.picture import Picture
from vidgraph.stages.sources.video import VideoSource

from ..clips import picture_rgb, to_yuv

SIZE = (64, 96)


def yuv_picture(number: int, size: tuple[int, int] = SIZE, **settings: Any) -> Picture:
    """The numbered test picture in yuv420p, BT.601, limited range unless ``settings`` say otherwise."""
    settings = {"matrix": "bt601", "full_range": False, **settings}
    planes = np.rint(to_yuv(picture_rgb(number, size), matrix=settings["matrix"], full_range=settings["full_range"]))
    luma, *chroma = (plane.astype(np.uint8) for plane in planes)
    return Picture("yuv420p", (luma, *(np.ascontiguousarray(c[::2, ::2]) for c in chroma)), **settings)


def frame(index: int, *, rate: Fraction | int = 25, stream: str = "s", **changes: Any) -> Frame:
    """Frame ``index`` of a stream at a constant rate."""
    step = Fraction(1) / rate
    made = Frame(
        stream_id=stream,
        index=index,
        epoch=0,
        pts_ns=round(index * step * 10**9),
        duration_ns=round(step * 10**9),
        picture=changes.pop("picture", None) or yuv_picture(index),
        pts=round(index * step * 90_000),
        time_base=Fraction(1, 90_000),
    )
    return replace(made, **changes)


def packets(count: int, **settings: Any) -> Iterator[Packet]:
    """The first ``count`` packets of a stream, as :func:`frame` makes them."""
    return (Packet(frame(index, **settings)) for index in range(count))


def write_all(
    sink: Sink, given: Sequence[Packet] | Iterator[Packet], reason: EndReason = EndReason.FINISHED
) -> list[str]:
    """Write packets through a whole life of a sink; returns the streams that were seen."""
    sink.open()
    streams: dict[str, None] = {}
    try:
        for packet in given:
            streams[packet.frame.stream_id] = None
            sink.write(packet)
        for stream in streams:
            sink.end_stream(stream, reason)
    finally:
        sink.close()
    return list(streams)


def packets_of(path: Path) -> list[Packet]:
    """The packets of a video file, as a source gives them."""
    source = VideoSource(path, stream_id="s", threads=1)
    source.open()
    try:
        return [Packet(one) for one in source.frames()]
    finally:
        source.close()


@dataclass(frozen=True)
class Readable:
    """What a player gets out of a file: times in seconds, and the pictures as RGB if asked for."""

    times: list[float]
    sound: list[float]
    sound_end: float
    pictures: list[NDArray[np.uint8]]


def read_video(path: Path, *, pictures: bool = False) -> Readable:
    """Decode all pictures and demux all sound (of the first audio stream); nothing where the file cannot be opened."""
    times, shown, sound, sound_end = [], [], [], 0.0
    try:
        with av.open(str(path)) as container:
            for one in container.decode(video=0):
                times.append(float(one.pts * one.time_base))
                if pictures:
                    shown.append(one.to_ndarray(format="rgb24"))
        with av.open(str(path)) as container:
            if container.streams.audio:
                for packet in container.demux(audio=0):
                    if packet.size:
                        sound.append(float(packet.pts * packet.time_base))
                        sound_end = float((packet.pts + packet.duration) * packet.time_base)
    except av.error.InvalidDataError:
        return Readable([], [], 0.0, [])
    return Readable(times, sound, sound_end, shown)


def box_names(path: Path) -> list[str]:
    """The top-level boxes of an MP4, in file order. Source: ISO/IEC 14496-12, 4.2."""
    data, place, names = path.read_bytes(), 0, []
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        if length == 1:
            length = struct.unpack_from(">Q", data, place + 8)[0]
        names.append(kind.decode("latin1"))
        place += max(length, 8)
    return names
