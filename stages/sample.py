"""Run the network on some frames only: every n-th, at most so many a second, where something moves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..pipeline.errors import UsageError
from ..pipeline.packet import SKIPPED, Frame, Packet
from ..pipeline.stage import EndReason, Stage
from .motion_gate import LastRun, MotionGate

_EARLY = 0.05  # of a period: how much too early a frame may come and still count (timestamps are rounded)


@dataclass(slots=True)
class _Stream:
    """Where the sampling of one stream stands; a new epoch starts it again."""

    epoch: int
    next_index: int
    next_ns: float
    last_run: LastRun | None = None


class Sample(Stage):
    """Marks the frames on which the network does not run: creates ``SKIPPED`` on every frame.

    The first frame of a stream and of an epoch always runs. With ``every``, frames that were dropped
    before count as if they were there. With ``max_fps``, the average over the presentation time stays at
    or below it, whatever the frame rate of the source is. With ``motion``, a frame that is due runs where something
    moved; what ``every`` and ``max_fps`` count are frames that ran.
    """

    name = "sample"
    creates = frozenset({SKIPPED})

    def __init__(
        self, *, every: int | None = None, max_fps: float | None = None, motion: MotionGate | None = None
    ) -> None:
        """
        Args:
            every: run on one frame of so many; at least 1.
            max_fps: run on at most so many frames a second; more than 0.
            motion: says where something moves; may stand alone.

        Raises:
            UsageError: neither or both of ``every`` and ``max_fps`` are given, or out of range.
        """
        if every is None and max_fps is None and motion is not None:
            every = 1
        if (every is None) == (max_fps is None):
            raise UsageError("sample needs one of every and max_fps")
        if every is not None and every < 1:
            raise UsageError(f"every must be at least 1, got {every}")
        if max_fps is not None and not 0 < max_fps < float("inf"):
            raise UsageError(f"max_fps must be more than 0, got {max_fps:g}")
        self.every, self.max_fps, self.motion = every, max_fps, motion
        self._streams: dict[str, _Stream] = {}
        self._passed: dict[str, _Stream] = {}

    def skip(self, frame: Frame) -> bool:
        """Take note of a frame that an earlier run has done, before ``open``; returns whether the network ran on it."""
        return self._runs(frame, self._passed)

    def open(self) -> None:
        """Start without memory of an earlier run, but for frames skipped."""
        self._streams, self._passed = self._passed, {}

    def process(self, packet: Packet) -> Iterable[Packet]:
        yield packet.with_item(SKIPPED, not self._runs(packet.frame, self._streams))

    def end_stream(self, stream_id: str, reason: EndReason) -> Iterable[Packet]:
        self._streams.pop(stream_id, None)
        return ()

    def close(self) -> None:
        self._streams.clear()

    def _runs(self, frame: Frame, streams: dict[str, _Stream]) -> bool:
        stream = streams.get(frame.stream_id)
        if stream is None or stream.epoch != frame.epoch:
            stream = streams[frame.stream_id] = _Stream(frame.epoch, frame.index, float(frame.pts_ns))
        period = 1e9 / (self.max_fps or 1.0)
        if self.every is not None and frame.index < stream.next_index:
            return False
        if self.every is None and frame.pts_ns < stream.next_ns - _EARLY * period:
            return False
        if self.motion is not None:
            looked = self.motion.look(frame, stream.last_run)
            if looked is None:
                return False
            stream.last_run = looked
        stream.next_index = frame.index + (self.every or 1)
        late = frame.pts_ns - stream.next_ns >= period  # after a gap: do not catch up
        stream.next_ns = (frame.pts_ns if late else stream.next_ns) + period
        return True
