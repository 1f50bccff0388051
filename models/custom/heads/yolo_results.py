"""From the rows that a YOLO's head keeps to results in displayed pixels."""

from __future__ import annotations

from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....kernels import assemble_masks
from ....pipeline.packet import DETECTIONS, LANDMARKS, Key
from ....pipeline.types.affine import Affine
from ....pipeline.types.detections import Detections
from ....pipeline.types.landmarks import Landmarks
from ....pipeline.types.masks import Masks
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays
from ..head import Found, check_finite
from .boxes import clipped, corners_of
from .yolo_rows import Extras

MIN_SCORE, MAX_DETECTIONS = 0.25, 300


def given(extras: Extras) -> tuple[Key[Any], ...]:
    """The keys of what there is a result for."""
    return (DETECTIONS, LANDMARKS) if extras.points else (DETECTIONS,)


def kept_rows(
    name: str, table: NDArray[np.float32], rows: NDArray[np.int64], first_extra: int, extras: Extras
) -> Arrays:
    """Box and extras of ``rows`` of the output ``name``, float32 [A, R] of any strides, as arrays of their own.

    Raises:
        EngineError: there are rows, but in no row of the output a finite box.
    """
    boxes = np.ascontiguousarray(table[:, :4][rows])
    if len(rows) and not np.isfinite(boxes).any():
        check_finite(name, table[:, :4])
    behind = slice(first_extra, first_extra + extras.length)
    return {"boxes": boxes, "extras": np.ascontiguousarray(table[:, behind][rows])}


def kept_prototypes(extras: Extras, outputs: Any, rows: NDArray[np.int64]) -> Arrays:
    """The prototypes, float32 [M, Hp, Wp], where there are rows that need them.

    Raises:
        EngineError: they have no finite number.
    """
    if extras.prototypes is None or not len(rows):
        return {}
    prototypes = outputs[extras.prototypes][0]
    check_finite(extras.prototypes, prototypes)
    return {"prototypes": prototypes.copy()}


def corners(boxes: NDArray[np.float32], order: str, unit: str, size: Size) -> NDArray[np.float32]:
    """Boxes [K, 4] in the order and unit of a :class:`..description.Description` as (x1, y1, x2, y2), input pixels."""
    made = corners_of(boxes, order)
    return made * _extent(size) if unit == "relative" else made


def finite_rows(raw: RawOutputs) -> NDArray[np.int64]:
    """Rows without NaN and infinity, int64, ascending."""
    finite = np.isfinite(raw.arrays["boxes"]).all(axis=1) & np.isfinite(raw.arrays["scores"])
    return np.flatnonzero(finite & np.isfinite(raw.arrays["extras"]).all(axis=1))


def results(
    raw: RawOutputs,
    frame: Size,
    *,
    rows: NDArray[np.int64],
    boxes: NDArray[np.float32],
    extras: Extras,
    unit: str,
    names: tuple[str, ...],
) -> Found:
    """Detections, with masks or points, best first as ``rows`` are.

    A row that lies in the padding of the input, so that it has no area in the frame, is left out.
    Points are as the network gives them: one of an object at the border may lie outside of the frame.

    Args:
        raw: ``scores`` float32 [K], ``class_ids`` int32 [K], ``extras`` float32 [K, E], and ``prototypes``.
        frame: (height, width), displayed pixels.
        rows: int64 [N], of those K.
        boxes: float32 [N, 4], (x1, y1, x2, y2), input pixels.
        extras: what ``raw.arrays["extras"]`` are.
        unit: of the points: ``pixels`` of the input, or ``relative``.
        names: of the classes.
    """
    placed, seen = clipped(raw.affine.boxes(boxes), frame)
    rows, placed = rows[seen], placed[seen]
    behind = raw.arrays["extras"][rows]
    masks = None
    if extras.prototypes is not None:
        masks = _masks(raw, frame, placed, behind[:, : extras.coefficients])
    detections = Detections(placed, raw.arrays["scores"][rows], raw.arrays["class_ids"][rows], names, masks)
    if extras.points is None:
        return {DETECTIONS: detections}
    return {DETECTIONS: detections, LANDMARKS: _landmarks(raw, placed, behind, extras, unit)}


def _masks(raw: RawOutputs, frame: Size, boxes: NDArray[np.float32], coefficients: NDArray[np.float32]) -> Masks:
    """Masks of pixels whose centres lie in ``boxes``, [N, 4] within the frame."""
    if not len(boxes):
        return Masks(np.zeros((0, 4), np.int32), np.zeros(0, np.uint8), np.zeros(1, np.int64), frame)
    (x1, y1, x2, y2), window = seen_part(raw.affine, raw.size, frame)
    size, corner = (y2 - y1, x2 - x1), (x1, y1, x1, y1)
    relative = (boxes - np.array(corner, np.float32)) / _extent(size)
    prototypes = raw.arrays["prototypes"].transpose(1, 2, 0)
    limits = np.ceil(boxes - np.array(corner, np.float32) - np.float32(0.5)).astype(np.int32)
    tight, bits, offsets = assemble_masks(prototypes, coefficients, relative, size=size, window=window, limits=limits)
    filled = tight[:, 2:] > tight[:, :2]
    return Masks(tight + np.array(corner, np.int32) * filled.all(axis=1, keepdims=True), bits, offsets, frame)


def seen_part(
    affine: Affine, size: Size, frame: Size
) -> tuple[tuple[int, int, int, int], tuple[float, float, float, float]]:
    """Which whole pixels (x1, y1, x2, y2) of ``frame`` an input of ``size`` shows, and where they lie in it, in 0..1.

    All of the frame, unless its borders were cut off.
    """
    pixels, window = [], []
    for axis, (scale, offset) in enumerate(zip(affine.scale, affine.offset, strict=True)):
        shown, length = scale * size[1 - axis], frame[1 - axis]
        first, last = max(0, ceil(offset - 0.01)), min(length, floor(offset + shown + 0.01))
        pixels.append((first, last))
        window.append((max(0.0, (first - offset) / shown), min(1.0, (last - offset) / shown)))
    ((x1, x2), (y1, y2)), ((left, right), (top, bottom)) = pixels, window
    return (x1, y1, x2, y2), (left, top, right, bottom)


def _landmarks(
    raw: RawOutputs, boxes: NDArray[np.float32], values: NDArray[np.float32], extras: Extras, unit: str
) -> Landmarks:
    count = len(extras.point_names)
    table = values.reshape(len(boxes), count, values.shape[1] // count)
    points = table[:, :, :2]
    if unit == "relative":
        points = points * _extent(raw.size)[:2]
    scores = np.clip(table[:, :, 2], 0, 1) if table.shape[2] == 3 else np.ones(table.shape[:2], np.float32)
    rows = np.arange(len(boxes), dtype=np.int32)
    return Landmarks(raw.affine.points(points), scores, boxes, extras.point_names, rows, np.full_like(rows, -1))


def _extent(size: Size) -> NDArray[np.float32]:
    """(width, height) twice: what relative boxes are multiplied with."""
    return np.array((size[1], size[0]) * 2, np.float32)
