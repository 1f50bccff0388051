"""One loop over the results of several hubs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from ...pipeline.errors import VidgraphError
from ...pipeline.results.frame_result import FrameResult
from ..live import Hub

AHEAD = 4
"""Results that may wait for the loop."""
LOOK_S = 0.2


class MergedLoop:
    """Takes results from hubs, each on a thread of its own, for as long as a loop asks for them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[FrameResult] = deque()
        self._going = self._stopped = False

    def results(self, hubs: Sequence[Hub], over: Callable[[], bool]) -> Iterator[FrameResult]:
        """The results of ``hubs`` and of those that are added, until ``over``."""
        self._going = not self._stopped
        self._waiting.clear()
        for hub in hubs:
            self.add(hub)
        return self._yield(over)

    def _yield(self, over: Callable[[], bool]) -> Iterator[FrameResult]:
        try:
            while self._going:
                with self._changed:
                    if not self._waiting and not self._changed.wait(LOOK_S) and over():
                        return
                    result = self._waiting.popleft() if self._waiting else None
                    self._changed.notify_all()
                if result is not None:
                    yield result
        finally:
            self._leave()

    def add(self, hub: Hub) -> None:
        """Take results from a further hub, where a loop is going on."""
        if self._going:
            threading.Thread(target=self._take, args=(hub,), name="vidgraph loop", daemon=True).start()

    def _take(self, hub: Hub) -> None:
        with suppress(VidgraphError):  # wait() has it
            for result in hub:
                with self._changed:
                    self._changed.wait_for(lambda: len(self._waiting) < AHEAD or not self._going)
                    if not self._going:
                        return
                    self._waiting.append(result)
                    self._changed.notify_all()

    def _leave(self) -> None:
        with self._changed:
            self._going = False
            self._changed.notify_all()

    def stop(self) -> None:
        """End the loop, now and for good."""
        self._stopped = True
        self._leave()
