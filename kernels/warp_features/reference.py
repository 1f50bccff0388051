"""What ``warp_features`` means, in plain NumPy: normalised coordinates, in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def warp_features_reference(
    feature: NDArray[np.float32],
    flow: NDArray[np.float32],
    scale: NDArray[np.float32] | None = None,
    bias: NDArray[np.float32] | None = None,
) -> NDArray[np.float64]:
    """A grid from -1 to 1, an eighth of the flow added, sampled between pixels of a map framed by zeros."""
    channels, height, width = feature.shape
    framed = np.zeros((channels, height + 2, width + 2))
    framed[:, 1:-1, 1:-1] = feature
    at = []
    for axis, size in ((1, height), (0, width)):
        grid = np.linspace(-1, 1, size) if size > 1 else np.zeros(1)
        grid = grid[:, None] if axis else grid[None, :]
        with np.errstate(invalid="ignore"):
            position = (grid + flow[axis].astype(np.float64) / 8 + 1) / 2 * (size - 1)
        at.append(np.where((position > -1) & (position < size), position, -1))  # -1: in the frame of zeros
    whole = [np.floor(position).astype(int) for position in at]
    share = [position - floor for position, floor in zip(at, whole, strict=True)]
    warped = np.zeros(feature.shape)
    for dy in (0, 1):
        for dx in (0, 1):
            weight = (share[0] if dy else 1 - share[0]) * (share[1] if dx else 1 - share[1])
            y, x = np.minimum(whole[0] + 1 + dy, height + 1), np.minimum(whole[1] + 1 + dx, width + 1)
            warped += weight * framed[:, y, x]
    return warped * (1 if scale is None else scale) + (0 if bias is None else bias)
