"""Masks as data sets of COCO's family write them: run lengths, compressed or not, and polygons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...pipeline.errors import MissingExtraError
from ...pipeline.masks import Masks


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
        if len(polygon) < 6 or len(polygon) % 2 or not all(isinstance(number, int | float) for number in polygon):
            raise ValueError(f"a polygon must be three or more pairs of numbers, got {str(polygon)[:60]}")
    try:
        from pycocotools import mask as coco
    except ImportError as error:
        raise MissingExtraError("filling polygons as COCO does", "eval") from error
    merged: Mapping[str, Any] = coco.merge(coco.frPyObjects(segmentation, *size))
    return merged
