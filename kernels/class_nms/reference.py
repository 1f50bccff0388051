"""What ``class_nms`` means, in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def class_nms_reference(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    class_ids: NDArray[np.int32],
    max_iou: float,
    limit: int,
) -> NDArray[np.int64]:
    """Take the best box that is left, drop those of its class that overlap it."""
    order = np.argsort(-scores, kind="stable")
    left = order[~np.isnan(scores[order])]
    kept: list[int] = []
    while len(left) and len(kept) < limit:
        best, left = int(left[0]), left[1:]
        kept.append(best)
        overlaps = overlaps_with_reference(boxes[best], boxes[left])
        left = left[(class_ids[left] != class_ids[best]) | (overlaps <= np.float32(max_iou))]
    return np.array(kept, np.int64)


def overlaps_with_reference(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Jaccard index of one box and each of others, [N], in float32; 0 where a coordinate is NaN."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    shared = np.where((sides > 0).all(axis=1), sides[:, 0] * sides[:, 1], np.float32(0))
    area = (box[2] - box[0]) * (box[3] - box[1])
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    with np.errstate(invalid="ignore", divide="ignore"):
        overlaps = np.where(shared > 0, shared / (area + areas - shared), np.float32(0))
    return np.nan_to_num(overlaps.astype(np.float32), nan=0.0)
