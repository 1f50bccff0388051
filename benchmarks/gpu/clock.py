"""When things happen on a card, by events on the stream of the kernels, and what is measured with them."""

from __future__ import annotations

import ctypes
import math
import statistics
from collections.abc import Callable, Sequence
from ctypes import byref, c_float, c_size_t, c_uint, c_void_p
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
    """Events, and copies to and from the host, on the stream on which the kernels of a device run."""

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

    def copy_to(self, pointer: int, array: NDArray[np.uint8]) -> None:
        """Queue a copy to the card."""

    def copy_from(self, pointer: int, array: NDArray[np.uint8]) -> None:
        """Queue a copy to host memory."""


def load_libcuda() -> Any:
    """NVIDIA's driver, of which :func:`vidgraph.kernels.cuda.driver.driver` has said that it is there."""
    return ctypes.CDLL("libcuda.so.1")


class EventClock:
    """CUDA's events; see :class:`Clock`.

    Raises:
        EngineError: a call of the driver fails.
    """

    def __init__(self, device: Device) -> None:
        self.device, self._cuda = device, load_libcuda()
        self._scratch = empty((SCRATCH,), np.uint8, device)
        self._stream = c_void_p(driver().stream(device))
        self._idle: list[c_void_p] = []
        self._fills = 1
        self.hold()
        start = self.mark()
        self.hold()
        (one_ms,) = self.spans_ms([(start, self.mark())])
        self._fills = math.ceil(HOLD_MS / max(one_ms, 1e-3))

    def mark(self) -> c_void_p:
        """See :class:`Clock`."""
        event = self._idle.pop() if self._idle else c_void_p()
        if not event:
            self._call("cuEventCreate", byref(event), c_uint(0))
        self._call("cuEventRecord", event, self._stream)
        return event

    def spans_ms(self, spans: Sequence[Span]) -> list[float]:
        """See :class:`Clock`."""
        found = []
        for start, end in spans:
            between = c_float()
            self._call("cuEventSynchronize", end)
            self._call("cuEventElapsedTime", byref(between), start, end)
            found.append(between.value)
        self._idle += [event for span in spans for event in span]
        return found

    def hold(self) -> None:
        """See :class:`Clock`."""
        assert isinstance(self._scratch, DeviceArray)
        for _ in range(self._fills):
            driver().fill(self._scratch.pointer, 0, SCRATCH, self.device)

    def synchronise(self) -> None:
        """See :class:`Clock`."""
        self._call("cuCtxSynchronize")

    def pinned(self, nbytes: int) -> NDArray[np.uint8]:
        """See :class:`Clock`."""
        address = c_void_p()
        self._call("cuMemHostAlloc", byref(address), c_size_t(nbytes), c_uint(0))
        return np.ctypeslib.as_array((ctypes.c_uint8 * nbytes).from_address(address.value or 0))

    def copy_to(self, pointer: int, array: NDArray[np.uint8]) -> None:
        """See :class:`Clock`."""
        places = c_void_p(pointer), c_void_p(array.ctypes.data)
        self._call("cuMemcpyHtoDAsync_v2", *places, c_size_t(array.nbytes), self._stream)

    def copy_from(self, pointer: int, array: NDArray[np.uint8]) -> None:
        """See :class:`Clock`."""
        places = c_void_p(array.ctypes.data), c_void_p(pointer)
        self._call("cuMemcpyDtoHAsync_v2", *places, c_size_t(array.nbytes), self._stream)

    def _call(self, function: str, *arguments: Any) -> None:
        with driver().active(self.device):
            code = getattr(self._cuda, function)(*arguments)
        if code:
            raise EngineError(f"{function} failed on {self.device} with the CUresult {code}")


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


def kernel_times(call: Call, clock: Clock, rounds: int) -> dict[str, Any]:
    """Medians of what the kernels of a call take, each between two events of its own.

    Returns:
        ``launches`` of one call, ``kernels_ms`` of all together, and ``by_kernel``: milliseconds by name.
    """
    opened, rows = driver(), list[dict[str, float]]()
    launch, spans = opened.launch, list[tuple[str, Span]]()

    def timed(kernel: str, *arguments: Any) -> None:
        start = clock.mark()
        launch(kernel, *arguments)
        spans.append((kernel, (start, clock.mark())))

    with mock.patch.object(opened, "launch", timed):
        for _ in range(rounds + WARM):
            spans.clear()
            clock.hold()
            call()
            rows.append(_sums(spans, clock))
    counted = rows[WARM:]
    by_kernel = {name: rounded(statistics.median(row[name] for row in counted)) for name in counted[0]}
    total = statistics.median(sum(row.values()) for row in counted)
    return {"launches": len(spans), "kernels_ms": rounded(total), "by_kernel": by_kernel}


def _sums(spans: Sequence[tuple[str, Span]], clock: Clock) -> dict[str, float]:
    sums = dict.fromkeys((kernel for kernel, _ in spans), 0.0)
    for (kernel, _), taken in zip(spans, clock.spans_ms([span for _, span in spans]), strict=True):
        sums[kernel] += taken
    return sums
