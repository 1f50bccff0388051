"""What ``ssd_priors``, ``decode_boxes`` and ``decode_points`` mean, in plain NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def ssd_priors_reference(
    size: tuple[int, int], strides: Sequence[int], min_sizes: Sequence[Sequence[float]]
) -> NDArray[np.float32]:
    """Anchors (cx, cy, w, h), computed as Python floats and rounded once."""
    height, width = size
    rows = [
        ((x + 0.5) * stride / width, (y + 0.5) * stride / height, anchor / width, anchor / height)
        for stride, anchors in zip(strides, min_sizes, strict=True)
        for y in range(-(-height // stride))
        for x in range(-(-width // stride))
        for anchor in anchors
    ]
    return np.array(rows, np.float32).reshape(-1, 4)


def decode_boxes_reference(
    loc: NDArray[np.float32], priors: NDArray[np.float32], variances: tuple[float, float]
) -> NDArray[np.float32]:
    """Centre and size from offsets to the priors, then corners."""
    centres = priors[:, :2] + loc[:, :2] * np.float32(variances[0]) * priors[:, 2:]
    sizes = priors[:, 2:] * np.exp((loc[:, 2:] * np.float32(variances[1])).astype(np.float64)).astype(np.float32)
    corners = centres - sizes / 2
    return np.concatenate([corners, corners + sizes], axis=1)


def decode_points_reference(
    raw: NDArray[np.float32], priors: NDArray[np.float32], variance: float
) -> NDArray[np.float32]:
    """Points from offsets to the prior's centre, in units of its size."""
    points = raw if raw.ndim == 3 else raw.reshape(len(raw), raw.shape[1] // 2, 2)
    return priors[:, None, :2] + points * np.float32(variance) * priors[:, None, 2:]
