"""What ``top_scores`` means, in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def top_scores_reference(scores: NDArray[np.float32], min_score: float, limit: int) -> NDArray[np.int64]:
    """Indices of the scores above ``min_score``, best first, at most ``limit``; NaN is above nothing."""
    order = np.argsort(-scores, kind="stable")
    return order[scores[order] > np.float32(min_score)][:limit].astype(np.int64)
