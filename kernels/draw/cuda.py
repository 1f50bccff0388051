"""Launches the CUDA twins of the drawing kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_bool, c_double, c_float, c_int, c_int64, c_uint, c_uint8

import numpy as np

from ..cuda.driver import Argument, address_of, blocks_for, launch
from ..cuda.memory import placed
from ..cuda.pictures import view_of
from ..device import DeviceArray, Tensor
from ..pixel_formats import PIXEL_FORMATS, matrix_weights
from . import share_of_255

THREADS, _TILE_ROWS, _TILE_COLUMNS = 256, 8, 32  # as in cuda_samples.h

_GLYPHS = np.dtype([("mask", np.uint64), ("height", np.int32), ("width", np.int32)])  # Glyphs of draw.cu


class Colours(ctypes.Structure):
    """``Colours`` of ``draw.h``."""

    _fields_ = (("kr", c_double), ("kb", c_double), ("full_range", c_bool))


def draw_boxes(
    planes: Sequence[DeviceArray],
    format: str,
    boxes: Tensor,
    colors: Tensor,
    *,
    matrix: str,
    full_range: bool,
    thickness: int,
) -> None:
    """See :func:`vidgraph.kernels.draw_boxes`."""
    _draw("draw_boxes", planes, format, matrix, full_range, (boxes, colors), c_int(thickness))


def draw_points(
    planes: Sequence[DeviceArray],
    format: str,
    points: Tensor,
    colors: Tensor,
    *,
    matrix: str,
    full_range: bool,
    radius: float,
) -> None:
    """See :func:`vidgraph.kernels.draw_points`."""
    _draw("draw_points", planes, format, matrix, full_range, (points, colors), c_float(radius))


def draw_labels(
    planes: Sequence[DeviceArray],
    format: str,
    masks: Sequence[Tensor],
    origins: Tensor,
    *,
    colors: Tensor,
    text_colors: Tensor,
    matrix: str,
    full_range: bool,
    opacity: float,
) -> None:
    """See :func:`vidgraph.kernels.draw_labels`. A mask that serves many labels is copied once."""
    each = {id(mask): mask for mask in masks}
    there = dict(zip(each, placed(list(each.values()), planes[0].device), strict=True))
    glyphs = np.array([(address_of(there[id(mask)]), *mask.shape) for mask in masks], _GLYPHS)
    alpha = c_uint8(share_of_255("draw_labels", "opacity", opacity))
    _draw("draw_labels", planes, format, matrix, full_range, (glyphs, origins, colors, text_colors), alpha)


def draw_masks(
    planes: Sequence[DeviceArray],
    format: str,
    boxes: Tensor,
    bits: Tensor,
    offsets: Tensor,
    colors: Tensor,
    alpha: float,
    *,
    matrix: str,
    full_range: bool,
) -> None:
    """See :func:`vidgraph.kernels.draw_masks`."""
    share = c_uint8(share_of_255("draw_masks", "alpha", alpha))
    arrays = (boxes, bits, offsets, colors)
    _draw("draw_masks", planes, format, matrix, full_range, arrays, c_int64(len(bits)), share)


def _draw(
    kernel: str,
    planes: Sequence[DeviceArray],
    format: str,
    matrix: str,
    full_range: bool,
    arrays: Sequence[Tensor],
    *numbers: Argument,
) -> None:
    """One launch. Of ``arrays``, the first has a row for each item."""
    if not len(arrays[0]):
        return
    device, colours = planes[0].device, colours_of(kernel, format, matrix, full_range)
    launch_tiles(kernel, planes, format, colours, c_uint(len(arrays[0])), *placed(arrays, device), *numbers)


def colours_of(owner: str, format: str, matrix: str, full_range: bool) -> Colours:
    """How colours are written in a picture."""
    return Colours(*matrix_weights(owner, PIXEL_FORMATS[format], matrix), full_range)


def launch_tiles(kernel: str, planes: Sequence[DeviceArray], format: str, *arguments: Argument) -> None:
    """Launch a kernel that has a block for each tile of a picture, and takes the picture first."""
    layout, (height, width) = PIXEL_FORMATS[format], planes[0].shape[:2]
    shift_x, shift_y = layout.chroma_shift
    tiles = blocks_for(height, _TILE_ROWS << shift_y) * blocks_for(width, _TILE_COLUMNS << shift_x)
    launch(kernel, planes[0].device, THREADS, tiles, view_of(planes, layout), *arguments)
