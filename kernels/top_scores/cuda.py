"""Launches the CUDA twin of ``top_scores``."""

from __future__ import annotations

from ctypes import c_float, c_int64

import numpy as np

from ..cuda.driver import blocks_for, launch
from ..cuda.memory import empty, zeros
from ..device import DeviceArray

_RANK_THREADS, _BEST_THREADS, _PLACE_THREADS = 256, 1024, 256  # as in top_scores.cu


def top_scores(scores: DeviceArray, *, min_score: float, limit: int) -> DeviceArray:
    """See :func:`vidgraph.kernels.top_scores`. Waits once, for how many there are."""
    order, found = queue_top_scores(scores, min_score=min_score, limit=limit)
    return order[: int(found.to_host()[0])] if len(order) else order


def queue_top_scores(
    scores: DeviceArray, *, min_score: float, limit: int, count: DeviceArray | None = None
) -> tuple[DeviceArray, DeviceArray]:
    """As :func:`top_scores`, of the first ``count`` scores (None: of all): as many as may be, and how many are."""
    device, room = scores.device, min(limit, len(scores))
    order = empty((room,), np.int64, device)
    if room == 0:
        return order, zeros((1,), np.int32, device)
    ranks, best = empty((len(scores),), np.uint64, device), empty((room,), np.uint64, device)
    found, given = empty((1,), np.int32, device), c_int64(len(scores))
    launch(
        "top_scores_ranks", device, _RANK_THREADS, blocks_for(len(scores), _RANK_THREADS),
        scores, count, given, c_int64(scores.strides[0] // 4), c_float(min_score), ranks,
    )  # fmt: skip
    launch("top_scores_best", device, _BEST_THREADS, 1, ranks, count, given, c_int64(room), best, found)
    launch("top_scores_place", device, _PLACE_THREADS, blocks_for(room, _PLACE_THREADS), best, found, order)
    return order, found
