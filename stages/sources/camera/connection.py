"""One connection to a camera: opened, checked, and read picture by picture until it is lost."""

from __future__ import annotations

import errno
import ssl
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.error import FFmpegError

from ....pipeline.errors import SourceError
from ..av_open import limit_pixels
from ..clock import NANOSECONDS
from .address import CameraAddress
from .ask import check_answer
from .interrupt import Wait
from .options import CameraOptions
from .packet_loss import missed_packets
from .reasons import CameraError, reason_of
from .status import Monitor

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

OPEN_S = 8.0
"""A camera may take so long to answer."""
UNKNOWN_US, KNOWN_US = 2_000_000, 200_000
"""How much of a stream FFmpeg looks at to find out what is in it, the first time and afterwards."""
KEY_FRAME_S = 30.0
"""Packets may come for so long without a picture: some cameras send a key frame every ten seconds or more."""
EARLY_S = 2.0
BAD_IN_A_ROW = 3
_MEDIAN_TIMES = 10
WAYS = ((False, False), (True, False), (False, True))
"""Whether the other transport is tried first, and whether all tracks are asked for: some cameras send over TCP what
they did not announce, some networks stop UDP, and some cameras send nothing unless their sound is asked for too."""
_OVER_RTP = ("rtsp", "rtsps", "rtp")
_TRANSPORTS = {"auto": "tcp+udp", "tcp": "tcp", "udp": "udp+tcp", "multicast": "udp_multicast"}
_OTHER = {"auto": "udp", "udp": "auto"}
_UDP_BUFFER = str(2 << 20)

Opener = Callable[..., Any]


