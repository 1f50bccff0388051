"""Launches the CUDA twin of ``luma_means``."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import c_int

from ..cuda.driver import blocks_for, launch
from ..cuda.pictures import view_of
from ..device import DeviceArray
from ..pixel_formats import PIXEL_FORMATS

_THREADS = 256  # as in luma_means.cu


def luma_means(planes: Sequence[DeviceArray], format: str, *, block: int, out: DeviceArray) -> DeviceArray:
    """See :func:`vidgraph.kernels.luma_means`."""
    rows, columns = out.shape
    tiles = rows * blocks_for(columns, _THREADS // block)
    launch("luma_means_tiles", out.device, _THREADS, tiles, view_of(planes, PIXEL_FORMATS[format]), c_int(block), out)
    return out
