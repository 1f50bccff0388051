"""Launches the CUDA twin of ``class_nms``."""

from __future__ import annotations

from ctypes import c_int

import numpy as np

from ..cuda.driver import blocks_for, launch
from ..cuda.memory import aligned, empty, zeros
from ..device import DeviceArray
from ..nms.cuda import OverlapRule

_RANK_THREADS, _THREADS = 256, 512  # as in class_nms.cu
_SORTED = ((4,), np.float32), ((), np.int32), ((), np.int32)  # boxes, classes and rows in order


def class_nms(
    boxes: DeviceArray, scores: DeviceArray, class_ids: DeviceArray, *, max_iou: float, limit: int
) -> DeviceArray:
    """See :func:`vidgraph.kernels.class_nms`. Waits once, for how many boxes are kept."""
    kept, found = queue_class_nms(boxes, scores, class_ids, max_iou=max_iou, limit=limit)
    return kept[: int(found.to_host()[0])] if len(kept) else kept


def queue_class_nms(
    boxes: DeviceArray,
    scores: DeviceArray,
    class_ids: DeviceArray,
    *,
    max_iou: float,
    limit: int,
    count: DeviceArray | None = None,
) -> tuple[DeviceArray, DeviceArray]:
    """As :func:`class_nms`, of the first ``count`` boxes (None: of all): as many rows as may be, and how many are."""
    device, given = scores.device, len(scores)
    room = min(limit, given)
    kept = empty((room,), np.int64, device)
    if room == 0:
        return kept, zeros((1,), np.int32, device)
    kept_count, found = empty((1,), np.int32, device), zeros((1,), np.int32, device)
    ranks, dropped = empty((given,), np.uint64, device), empty((given,), np.uint8, device)
    ordered, groups, order = (empty((given, *row), dtype, device) for row, dtype in _SORTED)
    blocks = blocks_for(given, _RANK_THREADS)
    launch("class_nms_ranks", device, _RANK_THREADS, blocks, scores, count, c_int(given), ranks)
    launch(
        "class_nms_sort", device, _RANK_THREADS, blocks,
        ranks, aligned(boxes), class_ids, count, c_int(given), ordered, groups, order, found,
    )  # fmt: skip
    rule = OverlapRule(max_iou, 0.0, inclusive=False, kept_only=True)
    launch(
        "class_nms_suppress", device, _THREADS, 1,
        ordered, groups, order, found, rule, c_int(room), dropped, kept, kept_count,
    )  # fmt: skip
    return kept, kept_count
