"""What ``label_map`` means, in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def label_map_reference(
    logits: NDArray[np.float32], size: tuple[int, int], window: tuple[float, float, float, float]
) -> NDArray[np.int32]:
    """The best class of each pixel; NaN and -infinity are never best."""
    with np.errstate(invalid="ignore", over="ignore"):
        wide = resized_reference(logits, size[1], 2, window[0], window[2])
        values = resized_reference(wide, size[0], 1, window[1], window[3])
    best = np.where(np.isnan(values), np.float32(-np.inf), values).argmax(axis=0)
    return np.asarray(best, np.int32)


def resized_reference(
    logits: NDArray[np.float32], pixels: int, axis: int, start: float, end: float
) -> NDArray[np.float32]:
    """Bilinear along one axis, in float32; ``start`` to ``end`` is the part that is seen, relative to the axis."""
    count = logits.shape[axis]
    scale, first = np.float32((end - start) * count / pixels), np.float32(start * count)
    at = scale * (np.arange(pixels, dtype=np.float32) + np.float32(0.5)) + first - np.float32(0.5)
    at = np.clip(at, np.float32(0), np.float32(count - 1))
    low = at.astype(np.int64)
    high_share = (at - low.astype(np.float32)).reshape([-1 if other == axis else 1 for other in range(logits.ndim)])
    low_share = np.float32(1) - high_share
    above = np.take(logits, np.minimum(low + 1, count - 1), axis=axis)
    return np.asarray(low_share * np.take(logits, low, axis=axis) + high_share * above, np.float32)
