"""Masks of objects from a small map for each: resized to the frame, and cut at a threshold.

Source: definition; positions as in torch's ``interpolate`` with ``align_corners=False``, and for maps of boxes as in
its ``grid_sample`` with zeros around them, as Mask R-CNN's code pastes them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ....kernels import label_map
from ....pipeline.types.masks import Masks
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from .boxes import Floats

_FARTHEST_PX = 1e7  # a box that reaches farther has cells larger than any frame
Crop = tuple[NDArray[np.int32], NDArray[np.bool_]]


def masks_of_input(maps: Floats, raw: RawOutputs, frame: Size, threshold: float) -> Masks:
    """Masks of maps float32 [N, h, w] that cover the whole input; see :func:`masks_above`."""
    corners = np.array([(0, 0, raw.size[1], raw.size[0])], np.float32)
    return masks_above(maps, raw.affine.boxes(corners).repeat(len(maps), axis=0), frame, threshold)


def masks_of_boxes(maps: Floats, boxes: Floats, frame: Size, threshold: float) -> Masks:
    """Masks of maps float32 [N, h, w] that each cover a box float32 [N, 4] of the frame; around them there is 0."""
    cells = np.array(maps.shape[:0:-1], np.float32)
    cell = (boxes[:, 2:] - boxes[:, :2]) / cells
    around = np.concatenate([boxes[:, :2] - cell, boxes[:, 2:] + cell], axis=1)
    return masks_above(np.pad(maps, ((0, 0), (1, 1), (1, 1))), around, frame, threshold)


def masks_above(maps: Floats, extents: Floats, frame: Size, threshold: float) -> Masks:
    """The pixels of a frame where maps, resized bilinearly, are above a threshold.

    Only what may be above it is resized, one map after another: nothing of the size of N frames is made.

    Args:
        maps: float32 [N, h, w]; what is no number is above nothing.
        extents: float32 [N, 4], (x1, y1, x2, y2), frame pixels: where each map lies; no mask is beyond it.
        frame: (height, width).
        threshold: of pixels of the mask, which are above it.
    """
    return Masks.from_crops(_crops(maps, extents, frame, threshold), frame)


def _crops(maps: Floats, extents: Floats, frame: Size, threshold: float) -> Iterator[Crop]:
    """The mask of each map within the tightest box around it."""
    nothing = np.zeros(4, np.int32), np.zeros((0, 0), np.bool_)
    for cells, extent in zip(maps, extents.astype(np.float64), strict=True):
        region = _region(cells > threshold, extent, frame)
        yield nothing if region is None else _cut(cells, extent, region, threshold) or nothing


def _region(above: NDArray[np.bool_], extent: NDArray[np.float64], frame: Size) -> tuple[int, int, int, int] | None:
    """The whole pixels (x1, y1, x2, y2) of a frame that one of the cells ``above`` [h, w] has a part in, or None."""
    first, last = [], []
    for axis, length in ((1, frame[1]), (0, frame[0])):
        low, high = extent[1 - axis], extent[3 - axis]
        taken = np.flatnonzero(above.any(axis=1 - axis))
        if not len(taken) or not 0 < high - low < _FARTHEST_PX:
            return None
        cell = (high - low) / above.shape[axis]
        start, end = low + (taken[0] - 0.5) * cell, low + (taken[-1] + 1.5) * cell
        start, end = max(start, low, 0.0), min(end, high, float(length))
        first.append(int(np.ceil(start - 0.5)))  # the first pixel whose centre is not before it
        last.append(int(np.floor(end - 0.5)) + 1)
    (x1, y1), (x2, y2) = first, last
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def _cut(
    cells: Floats, extent: NDArray[np.float64], region: tuple[int, int, int, int], threshold: float
) -> Crop | None:
    """The mask within ``region``, cut to the tightest box; None where it is empty."""
    x1, y1, x2, y2 = region
    origin, sides = np.tile(extent[:2], 2), np.tile(extent[2:] - extent[:2], 2)
    x_start, y_start, x_end, y_end = ((np.array(region) - origin) / sides).tolist()
    bound = np.full_like(cells, threshold)
    window = (x_start, y_start, x_end, y_end)
    mask = label_map(np.stack([bound, cells]), size=(y2 - y1, x2 - x1), window=window)[0].astype(np.bool_)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    top, left, bottom, right = int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
    box = np.array([x1 + left, y1 + top, x1 + right, y1 + bottom], np.int32)
    return box, mask[top:bottom, left:right]
