"""Launches the CUDA twin of ``to_rgb``."""

from __future__ import annotations

from collections.abc import Sequence

from ..cuda.driver import blocks_for, launch
from ..cuda.pictures import view_of, yuv_to_rgb
from ..device import DeviceArray
from ..pixel_formats import PIXEL_FORMATS, matrix_weights

_THREADS, _PIXELS = 256, 4  # as in to_rgb.cu


def to_rgb(
    planes: Sequence[DeviceArray], format: str, *, matrix: str, full_range: bool, out: DeviceArray
) -> DeviceArray:
    """See :func:`vidgraph.kernels.to_rgb`."""
    layout, (height, width) = PIXEL_FORMATS[format], planes[0].shape[:2]
    colour = yuv_to_rgb(matrix_weights("to_rgb", layout, matrix), layout.bits, full_range)
    blocks = blocks_for(height * blocks_for(width, _PIXELS), _THREADS)
    launch("to_rgb_pixels", out.device, _THREADS, blocks, view_of(planes, layout), colour, out)
    return out
