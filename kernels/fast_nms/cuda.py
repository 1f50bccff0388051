"""Launches the CUDA twins of the three suppressions. Each waits once, for how many detections there are.

Those called ``queue_…`` do not: they give as many detections as there may be, and how many are, int32 ``[1]``; their
``count`` is how many of the boxes and scores count (None: all).
"""

from __future__ import annotations

import math
from ctypes import Structure, c_float, c_int, c_int64, c_void_p
from dataclasses import dataclass

import numpy as np

from ..cuda.driver import address_of, blocks_for, launch
from ..cuda.memory import aligned, empty, zeros
from ..device import DeviceArray
from ..nms.cuda import OverlapRule

_RANK_THREADS, _CLASS_THREADS, _BEST_THREADS, _PLACE_THREADS = 256, 256, 1024, 256  # as in fast_nms.cu
_MOST_BLOCKS = 128  # of a launch that gives ranks; they take turns

Found = tuple[DeviceArray, DeviceArray, DeviceArray]
Queued = tuple[DeviceArray, DeviceArray, DeviceArray, DeviceArray]


class _ScoreColumns(Structure):
    _fields_ = (
        ("scores", c_void_p), ("known", c_void_p), ("room", c_int64), ("stride", c_int), ("classes", c_int),
        ("columns", c_void_p),
    )  # fmt: skip


def fast_nms(
    boxes: DeviceArray, scores: DeviceArray, *, max_iou: float, top_k: int, limit: int, min_score: float
) -> Found:
    """See :func:`vidgraph.kernels.fast_nms`."""
    return _read(queue_fast_nms(boxes, scores, max_iou=max_iou, top_k=top_k, limit=limit, min_score=min_score))


def traditional_nms(
    boxes: DeviceArray, scores: DeviceArray, *, max_iou: float, limit: int, min_score: float, size: tuple[int, int]
) -> Found:
    """See :func:`vidgraph.kernels.traditional_nms`."""
    return _read(queue_traditional_nms(boxes, scores, max_iou=max_iou, limit=limit, min_score=min_score, size=size))


def cross_class_fast_nms(
    boxes: DeviceArray, scores: DeviceArray, *, max_iou: float, top_k: int, limit: int, min_score: float
) -> Found:
    """See :func:`vidgraph.kernels.cross_class_fast_nms`."""
    found = queue_cross_class_fast_nms(boxes, scores, max_iou=max_iou, top_k=top_k, limit=limit, min_score=min_score)
    return _read(found)


def queue_fast_nms(
    boxes: DeviceArray,
    scores: DeviceArray,
    *,
    max_iou: float,
    top_k: int,
    limit: int,
    min_score: float,
    classes: DeviceArray | None = None,
    count: DeviceArray | None = None,
) -> Queued:
    """``classes``: int32 ``[C]``, columns of ``scores`` that take part, ties in their order; None: all."""
    rule = OverlapRule(max_iou, 0.0, inclusive=False, kept_only=False)
    group = _Group(boxes, rule, (1.0, 1.0), top_k, count)
    return _per_class(group, scores, limit, min_score, classes)


def queue_traditional_nms(
    boxes: DeviceArray,
    scores: DeviceArray,
    *,
    max_iou: float,
    limit: int,
    min_score: float,
    size: tuple[int, int],
    classes: DeviceArray | None = None,
    count: DeviceArray | None = None,
) -> Queued:
    """``classes``: as for :func:`queue_fast_nms`."""
    rule = OverlapRule(max_iou, 1.0, inclusive=True, kept_only=True)
    group = _Group(boxes, rule, (float(size[1]), float(size[0])), len(scores), count)
    return _per_class(group, scores, limit, min_score, classes)


