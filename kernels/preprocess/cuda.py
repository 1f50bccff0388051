"""Launches the CUDA twin of ``preprocess``."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_bool, c_double, c_float, c_int
from typing import Any

import numpy as np

from ..cuda.driver import blocks_for, launch
from ..cuda.pictures import view_of, yuv_to_rgb
from ..device import DeviceArray
from ..pixel_formats import PIXEL_FORMATS, matrix_weights

_THREADS, _TILE_WIDTH, _TILE_HEIGHT = 256, 64, 16  # as in preprocess.cu


class _Resample(ctypes.Structure):
    """``Resample`` of ``preprocess.h``."""

    _fields_ = (
        *((name, c_int) for name in ("height", "width", "y1", "x1", "y2", "x2")),
        *((name, c_double) for name in ("scale_x", "scale_y", "offset_x", "offset_y")),
        *((name, c_float * 3) for name in ("mean", "inverse_std", "padding")),
        ("bgr", c_bool),
        ("single_positions", c_bool),
        ("element", c_int),
        ("interleaved", c_bool),
    )


_ELEMENTS = ("float32", "float16", "uint8")  # order of Element in preprocess.h


def preprocess(
    planes: Sequence[DeviceArray],
    format: str,
    *,
    matrix: str,
    full_range: bool,
    size: tuple[int, int],
    scale: tuple[float, float],
    offset: tuple[float, float],
    mean: Sequence[float],
    std: Sequence[float],
    bgr: bool,
    pad: Sequence[float],
    content: tuple[int, int, int, int],
    torch_resize: bool,
    dtype: np.dtype[Any],
    layout: str,
    out: DeviceArray,
) -> DeviceArray:
    """See :func:`vidgraph.kernels.preprocess`."""
    samples = PIXEL_FORMATS[format]
    means, scales, padding = _normalisation(mean, std, pad[::-1] if bgr else pad)
    resample = _Resample(
        *size, *content, *scale, *offset, means, scales, padding, bgr, torch_resize,
        _ELEMENTS.index(dtype.name), layout == "nhwc",
    )  # fmt: skip
    colour = yuv_to_rgb(matrix_weights("preprocess", samples, matrix), samples.bits, full_range)
    tiles = blocks_for(size[0], _TILE_HEIGHT) * blocks_for(size[1], _TILE_WIDTH)
    launch("preprocess_tiles", out.device, _THREADS, tiles, view_of(planes, samples), resample, colour, out)
    return out


def _normalisation(mean: Sequence[float], std: Sequence[float], pad: Sequence[float]) -> Any:
    """Means, factors and the normalised padding, of the output's channels, in single precision."""
    with np.errstate(over="ignore", invalid="ignore"):
        means, scales = np.array(mean).astype(np.float32), (1 / np.array(std)).astype(np.float32)
        padding = (np.array(pad).astype(np.float32) - means) * scales
    return tuple((c_float * 3)(*values.tolist()) for values in (means, scales, padding))
