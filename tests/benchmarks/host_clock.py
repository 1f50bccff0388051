"""A clock for a card that is not there: the process's own."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Sequence

import numpy as np
from vidgraph.kernels.device import Device


class HostClock:
    """Events are times; emulated kernels are done when their launch returns."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def mark(self) -> float:
        return time.perf_counter()

    def spans_ms(self, spans: Sequence[tuple[float, float]]) -> list[float]:
        return [(end - start) * 1e3 for start, end in spans]

    def hold(self) -> None: ...

    def synchronise(self) -> None: ...

    def pinned(self, nbytes: int) -> np.ndarray:
        return np.empty(nbytes, np.uint8)

    def copy_to(self, pointer: int, array: np.ndarray) -> None:
        ctypes.memmove(pointer, array.ctypes.data, array.nbytes)

    def copy_from(self, pointer: int, array: np.ndarray) -> None:
        ctypes.memmove(array.ctypes.data, pointer, array.nbytes)