def queue_cross_class_fast_nms(
    boxes: DeviceArray,
    scores: DeviceArray,
    *,
    max_iou: float,
    top_k: int,
    limit: int,
    min_score: float,
    classes: DeviceArray | None = None,
    count: DeviceArray | None = None,
) -> Queued:
    """``classes``: int32 ``[C]``, those that are given; all suppress; None: all are."""
    room, columns = scores.shape
    limit = min(limit, room)
    if scores.size == 0 or limit == 0:
        return _nothing(scores)
    device = scores.device
    ranks, class_of = empty((1, room), np.uint64, device), empty((room,), np.int32, device)
    launch(
        "fast_nms_row_ranks", device, _RANK_THREADS, min(blocks_for(room, _RANK_THREADS), _MOST_BLOCKS),
        scores, count, c_int64(room), c_int(columns), c_float(_floor(min_score)), ranks, class_of,
    )  # fmt: skip
    rule = OverlapRule(max_iou, 0.0, inclusive=False, kept_only=False)
    left, left_count = _Group(boxes, rule, (1.0, 1.0), top_k, count).suppressed(ranks, class_of, classes)
    return _in_order(left, left_count, room, limit, class_of, None)


def _floor(min_score: float) -> float:
    return min_score if min_score > 0 else -math.inf


def _read(found: Queued) -> Found:
    """The wait."""
    rows, class_ids, scores, count = found
    taken = int(count.to_host()[0]) if len(rows) else 0
    return rows[:taken], class_ids[:taken], scores[:taken]


def _nothing(scores: DeviceArray) -> Queued:
    rows, class_ids, best = (empty((0,), dtype, scores.device) for dtype in (np.int64, np.int32, np.float32))
    return rows, class_ids, best, zeros((1,), np.int32, scores.device)


@dataclass(frozen=True, slots=True)
class _Group:
    """Boxes that are suppressed in each class by itself."""

    boxes: DeviceArray
    rule: OverlapRule
    scale: tuple[float, float]
    top_k: int
    count: DeviceArray | None

    def suppressed(
        self, ranks: DeviceArray, class_of: DeviceArray | None, wanted: DeviceArray | None
    ) -> tuple[DeviceArray, DeviceArray]:
        """Of ranks uint64 ``[classes, room]``: those that are left, in no order, and how many they are."""
        (classes, room), device = ranks.shape, ranks.device
        limit = min(self.top_k, room)
        chosen, sorted_ranks = empty((classes, limit), np.uint64, device), empty((classes, limit), np.uint64, device)
        ordered, dropped = empty((classes, limit, 4), np.float32, device), empty((classes, limit), np.uint8, device)
        left, left_count = empty((classes * limit,), np.uint64, device), zeros((1,), np.int32, device)
        launch(
            "fast_nms_classes", device, _CLASS_THREADS, classes,
            ranks, self.count, c_int64(room), c_int(limit), aligned(self.boxes), *map(c_float, self.scale),
            self.rule, class_of, wanted, c_int(0 if wanted is None else len(wanted)),
            chosen, sorted_ranks, ordered, dropped, left, left_count,
        )  # fmt: skip
        return left, left_count


def _per_class(group: _Group, scores: DeviceArray, limit: int, min_score: float, columns: DeviceArray | None) -> Queued:
    room, stride = scores.shape
    classes = stride if columns is None else len(columns)
    limit = min(limit, room * classes)
    if limit == 0:
        return _nothing(scores)
    ranks = empty((classes, room), np.uint64, scores.device)
    known, places = (None if array is None else address_of(array) for array in (group.count, columns))
    table = _ScoreColumns(address_of(scores), known, room, stride, classes, places)
    launch(
        "fast_nms_ranks", scores.device, _RANK_THREADS, min(blocks_for(ranks.size, _RANK_THREADS), _MOST_BLOCKS),
        table, c_float(_floor(min_score)), ranks,
    )  # fmt: skip
    left, left_count = group.suppressed(ranks, None, None)
    return _in_order(left, left_count, room, limit, None, columns)


def _in_order(
    left: DeviceArray,
    left_count: DeviceArray,
    room: int,
    limit: int,
    class_of: DeviceArray | None,
    columns: DeviceArray | None,
) -> Queued:
    device, most = left.device, min(limit, left.size)
    best, found = empty((most,), np.uint64, device), empty((1,), np.int32, device)
    launch("fast_nms_best", device, _BEST_THREADS, 1, left, left_count, c_int64(most), best, found)
    rows, class_ids, scores = (empty((most,), dtype, device) for dtype in (np.int64, np.int32, np.float32))
    launch(
        "fast_nms_place", device, _PLACE_THREADS, blocks_for(most, _PLACE_THREADS),
        best, found, c_int64(room), class_of, columns, rows, class_ids, scores,
    )  # fmt: skip
    return rows, class_ids, scores, found
