"""Launches the CUDA twin of ``confident_rows``."""

from __future__ import annotations

import math
from ctypes import c_float, c_int, c_int64

import numpy as np

from ..cuda.driver import blocks_for, launch
from ..cuda.memory import empty
from ..device import DeviceArray

_ROW_THREADS, _THREADS, _LANES = 256, 1024, 32  # as in confident_rows.cu


def confident_rows(logits: DeviceArray, *, min_score: float, limit: int) -> tuple[DeviceArray, DeviceArray]:
    """See :func:`vidgraph.kernels.confident_rows`. Waits once, for how many rows there are."""
    (count, columns), device = logits.shape, logits.device
    room = min(limit, count)
    rows, scores = empty((room,), np.int64, device), empty((room, columns - 1), np.float32, device)
    if room == 0:
        return rows, scores
    ranks, found = empty((count,), np.uint64, device), empty((1,), np.int32, device)
    stride = c_int64(logits.strides[0] // 4)
    launch(
        "confident_rows_ranks", device, _ROW_THREADS, blocks_for(count * _LANES, _ROW_THREADS),
        logits, c_int64(count), stride, c_int(columns), c_float(min_score), c_float(_cut(min_score)), ranks,
    )  # fmt: skip
    launch("confident_rows_best", device, _THREADS, 1, ranks, c_int64(count), c_int64(room), rows, found)
    launch(
        "confident_rows_scores", device, _ROW_THREADS, blocks_for(room * _LANES, _ROW_THREADS),
        logits, stride, c_int(columns), rows, found, scores,
    )  # fmt: skip
    taken = int(found.to_host()[0])
    return rows[:taken], scores[:taken]


def _cut(min_score: float) -> float:
    """As the host's kernel has it: below, a logit less the background's is hopeless; NaN for nowhere."""
    least = float(np.float32(min_score))
    return math.log(least / (1.0 - least)) - 1e-3 if 0 < least < 1 else math.nan
