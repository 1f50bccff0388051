"""Launches the CUDA twin of ``rotate``."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import c_int

from ..cuda.driver import blocks_for, launch
from ..cuda.memory import empty
from ..cuda.pictures import MOST_PLANES, view_of
from ..device import DeviceArray
from ..pixel_formats import PIXEL_FORMATS

_THREADS, _TILE = 256, 32  # as in rotate.cu


def rotate(planes: Sequence[DeviceArray], format: str, degrees: int) -> tuple[DeviceArray, ...]:
    """See :func:`vidgraph.kernels.rotate`."""
    layout, device, (height, width) = PIXEL_FORMATS[format], planes[0].device, planes[0].shape[:2]
    if degrees != 180:
        height, width = width, height
    turned = tuple(empty(shape, layout.dtype, device) for shape in layout.shapes(height, width))
    tiles = blocks_for(height, _TILE) * blocks_for(width, _TILE)
    launch(
        "rotate_planes", device, _THREADS, (tiles, 1, len(turned)),
        view_of(planes, layout), c_int(degrees), *turned, *[None] * (MOST_PLANES - len(turned)),
    )  # fmt: skip
    return turned
