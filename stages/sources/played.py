"""A video that is played as a camera, over and over."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from ...pipeline.errors import SourceError, UsageError
from ...pipeline.packet import Frame
from ...pipeline.redaction import redact_address
from ...pipeline.stage import Source
from .wrapper import SourceWrapper

_NANOSECOND = Fraction(1, 1_000_000_000)
_STEP_NS = 40_000_000
"""How long a last frame is shown whose source does not say so."""


class PlayedCamera(SourceWrapper):
    """A video played at its own rate, over and over, as a camera: a new epoch for each round, times that rise on.

    ``live`` is True, so that an executor keeps only the newest frame. ``capture_ns`` is when a frame was due, so that
    what decoding comes too late counts as latency. It has no sound.
    """

    live = True
    has_audio = False
    audio_address = ""

    def __init__(
        self, source: Source, name: str | None = None, *, late_s: float = 0.0, frames: int | None = None
    ) -> None:
        """
        Args:
            source: the video, or the part of it that is played; opened and closed once for each round.
            name: of the stream; None: the source's.
            late_s: how much later than others it begins, so that not all frames of all cameras are due at once.
            frames: deliver at most so many, over all rounds.
        """
        super().__init__(source)
        self.stream_id = name or source.stream_id
        self._late_s, self._limit = late_s, frames
        self._stopped = threading.Event()
        self._before: Counter[str] = Counter()  # problems of earlier rounds

    @property
    def expected_frames(self) -> int | None:
        """The most that were asked for; None: no end."""
        return self._limit

    @property
    def files(self) -> list[Path]:
        """As the source, with the file whose sound it does not have."""
        return [*self.source.files, *(Path(file) for file in (self.source.audio_address,) if file)]

    @property
    def problems(self) -> dict[str, int]:
        """As the source, over all rounds."""
        return dict(self._before + Counter(self.source.problems))

    def open(self) -> None:
        """Open the video."""
        self._stopped.clear()
        self._before.clear()
        self.source.open()

    def interrupt(self) -> None:
        """End the wait for the next frame, and the stream; safe from any thread."""
        self._stopped.set()
        self.source.interrupt()

    def frames(self) -> Iterator[Frame]:
        """The frames, each when it is due; a frame that is late comes at once.

        Raises:
            SourceError: as the video, or it has no frame.
        """
        late_ns = round(self._late_s * 1e9)
        zero_ns, captured_zero_ns = time.monotonic_ns() + late_ns, time.time_ns() + late_ns
        shift_ns, index, epoch = 0, 0, 0
        while True:
            first_ns: int | None = None
            pts_ns = last_epoch = step_ns = 0
            left = None if self._limit is None else self._limit - index
            for frame in itertools.islice(self.source.frames(), left):
                first_ns = frame.pts_ns if first_ns is None else first_ns
                pts_ns, step_ns = shift_ns + frame.pts_ns - first_ns, frame.duration_ns or _STEP_NS
                last_epoch = epoch + frame.epoch
                if self._stopped.wait(max(0, zero_ns + pts_ns - time.monotonic_ns()) / 1e9):
                    return
                yield replace(
                    frame,
                    index=index,
                    epoch=last_epoch,
                    pts_ns=pts_ns,
                    pts=pts_ns,
                    time_base=_NANOSECOND,
                    capture_ns=captured_zero_ns + pts_ns,
                    capture_clock="arrival",
                )
                index += 1
            self.source.close()
            if first_ns is None and not self._stopped.is_set():
                raise SourceError(f"{redact_address(self.address)}: there is no frame in what is to be played")
            if self._stopped.is_set() or index == self._limit:
                return
            shift_ns, epoch = pts_ns + step_ns, last_epoch + 1
            self._before.update(self.source.problems)
            self.source.open()


def _is_passed_once(address: str) -> bool:
    """Whether it is a FIFO, or another thing in the file system that is no file."""
    try:
        return Path(address).exists() and not Path(address).is_file()
    except OSError:  # too long for a name
        return False


def as_camera(source: Source, address: str, frames: int | None) -> Source:
    """The source of an address, played as a camera unless it is one, for at most so many frames.

    Raises:
        UsageError: it cannot be played again, or has no times.
    """
    if source.live:
        return source
    if source.pictures is not None:
        what = "pictures, which have no times"
    elif source.address == "-" or source.address.startswith(("http://", "https://")) or _is_passed_once(source.address):
        what = "not a file, and cannot be played again"
    else:
        return PlayedCamera(source, frames=frames)
    raise UsageError(
        f"as_camera plays video files, and {redact_address(source.address or address)} is {what}; give a video file"
    )
