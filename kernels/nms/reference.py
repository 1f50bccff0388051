"""What ``nms`` means, in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def iou_reference(a: NDArray[np.float32], b: NDArray[np.float32], plus_one: np.float32) -> np.float32:
    """Jaccard index of two boxes; 0 where they do not overlap or a coordinate is NaN."""
    if np.isnan(a).any() or np.isnan(b).any():
        return np.float32(0)
    width = min(a[2], b[2]) - max(a[0], b[0]) + plus_one
    height = min(a[3], b[3]) - max(a[1], b[1]) + plus_one
    if not (width > 0 and height > 0):
        return np.float32(0)
    area_a = (a[2] - a[0] + plus_one) * (a[3] - a[1] + plus_one)
    area_b = (b[2] - b[0] + plus_one) * (b[3] - b[1] + plus_one)
    return np.float32(width * height / (area_a + area_b - width * height))


def nms_reference(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], max_iou: float, legacy: bool = False
) -> NDArray[np.int64]:
    """Best first, keep what overlaps no kept box by more than ``max_iou``; a NaN score comes last."""
    plus_one, limit = np.float32(1 if legacy else 0), np.float32(max_iou)
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable"):
        if all(not iou_reference(boxes[k], boxes[index], plus_one) > limit for k in kept):
            kept.append(int(index))
    return np.array(kept, np.int64)
