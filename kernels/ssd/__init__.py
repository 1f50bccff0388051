"""SSD anchors, and boxes and points decoded from offsets to them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require


def ssd_priors(
    size: tuple[int, int], *, strides: Sequence[int], min_sizes: Sequence[Sequence[float]]
) -> NDArray[np.float32]:
    """The anchors of an SSD-style detector for one input size.

    Args:
        size: (h, w) of the network's input, pixels.
        strides: input pixels per cell, one per level; a level's map has ceil(size / stride) cells.
        min_sizes: sides of the square anchors of a cell, pixels, one sequence per level.

    Returns:
        float32 ``[N, 4]``, (cx, cy, w, h) in units of the input's width and height, ordered by
        (level, y, x, anchor). Computed in float64 and rounded once.

    Raises:
        ValueError: a size, stride or anchor is not positive, or the numbers of levels differ.

    Source: Liu et al., SSD, ECCV 2016; order and arithmetic as in biubug6/Pytorch_Retinaface.
    """
    height, width = size
    if height < 1 or width < 1:
        raise ValueError(f"ssd_priors: size must be (h, w) of at least one pixel, got {size}")
    if len(strides) != len(min_sizes):
        raise ValueError(
            f"ssd_priors: strides and min_sizes must have one entry per level, got {len(strides)} and {len(min_sizes)}"
        )
    if not all(stride > 0 for stride in strides):
        raise ValueError(f"ssd_priors: strides must be positive, got {list(strides)}")
    anchors = [[float(side) for side in sides] for sides in min_sizes]
    if not all(math.isfinite(side) and side > 0 for sides in anchors for side in sides):
        raise ValueError(f"ssd_priors: min_sizes must be positive, got {anchors}")
    cells = [math.ceil(height / stride) * math.ceil(width / stride) for stride in strides]
    count = sum(cell * len(sides) for cell, sides in zip(cells, anchors, strict=True))
    priors = np.empty((count, 4), np.float32)
    _native.ssd_priors(height, width, [int(stride) for stride in strides], anchors, priors)
    return priors


def decode_boxes(
    loc: NDArray[np.float32], priors: NDArray[np.float32], *, variances: tuple[float, float] = (0.1, 0.2)
) -> NDArray[np.float32]:
    """Boxes from offsets to anchors.

    Centre = prior + loc * variance * prior size; size = prior size * exp(loc * variance). NaN and
    infinity in ``loc`` go through to the box.

    Args:
        loc: float32 ``[N, 4]``, (dx, dy, dw, dh) as the network gives them.
        priors: float32 ``[N, 4]``, (cx, cy, w, h) as :func:`ssd_priors` gives them.
        variances: of the centre and of the size.

    Returns:
        float32 ``[N, 4]``, (x1, y1, x2, y2) in the units of ``priors``, not clipped.

    Raises:
        ValueError: a dtype, shape or memory layout does not fit the above.

    Source: Liu et al., SSD, ECCV 2016; arithmetic as in biubug6/Pytorch_Retinaface.
    """
    require(priors, "decode_boxes: priors", np.float32, (None, 4))
    require(loc, "decode_boxes: loc", np.float32, priors.shape)
    boxes = np.empty_like(priors)
    _native.decode_boxes(loc, priors, float(variances[0]), float(variances[1]), boxes)
    return boxes


def decode_points(
    raw: NDArray[np.float32], priors: NDArray[np.float32], *, variance: float = 0.1
) -> NDArray[np.float32]:
    """Points from offsets to anchors: prior centre + raw * variance * prior size.

    Args:
        raw: float32 ``[N, K, 2]`` or ``[N, 2 * K]``, (dx, dy) as the network gives them.
        priors: float32 ``[N, 4]``, (cx, cy, w, h) as :func:`ssd_priors` gives them.
        variance: of the offsets.

    Returns:
        float32 ``[N, K, 2]``, (x, y) in the units of ``priors``, not clipped.

    Raises:
        ValueError: a dtype, shape or memory layout does not fit the above.

    Source: arithmetic as in biubug6/Pytorch_Retinaface.
    """
    require(priors, "decode_points: priors", np.float32, (None, 4))
    pairs = getattr(raw, "ndim", 2) == 3
    require(raw, "decode_points: raw", np.float32, (len(priors), None, 2) if pairs else (len(priors), None))
    if not pairs and raw.shape[1] % 2:
        raise ValueError(f"decode_points: raw must have an even number of columns, got {raw.shape[1]}")
    points = np.empty((len(priors), raw.shape[1] // (1 if pairs else 2), 2), np.float32)
    _native.decode_points(raw, priors, float(variance), points)
    return points
