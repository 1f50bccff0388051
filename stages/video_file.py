"""One annotated video file: H.264 and the source's sound, whole after an orderly end and nearly so after a kill."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError
from av.packet import Packet

from ..pipeline.errors import OutputError
from ..pipeline.packet import Frame
from ..pipeline.picture import Picture
from .audio_copy import AudioCopy
from .clock import NANOSECONDS
from .encoder_frame import EncoderFrames, coded_matrix, coded_size, matrix_tag
from .output_file import OutputFile
from .outputs import output_error

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
FRAGMENT_S = Fraction(1, 2)
"""Pictures and sound of so long are written together; a kill loses those that are not complete."""
KEY_FRAME_S = 4  # from one key frame to the next: how finely players seek

# A fragment is cut at any frame, not only at key frames. The index (moov) waits for the first fragment, which
# knows by how much the pictures and the sound's priming shift the start; at the end it is written in full.
_MP4_OPTIONS = {"movflags": "hybrid_fragmented+delay_moov", "frag_duration": str(int(FRAGMENT_S * 1_000_000))}
_MKV_OPTIONS = {"cluster_time_limit": str(int(FRAGMENT_S * 1000))}
# Packets come in order already: the muxer must not hold pictures back until the (late, finished) sound has some.
_COMMON_OPTIONS = {"flush_packets": "1", "max_interleave_delta": "1"}
# At most one frame is in the encoder at any time: no lookahead, no B-frames, threads that share a frame. Measured
# at 1080p against the preset's own settings: about as sharp in 3/4 of the time, in a file that is 40 % larger.
_CODER = "rc-lookahead=0:sync-lookahead=0:bframes=0"
_RATE_FACTOR = "24"
_MAX_THREADS = 8
_BUFFER = 1 << 20
_LONGEST_PRELOAD_S = 2000  # FFmpeg counts microseconds in 31 bits
_FINEST = 1_000_000  # ticks a second: MP4 counts them in 32 bits
_COARSEST = 10_000


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """How to encode: an x264 ``preset`` and the threads of one encoder."""

    preset: str = "veryfast"
    threads: int = 1


class VideoFile:
    """Writes one video file; pictures of one size, matrix and range, in order.

    Args:
        path: .mp4, .m4v, .mov or .mkv; replaced if it exists.
        frame: the first frame; its time base, duration and pixel shape are the stream's.
        picture: what is shown of it.
        settings: of the encoder.
        audio: the opened source of the sound, which is closed with this file; None: no sound.
        shift: seconds to subtract from all times.
        audio_from: seconds in the source's clock where the sound begins; None: from its start.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(
        self,
        path: Path,
        frame: Frame,
        picture: Picture,
        *,
        settings: EncoderSettings,
        audio: AudioCopy | None = None,
        shift: Fraction = Fraction(0),
        audio_from: Fraction | None = None,
    ) -> None:
        self.path, self.frames = path, 0
        self._audio, self._shift = audio, shift
        self._time_base = _ticks(Fraction(frame.time_base))
        self._form = "nv12" if picture.format == "nv12" else "yuv420p"
        self._make = EncoderFrames(self._form).make
        self._grid = _EvenTimes(frame)
        self._last_pts: int | None = None
        self._durations: dict[int, int] = {}  # by pts, of the frames that are in the encoder
        self._end = Fraction(0)
        self._length = 1 / _nominal_rate(frame.duration_ns)
        late = Fraction(0)
        if audio is not None:
            mkv = path.suffix.lower() == ".mkv"
            # Matroska has no times before 0: the sound's priming would push the pictures back by as much
            audio.begin(shift=shift, first=shift if mkv and audio_from is None else audio_from)
            if not mkv:  # MP4's index waits for all streams, so they send a packet ahead
                late = min(max(late, audio.late_s(frame_time(frame))), Fraction(_LONGEST_PRELOAD_S))
        try:
            self._file = OutputFile(path)
        except OSError as error:
            raise output_error(path, error) from error
        try:
            self._open(frame, picture, settings, preload_s=late)
            if audio is not None:
                audio.add_to(self._container, path)
            self._container.start_encoding()
            if audio is not None and late:
                audio.write_first(self._container)
        except (FFmpegError, OSError) as error:
            self._file.close()
            raise output_error(path, error) from error

    def _open(self, frame: Frame, picture: Picture, settings: EncoderSettings, *, preload_s: Fraction) -> None:
        suffix = self.path.suffix.lower()
        self._container = av.open(
            self._file,
            "w",
            format={".mkv": "matroska", ".mov": "mov"}.get(suffix, "mp4"),
            container_options={
                **_COMMON_OPTIONS,
                **(_MKV_OPTIONS if suffix == ".mkv" else _MP4_OPTIONS),
                "audio_preload": str(round(preload_s * 1_000_000)),
            },
            buffer_size=_BUFFER,
        )
        rate = _nominal_rate(frame.duration_ns)
        options = {"preset": settings.preset, "crf": _RATE_FACTOR, "x264-params": _CODER}
        self._stream = stream = self._container.add_stream("libx264", rate=rate, options=options)
        stream.height, stream.width = coded_size(picture)
        stream.pix_fmt = self._form
        context = stream.codec_context
        context.time_base = self._time_base
        context.gop_size = max(1, round(KEY_FRAME_S * rate))
        context.thread_type, context.thread_count = "SLICE", min(settings.threads, _MAX_THREADS)
        _, full_range = coded_matrix(picture)
        context.colorspace, context.color_range = matrix_tag(picture), 2 if full_range else 1
        if picture.sample_aspect != 1:
            context.sample_aspect_ratio = picture.sample_aspect

    def write(self, frame: Frame, picture: Picture) -> None:
        """Add the next frame.

        Raises:
            OutputError: the disk is full, or the file cannot be written for another reason.
        """
        if self._file.closed:
            raise OutputError(f"cannot write {self.path}: it was closed after an error")
        shown = self._grid.exact(frame_time(frame))
        coded = self._make(picture)
        pts = round((shown - self._shift) / self._time_base)
        if self._last_pts is not None and pts <= self._last_pts:
            pts = self._last_pts + 1
        length = Fraction(frame.duration_ns, NANOSECONDS) or self._length
        coded.pts, coded.time_base = pts, self._time_base
        self._durations[pts] = max(1, round(length / self._time_base))
        self._last_pts, self._length = pts, length
        self._end = max(self._end, shown + length)
        self._encode(coded)
        self.frames += 1

    def _encode(self, coded: av.VideoFrame | None) -> None:
        try:
            for packet in self._coded(coded):
                if self._audio is not None and packet.dts is not None:
                    self._audio.write_until(self._container, packet.dts * self._time_base + self._shift)
                self._container.mux_one(packet)
        except (FFmpegError, OSError) as error:
            raise self._failed(error) from error

    def _coded(self, coded: av.VideoFrame | None) -> list[Packet[Any]]:
        """What comes out of the encoder, with its durations (x264 does not pass them on)."""
        packets = self._stream.encode(coded)
        for packet in packets:
            assert packet.pts is not None
            packet.duration = self._durations.pop(packet.pts)
        return packets

    def _failed(self, error: Exception) -> OutputError:
        self.abandon()
        return output_error(self.path, error, kept="what was written before can be played")

    def finish(self, *, whole_sound: bool) -> None:
        """Flush the encoder, write the index and close. Further calls do nothing.

        Args:
            whole_sound: the rest of the source's sound belongs to it, even where it outlasts the pictures.

        Raises:
            OutputError: the file cannot be written to its end; it is closed.
        """
        if self._file.closed:
            return
        try:
            self._encode(None)
            if self._audio is not None:
                self._audio.finish(self._container, None if whole_sound else self._end)
            self._container.close()
            self._file.close()
        except (FFmpegError, OSError) as error:
            raise self._failed(error) from error
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close after a failure, without an index: whole fragments stay as they are. Further calls do nothing."""
        self._file.give_up()
        self._container.close()
        if self._audio is not None:
            self._audio.close()
            self._audio = None


class _EvenTimes:
    """The times of a constant rate that the source has rounded to its time base (Matroska, FLV: milliseconds).

    Up to the first frame that is not at a multiple of the frame duration: from there on, the rate is variable.
    """

    def __init__(self, first: Frame) -> None:
        self._start, self._tick = frame_time(first), Fraction(first.time_base)
        self._period = 1 / _nominal_rate(first.duration_ns) if first.duration_ns > 0 else None

    def exact(self, time: Fraction) -> Fraction:
        """``time`` in seconds, before it was rounded."""
        if self._period is None:
            return time
        even = self._start + round((time - self._start) / self._period) * self._period
        if abs(even - time) < self._tick:
            return even
        self._period = None
        return time


def frame_time(frame: Frame) -> Fraction:
    """When a frame is shown in its source's own clock, in seconds."""
    if frame.time_base == Fraction(1, NANOSECONDS):
        return Fraction(frame.pts_ns, NANOSECONDS)
    return frame.pts * Fraction(frame.time_base)


def _ticks(time_base: Fraction) -> Fraction:
    """A time base for the file that has every time of ``time_base``, within what MP4 can count."""
    rate = 1 / time_base
    if rate > _FINEST:
        return Fraction(1, _FINEST)
    return time_base / max(1, -(-_COARSEST // max(1, int(rate))))


def _nominal_rate(duration_ns: int) -> Fraction:
    """Frames per second of a frame duration; 25 where it is unknown."""
    if duration_ns <= 0:
        return Fraction(25)
    return min(Fraction(1000), max(Fraction(1, 10), Fraction(NANOSECONDS, duration_ns).limit_denominator(1001)))
