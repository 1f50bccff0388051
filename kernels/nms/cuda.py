"""Launches the CUDA twin of ``nms``."""

from __future__ import annotations

from ctypes import Structure, c_float, c_int

import numpy as np

from ..cuda.driver import blocks_for, launch
from ..cuda.memory import empty
from ..device import DeviceArray

_SORT_THREADS, _THREADS = 256, 512  # as in nms.cu


class OverlapRule(Structure):
    """As in ``cuda_suppress.h``."""

    _fields_ = (("max_iou", c_float), ("plus_one", c_float), ("inclusive", c_int), ("kept_only", c_int))


def nms(boxes: DeviceArray, scores: DeviceArray, *, max_iou: float, legacy: bool) -> DeviceArray:
    """See :func:`vidgraph.kernels.nms`. Waits once, for how many boxes are kept."""
    device, count = scores.device, len(scores)
    kept, found = empty((count,), np.int64, device), empty((1,), np.int32, device)
    if count == 0:
        return kept
    ordered, order = empty((count, 4), np.float32, device), empty((count,), np.int32, device)
    dropped = empty((count,), np.uint8, device)
    launch(
        "nms_sort", device, _SORT_THREADS, blocks_for(count, _SORT_THREADS),
        boxes, scores, c_int(count), ordered, order,
    )  # fmt: skip
    rule = OverlapRule(max_iou, legacy, inclusive=False, kept_only=True)
    launch("nms_suppress", device, _THREADS, 1, ordered, order, c_int(count), rule, dropped, kept, found)
    return kept[: int(found.to_host()[0])]
