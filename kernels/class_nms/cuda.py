"""Launches the CUDA twin of ``class_nms``."""

from __future__ import annotations

from ctypes import c_int

import numpy as np

from ..cuda.driver import blocks_for, launch
from ..cuda.memory import aligned, empty, zeros
from ..device import DeviceArray
from ..nms.cuda import OverlapRule

_RANK_THREADS, _THREADS = 256, 512  # as in class_nms.cu


def class_nms(
    boxes: DeviceArray, scores: DeviceArray, class_ids: DeviceArray, *, max_iou: float, limit: int
) -> DeviceArray:
    """See :func:`vidgraph.kernels.class_nms`. Waits once, for how many boxes are kept."""
    device, count = scores.device, len(scores)
    room = min(limit, count)
    kept, kept_count = empty((room,), np.int64, device), empty((1,), np.int32, device)
    if room == 0:
        return kept
    ranks, found = empty((count,), np.uint64, device), zeros((1,), np.int32, device)
    ordered, dropped = empty((count, 4), np.float32, device), empty((count,), np.uint8, device)
    groups, order = empty((count,), np.int32, device), empty((count,), np.int32, device)
    blocks = blocks_for(count, _RANK_THREADS)
    launch("class_nms_ranks", device, _RANK_THREADS, blocks, scores, c_int(count), ranks)
    launch(
        "class_nms_sort", device, _RANK_THREADS, blocks,
        ranks, aligned(boxes), class_ids, c_int(count), ordered, groups, order, found,
    )  # fmt: skip
    rule = OverlapRule(max_iou, 0.0, inclusive=False, kept_only=True)
    launch(
        "class_nms_suppress", device, _THREADS, 1,
        ordered, groups, order, found, rule, c_int(room), dropped, kept, kept_count,
    )  # fmt: skip
    return kept[: int(kept_count.to_host()[0])]
