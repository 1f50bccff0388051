"""From the rows that a YOLO's head keeps to results in displayed pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....kernels import queued
from ....kernels.box_rows import Shown
from ....kernels.device import Device
from ....pipeline.errors import EngineError
from ....pipeline.packet import DETECTIONS, LANDMARKS, Key
from ....pipeline.types.affine import Affine
from ....pipeline.types.detections import Detections
from ....pipeline.types.landmarks import Landmarks
from ....pipeline.types.masks import Masks
from ....pipeline.types.picture import Size
from ....stages.inference.constants import DeviceConstants
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays
from ..head import Found, check_finite, without_finite
from .boxes import clipped, extent
from .yolo_rows import Extras

MIN_SCORE, MAX_DETECTIONS = 0.25, 300
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of the predictions, in host memory or on a device, of which ``count`` says how many count (None: all).

    Attributes:
        boxes: float32 [N, 4].
        scores: float32 [N]; NaN where the row does not count.
        class_ids: int32 [N].
        extras: float32 [N, E].
        count: int32 [1] on a device.
    """

    boxes: Any
    scores: Any
    class_ids: Any
    extras: Any
    count: queued.Count = None

    @classmethod
    def of(cls, raw: RawOutputs) -> Rows:
        """What :meth:`YoloRows.kept` gave."""
        arrays = raw.arrays
        return cls(arrays["boxes"], arrays["scores"], arrays["class_ids"], arrays["extras"], arrays.get("count"))

    def taken(self, rows: Any, count: queued.Count) -> Rows:
        """Those at ``rows``, int64 [M], in their order."""
        tables = self.boxes, self.scores, self.class_ids, self.extras
        boxes, scores, class_ids, extras = queued.take_rows(tables, rows, count)
        return Rows(boxes, scores, class_ids, extras, count)


