"""What happens where cameras bring more than the network can take: it runs less often, and no frame is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from ..pipeline.errors import UsageError
from ..pipeline.packet import SKIPPED, Frame, Key, Packet
from ..pipeline.stage import EndReason, Stage
from .inference.key_frames import FixedInterval, KeyPolicy, PolicyOf

FORGOTTEN_S = 1.0
"""A stream that has not asked for so long does not keep its place among those that wait for the network."""
_WEIGHT = 0.1  # of the newest measurement in a running mean
_FULL = 0.9  # of the target: above it, key frames become fewer; below half of it, more
_MOST = 8  # times the key interval that was chosen


class NetworkLoad:
    """How busy the network is, and whose frame it takes next. Safe from several threads.

    A frame is taken where the network is idle, or where those that are in it and this one are expected to be done
    within ``target_s``: so many times the running mean of what one takes. Of several streams that wait, the one whose
    last frame in the network is longest ago comes first: where its next frame is due before another stream's would be
    done, the network is kept free for it.

    Args:
        target_s: seconds from when a frame is taken until its results are there; None: ``at_once`` frames are taken.
        at_once: frames that the network works on at one time.
        clock: seconds, monotonic.
    """

    def __init__(
        self, *, target_s: float | None, at_once: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if target_s is not None and target_s <= 0:
            raise UsageError(f"max_latency must be more than 0 seconds, got {target_s:g}")
        self._target_s, self._at_once, self._clock = target_s, at_once, clock
        self._lock = threading.Lock()
        self._inside: dict[tuple[str, int], tuple[float, int]] = {}
        self._last: dict[str, int] = {}
        self._refused: set[str] = set()
        self._asked: dict[str, tuple[float, float | None]] = {}  # when a stream last asked, and its mean interval
        self._taken = 0
        self._one_s = 0.0

    def take(self, frame: Frame) -> bool:
        """Whether the network takes ``frame`` now; the caller then says when it is :meth:`done`."""
        with self._lock:
            now, stream = self._clock(), frame.stream_id
            self._note_asked(stream, now)
            if not self._has_room() or self._others_first(stream, now):
                self._refused.add(stream)
                return False
            self._refused.discard(stream)
            self._taken += 1
            self._last[stream] = self._taken
            self._inside[stream, frame.index] = now, len(self._inside) + 1
            return True

    def done(self, frame: Frame) -> float | None:
        """A frame is through, in whatever way; the seconds that it took, or None where it was not in the network."""
        with self._lock:
            started, together = self._inside.pop((frame.stream_id, frame.index), (None, 1))
            if started is None:
                return None
            seconds = self._clock() - started
            one_s = seconds / together
            self._one_s += (one_s - self._one_s) * (_WEIGHT if self._one_s else 1.0)
            return seconds

    def forget(self, stream_id: str) -> None:
        """A stream is over."""
        with self._lock:
            self._last.pop(stream_id, None)
            self._refused.discard(stream_id)
            self._asked.pop(stream_id, None)
            for key in [key for key in self._inside if key[0] == stream_id]:
                del self._inside[key]

    def _has_room(self) -> bool:
        inside = len(self._inside)
        if self._target_s is None:
            return inside < self._at_once
        return inside == 0 or (inside + 1) * self._one_s <= self._target_s

    def _note_asked(self, stream: str, now: float) -> None:
        before, mean = self._asked.get(stream, (now, None))
        gap = now - before
        mean = mean + (gap - mean) * _WEIGHT if mean is not None else gap or None
        self._asked[stream] = now, mean

    def _others_first(self, stream: str, now: float) -> bool:
        """Whether a stream that was refused has waited longer than ``stream``, and its next frame is due soon."""
        mine, done = self._last.get(stream, 0), now + (len(self._inside) + 1) * self._one_s
        return any(
            self._last.get(other, 0) < mine and self._is_due(other, now, done)
            for other in self._refused
            if other != stream
        )

    def _is_due(self, stream: str, now: float, until: float) -> bool:
        """Whether a stream is expected to ask before ``until``, or has been for less than its usual interval."""
        asked, interval = self._asked[stream]
        if interval is None:
            return now - asked < FORGOTTEN_S
        return asked + interval <= until and now - asked < min(2 * interval, FORGOTTEN_S + interval)


class TakeUnderLoad(Stage):
    """Marks frames as ``SKIPPED`` that the network has no time for; they are given its last result instead.

    Args:
        load: decides; :class:`NetworkDone` tells it what is done.
    """

    name = "take_under_load"
    updates = frozenset({SKIPPED})

    def __init__(self, load: NetworkLoad) -> None:
        self._load = load

    def process(self, packet: Packet) -> Iterable[Packet]:
        if packet[SKIPPED] or self._load.take(packet.frame):
            return (packet,)
        return (packet.with_item(SKIPPED, True),)


class NetworkDone(Stage):
    """Behind the network's stages: tells the load which frames are through, dropped ones too.

    Args:
        load: is told.
        keys: of the results, so that it comes behind them.
        stretched: is told what each frame took, from :class:`TakeUnderLoad` to here.
    """

    name = "network_done"
    stateless = True
    on_dropped = True

    def __init__(
        self, load: NetworkLoad, keys: Iterable[Key[Any]], stretched: KeyFramesUnderLoad | None = None
    ) -> None:
        self._load, self._stretched = load, stretched
        self.reads: frozenset[Key[Any]] = frozenset(keys)

    def process(self, packet: Packet) -> Iterable[Packet]:
        seconds = self._load.done(packet.frame)
        if seconds is not None and self._stretched is not None and packet.drop_cause is None:
            self._stretched.took(packet.frame.stream_id, seconds)
        return (packet,)

    def end_stream(self, stream_id: str, reason: EndReason) -> Iterable[Packet]:
        self._load.forget(stream_id)
        if self._stretched is not None:
            self._stretched.forget(stream_id)
        return ()


@dataclass(slots=True)
class Stretched:
    """The key frames of a :class:`FixedInterval`, ``factor`` times as far apart; the factor may change at any time."""

    policy: FixedInterval
    factor: float = 1.0
    wants_evidence = False

    def is_key(self, frame: Frame, image: Any, key_index: int) -> bool:
        return frame.index - key_index >= round(self.policy.interval * self.factor)

    def key_taken(self, frame: Frame, image: Any) -> None: ...

    def observe(self, evidence: float) -> None: ...


@dataclass(slots=True)
class KeyFramesUnderLoad:
    """Key frames further apart where frames take longer than a target, and as chosen where there is time.

    The running mean of a stream's frames, key frames among them, decides: above 90 % of the target its interval grows
    by a tenth with each frame, up to 8 times what was chosen; below half of it, it shrinks likewise.

    Args:
        chosen: the policy of each stream, as the user chose it.
        target_s: seconds from when a frame is taken until its results are there.

    Raises:
        UsageError: the key frames were chosen ``adaptive``, which has no interval.
    """

    chosen: PolicyOf
    target_s: float
    _policies: dict[str, Stretched] = field(default_factory=dict)
    _means: dict[str, float] = field(default_factory=dict)

    def policy(self, stream_id: str) -> KeyPolicy:
        """The policy of a stream."""
        chosen = self.chosen(stream_id)
        if not isinstance(chosen, FixedInterval):
            raise UsageError("key frames can be stretched where they come at an interval; give keyframes a number")
        self._means.pop(stream_id, None)
        self._policies[stream_id] = Stretched(chosen)
        return self._policies[stream_id]

    def forget(self, stream_id: str) -> None:
        """A stream is over."""
        self._policies.pop(stream_id, None)
        self._means.pop(stream_id, None)

    def took(self, stream_id: str, seconds: float) -> None:
        """A frame of a stream took so long."""
        policy = self._policies.get(stream_id)
        if policy is None:
            return
        mean = self._means.get(stream_id, seconds)
        mean += (seconds - mean) * _WEIGHT
        self._means[stream_id] = mean
        if mean > _FULL * self.target_s:
            policy.factor = min(_MOST, policy.factor * 1.1)
        elif mean < self.target_s / 2:
            policy.factor = max(1.0, policy.factor / 1.1)
