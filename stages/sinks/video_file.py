"""One annotated video file: H.264 and the source's sound, whole after an orderly end and nearly so after a kill."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from ...kernels.cuda.driver import CudaError
from ...pipeline.claims import CHECKED_EVERY_S, Claim, output_error
from ...pipeline.errors import OutputError
from ...pipeline.packet import Frame
from ...pipeline.types.picture import UNMARKED, Picture
from ..sources.clock import NANOSECONDS
from .audio_copy import AudioCopy
from .card_frames import CARD_FORMAT
from .encoder_frame import MATRIX_TAGS, coded_matrix, coded_size, matrix_tag
from .encoders import EncoderRefused, choose_encoder, encoder_refused, frames_for
from .output_file import OutputFile

FRAGMENT_S = Fraction(1, 2)
"""Pictures and sound of so long are written together; a kill loses those that are not complete."""
KEY_FRAME_S = 4  # from one key frame to the next: how finely players seek

# A fragment is cut at any frame, not only at key frames. The index (moov) waits for the first fragment, which
# knows by how much the pictures and the sound's priming shift the start; at the end it is written in full.
_MP4_OPTIONS = {"movflags": "hybrid_fragmented+delay_moov", "frag_duration": str(int(FRAGMENT_S * 1_000_000))}
_MKV_OPTIONS = {"cluster_time_limit": str(int(FRAGMENT_S * 1000))}
# Packets come in order already: the muxer must not hold pictures back until the (late, finished) sound has some.
_COMMON_OPTIONS = {"flush_packets": "1", "max_interleave_delta": "1"}
_MAX_THREADS = 8
_BUFFER = 1 << 20
_LONGEST_PRELOAD_S = 2000  # FFmpeg counts microseconds in 31 bits
_FINEST = 1_000_000  # ticks a second: MP4 counts them in 32 bits
_COARSEST = 10_000
_LONGEST_TICKS = 2**31 - 1  # from one frame of an MP4 to the next


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """How to encode: ``auto`` or an encoder of :data:`.encoders.ENCODERS`, a preset by x264's names, and the threads of
    one encoder."""

    encoder: str = "auto"
    preset: str = "veryfast"
    threads: int = 1


class VideoFile:
    """Writes one video file; pictures of one size, matrix and range, in order.

    Args:
        claim: a file .mp4, .m4v, .mov or .mkv, which is emptied, and released when it is closed.
        frame: the first frame; its time base, duration and pixel shape are the stream's.
        picture: what is shown of it.
        settings: of the encoder.
        audio: the opened source of the sound, which is closed with this file; None: no sound.
        shift: seconds to subtract from all times.
        audio_from: seconds in the source's clock where the sound begins; None: from its start.

    Raises:
        EncoderRefused: the encoder is not to be had.
        OutputError: the file cannot be written.
    """

    def __init__(
        self,
        claim: Claim,
        frame: Frame,
        picture: Picture,
        *,
        settings: EncoderSettings,
        audio: AudioCopy | None = None,
        shift: Fraction = Fraction(0),
        audio_from: Fraction | None = None,
    ) -> None:
        self._encoder = choose_encoder(settings.encoder, picture, str(claim.path))
        self.path = path = claim.path
        self._claim, self.frames = claim, 0
        self._audio, self._shift = audio, shift
        self._time_base = _ticks(Fraction(frame.time_base))
        self._frames = frames_for(self._encoder, picture)
        self._grid = _EvenTimes(frame)
        self._last_pts: int | None = None
        self._durations: dict[int, int] = {}  # by pts, of the frames that are in the encoder
        self._end = Fraction(0)
        self._length = 1 / nominal_rate(frame.duration_ns)
        late = Fraction(0)
        if audio is not None:
            mkv = path.suffix.lower() == ".mkv"
            # Matroska has no times before 0: the sound's priming would push the pictures back by as much
            audio.begin(shift=shift, first=shift if mkv and audio_from is None else audio_from)
            if not mkv:  # MP4's index waits for all streams, so they send a packet ahead
                late = min(max(late, audio.late_s(frame_time(frame))), Fraction(_LONGEST_PRELOAD_S))
        try:
            self._file = OutputFile(claim)
        except OSError as error:
            raise output_error(path, error) from error
        try:
            self._open(frame, picture, settings, preload_s=late)
            if audio is not None:
                audio.add_to(self._container, path)
            self._late, self._begun = late, False
            if self._frames.form != CARD_FORMAT:  # of frames on a card, the first one tells the encoder which it is
                self._open_encoder()
                self._begin()
        except EncoderRefused:
            self.abandon()
            raise
        except (FFmpegError, OSError) as error:
            self._file.close()
            raise output_error(path, error) from error

    def _open_encoder(self) -> None:
        try:
            self._stream.codec_context.open()
        except FFmpegError as error:
            if self._encoder.nvenc:
                raise self._refused(error) from error
            raise

    def _refused(self, error: BaseException) -> EncoderRefused:
        return encoder_refused(self._encoder, str(self.path), error)

    def _begin(self) -> None:
        """Write what comes before the first packet."""
        self._container.start_encoding()
        if self._audio is not None and self._late:
            self._audio.write_first(self._container)
        self._begun = True

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
        rate = nominal_rate(frame.duration_ns)
        options = self._encoder.options(settings.preset, picture.tags)
        stream = self._container.add_stream(self._encoder.codec, rate=rate, options=options)
        assert isinstance(stream, VideoStream)
        self._stream = stream
        stream.height, stream.width = coded_size(picture)
        stream.pix_fmt = self._frames.form
        context = stream.codec_context
        context.time_base = self._time_base
        if self._encoder.tag and suffix != ".mkv":
            context.codec_tag = self._encoder.tag
        context.gop_size = max(1, round(KEY_FRAME_S * rate))
        context.thread_type, context.thread_count = "SLICE", min(settings.threads, _MAX_THREADS)
        _, full_range = coded_matrix(picture)
        context.colorspace, context.color_range = matrix_tag(picture), 2 if full_range else 1
        if frame.file is not None and context.colorspace == UNMARKED:  # gray, and those to come may have colours
            context.colorspace = MATRIX_TAGS[coded_matrix(picture)[0]]
        context.color_primaries, context.color_trc = picture.tags.primaries, picture.tags.transfer
        if picture.sample_aspect != 1:
            context.sample_aspect_ratio = picture.sample_aspect

    def write(self, frame: Frame, picture: Picture) -> None:
        """Add the next frame.

        Raises:
            EncoderRefused: the encoder is not to be had, and nothing was written.
            OutputError: the disk is full, the file was removed or replaced, or cannot be written for another reason.
        """
        if self._file.closed:
            raise OutputError(f"cannot write {self.path}: it was closed after an error")
        self._claim.check(every_s=CHECKED_EVERY_S)
        shown = self._grid.exact(frame_time(frame))
        try:
            coded = self._frames.make(picture)
        except (CudaError, FFmpegError, OSError) as error:
            raise self._not_coded(error) from error
        pts = round((shown - self._shift) / self._time_base)
        if self._last_pts is not None and pts <= self._last_pts:
            pts = self._last_pts + 1
        length = Fraction(frame.duration_ns, NANOSECONDS) or self._length
        coded.pts, coded.time_base = pts, self._time_base
        self._durations[pts] = min(max(1, round(length / self._time_base)), _LONGEST_TICKS)
        self._last_pts, self._length = pts, length
        self._end = max(self._end, shown + length)
        self._encode(coded)
        self.frames += 1

    def reaches(self, frame: Frame) -> bool:
        """Whether the file can hold a frame so long after the one before; MP4 has 31 bits for the time between."""
        if self._last_pts is None or self.path.suffix.lower() == ".mkv":
            return True
        return (frame_time(frame) - self._shift) / self._time_base - self._last_pts < _LONGEST_TICKS

    def _encode(self, coded: av.VideoFrame | None) -> None:
        try:
            packets = self._coded(coded)
        except FFmpegError as error:
            raise self._not_coded(error) from error
        try:
            if not self._begun:
                self._begin()
            for packet in packets:
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

    def _not_coded(self, error: Exception) -> OutputError:
        failed = self._failed(error)
        return failed if self._begun else self._refused(error)  # NVENC, which the first frame opens

    def _failed(self, error: Exception) -> OutputError:
        self.abandon()
        return output_error(self.path, error, kept="what was written before can be played")

    def finish(self, *, whole_sound: bool) -> None:
        """Flush the encoder, write the index and close. Further calls do nothing.

        Args:
            whole_sound: the rest of the source's sound belongs to it, even where it outlasts the pictures.

        Raises:
            OutputError: the file cannot be written to its end, or was removed or replaced; it is closed.
        """
        if self._file.closed:
            return
        if not self._begun:  # nothing was written
            self.abandon()
            return
        try:
            self._encode(None)
            if self._audio is not None:
                self._audio.finish(self._container, None if whole_sound else self._end)
            self._container.close()
            self._claim.check()
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
        self._period = 1 / nominal_rate(first.duration_ns) if first.duration_ns > 0 else None

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
    rate = time_base.denominator
    return Fraction(1, min(_FINEST, rate * -(-_COARSEST // rate)))


def nominal_rate(duration_ns: int) -> Fraction:
    """Frames per second of a frame duration; 25 where it is unknown."""
    if duration_ns <= 0:
        return Fraction(25)
    return min(Fraction(1000), max(Fraction(1, 10), Fraction(NANOSECONDS, duration_ns).limit_denominator(1001)))
