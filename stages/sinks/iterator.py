"""A sink that a loop reads from: what ``for result in vidgraph.run(...)`` is made of."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterator

from ...pipeline.errors import UsageError
from ...pipeline.packet import Packet
from ...pipeline.stage import Sink


class IteratorSink(Sink):
    """Hands packets to a loop in another thread, a few at a time; the loop's pace becomes the run's.

    Attributes:
        ahead: packets that may wait for the loop.
    """

    name = "iterator"

    def __init__(self, *, ahead: int = 4) -> None:
        self.ahead = ahead
        self._waiting: deque[Packet] = deque()
        self._changed = threading.Condition()
        self._ended = False

    def write(self, packet: Packet) -> None:
        """Wait for room, then leave the packet for the loop; after :meth:`leave` it is thrown away."""
        with self._changed:
            while len(self._waiting) >= self.ahead and not self._ended:
                self._changed.wait()
            if not self._ended:
                self._waiting.append(packet)
                self._changed.notify_all()

    def close(self) -> None:
        """Let the loop end after what is waiting."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def leave(self) -> None:
        """The loop takes no more: whatever waits, or comes, is thrown away."""
        with self._changed:
            self._ended = True
            self._waiting.clear()
            self._changed.notify_all()

    def packets(self) -> Iterator[Packet]:
        """The packets, until the sink is closed.

        Raises:
            UsageError: they come in another process, from which this one was forked.
        """
        process = os.getpid()
        while True:
            if os.getpid() != process:
                raise UsageError("the run goes on in the process that started it, from which this one was forked")
            with self._changed:
                while not self._waiting and not self._ended:
                    self._changed.wait()
                if not self._waiting:
                    return
                packet = self._waiting.popleft()
                self._changed.notify_all()
            yield packet
