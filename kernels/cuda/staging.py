"""Host memory that a card reads and writes by itself (pinned), through which all copies between the two go."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .libcuda import Libcuda

BUFFER = 8 << 20  # bytes: the luma of a picture of 3840x2160; what is larger goes in pieces
MOST_BUFFERS = 8  # of a card

NO_TIMING = 2  # CU_EVENT_DISABLE_TIMING
_ALL_CONTEXTS = 1  # CU_MEMHOSTALLOC_PORTABLE


@dataclass(frozen=True, slots=True)
class Buffer:
    """Pinned memory of ``BUFFER`` bytes; ``event`` is recorded behind the last copy from or to it."""

    address: int
    event: int


class Staging:
    """The buffers of one card, whose context is the calling thread's: made when needed, kept, and lent one by one."""

    def __init__(self, cuda: Libcuda) -> None:
        self._cuda = cuda
        self._idle: deque[Buffer] = deque()  # the one that was used longest ago first
        self._made = 0
        self._changed = threading.Condition()

    @contextmanager
    def buffer(self) -> Iterator[Buffer]:
        """A buffer that no copy uses any more; waits where all are in use.

        A thread takes one at a time, or threads could wait for one another.

        Raises:
            CudaError: there is no host memory left to pin, or a copy failed.
        """
        taken = self._take()
        try:
            self._cuda.call("copy to or from the card", "cuEventSynchronize", taken.event)
            yield taken
        finally:
            with self._changed:
                self._idle.append(taken)
                self._changed.notify()

    def _take(self) -> Buffer:
        with self._changed:
            while True:
                if self._idle and (self._made == MOST_BUFFERS or self._is_free(self._idle[0])):
                    return self._idle.popleft()
                if self._made < MOST_BUFFERS:
                    made = self._make()
                    self._made += 1
                    return made
                self._changed.wait()

    def _is_free(self, buffer: Buffer) -> bool:
        return self._cuda.code("cuEventQuery", buffer.event) == 0

    def _make(self) -> Buffer:
        what = f"get {BUFFER} bytes of host memory for copies"
        address = self._cuda.handle(what, "cuMemHostAlloc", BUFFER, _ALL_CONTEXTS)
        return Buffer(address, self._cuda.handle(what, "cuEventCreate", NO_TIMING))
