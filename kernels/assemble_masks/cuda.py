"""Launches the CUDA twins of ``assemble_masks`` and ``expected_mask_iou``."""

from __future__ import annotations

from ctypes import Structure, c_float, c_int, c_int64, c_void_p

import numpy as np

from ..cuda.driver import blocks_for, launch
from ..cuda.memory import empty
from ..device import DeviceArray

_THREADS, _WARP, _WORD, _STRIP = 256, 32, 64, 16  # as in assemble_masks.cu
_PLACE = 9  # int32 of a MaskPlace
_MOST_BLOCKS = 64  # for one mask; they take turns
_MOST_ROWS = 65535  # of a grid

_BYTE, _INT, _LONG, _FLOAT = map(np.dtype, ("uint8", "int32", "int64", "float32"))
_Sides = tuple[float, float, float, float]


class _Prototypes(Structure):
    _fields_ = (
        ("data", c_void_p), ("height", c_int), ("width", c_int), ("channels", c_int),
        ("row_stride", c_int64), ("pixel_stride", c_int64), ("channel_stride", c_int64),
    )  # fmt: skip


class _Window(Structure):
    _fields_ = (("origin", c_float), ("extent", c_float))


class _Frame(Structure):
    _fields_ = (("x", _Window), ("y", _Window), ("height", c_int), ("width", c_int))


class _Maps:
    """The probabilities of each mask in its crop, and where it can be; all on the device."""

    def __init__(
        self,
        proto: DeviceArray,
        coeff: DeviceArray,
        boxes: DeviceArray,
        size: tuple[int, int],
        window: _Sides = (0.0, 0.0, 1.0, 1.0),
        limits: DeviceArray | None = None,
    ) -> None:
        (height, width, channels), count, device = proto.shape, len(boxes), proto.device
        row, pixel, channel = (stride // proto.itemsize for stride in proto.strides)
        strides = row, pixel, channel if channels > 1 else 1
        self.prototypes = _Prototypes(proto.pointer, height, width, channels, *strides)
        self.frame = _Frame(_window(window[0::2], width), _window(window[1::2], height), *size)
        self.count, self.tight = c_int(count), empty((count, 4), _INT, device)
        self.places = empty((count, _PLACE), _INT, device)
        self.maps = empty((count, height, width), _FLOAT, device)
        launch(
            "mask_places", device, _THREADS, blocks_for(count, _THREADS),
            self.prototypes, self.frame, boxes, limits, self.count, self.places, self.tight,
        )  # fmt: skip
        launch(
            "mask_probabilities", device, _THREADS, _grid(height * width, _THREADS, count),
            self.prototypes, coeff, self.places, self.count, self.maps,
        )  # fmt: skip


def assemble_masks(
    proto: DeviceArray,
    coeff: DeviceArray,
    boxes: DeviceArray,
    *,
    size: tuple[int, int],
    window: _Sides,
    limits: DeviceArray | None,
) -> tuple[DeviceArray, DeviceArray, DeviceArray]:
    """See :func:`vidgraph.kernels.assemble_masks`. Waits once, for how many bytes the bits take."""
    device, made = proto.device, _Maps(proto, coeff, boxes, size, window, limits)
    words, strips = blocks_for(size[1], _WORD) + 1, blocks_for(size[0], _STRIP)
    grid = _grid(words * strips, _THREADS // _WARP, len(boxes))
    offsets = empty((len(boxes) + 1,), _LONG, device)
    launch(
        "mask_boxes", device, _THREADS, grid,
        made.prototypes, made.frame, made.maps, made.places, made.count, made.tight,
    )  # fmt: skip
    launch("mask_offsets", device, _THREADS, 1, made.tight, made.count, offsets)
    bits = empty((int(offsets[len(boxes) :].to_host()[0]),), _BYTE, device)
    launch(
        "mask_bits", device, _THREADS, grid,
        made.prototypes, made.frame, made.maps, made.places, made.tight, offsets, made.count, bits,
    )  # fmt: skip
    return made.tight, bits, offsets


def expected_mask_iou(proto: DeviceArray, coeff: DeviceArray, boxes: DeviceArray) -> DeviceArray:
    """See :func:`vidgraph.kernels.expected_mask_iou`."""
    height, width, _ = proto.shape
    made, found = _Maps(proto, coeff, boxes, (height, width)), empty((len(boxes),), _FLOAT, proto.device)
    launch("mask_overlaps", proto.device, _WARP, len(boxes), made.prototypes, made.maps, made.places, found)
    return found


def _window(edges: tuple[float, ...], pixels: int) -> _Window:
    return _Window(edges[0] * pixels, (edges[1] - edges[0]) * pixels)


def _grid(shared: int, by_block: int, masks: int) -> tuple[int, int, int]:
    """Blocks along x share the things of a mask, up to ``shared`` of them; blocks along y share the masks."""
    return min(blocks_for(shared, by_block), _MOST_BLOCKS), min(masks, _MOST_ROWS), 1
