"""The best scores above a threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require_strided
from ..device import HOST, Device, Tensor
from ..scalars import number, whole
from ..twins import twin

__all__ = ("top_scores",)


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
        ValueError: dtype, shape or device of ``scores`` does not fit, ``limit`` is negative, or a number is none.

    Source: definition.
    """
    device, min_score, limit = checked(scores, min_score, limit)
    if device is not HOST:
        return twin(top_scores, device)(scores, min_score=min_score, limit=limit)
    found = np.empty(len(scores), np.int64)
    return found[: _native.top_scores(scores, min_score, limit, found)].copy()


def checked(scores: Tensor, min_score: float, limit: int) -> tuple[Device, float, int]:
    """Where ``scores`` lie, and the numbers; see :func:`top_scores`.

    Raises:
        ValueError: something does not fit.
    """
    device = require_strided(scores, "top_scores: scores", np.float32, 1, "[N]")
    least = number("top_scores", "min_score", min_score)
    return device, least, whole("top_scores", "limit", limit, "must not be negative", low=0)
