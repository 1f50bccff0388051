"""Short encoded clips in which every frame carries its number in the pixels: what the cameras of this kit send."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..pipeline.errors import UsageError
from . import obus
from .numbers import NUMBERS, numbered_luma
from .ordinary_priority import ordinary_priority

Codec = Literal["h264", "hevc", "mjpeg", "av1"]

TICKS = 90_000  # of RTP and MPEG-TS, a second

_ENCODERS = {"h264": "libx264", "hevc": "libx265", "mjpeg": "mjpeg", "av1": "libsvtav1"}
_START_CODE = re.compile(rb"\x00\x00\x00\x01|\x00\x00\x01")
_PARAMETER_SETS = {"h264": (7, 8), "hevc": (32, 33, 34), "mjpeg": (), "av1": (1,)}
_SEI = {"h264": (6,), "hevc": (39, 40), "mjpeg": (), "av1": ()}


@dataclass(frozen=True, eq=False)
class AccessUnit:
    """One coded picture.

    Attributes:
        nals: NAL units without start codes; for MJPEG one JPEG file; for AV1 OBUs without their sizes.
        pts: presentation time in 1/90000 s from the start of the clip.
        key: decoding can start here.
    """

    nals: tuple[bytes, ...]
    pts: int
    key: bool


@dataclass(frozen=True, eq=False)
class Clip:
    """Coded pictures in decoding order; made by :func:`make_clip`.

    Attributes:
        duration: in 1/90000 s; a camera that repeats the clip goes on at this time.
    """

    codec: Codec
    width: int
    height: int
    fps: Fraction
    duration: int
    units: tuple[AccessUnit, ...]

    @cached_property
    def due(self) -> tuple[int, ...]:
        """When each unit is to be sent, in 1/90000 s: the times of the frames, in order."""
        return tuple(sorted(unit.pts for unit in self.units))

    @cached_property
    def parameter_sets(self) -> tuple[bytes, ...]:
        """SPS and PPS (HEVC: VPS before them; AV1: the sequence header); nothing for MJPEG."""
        types = _PARAMETER_SETS[self.codec]
        first = self.units[0].nals if types else ()
        return tuple(next(nal for nal in first if self.nal_type(nal) == kind) for kind in types)

    def nal_type(self, nal: bytes) -> int:
        if self.codec == "av1":
            return nal[0] >> 3 & 15
        return nal[0] & 31 if self.codec == "h264" else nal[0] >> 1 & 63

    def without_headers(self, unit: AccessUnit) -> tuple[bytes, ...]:
        """The NAL units of ``unit`` but for parameter sets and SEI."""
        left_out = _PARAMETER_SETS[self.codec] + _SEI[self.codec]
        return tuple(nal for nal in unit.nals if not left_out or self.nal_type(nal) not in left_out)

    def data(self, unit: AccessUnit) -> bytes:
        """``unit`` as a decoder takes it: Annex B, a JPEG file, or OBUs with their sizes."""
        if self.codec == "av1":
            return b"".join(obus.with_size(each) for each in unit.nals)
        return unit.nals[0] if self.codec == "mjpeg" else b"".join(b"\0\0\0\1" + nal for nal in unit.nals)

    def save(self, path: Path) -> None:
        """Write for another process: a line of JSON (``units`` as [bytes, pts, due, key]), then the data."""
        data = [self.data(unit) for unit in self.units]
        units = [
            [len(each), unit.pts, due, unit.key] for each, unit, due in zip(data, self.units, self.due, strict=True)
        ]
        head: dict[str, object] = {
            "codec": self.codec,
            "width": self.width,
            "height": self.height,
            "duration": self.duration,
        }
        head |= {"fps": str(self.fps), "units": units}
        path.write_bytes(json.dumps(head).encode() + b"\n" + b"".join(data))

    @classmethod
    def load(cls, path: Path) -> Clip:
        """Read what :meth:`save` wrote."""
        with path.open("rb") as file:
            head = json.loads(file.readline())
            codec: Codec = head["codec"]
            units = tuple(
                AccessUnit(_nals(codec, file.read(length)), pts, key) for length, pts, _, key in head["units"]
            )
        return cls(codec, head["width"], head["height"], Fraction(head["fps"]), head["duration"], units)


@lru_cache(maxsize=64)
def make_clip(
    frames: int = 60,
    size: tuple[int, int] = (240, 320),
    fps: float = 15,
    codec: Codec = "h264",
    *,
    gop: int = 15,
    b_frames: int = 0,
    slices: int = 1,
    full_range: bool = False,
    interlaced: bool = False,
    crf: int = 20,
    first: int = 0,
    noise: int = 0,
    intervals: tuple[float, ...] = (),
) -> Clip:
    """Encode ``frames`` pictures with the numbers ``first``, ``first + 1``, … in them (:func:`.numbers.number_in`).

    Args:
        size: (height, width), even numbers of at least 64.
        gop: frames from one key frame to the next.
        interlaced: coded as fields, top field first (H.264 only).
        noise: amplitude (luma) of noise in the lower half; 40 makes frames of many packets.
        intervals: seconds from each frame to the next, repeated, for a variable rate; ``fps`` is then what is claimed.

    Raises:
        UsageError: an impossible size or number, or an unknown codec.
    """
    if codec not in _ENCODERS:
        raise UsageError(f"clips are of codec {', '.join(_ENCODERS)}, not {codec!r}")
    if min(size) < 64 or size[0] % 2 or size[1] % 2:
        raise UsageError(f"the size of a clip must be (height, width), even and at least 64, got {size}")
    if frames < 1 or first < 0 or first + frames > NUMBERS:
        raise UsageError(f"the numbers of frames go from 0 to {NUMBERS - 1}, got {first} to {first + frames - 1}")
    times = _times(frames, fps, intervals)

    with ordinary_priority():
        encoder = _encoder(codec, size, fps, full_range, crf)
        encoder.options = _options(codec, gop, b_frames, slices, interlaced, crf)
        packets = list(_packets(encoder, size, range(first, first + frames), interlaced, noise))
    units = tuple(AccessUnit(_nals(codec, data), times[pts], key) for data, pts, key in packets)
    return Clip(codec, size[1], size[0], Fraction(fps).limit_denominator(1001), times[frames], units)


def _times(frames: int, fps: float, intervals: Sequence[float]) -> list[int]:
    steps = intervals or (1 / fps,)
    times = [0.0]
    for n in range(frames):
        times.append(times[-1] + steps[n % len(steps)])
    return [round(time * TICKS) for time in times]


def _encoder(codec: Codec, size: tuple[int, int], fps: float, full_range: bool, crf: int) -> Any:
    import av

    os.environ.setdefault("SVT_LOG", "1")  # the encoder of AV1 would print its settings
    encoder = av.CodecContext.create(_ENCODERS[codec], "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = size
    encoder.framerate = Fraction(fps).limit_denominator(1001)
    encoder.time_base = 1 / encoder.framerate
    encoder.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    encoder.thread_count = 1
    if full_range:
        encoder.color_range = 2
    return encoder


def _options(codec: Codec, gop: int, b_frames: int, slices: int, interlaced: bool, crf: int) -> dict[str, str]:
    if codec == "mjpeg":  # RTP carries no Huffman tables
        return {"huffman": "default", "flags": "+qscale", "global_quality": str(crf // 5 * 118)}
    if codec == "av1":
        params = f"keyint={gop}:lp=1:pred-struct=1:scd=0"
        return {"preset": "8", "crf": str(crf), "svtav1-params": params}
    params = f"keyint={gop}:min-keyint={gop}:scenecut=0:repeat-headers=1:bframes={b_frames}:b-adapt=0"
    if codec == "hevc":
        params += f":slices={slices}:log-level=none:frame-threads=1:pools=none:open-gop=0:rc-lookahead={b_frames + 2}"
        return {"preset": "ultrafast", "crf": str(crf), "x265-params": params}
    params += f":slices={slices}:annexb=1:sync-lookahead=0:rc-lookahead=5:threads=1" + ":tff=1" * interlaced
    return {"preset": "veryfast", "crf": str(crf), "x264-params": params}


def _packets(
    encoder: Any, size: tuple[int, int], numbers: range, interlaced: bool, noise: int
) -> Iterator[tuple[bytes, int, bool]]:
    import av

    height, width = size
    chroma = np.full((height // 2, width), 128, np.uint8)
    if interlaced:
        encoder.flags |= 1 << 18 | 1 << 29  # AV_CODEC_FLAG_INTERLACED_DCT and _ME
    for pts, number in enumerate(numbers):
        planes = np.concatenate([numbered_luma(number, size, noise), chroma])
        frame = av.VideoFrame.from_ndarray(planes, format=encoder.pix_fmt)
        frame.pts, frame.time_base = pts, encoder.time_base
        for packet in encoder.encode(frame):
            yield bytes(packet), packet.pts, packet.is_keyframe
    for packet in encoder.encode(None):
        yield bytes(packet), packet.pts, packet.is_keyframe


def _nals(codec: Codec, data: bytes) -> tuple[bytes, ...]:
    if codec == "av1":
        return tuple(obus.split(data))
    return (data,) if codec == "mjpeg" else tuple(nal for nal in _START_CODE.split(data) if nal)
