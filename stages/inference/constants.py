"""Arrays that never change, where stages on a device read them."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Any

from ...kernels.device import HOST, Device, Tensor, to_device


class DeviceConstants:
    """Copies of arrays of the host, made once for each device; the last ``limit`` are kept. Safe from any thread."""

    def __init__(self, limit: int = 16) -> None:
        self._copies: dict[tuple[Hashable, Device], Tensor] = {}
        self._lock = threading.Lock()
        self._limit = limit

    def on(self, device: Device, name: Hashable, array: Tensor) -> Any:
        """``array``, which always is the same under ``name``, on a device; on the host it is the array itself."""
        if device == HOST:
            return array
        with self._lock:
            copied = self._copies.pop((name, device), None)
            if copied is None:
                copied = to_device(array, device)
            self._copies[name, device] = copied  # the last used is the last to go
            if len(self._copies) > self._limit:
                del self._copies[next(iter(self._copies))]
        return copied
