"""The rows of a table of logits in which some class is confident."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require_strided
from ..device import HOST, Device, Tensor
from ..scalars import number, whole
from ..twins import twin

__all__ = ("confident_rows",)


def confident_rows(
    logits: NDArray[np.float32], *, min_score: float, limit: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Softmax, threshold and top-k in one: the rows whose best foreground class is above a threshold.

    Most rows are background, and are left after one comparison for each class.

    Args:
        logits: float32 ``[P, C]``, C >= 2, raw outputs of the network, the background in column 0. Rows
            may be strided, the C numbers of a row are adjacent. A row with a NaN or +infinity is above
            nothing.
        min_score: the best softmax of a foreground class must be strictly greater than this number,
            rounded to float32.
        limit: how many rows are given at most, those with the best best scores; ties keep the lower
            index. Not negative.

    Returns:
        rows: int64 ``[K]``, ascending, owned.
        scores: float32 ``[K, C - 1]``, the softmax (over all C) of the foreground classes of these rows,
            owned. Within 5e-7 of the exact values relatively (below 1e-37: within 1e-37); a row whose
            exact best score is that near to ``min_score`` may fall on either side, on the same one for
            every instruction set.

    Raises:
        ValueError: dtype, shape, memory layout or device of ``logits`` does not fit, ``limit`` is negative,
            or a number is none.

    Source: definition; softmax with the background included as in Bolya et al., YOLACT, ICCV 2019.
    """
    device, min_score, limit = checked(logits, min_score, limit)
    if device is not HOST:
        return twin(confident_rows, device)(logits, min_score=min_score, limit=limit)
    classes = logits.shape[1] - 1
    rows, scores = np.empty(len(logits), np.int64), np.empty((len(logits), classes), np.float32)
    found = _native.confident_rows(logits, min_score, limit, rows, scores)
    scores.resize((found, classes), refcheck=False)  # memory that was never written costs nothing
    return rows[:found].copy(), scores


def checked(logits: Tensor, min_score: float, limit: int) -> tuple[Device, float, int]:
    """Where ``logits`` lie, and the numbers; see :func:`confident_rows`.

    Raises:
        ValueError: something does not fit.
    """
    device = require_strided(logits, "confident_rows: logits", np.float32, 2, "[P, C] with C >= 2")
    if logits.shape[1] < 2:
        raise ValueError(f"confident_rows: logits must have C >= 2 columns, got float32 {list(logits.shape)}")
    if logits.size and (logits.strides[1] != 4 or logits.strides[0] % 4):
        raise ValueError(
            f"confident_rows: the numbers of a row must be adjacent, got strides {logits.strides};"
            " copy it with numpy.ascontiguousarray"
        )
    least = number("confident_rows", "min_score", min_score)
    return device, least, whole("confident_rows", "limit", limit, "must not be negative", low=0)
