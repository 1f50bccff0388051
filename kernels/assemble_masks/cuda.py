"""Launches the CUDA twins of ``assemble_masks`` and ``expected_mask_iou``."""

from __future__ import annotations

from ctypes import Structure, c_float, c_int, c_int64, c_void_p

import numpy as np

from ..cuda.driver import address_of, blocks_for, launch
from ..cuda.memory import empty
from ..device import DeviceArray

_THREADS, _WARP, _WORD, _STRIP = 256, 32, 64, 16  # as in assemble_masks.cu
_PLACE = 9  # int32 of a MaskPlace
_MOST_BLOCKS = 64  # for one mask; they take turns
_MOST_ROWS = 65535  # of a grid
_QUEUED_BLOCKS, _QUEUED_ROWS = 32, 32  # where the number of masks is not known

_BYTE, _INT, _LONG, _FLOAT = map(np.dtype, ("uint8", "int32", "int64", "float32"))
_Sides = tuple[float, float, float, float]
_WHOLE: _Sides = (0.0, 0.0, 1.0, 1.0)


class _Prototypes(Structure):
    _fields_ = (
        ("data", c_void_p), ("height", c_int), ("width", c_int), ("channels", c_int),
        ("row_stride", c_int64), ("pixel_stride", c_int64), ("channel_stride", c_int64),
    )  # fmt: skip


class _Window(Structure):
    _fields_ = (("origin", c_float), ("extent", c_float))


class _Frame(Structure):
    _fields_ = (("x", _Window), ("y", _Window), ("height", c_int), ("width", c_int))


class _Count(Structure):
    _fields_ = (("known", c_void_p), ("room", c_int))


class _Maps:
    """The probabilities of each mask in its crop, and where it can be; all on the device."""

    def __init__(
        self,
        proto: DeviceArray,
        coeff: DeviceArray,
        boxes: DeviceArray,
        size: tuple[int, int],
        window: _Sides = _WHOLE,
        limits: DeviceArray | None = None,
        count: DeviceArray | None = None,
    ) -> None:
        (height, width, channels), room, device = proto.shape, len(boxes), proto.device
        row, pixel, channel = (stride // proto.itemsize for stride in proto.strides)
        strides = row, pixel, channel if channels > 1 else 1
        self._read = (proto, count)  # whose addresses are in the structures
        self.prototypes = _Prototypes(address_of(proto), height, width, channels, *strides)
        self.frame = _Frame(_window(window[0::2], width), _window(window[1::2], height), *size)
        self.device, self.room, self.queued = device, room, count is not None
        self.count = _Count(None if count is None else address_of(count), room)
        self.tight, self.places = empty((room, 4), _INT, device), empty((room, _PLACE), _INT, device)
        self.maps = empty((room, height, width), _FLOAT, device)
        launch(
            "mask_places", device, _THREADS, blocks_for(room, _THREADS),
            self.prototypes, self.frame, boxes, limits, self.count, self.places, self.tight,
        )  # fmt: skip
        launch(
            "mask_probabilities", device, _THREADS, self.grid(height * width, _THREADS),
            self.prototypes, coeff, self.places, self.count, self.maps,
        )  # fmt: skip

    def grid(self, shared: int, by_block: int) -> tuple[int, int, int]:
        """Blocks along x share the things of a mask, up to ``shared`` of them; blocks along y share the masks."""
        most, rows = (_QUEUED_BLOCKS, _QUEUED_ROWS) if self.queued else (_MOST_BLOCKS, _MOST_ROWS)
        return min(blocks_for(shared, by_block), most), min(self.room, rows), 1


class QueuedMasks:
    """Masks whose boxes are found on the device, and whose bits are written where there is room for them.

    Args:
        count: int32 ``[1]``, how many of ``coeff``, ``boxes`` and ``limits`` count; None: all.

    Attributes:
        tight: int32 ``[N, 4]``, as of ``assemble_masks``.
        offsets: int64 ``[N + 1]``, of as many as count, and the end.
    """

    def __init__(
        self,
        proto: DeviceArray,
        coeff: DeviceArray,
        boxes: DeviceArray,
        *,
        size: tuple[int, int],
        window: _Sides = _WHOLE,
        limits: DeviceArray | None = None,
        count: DeviceArray | None = None,
    ) -> None:
        self._made = made = _Maps(proto, coeff, boxes, size, window, limits, count)
        words, strips = blocks_for(size[1], _WORD) + 1, blocks_for(size[0], _STRIP)
        self._grid = made.grid(words * strips, _THREADS // _WARP)
        self.tight, self.offsets = made.tight, empty((made.room + 1,), _LONG, made.device)
        launch(
            "mask_boxes", made.device, _THREADS, self._grid,
            made.prototypes, made.frame, made.maps, made.places, made.count, made.tight,
        )  # fmt: skip
        launch("mask_offsets", made.device, _THREADS, 1, made.tight, made.count, self.offsets)

    def write(self, bits: DeviceArray) -> None:
        """Queue the bits of all masks that lie within ``bits``, uint8 ``[B]``, whole."""
        made = self._made
        launch(
            "mask_bits", made.device, _THREADS, self._grid,
            made.prototypes, made.frame, made.maps, made.places, made.tight, self.offsets, made.count,
            c_int64(len(bits)), bits,
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
    masks = QueuedMasks(proto, coeff, boxes, size=size, window=window, limits=limits)
    bits = empty((int(masks.offsets[len(boxes) :].to_host()[0]),), _BYTE, proto.device)
    masks.write(bits)
    return masks.tight, bits, masks.offsets


def expected_mask_iou(proto: DeviceArray, coeff: DeviceArray, boxes: DeviceArray) -> DeviceArray:
    """See :func:`vidgraph.kernels.expected_mask_iou`."""
    return queue_expected_mask_iou(proto, coeff, boxes)


def queue_expected_mask_iou(
    proto: DeviceArray,
    coeff: DeviceArray,
    boxes: DeviceArray,
    *,
    scores: DeviceArray | None = None,
    count: DeviceArray | None = None,
) -> DeviceArray:
    """As :func:`expected_mask_iou`, of the first ``count`` boxes (None: of all), times ``scores``, float32 ``[N]``."""
    height, width, _ = proto.shape
    made, found = _Maps(proto, coeff, boxes, (height, width), count=count), empty((len(boxes),), _FLOAT, proto.device)
    launch(
        "mask_overlaps", proto.device, _WARP, len(boxes),
        made.prototypes, made.maps, made.places, made.count, scores, found,
    )  # fmt: skip
    return found


def _window(edges: tuple[float, ...], pixels: int) -> _Window:
    return _Window(edges[0] * pixels, (edges[1] - edges[0]) * pixels)
