"""Areas of a picture in relative units, and which pixels they have: the same areas for every size of a camera."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..pipeline.errors import SourceError, UsageError
from ..pipeline.types.picture import Size

Polygon = Sequence[Sequence[float]]
"""Corners (x, y) in order, at least 3, from (0, 0) at the upper left to (1, 1) at the lower right of the picture."""
Area = str | os.PathLike[str] | Polygon
"""An image file, white where the area is, of whatever size; or a polygon."""

_ROUNDING = 1e-6  # pixels
_DARK = 16  # of 255: below it a pixel of an image file is outside


def check_polygon(corners: object) -> list[tuple[float, float]]:
    """The corners of a polygon.

    Raises:
        ValueError: fewer than 3 corners, or one that is no pair of numbers from 0 to 1.
    """
    if not isinstance(corners, Sequence) or isinstance(corners, str) or len(corners) < 3:
        raise ValueError("a polygon must be a list of at least 3 corners [x, y]")
    checked = []
    for corner in corners:
        pair = corner if isinstance(corner, Sequence) and not isinstance(corner, str) else ()
        numbers = [one for one in pair if isinstance(one, int | float) and not isinstance(one, bool)]
        if len(pair) != 2 or len(numbers) != 2 or not all(0 <= one <= 1 for one in numbers):
            raise ValueError(f"a corner must be [x, y] with numbers from 0 to 1, relative to the picture, got {corner}")
        checked.append((float(numbers[0]), float(numbers[1])))
    return checked


def contains(
    polygon: Sequence[tuple[float, float]], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether a polygon goes around points: bool of the shape that ``x`` and ``y`` have together.

    By the nonzero rule, so that what a polygon that crosses itself goes around twice is in it too.
    """
    turns = np.zeros(np.broadcast_shapes(x.shape, y.shape), np.int32)
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if y1 != y2:
            crossed = ((y1 > y) != (y2 > y)) & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
            turns += crossed if y1 < y2 else -crossed.astype(np.int32)
    inside: NDArray[np.bool_] = turns != 0
    return inside


def read_area(area: Area) -> NDArray[np.bool_] | list[tuple[float, float]]:
    """An area from what a user wrote: bool [h, w] of an image file, or the corners of a polygon.

    Raises:
        UsageError: the file is no image or wholly black, or the polygon is none.
    """
    if not isinstance(area, str | os.PathLike):
        try:
            return check_polygon(area)
        except ValueError as error:
            raise UsageError(str(error)) from error
    from .sources.images import read_image

    try:
        bright: NDArray[np.bool_] = read_image(Path(area)).rgb().max(axis=2) >= _DARK
    except SourceError as error:
        raise UsageError(f"a mask must be an image, white where it hides: {error}") from error
    if not bright.any():
        raise UsageError(f"the mask {os.fspath(area)} is black, so it hides nothing; paint white what it is to hide")
    return bright


def touched_pixels(areas: Sequence[NDArray[np.bool_] | list[tuple[float, float]]], size: Size) -> NDArray[np.bool_]:
    """The pixels of a picture that areas touch, be it at an edge: bool [h, w]. None is left out, a few are more."""
    touched = np.zeros(size, np.bool_)
    for area in areas:
        touched |= _scaled(area, size) if isinstance(area, np.ndarray) else _filled(area, size)
    return touched


def _scaled(area: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
    """A pixel is touched where any of the area's own pixels that lie over it is in the area."""
    for axis, length in enumerate(size):
        own = area.shape[axis]
        first = np.arange(length) * own // length
        last = -(-(np.arange(length) + 1) * own // length)
        sums = np.concatenate([np.zeros((1, *np.moveaxis(area, axis, 0).shape[1:]), np.int64),
                               np.cumsum(np.moveaxis(area, axis, 0), axis=0)])  # fmt: skip
        area = np.moveaxis(sums[last] > sums[first], 0, axis)
    return area


def _filled(polygon: list[tuple[float, float]], size: Size) -> NDArray[np.bool_]:
    """A pixel is touched where its middle is in the polygon, or a side of the polygon goes through it."""
    height, width = size
    corners = [(x * width, y * height) for x, y in polygon]
    middles = np.arange(max(size), dtype=np.float64) + 0.5
    touched = contains(corners, middles[None, :width], middles[:height, None])
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        top = np.arange(height)
        low, high = np.clip(top, min(y1, y2), max(y1, y2)), np.clip(top + 1, min(y1, y2), max(y1, y2))
        slope = (x2 - x1) / (y2 - y1) if y1 != y2 else 0.0
        ends = np.stack([x1 + slope * (low - y1), x1 + slope * (high - y1)]) if slope else np.array([[x1], [x2]])
        left, right = ends.min(axis=0) - _ROUNDING, ends.max(axis=0) + _ROUNDING
        within = (top + 1 >= min(y1, y2)) & (top <= max(y1, y2))
        column = np.arange(width)[None]
        touched |= within[:, None] & (column + 1 >= left[:, None]) & (column <= right[:, None])
    return touched
