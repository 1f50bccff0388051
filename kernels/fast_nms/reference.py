"""What the three suppressions mean, in plain NumPy: matrices of overlaps and loops over classes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Found = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]


def overlaps_reference(boxes: NDArray[np.float32], plus_one: float) -> NDArray[np.float32]:
    """Jaccard index of every pair, float32 ``[N, N]``; 0 where there is none."""
    one = np.float32(plus_one)
    low, high = np.maximum(boxes[:, None, :2], boxes[None, :, :2]), np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    sides = high - low + one
    shared = np.where((sides > 0).all(axis=2), sides[:, :, 0] * sides[:, :, 1], 0)
    areas = (boxes[:, 2] - boxes[:, 0] + one) * (boxes[:, 3] - boxes[:, 1] + one)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(shared > 0, shared / (areas[:, None] + areas[None, :] - shared), 0).astype(np.float32)


def best_first(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Order of falling score, equal ones as they come, NaN left out."""
    order = np.argsort(-scores, kind="stable")
    return order[~np.isnan(scores[order])]


def surviving_reference(boxes: NDArray[np.float32], max_iou: float) -> NDArray[np.bool_]:
    """Which boxes, sorted best first, no better one overlaps by more than ``max_iou``."""
    pairs = np.triu(overlaps_reference(boxes, 0.0), k=1)
    return np.asarray(pairs.max(axis=0, initial=0) <= np.float32(max_iou))


def fast_nms_reference(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    max_iou: float,
    top_k: int,
    limit: int,
    min_score: float = 0.0,
) -> Found:
    """Class by class, then the best of all classes."""
    rows: list[int] = []
    classes: list[int] = []
    for class_id in range(scores.shape[1]):
        order = best_first(scores[:, class_id])[:top_k]
        kept = order[surviving_reference(boxes[order], max_iou)]
        rows += kept.tolist()
        classes += [class_id] * len(kept)
    return _best(scores, rows, classes, limit, min_score)


def cross_class_fast_nms_reference(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], max_iou: float, top_k: int, min_score: float = 0.0
) -> Found:
    """The best class of each box, then one matrix for all."""
    classes = scores.argmax(axis=1)
    order = best_first(scores.max(axis=1))[:top_k]
    kept = order[surviving_reference(boxes[order], max_iou)]
    return _best(scores, kept.tolist(), classes[kept].tolist(), len(kept), min_score)


def traditional_nms_reference(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    max_iou: float,
    limit: int,
    min_score: float,
    size: tuple[int, int],
) -> Found:
    """Class by class: take the best box that is left, drop what overlaps it."""
    height, width = size
    pairs = overlaps_reference(boxes * np.array([width, height, width, height], np.float32), 1.0)
    rows: list[int] = []
    classes: list[int] = []
    for class_id in range(scores.shape[1]):
        left = best_first(scores[:, class_id])
        left = left[scores[left, class_id] > np.float32(min_score)]
        while len(left):
            rows.append(int(left[0]))
            classes.append(class_id)
            left = left[1:][pairs[left[0], left[1:]] < np.float32(max_iou)]
    return _best(scores, rows, classes, limit, min_score)


def _best(scores: NDArray[np.float32], rows: list[int], classes: list[int], limit: int, min_score: float) -> Found:
    found_rows, found_classes = np.array(rows, np.int64), np.array(classes, np.int32)
    values = scores[found_rows, found_classes].astype(np.float32)
    order = np.argsort(-values, kind="stable")
    if min_score > 0:
        order = order[values[order] > np.float32(min_score)]
    order = order[:limit]
    return found_rows[order], found_classes[order], values[order]
