"""A video as a source of frames: everything FFmpeg reads, files and streams on standard input."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from contextlib import closing
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ...kernels.device import HOST, Device
from ...pipeline.errors import SourceError
from ...pipeline.limits import MAX_PIXELS, check_max_pixels, too_large
from ...pipeline.packet import Frame
from ...pipeline.redaction import HIDDEN, redact_address
from ...pipeline.stage import Source
from .av_card import CardReport, card_decoding, sample_format
from .av_decoder import Decoder
from .av_open import NETWORK, stated_size
from .av_picture import PictureReader
from .camera.options import DecoderName
from .clock import NANOSECONDS, StreamClock, frames_between, parse_range, to_ns, to_ticks
from .image_bytes import announced_size
from .said import Said
from .stdin import StandardInput

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_HEAD_BYTES = 1 << 16
_RECORDED_AT = "com.apple.quicktime.creationdate"


class VideoSource(Source):
    """The frames of one video stream, each in its own pixel format, with nothing left out and nothing made up.

    Time: ``pts_ns`` counts from the start of the video stream (:class:`StreamClock` has the rules for
    timestamps that are missing, out of order or jump), and stays as in the file when ``start`` skips
    a part. ``index`` counts delivered frames from 0. ``epoch`` goes up at a change of size or pixel format
    and at a jump of the clock. ``capture_ns`` is known where a camera's stream carries its clock, or a
    recording says when it began (QuickTime's ``creationdate``; MP4's ``creation_time`` is as often the
    time of a conversion and is not used).

    Damage: pictures that can be decoded at least in part come through (``Frame.damaged``); ``problems``
    counts ``damaged`` pictures, ``lost`` frames of which no picture came (also those that never came out of the
    container, by the gap in the times that damage has left) and, once the end is reached, ``truncated`` frames
    missing at the end of the file.
    """

    def __init__(
        self,
        address: str | os.PathLike[str],
        *,
        stream_id: str | None = None,
        start: str | float | None = None,
        end: str | float | None = None,
        frames: int | None = None,
        video_stream: int | None = None,
        sliced: bool = False,
        deterministic: bool = False,
        threads: int | None = None,
        standard_input: IO[bytes] | None = None,
        max_pixels: int = MAX_PIXELS,
        decoder: DecoderName = "auto",
        device: Device = HOST,
    ) -> None:
        """
        Args:
            address: a path, an http(s) address, or ``-`` for standard input.
            stream_id: name of the stream; None: the file's stem, ``stdin``.
            start: first time to deliver (a frame exactly at it is delivered), seconds or "1:02.5".
            end: time from which on nothing is delivered.
            frames: deliver at most so many.
            video_stream: which of several video streams, from 0; None: the one FFmpeg rates best
                (marked as default, most data).
            sliced: decode without frame threads: less delay, for live use.
            deterministic: one thread, so that damage decodes to the same pixels every time; ``auto`` is the CPU then.
            threads: of the decoder; None: one per available core.
            standard_input: read instead of ``sys.stdin.buffer``.
            max_pixels: larger pictures are refused before memory is asked for.
            decoder: ``auto``: NVDEC on the card where the frames are needed, where it can, else the CPU, and a line in
                the log says why; ``cpu``; ``cuda``: NVDEC, and the CPU for what it does not take.
            device: where the frames are needed.

        Raises:
            UsageError: times or counts that make no sense.
        """
        self.address: str = os.fspath(address)
        self.stream_id = stream_id or default_name(self.address)
        self._start_ns, self._end_ns = parse_range(start, end, frames)
        check_max_pixels(max_pixels)
        self._max_pixels = max_pixels
        self._limit = frames
        self._video_stream = video_stream
        self._sliced = sliced or deterministic
        self._threads = 1 if deterministic else threads or available_cores()
        self._place: tuple[DecoderName, Device] = ("cpu" if deterministic and decoder == "auto" else decoder, device)
        self._stdin = standard_input
        self._input: StandardInput | None = None
        self._decoder: Decoder | None = None
        self._damaged = 0
        self._expected: int | None = None
        self._problems: dict[str, int] = {}
        self._said = Said(self.label)
        self._report = CardReport(self._said)
        self._process = os.getpid()

    def open(self) -> None:
        """Open the container.

        Raises:
            SourceError: it cannot be read, has no video, or cannot be decoded where it was asked for; one line with
                the reason.
        """
        if self._decoder is not None:
            return
        self._problems, self._damaged, self._process = {}, 0, os.getpid()
        card = card_decoding(*self._place, self._said)
        self._report.begin(card)
        place: str | Path | StandardInput = Path(self.address)
        if self.address == "-":
            place = self._input = StandardInput(self._stdin)
        elif NETWORK.match(self.address):
            place = self.address
        self._decoder = Decoder(
            place,  # type: ignore[arg-type]  # PyAV asks for read, seek and tell only
            self.label,
            video_stream=self._video_stream,
            sliced=self._sliced,
            threads=self._threads,
            max_pixels=self._max_pixels,
            card=card,
        )
        self._expected = self._expect(self._decoder)

    @property
    def has_audio(self) -> bool:
        """Whether the open container has sound besides the video."""
        return self._decoder is not None and bool(self._decoder.container.streams.audio)

    @property
    def audio_address(self) -> str:
        """Its own address; standard input can be read only once."""
        return "" if self.address == "-" else self.address

    @property
    def decoder(self) -> str:
        """Where it is decoded, once its first frame has come."""
        return self._report.decoder

    @property
    def files(self) -> list[Path]:
        """Where standard input comes from."""
        return [Path("/dev/stdin")] if self.address == "-" else []

    @property
    def label(self) -> str:
        """What messages call this source."""
        return "standard input" if self.address == "-" else redact_address(self.address)

    def close(self) -> None:
        """Free the container and the decoder; pictures that are still held stay valid."""
        if self._decoder is not None:
            self._problems = self.problems
            self._decoder.close()
        self._decoder = self._input = None

    def interrupt(self) -> None:
        """End a read that waits for standard input; safe from any thread."""
        waiting = self._input
        if waiting is not None:
            waiting.interrupt()

    @property
    def problems(self) -> dict[str, int]:
        """Cause -> frames: ``damaged``, ``lost``, ``truncated``; only causes that occurred."""
        decoder = self._decoder
        if decoder is None:
            return dict(self._problems)
        counts = {"damaged": self._damaged, "lost": decoder.lost(), "truncated": decoder.cut_off}
        return {cause: count for cause, count in counts.items() if count}

    @property
    def expected_frames(self) -> int | None:
        """How many frames will come, where the container says or lets estimate it; None if not, or before ``open``."""
        return self._expected

    def _expect(self, decoder: Decoder) -> int | None:
        rate = decoder.rate
        count: int | None = decoder.stated_frames or None
        if count is None and rate is not None and decoder.seconds is not None:
            count = round(decoder.seconds * rate)
        if count is None or (rate is None and (self._start_ns or self._end_ns)):
            return self._limit
        if rate is not None:
            count = frames_between(count, rate, self._start_ns, self._end_ns)
        return count if self._limit is None else min(count, self._limit)

    def frames(self) -> Iterator[Frame]:
        """The frames, in order. May be left at any time; ``close`` then frees everything.

        Raises:
            SourceError: not opened, or in another process, from which this one was forked; there is no frame in
                what was asked for; or the card that decodes it fails.
        """
        decoder = self._decoder
        if decoder is None:
            raise SourceError(f"{self.label}: open() the source before reading its frames")
        if os.getpid() != self._process:
            raise SourceError(f"{self.label}: was opened before this process was forked; open it again here")
        clock = StreamClock(decoder.time_base, rate=decoder.rate, start=decoder.stream.start_time)
        reader, state = PictureReader(decoder.stream.codec_context, said=self._said), _Epoch()
        index, seen, first_capture = 0, 0, self._first_capture(decoder)
        with closing(self._decoded(decoder, clock)) as decoded:
            for frame in decoded:
                seen += 1
                tick = clock.place(frame.pts, frame.duration, is_key=frame.key_frame)
                self._report.look(decoder.stream, frame)
                state.note(tick.jumped, (frame.width, frame.height, sample_format(frame).name))
                if self._start_ns is not None and tick.pts_ns < self._start_ns:
                    continue
                if self._end_ns is not None and tick.pts_ns >= self._end_ns:
                    break
                picture = reader.read(frame, sample_aspect=_sample_aspect(decoder))
                damaged = decoder.is_damaged(frame)
                self._damaged += damaged
                yield Frame(
                    stream_id=self.stream_id,
                    index=index,
                    epoch=state.epoch,
                    pts_ns=tick.pts_ns,
                    duration_ns=tick.duration_ns,
                    picture=picture,
                    pts=tick.pts,
                    time_base=decoder.time_base,
                    capture_ns=None if first_capture is None else first_capture + tick.pts_ns,
                    damaged=damaged,
                )
                index += 1
                if index == self._limit:
                    break
        if index == 0:
            self._explain_nothing(decoder, seen)

    def _decoded(self, decoder: Decoder, clock: StreamClock) -> Generator[VideoFrame]:
        if self._start_ns and decoder.stream.start_time is not None:
            return decoder.frames_from(clock.start + to_ticks(self._start_ns, decoder.time_base))
        return decoder.frames()

    def _explain_nothing(self, decoder: Decoder, seen: int) -> None:
        if seen and self._start_ns:
            raise SourceError(f"{self.label}: there is no frame at or after start = {self._start_ns / NANOSECONDS:g} s")
        if not seen and not (self._input is not None and self._input.interrupted):
            self._refuse_too_large()
            lost = f"; {decoder.errors} of {decoder.packets} packets are damaged" if decoder.errors else ""
            raise SourceError(f"{self.label}: no frame could be decoded{lost}")

    def _refuse_too_large(self) -> None:
        """Say so where a file could not be decoded because its pictures are too large: decoders forget their size."""
        path = Path(self.address)
        if self.address == "-" or not path.is_file():
            return
        with path.open("rb") as file:
            size = announced_size(file.read(_HEAD_BYTES)) or stated_size(path)
        if size is not None and size[0] * size[1] > self._max_pixels:
            raise too_large(self.label, size, self._max_pixels)

    def _first_capture(self, decoder: Decoder) -> int | None:
        """Wall-clock time of pts_ns = 0, in ns since 1970, where the source knows it."""
        container = decoder.container
        offset_ns = 0
        if container.start_time is not None and decoder.stream.start_time is not None:
            offset_ns = to_ns(decoder.stream.start_time, decoder.time_base) - container.start_time * 1000
        if container.start_time_realtime:
            return container.start_time_realtime * 1000 + offset_ns
        try:
            began = datetime.fromisoformat(container.metadata[_RECORDED_AT])
        except (KeyError, ValueError):
            return None
        return None if began.tzinfo is None else round(began.timestamp() * NANOSECONDS) + offset_ns


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Epoch:
    """Counts changes that temporal state does not survive."""

    def __init__(self) -> None:
        self.epoch = 0
        self._shape: tuple[int, int, str] | None = None

    def note(self, jumped: bool, shape: tuple[int, int, str]) -> None:
        if jumped or (self._shape is not None and shape != self._shape):
            self.epoch += 1
        self._shape = shape


def _sample_aspect(decoder: Decoder) -> Fraction:
    aspect = decoder.stream.codec_context.sample_aspect_ratio or decoder.stream.sample_aspect_ratio
    return Fraction(aspect) if aspect else Fraction(1)


def default_name(address: str) -> str:
    """The name of a stream that was given none: the stem of the file, the host of an address, ``stdin``."""
    if address == "-":
        return "stdin"
    if NETWORK.match(address):
        host, _, path = re.sub(r"[?#;].*", "", redact_address(address)).partition("://")[2].partition("/")
        stem = Path(path).stem
        return host.rpartition("@")[2] if HIDDEN in stem or not stem else stem
    return Path(address).absolute().stem or "source"
