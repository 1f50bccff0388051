"""Launches the CUDA twin of ``eight_bits``."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ..cuda.driver import blocks_for, launch
from ..cuda.pictures import view_of
from ..device import DeviceArray
from ..pixel_formats import PIXEL_FORMATS, eight_bit_format

_THREADS, _SAMPLES = 256, 4  # as in eight_bits.cu


def eight_bits(planes: Sequence[DeviceArray], format: str, *, out: Sequence[DeviceArray]) -> tuple[DeviceArray, ...]:
    """See :func:`vidgraph.kernels.eight_bits`."""
    source, target = PIXEL_FORMATS[format], PIXEL_FORMATS[eight_bit_format(format)]
    blocks = max(len(plane) * blocks_for(prod(plane.shape[1:]), _THREADS * _SAMPLES) for plane in planes)
    grid = (blocks, 1, len(planes))
    launch("eight_bits_planes", planes[0].device, _THREADS, grid, view_of(planes, source), view_of(out, target))
    return tuple(out)
