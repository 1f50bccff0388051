"""Masks as data sets of COCO's family write them: run lengths, compressed or not, and polygons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from ...pipeline.errors import MissingExtraError
from ...pipeline.types.masks import Masks

_NUMBERS = {int, float}
_LONGEST_PX = 2**22
"""Of the outline of a polygon: pycocotools takes 80 bytes for each of its pixels."""


def enclosing(segmentation: Any) -> Any:
    """``segmentation`` without polygons of fewer than three points, which enclose nothing; None where nothing is left.

    Damage of other kinds is left for :func:`masks_of` to find.
    """
    if not isinstance(segmentation, list):
        return segmentation or None
    return [one for one in segmentation if not _is_line(one)] or None


def _is_line(polygon: Any) -> bool:
    return isinstance(polygon, list) and len(polygon) in (0, 2, 4) and set(map(type, polygon)) <= _NUMBERS


def masks_of(segmentations: Sequence[Any], size: tuple[int, int]) -> Masks:
    """Masks of a frame of ``size`` (height, width).

    Args:
        segmentations: for each object run lengths ``{"size", "counts"}``, or a list of polygons
            ``[[x1, y1, x2, y2, …], …]`` that are filled as pycocotools fills them, or None: no pixel.

    Raises:
        MissingExtraError: there are polygons, and pycocotools is not installed.
        ValueError: damaged, or of another size.
        TypeError: something else than the above.
    """
    return Masks.from_rles([_rle(segmentation, size) for segmentation in segmentations], size)


def _rle(segmentation: Any, size: tuple[int, int]) -> Mapping[str, Any]:
    if segmentation is None:
        return {"size": list(size), "counts": [size[0] * size[1]]}
    if isinstance(segmentation, Mapping):
        return segmentation
    if not isinstance(segmentation, list) or not all(isinstance(polygon, list) for polygon in segmentation):
        raise TypeError(f"a segmentation must be run lengths or polygons, got {str(segmentation)[:40]}")
    for polygon in segmentation:
        if len(polygon) < 6 or len(polygon) % 2 or not set(map(type, polygon)) <= _NUMBERS:
            raise ValueError(f"a polygon must be three or more pairs of numbers, got {str(polygon)[:60]}")
        _check_outline(polygon, size)
    try:
        from pycocotools import mask as coco
    except ImportError as error:
        raise MissingExtraError("filling polygons as COCO does", "eval") from error
    merged: Mapping[str, Any] = coco.merge(coco.frPyObjects(segmentation, *size))
    return merged


def _check_outline(polygon: Sequence[float], size: tuple[int, int]) -> None:
    """
    Raises:
        ValueError: filling it would take memory that nothing in a frame of ``size`` needs.
    """
    reach = 2 * max(size)  # what lies outside of the frame is cut off
    if min(polygon) < -reach or max(polygon) > reach or math.isnan(sum(polygon)):
        raise ValueError(f"a polygon reaches far out of the frame of {size[1]}x{size[0]}: {str(polygon)[:60]}")
    if len(polygon) * reach < _LONGEST_PX:
        return
    points = list(zip(polygon[::2], polygon[1::2], strict=True))
    sides = (max(abs(x - to_x), abs(y - to_y)) for (x, y), (to_x, to_y) in pairwise([*points, points[0]]))
    if sum(sides) > _LONGEST_PX:
        raise ValueError(f"a polygon of {len(points)} points has an outline of more than {_LONGEST_PX} pixels")
