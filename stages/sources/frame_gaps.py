"""Frames that never came, as far as the times of those that did tell."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import pairwise

_REORDERED = 32  # packets; more than any codec puts out of order
_NEAR = 64  # packets: damage and the gap it makes are no farther apart


class FrameGaps:
    """Gaps in the times of a stream's packets that damage explains.

    A gap alone does not mean a loss: a recording may leave out frames on purpose. It counts where the container
    or the decoder has reported damage close by, or where the file's structure is broken there.

    Attributes:
        lost: frames missing in such gaps.
    """

    def __init__(
        self,
        broken_between: Callable[[int, int, int], bool],
        *,
        step: float,
        longest: int,
        wanted_from: int | None = None,
    ) -> None:
        """
        Args:
            broken_between: whether the file is damaged between two places in it, of which the packets there leave out
                so many bytes at most in one piece.
            step: ticks from one frame to the next, for packets that do not say how long they last; 0: not known.
            longest: ticks; a longer gap is where recordings were joined, unless the file's structure is broken there
                (a transport stream reports damage at every joint).
            wanted_from: pts before which nothing is counted; None: everything is.
        """
        self.lost = 0
        self._step, self._longest, self._broken_between = step, longest, broken_between
        self._wanted_from = wanted_from
        self._waiting: list[tuple[int, int]] = []  # (pts, duration), a heap
        self._end: int | None = None
        self._highest: int | None = None
        self._length = 0
        self._places: deque[tuple[int, int]] = deque(maxlen=_NEAR)  # (begin, end) in the file
        self._packets, self._damage_at = 0, -_NEAR

    def damage(self) -> None:
        """The packet added last, or one about there, is damaged."""
        self._damage_at = self._packets

    def add(self, pts: int, duration: int, place: int | None, size: int, *, is_key: bool) -> None:
        """The next packet in the order of the file, of ``size`` bytes at ``place``."""
        if is_key and self._highest is not None and pts <= self._highest:  # the clock has started again
            self.finish()
            self._end = self._highest = None
        self._highest = pts if self._highest is None else max(self._highest, pts)
        self._packets += 1
        if place is not None:
            self._places.append((place, place + size))
        heappush(self._waiting, (pts, duration))
        if len(self._waiting) > _REORDERED:
            self._pass(*heappop(self._waiting))

    def finish(self, last: int | None = None) -> None:
        """There are no more packets, or none behind the pts ``last`` are of interest."""
        while self._waiting and (last is None or self._waiting[0][0] <= last):
            self._pass(*heappop(self._waiting))

    def _pass(self, pts: int, duration: int) -> None:
        end, step = self._end, self._length or self._step
        if end is not None and self._wanted_from is not None:
            end = max(end, self._wanted_from)
        self._end, self._length = pts + (duration or round(self._step)), duration
        if end is None or not step or pts - end < step / 2:
            return
        told = self._packets - self._damage_at < _NEAR and pts - end <= self._longest
        if told or self._is_broken():
            self.lost += max(1, round((pts - end) / step))

    def _is_broken(self) -> bool:
        if len(self._places) < 2:
            return False
        widest = max(begin - end for (_, end), (begin, _) in pairwise(self._places))
        begins = [begin for begin, _ in self._places]
        return self._broken_between(min(begins), max(begins), widest)
