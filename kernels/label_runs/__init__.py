"""Runs of equal labels in a map, in the order of COCO's run lengths."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require
from ..device import HOST
from ..twins import twin

__all__ = ("label_runs",)


def label_runs(labels: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The runs of equal labels down the columns, from left to right.

    A run goes on from the foot of a column to the top of the next one where the label is the same.

    Args:
        labels: int32 ``[H, W]``, any numbers.

    Returns:
        run labels: int32 ``[R]``; neighbours differ.
        lengths: int64 ``[R]``, pixels; they add up to H * W. Without pixels there are no runs.

    Raises:
        ValueError: a dtype, shape or device does not fit the above.

    Source: definition.
    """
    device = require(labels, "label_runs: labels", np.int32, (None, None))
    if device is not HOST:
        return twin(label_runs, device)(labels)
    if not labels.size:
        return np.zeros(0, np.int32), np.zeros(0, np.int64)
    counts = np.empty(labels.shape[1], np.int64)
    _native.count_label_runs(labels, counts)
    ends = np.cumsum(counts)
    starts, values = np.empty(ends[-1], np.int64), np.empty(ends[-1], np.int32)
    _native.list_label_runs(labels, ends - counts, starts, values)
    return values, np.diff(starts, append=labels.size)
