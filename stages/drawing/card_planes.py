"""Planes of pictures on a card, as encoders there take them: one below the other in one piece of memory."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from ...kernels import PIXEL_FORMATS
from ...kernels.device import Device, DeviceArray, Tensor, empty

_ROW_BYTES = 256  # rows begin at multiples of it, as kernels and encoders like them


def new_card_planes(format: str, height: int, width: int, device: Device) -> tuple[DeviceArray, ...]:
    """Writable planes of a format of 8 bits, with arbitrary content; all rows of a plane are as far apart."""
    shapes = PIXEL_FORMATS[format].shapes(height, width)
    steps = [-(-prod(shape[1:]) // _ROW_BYTES) * _ROW_BYTES for shape in shapes]
    piece = empty((sum(shape[0] * step for shape, step in zip(shapes, steps, strict=True)),), np.uint8, device)
    assert isinstance(piece, DeviceArray)
    planes, place = [], piece.pointer
    for shape, step in zip(shapes, steps, strict=True):
        strides = (step, *(prod(shape[axis + 1 :]) for axis in range(1, len(shape))))
        planes.append(replace(piece, owner=piece, pointer=place, shape=shape, strides=strides))
        place += shape[0] * step
    return tuple(planes)


def in_one_piece(planes: tuple[Tensor, ...]) -> bool:
    """Whether the planes of an NV12 picture on a card lie as an encoder takes them: chroma directly below luma."""
    luma, chroma = planes
    if not (isinstance(luma, DeviceArray) and isinstance(chroma, DeviceArray)):
        return False
    step = luma.strides[0]
    return step == chroma.strides[0] > 0 and chroma.pointer == luma.pointer + luma.shape[0] * step
