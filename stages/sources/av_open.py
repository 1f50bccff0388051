"""Opens what FFmpeg reads, and says in one line why it cannot be read.

FFmpeg's own messages stay off (PyAV's default): they would land between ours on standard error,
and forwarding them to Python from a decoder's threads can lock the process up.
"""

from __future__ import annotations

import difflib
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
from av.codec.context import Flags
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from ...pipeline.errors import SourceError
from ...pipeline.limits import MAX_PIXELS, too_large
from ...pipeline.redaction import redact, redact_address, redact_error

NETWORK = re.compile(r"https?://", re.IGNORECASE)
ANSWER_S = 8.0
"""A server may be silent for so long, when connecting and between any two pieces of data."""
_TEXTS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
"""Metadata that is no UTF-8 does not end the reading; PyAV 19 needs not be asked."""
_SEQUENCES = ("avis", "msf1", "hevc", "hevx")  # Source: AV1 Image File Format, 6.3; ISO/IEC 23008-12, 10
_IMPLAUSIBLE_RATE = 1000
_SAME = 1e-4  # relative; a tenth of what lies between a rate and 1000/1001 of it
_ROUNDED_UP = 2**23
"""Pixels: decoders round sides up, to 64 or so, before they compare them with a limit."""
_BOX_NAMES = {b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"uuid", b"moof", b"mfra", b"sidx", b"styp"}


def check_file(path: Path) -> None:
    """Refuse what is not a readable file with something in it.

    Raises:
        SourceError: no such file (with the nearest name), a folder, no permission, empty.
    """
    name = redact_address(str(path))
    try:
        there = path.exists()
    except OSError as error:
        raise SourceError(f"cannot read {name}: {(error.strerror or str(error)).lower()}") from error
    if not there:
        raise SourceError(f"no such file: {name}{_nearest(path)}")
    if path.is_dir():
        raise SourceError(f"{name} is a folder, not a video file")
    if not os.access(path, os.R_OK):
        raise SourceError(f"cannot read {name}: permission denied")
    if path.is_file() and path.stat().st_size == 0:
        raise SourceError(f"{name} is empty (0 bytes)")


def _nearest(path: Path) -> str:
    try:
        names = [entry.name for entry in os.scandir(path.parent)]
    except OSError:
        return f" (there is no folder {redact_address(str(path.parent))})"
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.75)
    return f" (is it {near[0]}?)" if near else ""


def open_container(
    address: str | Path | IO[bytes],
    name: str,
    *,
    max_pixels: int = MAX_PIXELS,
    acceleration: HWAccel | None = None,
) -> InputContainer:
    """Open a file, an http(s) address or a binary stream for reading.

    Args:
        address: a path is a path, whatever characters it has; a stream is read from where it stands.
        name: what errors call it.
        max_pixels: larger pictures are not decoded to find out what is in it; see :func:`limit_pixels`.
        acceleration: decodes what it can of it; None: the CPU.

    Raises:
        SourceError: it cannot be opened; one line that begins with or contains ``name``.
    """
    name = redact_address(name)
    limits = {"max_pixels": str(max_pixels + _ROUNDED_UP)}
    try:
        if isinstance(address, Path):
            check_file(address)
            return _reader(f"file:{address}", limits, acceleration)
        if isinstance(address, str):
            # FFmpeg's own limits. PyAV's (``timeout``) are held by a function that FFmpeg calls ten times a second and
            # that takes the GIL: in a thread that is left behind at exit, it crashes once the interpreter has gone.
            silence_us = f"{ANSWER_S * 1e6:.0f}"
            limits |= {"timeout": silence_us, "rw_timeout": silence_us}  # of TCP, and of what else is below
        return _reader(address, limits, acceleration)
    except (FFmpegError, OSError, EOFError, ValueError) as error:
        redact_error(error)
        raise SourceError(f"cannot open {name}: {_reason(error, address)}") from error


def _reason(error: BaseException, address: str | Path | IO[bytes]) -> str:
    if isinstance(address, Path) and _is_mp4_without_index(address):
        return "a cut-off MP4 without its index (moov), as after a recording that was not finished"
    if isinstance(error, av.error.TimeoutError):
        return f"no answer within {ANSWER_S:g} s"
    if isinstance(error, av.error.InvalidDataError | EOFError):
        return "not a video or image that FFmpeg can read"
    reason = getattr(error, "strerror", None) or str(error)
    return redact(reason.splitlines()[0] if reason else type(error).__name__)


