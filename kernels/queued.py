"""What follows a network, kernel after kernel without a wait between them.

How many rows a kernel has found, nobody on the host knows before all is computed. So arrays on a device have as many
rows here as there may be, and beside them lies how many count: int32 ``[1]``. Every function takes that of what it
reads, ``count``, and gives that of what it finds; what lies behind those rows is arbitrary. Nothing waits but
:func:`fetch` and :func:`fetch_masks`, each once, and the second a second time where masks are large.

In host memory these are the kernels themselves: arrays have as many rows as there are, and ``count`` is None. What a
kernel demands is checked where a network's outputs come in, by :func:`confident_rows`, :func:`top_scores` and
:func:`take_rows`; what is made of these fits by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .. import kernels
from .assemble_masks.cuda import QueuedMasks
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
    """A column of ``[N, C]``; on a device without a copy."""
    if not isinstance(table, DeviceArray):
        return np.ascontiguousarray(table[:, index])
    place = table.pointer + index * table.strides[1]
    return replace(table, owner=table, pointer=place, shape=table.shape[:1], strides=table.strides[:1])


def confident_rows(logits: Array, *, min_score: float, limit: int) -> tuple[Array, Array, Count]:
    """As :func:`vidgraph.kernels.confident_rows`."""
    if not isinstance(logits, DeviceArray):
        return *kernels.confident_rows(logits, min_score=min_score, limit=limit), None
    _, min_score, limit = checked_logits(logits, min_score, limit)
    rows, scores, count = _queued("confident_rows", logits)(logits, min_score=min_score, limit=limit)
    return rows, scores, count


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
        return tuple(table[rows] for table in tables)
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


def fetch(arrays: Sequence[Array], count: Count = None) -> tuple[NDArray[Any], ...]:
    """The rows that count of each array, in host memory: one transfer, which waits for all that is queued."""
    if not isinstance(arrays[0], DeviceArray):
        return tuple(arrays)
    return _Parcel(arrays, count).read()


def fetch_masks(
    proto: Array, coeff: Array, boxes: Array, others: Sequence[Array], *, size: tuple[int, int], count: Count = None
) -> tuple[tuple[NDArray[Any], ...], Masks]:
    """:func:`fetch` of ``others``, and what :func:`vidgraph.kernels.assemble_masks` gives, in host memory."""
    if not isinstance(proto, DeviceArray):
        return tuple(others), kernels.assemble_masks(proto, coeff, boxes, size=size)
    masks = QueuedMasks(proto, coeff, boxes, size=size, count=count)
    parcel = _Parcel([*others, masks.tight], count, MASK_ROOM)
    masks.write(parcel.more)
    *found, tight = parcel.read()
    offsets = np.zeros(len(tight) + 1, np.int64)
    widths, heights = (tight[:, 2:] - tight[:, :2]).astype(np.int64).T
    np.cumsum((widths + 7) // 8 * heights, out=offsets[1:])
    needed = int(offsets[-1])
    if needed <= MASK_ROOM:
        return tuple(found), (tight, parcel.read_more[:needed].copy(), offsets)
    bits: Array = empty((needed,), np.uint8, proto.device)
    masks.write(bits)
    return tuple(found), (tight, bits.to_host(), offsets)


class _Parcel:
    """Rows of tables and more bytes, one after another in memory of a device, for one transfer.

    Attributes:
        more: the bytes behind the tables, on the device.
        read_more: the same in host memory, after :meth:`read`.
    """

    def __init__(self, tables: Sequence[DeviceArray], count: Count, more: int = 0) -> None:
        self._tables = tables
        sizes = (4, *(table.nbytes for table in tables), more)  # the first is how many rows count
        starts = np.cumsum([0, *(-(-size // _ALIGNMENT) * _ALIGNMENT for size in sizes)]).tolist()
        self._starts, self._start_of_more = starts[1:-2], starts[-2]
        self._memory: Array = empty((starts[-1],), np.uint8, tables[0].device)
        self.more, self.read_more = self._part(self._start_of_more, (more,), np.uint8), np.empty(0, np.uint8)
        out = [self._part(start, each.shape, each.dtype) for start, each in zip(self._starts, tables, strict=True)]
        queue_take_rows(tables, None, count=count, out=out, taken=self._part(0, (1,), np.int32))

    def _part(self, start: int, shape: tuple[int, ...], dtype: Any) -> DeviceArray:
        memory = self._memory
        place, kind = memory.pointer + start, np.dtype(dtype)
        part: DeviceArray = replace(memory, owner=memory, pointer=place, shape=shape, dtype=kind, strides=())
        return part

    def read(self) -> tuple[NDArray[Any], ...]:
        """The wait: the rows that count of each table."""
        held = self._memory.to_host()
        taken = int(held[:4].view(np.int32)[0]) if len(self._tables[0]) else 0
        self.read_more = held[self._start_of_more :]
        return tuple(
            held[start : start + each.nbytes].view(each.dtype).reshape(each.shape)[:taken].copy()
            for start, each in zip(self._starts, self._tables, strict=True)
        )


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