@dataclass(slots=True)
class Hints:
    """What earlier connections have taught about a camera.

    Attributes:
        known: its stream was read before, so that FFmpeg need look only at little of it.
        way: which of :data:`WAYS` to ask an RTSP camera; the next one where nothing came.
        interval_s: the usual time between two frames; None: not known.
        bad_start: how often what it announces did not fit what it sent.
    """

    known: bool = False
    way: int = 0
    interval_s: float | None = None
    bad_start: int = 0

    def try_another_way(self) -> None:
        """Nothing, or nothing that can be read, came."""
        self.way = (self.way + 1) % len(WAYS)


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A picture, and when it came: on the monotonic clock, and since 1970."""

    frame: VideoFrame
    arrival_ns: int
    wall_ns: int


class Connection:
    """A connection that is open. Only the reader's thread uses it."""

    def __init__(
        self, address: CameraAddress, options: CameraOptions, hints: Hints, wait: Wait, monitor: Monitor
    ) -> None:
        self._address, self._options, self._hints = address, options, hints
        self._wait, self._monitor = wait, monitor
        self.container: InputContainer
        self.stream: VideoStream
        self._demuxed: Iterator[Packet[VideoStream]] = iter(())
        self.bad_packets = self.damaged = 0
        self._missed_before: int | None = None

    @property
    def lost_packets(self) -> int | None:
        """Packets that the network has lost; None where that cannot be known. For the reader's thread."""
        missed = missed_packets() if self._missed_before is not None else None
        return None if missed is None or self._missed_before is None else missed - self._missed_before

    @property
    def limit_s(self) -> float:
        """Seconds without a packet, or without a picture, after which it is lost."""
        interval_s = self._monitor.interval_s() or self._hints.interval_s or 0.0
        return max(self._options.freeze_s, _MEDIAN_TIMES * interval_s)

    def open(self, opener: Opener = av.open) -> None:
        """Connect, and check that there is video.

        Args:
            opener: ``av.open``, or what stands in for it.

        Raises:
            CameraError: there is none, or no connection.
        """
        logged_in = False
        if self._address.is_rtsp:
            logged_in = check_answer(
                self._address,
                self._wait,
                OPEN_S,
                allow_redirect=self._options.allow_redirect,
                tls_pin=self._options.tls_pin,
            )
        if self._address.scheme in _OVER_RTP:
            self._missed_before = missed_packets()
        try:
            self.container = self._opened(opener)
        except (FFmpegError, OSError, ValueError) as error:
            reason = reason_of(error, opening=True, device=self._address.is_device)
            if reason.name == "password" and logged_in:  # FFmpeg tries the last way that is offered only
                raise CameraError("digest", "SHA-256 is offered after MD5") from error
            if reason.name == "io":
                self._hints.try_another_way()
            raise CameraError("no_answer" if self._wait.expired else reason.name) from error
        try:
            self._check()
        except BaseException:
            self.close()
            raise

    def _opened(self, opener: Opener) -> InputContainer:
        address, silence_s = self._address, self.limit_s / 2
        chosen = open_options(address, self._options, self._hints, silence_s)
        arguments: dict[str, Any] = {"file": address.url, "mode": "r", "timeout": (OPEN_S, silence_s)}
        if address.is_device:
            arguments["format"] = "v4l2"
        with self._wait.inside(OPEN_S):
            try:
                container: InputContainer = opener(**arguments, options=chosen)
            except av.error.ArgumentError:
                if not address.is_device:
                    raise
                container = opener(**arguments, options={})  # it has no MJPEG
        return container

    def _check(self) -> None:
        """An ``av.open`` that succeeds is not a camera: it may have no stream, or one without a size."""
        videos = [stream for stream in self.container.streams.video if stream.codec_context is not None]
        if not videos:
            raise CameraError("no_video")
        self.stream = videos[0]
        context = self.stream.codec_context
        if context.width == 0 or context.height == 0:
            self._hints.known = False
            self._hints.try_another_way()
            raise CameraError("no_parameter_sets")
        try:
            limit_pixels(self.stream, self._address.shown, self._options.max_pixels)
        except SourceError as error:
            raise CameraError("too_large", f"{context.width}x{context.height}") from error
        context.thread_type, context.thread_count = "SLICE", self._options.threads

    @property
    def time_base(self) -> Fraction:
        """Seconds per unit of a frame's pts."""
        return Fraction(self.stream.time_base or Fraction(1, 90_000))

    @property
    def realtime_ns(self) -> int | None:
        """Wall-clock time of pts 0, since 1970, as the camera says; None where it has not said so (yet)."""
        said = self.container.start_time_realtime
        return None if said is None else said * 1000

    def pictures(self) -> Iterator[Arrival]:
        """The pictures as they come; ends where it was stopped.

        Raises:
            CameraError: the connection was lost, or no more pictures come.
        """
        began = seen_at = time.monotonic()
        bad_in_a_row = pictures = 0
        for packets, (packet, arrival_ns, wall_ns) in enumerate(self._packets(), 1):
            try:
                frames = self.stream.codec_context.decode(packet)
                bad_in_a_row = 0
            except FFmpegError:
                self.bad_packets += 1
                bad_in_a_row += 1
                frames = []
            for frame in frames:
                self.damaged += frame.is_corrupt
                pictures += 1
                seen_at = time.monotonic()
                yield Arrival(frame, arrival_ns, wall_ns)
            now = time.monotonic()
            if frames:
                seen_at = now
                if pictures < packets and now - began < EARLY_S:
                    self._check_start(packets, pictures)
            else:
                self._check_silence(now - seen_at, pictures, bad_in_a_row)

    def _check_start(self, packets: int, pictures: int) -> None:
        """Refuse a stream that begins with more damage than pictures: its parameter sets are those of another."""
        bad = self.bad_packets + self.damaged
        if bad >= 10 and bad * 2 > packets and self._hints.bad_start < 2:
            self._hints.known = False
            self._hints.bad_start += 1
            raise CameraError("bad_sdp")

    def _check_silence(self, without_s: float, pictures: int, bad_in_a_row: int) -> None:
        """What it means that a packet gave no picture, nor did those before it for ``without_s``."""
        if pictures and bad_in_a_row >= BAD_IN_A_ROW and without_s > 1.0:
            self._hints.known = False
            raise CameraError("codec_change")
        if pictures and without_s > self.limit_s:
            raise CameraError("freeze", f"for {without_s:.0f} s")
        if not pictures and without_s > KEY_FRAME_S:
            self._hints.known = False
            raise CameraError("no_parameter_sets" if self.bad_packets else "no_key_frame", f"for {without_s:.0f} s")
        if not pictures and without_s > EARLY_S:
            self._monitor.note(reason="no_key_frame")
            self._monitor.say("key frame", "packets come; waiting for a key frame")

    def _packets(self) -> Iterator[tuple[Packet[VideoStream], int, int]]:
        """Packets with something in them, and when they came."""
        demuxed = self._demuxed = self.container.demux(self.stream)
        silence_s = self.limit_s / 2
        last_ns, count, waited_s = time.monotonic_ns(), 0, 0.0
        while True:
            asked_ns = time.monotonic_ns()
            try:
                with self._wait.inside(self.limit_s - waited_s):
                    packet = next(demuxed, None)
            except (FFmpegError, OSError) as error:
                if self._wait.stopped():
                    return
                if isinstance(error, av.error.InvalidDataError):
                    raise CameraError("lost", "the stream is damaged") from error
                name = "closed" if error.errno == errno.EIO else reason_of(error, opening=False).name  # of MJPEG's end
                raise self._lost(name, count, (time.monotonic_ns() - asked_ns) / 1e9 + waited_s) from error
            if self._wait.stopped():
                return
            if packet is None:
                raise self._lost("closed", count, (time.monotonic_ns() - asked_ns) / 1e9 + waited_s)
            if not packet.size:
                continue
            now_ns, wall_ns = time.monotonic_ns(), time.time_ns()
            arrival_ns, waited_s = now_ns, 0.0
            if count and now_ns - asked_ns > 0.9e9 * silence_s:
                # It was there all the time: a time-out of FFmpeg's has got it out of the parser, and nothing followed.
                arrival_ns = last_ns + round((self._monitor.interval_s() or 0.0) * NANOSECONDS)
                waited_s = (now_ns - arrival_ns) / 1e9
            count += 1
            last_ns = now_ns
            self._monitor.packet()
            yield packet, arrival_ns, wall_ns - (now_ns - arrival_ns)

    def _lost(self, reason: str, packets: int, silent_s: float) -> CameraError:
        if self._wait.expired or silent_s > 0.9 * self.limit_s:  # FFmpeg ends a stream that is silent, too
            reason = "stall"
        if reason == "stall" and not packets:
            self._hints.try_another_way()
        return CameraError(reason, f"for {self.limit_s:g} s" if reason == "stall" else "")

    def close(self) -> None:
        """Say goodbye to the camera (TEARDOWN), and free everything; pictures that are held stay valid."""
        if isinstance(self._demuxed, Generator):
            self._demuxed.close()  # which ends its time-out, as this thread's clock is the true one again
        self.container.close()


