"""One video stream of one container: packets in, FFmpeg's frames out, and what was lost on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING

from av.error import FFmpegError

from ...pipeline.limits import MAX_PIXELS
from .av_card import MOST_THREADS_ON_CARD, CardDecoding, acceleration_of, is_for_nvdec, odd_size
from .av_open import choose_stream, crop_exactly, frame_rate, limit_pixels, open_container, stated_end
from .avi_clock import AviClock
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
_STARTS_ANYWHERE = ("mpeg4", "flv", "h263", "msmpeg4v2", "msmpeg4", "wmv1", "wmv2")  # on grey, without a key frame
_TIMED_BY_END = ("matroska", "flv", "asf")  # containers whose length is the time of their end
_COUNTED = ("avi", "mxf", "ivf")  # containers whose header says how many frames there are
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
        stated_frames: how many there should be, as the header states it; 0: not stated.
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
        card: CardDecoding | None = None,
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
            card: decodes what it can; None: the CPU.

        Raises:
            SourceError: it cannot be opened, has no such stream, or one of larger pictures; the card fails; or its
                pictures are not for the card, and what has been read of ``address`` cannot be read again.
        """
        self._address, self._name, self._video_stream = address, name, video_stream
        self._sliced, self._threads, self._max_pixels, self._card = sliced, threads, max_pixels, card
        self.container: InputContainer
        self.stream: VideoStream
        self._open()
        self.time_base = Fraction(self.stream.time_base or Fraction(1, NANOSECONDS))
        self.rate = frame_rate(self.stream)
        self._structure: FileStructure | None = None
        self.stated_frames, self._listed = self._count_stated(), len(self.stream.index_entries)
        self._reset()

    def _open(self) -> None:
        self._open_on(self._card)
        if self._card is not None and not is_for_nvdec(self.stream.codec_context):
            self.container.close()
            if not isinstance(self._address, str | Path):
                raise odd_size(self._name, self.stream.codec_context)
            self._card = None
            self._open_on(None)
        self._family = self.container.format.name.split(",")[0]

    def _open_on(self, card: CardDecoding | None) -> None:
        with acceleration_of(card) as acceleration:
            self.container = open_container(
                self._address, self._name, max_pixels=self._max_pixels, acceleration=acceleration
            )
        try:
            self.stream = choose_stream(self.container, self._video_stream, self._name)
            limit_pixels(self.stream, self._name, self._max_pixels)
        except BaseException:
            self.container.close()
            raise
        crop_exactly(self.stream)
        context, threads = self.stream.codec_context, self._threads
        if card is not None:
            threads = min(threads or MOST_THREADS_ON_CARD, MOST_THREADS_ON_CARD)
        context.thread_type, context.thread_count = ("SLICE" if self._sliced else "AUTO"), threads

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
        self._keyless = False
        self._avi = AviClock(self.stream.codec_context.name) if self._family == "avi" else None
        step = float(1 / (self.rate * self.time_base)) if self.rate else 0.0
        longest = to_ticks(FORWARD_JUMP_NS, self.time_base)
        self._gaps = FrameGaps(self._broken_between, step=step, longest=longest, wanted_from=wanted_from)

    @property
    def seconds(self) -> Fraction | None:
        """Length of the stream as the container states or FFmpeg estimates it."""
        if self.stream.duration:
            seconds = self.stream.duration * self.time_base
        elif self.container.duration:
            seconds = Fraction(self.container.duration, 1_000_000)
        else:
            return None
        start = (self.stream.start_time or 0) * self.time_base
        return seconds - start if self._family in _TIMED_BY_END and 0 < start < seconds else seconds

    def _count_stated(self) -> int:
        if self._family == "avi":  # its number also counts empty places, at a rate that may be twice the pictures'
            ticks = self.stream.frames
        elif self._family == "mxf":
            ticks = self.stream.duration or 0
        else:
            return self.stream.frames
        return round(ticks * self.time_base * self.rate) if self.rate else 0

    def close(self) -> None:
        """Free the container and the decoder."""
        self.container.close()

    def frames(self, *, wanted_from: int | None = None) -> Generator[VideoFrame]:
        """Frames from where the container stands, in presentation order; problems are counted, not raised.

        Args:
            wanted_from: pts of the first frame that is of interest; None: all are.
        """
        self._reset(wanted_from)
        try:
            for packet in self._demux():
                yield from self._decode(packet)
            yield from self._decode(None)
            yield from self._decode_tail()
        except GeneratorExit:  # a part was asked for
            if self._latest is not None:
                self._gaps.finish(self._latest)
            raise
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
            if first is not None and first.pts is not None and first.pts <= pts and not self.is_damaged(first):
                yield first
                yield from frames
                return
            frames.close()
            if target == first_pts:
                break
            back = 4 * back or to_ticks(NANOSECONDS, self.time_base) + 1
        if isinstance(self._address, Path):  # the search for a place has left the container anywhere
            self.container.close()
            self._open()
        yield from self.frames(wanted_from=pts)

    def _demux(self) -> Iterator[Packet[VideoStream]]:
        """Packets with something in them, up to the end or to where nothing more can be read."""
        failures = 0
        while failures < _READ_ERRORS:
            try:
                for packet in self.container.demux(self.stream):
                    self._read += bool(packet.size or packet.dts is not None)
                    if not packet.size:
                        continue
                    failures = 0
                    self._last_is_broken = packet.is_corrupt
                    if packet.is_corrupt:
                        self.broken += 1
                        self._gaps.damage()
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
        if self.packets == 1:
            self._keyless = not packet.is_keyframe and self.stream.codec_context.name in _STARTS_ANYWHERE
        if self._family == "gif":
            self._last_gif = bytes(packet)
            self._merged += further_pictures(self._last_gif)
        if packet.pos is not None:
            self._last_place, self._last_size = packet.pos, packet.size
        pts = packet.pts if self._avi is None else self._avi.enter(packet)
        if pts is None:
            return
        duration = packet.duration or 0 if self._avi is None else 0
        self._gaps.add(pts, duration, packet.pos, packet.size, is_key=packet.is_keyframe)
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
                if self._avi is not None:
                    self._avi.refused()
            return
        for frame in frames:
            self._note(frame)
            yield frame

    def _note(self, frame: VideoFrame) -> None:
        if self._avi is not None:
            self._avi.set_time(frame)
        self.pictures += 1
        self._keyless &= not frame.key_frame
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

    def is_damaged(self, frame: VideoFrame) -> bool:
        """Whether a picture that came last is wrong, at least in part, as far as the decoder tells."""
        return frame.is_corrupt or self._keyless

    def _count_leading(self, ahead: list[int], first: int) -> None:
        """Packets in front of the first picture: what was wanted could not be decoded, the others do not count."""
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
            again = Decoder(
                self._address,
                self._name,
                video_stream=self._video_stream,
                sliced=True,
                threads=1,
                max_pixels=self._max_pixels,
                card=self._card,
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
        cut = self._is_cut_off()
        if cut:
            self._gaps.damage()
        self._gaps.finish()
        by_index = self._family == "mov" and self.stream.frames
        behind = self._frames_behind_end() if by_index else self._time_behind_end(cut)
        missing, complete = behind or 0, behind == 0
        if self._wanted_from is None:
            listed = self._count_listed(cut)
            due = listed or (self.stated_frames if self._family in _COUNTED else 0)
            uncounted = due - self._read - missing - self._gaps.lost
            complete |= uncounted <= 0 < due
            if listed:
                self._missing = max(0, uncounted)
            else:
                missing += max(0, uncounted)
        joined = self._structure is not None and self._structure.joined
        return missing or int(joined or (cut and not complete))

    def _count_listed(self, cut: bool) -> int:
        """How many packets an index lists that was read from the file; 0: none, or it was at an end that is cut off."""
        if self._family == "mov":
            return len(self.stream.index_entries)
        return self._listed if self._family == "avi" and self._listed > 1 and not cut else 0

    def _frames_behind_end(self) -> int | None:
        size = self.container.size
        if not size or size < 0:  # of a pipe: None from PyAV 19 on, before that -1 or less
            return None
        return sum(1 for entry in self.stream.index_entries if entry.pos + entry.size > size)

    def _time_behind_end(self, cut: bool) -> int | None:
        """Frames between the last picture and the stated end; None: it is not stated, or not closely enough."""
        end = stated_end(self.container, self.stream)
        if end is None or not self.pictures:
            return None
        seen = max(self._end, self._end - (self.stream.start_time or 0))
        gap = end - seen * self.time_base
        frame_s = 1 / self.rate if self.rate else Fraction(1, 25)
        if gap > (frame_s / 2 if cut else max(Fraction(1, 2), 3 * self._longest * self.time_base)):
            return max(1, round(gap / frame_s))
        return 0 if abs(gap) <= frame_s / 2 else None

    def _is_cut_off(self) -> bool:
        """Whether the end of the file shows that something is missing there."""
        if self._unreadable or self._last_is_broken:
            return True
        if self._last_gif is not None and not ends_whole(self._last_gif):
            return True
        structure = self._find_structure()
        try:
            return structure is not None and structure.cut_off(self._last_place, self._last_size)
        except OSError:
            return False

    def _broken_between(self, first: int, last: int, widest: int) -> bool:
        structure = self._find_structure()
        if structure is None:
            return self._family in _PACKED and len(self.container.streams) == 1 and widest > _WIDEST
        try:
            return structure.broken_between(first, last)
        except OSError:
            return False

    def _find_structure(self) -> FileStructure | None:
        if self._structure is None and isinstance(self._address, Path):
            self._structure = structure_of(self._address, self._family, fragmented=not self.stream.frames)
        return self._structure
