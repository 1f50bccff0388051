"""What follows a network, kernel after kernel without a wait between them.

How many rows a kernel has found, nobody on the host knows before all is computed. So arrays on a device have as many
rows here as there may be, and beside them lies how many count: int32 ``[1]``. Every function takes that of what it
reads, ``count``, and gives that of what it finds; what lies behind those rows is arbitrary. Nothing waits but
:func:`fetch` and :func:`fetch_masks`, each once, and the second a second time where masks are large.

In host memory these are the kernels themselves: arrays have as many rows as there are, and ``count`` is None. What a
kernel demands is checked where a network's outputs come in, by :func:`confident_rows`, :func:`best_classes`,
:func:`top_scores` and :func:`take_rows`; what is made of these fits by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from . import box_rows
from .assemble_masks.cuda import QueuedMasks
from .best_classes import checked as checked_classes
from .box_rows import Shown
from .box_rows.cuda import (
    queue_class_numbers,
    queue_corner_boxes,
    queue_finite_report,
    queue_placed_boxes,
    queue_usable_scores,
)
from .confident_rows import checked as checked_logits
from .device import Device, DeviceArray, empty
from .take_rows.cuda import queue_take_rows
from .top_scores import checked as checked_scores
from .twins import twin_module

Array: TypeAlias = Any
"""Numbers in host memory or on a device; all arrays of one call lie in one place."""
Count: TypeAlias = DeviceArray | None
Pair = tuple[float, float]
Masks = tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64]]

MASK_ROOM = 48 << 10
"""Bytes of masks that come to the host with everything else; more of them take a transfer of their own."""

_ALIGNMENT = 16  # bytes; of what lies in one transfer


def available(device: Device) -> bool:
    """Whether these functions work on a device."""
    return device.kind in ("cpu", "cuda")


def first(batch: Array) -> Array:
    """The first of a batch, without a copy."""
    if not isinstance(batch, DeviceArray):
        return batch[0]
    return replace(batch, owner=batch, shape=batch.shape[1:], strides=batch.strides[1:])


def column(table: Array, index: int) -> Array:
    """A column of ``[N, C]``, without a copy."""
    if not isinstance(table, DeviceArray):
        return table[:, index]
    place = table.pointer + index * table.strides[1]
    return replace(table, owner=table, pointer=place, shape=table.shape[:1], strides=table.strides[:1])


def columns(table: Array, first: int, end: int) -> Array:
    """Columns of ``[N, C]`` from ``first`` up to ``end``, without a copy."""
    if not isinstance(table, DeviceArray):
        return table[:, first:end]
    place, shape = table.pointer + first * table.strides[1], (len(table), end - first)
    return replace(table, owner=table, pointer=place, shape=shape, strides=table.strides)


def moved_axes(array: Array, order: Sequence[int]) -> Array:
    """The axes of an array in another order, without a copy."""
    if not isinstance(array, DeviceArray):
        return array.transpose(order)
    shape, strides = (tuple(lengths[axis] for axis in order) for lengths in (array.shape, array.strides))
    return replace(array, owner=array, shape=shape, strides=strides)


def in_one_row(array: Array) -> Array:
    """All numbers of a C-contiguous array as ``[1, N]``, without a copy."""
    if not isinstance(array, DeviceArray):
        return array.reshape(1, -1)
    return replace(array, owner=array, shape=(1, array.size), strides=())


def confident_rows(logits: Array, *, min_score: float, limit: int) -> tuple[Array, Array, Count]:
    """As :func:`vidgraph.kernels.confident_rows`."""
    if not isinstance(logits, DeviceArray):
        return *kernels.confident_rows(logits, min_score=min_score, limit=limit), None
    _, min_score, limit = checked_logits(logits, min_score, limit)
    rows, scores, count = _queued("confident_rows", logits)(logits, min_score=min_score, limit=limit)
    return rows, scores, count


def best_classes(
    scores: Array, *, min_score: float, objectness: Array | None = None, sigmoid: bool = False
) -> tuple[Array, Array, Array, Count]:
    """As :func:`vidgraph.kernels.best_classes`."""
    if not isinstance(scores, DeviceArray):
        found = kernels.best_classes(scores, min_score=min_score, objectness=objectness, sigmoid=sigmoid)
        return *found, None
    _, min_score, sigmoid = checked_classes(scores, min_score, objectness, sigmoid)
    queue = _queued("best_classes", scores)
    rows, class_ids, best, count = queue(scores, min_score=min_score, objectness=objectness, sigmoid=sigmoid)
    return rows, class_ids, best, count


def top_scores(scores: Array, *, min_score: float, limit: int, count: Count = None) -> tuple[Array, Count]:
    """As :func:`vidgraph.kernels.top_scores`."""
    if not isinstance(scores, DeviceArray):
        return kernels.top_scores(scores, min_score=min_score, limit=limit), None
    _, min_score, limit = checked_scores(scores, min_score, limit)
    order, found = _queued("top_scores", scores)(scores, min_score=min_score, limit=limit, count=count)
    return order, found


def take_rows(tables: Sequence[Array], rows: Array, count: Count = None) -> tuple[Array, ...]:
    """Rows ``rows``, int64 ``[M]``, of each table, which are as long as one another.

    Raises:
        ValueError: they are not.
    """
    if len(set(map(len, tables))) > 1:
        raise ValueError(f"take_rows: tables must have as many rows each, got {', '.join(map(str, map(len, tables)))}")
    if not isinstance(rows, DeviceArray):
        return tuple(np.ascontiguousarray(table[rows]) for table in tables)
    return queue_take_rows(tables, rows, count=count)


def decode_boxes(
    loc: Array,
    priors: Array,
    rows: Array,
    *,
    variances: Pair,
    to_frame: tuple[Pair, Pair, Pair] | None = None,
    count: Count = None,
) -> Array:
    """As :func:`vidgraph.kernels.decode_boxes`, of each box with the prior at its number in ``rows``.

    ``to_frame``: corners are then multiplied by the first (x, y) and by the second, and the third is added.
    """
    if isinstance(loc, DeviceArray):
        queue = _queued("decode_boxes", loc)
        return queue(loc, priors, rows, variances=variances, to_frame=to_frame, count=count)
    return _mapped(kernels.decode_boxes(loc, priors[rows], variances=variances), to_frame)


def decode_points(
    raw: Array,
    priors: Array,
    rows: Array,
    *,
    variance: float,
    to_frame: tuple[Pair, Pair, Pair] | None = None,
    count: Count = None,
) -> Array:
    """As :func:`vidgraph.kernels.decode_points` of float32 ``[N, 2 * K]``; the rest as in :func:`decode_boxes`."""
    if isinstance(raw, DeviceArray):
        queue = _queued("decode_points", raw)
        points = raw.shape[1] // 2
        return queue(raw, priors, rows, points=points, variance=variance, to_frame=to_frame, count=count)
    return _mapped(kernels.decode_points(raw, priors[rows], variance=variance), to_frame)


def nms(
    boxes: Array, scores: Array, *, max_iou: float, legacy: bool, limit: int, count: Count = None
) -> tuple[Array, Count]:
    """As :func:`vidgraph.kernels.nms`, the ``limit`` best at most."""
    if not isinstance(scores, DeviceArray):
        return kernels.nms(boxes, scores, max_iou=max_iou, legacy=legacy)[:limit], None
    kept, found = _queued("nms", scores)(boxes, scores, max_iou=max_iou, legacy=legacy, limit=limit, count=count)
    return kept, found


def class_nms(
    boxes: Array, scores: Array, class_ids: Array, *, max_iou: float, limit: int, count: Count = None
) -> tuple[Array, Count]:
    """As :func:`vidgraph.kernels.class_nms`."""
    if not isinstance(scores, DeviceArray):
        return kernels.class_nms(boxes, scores, class_ids, max_iou=max_iou, limit=limit), None
    queue = _queued("class_nms", scores)
    kept, found = queue(boxes, scores, class_ids, max_iou=max_iou, limit=limit, count=count)
    return kept, found


Found = tuple[Array, Array, Array, Count]
"""Rows, classes and scores, best first, and how many they are."""


def fast_nms(boxes: Array, scores: Array, *, classes: Array | None = None, count: Count = None, **rule: Any) -> Found:
    """As :func:`vidgraph.kernels.fast_nms`, of the columns ``classes`` of ``scores``, int32 ``[C]`` (None: all)."""
    return _per_class("fast_nms", boxes, scores, classes, count, rule)


def traditional_nms(
    boxes: Array, scores: Array, *, classes: Array | None = None, count: Count = None, **rule: Any
) -> Found:
    """As :func:`vidgraph.kernels.traditional_nms`; ``classes`` as for :func:`fast_nms`."""
    return _per_class("traditional_nms", boxes, scores, classes, count, rule)


def cross_class_fast_nms(
    boxes: Array, scores: Array, *, limit: int, classes: Array | None = None, count: Count = None, **rule: Any
) -> Found:
    """As :func:`vidgraph.kernels.cross_class_fast_nms`; of what is left, the best of ``classes`` (None: of all)."""
    if isinstance(scores, DeviceArray):
        found: Found = _queued("cross_class_fast_nms", scores)(
            boxes, scores, limit=limit, classes=classes, count=count, **rule
        )
        return found
    rows, class_ids, best = kernels.cross_class_fast_nms(boxes, scores, **rule)
    wanted = np.flatnonzero(class_ids >= 0 if classes is None else np.isin(class_ids, classes))[:limit]
    return rows[wanted], class_ids[wanted], best[wanted], None


def scores_of_masks(scores: Array, proto: Array, coeff: Array, boxes: Array, count: Count = None) -> Array:
    """``scores``, float32 ``[N]``, times :func:`vidgraph.kernels.expected_mask_iou`."""
    if isinstance(proto, DeviceArray):
        return _queued("expected_mask_iou", proto)(proto, coeff, boxes, scores=scores, count=count)
    return scores * kernels.expected_mask_iou(proto, coeff, boxes)


def corner_boxes(boxes: Array, order: str, extent: Pair | None = None, *, count: Count = None) -> Array:
    """As :func:`.box_rows.corner_boxes`."""
    if not isinstance(boxes, DeviceArray):
        return box_rows.corner_boxes(boxes, order, extent)
    return queue_corner_boxes(boxes, order, extent, count=count)


def usable_scores(
    scores: Array,
    class_ids: Array,
    boxes: Array,
    extras: Array,
    *,
    classes: Array | None = None,
    count: Count = None,
) -> Array:
    """As :func:`.box_rows.usable_scores` with the tables ``boxes``, float32 ``[N, 4]``, and ``extras``, ``[N, E]``."""
    if not isinstance(scores, DeviceArray):
        return box_rows.usable_scores(scores, class_ids, (boxes, extras), classes)
    return queue_usable_scores(scores, class_ids, boxes, extras, classes=classes, count=count)


def class_numbers(numbers: Array, *, count: Count = None) -> Array:
    """As :func:`.box_rows.class_numbers`."""
    if not isinstance(numbers, DeviceArray):
        return box_rows.class_numbers(numbers)
    return queue_class_numbers(numbers, count=count)


def placed_boxes(boxes: Array, shown: Shown, *, count: Count = None) -> tuple[Array, Array]:
    """As :func:`.box_rows.placed_boxes`."""
    if not isinstance(boxes, DeviceArray):
        return box_rows.placed_boxes(boxes, shown)
    return queue_placed_boxes(boxes, shown, count=count)


def finite_report(outputs: Sequence[DeviceArray], found: DeviceArray) -> DeviceArray:
    """Of outputs on a device, which to look at would be a wait; see :func:`.box_rows.cuda.queue_finite_report`."""
    return queue_finite_report(outputs, found)


def fetch(arrays: Sequence[Array], count: Count = None, note: Array | None = None) -> tuple[NDArray[Any], ...]:
    """The rows that count of each array, in host memory: one transfer, which waits for all that is queued.

    ``note``: int32 ``[K]``, comes with them, the last and whole.
    """
    if not isinstance(arrays[0], DeviceArray):
        return (*arrays, *(() if note is None else (note,)))
    return _Parcel(arrays, count, note).read()


def fetch_masks(
    proto: Array,
    coeff: Array,
    boxes: Array,
    others: Sequence[Array],
    *,
    size: tuple[int, int],
    window: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
    limits: Array | None = None,
    count: Count = None,
    note: Array | None = None,
) -> tuple[tuple[NDArray[Any], ...], Masks]:
    """:func:`fetch` of ``others``, and what :func:`vidgraph.kernels.assemble_masks` gives, in host memory."""
    if not isinstance(proto, DeviceArray):
        masks = kernels.assemble_masks(proto, coeff, boxes, size=size, window=window, limits=limits)
        return fetch(others, count, note), masks
    made = QueuedMasks(proto, coeff, boxes, size=size, window=window, limits=limits, count=count)
    parcel = _Parcel([made.tight, *others], count, note, MASK_ROOM)
    made.write(parcel.more)
    tight, *found = parcel.read()
    offsets = np.zeros(len(tight) + 1, np.int64)
    widths, heights = (tight[:, 2:] - tight[:, :2]).astype(np.int64).T
    np.cumsum((widths + 7) // 8 * heights, out=offsets[1:])
    needed = int(offsets[-1])
    if needed <= MASK_ROOM:
        return tuple(found), (tight, parcel.read_more[:needed].copy(), offsets)
    bits: Array = empty((needed,), np.uint8, proto.device)
    made.write(bits)
    return tuple(found), (tight, bits.to_host(), offsets)


class _Parcel:
    """How many rows count, a note, rows of tables and more bytes: one after another on a device, for one transfer.

    Attributes:
        more: the bytes behind the tables, on the device.
        read_more: the same in host memory, after :meth:`read`.
    """

    def __init__(
        self, tables: Sequence[DeviceArray], count: Count, note: DeviceArray | None = None, more: int = 0
    ) -> None:
        self._tables, self._head = tables, 1 + (0 if note is None else len(note))
        sizes = (4 * self._head, *(table.nbytes for table in tables), more)
        starts = np.cumsum([0, *(-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes)]).tolist()
        self._starts, self._start_of_more = starts[1:-2], starts[-2]
        self._memory: Array = empty((starts[-1],), np.uint8, tables[0].device)
        self.more, self.read_more = self._part(self._start_of_more, (more,), np.uint8), np.empty(0, np.uint8)
        out = [self._part(start, each.shape, each.dtype) for start, each in zip(self._starts, tables, strict=True)]
        head = self._part(0, (self._head,), np.int32)
        queue_take_rows(tables, None, count=count, out=out, taken=head, note=note)

    def _part(self, start: int, shape: tuple[int, ...], dtype: Any) -> DeviceArray:
        memory = self._memory
        place, kind = memory.pointer + start, np.dtype(dtype)
        part: DeviceArray = replace(memory, owner=memory, pointer=place, shape=shape, dtype=kind, strides=())
        return part

    def read(self) -> tuple[NDArray[Any], ...]:
        """The wait: the rows that count of each table, and the note where there is one."""
        held = self._memory.to_host()
        taken, *note = held[: 4 * self._head].view(np.int32).tolist()
        self.read_more = held[self._start_of_more :]
        rows = tuple(
            held[start : start + each.nbytes].view(each.dtype).reshape(each.shape)[:taken].copy()
            for start, each in zip(self._starts, self._tables, strict=True)
        )
        return (*rows, np.array(note, np.int32)) if note else rows


def _per_class(
    name: str, boxes: Array, scores: Array, classes: Array | None, count: Count, rule: dict[str, Any]
) -> Found:
    if isinstance(scores, DeviceArray):
        found: Found = _queued(name, scores)(boxes, scores, classes=classes, count=count, **rule)
        return found
    if classes is not None:
        scores = np.ascontiguousarray(scores[:, classes])
    rows, class_ids, best = getattr(kernels, name)(boxes, scores, **rule)
    return rows, class_ids if classes is None else classes[class_ids], best, None


def _mapped(places: NDArray[np.float32], to_frame: tuple[Pair, Pair, Pair] | None) -> NDArray[np.float32]:
    """Of float32 ``[N, 4]`` or ``[N, K, 2]``; rounded to float32 after each step."""
    if to_frame is None:
        return places
    size, scale, offset = (np.array(pair, np.float32) for pair in to_frame)
    points = places.reshape(-1, 2) * size * scale + offset
    return points.reshape(places.shape)


def _queued(kernel: str, array: DeviceArray) -> Any:
    """The twin of a kernel that does not wait, where ``array`` lies."""
    return getattr(import_module(twin_module(kernel, array.device), __package__), f"queue_{kernel}")
