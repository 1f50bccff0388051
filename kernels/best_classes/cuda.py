"""Launches the CUDA twin of ``best_classes``."""

from __future__ import annotations

from ctypes import Structure, c_float, c_int, c_int64, c_void_p

import numpy as np

from ..cuda.driver import blocks_for, launch
from ..cuda.memory import empty
from ..device import DeviceArray

_ROW_THREADS, _THREADS = 256, 1024  # as in best_classes.cu


class _ScoreTable(Structure):
    """As in ``best_classes.h``."""

    _fields_ = (
        ("data", c_void_p), ("rows", c_int64), ("row_stride", c_int64), ("columns", c_int),
        ("column_stride", c_int64), ("objectness", c_void_p), ("objectness_stride", c_int64),
    )  # fmt: skip


def best_classes(
    scores: DeviceArray, *, min_score: float, objectness: DeviceArray | None, sigmoid: bool
) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    """See :func:`vidgraph.kernels.best_classes`. Waits once, for how many rows there are."""
    device, count = scores.device, len(scores)
    rows, class_ids, kept = (empty((count,), dtype, device) for dtype in (np.int64, np.int32, np.float32))
    if count == 0:
        return rows, class_ids, kept
    row_stride, column_stride = (stride // 4 for stride in scores.strides)
    factor = (objectness.pointer, objectness.strides[0] // 4) if objectness is not None else (None, 0)
    table = _ScoreTable(scores.pointer, count, row_stride, scores.shape[1], column_stride, *factor)
    of_row, score = empty((count,), np.int32, device), empty((count,), np.float32, device)
    found = empty((1,), np.int32, device)
    launch(
        "best_classes_rows", device, _ROW_THREADS, blocks_for(count, _ROW_THREADS),
        table, c_float(min_score), c_int(sigmoid), of_row, score,
    )  # fmt: skip
    launch("best_classes_found", device, _THREADS, 1, score, of_row, c_int64(count), rows, class_ids, kept, found)
    taken = int(found.to_host()[0])
    return rows[:taken], class_ids[:taken], kept[:taken]
