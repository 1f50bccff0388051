"""The best scores above a threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require_host


def top_scores(scores: NDArray[np.float32], *, min_score: float, limit: int) -> NDArray[np.int64]:
    """Indices of the scores above a threshold, best first.

    Args:
        scores: float32 ``[N]``; any stride, so that a column of a table needs no copy. NaN is above
            nothing; ties keep the lower index first.
        min_score: scores must be strictly greater than this number, rounded to float32.
        limit: how many indices are given at most; not negative.

    Returns:
        int64 ``[M]``, M <= limit, owned.

    Raises:
        ValueError: dtype, shape or device of ``scores`` does not fit, or ``limit`` is negative.

    Source: definition.
    """
    require_host(scores, "top_scores: scores")
    if scores.dtype != np.float32 or scores.ndim != 1:
        raise ValueError(f"top_scores: scores must be float32 [N], got {scores.dtype} {list(scores.shape)}")
    if limit < 0:
        raise ValueError(f"top_scores: limit must not be negative, got {limit}")
    found = np.empty(len(scores), np.int64)
    return found[: _native.top_scores(scores, float(min_score), limit, found)].copy()
