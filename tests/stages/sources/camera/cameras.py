"""What tests of cameras share: a source that is read in the background, and what came out of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from vidgraph.pipeline.packet import Frame
from vidgraph.stages.sources.camera.options import CameraOptions
from vidgraph.stages.sources.camera.source import CameraSource
from vidgraph.stages.sources.camera.web import WebSource
from vidgraph.stages.sources.registry import open_source
from vidgraph.testing import Clip, Faults, RtspCamera, make_clip, number_in

FREEZE_S = 0.8
BUSY_S = 3.0
"""A machine that is busy with other tests may be late by so much; on a quiet one it is less than half a second."""


class Reading:
    """A camera source that is read on a thread of its own, as an executor does it.

    Attributes:
        frames: what has come, with the time (monotonic seconds) at which it came.
        error: what ended it.
        began_s, began_at_s: when it began, on the monotonic clock and since 1970.
    """

    def __init__(self, address: Any, **options: Any) -> None:
        own = {name: options.pop(name) for name in ("opener", "frames") if name in options}
        chosen = CameraOptions(**{"freeze_s": FREEZE_S} | options)
        ready = isinstance(address, CameraSource)
        self.source = address if ready else CameraSource(address, stream_id="door", options=chosen, **own)
        self.frames: list[tuple[float, Frame]] = []
        self.error: BaseException | None = None
        self.began_s, self.began_at_s = time.monotonic(), time.time()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="read door", daemon=True)

    def __enter__(self) -> Reading:
        self.source.open()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> float:
        """Stop it; returns the seconds until its thread had ended."""
        asked_s = time.monotonic()
        self.source.interrupt()
        self._thread.join(5)
        assert not self._thread.is_alive(), "the reader did not end"
        self.source.close()
        return time.monotonic() - asked_s

    def _read(self) -> None:
        try:
            for frame in self.source.frames():
                with self._changed:
                    self.frames.append((time.monotonic(), frame))
                    self._changed.notify_all()
        except BaseException as error:
            self.error = error
        with self._changed:
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        """Its thread is over."""
        self._thread.join(0.05)
        return not self._thread.is_alive()

    def wait_until(self, condition: Callable[[Reading], object], limit_s: float = 12.0) -> float:
        """Wait until ``condition`` holds; returns the monotonic time then."""
        deadline = time.monotonic() + limit_s
        while not condition(self):
            assert self.error is None, repr(self.error)
            status = self.source.status
            assert time.monotonic() < deadline, f"not within {limit_s} s: {status}, {len(self.frames)} frames"
            with self._changed:
                self._changed.wait(0.01)
        return time.monotonic()

    def wait_for_frames(self, count: int, limit_s: float = 12.0) -> list[Frame]:
        """At least so many frames, all that have come."""
        self.wait_until(lambda reading: len(reading.frames) >= count, limit_s)
        return [frame for _, frame in self.frames]

    def wait_for_epoch(self, epoch: int, limit_s: float = 12.0) -> Frame:
        """The first frame of an epoch."""
        self.wait_until(lambda reading: any(frame.epoch >= epoch for _, frame in reading.frames), limit_s)
        return next(frame for _, frame in self.frames if frame.epoch >= epoch)

    def wait_for_reason(self, reason: str, limit_s: float = 12.0) -> float:
        """Wait until it is not up, for this reason; the monotonic time then."""
        return self.wait_until(
            lambda reading: (
                (reading.source.status.state in ("waiting", "down") and reading.source.status.reason == reason)
                or reading.source.status.reconnects.get(reason)
            ),
            limit_s,
        )

    @property
    def numbers(self) -> list[int | None]:
        """The numbers in the pixels of the frames."""
        return [number_in(frame.picture.planes[0]) for _, frame in self.frames]


@contextmanager
def camera_and_reading(
    clip: Clip | None = None, faults: Faults | None = None, *, camera: dict[str, Any] | None = None, **options: Any
) -> Iterator[tuple[RtspCamera, Reading]]:
    """A camera of the kit, and a source that reads it."""
    with RtspCamera(clip or make_clip(), faults=faults or Faults(), **camera or {}) as served:
        address = served.login_url if (camera or {}).get("auth") else served.url
        with Reading(address, **options) as reading:
            yield served, reading


@contextmanager
def web_reading(url: str, freeze_s: float = 2.5) -> Iterator[Reading]:
    """The camera that is behind a web address, read in the background."""
    (source,) = open_source(url, camera=CameraOptions(freeze_s=freeze_s))
    assert isinstance(source, WebSource)
    source.open()
    assert isinstance(source.source, CameraSource)
    with Reading(source.source) as reading:
        yield reading


def rising(frames: list[Frame]) -> bool:
    """Whether times rise strictly, and indices by one."""
    times, indices = [frame.pts_ns for frame in frames], [frame.index for frame in frames]
    return all(a < b for a, b in pairwise(times)) and indices == list(range(len(frames)))
