"""A colour behind what a matte leaves of a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...kernels import PIXEL_FORMATS
from .canvas import Canvas

_LEVELS = 32
"""Of transparency, where planes lie on a device."""


def draw_behind(canvas: Canvas, alpha: NDArray[np.uint8], color: tuple[int, int, int]) -> None:
    """Blend every pixel with ``color``, RGB, by its ``alpha`` [H, W]: 255 leaves it, 0 is the colour alone.

    A chroma sample is blended by the mean of the pixels it stands for. On a device, one layer for each of 32 levels of
    transparency gives nearly the same, by kernels that run there.
    """
    if not all(isinstance(plane, np.ndarray) for plane in canvas.planes):
        _by_levels(canvas, alpha, color)
        return
    for plane, sample in zip(canvas.planes, _samples(canvas, color), strict=True):
        share = _shrunk(alpha.astype(np.uint16), plane.shape[:2])
        share = share[..., None] if plane.ndim == 3 else share
        blended = plane.astype(np.uint16)
        blended *= share
        blended += (255 - share) * sample.astype(np.uint16)  # at most 255 * 255 together
        blended += 127
        blended //= 255
        plane[...] = blended


def _samples(canvas: Canvas, color: tuple[int, int, int]) -> list[NDArray[np.uint8]]:
    """What each plane has of a colour: of a small picture that is filled with it."""
    planes = tuple(np.zeros(shape, np.uint8) for shape in PIXEL_FORMATS[canvas.format].shapes(2, 2))
    small = Canvas(canvas.format, planes, canvas.matrix, canvas.full_range)
    small.segments(np.ones((2, 2), np.int32), np.array([color, color], np.uint8), 1.0)
    return [np.asarray(plane[0, 0]) for plane in planes]


def _shrunk(values: NDArray[np.uint16], shape: tuple[int, ...]) -> NDArray[np.uint16]:
    """The mean of two rows or columns where a plane has half as many; beyond an odd edge it goes on."""
    for axis in (0, 1):
        if values.shape[axis] != shape[axis]:
            lines = np.moveaxis(values, axis, 0)
            first, second = lines[::2], lines[1::2]
            if len(second) < len(first):
                second = np.concatenate([second, first[-1:]])
            values = np.moveaxis((first + second + 1) // 2, 0, axis)
    return values


def _by_levels(canvas: Canvas, alpha: NDArray[np.uint8], color: tuple[int, int, int]) -> None:
    """By layers, in blocks of two by two pixels: a chroma sample would take a part of each of two levels."""
    height, width = alpha.shape
    blocks = _shrunk(alpha.astype(np.uint16), (-(-height // 2), -(-width // 2)))
    whole = blocks.repeat(2, 0).repeat(2, 1)[:height, :width]
    levels = ((255 - whole.astype(np.int32)) * _LEVELS + 127) // 255
    colors = np.array([color, color], np.uint8)
    for level in np.unique(levels).tolist():
        if level:
            canvas.segments((levels == level).astype(np.int32), colors, level / _LEVELS)
