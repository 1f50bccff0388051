"""What ``changed_blocks`` means, in plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP = 256  # of 8 bits


def changed_blocks_reference(
    current: NDArray[np.uint16], reference: NDArray[np.uint16], counted: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Light, then noise, then contrast, then neighbours; gains and offsets are rounded to 1/4096."""
    if not counted.any():
        return np.zeros_like(counted)
    now, before = current.astype(np.int64), reference.astype(np.int64)
    gain, offset = 4096, (_median((now - before)[counted], STEP // 2) + STEP // 4) * 4096
    for _ in range(2):
        gain, offset = _fit(now[counted], before[counted], gain, offset)
    left = np.abs(now * 4096 - offset - gain * before) // 4096
    threshold = min(max(9 * _median(left[counted], STEP // 16), 3 * STEP), 12 * STEP)
    around = _around(before, mode="edge")
    hot = counted & (left > threshold + (around.max(0) - around.min(0)) // 4)
    needed = min(3, int(counted.sum()))
    changed: NDArray[np.bool_] = hot & (_around(hot.astype(int), mode="constant").sum(0) >= needed)
    return changed


def _median(values: NDArray[np.int64], unit: int) -> int:
    """The lower median, cut to a multiple of ``unit``."""
    return int(np.sort(values)[(len(values) - 1) // 2]) // unit * unit


def _fit(now: NDArray[np.int64], before: NDArray[np.int64], gain: int, offset: int) -> tuple[int, int]:
    near = np.abs(now * 4096 - offset - gain * before) < 16 * STEP * 4096
    x, y, count = before[near], now[near], float(near.sum())
    if count < 16:
        return gain, offset
    sum_x, sum_y = float(x.sum()), float(y.sum())
    spread = count * float((x * x).sum()) - sum_x * sum_x
    slope = (count * float((x * y).sum()) - sum_x * sum_y) / spread if spread > 0 else 1.0
    gain = int(np.floor(min(max(slope, 0.5), 2.0) * 4096 + 0.5))
    return gain, int(np.floor((sum_y * 4096 - float(gain) * sum_x) / count + 0.5))


def _around(values: NDArray[np.int64], *, mode: Any) -> NDArray[np.int64]:
    """The nine values around each, [9, rows, columns]."""
    framed = np.pad(values, 1, mode=mode)
    rows, columns = values.shape
    return np.stack([framed[y : y + rows, x : x + columns] for y in range(3) for x in range(3)])
