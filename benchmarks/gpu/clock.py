"""When things happen on a card, by events on the stream of the kernels, and what is measured with them."""

from __future__ import annotations

import ctypes
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any, Protocol
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from ...kernels.cuda.driver import driver
from ...kernels.device import Device, DeviceArray, empty
from ...pipeline.errors import EngineError

Call = Callable[[], Any]
Span = tuple[Any, Any]
"""Two events, of what is between them."""

HOLD_MS = 4.0
"""So long the stream is kept busy, while Python queues what is measured behind it."""
SCRATCH = 1 << 28
"""Bytes that are filled for it: more than the caches of a card hold."""
WARM = 3
"""Calls before the first that counts."""


class Clock(Protocol):
    """Events on the stream on which the kernels of a device run."""

    device: Device

    def mark(self) -> Any:
        """Queue an event."""

    def spans_ms(self, spans: Sequence[Span]) -> list[float]:
        """Milliseconds between the two events of each span, which are used up; waits for them."""

    def hold(self) -> None:
        """Keep the stream busy for ``HOLD_MS``; afterwards the caches of the card hold nothing of what was there."""

    def synchronise(self) -> None:
        """Wait for all work of this process on the card."""

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        """Page-locked host memory, which is never given back."""


class EventClock:
    """CUDA's events, through ``cuda-bindings``; see :class:`Clock`.

    Raises:
        EngineError: a call of the driver fails.
    """

    def __init__(self, device: Device) -> None:
        from cuda.bindings import driver as cuda

        self.device, self._cuda = device, cuda
        self._stream = cuda.CUstream(driver().stream(device))  # the card's context is this thread's from here on
        self._idle: list[Any] = []
        self._scratch = empty((SCRATCH,), np.uint8, device)
        self._fills = 1
        self.hold()
        start = self.mark()
        self.hold()
        (one_ms,) = self.spans_ms([(start, self.mark())])
        self._fills = math.ceil(HOLD_MS / max(one_ms, 1e-3))

    def mark(self) -> Any:
        """See :class:`Clock`."""
        event = self._idle.pop() if self._idle else self._done("make an event", self._cuda.cuEventCreate(0))
        self._done("record an event", self._cuda.cuEventRecord(event, self._stream))
        return event

    def spans_ms(self, spans: Sequence[Span]) -> list[float]:
        """See :class:`Clock`."""
        found = []
        for start, end in spans:
            self._done("wait for an event", self._cuda.cuEventSynchronize(end))
            found.append(float(self._done("read an event", self._cuda.cuEventElapsedTime(start, end))))
        self._idle += [event for span in spans for event in span]
        return found

    def hold(self) -> None:
        """See :class:`Clock`."""
        assert isinstance(self._scratch, DeviceArray)
        for _ in range(self._fills):
            driver().fill(self._scratch.pointer, 0, SCRATCH, self.device)

    def synchronise(self) -> None:
        """See :class:`Clock`."""
        self._done("wait", self._cuda.cuCtxSynchronize())

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        """See :class:`Clock`."""
        address = int(self._done("get page-locked memory", self._cuda.cuMemHostAlloc(nbytes, 0)))
        return np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(address))

    def _done(self, what: str, answer: tuple[Any, ...]) -> Any:
        status, *results = answer
        if int(status):
            raise EngineError(f"cannot {what} on {self.device}: {status!r}")
        return results[0] if results else None


def rounded(milliseconds: float) -> float:
    """To 10 nanoseconds."""
    return round(milliseconds, 5)


def call_times(call: Call, clock: Clock, rounds: int) -> dict[str, float]:
    """Medians of many calls, each alone.

    Returns:
        ``call_ms``: from an idle card until all is done, Python and its waits for the card included; ``queued_ms``: the
        same where Python is ahead, so that only calls that wait for the card in between have gaps in them.
    """
    for _ in range(WARM):
        call()
    alone, queued = [], []
    for _ in range(rounds):
        clock.synchronise()
        alone += clock.spans_ms([_span(call, clock)])
    for _ in range(rounds):
        clock.hold()
        queued += clock.spans_ms([_span(call, clock)])
    return {"call_ms": rounded(statistics.median(alone)), "queued_ms": rounded(statistics.median(queued))}


def _span(call: Call, clock: Clock) -> Span:
    start = clock.mark()
    call()
    return start, clock.mark()


def kernel_times(call: Call, clock: Clock, rounds: int) -> dict[str, float]:
    """The median of what all kernels of a call take together, each between two events of its own.

    Returns:
        ``launches`` of one call, and ``kernels_ms``.
    """
    opened, spans, totals = driver(), list[Span](), list[float]()
    launch = opened.launch

    def timed(*arguments: Any) -> None:
        start = clock.mark()
        launch(*arguments)
        spans.append((start, clock.mark()))

    with mock.patch.object(opened, "launch", timed):
        for _ in range(rounds + WARM):
            spans.clear()
            clock.hold()
            call()
            totals.append(sum(clock.spans_ms(spans)))
    return {"launches": len(spans), "kernels_ms": rounded(statistics.median(totals[WARM:]))}
