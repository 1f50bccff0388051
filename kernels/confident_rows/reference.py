"""What ``confident_rows`` means, in plain NumPy, in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def softmax_reference(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Softmax along the rows; NaN throughout where it is not defined."""
    with np.errstate(invalid="ignore"):
        e = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
        softmax: NDArray[np.float64] = e / e.sum(axis=1, keepdims=True)
    return softmax


def confident_rows_reference(
    logits: NDArray[np.float32], min_score: float, limit: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows with a foreground softmax above ``min_score``, the ``limit`` best of them, ascending, and their softmax."""
    scores = softmax_reference(logits)[:, 1:]
    best = scores.max(axis=1)
    above = np.flatnonzero(best > np.float32(min_score))
    rows = np.sort(above[np.argsort(-best[above], kind="stable")][:limit])
    return rows.astype(np.int64), scores[rows]
