"""Which class every pixel of a frame belongs to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require_host

Window = tuple[float, float, float, float]
"""(x1, y1, x2, y2), relative: 0 is the left or upper border, 1 the right or lower one."""


def label_map(
    logits: NDArray[np.float32],
    *,
    size: tuple[int, int],
    window: Window = (0.0, 0.0, 1.0, 1.0),
    first: int = 0,
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Resize maps of logits to a frame and take the best class of each pixel, in one pass.

    The resized maps of all classes are never held. Bilinear without antialiasing, positions as torch's
    ``interpolate`` with ``align_corners=False``; beyond the outermost logits these count on.

    Args:
        logits: float32 ``[C, h, w]`` with any strides, for instance a view of ``[h, w, C]``. NaN, and a
            mixture with it by whatever share, is never best.
        size: (height, width) of the frame, pixels.
        window: the part of the logits that the frame covers, where the network's input was padded;
            relative to their width and height.
        first: the label of class 0; class c has ``first`` + c.

    Returns:
        labels: int32 ``[H, W]``, owned; ties have the lowest class, and a pixel where no class has a number
            above -infinity has class 0.
        counts: int64 ``[C]``, owned, pixels of each class.

    Raises:
        ValueError: dtype, shape, memory or device of ``logits`` does not fit, or size or window is empty.

    Source: definition; bilinear positions as in torch's ``interpolate``.
    """
    require_host(logits, "label_map: logits")
    if logits.dtype != np.float32 or logits.ndim != 3 or not logits.size:
        raise ValueError(
            f"label_map: logits must be float32 [C, h, w], none of them 0, got {logits.dtype} {list(logits.shape)}"
        )
    if any(stride % 4 for stride in logits.strides):
        raise ValueError(
            f"label_map: logits must lie at whole numbers, got strides {logits.strides};"
            " copy them with numpy.ascontiguousarray"
        )
    if min(size) < 1:
        raise ValueError(f"label_map: size must be (h, w) of at least one pixel, got {size}")
    x1, y1, x2, y2 = map(float, window)
    if not (-np.inf < x1 < x2 < np.inf and -np.inf < y1 < y2 < np.inf):
        raise ValueError(f"label_map: window must be (x1, y1, x2, y2) with x1 < x2 and y1 < y2, got {window}")
    labels, counts = np.empty(size, np.int32), np.empty(len(logits), np.int64)
    _native.label_map(logits, (x1, y1, x2, y2), first, labels, counts)
    return labels, counts
