"""Decodes less of a camera while this machine has no time to decode all of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from .status import Monitor

LEVELS = ("DEFAULT", "NONREF", "NONKEY")
"""FFmpeg's ``skip_frame``: nothing; pictures that no other refers to; all between key frames."""
NAMES = ("all", "referenced", "key_frames")
_SAID = (
    "every picture is decoded again",
    "this machine is too slow to decode it: pictures that no other refers to are left out",
    "this machine is too slow to decode it: only key frames are decoded; choose a smaller stream, or fewer cameras",
)
LAG_S, LITTLE_LAG_S = 1.0, 0.3
BUSY, BUSY_OVER_S = 0.8, 0.5
"""The share of the time that work takes, over so long, from which on it is this machine that is slow."""
STEP_S = 2.0
"""A level is given so long before the next one."""
TRY_S, TRY_MOST_S = 5.0, 300.0
"""After so long without lag the level below is tried; twice as long where that was too early the last time."""
EARLY_S = 30.0


class Relief:
    """Chooses how much is decoded, by how far the stream is behind and by where the reader's time goes.

    That it is behind does not tell: so it is where the network is slow, too, or where the pipeline takes its time with
    every frame (``--lossless``). Then the reader waits, and nothing is left out. For the reader's thread.

    Attributes:
        level: an index of :data:`LEVELS`.
    """

    def __init__(self, context: Any, monitor: Monitor, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            context: of the decoder, whose ``skip_frame`` is set.
            clock: seconds that only go forward.
        """
        self._context, self._monitor, self._clock = context, monitor, clock
        self.level = self._wanted = 0
        self._since_s = self._changed_s = self._calm_s = clock()
        self._work_s, self._busy = 0.0, False
        self._try_s, self._went_back_s = TRY_S, -EARLY_S + self._since_s
        monitor.note(decoding=NAMES[0])

    @property
    def only_key_frames(self) -> bool:
        """Packets between key frames give no picture."""
        return LEVELS[self.level] == "NONKEY"

    def before(self, *, key: bool) -> None:
        """A packet is about to be decoded; ``key``: decoding can start with it."""
        if self._wanted < self.level and (key or not self.only_key_frames):  # else what it refers to is not there
            self._went_back_s = self._clock()
            self._set(self._wanted)

    def worked(self, seconds: float) -> None:
        """So much time went into decoding, or into making a frame of a picture."""
        self._work_s += seconds

    def judge(self, lag_s: float) -> None:
        """Change the level where ``lag_s``, by which the stream is behind, asks for it."""
        now_s = self._clock()
        if now_s - self._since_s < BUSY_OVER_S:
            return
        self._busy = self._work_s >= BUSY * (now_s - self._since_s)
        self._since_s, self._work_s = now_s, 0.0
        if lag_s > LITTLE_LAG_S:
            self._calm_s = now_s
        if lag_s > LAG_S and self._busy:
            self._go_up(now_s)
        elif self.level and min(now_s - self._calm_s, now_s - self._changed_s) >= self._try_s:
            self._wanted = self.level - 1

    def _go_up(self, now_s: float) -> None:
        if self.level + 1 == len(LEVELS) or (self.level and now_s - self._changed_s < STEP_S):
            return
        early = now_s - self._went_back_s < EARLY_S
        self._try_s = min(TRY_MOST_S, 2 * self._try_s) if early else TRY_S
        self._set(self.level + 1)

    def _set(self, level: int) -> None:
        self.level = self._wanted = level
        self._changed_s = self._clock()
        self._context.skip_frame = LEVELS[level]
        self._monitor.note(decoding=NAMES[level])
        self._monitor.say(f"decoding {NAMES[level]}", _SAID[level])
