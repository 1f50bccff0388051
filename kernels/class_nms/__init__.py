"""Greedy non-maximum suppression of boxes that have one class each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require
from ..device import HOST
from ..scalars import number, whole
from ..twins import twin

__all__ = ("class_nms",)


def class_nms(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[np.int32],
    *,
    max_iou: float,
    limit: int,
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression, each class for itself, and the best of all classes together.

    Overlaps are computed from the boxes as they are; they are not moved apart by class, so nothing is
    lost of their precision.

    Args:
        boxes: float32 ``[K, 4]``, (x1, y1, x2, y2) in any one unit. A box with a NaN coordinate
            overlaps nothing.
        scores: float32 ``[K]``; ties keep the lower row first, NaN is never kept.
        class_ids: int32 ``[K]``, any numbers.
        max_iou: boxes that overlap a kept one of their class by more than this number, rounded to
            float32, are dropped; in [0, 1]. The overlap is computed in float32.
        limit: how many rows are given at most; not negative.

    Returns:
        int64 ``[D]``, rows of the kept boxes, best first, owned.

    Raises:
        ValueError: a dtype, shape or device does not fit the above, or a number is out of range.

    Source: Felzenszwalb et al., PAMI 2010; class by class as in torchvision's ``batched_nms``.
    """
    device = require(scores, "class_nms: scores", np.float32, (None,))
    require(boxes, "class_nms: boxes", np.float32, (len(scores), 4), device)
    require(class_ids, "class_nms: class_ids", np.int32, (len(scores),), device)
    max_iou = number("class_nms", "max_iou", max_iou, "must be in [0, 1]", low=0.0, high=1.0)
    limit = whole("class_nms", "limit", limit, "must not be negative", low=0)
    if device is not HOST:
        return twin(class_nms, device)(boxes, scores, class_ids, max_iou=max_iou, limit=limit)
    kept = np.empty(min(limit, len(scores)), np.int64)
    return kept[: _native.class_nms(boxes, scores, class_ids, max_iou, len(kept), kept)].copy()
