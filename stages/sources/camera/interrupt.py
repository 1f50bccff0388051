"""Ends a wait inside FFmpeg, from another thread or at a given time.

PyAV has no call for that. But while FFmpeg waits, it asks a function of PyAV's ten times a second whether the time is
up, and that asks ``time.monotonic()`` of its own module: there it finds the clock below, which shows a time far in the
future to a thread whose wait is to end. Other threads, and other users of PyAV in this process, see the true time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import av.container.core

_LONG_S = 1e9  # more than any time-out


class Wait:
    """The waits of one reader.

    Attributes:
        deadline_s: on the monotonic clock; a wait ends then.
        expired: the last wait ended at the deadline.
    """

    def __init__(self) -> None:
        self.deadline_s = float("inf")
        self.expired = False
        self._stop = threading.Event()
        self._shown_s = _LONG_S

    def clear(self) -> None:
        """Forget a stop from before."""
        self._stop.clear()

    def stop(self) -> None:
        """End this and every further wait, within about 0.1 s; safe from any thread."""
        self._stop.set()

    def stopped(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stop.is_set()

    def sleep(self, seconds: float) -> bool:
        """Wait outside FFmpeg; returns early, and True, where it was stopped."""
        return self._stop.wait(max(0.0, seconds))

    @contextmanager
    def inside(self, limit_s: float) -> Iterator[None]:
        """Whatever PyAV waits for on this thread ends after ``limit_s``, or when it is stopped."""
        self.deadline_s, self.expired = time.monotonic() + limit_s, False
        _reader.wait = self
        try:
            yield
        finally:
            _reader.wait = None

    def shown_s(self, now_s: float) -> float:
        """The time that PyAV is shown: the true one, or one that is further in the future at each call."""
        late = now_s > self.deadline_s
        if not (late or self._stop.is_set()):
            return now_s
        self.expired |= late
        self._shown_s += _LONG_S
        return self._shown_s


class _Reader(threading.local):
    wait: Wait | None = None


_reader = _Reader()


class _Clock:
    """What PyAV's module sees as ``time``."""

    @staticmethod
    def monotonic() -> float:
        now_s, wait = time.monotonic(), _reader.wait
        return now_s if wait is None else wait.shown_s(now_s)


av.container.core.time = _Clock()  # type: ignore[attr-defined]
