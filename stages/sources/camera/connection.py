"""One connection to a camera: opened, checked, and read picture by picture until it is lost."""

from __future__ import annotations

import errno
import ssl
import struct
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.error import FFmpegError

from ....pipeline.errors import SourceError
from ....pipeline.redaction import redact_address
from ..av_card import CardDecoding, CardFault, acceleration_of, refusal_text
from ..av_open import crop_exactly, limit_pixels
from ..clock import NANOSECONDS, to_ns
from .address import CameraAddress
from .ask import Answer, answered
from .decoding import Arrival, Decoding
from .interrupt import Wait
from .options import CameraOptions
from .packet_loss import missed_packets
from .reasons import CameraError, reason_of
from .status import Monitor
from .webcam import capture_node

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

OPEN_S = 8.0
"""A camera may take so long to answer,"""
UDP_OPEN_S = 4.0
"""and so long until its first packet has come by UDP, as another way may be the one that works."""
_LOOK_S = 0.3
UNKNOWN_US, KNOWN_US = 2_000_000, 200_000
"""How much of a stream FFmpeg looks at to find out what is in it, the first time and afterwards."""
_MEDIAN_TIMES = 10
WAYS = {
    "auto": (("tcp", False), ("tcp", True), ("udp", False), ("udp", True)),
    "tcp": (("tcp", False), ("tcp", True)),
    "udp": (("udp", False), ("tcp", False), ("udp", True), ("tcp", True)),
    "multicast": (("udp_multicast", False), ("udp_multicast", True)),
}
"""The transports that may be asked for, one at a time so that it is known which was got, and whether all tracks are:
some networks stop UDP, and some cameras send nothing unless their sound is asked for too."""
_OVER_RTP = ("rtsp", "rtsps", "rtp")
OVER_TLS = ("rtsps", "https", "rtmps")
_UDP_BUFFER = str(2 << 20)
_QUEUE = "8"
"""Packets that FFmpeg holds back behind one that is missing. By default it is none over TCP, and then it tells nothing
of what a camera leaves out there."""

_OF_CARDS = (av.error.MemoryError, av.error.ExternalError)
"""What FFmpeg raises where a card does not take one stream more."""

Opener = Callable[..., Any]


@dataclass(slots=True)
class Hints:
    """What earlier connections have taught about a camera.

    Attributes:
        one_at_a_time: it does not answer a second connection while a first one is open.
        known: its stream was read before, so that FFmpeg need look only at little of it.
        way: which of the :data:`WAYS` of its transport to ask an RTSP camera, counted on over their end.
        interval_s: the usual time between two frames; None: not known.
        bad_start: how often what it announces did not fit what it sent.
        odd_size: its pictures are none that a card decodes right.
    """

    one_at_a_time: bool = False
    known: bool = False
    way: int = 0
    interval_s: float | None = None
    bad_start: int = 0
    odd_size: bool = False

    def try_another_way(self) -> None:
        """Nothing, or nothing that can be read, came."""
        self.way += 1

    def way_of(self, options: CameraOptions) -> tuple[str, bool]:
        """The transport to ask for, as FFmpeg has it, and whether to ask for all tracks."""
        ways = WAYS[options.transport]
        return ways[self.way % len(ways)]

    def try_another_transport(self, options: CameraOptions) -> bool:
        """The camera refuses this one, or FFmpeg cannot read what comes by it; False where there is no other."""
        ways, before = WAYS[options.transport], self.way
        for way in range(before + 1, before + len(ways)):
            if ways[way % len(ways)][0] != ways[before % len(ways)][0]:
                self.way = way
                return True
        return False


