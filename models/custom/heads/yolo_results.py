"""From the rows that a YOLO's head keeps to results in displayed pixels."""

from __future__ import annotations

from collections.abc import Mapping
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
from .boxes import clipped, extent
from .yolo_rows import Extras

MIN_SCORE, MAX_DETECTIONS = 0.25, 300


class YoloRows:
    """What the heads of a YOLO's rows have in common.

    Attributes:
        predictions: name of the output.
        extras: what follows box and classes.
    """

    predictions: str
    extras: Extras

    @property
    def task(self) -> str:
        """What it finds."""
        return self.extras.task

    @property
    def point_names(self) -> tuple[str, ...]:
        """Names of the points of each object."""
        return self.extras.point_names

    @property
    def gives(self) -> tuple[Key[Any], ...]:
        """Detections, and points where there are some."""
        return (DETECTIONS, LANDMARKS) if self.extras.points else (DETECTIONS,)

    def kept(
        self,
        outputs: Mapping[str, NDArray[Any]],
        table: NDArray[np.float32],
        found: tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]],
        *,
        first_extra: int,
        classes: tuple[int, ...] | None,
    ) -> Arrays:
        """What is kept of the network's outputs, as arrays of their own.

        Args:
            outputs: of the network.
            table: the predictions, float32 [A, R] of any strides.
            found: the rows that score enough, their class ids and scores.
            first_extra: the column in which the extras begin.
            classes: that are wanted; None: all.

        Returns:
            ``boxes`` float32 [K, 4] as the network has them, ``scores`` float32 [K], ``class_ids`` int32 [K],
            ``extras`` float32 [K, E], and ``prototypes`` float32 [M, Hp, Wp] where K is not 0.

        Raises:
            EngineError: there are rows, but no row of the output has a finite box, or the prototypes no finite number.
        """
        rows, class_ids, scores = found
        if classes is not None:
            wanted = np.isin(class_ids, classes)
            rows, class_ids, scores = rows[wanted], class_ids[wanted], scores[wanted]
        boxes = np.ascontiguousarray(table[:, :4][rows])
        if len(rows) and not np.isfinite(boxes).any():
            check_finite(self.predictions, table[:, :4])
        extras = np.ascontiguousarray(table[:, first_extra : first_extra + self.extras.length][rows])
        kept = {"boxes": boxes, "extras": extras, "class_ids": class_ids, "scores": scores}
        if self.extras.prototypes is not None and len(rows):
            prototypes = outputs[self.extras.prototypes][0]
            check_finite(self.extras.prototypes, prototypes)
            kept["prototypes"] = prototypes.copy()
        return kept


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
    relative = (boxes - np.array(corner, np.float32)) / extent(size)
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
        points = points * extent(raw.size)[:2]
    scores = np.clip(table[:, :, 2], 0, 1) if table.shape[2] == 3 else np.ones(table.shape[:2], np.float32)
    rows = np.arange(len(boxes), dtype=np.int32)
    return Landmarks(raw.affine.points(points), scores, boxes, extras.point_names, rows, np.full_like(rows, -1))
