"""Decodes the packets of one connection to a camera, and judges what comes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from av.error import FFmpegError

from .overload import Relief
from .packet_loss import UdpLoss
from .reasons import REASONS, CameraError
from .status import Monitor

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    from .connection import Hints

KEY_FRAME_S = 30.0
"""Packets may come for so long without a picture: some cameras send a key frame every ten seconds or more."""
EARLY_S, LATE_S = 2.0, 5.0
"""From when on it is said that a key frame is waited for, and that it takes long."""
BAD_IN_A_ROW = 3
_BAD_AT_START, _BAD_STARTS = 10, 2
_HELD_BACK = 2  # packets: a gap is noticed while the packet before it is still in FFmpeg's parser


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A picture, and when it came: on the monotonic clock, and since 1970.

    Attributes:
        damaged: the decoder says so, or packets were lost since the last key frame.
    """

    frame: VideoFrame
    arrival_ns: int
    wall_ns: int
    damaged: bool


class Decoding:
    """The decoder of one connection. Only the reader's thread uses it.

    Attributes:
        bad_packets: packets that the decoder refused.
        damaged: pictures that are damaged.
        relief: decodes less where there is no time.
    """

    def __init__(
        self,
        stream: VideoStream,
        hints: Hints,
        monitor: Monitor,
        *,
        limit_s: Callable[[], float],
        lost_packets: Callable[[], int | None],
        over_udp: bool = False,
    ) -> None:
        """
        Args:
            limit_s: seconds without a picture after which the connection is lost.
            lost_packets: how many packets are known to be missing by now; None: not known.
            over_udp: they come by UDP, where TCP would do, too.
        """
        self._context, self._hints, self._monitor = stream.codec_context, hints, monitor
        self._limit_s, self._lost_packets = limit_s, lost_packets
        self.relief = Relief(self._context, monitor)
        self.bad_packets = self.damaged = 0
        self._packets = self._pictures = self._bad_in_a_row = 0
        self._seen_lost = lost_packets() or 0
        self._began_s = self._seen_s = time.monotonic()
        self._distrusted = False
        self._held_back = 0
        self._loss = UdpLoss(monitor.say) if over_udp else None
        self._waits_said = 0

    @property
    def problems(self) -> dict[str, int]:
        """Cause -> how often."""
        return {"damaged": self.damaged, "bad_packets": self.bad_packets}

    def pictures(self, packets: Iterable[tuple[Packet[VideoStream], int, int]]) -> Iterator[Arrival]:
        """The pictures of packets and of when these came (on the monotonic clock, and since 1970).

        Raises:
            CameraError: no more pictures come, or what comes cannot be decoded.
        """
        for packet, arrival_ns, wall_ns in packets:
            self._packets += 1
            self._look_for_gap(packet)
            frames = self._decoded(packet)
            for frame in frames:
                damaged = frame.is_corrupt or self._distrusted
                if damaged:
                    self.damaged += 1
                    self._monitor.say("damaged", "a picture is damaged")
                self._pictures += 1
                self._seen_s = time.monotonic()
                yield Arrival(frame, arrival_ns, wall_ns, damaged)
            now_s = time.monotonic()
            if now_s - self._began_s < EARLY_S:
                self._check_start()
            elif self._pictures and not self.damaged:
                self._hints.bad_start = 0
            if frames or (self.relief.only_key_frames and not packet.is_keyframe):
                self._seen_s = now_s
            else:
                self._check_silence(now_s - self._seen_s)

    def _decoded(self, packet: Packet[VideoStream]) -> list[VideoFrame]:
        self.relief.before(key=packet.is_keyframe)
        began_s = time.monotonic()
        try:
            frames = self._context.decode(packet)
            self._bad_in_a_row = 0
        except FFmpegError:
            self.bad_packets += 1
            self._bad_in_a_row += 1
            frames = []
            self._monitor.say("bad packet", "a packet is damaged, and gives no picture")
        self.relief.worked(time.monotonic() - began_s)
        if self.relief.level and not frames:
            self._monitor.left_out()
        return frames

    def _look_for_gap(self, packet: Packet[VideoStream]) -> None:
        """Distrust what is decoded from a gap on, to the next key frame that came whole."""
        lost = self._lost_packets() or 0
        if self._loss is not None:
            self._loss.came(packet.size, lost)
        if lost > self._seen_lost:
            self._seen_lost, self._distrusted, self._held_back = lost, True, _HELD_BACK
        elif self._distrusted and packet.is_keyframe and not self._held_back:
            self._distrusted = False
        self._held_back = max(0, self._held_back - 1)

    def _check_start(self) -> None:
        """Refuse a stream that begins with more damage than pictures: its parameter sets are those of another."""
        bad = self.bad_packets + self.damaged
        if self._seen_lost or bad < _BAD_AT_START or bad * 2 <= self._packets:
            return
        if self._hints.bad_start < _BAD_STARTS:
            self._hints.known = False
            self._hints.bad_start += 1
            raise CameraError("bad_sdp")
        self._monitor.say("bad_sdp", "its pictures are damaged from the start; they are given as they are")

    def _check_silence(self, without_s: float) -> None:
        """What it means that a packet gave no picture, nor did those before it for ``without_s``."""
        if self._pictures and self._bad_in_a_row >= BAD_IN_A_ROW and without_s > 1.0:
            self._hints.known = False
            raise CameraError("codec_change")
        if self._pictures and without_s > self._limit_s():
            raise CameraError("freeze", f"for {without_s:.0f} s")
        if not self._pictures and without_s > KEY_FRAME_S:
            self._hints.known = False
            raise CameraError("no_parameter_sets" if self.bad_packets else "no_key_frame", f"for {without_s:.0f} s")
        if not self._pictures and without_s > (EARLY_S, LATE_S, KEY_FRAME_S)[self._waits_said]:
            self._waits_said += 1
            self._monitor.note(reason="no_key_frame")
            waits = f"waiting for a key frame, {without_s:.0f} s by now; {REASONS['no_key_frame'].hint}"
            self._monitor.say(f"key frame {self._waits_said}", f"packets come; {waits}")
