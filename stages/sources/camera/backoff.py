"""When to try a camera again, and how many are opened at one host at a time."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from .interrupt import Wait
from .reasons import Reason

FIRST_S = 0.1
QUICK_S, QUICK_FOR_S = 0.3, 60.0
"""In the first minute of an outage there is a try at least so often,"""
SLOW_S = 5.0
"""and from then on after at most so long."""
STEADY_S = 0.5
BUSY_S = 10.0
REFUSED_S = 30.0
PASSWORD_MOST_S, PASSWORD_TRIES = 600.0, 10
"""A wrong password is tried so often, because cameras lock an account; the wait doubles up to so long."""
BOOT_S, BOOT_FOR_S = 5.0, 120.0
"""For so long after a path last worked, a missing one means that the camera starts."""
STEADY_UP_S = 10.0
"""A camera that is lost sooner after it came up is still in the same outage, as to how often it is tried."""
SPREAD_S = 5.0
"""After a sleep of this machine all its cameras are lost together: each is tried at some time within so long."""
OPENS_PER_HOST = 4


class Backoff:
    """The waits between the tries of one camera.

    A try that succeeds (:meth:`worked`) ends the outage; every other one (:meth:`delay_s`) makes the next wait longer.
    """

    def __init__(self, clock: Callable[[], float] = monotonic, jitter: Callable[[], float] = random.random) -> None:
        """
        Args:
            clock: seconds that only go forward.
            jitter: from 0 to 1.
        """
        self._clock, self._jitter = clock, jitter
        self._down_since: float | None = None
        self._since: float | None = None  # as before, but a camera that is up for a moment only does not end it
        self._worked: float | None = None
        self._tries = self._passwords = 0

    def worked(self) -> None:
        """The camera is up: the outage is over."""
        self._down_since, self._passwords = None, 0
        self._worked = self._clock()

    def lost(self) -> None:
        """The camera that was up is lost: an outage begins."""
        now = self._clock()
        if self._since is None or self._worked is None or now - self._worked >= STEADY_UP_S:
            self._since, self._tries = now, 0
        self._worked = self._down_since = now

    @property
    def outage_s(self) -> float:
        """Seconds since the camera was lost, or since the first try; 0 while it is up."""
        return 0.0 if self._down_since is None else self._clock() - self._down_since

    @property
    def just_worked(self) -> bool:
        """It was up so lately that it may be starting."""
        return self._worked is not None and self._clock() - self._worked < BOOT_FOR_S

    def delay_s(self, reason: Reason) -> float | None:
        """Seconds to wait before the next try; None where there must be none."""
        now = self._clock()
        self._since = now if self._since is None else self._since
        self._down_since = now if self._down_since is None else self._down_since
        tries, self._tries = self._tries, self._tries + 1
        if reason.retry == "never":
            return None
        if reason.retry == "password":
            self._passwords += 1
            if self._passwords >= PASSWORD_TRIES:
                return None
            return self._spread(min(PASSWORD_MOST_S, REFUSED_S * 2 ** (self._passwords - 1)))
        fixed = {"busy": BUSY_S, "refused": REFUSED_S, "path": BOOT_S if self.just_worked else REFUSED_S}
        if reason.retry in fixed:
            return self._spread(fixed[reason.retry])
        if reason.retry == "spread":
            return self._jitter() * SPREAD_S
        quick = now - self._since < QUICK_FOR_S
        if reason.retry == "steady":
            return self._spread(min(SLOW_S, STEADY_S * 2 ** min(tries, 5)))
        return self._spread(min(QUICK_S if quick else SLOW_S, FIRST_S * 2 ** min(tries, 9)))

    def _spread(self, seconds: float) -> float:
        """Between two thirds of it and all of it, so that cameras lost together are not tried together."""
        return seconds * (1 - (1 - self._jitter()) / 3)


class OpenGate:
    """Lets a few at a time open a camera of one host."""

    def __init__(self, most: int = OPENS_PER_HOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._hosts: dict[str, threading.BoundedSemaphore] = {}

    @contextmanager
    def enter(self, host: str, wait: Wait) -> Iterator[bool]:
        """Wait for a turn at ``host`` and hold it; False where it was stopped before."""
        with self._lock:
            turns = self._hosts.setdefault(host, threading.BoundedSemaphore(self._most))
        entered = False
        while not (entered or wait.stopped()):
            entered = turns.acquire(timeout=0.05)
        try:
            yield entered
        finally:
            if entered:
                turns.release()


OPEN_GATE = OpenGate()
"""Of all cameras of this process."""
