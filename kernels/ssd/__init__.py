"""SSD anchors, and boxes and points decoded from offsets to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import _native
from ..arrays import require
from ..device import HOST
from ..scalars import LARGEST_SIDE_PX, number, numbers, picture_size, shown, wholes
from ..twins import twin

__all__ = ("decode_boxes", "decode_points", "ssd_priors")

_MOST_PRIORS = 2**31 - 1


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
    owner = "ssd_priors"
    height, width = picture_size(owner, "size", size)
    try:
        steps, levels = list(strides), [list(sides) for sides in min_sizes]
    except TypeError:
        raise ValueError(
            f"{owner}: strides must be numbers and min_sizes lists of them, got {shown(strides)} and {shown(min_sizes)}"
        ) from None
    if len(steps) != len(levels):
        raise ValueError(
            f"{owner}: strides and min_sizes must have one entry per level, got {len(steps)} and {len(levels)}"
        )
    anchors = [list(numbers(owner, "min_sizes", sides, len(sides))) for sides in levels]
    if not all(side > 0 for sides in anchors for side in sides):
        raise ValueError(f"{owner}: min_sizes must be positive, got {shown(anchors)}")
    steps = list(wholes(owner, "strides", steps, "must be positive", len(steps)))
    if not all(1 <= step <= LARGEST_SIDE_PX for step in steps):
        rule = "positive" if min(steps) < 1 else f"at most {LARGEST_SIDE_PX}"
        raise ValueError(f"{owner}: strides must be {rule}, got {shown(steps)}")
    count = sum(-(-height // step) * -(-width // step) * len(sides) for step, sides in zip(steps, anchors, strict=True))
    if count > _MOST_PRIORS:
        raise ValueError(f"{owner}: there must be at most {_MOST_PRIORS} priors, got {count}")
    priors = np.empty((count, 4), np.float32)
    _native.ssd_priors(height, width, steps, anchors, priors)
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
    device = require(priors, "decode_boxes: priors", np.float32, (None, 4))
    require(loc, "decode_boxes: loc", np.float32, priors.shape, device)
    centre, extent = numbers("decode_boxes", "variances", variances, 2)
    if device is not HOST:
        return twin(decode_boxes, device)(loc, priors, variances=(centre, extent))
    boxes = np.empty(priors.shape, np.float32)
    _native.decode_boxes(loc, priors, centre, extent, boxes)
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
    device = require(priors, "decode_points: priors", np.float32, (None, 4))
    pairs = getattr(raw, "ndim", 2) == 3
    shape = (len(priors), None, 2) if pairs else (len(priors), None)
    require(raw, "decode_points: raw", np.float32, shape, device)
    if not pairs and raw.shape[1] % 2:
        raise ValueError(f"decode_points: raw must have an even number of columns, got {raw.shape[1]}")
    variance = number("decode_points", "variance", variance)
    if device is not HOST:
        return twin(decode_points, device)(raw, priors, variance=variance)
    points = np.empty((len(priors), raw.shape[1] // (1 if pairs else 2), 2), np.float32)
    _native.decode_points(raw, priors, variance, points)
    return points
