"""A plain reader of cameras by PyAV, with both time-outs always set, and what it saw."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise

import av
from vidgraph.testing import make_clip, number_in

CLIP = make_clip(60, (120, 160), 60, gop=10)
HEAVY = make_clip(60, (240, 320), 60, gop=10, noise=60)  # a frame is about ten packets
TIMEOUT_S = (6.0, 0.5)
RTSP = {"rtsp_transport": "tcp", "allowed_media_types": "video", "timeout": "500000"}
RTSP |= {"analyzeduration": "200000", "fpsprobesize": "0", "correct_ts_overflow": "0"}
UDP = {"rtsp_transport": "udp"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame: the number in it, its time stamp, when it came, its size, what the decoder said of it."""

    number: int | None
    pts: int | None
    at_s: float
    size: tuple[int, int]
    corrupt: bool
    interlaced: bool
    format: str
    color_range: int


@dataclass(slots=True)
class Reading:
    """What a reader got, and its end: the name of an exception, ``EOF``, or ``enough``."""

    frames: list[Seen] = field(default_factory=list)
    end: str = ""
    message: str = ""
    errno: int | None = None
    opened_s: float = 0.0
    ended_s: float = 0.0
    streams: int = -1
    width: int = -1
    rate: float | None = None
    packets: int = 0
    bad_packets: int = 0
    last_packet_s: float = 0.0
    start_realtime: int | None = None
    has_b_frames: bool = False

    @property
    def numbers(self) -> list[int | None]:
        return [frame.number for frame in self.frames]

    @property
    def steps(self) -> list[int]:
        """Differences of the time stamps of neighbours that both have one."""
        stamps = pairwise(frame.pts for frame in self.frames)
        return [after - before for before, after in stamps if before is not None and after is not None]

    def in_order(self) -> bool:
        """No frame is missing from the first on, but for where the clip of 60 starts again."""
        return all(a is not None and b == (a + 1) % 60 for a, b in pairwise(self.numbers))


def read(
    url: str,
    frames: int = 15,
    *,
    seconds: float = 8.0,
    options: Mapping[str, str] | None = None,
    form: str | None = None,
    on_frame: Callable[[int], object] = lambda count: None,
    timeout_s: tuple[float, float] = TIMEOUT_S,
) -> Reading:
    """Read until so many frames are there, so many seconds passed, or something else ends it.

    ``options`` come on top of those for RTSP, if it is. ``on_frame`` is called with the count of frames.
    """
    given = {**(RTSP if url.startswith("rtsp") and "listen" not in str(options) else {}), **(options or {})}
    seen = Reading()
    start = time.monotonic()
    container = None
    try:
        container = av.open(url, format=form, options=given, timeout=timeout_s)
        seen.opened_s = time.monotonic() - start
        seen.streams = len(container.streams)
        video = container.streams.video[0]
        video.thread_type = "SLICE"
        seen.width = video.width
        seen.rate = float(video.average_rate) if video.average_rate else None
        for packet in container.demux(video):
            if packet.size:
                seen.packets += 1
                seen.last_packet_s = time.monotonic() - start
            for frame in _decoded(packet, seen):
                seen.frames.append(_seen(frame, time.monotonic() - start))
                on_frame(len(seen.frames))
            if len(seen.frames) >= frames or time.monotonic() - start > seconds:
                seen.end = "enough"
                break
        else:
            seen.end = "EOF"
        seen.start_realtime = container.start_time_realtime
        seen.has_b_frames = video.codec_context.has_b_frames
    except (av.error.FFmpegError, IndexError) as error:
        seen.end, seen.message, seen.errno = type(error).__name__, str(error), getattr(error, "errno", None)
    seen.ended_s = time.monotonic() - start
    if container is not None:
        container.close()
    return seen


def together(*readers: Callable[[], Reading]) -> list[Reading]:
    """Readers at the same time, as they mostly wait."""
    with ThreadPoolExecutor(len(readers)) as pool:
        return [each.result() for each in [pool.submit(reader) for reader in readers]]


def _decoded(packet: av.Packet, seen: Reading) -> list[av.VideoFrame]:
    try:
        return [frame for frame in packet.decode() if isinstance(frame, av.VideoFrame)]
    except av.error.InvalidDataError:
        seen.bad_packets += 1
        return []


def _seen(frame: av.VideoFrame, at_s: float) -> Seen:
    return Seen(
        number_in(frame),
        frame.pts,
        at_s,
        (frame.height, frame.width),
        frame.is_corrupt,
        frame.interlaced_frame,
        frame.format.name,
        frame.color_range,
    )
