"""What ``best_classes`` means, in plain NumPy, in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def best_classes_reference(
    scores: NDArray[np.float32], min_score: float, objectness: NDArray[np.float32] | None, sigmoid: bool
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]:
    """Rows without NaN whose score is above ``min_score``, their classes and scores."""
    best = scores.max(axis=1).astype(np.float64)  # NaN where one is among them
    if sigmoid:
        with np.errstate(over="ignore"):
            best = 1 / (1 + np.exp(-best))
    if objectness is not None:
        with np.errstate(invalid="ignore"):
            best = best * objectness
    rows = np.flatnonzero(best > np.float32(min_score))
    return rows.astype(np.int64), scores[rows].argmax(axis=1).astype(np.int32), best[rows]
