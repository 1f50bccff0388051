"""Launches the CUDA twin of ``label_map``."""

from __future__ import annotations

from ctypes import Structure, c_float, c_int, c_int64, c_void_p

import numpy as np

from ..cuda.driver import address_of, blocks_for, launch
from ..cuda.memory import empty, zeros
from ..device import DeviceArray

_THREADS, _STRIP = 128, 16  # as in label_map.cu


class _Logits(Structure):
    _fields_ = (
        ("data", c_void_p), ("class_stride", c_int64), ("row_stride", c_int64), ("column_stride", c_int64),
        ("classes", c_int), ("height", c_int), ("width", c_int),
    )  # fmt: skip


class _Resize(Structure):
    _fields_ = (("logits", c_int), ("first", c_float), ("scale", c_float))


def label_map(
    logits: DeviceArray, *, size: tuple[int, int], window: tuple[float, float, float, float], first: int
) -> tuple[DeviceArray, DeviceArray]:
    """See :func:`vidgraph.kernels.label_map`. Does not wait."""
    (height, width), (classes, rows, columns), device = size, logits.shape, logits.device
    strides = (stride // logits.itemsize for stride in logits.strides)
    labels, counts = empty(size, np.dtype(np.int32), device), zeros((classes,), np.int64, device)
    launch(
        "label_pixels", device, _THREADS, blocks_for(width, _THREADS) * blocks_for(height, _STRIP),
        _Logits(address_of(logits), *strides, classes, rows, columns), _resize(columns, width, window[0], window[2]),
        _resize(rows, height, window[1], window[3]), c_int(height), c_int(width), c_int(first), labels, counts,
    )  # fmt: skip
    return labels, counts


def _resize(logits: int, pixels: int, start: float, end: float) -> _Resize:
    return _Resize(logits, start * logits, (end - start) * logits / pixels)