class Wanted:
    """Numbers of the classes that are asked for (None: all), wherever they are read."""

    def __init__(self, classes: tuple[int, ...] | None) -> None:
        self._classes = None if classes is None else np.array(classes, np.int32)
        self._copies = DeviceConstants()

    def on(self, device: Device) -> Any:
        """int32 [C] on a device, or None."""
        return None if self._classes is None else self._copies.on(device, "classes", self._classes)


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
    def reads(self) -> frozenset[str]:
        """Predictions, and prototypes where there are some."""
        return frozenset({self.predictions, self.extras.prototypes or self.predictions})

    @property
    def gives(self) -> tuple[Key[Any], ...]:
        """Detections, and points where there are some."""
        return (DETECTIONS, LANDMARKS) if self.extras.points else (DETECTIONS,)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs that it reads: predictions, and prototypes where there are some."""
        others = () if self.extras.prototypes is None else (self.extras.prototypes,)
        return (self.predictions, *others)

    @property
    def device_outputs(self) -> tuple[str, ...]:
        """Those that it reads."""
        return self.outputs

    def kept(
        self, outputs: Mapping[str, Any], table: Any, found: queued.Found, *, looked_at: slice, wanted: Any
    ) -> Arrays:
        """What is kept of the network's outputs, as arrays of their own.

        Args:
            outputs: of the network.
            table: the predictions, float32 [A, R] of any strides; the last columns are the extras.
            found: the rows that score enough, their class ids and scores, and how many they are on a device.
            looked_at: the columns of the table that say what they score.
            wanted: int32 [C], classes; None: all.

        Returns:
            ``boxes`` float32 [K, 4] as the network has them, ``scores`` float32 [K], ``class_ids`` int32 [K],
            ``extras`` float32 [K, E], and ``prototypes`` float32 [M, Hp, Wp] where K is not 0. The score is NaN in rows
            that do not count: of a class that is not wanted, or with a number that is not finite. On a device K is how
            many rows there may be, ``count`` int32 [1] how many there are, and ``report`` what :meth:`check_report`
            reads.

        Raises:
            EngineError: in host memory, of what :meth:`check_report` says.
        """
        (rows, class_ids, best, count), end = found, table.shape[1]
        scores, all_boxes = queued.columns(table, looked_at.start, looked_at.stop), queued.columns(table, 0, 4)
        all_extras = queued.columns(table, end - self.extras.length, end)
        boxes, extras = queued.take_rows((all_boxes, all_extras), rows, count)
        usable = queued.usable_scores(best, class_ids, boxes, extras, classes=wanted, count=count)
        arrays = {"boxes": boxes, "extras": extras, "class_ids": class_ids, "scores": usable}
        prototypes = None
        if self.extras.prototypes is not None and len(boxes):
            prototypes = queued.first(outputs[self.extras.prototypes]).copy()
            arrays |= {"prototypes": prototypes}
        if count is None:
            self._check(scores, all_boxes, boxes, prototypes)
            return arrays
        looked = scores, all_boxes, *(() if prototypes is None else (queued.in_one_row(prototypes),))
        return arrays | {"count": count, "report": queued.finite_report(looked, count)}

    def _check(self, scores: Floats, all_boxes: Floats, boxes: Floats, prototypes: Floats | None) -> None:
        """As :meth:`check_report`, of outputs in host memory; ``boxes`` are those of the rows that were found."""
        if not len(boxes):
            check_finite(self.predictions, scores)
        elif not np.isfinite(boxes).any():
            check_finite(self.predictions, all_boxes)
        if prototypes is not None:
            check_finite(self.outputs[-1], prototypes)

    def check_report(self, report: NDArray[np.int32]) -> None:
        """What was found in outputs on a device: whether scores, boxes and prototypes have a number, and how many rows.

        Raises:
            EngineError: no score is finite and there are no rows; or there are, but no box or no prototype is finite.
        """
        (scores, boxes, *prototypes), found = report[:-1].tolist(), int(report[-1])
        if not (boxes if found else scores):
            raise without_finite(self.predictions)
        if found and 0 in prototypes:
            raise without_finite(self.outputs[-1])

    def results(self, raw: RawOutputs, frame: Size, found: Rows, *, unit: str, names: tuple[str, ...]) -> Found:
        """Detections, with masks or points, best first as ``found`` is; from a device in one transfer, the only wait.

        A row that lies in the padding of the input, so that it has no area in the frame, is left out.
        Points are as the network gives them: one of an object at the border may lie outside of the frame.

        Args:
            raw: what :meth:`kept` gave.
            frame: (height, width), displayed pixels.
            found: with boxes (x1, y1, x2, y2) in input pixels.
            unit: of the points: ``pixels`` of the input, or ``relative``.
            names: of the classes.

        Raises:
            EngineError: a class has no name, or see :meth:`check_report`.
        """
        tables = [found.boxes, found.scores, found.class_ids, *([found.extras] if self.extras.points else [])]
        masks = None
        if self.extras.prototypes is None:
            fetched = queued.fetch(tables, found.count, raw.arrays.get("report"))
        else:
            fetched, masks = _with_masks(raw, frame, found, tables)
        boxes, scores, class_ids, *behind = fetched
        if "report" in raw.arrays:
            self.check_report(behind.pop())
        self._check_classes(class_ids, names)
        with np.errstate(over="ignore"):  # a coordinate beyond all floats becomes infinity
            placed, seen = clipped(raw.affine.boxes(boxes), frame)
        if len(seen) < len(placed):
            placed, scores, class_ids, *behind = (array[seen] for array in (placed, scores, class_ids, *behind))
            masks = None if masks is None else masks[seen]
        detections = Detections(placed, scores, class_ids, names, masks)
        if self.extras.points is None:
            return {DETECTIONS: detections}
        return {DETECTIONS: detections, LANDMARKS: landmarks(raw, placed, behind[0], self.extras, unit)}

    def _check_classes(self, class_ids: NDArray[np.int32], names: tuple[str, ...]) -> None:
        unnamed = class_ids[(class_ids < 0) | (class_ids >= len(names))]
        if len(unnamed):
            raise EngineError(
                f"output {self.predictions!r} has class {unnamed[0]}, but {len(names)} classes are named; "
                "correct `classes`"
            )


def _with_masks(raw: RawOutputs, frame: Size, found: Rows, tables: list[Any]) -> tuple[tuple[NDArray[Any], ...], Masks]:
    """``tables`` in host memory, and masks of pixels whose centres lie in the boxes, empty beside the frame."""
    prototypes = raw.arrays.get("prototypes")
    if prototypes is None:  # in host memory, where nothing was found
        return tuple(tables), Masks(np.zeros((0, 4), np.int32), np.zeros(0, np.uint8), np.zeros(1, np.int64), frame)
    part, window = seen_part(raw.affine, raw.size, frame)
    shown = Shown(raw.affine.scale, raw.affine.offset, frame, part)
    relative, limits = queued.placed_boxes(found.boxes, shown, count=found.count)
    x1, y1, x2, y2 = part
    fetched, (tight, bits, offsets) = queued.fetch_masks(
        queued.moved_axes(prototypes, (1, 2, 0)), found.extras, relative, tables,
        size=(y2 - y1, x2 - x1), window=window, limits=limits, count=found.count, note=raw.arrays.get("report"),
    )  # fmt: skip
    filled = (tight[:, 2:] > tight[:, :2]).all(axis=1, keepdims=True)
    return fetched, Masks(tight + np.array((x1, y1) * 2, np.int32) * filled, bits, offsets, frame)


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


def landmarks(
    raw: RawOutputs, boxes: NDArray[np.float32], values: NDArray[np.float32], extras: Extras, unit: str
) -> Landmarks:
    """The points of the objects in ``boxes`` [N, 4], of frame pixels, whose ``values`` are float32 [N, E]."""
    count = len(extras.point_names)
    table = values.reshape(len(boxes), count, values.shape[1] // count)
    points = table[:, :, :2]
    if unit == "relative":
        points = points * extent(raw.size)[:2]
    scores = np.clip(table[:, :, 2], 0, 1) if table.shape[2] == 3 else np.ones(table.shape[:2], np.float32)
    rows = np.arange(len(boxes), dtype=np.int32)
    return Landmarks(raw.affine.points(points), scores, boxes, extras.point_names, rows, np.full_like(rows, -1))
