"""The rows of a table of scores in which some class is confident, and which class that is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import place_of, require_strided
from ..device import HOST, Device, Tensor
from ..scalars import flag, number
from ..twins import twin

__all__ = ("best_classes",)


def best_classes(
    scores: NDArray[np.float32],
    *,
    min_score: float,
    objectness: NDArray[np.float32] | None = None,
    sigmoid: bool = False,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """The best class of each row, and the rows whose score is above a threshold.

    One pass over memory, without a copy, for a table as the network wrote it: ``[A, 5 + C]`` with the numbers
    of a row adjacent, or the transposed view of ``[C, A]``.

    Args:
        scores: float32 ``[A, C]`` of any strides, C >= 1: a row for each box, a column for each class.
        min_score: a row is kept where its score is strictly greater than this number, rounded to float32.
        objectness: float32 ``[A]`` of any stride, a factor of each row's score; None for none. It is used as
            it is, also with ``sigmoid``.
        sigmoid: ``scores`` are logits: a row's score is the sigmoid of its best one.

    Returns:
        rows: int64 ``[K]``, ascending. A row with a NaN, in ``objectness`` too, is never kept.
        class_ids: int32 ``[K]``, the column of the greatest number of ``scores`` in each of these rows; ties
            go to the lowest.
        scores: float32 ``[K]``: that number, its sigmoid where asked for, times the objectness.
        All owned. Without ``sigmoid`` they are exact; the sigmoid is within 5e-7 of the exact value relatively
        (below 1e-37: within 1e-37), and a row that near to ``min_score`` may fall on either side, on the same
        one for every instruction set and every memory layout.

    Raises:
        ValueError: dtype, shape, memory layout or device of an array does not fit, or ``min_score`` is no number.

    Source: definition.
    """
    device, min_score, sigmoid = checked(scores, min_score, objectness, sigmoid)
    if device is not HOST:
        return twin(best_classes, device)(scores, min_score=min_score, objectness=objectness, sigmoid=sigmoid)
    count = len(scores)
    rows, class_ids, kept = np.empty(count, np.int64), np.empty(count, np.int32), np.empty(count, np.float32)
    found = _native.best_classes(scores, objectness, min_score, sigmoid, rows, class_ids, kept)
    return rows[:found].copy(), class_ids[:found].copy(), kept[:found].copy()


def checked(scores: Tensor, min_score: float, objectness: Tensor | None, sigmoid: bool) -> tuple[Device, float, bool]:
    """Where ``scores`` lie, the number and the flag; see :func:`best_classes`.

    Raises:
        ValueError: something does not fit.
    """
    device = _check("scores", scores, 2)
    if scores.shape[1] < 1:
        raise ValueError(f"best_classes: scores must have at least one class, got {list(scores.shape)}")
    if objectness is not None:
        _check("objectness", objectness, 1, device)
        if len(objectness) != len(scores):
            raise ValueError(
                f"best_classes: objectness must have the {len(scores)} rows of scores, got {len(objectness)}"
            )
    return device, number("best_classes", "min_score", min_score), flag("best_classes", "sigmoid", sigmoid)


def _check(what: str, array: Tensor, dimensions: int, device: Device | None = None) -> Device:
    place_of(array, f"best_classes: {what}", device)
    if array.dtype == np.float32 and any(stride % 4 for stride in array.strides):
        raise ValueError(
            f"best_classes: strides of {what} must be whole numbers, got {array.strides} bytes;"
            " copy it with numpy.ascontiguousarray"
        )
    wanted = "[A, C]" if dimensions == 2 else "[A]"
    return require_strided(array, f"best_classes: {what}", np.float32, dimensions, wanted, device)
