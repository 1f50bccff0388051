"""Greedy non-maximum suppression."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require
from ..device import HOST
from ..scalars import flag, number
from ..twins import twin

__all__ = ("nms",)


def nms(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], *, max_iou: float, legacy: bool = False
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression of one class.

    Args:
        boxes: float32 ``[N, 4]``, (x1, y1, x2, y2) in any one unit. A box with a NaN coordinate
            overlaps nothing.
        scores: float32 ``[N]``; ties keep the lower index first, NaN comes last.
        max_iou: boxes that overlap a kept one by more than this number, rounded to float32, are
            dropped; in [0, 1].
        legacy: widths are x2 - x1 + 1, as in py-faster-rcnn.

    Returns:
        int64 ``[M]``, indices of the kept boxes, best first, owned.

    Raises:
        ValueError: a dtype, shape or device does not fit the above, or ``max_iou`` is outside [0, 1].

    Source: Felzenszwalb et al., PAMI 2010; the legacy rule as in py-faster-rcnn.
    """
    device = require(scores, "nms: scores", np.float32, (None,))
    require(boxes, "nms: boxes", np.float32, (len(scores), 4), device)
    max_iou = number("nms", "max_iou", max_iou, "must be in [0, 1]", low=0.0, high=1.0)
    legacy = flag("nms", "legacy", legacy)
    if device is not HOST:
        return twin(nms, device)(boxes, scores, max_iou=max_iou, legacy=legacy)
    kept = np.empty(len(scores), np.int64)
    return kept[: _native.nms(boxes, scores, max_iou, legacy, kept)].copy()
