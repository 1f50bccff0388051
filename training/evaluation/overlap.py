"""Overlaps of boxes, and who is matched with whom by them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def box_iou(
    first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]], *, plus_one: float = 0.0
) -> NDArray[np.float64]:
    """Intersection over union, float64 [N, M], of boxes [N, 4] and [M, 4], (x1, y1, x2, y2).

    ``plus_one`` is added to every width and height: 1 for the convention of scripts that count both ends.
    """
    shared = box_intersection(first, second, plus_one=plus_one)
    union = _areas(first, plus_one)[:, None] + _areas(second, plus_one)[None] - shared
    overlap: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


def box_intersection(
    first: NDArray[np.floating[Any]], second: NDArray[np.floating[Any]], *, plus_one: float = 0.0
) -> NDArray[np.float64]:
    """Shared areas, float64 [N, M]; as for :func:`box_iou`."""
    a, b = first.astype(np.float64)[:, None], second.astype(np.float64)[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]) + plus_one
    shared: NDArray[np.float64] = np.maximum(sides, 0.0).prod(axis=-1)
    return shared


def _areas(boxes: NDArray[np.floating[Any]], plus_one: float) -> NDArray[np.float64]:
    areas: NDArray[np.float64] = (boxes[:, 2:].astype(np.float64) - boxes[:, :2] + plus_one).prod(axis=1)
    return areas


def greedy_match(overlaps: NDArray[np.float64], least: float) -> NDArray[np.int64]:
    """For each row of ``overlaps`` [N, M], the first one first: the free column it overlaps most, -1 for none.

    Args:
        least: what a pair must overlap by at least.
    """
    partners = np.full(len(overlaps), -1, np.int64)
    free = np.ones(overlaps.shape[1], np.bool_)
    for row, line in enumerate(overlaps):
        if not free.any():
            break
        best = int(np.where(free, line, -1.0).argmax())
        if line[best] >= least:
            partners[row], free[best] = best, False
    return partners
