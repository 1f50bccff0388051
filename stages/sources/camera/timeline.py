"""Times of the frames of a live stream: strictly rising whatever the camera's stamps do, and when each was captured."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fractions import Fraction

from ..clock import BACKWARD_JUMP_NS, FORWARD_JUMP_NS, NANOSECONDS, to_ns

AGREE = 3
"""So many frames must agree that the clock has jumped: single ones are hours off in some cameras."""
WALL_TRUST_NS = 24 * 3600 * NANOSECONDS
"""The camera's wall clock is believed if it is within this of ours: one day."""
DRIFT_NS = 2 * NANOSECONDS
"""A wall clock that moves against arrival by more than this, for ``DRIFT_FRAMES``, is no longer believed."""
DRIFT_FRAMES = 25
CORRECTIONS, CORRECTIONS_OVER_NS = 3, 3600 * NANOSECONDS
"""A camera that corrects its clock, or its stamps, is believed anew, but no more than so often in so long."""
LAG_WINDOW_NS = 300 * NANOSECONDS
"""The lag is measured against the least delay in so long, so that a clock that runs slow or fast is no lag."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a frame is.

    Attributes:
        pts_ns: on the stream's own timeline: strictly rising, from its first frame, over reconnections.
        new_epoch: what was known of the past does not hold: the camera's clock has jumped.
        capture_ns: nanoseconds since 1970.
        clock: whose: the camera's (``camera``), or ours when it came (``arrival``).
    """

    pts_ns: int
    new_epoch: bool
    capture_ns: int
    clock: str


