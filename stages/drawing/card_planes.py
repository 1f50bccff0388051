"""Planes of pictures on a card, one below the other in one piece of memory, as encoders take them."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from ...kernels import PIXEL_FORMATS
from ...kernels.device import Device, DeviceArray, empty

_ROW_BYTES = 256  # rows begin at multiples of it, as kernels and encoders like them


def card_bytes(format: str, height: int, width: int) -> int:
    """What :func:`card_planes_in` needs for a picture."""
    return sum(shape[0] * _step(shape) for shape in PIXEL_FORMATS[format].shapes(height, width))


def card_planes_in(piece: DeviceArray, format: str, height: int, width: int) -> tuple[DeviceArray, ...]:
    """Writable planes of a format of 8 bits in memory of the card, uint8; all rows of a plane are as far apart."""
    planes, place = [], piece.pointer
    for shape in PIXEL_FORMATS[format].shapes(height, width):
        strides = (_step(shape), *(prod(shape[axis + 1 :]) for axis in range(1, len(shape))))
        planes.append(replace(piece, owner=piece, pointer=place, shape=shape, strides=strides))
        place += shape[0] * strides[0]
    return tuple(planes)


def new_card_planes(format: str, height: int, width: int, device: Device) -> tuple[DeviceArray, ...]:
    """The same in new memory, with arbitrary content."""
    piece = empty((card_bytes(format, height, width),), np.uint8, device)
    assert isinstance(piece, DeviceArray)
    return card_planes_in(piece, format, height, width)


def _step(shape: tuple[int, ...]) -> int:
    return -(-prod(shape[1:]) // _ROW_BYTES) * _ROW_BYTES
