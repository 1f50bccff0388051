"""YOLO whose graph has suppressed already: ``[1, N, 6]`` rows (x1, y1, x2, y2, score, class), best first or not.

As v10 and v26 give them, and whatever Ultralytics exports with ``nms=True``. Mask coefficients and
prototypes, or points, may follow. Rows that hold no detection score 0.

Source: the layouts that Ultralytics exports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ....engines.spec import TensorSpec
from ....kernels import queued
from ....kernels.device import device_of
from ....pipeline.errors import UsageError
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, Head, NotSupported
from .boxes import BoxForm
from .yolo import fit as fit_yolo
from .yolo_results import MAX_DETECTIONS, MIN_SCORE, Rows, Wanted, YoloRows
from .yolo_rows import Extras, prototypes_among, read_extras, row_counts, shown

COLUMNS = 6
MOST_ROWS = 1000
"""A graph leaves no more detections than this, where its rows may be a YOLO's before the suppression too."""


@dataclass(frozen=True, slots=True)
class YoloEndToEndHead(YoloRows):
    """Rows that are detections already.

    Attributes:
        predictions: name of the output.
        class_count: how many classes there are, of which the outputs have the numbers only; None: nothing says it.
        extras: what follows box, score and class.
        boxes, unit: order and unit of the four numbers, see :class:`..description.Description`.
        made_of: names of the maps that the graph has made the rows of, which nobody needs.
    """

    predictions: str
    class_count: int | None = None
    extras: Extras = field(default_factory=Extras)
    boxes: str = "xyxy"
    unit: str = "pixels"
    made_of: tuple[str, ...] = ()

    kind = "yolo-end2end"

    @property
    def reads(self) -> frozenset[str]:
        """Its rows, the prototypes where there are some, and the maps that the rows are made of."""
        return frozenset({self.predictions, self.extras.prototypes or self.predictions, *self.made_of})

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """Rows that score enough and are of a class that is wanted, best first."""
        for what, value in (("nms", choices.nms), ("nms_iou", choices.nms_iou)):
            if value is not None:
                raise UsageError(f"a yolo-end2end head has its suppression in the graph, got {what} {value!r}")
        min_score, wanted = _min_score(choices), Wanted(choices.classes)

        def pick(outputs: Mapping[str, Any]) -> Arrays:
            table = queued.first(outputs[self.predictions])
            rows, count = queued.top_scores(queued.column(table, 4), min_score=min_score, limit=len(table))
            best, numbers = queued.take_rows((queued.column(table, 4), queued.column(table, 5)), rows, count)
            found = rows, queued.class_numbers(numbers, count=count), best, count
            return self.kept(outputs, table, found, looked_at=slice(4, 5), wanted=wanted.on(device_of(table)))

        return pick

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """Map the rows to the frame.

        Raises:
            EngineError: a class has no name, or an output has no finite number.
        """
        rows = Rows.of(raw)
        limit = MAX_DETECTIONS if choices.max_detections is None else choices.max_detections
        best, count = queued.top_scores(rows.scores, min_score=_min_score(choices), limit=limit, count=rows.count)
        rows = rows.taken(best, count)
        boxes = BoxForm(self.boxes, self.unit).in_input(rows.boxes, raw.size, count)
        return self.results(raw, frame, replace(rows, boxes=boxes), unit=self.unit, names=names)


def _min_score(choices: PostprocessOptions) -> float:
    return MIN_SCORE if choices.min_score is None else choices.min_score


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head, if one output [1, N, 6 + extras] is not one row for each place of the maps of an input of ``size``."""
    tables = _tables(outputs, about, size)
    if not tables:
        return None
    spec = tables[0]
    asked = _asked(about) or (about.task in ("segment", "pose") and spec.shape[2] < spec.shape[1])
    behind = spec.shape[2] - COLUMNS
    if about.task == "obb" and spec.shape[2] < spec.shape[1]:
        return NotSupported(f"{shown(spec)} has oriented boxes (task obb): the head obb reads them")
    if len(tables) > 1:
        several = ", ".join(shown(each) for each in tables)
        return f"{several} each look like detections; say which (`outputs.predictions`)"
    if spec.dtype != np.float32:
        return f"{shown(spec)} must be floating-point numbers"
    if behind == 1 and about.points is None:
        why = "has one number more than box, score and class: of oriented boxes, the head obb reads them"
        return NotSupported(f"{shown(spec)} {why}") if asked else None
    extras = read_extras(behind, prototypes_among(outputs, about, size), about)
    if isinstance(extras, str):
        return f"{shown(spec)}: {extras}" if asked else None
    classes = None if about.classes is None else len(about.classes)
    form = about.boxes or "xyxy", about.boxes_unit or "pixels"
    head = YoloEndToEndHead(spec.name, classes, extras, *form, _made_of(spec, outputs))
    if not asked and about.end_to_end is False and spec.shape[1] not in row_counts(size):
        return (
            f"{shown(spec)} looks like detections, but the file says that its graph does not suppress any "
            f'({about.sources.get("end_to_end", "end_to_end")}); if it is an RT-DETR, say head = "detr"'
        )
    if asked or spec.shape[1] not in row_counts(size):
        return head
    return _where_a_yolo_has_as_many(head, spec, outputs, about, size)


def _where_a_yolo_has_as_many(
    head: YoloEndToEndHead, spec: TensorSpec, outputs: Sequence[TensorSpec], about: Description, size: Size
) -> Head | str | None:
    """``head`` of a number of rows that a YOLO has before the suppression, unless that must be meant."""
    if about.end_to_end is False or about.head is not None or spec.shape[1] > MOST_ROWS:
        return None
    if about.classes is None and isinstance(fit_yolo(outputs, about, size), str):
        return f"{shown(spec)} may be detections as well as one row for each place; say which (`head`, `classes`)"
    return head


def _made_of(spec: TensorSpec, outputs: Sequence[TensorSpec]) -> tuple[str, ...]:
    """Names of the maps of a CenterNet whose graph picks its ``detections`` from them: those of the same scope."""
    scope, _, last = spec.name.rpartition("/")
    if last != "detections":
        return ()
    return tuple(each.name for each in outputs if len(each.shape) == 4 and each.name.rpartition("/")[0] == scope)


def _asked(about: Description) -> bool:
    """Whether it is said that this head is the right one."""
    return about.head == YoloEndToEndHead.kind or bool(about.end_to_end)


def _tables(outputs: Sequence[TensorSpec], about: Description, size: Size) -> list[TensorSpec]:
    """Outputs that may be detections: [1, N, 6] or longer rows, alone but for prototypes."""
    named, counts = about.outputs.get("predictions"), row_counts(size)
    found = [spec for spec in outputs if named in (None, spec.name) and len(spec.shape) == 3 and spec.shape[0] == 1]
    found = [spec for spec in found if spec.shape[2] >= COLUMNS]
    if not _asked(about):
        found = [spec for spec in found if spec.shape[2] not in counts]
    if named is None and any(len(spec.shape) in (2, 3) and spec not in found for spec in outputs):
        return []
    return found
