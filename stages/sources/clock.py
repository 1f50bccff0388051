"""Time of a source: what a user writes, and an even clock made of a file's own timestamps."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from ...pipeline.errors import UsageError

NANOSECONDS = 1_000_000_000
BACKWARD_JUMP_NS = NANOSECONDS
"""A step back of at least this much is a new recording, not a disorder of timestamps."""
RESTART_STEPS = 1
"""A step back of at least so many frame durations, to a key frame, is a new recording too: joined ones overlap."""
FORWARD_JUMP_NS = 10 * NANOSECONDS
"""A gap of more than this much (and of more than three frames) is a jump of the clock."""

_TIME = re.compile(r"(?:(?:(\d+):)?([0-5]?\d):)?(\d+(?:\.\d*)?|\.\d+)")


def parse_time(value: str | float, name: str = "time") -> int:
    """Nanoseconds of a time given in seconds or as ``[[hours:]minutes:]seconds``: 62.5, "62.5", "1:02.5", "0:01:02.5".

    Args:
        value: not negative and finite.
        name: what the error calls it.

    Raises:
        UsageError: not such a time.
    """
    matched = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if matched:
        hours, minutes, seconds = matched.groups()
        total = int(hours or 0) * 3600 + int(minutes or 0) * 60 + Fraction(seconds)
        if minutes is None or Fraction(seconds) < 60:
            return round(total * NANOSECONDS)
    elif not isinstance(value, str) and math.isfinite(value) and value >= 0:
        return round(Fraction(float(value)) * NANOSECONDS)
    raise UsageError(f"{name} must be seconds or [hours:]minutes:seconds (62.5, 1:02.5), got {value!r}")


def to_ns(ticks: int, time_base: Fraction) -> int:
    """``ticks`` units of ``time_base`` seconds in nanoseconds, rounded to the nearest."""
    divisor = time_base.denominator
    return (2 * ticks * time_base.numerator * NANOSECONDS + divisor) // (2 * divisor)


def to_ticks(time_ns: int, time_base: Fraction) -> int:
    """Nanoseconds in units of ``time_base`` seconds, rounded down."""
    return time_ns * time_base.denominator // (time_base.numerator * NANOSECONDS)


@dataclass(frozen=True, slots=True)
class Tick:
    """When a frame is shown: ``pts`` in units of the time base, the rest in nanoseconds.

    ``jumped``: the clock made a jump before this frame, so that what was known of the past does not hold.
    """

    pts: int
    pts_ns: int
    duration_ns: int
    jumped: bool


class StreamClock:
    """Gives the frames of one stream times that always increase.

    - 0 is the start of the stream: the start time the container states, or the first frame if that is
      earlier or the container states none.
    - A frame without a time comes one frame duration after the one before it.
    - A time that is not later than the one before it is taken for disorder, and the frame comes one tick after
      the one before it; unless it is a second or more earlier, or a key frame and a frame duration or more
      earlier. Then the clock has started again (joined recordings): the frame comes one frame duration after
      the one before it, the following ones keep their distance to it, and ``jumped`` is set.
    - A gap of more than ten seconds (and three frame durations) is kept, and ``jumped`` is set.
    - A duration that is the nominal one rounded to the time base (Matroska and FLV: milliseconds) is the nominal one.
    """

    def __init__(self, time_base: Fraction, *, rate: Fraction | None, start: int | None) -> None:
        """
        Args:
            time_base: seconds per unit of pts.
            rate: nominal frames per second; None: 25.
            start: pts of the start of the stream, where the container states it.
        """
        self.time_base = time_base
        nominal = 1 / (rate or Fraction(25))
        self._step = max(1, round(nominal / time_base))
        self._nominal_ticks, self._nominal_ns = float(nominal / time_base), round(nominal * NANOSECONDS)
        self._has_rate = rate is not None
        self._start = start
        self._shift = 0
        self._last: int | None = None
        self._length = self._step

    @property
    def start(self) -> int:
        """pts of time 0."""
        return self._start or 0

    def place(self, pts: int | None, duration: int, *, is_key: bool = False) -> Tick:
        """The time of the next frame, of the decoder's ``pts`` and ``duration`` (0: unknown) in ticks."""
        jumped = False
        if self._last is None:
            shown = self.start if pts is None else pts
            self._start = shown if self._start is None else min(self._start, shown)
        elif pts is None:
            shown = self._last + self._length
        else:
            shown, jumped = self._follow(self._last, pts + self._shift, is_key)
        self._last, self._length = shown, duration or self._step
        return Tick(shown, to_ns(shown - self.start, self.time_base), self._length_ns(duration), jumped)

    def _length_ns(self, duration: int) -> int:
        if self._has_rate and (duration == 0 or abs(duration - self._nominal_ticks) < 1):
            return self._nominal_ns
        return to_ns(duration, self.time_base)

    def _follow(self, last: int, shown: int, is_key: bool) -> tuple[int, bool]:
        if shown > last:
            gap_ns = to_ns(shown - last, self.time_base)
            return shown, gap_ns > max(FORWARD_JUMP_NS, 3 * to_ns(self._step, self.time_base))
        joined = is_key and last - shown >= RESTART_STEPS * self._step
        if not joined and to_ns(last - shown, self.time_base) < BACKWARD_JUMP_NS:
            return last + 1, False
        self._shift += last + self._step - shown
        return last + self._step, True


def frames_between(count: int, rate: Fraction, start_ns: int | None, end_ns: int | None) -> int:
    """How many of ``count`` frames at a constant ``rate`` lie in [start, end)."""
    first = 0 if start_ns is None else math.ceil(Fraction(start_ns, NANOSECONDS) * rate)
    last = count if end_ns is None else min(count, math.ceil(Fraction(end_ns, NANOSECONDS) * rate))
    return max(0, last - first)


def check_range(start_ns: int | None, end_ns: int | None, frames: int | None) -> None:
    """Refuse an empty part of a source.

    Raises:
        UsageError: the end is not after the start, or less than one frame is asked for.
    """
    if end_ns is not None and end_ns <= (start_ns or 0):
        raise UsageError(f"end ({end_ns / NANOSECONDS:g} s) must be after start ({(start_ns or 0) / NANOSECONDS:g} s)")
    if frames is not None and frames < 1:
        raise UsageError(f"frames must be at least 1, got {frames}")
