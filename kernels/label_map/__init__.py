"""Which class every pixel of a frame belongs to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require_strided
from ..device import HOST
from ..scalars import check_extent, numbers, picture_size, shown, whole
from ..twins import twin

__all__ = ("label_map",)

Window = tuple[float, float, float, float]
"""(x1, y1, x2, y2), relative: 0 is the left or upper border, 1 the right or lower one."""

_FARTHEST = 1_000_000  # widths of the logits; what is farther away is a mistake


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
        first: the label of class 0; class c has ``first`` + c, an int32 for all of them.

    Returns:
        labels: int32 ``[H, W]``, owned; ties have the lowest class, and a pixel where no class has a number
            above -infinity has class 0.
        counts: int64 ``[C]``, owned, pixels of each class.

    Raises:
        ValueError: dtype, shape, memory or device of ``logits`` does not fit, or size or window is empty
            or absurdly large.

    Source: definition; bilinear positions as in torch's ``interpolate``.
    """
    owner = "label_map"
    device = require_strided(logits, f"{owner}: logits", np.float32, 3, "[C, h, w], none of them 0", least=1)
    check_extent(owner, "logits", *logits.shape[1:])
    height, width = picture_size(owner, "size", size)
    x1, y1, x2, y2 = numbers(owner, "window", window, 4)
    if not (-_FARTHEST <= x1 < x2 <= _FARTHEST and -_FARTHEST <= y1 < y2 <= _FARTHEST):
        raise ValueError(
            f"{owner}: window must be (x1, y1, x2, y2) with x1 < x2 and y1 < y2, all from -{_FARTHEST} to {_FARTHEST}, "
            f"got {shown(window)}"
        )
    first = whole(owner, "first", first, "must be at least -2^31", low=-(2**31), high=2**31 - len(logits))
    if device is not HOST:
        return twin(label_map, device)(logits, size=(height, width), window=(x1, y1, x2, y2), first=first)
    labels, counts = np.empty((height, width), np.int32), np.empty(len(logits), np.int64)
    _native.label_map(logits, (x1, y1, x2, y2), first, labels, counts)
    return labels, counts
