"""One video stream of one container: packets in, FFmpeg's frames out, and what was lost on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING

from av.error import FFmpegError

from ..pipeline.limits import MAX_PIXELS
from .av_open import choose_stream, frame_rate, limit_pixels, open_container, stated_end
from .clock import NANOSECONDS, to_ticks

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_READ_ERRORS = 10  # in a row, after which a container is given up
_RECENT = 64  # packets; more than any decoder holds back
_ONE_PICTURE_PER_PACKET = ("h264", "hevc")


class Decoder:
    """Decodes one video stream, and goes on after damage.

    Attributes:
        packets: packets of the stream that should give a picture.
        pictures: pictures that came of them.
        errors: packets that the decoder refused.
        broken: packets or pictures marked as damaged by the container or the decoder.
        ended: the stream was read to its end.
        cut_off: frames missing at the end of the file, as far as can be told.
    """

    def __init__(
        self,
        address: str | Path | IO[bytes],
        name: str,
        *,
        video_stream: int | None = None,
        sliced: bool = False,
        threads: int = 0,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        """
        Args:
            address: as for :func:`open_container`.
            name: what errors call it.
            video_stream: as for :func:`choose_stream`.
            sliced: threads within a picture only: no delay, and damage decodes the same every time;
                otherwise several pictures are decoded at once.
            threads: 0: FFmpeg's choice.
            max_pixels: larger pictures are refused; where a stream comes to them later, as damage.

        Raises:
            SourceError: it cannot be opened, has no such stream, or one of larger pictures.
        """
        self._address, self._name, self._video_stream = address, name, video_stream
        self._max_pixels = max_pixels
        self.container: InputContainer = open_container(address, name, max_pixels=max_pixels)
        try:
            self.stream: VideoStream = choose_stream(self.container, video_stream, name)
            limit_pixels(self.stream, name, max_pixels)
        except BaseException:
            self.container.close()
            raise
        self._sliced = sliced
        context = self.stream.codec_context
        context.thread_type, context.thread_count = ("SLICE" if sliced else "AUTO"), threads
        self.time_base = Fraction(self.stream.time_base or Fraction(1, NANOSECONDS))
        self.rate = frame_rate(self.stream)
        self._reset()

    def _reset(self) -> None:
        self.packets = self.pictures = self.errors = self.broken = 0
        self.ended, self.cut_off = False, 0
        self._interlaced = self._unreadable = self._last_is_broken = False
        self._latest: int | None = None
        self._end = self._longest = 0
        self._recent: deque[int] = deque(maxlen=_RECENT)

    @property
    def seconds(self) -> Fraction | None:
        """Length of the stream as the container states or FFmpeg estimates it."""
        if self.stream.duration:
            return self.stream.duration * self.time_base
        return Fraction(self.container.duration, 1_000_000) if self.container.duration else None

    def close(self) -> None:
        """Free the container and the decoder."""
        self.container.close()

    def frames(self) -> Generator[VideoFrame]:
        """Frames from where the container stands, in presentation order; problems are counted, not raised."""
        self._reset()
        for packet in self._demux():
            yield from self._decode(packet)
        yield from self._decode(None)
        yield from self._decode_tail()
        self.ended, self.cut_off = True, self._count_cut_off()

    def frames_from(self, pts: int) -> Generator[VideoFrame]:
        """Frames from a key frame on, such that none at or after ``pts`` is left out.

        A container that cannot seek is read from its start.
        """
        first_pts, back = self.stream.start_time or 0, 0
        while pts > first_pts:
            target = max(pts - back, first_pts)
            try:
                self.container.seek(target, stream=self.stream)
            except FFmpegError:
                break
            frames = self.frames()
            first = next(frames, None)
            early_enough = first is not None and first.pts is not None and first.pts <= pts and not first.is_corrupt
            if early_enough or target == first_pts:
                if first is not None:
                    yield first
                yield from frames
                return
            back = 4 * back or to_ticks(NANOSECONDS, self.time_base) + 1
        yield from self.frames()

    def _demux(self) -> Iterator[Packet[VideoStream]]:
        """Packets with something in them, up to the end or to where nothing more can be read."""
        failures = 0
        while failures < _READ_ERRORS:
            try:
                for packet in self.container.demux(self.stream):
                    if not packet.size:
                        continue
                    failures = 0
                    self._last_is_broken = packet.is_corrupt
                    self.broken += packet.is_corrupt
                    if not packet.is_discard:
                        self.packets += 1
                        if packet.pts is not None:
                            self._recent.append(packet.pts)
                    yield packet
                return
            except (FFmpegError, IndexError):  # IndexError: damage made PyAV see a stream that does not exist
                failures += 1
                self._unreadable = True

    def _decode(self, packet: Packet[VideoStream] | None) -> Iterator[VideoFrame]:
        try:
            frames = self.stream.codec_context.decode(packet)
        except FFmpegError:
            self.errors += packet is not None  # when flushed: known by the packets without a picture
            return
        for frame in frames:
            self._note(frame)
            yield frame

    def _note(self, frame: VideoFrame) -> None:
        self.pictures += 1
        self.broken += frame.is_corrupt
        self._interlaced |= frame.interlaced_frame
        if frame.pts is not None:
            if self._latest is not None:
                self._longest = max(self._longest, frame.pts - self._latest)
            self._latest = frame.pts if self._latest is None else max(self._latest, frame.pts)
            self._end = max(self._end, frame.pts + frame.duration)

    def _decode_tail(self) -> Iterator[VideoFrame]:
        """What an error among the last pictures has cost.

        With several pictures in work, PyAV gives up at the first broken one when it flushes the decoder,
        and the good ones behind it are lost: decode them again, one at a time.
        """
        latest = self._latest
        missing = {pts for pts in self._recent if latest is not None and pts > latest}
        if self._sliced or latest is None or not missing:
            return
        if isinstance(self._address, Path):
            again = Decoder(
                self._address,
                self._name,
                video_stream=self._video_stream,
                sliced=True,
                threads=1,
                max_pixels=self._max_pixels,
            )
            with closing(again):
                for frame in again.frames_from(latest):
                    if frame.pts is not None and frame.pts > latest:
                        missing.discard(frame.pts)
                        self._note(frame)
                        yield frame
        self.errors += len(missing)

    def lost(self) -> int:
        """Frames of which no picture came, as far as can be told; 0 where nothing points to damage."""
        if not (self.errors or self.broken or self._unreadable):
            return 0
        one_each = self.ended and not self._interlaced and self.stream.codec_context.name in _ONE_PICTURE_PER_PACKET
        lost = max(0, self.packets - self.pictures) if one_each else self.errors
        return lost - (1 if lost and self._last_is_broken else 0)  # the last one is counted as cut off

    def _count_cut_off(self) -> int:
        size, missing = self.container.size, 0
        if size > 0 and self.stream.frames and self.container.format.name.startswith("mov"):
            missing = sum(1 for entry in self.stream.index_entries if entry.pos + entry.size > size)
        else:
            end = stated_end(self.container, self.stream)
            if end is not None and self.pictures:
                start = self.stream.start_time or 0
                gap = end - (self._end - start) * self.time_base
                if gap > max(Fraction(1, 2), 3 * self._longest * self.time_base):
                    missing = max(1, round(gap * (self.rate or 1)))
        return missing or int(self._unreadable or self._last_is_broken)
