"""What is known of a camera from outside: its state, its counts, and one line in the log at each change."""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median
from time import monotonic
from typing import Literal

from .reasons import Reason

log = logging.getLogger("vidgraph")

State = Literal["connecting", "up", "waiting", "down"]
RATE_OVER_S = 5.0
_MEDIAN_EVERY = 16  # frames
SESSIONS = 9
_OVER = {"udp": ", over UDP", "udp_multicast": ", by multicast"}  # TCP is not worth a word
FLOOD_S = 60.0
"""A kind of message comes once in so long, with the number of those that were left out."""


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """A camera at one moment; times are seconds.

    Attributes:
        address: without secrets.
        state: ``connecting``; ``up``: pictures come; ``waiting`` until the next try; ``down``: it has ended.
        reason: why it is not up, or why it was last lost: a name of :data:`~.reasons.REASONS`; "" at first.
        since_s: how long it has been in this state.
        reconnects: how often it was opened again, by reason.
        epoch: of the last frame.
        packet_age_s, frame_age_s: since the last packet and the last frame; None where there was none.
        lag_s: how much later than at its best the stream comes.
        rate: frames per second as they came over the last seconds; None where too few have come.
        size: (height, width) of the last frame.
        codec: its name, as FFmpeg has it.
        decoding: ``all`` pictures; or, while this machine has no time for these, ``referenced`` ones, those that others
            need, or ``key_frames``.
        left_out: packets that were not decoded for that.
        decode_errors: packets that the decoder refused, and pictures that are damaged.
        lost_packets: packets that the network lost; None where this is not known.
        capture_clock: whose clock ``capture_ns`` is: ``camera`` or ``arrival``; "" before the first frame.
        transport: of the pictures of an RTSP camera: ``tcp``, ``udp`` or ``udp_multicast``; "" before it is known.
        session_age_s: how old the last connections were when they were lost, the median of up to nine; None where none
            was.
        has_b_frames: whether pictures come later than their packets, by up to so many.
    """

    address: str
    state: State = "connecting"
    reason: str = ""
    since_s: float = 0.0
    reconnects: dict[str, int] = field(default_factory=dict)
    epoch: int = 0
    packet_age_s: float | None = None
    frame_age_s: float | None = None
    lag_s: float = 0.0
    rate: float | None = None
    size: tuple[int, int] | None = None
    codec: str = ""
    decoding: str = "all"
    left_out: int = 0
    decode_errors: int = 0
    lost_packets: int | None = None
    capture_clock: str = ""
    transport: str = ""
    session_age_s: float | None = None
    has_b_frames: int = 0


