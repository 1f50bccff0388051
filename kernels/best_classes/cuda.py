"""Launches the CUDA twin of ``best_classes``."""

from __future__ import annotations

from ctypes import Structure, c_float, c_int, c_int64, c_void_p

import numpy as np

from ..cuda.driver import address_of, blocks_for, launch
from ..cuda.memory import empty, zeros
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
    *made, found = queue_best_classes(scores, min_score=min_score, objectness=objectness, sigmoid=sigmoid)
    taken = int(found.to_host()[0]) if len(scores) else 0
    rows, class_ids, kept = (array[:taken] for array in made)
    return rows, class_ids, kept


def queue_best_classes(
    scores: DeviceArray, *, min_score: float, objectness: DeviceArray | None, sigmoid: bool
) -> tuple[DeviceArray, DeviceArray, DeviceArray, DeviceArray]:
    """As :func:`best_classes`: as many rows, classes and scores as there may be, and how many are, int32 ``[1]``."""
    device, count = scores.device, len(scores)
    rows, class_ids, kept = (empty((count,), dtype, device) for dtype in (np.int64, np.int32, np.float32))
    if count == 0:
        return rows, class_ids, kept, zeros((1,), np.int32, device)
    row_stride, column_stride = (stride // 4 for stride in scores.strides)
    factor = (address_of(objectness), objectness.strides[0] // 4) if objectness is not None else (None, 0)
    table = _ScoreTable(address_of(scores), count, row_stride, scores.shape[1], column_stride, *factor)
    of_row, score = empty((count,), np.int32, device), empty((count,), np.float32, device)
    found = empty((1,), np.int32, device)
    launch(
        "best_classes_rows", device, _ROW_THREADS, blocks_for(count, _ROW_THREADS),
        table, c_float(min_score), c_int(sigmoid), of_row, score,
    )  # fmt: skip
    launch("best_classes_found", device, _THREADS, 1, score, of_row, c_int64(count), rows, class_ids, kept, found)
    return rows, class_ids, kept, found
