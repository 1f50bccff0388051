"""Launches the CUDA twin of ``confident_rows``."""

from __future__ import annotations

import math
from ctypes import c_float, c_int, c_int64

import numpy as np

from ..cuda.driver import blocks_for, launch
from ..cuda.memory import empty, zeros
from ..device import DeviceArray

_ROW_THREADS, _THREADS, _LANES = 256, 1024, 32  # as in confident_rows.cu
_MOST_BLOCKS = 256  # of chosen rows; their warps take turns


def confident_rows(logits: DeviceArray, *, min_score: float, limit: int) -> tuple[DeviceArray, DeviceArray]:
    """See :func:`vidgraph.kernels.confident_rows`. Waits once, for how many rows there are."""
    rows, scores, found = queue_confident_rows(logits, min_score=min_score, limit=limit)
    taken = int(found.to_host()[0]) if len(rows) else 0
    return rows[:taken], scores[:taken]


def queue_confident_rows(
    logits: DeviceArray, *, min_score: float, limit: int
) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    """As :func:`confident_rows`: as many rows and scores as there may be, and how many are, int32 ``[1]``."""
    (count, columns), device = logits.shape, logits.device
    room = min(limit, count)
    rows, scores = empty((room,), np.int64, device), empty((room, columns - 1), np.float32, device)
    if room == 0:
        return rows, scores, zeros((1,), np.int32, device)
    ranks, found = empty((count,), np.uint64, device), empty((1,), np.int32, device)
    stride = c_int64(logits.strides[0] // 4)
    launch(
        "confident_rows_ranks", device, _ROW_THREADS, blocks_for(count * _LANES, _ROW_THREADS),
        logits, c_int64(count), stride, c_int(columns), c_float(min_score), c_float(_cut(min_score)), ranks,
    )  # fmt: skip
    launch("confident_rows_best", device, _THREADS, 1, ranks, c_int64(count), c_int64(room), rows, found)
    launch(
        "confident_rows_scores", device, _ROW_THREADS, min(blocks_for(room * _LANES, _ROW_THREADS), _MOST_BLOCKS),
        logits, stride, c_int(columns), rows, found, scores,
    )  # fmt: skip
    return rows, scores, found


def _cut(min_score: float) -> float:
    """As the host's kernel has it: below, a logit less the background's is hopeless; NaN for nowhere."""
    least = float(np.float32(min_score))
    return math.log(least / (1.0 - least)) - 1e-3 if 0 < least < 1 else math.nan