class Monitor:
    """Written by the thread that reads a camera, read by any."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._now = CameraStatus(address)
        self._state_at = monotonic()
        self._down_at: float | None = None
        self._ages: deque[float] = deque(maxlen=SESSIONS)
        self._packet_at: float | None = None
        self._frames: deque[tuple[float, float]] = deque(maxlen=300)
        self._interval_s: float | None = None
        self._since_median = 0
        self._reconnects: Counter[str] = Counter()
        self._said: dict[str, tuple[float, int]] = {}

    @property
    def status(self) -> CameraStatus:
        """The camera now; for any thread."""
        with self._lock:
            now = monotonic()
            return replace(
                self._now,
                since_s=now - self._state_at,
                reconnects=dict(self._reconnects),
                packet_age_s=None if self._packet_at is None else now - self._packet_at,
                frame_age_s=now - self._frames[-1][0] if self._frames else None,
                rate=self._rate(now),
            )

    def _rate(self, now: float) -> float | None:
        """By the frames' own times, since the first ones of a connection come all at once, and by the silence since."""
        recent = [(at, time_s) for at, time_s in self._frames if now - at <= RATE_OVER_S]
        if len(recent) < 3:
            return None
        over_s = recent[-1][1] - recent[0][1]
        silent_s = now - recent[-1][0]
        over_s += silent_s if silent_s > 2 * over_s / len(recent) else 0.0
        return round((len(recent) - 1) / over_s, 2) if over_s > 0 else None

    def packet(self) -> None:
        """One came."""
        self._packet_at = monotonic()

    def frame(self, time_s: float, **changes: object) -> None:
        """One was decoded, of that time in the stream; what has changed with it."""
        with self._lock:
            self._frames.append((monotonic(), time_s))
            self._since_median += 1
            self._now = replace(self._now, **changes)  # type: ignore[arg-type]  # names of its fields

    def note(self, **changes: object) -> None:
        """Something has changed."""
        with self._lock:
            self._now = replace(self._now, **changes)  # type: ignore[arg-type]  # names of its fields

    def left_out(self) -> None:
        """A packet was not decoded, as there is no time for it."""
        self.note(left_out=self._now.left_out + 1)

    def interval_s(self) -> float | None:
        """The usual time between two frames; None where too few have come."""
        if self._since_median >= _MEDIAN_EVERY or len(self._frames) < _MEDIAN_EVERY:
            self._since_median, times = 0, [time_s for _, time_s in self._frames]
            if len(times) > 2:
                self._interval_s = median(after - before for before, after in pairwise(times))
        return self._interval_s

    def _enter(self, state: State, reason: str) -> None:
        with self._lock:
            if state != self._now.state:
                self._state_at = monotonic()
            self._now = replace(self._now, state=state, reason=reason)

    def connecting(self) -> None:
        """It is being opened."""
        self._enter("connecting", self._now.reason)

    def up(self) -> None:
        """The first picture of a connection is there."""
        now, before = monotonic(), self._now
        self._enter("up", "" if before.reason == "no_key_frame" else before.reason)
        over = _OVER.get(before.transport, "")
        if self._down_at is not None:
            self.say("back", f"back after {now - self._down_at:.1f} s{over}")
        else:
            self.say("up", f"up{over}", logging.INFO)
        self._down_at = None

    def failed(
        self, reason: Reason, detail: str, delay_s: float | None, *, was_up: bool, may_start: bool = False
    ) -> None:
        """It was lost, or could not be opened; after ``delay_s`` there is another try.

        Args:
            may_start: it was up until just now, so that it may be starting.
        """
        if self._down_at is None:
            self._down_at = monotonic()
        if was_up:
            self._reconnects[reason.name] += 1
        changed = was_up or reason.name != self._now.reason or self._now.state == "up"
        self._enter("down" if delay_s is None else "waiting", reason.name)
        if changed or delay_s is None:
            more = f": {detail}" if detail else ""
            said = "it was up just now: perhaps it is starting" if may_start and reason.of_start else reason.hint
            hint = f" ({said})" if said else ""
            then = "connecting again" if was_up else f"trying again{_in(delay_s)}"
            ends = "giving up" if delay_s is None else then
            lost = "lost" if was_up else "not connected"
            self.say(f"down {reason.name}", f"{lost}, {reason.text}{more}{hint}; {ends}")

    def session_ended(self, age_s: float) -> None:
        """A connection that was up was lost, so old."""
        self._ages.append(age_s)
        self.note(session_age_s=round(median(self._ages), 1))

    def ended(self) -> None:
        """The stream is over."""
        self._enter("down", self._now.reason)

    def say(self, kind: str, text: str, level: int = logging.WARNING) -> None:
        """A line in the log, but one of each kind a minute."""
        now = monotonic()
        last, left_out = self._said.get(kind, (None, 0))
        if last is not None and now - last < FLOOD_S:
            self._said[kind] = last, left_out + 1
            return
        self._said[kind] = now, 0
        log.log(level, "%s: %s%s", self.name, text, f" ({left_out} times more since)" if left_out else "")


def _in(delay_s: float | None) -> str:
    return f" in {delay_s:.0f} s" if delay_s and delay_s >= 2 else ""
