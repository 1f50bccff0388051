"""Non-maximum suppression of many classes at once: the three kinds of YOLACT."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require
from ..device import HOST, Device
from ..scalars import UNLIMITED, number, shown, whole, wholes
from ..twins import twin

__all__ = ("cross_class_fast_nms", "fast_nms", "traditional_nms")

Found = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]

_SIZE = "must be (h, w) of at least one pixel"


def fast_nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    *,
    max_iou: float,
    top_k: int,
    limit: int,
    min_score: float = 0.0,
) -> Found:
    """Fast NMS: in each class a box is dropped that overlaps a better one, even if that one is dropped itself.

    In each class the ``top_k`` best boxes take part. The survivors of all classes together are sorted,
    and the ``limit`` best are given; so a box may be found in several classes.

    Args:
        boxes: float32 ``[K, 4]``, (x1, y1, x2, y2) in any one unit. A box with a NaN coordinate
            overlaps nothing.
        scores: float32 ``[K, C]``; ties keep the lower class, then the lower row first; NaN is never found.
        max_iou: boxes that overlap a better one by more than this number, rounded to float32, are
            dropped; in [0, 1].
        top_k: boxes per class, at least 1.
        limit: detections in all, not negative.
        min_score: detections must score more than this; at 0 or below, all count.

    Returns:
        rows: int64 ``[D]``, owned, into ``boxes``, best first.
        class_ids: int32 ``[D]``, owned, columns of ``scores``.
        scores: float32 ``[D]``, owned.

    Raises:
        ValueError: a dtype, shape or device does not fit the above, or a number is out of range.

    Source: Bolya et al., YOLACT, ICCV 2019, and its code.
    """
    owner = "fast_nms"
    device, numbers = _checked(owner, boxes, scores, max_iou, limit, min_score)
    top_k = _checked_top_k(owner, top_k)
    if device is not HOST:
        return twin(fast_nms, device)(boxes, scores, top_k=top_k, **numbers)
    return _suppress(boxes, scores, top_k, (False, False, False, False), **numbers)


def cross_class_fast_nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    *,
    max_iou: float,
    top_k: int,
    limit: int | None = None,
    min_score: float = 0.0,
) -> Found:
    """Fast NMS over all classes together: each box has its best class only, the first of equal ones.

    Args:
        boxes, scores, max_iou, min_score: as for :func:`fast_nms`; here ties keep the lower row first.
        top_k: boxes that take part, at least 1.
        limit: detections; None: as many as there are, up to ``top_k``, as in the published code.

    Returns:
        As :func:`fast_nms`.

    Raises:
        ValueError: as :func:`fast_nms`.

    Source: dbolya/yolact and haotian-liu/yolact_edge.
    """
    owner = "cross_class_fast_nms"
    top_k = _checked_top_k(owner, top_k)
    device, numbers = _checked(owner, boxes, scores, max_iou, top_k if limit is None else limit, min_score)
    if device is not HOST:
        return twin(cross_class_fast_nms, device)(boxes, scores, top_k=top_k, **numbers)
    return _suppress(boxes, scores, top_k, (False, False, False, True), **numbers)


def traditional_nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    *,
    max_iou: float,
    limit: int,
    min_score: float,
    size: tuple[int, int],
) -> Found:
    """Greedy NMS in each class by itself, in whole pixels of the network's input.

    Widths are x2 - x1 + 1, and an overlap of exactly ``max_iou`` is enough to be dropped.

    Args:
        boxes: float32 ``[K, 4]``, (x1, y1, x2, y2), relative to the input.
        scores, limit: as for :func:`fast_nms`.
        max_iou: boxes that overlap a kept one by this number, rounded to float32, or more are dropped;
            in [0, 1].
        min_score: only scores strictly greater than this number, rounded to float32, take part.
        size: (h, w) of the network's input, pixels.

    Returns:
        As :func:`fast_nms`.

    Raises:
        ValueError: as :func:`fast_nms`.

    Source: dbolya/yolact and haotian-liu/yolact_edge; widths as in py-faster-rcnn.
    """
    owner = "traditional_nms"
    device, numbers = _checked(owner, boxes, scores, max_iou, limit, min_score)
    height, width = wholes(owner, "size", size, _SIZE, 2)
    if height < 1 or width < 1:
        raise ValueError(f"{owner}: size {_SIZE}, got {shown(size)}")
    height, width = min(height, UNLIMITED), min(width, UNLIMITED)
    if device is not HOST:
        return twin(traditional_nms, device)(boxes, scores, size=(height, width), **numbers)
    with np.errstate(over="ignore"):  # a coordinate beyond all floats becomes infinity
        pixels = boxes * np.array([width, height, width, height], np.float32)
    return _suppress(pixels, scores, UNLIMITED, (True, True, True, False), **numbers)


def _checked(
    owner: str, boxes: NDArray[np.float32], scores: NDArray[np.float32], max_iou: float, limit: int, min_score: float
) -> tuple[Device, dict[str, Any]]:
    device = require(scores, f"{owner}: scores", np.float32, (None, None))
    require(boxes, f"{owner}: boxes", np.float32, (len(scores), 4), device)
    if scores.size >= 2**32:
        raise ValueError(f"{owner}: there must be less than 2^32 scores, got {scores.size}")
    return device, {
        "max_iou": number(owner, "max_iou", max_iou, "must be in [0, 1]", low=0.0, high=1.0),
        "limit": whole(owner, "limit", limit, "must not be negative", low=0),
        "min_score": number(owner, "min_score", min_score),
    }


def _checked_top_k(owner: str, top_k: int) -> int:
    return whole(owner, "top_k", top_k, "must be at least 1", low=1)


def _suppress(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    top_k: int,
    flags: tuple[bool, bool, bool, bool],
    *,
    max_iou: float,
    limit: int,
    min_score: float,
) -> Found:
    limit = min(limit, scores.size)
    rows, class_ids, best = np.empty(limit, np.int64), np.empty(limit, np.int32), np.empty(limit, np.float32)
    if limit:
        floor = min_score if min_score > 0 else -math.inf
        found = _native.fast_nms(boxes, scores, max_iou, top_k, limit, floor, flags, rows, class_ids, best)
        rows, class_ids, best = rows[:found].copy(), class_ids[:found].copy(), best[:found].copy()
    return rows, class_ids, best