def _is_mp4_without_index(path: Path) -> bool:
    """Whether the top-level boxes of a file are those of an MP4, but for ``moov``. Source: ISO/IEC 14496-12, 4.2."""
    size = path.stat().st_size
    with path.open("rb") as file:
        place = 0
        names: list[bytes] = []
        while place + 8 <= size and len(names) < 1000:
            file.seek(place)
            header = file.read(16)
            length, kind = int.from_bytes(header[:4], "big"), header[4:8]
            if kind not in _BOX_NAMES:
                break
            names.append(kind)
            if length == 1:
                length = int.from_bytes(header[8:16], "big")
            if length < 8:  # 0: up to the end of the file
                break
            place += length
    return names[:1] == [b"ftyp"] and b"moov" not in names


def choose_stream(container: InputContainer, which: int | None, name: str) -> VideoStream:
    """The video stream to read; all other streams are told to be skipped.

    Args:
        which: number among the file's video streams from 0, or None for the one that FFmpeg rates best
            (marked as default, most data; of equal ones the first). Attached pictures (cover art) are not counted.

    Raises:
        SourceError: there is no such stream, or no decoder for it.
    """
    name = redact_address(name)
    videos = [s for s in container.streams.video if not Disposition.attached_pic & s.disposition]
    if not videos:
        kinds = sorted({s.type for s in container.streams})
        cover = " and a cover picture" if container.streams.video else ""
        others = [kind for kind in kinds if kind != "video"]
        raise SourceError(f"{name} has no video stream, only {', '.join(others) or 'nothing'}{cover}")
    if which is None:
        best = container.streams.best("video")
        stream = next((video for video in videos if video is best), videos[0])
        if container.metadata.get("major_brand") in _SEQUENCES:  # of pictures, beside which there is a still
            stream = next((video for video in videos if video.duration), stream)
    elif 0 <= which < len(videos):
        stream = videos[which]
    else:
        raise SourceError(f"{name} has {len(videos)} video stream(s), counted from 0; there is no number {which}")
    if stream.codec_context is None:
        raise SourceError(f"{name}: this FFmpeg has no decoder for its video stream")
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    return stream


def limit_pixels(stream: VideoStream, name: str, max_pixels: int) -> None:
    """Have the decoder of ``stream`` refuse larger pictures, before it asks for their memory.

    Raises:
        SourceError: the container says already that they are larger.
    """
    context = stream.codec_context
    if context.width * context.height > max_pixels:
        raise too_large(name, (context.height, context.width), max_pixels)
    context.options = {**context.options, "max_pixels": str(max_pixels + _ROUNDED_UP)}


def crop_exactly(stream: VideoStream) -> None:
    """Have the decoder of ``stream`` leave out all that the stream says is not to be shown, before it is opened.

    By default, columns at the left come out where leaving them out would move rows from addresses that FFmpeg likes
    best.
    """
    stream.codec_context.flags |= Flags.unaligned


def _reader(place: str | IO[bytes], options: dict[str, str], acceleration: HWAccel | None = None) -> InputContainer:
    container: InputContainer = av.open(place, "r", options=options, hwaccel=acceleration, **_TEXTS)
    return container


def stated_size(address: Path | IO[bytes]) -> tuple[int, int] | None:
    """(height, width) as the container of a file says, asked of no decoder; None where it does not say."""
    try:
        place = f"file:{address}" if isinstance(address, Path) else address
        with _reader(place, {"codec_whitelist": "none"}) as container:
            context = container.streams.video[0].codec_context
            size = (context.height, context.width)
    except (FFmpegError, OSError, EOFError, ValueError, IndexError, AttributeError):
        return None
    return size if min(size) > 0 else None


def frame_rate(stream: VideoStream) -> Fraction | None:
    """Nominal frames per second, or None where the file does not say.

    Where a container does not state it, FFmpeg guesses from the times, among common rates. Where none fits, that is
    the time base; and above 60 there are no multiples of 1000/1001 among them.
    """
    guess, average = stream.guessed_rate or stream.average_rate, stream.average_rate
    if not guess:
        return None
    if guess >= _IMPLAUSIBLE_RATE and average:
        return Fraction(average)
    lower = guess * Fraction(1000, 1001)
    told = stream.codec_context.framerate == lower or (average and abs(average / lower - 1) < _SAME)
    return Fraction(lower if guess > 60 and told else guess)


def stated_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Seconds to the stream's end as the file's header states it, or None.

    They count from time 0 or from the stream's start: writers differ, and what is cut from a recording often keeps
    its times. Only of containers whose header is independent of how much of the file is there.
    """
    if container.format.name.split(",")[0] not in ("mov", "matroska", "flv", "asf"):
        return None
    if stream.duration:
        return stream.duration * Fraction(stream.time_base or 0)
    tag: Any = stream.metadata.get("DURATION")
    if tag and re.fullmatch(r"\d+:\d\d:\d\d(\.\d+)?", tag):
        hours, minutes, seconds = tag.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    if container.duration and len(container.streams) == 1:
        return Fraction(container.duration, 1_000_000)
    return None
