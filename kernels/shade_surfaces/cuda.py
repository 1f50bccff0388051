"""Launches the CUDA twin of ``shade_surfaces``."""

from __future__ import annotations

import ctypes
from ctypes import c_int, c_uint32, c_void_p

import numpy as np

from ..cuda.driver import address_of, blocks_for, launch
from ..cuda.memory import empty, placed, zeros
from ..device import DeviceArray
from . import SurfaceTable, check_surfaces

_THREADS, _TILE_HEIGHT, _TILE_WIDTH = 256, 8, 32  # as in shade_surfaces.cu

_TABLE = ("colours", "inverse", "amplitude", "fade", "texture", "shaded", "blur")


class _Surfaces(ctypes.Structure):
    """``Surfaces`` of ``shade_surfaces.h``."""

    _fields_ = tuple((name, c_void_p) for name in (*_TABLE, "textures"))


class _Scene(ctypes.Structure):
    """``Scene`` of ``shade_surfaces.cu``."""

    _fields_ = (
        ("map", c_void_p), ("shadow", c_void_p), ("height", c_int), ("width", c_int), ("count", c_int),
        ("surfaces", _Surfaces),
    )  # fmt: skip


def shade_surfaces(
    surfaces: DeviceArray,
    shadow: DeviceArray,
    table: SurfaceTable,
    textures: DeviceArray,
    *,
    noise: int,
    seed: int,
) -> DeviceArray:
    """See :func:`vidgraph.kernels.shade_surfaces`. Waits once, for whether the map fits the table.

    Raises:
        ValueError: it does not.
    """
    device, (height, width), count = surfaces.device, surfaces.shape, len(table.colours)
    out, beyond = empty((height, width, 3), np.dtype(np.uint8), device), zeros((1,), np.int32, device)
    if out.size == 0:
        return out
    columns = placed([getattr(table, name) for name in _TABLE], device)
    looks = _Surfaces(*map(address_of, (*columns, textures)))
    scene, sums = _Scene(address_of(surfaces), address_of(shadow), height, width, count, looks), None
    if table.blur.any():
        sums = empty((3, height, width + 1), np.dtype(np.uint32), device)
        launch("shade_sums", device, _THREADS, height, scene, sums)
    tiles = blocks_for(height, _TILE_HEIGHT) * blocks_for(width, _TILE_WIDTH)
    launch("shade_surfaces", device, _THREADS, tiles, scene, sums, c_int(noise), c_uint32(seed), out, beyond)
    check_surfaces(int(beyond.to_host()[0]) - 1, count)
    return out
