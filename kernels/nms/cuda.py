"""Launches the CUDA twin of ``nms``."""

from __future__ import annotations

from ctypes import Structure, c_float, c_int

import numpy as np

from ..cuda.driver import blocks_for, launch
from ..cuda.memory import aligned, empty, zeros
from ..device import DeviceArray

_SORT_THREADS, _THREADS = 256, 512  # as in nms.cu


class OverlapRule(Structure):
    """As in ``cuda_suppress.h``."""

    _fields_ = (("max_iou", c_float), ("plus_one", c_float), ("inclusive", c_int), ("kept_only", c_int))


def nms(boxes: DeviceArray, scores: DeviceArray, *, max_iou: float, legacy: bool) -> DeviceArray:
    """See :func:`vidgraph.kernels.nms`. Waits once, for how many boxes are kept."""
    kept, found = queue_nms(boxes, scores, max_iou=max_iou, legacy=legacy, limit=len(scores))
    return kept[: int(found.to_host()[0])] if len(kept) else kept


def queue_nms(
    boxes: DeviceArray,
    scores: DeviceArray,
    *,
    max_iou: float,
    legacy: bool,
    limit: int,
    count: DeviceArray | None = None,
) -> tuple[DeviceArray, DeviceArray]:
    """As :func:`nms`, of the first ``count`` boxes (None: of all): at most the ``limit`` best, and how many."""
    device, given = scores.device, len(scores)
    room = min(limit, given)
    kept = empty((room,), np.int64, device)
    if room == 0:
        return kept, zeros((1,), np.int32, device)
    ordered, order = empty((given, 4), np.float32, device), empty((given,), np.int32, device)
    dropped, found = empty((given,), np.uint8, device), empty((1,), np.int32, device)
    launch(
        "nms_sort", device, _SORT_THREADS, blocks_for(given, _SORT_THREADS),
        aligned(boxes), scores, count, c_int(given), ordered, order,
    )  # fmt: skip
    rule = OverlapRule(max_iou, legacy, inclusive=False, kept_only=True)
    launch(
        "nms_suppress", device, _THREADS, 1,
        ordered, order, count, c_int(given), rule, c_int(room), dropped, kept, found,
    )  # fmt: skip
    return kept, found
