"""The thread that sends the pictures of one session, when they are due and as wrong as asked for."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

from ..clips import TICKS, Clip
from .faults import Faults
from .rtp import OTHER_SSRC, bye, header, payloads, sender_report
from .sdp import payload_type
from .wire import Wire

if TYPE_CHECKING:
    from .camera import RtspCamera

RTP, RTCP = 0, 1
_REPORT_FRAMES = 15


class Way(Protocol):
    """How packets reach the client: interleaved or by UDP."""

    def send(self, packets: list[tuple[int, bytes]], *, short_of: int | None = None) -> None:
        """Packets as (RTP or RTCP, data). ``short_of``: where in the first one a byte is lost."""


@lru_cache(maxsize=32)
def _packetised(
    clip: Clip, mtu: int, jpeg_q: int, in_band: bool, junk: tuple[bytes, ...]
) -> tuple[tuple[bytes, ...], ...]:
    """The payloads of every unit, made once for all sessions."""
    nals = [junk + (unit.nals if in_band else clip.without_headers(unit)) for unit in clip.units]
    return tuple(tuple(payloads(clip.codec, each, mtu, jpeg_q)) for each in nals)


class Feed(threading.Thread):
    """Sends until the faults end it or the connection is over."""

    def __init__(self, camera: RtspCamera, path: str, way: Way, wire: Wire) -> None:
        super().__init__(name=f"rtsp-camera-feed-{path}", daemon=True)
        self._camera, self._path, self._wire = camera, path, wire
        self.way = way
        self.paused = False
        self._random = random.Random(camera.faults.seed)
        self._sequence = 1
        self._held: list[bytes] = []
        self._clip = camera.clips[path]
        self._unit = camera.faults.start_at % len(self._clip.units)
        self._base = -self._clip.due[self._unit]  # ticks of the session at which the clip starts
        self.to_corrupt = 0  # packets
        self.to_shorten = False  # by a byte

    def run(self) -> None:
        start, frame = time.monotonic(), 0
        try:
            while self._advance(frame):
                due_s = start + (self._base + self._clip.due[self._unit]) / TICKS
                if self._wire.ended.wait(max(0.0, due_s - time.monotonic())):
                    return
                faults = self._camera.faults
                if frame == faults.close_at:
                    self._wire.end(faults.close_with)
                    return
                if frame == faults.bye_at:
                    self._say_bye(faults, frame)
                    return
                if not self._silent(faults, frame):
                    self._send(faults, frame)
                self._unit += 1
                frame += 1
        except OSError:
            self._wire.end()

    def _say_bye(self, faults: Faults, frame: int) -> None:
        report = sender_report(time.time(), self._time(faults, frame), self._sequence)
        self.way.send([(RTCP, report + bye() if faults.bye == "compound" else bye())])

    def _advance(self, frame: int) -> bool:
        """Go on to another clip, or to the start of this one; whether there is anything to send."""
        faults = self._camera.faults
        wanted = self._camera.clips[self._path]
        if faults.then_clip is not None and faults.then_clip_at is not None and frame >= faults.then_clip_at:
            wanted = faults.then_clip
        ended = self._unit >= len(self._clip.units)
        if ended and not faults.loop:
            return False
        if ended or wanted is not self._clip:
            self._base += self._clip.duration if ended else self._clip.due[self._unit]
            self._clip, self._unit = wanted, 0
        return True

    def _silent(self, faults: Faults, frame: int) -> bool:
        if self._camera.silent or self.paused:
            return True
        if faults.stall_at is None or frame < faults.stall_at:
            return False
        return faults.stall_frames is None or frame < faults.stall_at + faults.stall_frames

    def _time(self, faults: Faults, frame: int) -> int:
        """The RTP time stamp of the next unit."""
        if faults.same_time:
            return faults.first_rtp_time
        ticks = faults.first_rtp_time + self._base + self._clip.units[self._unit].pts
        offset_s = self._camera.jumped_s
        if faults.jump_at is not None and frame >= faults.jump_at:
            offset_s += faults.jump_s
        if faults.repeat_times and frame % 2:
            offset_s -= 1 / float(self._clip.fps)
        if faults.stray_every and frame % faults.stray_every == faults.stray_every - 1:
            offset_s += faults.stray_s
        return ticks + round(offset_s * TICKS)

    def _send(self, faults: Faults, frame: int) -> None:
        rtp_time = self._time(faults, frame)
        out: list[tuple[int, bytes]] = []
        since_report = frame - faults.report_at
        if faults.report_clock and since_report >= 0 and since_report % _REPORT_FRAMES == 0:
            out.append((RTCP, sender_report(faults.report_clock(frame), rtp_time, self._sequence)))
        out += [(RTP, packet) for packet in self._impaired(faults, self._packets(faults, frame, rtp_time))]
        short_of = None
        if frame == faults.lose_byte_at:
            short_of = 3 if faults.lose_byte == "header" else -1
        elif self.to_shorten:
            self.to_shorten, short_of = False, -1
        self.way.send(out, short_of=short_of)

    def _packets(self, faults: Faults, frame: int, rtp_time: int) -> Iterator[bytes]:
        parts = _packetised(self._clip, faults.mtu, faults.jpeg_q, faults.band_parameter_sets, faults.junk_nals)
        kind = payload_type(self._clip)
        foreign = faults.other_session_every and frame % faults.other_session_every == 0
        last = len(parts[self._unit]) - 1
        for n, payload in enumerate(parts[self._unit]):
            marker = faults.marker == "all" or (faults.marker == "last" and n == last)
            if foreign:
                yield header(self._sequence, rtp_time, kind, marker, OTHER_SSRC) + payload
            yield header(self._sequence, rtp_time, kind, marker) + payload
            self._sequence += 1

    def _impaired(self, faults: Faults, packets: Iterator[bytes]) -> Iterator[bytes]:
        """Without what is lost, in wrong order, with wrong bytes."""
        for packet in packets:
            if faults.loss and self._random.random() < faults.loss:
                continue
            if self.to_corrupt or (faults.corrupt and self._random.random() < faults.corrupt):
                self.to_corrupt = max(0, self.to_corrupt - 1)
                packet = _corrupted(packet, self._random)
            if faults.reorder and not self._held and self._random.random() < faults.reorder:
                self._held.append(packet)
                continue
            yield packet
            if self._held:
                yield self._held.pop()


def _corrupted(packet: bytes, chance: random.Random) -> bytes:
    """``packet`` with a tenth of its payload (a byte at least) inverted; header and first bytes are left."""
    wrong = bytearray(packet)
    first = min(16, len(packet) - 1)
    for _ in range(max(1, len(packet) // 10)):
        wrong[chance.randrange(first, len(packet))] ^= 0xFF
    return bytes(wrong)
