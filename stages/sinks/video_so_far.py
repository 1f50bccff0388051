"""What a video that an interrupted run left holds of its stream, so that the next parts have exactly the rest."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ...pipeline.errors import OutputError
from .addresses import part_path
from .whole_end import whole_end

log = logging.getLogger("vidgraph")
_NEAR_S = 0.0015  # times in results and in Matroska are rounded to milliseconds, those in MP4 to finer ticks
_ANOTHER_S = 1.0


class Line(NamedTuple):
    """What is needed of a frame's results: its number, its time, (height, width) as shown, whether it was dropped."""

    frame: int
    time_s: float
    size: tuple[int, int]
    dropped: bool


@dataclass(frozen=True, slots=True)
class VideoSoFar:
    """Of one stream's video.

    Attributes:
        last_frame: index of the last frame that it holds; -1: none.
        part: number of the part to go on with: the one after the last that holds frames.
        whole_bytes: length up to which each part is whole; what is behind it belongs to no frame.
    """

    last_frame: int = -1
    part: int = 1
    whole_bytes: dict[Path, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Part:
    """Of one file: size of the pictures, and the time of each in seconds, in order."""

    path: Path
    size: tuple[int, int]
    times: Sequence[float]


def video_so_far(path: Path, parts: Sequence[Path], lines: Iterable[Line]) -> VideoSoFar:
    """Look through the parts of a video, and find the frames that they hold among the lines of results.

    Frames that were dropped without their pixels are not in the video; which ones that are is told by the times.

    Args:
        path: of the first part.
        parts: those that exist, in order.
        lines: of the stream, in order.

    Raises:
        OutputError: a part is damaged, is missing before another, or is not the video of the results.
    """
    whole_bytes: dict[Path, int] = {}
    last, held = -1, 0
    rest = iter(lines)
    for number, part in enumerate(parts, start=1):
        if part != part_path(path, number):
            raise OutputError(f"cannot go on with {path}: {part} is there without {part_path(path, number).name}")
        if held + 1 < number:
            raise OutputError(f"cannot go on with {path}: there is no frame in {parts[held]}, and a part after it")
        read = _read(part, whole_bytes)
        if read is None:
            log.warning("%s is no video of vidgraph; it stays, and is taken to have the frames of the results", part)
            last = max((line.frame for line in rest), default=last)
        elif read.times:
            last = _last_frame(read, rest, last)
        held += read is None or bool(read.times)
    return VideoSoFar(last, held + 1, whole_bytes)


def _last_frame(part: _Part, lines: Iterator[Line], before: int) -> int:
    """The index of the last frame in a part, whose first is the next of ``lines`` that has pixels."""
    begin: float | None = None  # the time of its first frame, in the results
    last = before
    for time in part.times:
        since = time - part.times[0]
        line = next(lines, None)
        while line is not None and line.dropped and begin is not None and line.time_s - begin < since - _NEAR_S:
            line = next(lines, None)
        if line is None and (begin is not None or before >= 0):  # the video is some frames ahead of the results
            last += 1
            continue
        if line is None or not _fits(part, line, line.time_s if begin is None else begin + since):
            raise OutputError(
                f"cannot go on with {part.path}: it is not the video of these results; name another file, or begin"
                " again with -y"
            )
        begin = line.time_s if begin is None else begin
        last = line.frame
    return last


def _fits(part: _Part, line: Line, time_s: float) -> bool:
    """Whether a frame of a part can be that of a line."""
    height, width = line.size
    return abs(line.time_s - time_s) <= _ANOTHER_S and part.size == (height + height % 2, width + width % 2)


def _read(path: Path, whole_bytes: dict[Path, int]) -> _Part | None:
    """The pictures of a file as far as it is whole; None: it is another kind of file."""
    import av
    from av.error import FFmpegError, InvalidDataError

    try:
        with path.open("rb") as file:
            end = whole_end(file.fileno())
            if end is None:
                return None
            whole_bytes[path] = end
            if end == 0:
                return _Part(path, (0, 0), ())
            with av.open(_Head(file.fileno(), end), "r") as container:
                (stream,) = container.streams.video
                times = [float(p.pts * p.time_base) for p in container.demux(stream) if p.size and p.pts is not None]
                return _Part(path, (stream.height, stream.width), times)
    except (FFmpegError, OSError, ValueError, AttributeError) as error:  # without a codec, streams have no height
        found = error.strerror if isinstance(error, OSError) and not isinstance(error, InvalidDataError) else None
        reason = (found or "it is damaged").lower()
        raise OutputError(f"cannot go on with {path}: {reason}; name another file, or begin again with -y") from error


class _Head:
    """The first bytes of an open file, as PyAV reads files."""

    def __init__(self, descriptor: int, end: int) -> None:
        self._descriptor, self._end, self._place = descriptor, end, 0

    def read(self, count: int) -> bytes:
        data = os.pread(self._descriptor, max(0, min(count, self._end - self._place)), self._place)
        self._place += len(data)
        return data

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        self._place = place + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._end}[whence]
        return self._place

    def tell(self) -> int:
        return self._place
