"""Launches the CUDA kernels of rows of boxes. None waits.

``count``, int32 ``[1]``, is how many rows count (None: all); what lies behind them in what is given is arbitrary.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import Structure, c_float, c_int, c_int64, c_void_p

import numpy as np

from ..cuda.driver import address_of, blocks_for, launch
from ..cuda.memory import empty
from ..device import DeviceArray
from . import ORDERS, Pair, Shown

_THREADS, _LOOK_THREADS, _MOST_OUTPUTS = 256, 1024, 3  # as in box_rows.cu


class _ShownPart(Structure):
    _fields_ = tuple(
        (name, c_float)
        for name in (
            "scale_x", "scale_y", "offset_x", "offset_y", "frame_width", "frame_height",
            "part_x", "part_y", "part_width", "part_height",
        )
    )  # fmt: skip


class _NumberTable(Structure):
    _fields_ = (
        ("data", c_void_p), ("height", c_int64), ("width", c_int64), ("row_stride", c_int64),
        ("column_stride", c_int64),
    )  # fmt: skip


class _NumberTables(Structure):
    _fields_ = (("tables", _NumberTable * _MOST_OUTPUTS),)


def queue_corner_boxes(
    boxes: DeviceArray, order: str, extent: Pair | None, *, count: DeviceArray | None
) -> DeviceArray:
    """As :func:`.corner_boxes`, of C-contiguous boxes."""
    room, out = len(boxes), empty(boxes.shape, np.float32, boxes.device)
    width, height = extent or (1.0, 1.0)
    launch(
        "box_rows_corners", boxes.device, _THREADS, blocks_for(room, _THREADS),
        boxes, c_int(ORDERS.index(order)), c_float(width), c_float(height), count, c_int64(room), out,
    )  # fmt: skip
    return out


def queue_usable_scores(
    scores: DeviceArray,
    class_ids: DeviceArray,
    boxes: DeviceArray,
    extras: DeviceArray,
    *,
    classes: DeviceArray | None,
    count: DeviceArray | None,
) -> DeviceArray:
    """As :func:`.usable_scores` with the tables ``boxes``, float32 ``[N, 4]``, and ``extras``; all C-contiguous."""
    room, out = len(scores), empty(scores.shape, np.float32, scores.device)
    launch(
        "box_rows_usable", scores.device, _THREADS, blocks_for(room, _THREADS),
        scores, class_ids, boxes, extras, c_int(extras.shape[1]),
        classes, c_int(0 if classes is None else len(classes)), count, c_int64(room), out,
    )  # fmt: skip
    return out


def queue_class_numbers(numbers: DeviceArray, *, count: DeviceArray | None) -> DeviceArray:
    """As :func:`.class_numbers`, of adjacent numbers."""
    room, out = len(numbers), empty(numbers.shape, np.int32, numbers.device)
    blocks = blocks_for(room, _THREADS)
    launch("box_rows_classes", numbers.device, _THREADS, blocks, numbers, count, c_int64(room), out)
    return out


def queue_placed_boxes(
    boxes: DeviceArray, shown: Shown, *, count: DeviceArray | None
) -> tuple[DeviceArray, DeviceArray]:
    """As :func:`.placed_boxes`, of C-contiguous boxes."""
    room, device, (x1, y1, x2, y2) = len(boxes), boxes.device, shown.part
    relative, limits = empty(boxes.shape, np.float32, device), empty(boxes.shape, np.int32, device)
    described = _ShownPart(*shown.scale, *shown.offset, shown.frame[1], shown.frame[0], x1, y1, x2 - x1, y2 - y1)
    launch(
        "box_rows_placed", device, _THREADS, blocks_for(room, _THREADS),
        boxes, described, count, c_int64(room), relative, limits,
    )  # fmt: skip
    return relative, limits


def queue_finite_report(outputs: Sequence[DeviceArray], found: DeviceArray) -> DeviceArray:
    """Whether outputs, float32 ``[N, C]`` of any strides, one to three, have a finite number, or none at all.

    Returns:
        int32 ``[K + 1]``, 1 or 0 for each of K, and ``found``, int32 ``[1]``.
    """
    report, described = empty((len(outputs) + 1,), np.int32, found.device), _NumberTables()
    for place, output in enumerate(outputs):
        strides = (stride // output.itemsize for stride in output.strides)
        described.tables[place] = _NumberTable(address_of(output), *output.shape, *strides)
    launch("box_rows_report", found.device, _LOOK_THREADS, len(outputs), described, found, report)
    return report
