"""A file that behaves like a camera: its frames come when their time has come."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from ...pipeline.packet import Frame
from ...pipeline.stage import Source
from .wrapper import SourceWrapper


class RealtimeSource(SourceWrapper):
    """Plays another source at its own pace, as ``--latest`` does with a file.

    ``live`` is True, so that an executor keeps only the newest frame and counts what it drops. The first
    frame comes at once; time starts when the second one is asked for (a run may look at the first while it
    still prepares). A frame that is late already, because decoding is slower than the pace, comes at once.
    """

    live = True

    def __init__(self, source: Source) -> None:
        """
        Args:
            source: what to play; a video source best decodes ``sliced``, which has no delay.
        """
        super().__init__(source)
        self._interrupted = threading.Event()

    def open(self) -> None:
        """Open the source."""
        self._interrupted.clear()
        self.source.open()

    def interrupt(self) -> None:
        """End the wait for the next frame, and the stream; safe from any thread."""
        self._interrupted.set()
        self.source.interrupt()

    def frames(self) -> Iterator[Frame]:
        """The frames of the source, each at its time."""
        if self.source.live:  # it has its own pace
            yield from self.source.frames()
            return
        zero_ns: int | None = None  # when pts_ns = 0 is, on the monotonic clock
        for frame in self.source.frames():
            if zero_ns is not None:
                wait_ns = zero_ns + frame.pts_ns - time.monotonic_ns()
                if self._interrupted.wait(max(0, wait_ns) / 1e9):
                    return
            yield frame
            if zero_ns is None:
                zero_ns = time.monotonic_ns() - frame.pts_ns