def open_options(address: CameraAddress, options: CameraOptions, hints: Hints, silence_s: float) -> dict[str, str]:
    """FFmpeg's options for an address.

    Args:
        silence_s: a read that waits for so long fails; FFmpeg lets two pass before it says so.
    """
    silence_us = f"{silence_s * 1e6:.0f}"
    chosen = {"analyzeduration": str(KNOWN_US if hints.known else UNKNOWN_US), "fpsprobesize": "0"}
    if address.is_device:
        return {"input_format": "mjpeg"}
    if address.is_rtsp:
        other, all_tracks = WAYS[hints.way]
        transport = _OTHER.get(options.transport, options.transport) if other else options.transport
        chosen |= {
            "timeout": silence_us,
            "rtsp_transport": _TRANSPORTS[transport],
            "correct_ts_overflow": "0",  # which would make a step back one forward by 13 hours
            "buffer_size": _UDP_BUFFER,
        }
        if transport == "auto":
            chosen["rtsp_flags"] = "prefer_tcp"
        if not all_tracks:
            chosen["allowed_media_types"] = "video"  # a silent audio track would delay the opening by seconds
        if address.scheme == "rtsps" and options.tls_pin is not None:
            chosen |= {"tls_verify": "1", "ca_file": options.tls_pin, "verifyhost": _name_in(options.tls_pin, address)}
        return chosen
    if address.scheme in ("http", "https"):
        chosen |= {"timeout": silence_us, "rw_timeout": silence_us, "live_start_index": "-1", "m3u8_hold_counters": "5"}
    elif address.scheme in ("rtmp", "rtmps"):
        chosen |= {"rw_timeout": silence_us, "rtmp_live": "live"}
    elif address.scheme == "srt":
        chosen |= {"timeout": silence_us, "rw_timeout": silence_us, "connect_timeout": f"{OPEN_S * 1000:.0f}"}
    else:
        chosen |= {"timeout": silence_us, "rw_timeout": silence_us, "buffer_size": _UDP_BUFFER}
    return chosen


def _name_in(pin: str, address: CameraAddress) -> str:
    """The name that a certificate is for; that of the host where it has none."""
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(pin)
    except (OSError, ssl.SSLError) as error:
        raise CameraError("io", "the pinned certificate cannot be read") from error
    certificates: list[dict[str, Any]] = context.get_ca_certs()
    for certificate in certificates:
        names = [value for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "IP Address")]
        names += [value for part in certificate["subject"] for key, value in part if key == "commonName"]
        if names:
            return str(names[0])
    return address.host
