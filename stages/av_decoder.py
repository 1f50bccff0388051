"""One video stream of one container: packets in, FFmpeg's frames out, and what was lost on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from fractions import Fraction
from heapq import heappop, heappush
from pathlib import Path
from typing import IO, TYPE_CHECKING

from av.error import FFmpegError

from .av_open import TIMED_BY_END, choose_stream, frame_rate, open_container, stated_end
from .clock import FORWARD_JUMP_NS, NANOSECONDS, to_ticks
from .file_structure import FileStructure, structure_of
from .frame_gaps import FrameGaps
from .gif_blocks import ends_whole, further_pictures

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_READ_ERRORS = 10  # in a row, after which a container is given up
_RECENT = 64  # packets; more than any decoder holds back
_ONE_PICTURE_PER_PACKET = ("h264", "hevc", "mpeg1video", "mpeg2video", "mjpeg", "prores", "libdav1d", "av1", "ffv1")
_PACKED = ("matroska", "flv", "nut")  # containers that have little more than packets
_WIDEST = 1000  # bytes between two packets of such a container that has one stream


class Decoder:
    """Decodes one video stream, and goes on after damage.

    Attributes:
        packets: packets of the stream that should give a picture.
        pictures: pictures that came of them.
        errors: packets that the decoder refused.
        broken: packets or pictures marked as damaged by the container or the decoder.
        ended: the stream was read to its end.
        cut_off: frames missing at the end of the file, as far as can be told.
        stated_frames: how many packets there should be, as an index or a header states it; 0: not stated.
    """

    def __init__(
        self,
        address: str | Path | IO[bytes],
        name: str,
        *,
        video_stream: int | None = None,
        sliced: bool = False,
        threads: int = 0,
    ) -> None:
        """
        Args:
            address: as for :func:`open_container`.
            name: what errors call it.
            video_stream: as for :func:`choose_stream`.
            sliced: threads within a picture only: no delay, and damage decodes the same every time;
                otherwise several pictures are decoded at once.
            threads: 0: FFmpeg's choice.

        Raises:
            SourceError: it cannot be opened or has no such stream.
        """
        self._address, self._name, self._video_stream = address, name, video_stream
        self.container: InputContainer = open_container(address, name)
        try:
            self.stream: VideoStream = choose_stream(self.container, video_stream, name)
        except BaseException:
            self.container.close()
            raise
        self._sliced = sliced
        context = self.stream.codec_context
        context.thread_type, context.thread_count = ("SLICE" if sliced else "AUTO"), threads
        self.time_base = Fraction(self.stream.time_base or Fraction(1, NANOSECONDS))
        self.rate = frame_rate(self.stream)
        self._structure: FileStructure | None = None
        self._dts_only = self._family == "avi"
        self._indexed, self.stated_frames = self._count_stated()
        self._reset()

    def _reset(self, wanted_from: int | None = None) -> None:
        self.packets = self.pictures = self.errors = self.broken = 0
        self.ended, self.cut_off = False, 0
        self._wanted_from = wanted_from
        self._ahead: list[int] | None = []  # times of the packets before the first picture
        self._leading = self._merged = self._missing = self._read = 0
        self._last_gif: bytes | None = None
        self._interlaced = self._unreadable = self._last_is_broken = False
        self._latest: int | None = None
        self._end = self._longest = 0
        self._recent: deque[int] = deque(maxlen=_RECENT)
        self._last_place = self._last_size = 0
        self._undecoded: list[int] = []  # times of packets without a picture yet, a heap; where only dts are known
        step = float(1 / (self.rate * self.time_base)) if self.rate else 0.0
        self._gaps = FrameGaps(step, to_ticks(FORWARD_JUMP_NS, self.time_base), self._broken_between)

    @property
    def seconds(self) -> Fraction | None:
        """Length of the stream as the container states or FFmpeg estimates it."""
        if self.stream.duration:
            return self.stream.duration * self.time_base
        if not self.container.duration:
            return None
        seconds = Fraction(self.container.duration, 1_000_000)
        if self._family in TIMED_BY_END:
            seconds -= (self.stream.start_time or 0) * self.time_base
        return seconds if seconds > 0 else None

    def _count_stated(self) -> tuple[bool, int]:
        """How many packets there should be: by an index that lists them, or by a number in the header; 0: not stated."""
        listed, stated = len(self.stream.index_entries), 0
        if self._family == "avi":  # its number also counts empty places, at a rate that may be twice the pictures'
            stated = self.stream.frames
        elif self._family == "mxf":
            stated = self.stream.duration or 0
        if self._family == "mov":
            return True, self.stream.frames
        if self._family == "avi" and listed > 1:
            return True, listed
        return False, round(stated * self.time_base * self.rate) if self.rate else 0

    @property
    def _family(self) -> str:
        return self.container.format.name.split(",")[0]

    def close(self) -> None:
        """Free the container and the decoder."""
        self.container.close()
        if self._structure is not None:
            self._structure.close()
            self._structure = None

    def frames(self, *, wanted_from: int | None = None) -> Generator[VideoFrame]:
        """Frames from where the container stands, in presentation order; problems are counted, not raised.

        Args:
            wanted_from: pts of the first frame that is of interest; None: all are.
        """
        self._reset(wanted_from)
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
            frames = self.frames(wanted_from=pts)
            first = next(frames, None)
            early_enough = first is not None and first.pts is not None and first.pts <= pts and not first.is_corrupt
            if early_enough or target == first_pts:
                if first is not None:
                    yield first
                yield from frames
                return
            back = 4 * back or to_ticks(NANOSECONDS, self.time_base) + 1
        yield from self.frames(wanted_from=pts)

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
                    if packet.is_corrupt:
                        self.broken += 1
                        self._gaps.damage()
                    self._read += 1
                    if not packet.is_discard:
                        self._enter(packet)
                    yield packet
                return
            except (FFmpegError, IndexError):  # IndexError: damage made PyAV see a stream that does not exist
                failures += 1
                self._unreadable = True
                self._gaps.damage()

    def _enter(self, packet: Packet[VideoStream]) -> None:
        """Take down what a packet says, before it is decoded."""
        self.packets += 1
        if self._family == "gif":
            self._last_gif = bytes(packet)
            self._merged += further_pictures(self._last_gif)
        pts, place = packet.dts if self._dts_only else packet.pts, packet.pos
        if place is not None:
            self._last_place, self._last_size = place, packet.size
        if pts is None:
            return
        if self._dts_only:
            heappush(self._undecoded, pts)
            return
        self._gaps.add(pts, packet.duration or 0, place, packet.size)
        self._recent.append(pts)
        if self._ahead is not None:
            self._ahead.append(pts)

    def _decode(self, packet: Packet[VideoStream] | None) -> Iterator[VideoFrame]:
        try:
            frames = self.stream.codec_context.decode(packet)
        except FFmpegError:
            if packet is not None:  # when flushed: known by the packets without a picture
                self.errors += 1
                self._gaps.damage()
            return
        for frame in frames:
            self._note(frame)
            yield frame

    def _note(self, frame: VideoFrame) -> None:
        if self._dts_only:
            self._time_by_dts(frame)
        self.pictures += 1
        if frame.is_corrupt:
            self.broken += 1
            self._gaps.damage()
        self._interlaced |= frame.interlaced_frame
        if frame.pts is not None:
            if self._ahead is not None:
                self._count_leading(self._ahead, frame.pts)
            if self._latest is not None:
                self._longest = max(self._longest, frame.pts - self._latest)
            self._latest = frame.pts if self._latest is None else max(self._latest, frame.pts)
            self._end = max(self._end, frame.pts + frame.duration)
        self._ahead = None

    def _time_by_dts(self, frame: VideoFrame) -> None:
        """Give a picture the earliest time that none has yet, where a container knows times of decoding only."""
        frame.pts = heappop(self._undecoded) if self._undecoded else None
        frame.duration = 0

    def _count_leading(self, ahead: list[int], first: int) -> None:
        """Packets in front of the first picture: those that were wanted could not be decoded, the others do not count."""
        leading = [pts for pts in ahead if pts < first]
        wanted = sum(1 for pts in leading if self._wanted_from is None or pts >= self._wanted_from)
        self._leading = max(0, wanted - self.errors)
        self.packets -= len(leading) - wanted

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
            again = Decoder(self._address, self._name, video_stream=self._video_stream, sliced=True, threads=1)
            with closing(again):
                for frame in again.frames_from(latest):
                    if frame.pts is not None and frame.pts > latest:
                        missing.discard(frame.pts)
                        self._note(frame)
                        yield frame
        self.errors += len(missing)

    def lost(self) -> int:
        """Frames of which no picture came, as far as can be told; 0 where nothing points to damage."""
        seconds = self.seconds
        most = self._gaps.lost if seconds is None else round(seconds * (self.rate or 25))  # damaged times say anything
        return self._undecodable() + self._merged + min(self._gaps.lost, most) + self._missing

    def _undecodable(self) -> int:
        """Packets of which no picture came."""
        one_each = self.ended and not self._interlaced and self.stream.codec_context.name in _ONE_PICTURE_PER_PACKET
        lost = max(0, self.packets - self.pictures) if one_each else self.errors + self._leading
        return lost - (1 if lost and self._last_is_broken else 0)  # the last one is counted as cut off

    def _count_cut_off(self) -> int:
        """Frames missing at the end; also takes down what is missing by the number of frames that the file states."""
        structure = self._open_structure()
        cut = self._unreadable or self._last_is_broken
        cut |= structure is not None and structure.cut_off(self._last_place, self._last_size)
        cut |= self._last_gif is not None and not ends_whole(self._last_gif)
        if cut:
            self._gaps.damage()
        self._gaps.finish()
        missing = self._frames_behind_end() if self._family == "mov" else self._time_behind_end(cut)
        if self._wanted_from is None:
            stated = len(self.stream.index_entries) if self._family == "mov" else self.stated_frames
            uncounted = stated - self._read - missing - self._gaps.lost
            if self._indexed:
                self._missing = max(0, uncounted)
            else:
                missing += max(0, uncounted)
        return missing or int(cut)

    def _frames_behind_end(self) -> int:
        size = self.container.size
        if size <= 0:
            return 0
        return sum(1 for entry in self.stream.index_entries if entry.pos + entry.size > size)

    def _time_behind_end(self, cut: bool) -> int:
        end = stated_end(self.container, self.stream)
        if end is None or not self.pictures:
            return 0
        seen = self._end if self._family in TIMED_BY_END else self._end - (self.stream.start_time or 0)
        gap = end - seen * self.time_base
        frame_s = 1 / self.rate if self.rate else Fraction(1, 25)
        if gap <= (frame_s / 2 if cut else max(Fraction(1, 2), 3 * self._longest * self.time_base)):
            return 0
        return max(1, round(gap / frame_s))

    def _open_structure(self) -> FileStructure | None:
        if self._structure is None and isinstance(self._address, Path):
            self._structure = structure_of(self._address, self._family, fragmented=not self.stream.frames)
        return self._structure

    def _broken_between(self, first: int, last: int, widest: int) -> bool:
        structure = self._open_structure()
        if structure is not None:
            return structure.broken_between(first, last)
        return self._family in _PACKED and len(self.container.streams) == 1 and widest > _WIDEST
