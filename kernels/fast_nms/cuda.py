"""Launches the CUDA twins of the three suppressions. Each waits once, for how many detections there are."""

from __future__ import annotations

import math
from ctypes import c_float, c_int, c_int64

import numpy as np

from ..cuda.driver import blocks_for, launch
from ..cuda.memory import empty
from ..device import DeviceArray
from ..nms.cuda import OverlapRule

_RANK_THREADS, _CLASS_THREADS, _BEST_THREADS, _PLACE_THREADS = 256, 256, 1024, 256  # as in fast_nms.cu

Found = tuple[DeviceArray, DeviceArray, DeviceArray]


def fast_nms(
    boxes: DeviceArray, scores: DeviceArray, *, max_iou: float, top_k: int, limit: int, min_score: float
) -> Found:
    """See :func:`vidgraph.kernels.fast_nms`."""
    rule = OverlapRule(max_iou, 0.0, inclusive=False, kept_only=False)
    return _per_class(boxes, scores, rule, top_k, limit, min_score, (1.0, 1.0))


def traditional_nms(
    boxes: DeviceArray, scores: DeviceArray, *, max_iou: float, limit: int, min_score: float, size: tuple[int, int]
) -> Found:
    """See :func:`vidgraph.kernels.traditional_nms`."""
    rule = OverlapRule(max_iou, 1.0, inclusive=True, kept_only=True)
    return _per_class(boxes, scores, rule, len(scores), limit, min_score, (float(size[1]), float(size[0])))


def cross_class_fast_nms(
    boxes: DeviceArray, scores: DeviceArray, *, max_iou: float, top_k: int, limit: int, min_score: float
) -> Found:
    """See :func:`vidgraph.kernels.cross_class_fast_nms`."""
    count, classes = scores.shape
    if scores.size == 0 or limit == 0:
        return _nothing(scores)
    device = scores.device
    ranks, class_of = empty((1, count), np.uint64, device), empty((count,), np.int32, device)
    launch(
        "fast_nms_row_ranks", device, _RANK_THREADS, blocks_for(count, _RANK_THREADS),
        scores, c_int64(count), c_int(classes), c_float(_floor(min_score)), ranks, class_of,
    )  # fmt: skip
    rule = OverlapRule(max_iou, 0.0, inclusive=False, kept_only=False)
    survivors = _suppressed(ranks, boxes, rule, min(top_k, count), (1.0, 1.0))
    return _in_order(survivors, count, min(limit, scores.size), class_of)


def _floor(min_score: float) -> float:
    return min_score if min_score > 0 else -math.inf


def _nothing(scores: DeviceArray) -> Found:
    rows, class_ids, best = (empty((0,), dtype, scores.device) for dtype in (np.int64, np.int32, np.float32))
    return rows, class_ids, best


def _per_class(
    boxes: DeviceArray,
    scores: DeviceArray,
    rule: OverlapRule,
    top_k: int,
    limit: int,
    min_score: float,
    scale: tuple[float, float],
) -> Found:
    count, classes = scores.shape
    if scores.size == 0 or limit == 0:
        return _nothing(scores)
    device = scores.device
    ranks = empty((classes, count), np.uint64, device)
    launch(
        "fast_nms_ranks", device, _RANK_THREADS, blocks_for(scores.size, _RANK_THREADS),
        scores, c_int64(count), c_int(classes), c_float(_floor(min_score)), ranks,
    )  # fmt: skip
    survivors = _suppressed(ranks, boxes, rule, min(top_k, count), scale)
    return _in_order(survivors, count, min(limit, scores.size), None)


def _suppressed(
    ranks: DeviceArray, boxes: DeviceArray, rule: OverlapRule, room: int, scale: tuple[float, float]
) -> DeviceArray:
    """Ranks of what is left of each group, uint64 ``[groups, room]``, 0 for none."""
    (groups, count), device = ranks.shape, ranks.device
    chosen, survivors = empty((groups, room), np.uint64, device), empty((groups, room), np.uint64, device)
    ordered, dropped = empty((groups, room, 4), np.float32, device), empty((groups, room), np.uint8, device)
    launch(
        "fast_nms_classes", device, _CLASS_THREADS, groups,
        ranks, c_int64(count), c_int(room), boxes, c_float(scale[0]), c_float(scale[1]), rule, chosen, ordered, dropped,
        survivors,
    )  # fmt: skip
    return survivors


def _in_order(survivors: DeviceArray, count: int, limit: int, class_of: DeviceArray | None) -> Found:
    device, room = survivors.device, min(limit, survivors.size)
    best, found = empty((room,), np.uint64, device), empty((1,), np.int32, device)
    launch(
        "fast_nms_best", device, _BEST_THREADS, 1,
        survivors, c_int64(survivors.size), c_int64(room), best, found,
    )  # fmt: skip
    rows, class_ids, scores = (empty((room,), dtype, device) for dtype in (np.int64, np.int32, np.float32))
    launch(
        "fast_nms_place", device, _PLACE_THREADS, blocks_for(room, _PLACE_THREADS),
        best, found, c_int64(count), class_of, rows, class_ids, scores,
    )  # fmt: skip
    taken = int(found.to_host()[0])
    return rows[:taken], class_ids[:taken], scores[:taken]
