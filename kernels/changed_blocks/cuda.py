"""Launches the CUDA twin of ``changed_blocks``."""

from __future__ import annotations

from ctypes import c_int

import numpy as np

from ..cuda.driver import launch
from ..cuda.memory import empty
from ..device import DeviceArray

_THREADS = 512  # as in changed_blocks.cu


def changed_blocks(
    current: DeviceArray, reference: DeviceArray, counted: DeviceArray, *, out: DeviceArray
) -> DeviceArray:
    """See :func:`vidgraph.kernels.changed_blocks`."""
    rows, columns = current.shape
    if current.size:
        hot = empty(current.shape, np.dtype(np.uint8), current.device)
        launch(
            "changed_blocks_all", current.device, _THREADS, 1,
            current, reference, counted, c_int(rows), c_int(columns), hot, out,
        )  # fmt: skip
    return out