class Timeline:
    """Places the frames of one stream, over all its connections.

    Attributes:
        bad_pts: stamps that were hours off, or did not rise.
        lag_ns: how much later than at its best the stream comes.
    """

    def __init__(self, *, by_arrival: bool = False) -> None:
        """
        Args:
            by_arrival: stamps are not those of a clock (HTTP MJPEG counts frames).
        """
        self._by_arrival = by_arrival
        self.bad_pts = 0
        self._origin_ns: int | None = None
        self._last_ns = -1
        self.reconnect()

    def reconnect(self) -> None:
        """The next frame is of another connection, which begins its stamps anew."""
        self._anchor: tuple[int, int] | None = None  # (stamp, our time) from which differences count
        self._last_stamp_ns: int | None = None
        self._last_arrival_ns: int | None = None
        self._jumping: list[int] = []
        self._offset_ns: int | None = None  # of the camera's wall clock from ours
        self._realtime_ns = self._ours_ns = 0  # what it was believed with: its stamp 0, and ours of the monotonic 0
        self._drifted = 0
        self._trusted = True
        self._corrected: deque[int] = deque(maxlen=CORRECTIONS)
        self._delays: deque[tuple[int, int]] = deque()
        self.lag_ns = 0

    def place(
        self,
        pts: int | None,
        time_base: Fraction,
        *,
        arrival_ns: int,
        wall_ns: int,
        realtime_ns: int | None = None,
    ) -> Moment:
        """The time of the next frame.

        Args:
            pts: the stamp, in units of ``time_base``; None where there is none.
            arrival_ns: when it came, on the monotonic clock.
            wall_ns: the same, since 1970.
            realtime_ns: wall-clock time of stamp 0, since 1970, by the camera's last report; None where there is none.
        """
        if self._origin_ns is None:
            self._origin_ns = arrival_ns
        stamp_ns = None if pts is None or self._by_arrival else to_ns(pts, time_base)
        arrived_ns = arrival_ns - self._origin_ns
        placed_ns, jumped = (None, False) if stamp_ns is None else self._follow(stamp_ns, arrived_ns)
        if placed_ns is None:
            before_ns = None if self._by_arrival else self._last_arrival_ns
            placed_ns = arrived_ns if before_ns is None else self._last_ns + arrived_ns - before_ns
        elif not jumped:
            self._measure_lag(stamp_ns or 0, arrived_ns)
        shown_ns = self._last_ns = max(placed_ns, self._last_ns + 1)
        self._last_arrival_ns = arrived_ns
        capture_ns, clock = wall_ns, "arrival"
        if jumped:
            self._trusted = False  # until the next report
        if stamp_ns is not None and realtime_ns is not None and not self._jumping:
            by_camera_ns = realtime_ns + stamp_ns
            if self._trust(by_camera_ns - wall_ns, realtime_ns, wall_ns - arrival_ns, arrived_ns):
                capture_ns, clock = by_camera_ns, "camera"
        return Moment(shown_ns, jumped, capture_ns, clock)

    def _follow(self, stamp_ns: int, arrived_ns: int) -> tuple[int | None, bool]:
        """The place of a stamp, None where arrival must do; and whether the clock has jumped."""
        if self._anchor is None or self._last_stamp_ns is None:
            return self._set_anchor(stamp_ns, arrived_ns), False
        step_ns = stamp_ns - self._last_stamp_ns
        waited_ns = arrived_ns - (self._last_arrival_ns or 0)
        gap = step_ns > 0 and abs(step_ns - waited_ns) < DRIFT_NS
        if gap or -BACKWARD_JUMP_NS < step_ns < FORWARD_JUMP_NS:
            self.bad_pts += len(self._jumping)
            self._jumping = []
            if step_ns <= 0:
                self.bad_pts += 1
                return None, False
            self._last_stamp_ns = stamp_ns
            return self._anchor[1] + stamp_ns - self._anchor[0], False
        if self._jumping and not 0 < stamp_ns - self._jumping[-1] < FORWARD_JUMP_NS:
            self.bad_pts += len(self._jumping)
            self._jumping = []
        self._jumping.append(stamp_ns)
        if len(self._jumping) < AGREE:
            return None, False
        self._jumping = []
        return self._set_anchor(stamp_ns, arrived_ns), True

    def _set_anchor(self, stamp_ns: int, arrived_ns: int) -> int:
        """Count from this stamp on; its place."""
        placed_ns = max(arrived_ns, self._last_ns + 1)
        self._anchor, self._last_stamp_ns = (stamp_ns, placed_ns), stamp_ns
        self._delays.clear()
        return placed_ns

    def _measure_lag(self, stamp_ns: int, arrived_ns: int) -> None:
        delay_ns = arrived_ns - stamp_ns
        while self._delays and self._delays[-1][1] >= delay_ns:  # rising from the left: the first is the least
            self._delays.pop()
        self._delays.append((arrived_ns, delay_ns))
        while self._delays[0][0] < arrived_ns - LAG_WINDOW_NS:
            self._delays.popleft()
        self.lag_ns = delay_ns - self._delays[0][1]

    def _trust(self, offset_ns: int, realtime_ns: int, ours_ns: int, arrived_ns: int) -> bool:
        """Whether the camera's wall clock, so much ahead of ours at arrival, is believed.

        Args:
            ours_ns: our wall-clock time of the monotonic 0.
        """
        if abs(offset_ns) > WALL_TRUST_NS:
            return False
        if self._offset_ns is None or self._corrects(realtime_ns, arrived_ns):
            self._offset_ns, self._realtime_ns, self._ours_ns = offset_ns, realtime_ns, ours_ns
            self._drifted, self._trusted = 0, True
        elif abs(ours_ns - self._ours_ns) > DRIFT_NS:  # ours was set: the camera's is as good as before
            self._offset_ns += self._ours_ns - ours_ns
            self._ours_ns = ours_ns
        self._drifted = self._drifted + 1 if abs(offset_ns - self._offset_ns) > DRIFT_NS else 0
        self._trusted &= self._drifted < DRIFT_FRAMES
        return self._trusted

    def _corrects(self, realtime_ns: int, arrived_ns: int) -> bool:
        """Whether the camera has told another time since it was believed, and may do so."""
        if abs(realtime_ns - self._realtime_ns) <= DRIFT_NS:
            return False
        often = len(self._corrected) == CORRECTIONS and arrived_ns - self._corrected[0] < CORRECTIONS_OVER_NS
        if not often:
            self._corrected.append(arrived_ns)
        return not often