class Connection:
    """A connection that is open. Only the reader's thread uses it.

    Attributes:
        began_s: when FFmpeg began to open it, on the monotonic clock.
        decoding: what decodes it, and counts.
    """

    def __init__(
        self,
        address: CameraAddress,
        options: CameraOptions,
        hints: Hints,
        wait: Wait,
        monitor: Monitor,
        card: CardDecoding | None = None,
    ) -> None:
        self._address, self._options, self._hints, self._card = address, options, hints, card
        self._wait, self._monitor = wait, monitor
        self.container: InputContainer
        self.stream: VideoStream
        self._demuxed: Iterator[Packet[VideoStream]] = iter(())
        self.decoding: Decoding
        self._missed_before: int | None = None
        self._realtime_ns: int | None = None
        self._over_udp = False
        self.began_s = 0.0

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
        ask = self._address.is_rtsp
        if self._address.scheme in _OVER_RTP:
            self._missed_before = missed_packets()
        with ExitStack() as asked:
            answer = asked.enter_context(self._answered()) if ask else None
            if self._hints.one_at_a_time:
                asked.close()
            try:
                with acceleration_of(self._card) as acceleration:
                    self.container = self._opened(opener, {} if acceleration is None else {"hwaccel": acceleration})
            except CardFault as error:
                raise CameraError("card", str(error)) from error
            except (FFmpegError, OSError, ValueError) as error:
                raise self._not_opened(error, answer) from error
        try:
            self._check()
            if self._address.is_rtsp:
                self._monitor.note(transport=self._hints.way_of(self._options)[0])
        except BaseException:
            self.close()
            raise

    def _answered(self) -> AbstractContextManager[Answer]:
        chosen = self._options
        return answered(self._address, self._wait, OPEN_S, allow_redirect=chosen.allow_redirect, tls_pin=chosen.tls_pin)

    def _not_opened(self, error: BaseException, answer: Answer | None) -> CameraError:
        if self._card is not None and isinstance(error, _OF_CARDS):
            return CameraError("card", refusal_text(error))
        reason = reason_of(error, opening=True, device=self._address.is_device)
        if reason.name == "not_found" and answer is not None and answer.status == 200:
            base = f"; its Content-Base is {redact_address(answer.base[:200])!r}" if answer.base else ""
            return CameraError("not_found", f"in answer to SETUP{base}")
        if reason.name == "password" and answer is not None and answer.logged_in:
            # FFmpeg tries the last way that is offered only
            return CameraError("digest", "SHA-256 is offered after MD5")
        if reason.name == "io":
            self._hints.try_another_transport(self._options)
        if reason.name != "no_play" and (self._wait.expired or reason.name == "no_answer"):
            self._hints.one_at_a_time ^= answer is not None
            return CameraError("no_answer")
        other = capture_node(self._address.url) if reason.name == "no_capture" else None
        return CameraError(reason.name, f"{other} of the same webcam does" if other else "")

    def _opened(self, opener: Opener, given: dict[str, Any]) -> InputContainer:
        """What is opened, over the other transport where the camera refuses the first."""
        try:
            return self._opened_one_way(opener, given)
        except OSError as error:
            refused = error.errno == errno.EPROTONOSUPPORT and self._address.is_rtsp
            if not (refused and self._hints.try_another_transport(self._options)):
                raise
            return self._opened_one_way(opener, given)

    def _opened_one_way(self, opener: Opener, given: dict[str, Any]) -> InputContainer:
        address, silence_s = self._address, self.limit_s / 2
        chosen = open_options(address, self._options, self._hints, silence_s)
        self._over_udp = self._options.transport != "auto" and chosen.get("rtsp_transport", "").startswith("udp")
        arguments: dict[str, Any] = {"file": address.url, "mode": "r", "timeout": (OPEN_S, silence_s), **given}
        if address.is_device:
            arguments["format"] = "v4l2"
        by_udp = address.is_rtsp and self._hints.way_of(self._options)[0] != "tcp"
        self.began_s = time.monotonic()
        with self._wait.inside(min(OPEN_S, UDP_OPEN_S) if by_udp else OPEN_S):
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
            if context.name != "mjpeg" and not self._something_came():
                raise self._silent()
            self._hints.try_another_way()
            raise CameraError("rtp_jpeg" if context.name == "mjpeg" else "no_parameter_sets")
        try:
            limit_pixels(self.stream, self._address.shown, self._options.max_pixels)
        except SourceError as error:
            raise CameraError(
                "too_large", f"{context.width}x{context.height} is more than {self._options.max_pixels}"
            ) from error
        crop_exactly(self.stream)
        context.thread_type, context.thread_count = "SLICE", self._options.threads
        self.decoding = Decoding(
            self.stream,
            self._hints,
            self._monitor,
            limit_s=lambda: self.limit_s,
            lost_packets=lambda: self.lost_packets,
            over_udp=self._over_udp,
        )

    def _something_came(self) -> bool:
        """Whether FFmpeg has seen a packet when it looked what is in the stream: it keeps them, and gives them now."""
        self._demuxed = self.container.demux(self.stream)
        with self._wait.inside(_LOOK_S), suppress(FFmpegError, OSError, IndexError):
            packet = next(self._demuxed, None)
            return packet is not None and packet.size > 0
        return False

    def _silent(self) -> CameraError:
        """The camera has answered, and sends nothing: the next try is by another way."""
        multicast = self._address.is_rtsp and self._options.transport == "multicast"
        self._hints.try_another_way()
        return CameraError("no_multicast" if multicast else "stall")

    @property
    def time_base(self) -> Fraction:
        """Seconds per unit of a frame's pts."""
        return Fraction(self.stream.time_base or Fraction(1, 90_000))

    @property
    def realtime_ns(self) -> int | None:
        """Wall-clock time of pts 0, since 1970, by the camera's last report; None where there was none (yet)."""
        first = self.container.start_time_realtime
        return self._realtime_ns if first is None or self._realtime_ns is not None else first * 1000

    def _read_report(self, packet: Packet[VideoStream]) -> None:
        """What FFmpeg takes from the newest report of the camera's clock; ``start_time_realtime`` keeps the first."""
        if packet.pts is not None and packet.has_sidedata("prft"):
            (wall_us,) = struct.unpack_from("=q", packet.get_sidedata("prft"))
            self._realtime_ns = wall_us * 1000 - to_ns(packet.pts, self.time_base)

    def pictures(self) -> Iterator[Arrival]:
        """The pictures as they come; ends where it was stopped.

        Raises:
            CameraError: the connection was lost, or no more pictures come.
        """
        return self.decoding.pictures(self._packets())

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
            except (FFmpegError, OSError, IndexError) as error:  # IndexError: a stream that came up only now
                if self._wait.stopped():
                    return
                if isinstance(error, av.error.InvalidDataError):
                    raise CameraError("lost", "the stream is damaged") from error
                name = reason_of(error, opening=False, device=self._address.is_device).name
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
            self._read_report(packet)
            yield packet, arrival_ns, wall_ns - (now_ns - arrival_ns)

    def _lost(self, reason: str, packets: int, silent_s: float) -> CameraError:
        if self._wait.expired or silent_s > 0.9 * self.limit_s:  # FFmpeg ends a stream that is silent, too
            reason = "stall"
        if reason == "stall" and not packets:
            return self._silent()
        return CameraError(reason, f"for {self.limit_s:.3g} s" if reason == "stall" else "")

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
    if address.scheme in OVER_TLS:
        chosen["tls_verify"] = "0"  # FFmpeg 9 would check by default; a camera's certificate is its own
    if address.is_rtsp:
        transport, all_tracks = hints.way_of(options)
        chosen |= {
            "timeout": silence_us,
            "rtsp_transport": transport,
            "correct_ts_overflow": "0",  # which would make a step back one forward by 13 hours
            "buffer_size": _UDP_BUFFER,
        }
        if transport == "tcp":
            chosen["reorder_queue_size"] = _QUEUE
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
