"""YOLO as most are exported: one row for each place of the maps, boxes not yet suppressed.

``[1, 4 + C, A]`` without objectness (v8, v9, v11, v12) and ``[1, A, 5 + C]`` with it (v5, v6, v7), either of
them the other way round too, with mask coefficients and prototypes, or with points, behind the classes. How
many rows A there are follows from the input's size, and tells which way round an output lies, and whether
the network has anchors, and with them objectness. Boxes and points must be decoded in the graph: where its end shows
that they are not, it is another head's (see :func:`.yolo_rows.how_left`).

Source: the layouts that Ultralytics, YOLOv6 and YOLOv7 export; suppression as theirs, with their defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from .boxes import BoxForm, sigmoid
from .yolo_results import MAX_DETECTIONS, MIN_SCORE, Rows, Wanted, YoloRows
from .yolo_rows import ANCHORS, BODY_POINTS, Extras, how_left, prototypes_among, read_extras, row_counts, shown

NMS_IOU, NMS_IOU_OBJECTNESS = 0.7, 0.45
"""As Ultralytics suppresses without and (v5) with objectness."""


@dataclass(frozen=True, slots=True)
class YoloHead(YoloRows):
    """One box and one class for each row, greedily suppressed class by class.

    Attributes:
        predictions: name of the output.
        class_count: how many columns of scores.
        columns_first: the output is [1, columns, rows].
        objectness: a column before the scores multiplies them.
        extras: what follows the scores.
        boxes, unit: order and unit of the four numbers, see :class:`..description.Description`.
        logits: scores and objectness still need their sigmoid.
    """

    predictions: str
    class_count: int
    columns_first: bool
    objectness: bool = False
    extras: Extras = field(default_factory=Extras)
    boxes: str = "cxcywh"
    unit: str = "pixels"
    logits: bool = False

    kind = "yolo"

    @property
    def device_outputs(self) -> tuple[str, ...]:
        """Those that it reads, unless the objectness needs a sigmoid of its own, which is NumPy's."""
        return () if self.logits and self.objectness else self.outputs

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """Rows whose best class scores enough and is wanted."""
        if choices.nms is not None:
            raise UsageError(f"a yolo head suppresses class by class and in no other way, got nms {choices.nms!r}")
        min_score = MIN_SCORE if choices.min_score is None else choices.min_score
        first = 5 if self.objectness else 4
        end, wanted = first + self.class_count, Wanted(choices.classes)

        def pick(outputs: Mapping[str, Any]) -> Arrays:
            table = queued.first(outputs[self.predictions])
            table = queued.moved_axes(table, (1, 0)) if self.columns_first else table
            factors = queued.column(table, 4) if self.objectness else None
            if factors is not None and self.logits:
                factors = sigmoid(factors)
            found = queued.best_classes(
                queued.columns(table, first, end), min_score=min_score, objectness=factors, sigmoid=self.logits
            )
            return self.kept(outputs, table, found, looked_at=slice(first, end), wanted=wanted.on(device_of(table)))

        return pick

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """Suppress what overlaps, and map the rest to the frame."""
        default_iou = NMS_IOU_OBJECTNESS if self.objectness else NMS_IOU
        rows = Rows.of(raw)
        boxes = BoxForm(self.boxes, self.unit).in_input(rows.boxes, raw.size, rows.count)
        kept, count = queued.class_nms(
            boxes,
            rows.scores,
            rows.class_ids,
            max_iou=default_iou if choices.nms_iou is None else choices.nms_iou,
            limit=MAX_DETECTIONS if choices.max_detections is None else choices.max_detections,
            count=rows.count,
        )
        return self.results(raw, frame, replace(rows, boxes=boxes).taken(kept, count), unit=self.unit, names=names)


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head, if one output has as many rows as a YOLO has for an input of (height, width) ``size``."""
    if about.end_to_end and about.head is None:
        return None
    counts = row_counts(size)
    tables = _tables(outputs, about)
    if tables and about.task == "obb":
        return NotSupported(f"{shown(tables[0])} has oriented boxes (task obb): the head obb reads them")
    near = [spec for spec in tables if _sides(spec, counts)]
    if not near:
        return _why_not(outputs, about, size)
    if len(near) > 1:
        several = ", ".join(shown(spec) for spec in near)
        return f"{several} each look like predictions; say which (`outputs.predictions`)"
    spec = near[0]
    if spec.dtype != np.float32:
        return f"{shown(spec)} must be floating-point numbers"
    if about.scores == "softmax":
        return f"{shown(spec)} has scores of their own for each class, not a softmax over them (`scores`)"
    left = how_left(spec, about, size)
    if left == "open":
        return (
            f"{shown(spec)} is as YOLOX's authors export it: say whether its boxes are still to be decoded "
            '(head = "yolox") or decoded in the graph (head = "yolo" and objectness = true)'
        )
    if left is not None:
        return f"{shown(spec)} has boxes that are still to be decoded, as the end of the graph shows: it is head {left}"
    found = list(_readings(spec, counts, prototypes_among(outputs, about, size), about))
    fitting = [head for head in found if isinstance(head, YoloHead)]
    if len(fitting) > 1:
        several = ", or ".join(f"{'objectness and ' * head.objectness}{head.class_count} classes" for head in fitting)
        return f"{shown(spec)} may have {several}; say which (`classes` or `objectness`)"
    return fitting[0] if fitting else f"{shown(spec)}: {found[0]}"


def _tables(outputs: Sequence[TensorSpec], about: Description) -> list[TensorSpec]:
    """Outputs that may be predictions: three dimensions, box and at least one class, and no boxes beside them."""
    named = about.outputs.get("predictions")
    tables = [spec for spec in outputs if len(spec.shape) == 3 and spec.shape[0] == 1 and named in (None, spec.name)]
    separate = {length for spec in outputs if len(spec.shape) == 3 and 4 in spec.shape[1:] for length in spec.shape[1:]}
    if named is None:
        tables = [spec for spec in tables if not separate & set(spec.shape[1:])]
    return [spec for spec in tables if min(spec.shape[1:]) > 4]


def _sides(spec: TensorSpec, counts: Mapping[int, int]) -> list[int]:
    """Which of the axes 1 and 2 of an output has as many rows as there must be."""
    return [axis for axis in (2, 1) if spec.shape[axis] in counts]


def _readings(
    spec: TensorSpec, counts: Mapping[int, int], prototypes: Sequence[TensorSpec], about: Description
) -> Iterator[YoloHead | str]:
    """What ``spec`` may be, each way round and with or without objectness, or in a few words why it is not."""
    for axis in _sides(spec, counts):
        columns_first = axis == 2
        if about.objectness is not None:
            objectness: Iterable[bool] = (about.objectness,)
        elif counts[spec.shape[axis]] > 1:
            objectness = (True,)
        else:
            objectness = (False,) if columns_first else (False, True)
        for has in objectness:
            head = YoloHead(
                spec.name,
                0,
                columns_first,
                has,
                boxes=about.boxes or "cxcywh",
                unit=about.boxes_unit or "pixels",
                logits=about.scores == "sigmoid",
            )
            yield _with_classes(head, spec.shape[3 - axis] - (5 if has else 4), prototypes, about)


def _with_classes(head: YoloHead, columns: int, prototypes: Sequence[TensorSpec], about: Description) -> YoloHead | str:
    """``head`` with its classes and extras, which are ``columns`` numbers in a row."""
    if about.classes is None:
        return _classes_derived(head, columns, prototypes, about)
    count = len(about.classes)
    behind = columns - count
    if behind < 0:
        return f"its rows have {columns} scores, but {count} classes are named; correct `classes`"
    if behind == 1 and about.points is None:
        return (
            f"its rows have one number more than box and {count} classes: correct `classes`; if it is the angle of "
            'oriented boxes, say head = "obb"'
        )
    extras = read_extras(behind, prototypes, about)
    if isinstance(extras, Extras):
        return replace(head, class_count=count, extras=extras)
    for coefficients in (spec.shape[1] for spec in prototypes if 0 < columns - spec.shape[1] != count):
        scores = columns - coefficients
        return f"its rows have {scores} scores and {coefficients} mask coefficients, but {count} classes are named"
    return extras


def _classes_derived(
    head: YoloHead, columns: int, prototypes: Sequence[TensorSpec], about: Description
) -> YoloHead | str:
    """The same where no classes are named: what is neither box nor extra is a class."""
    usable = [spec.shape[1] for spec in prototypes if spec.shape[1] < columns]
    behind = 0
    if about.points is not None:
        behind = about.points[0] * about.points[1]
    elif about.task == "pose":
        behind = columns - 1  # one class, as the published ones have
    elif usable:
        behind = usable[0]
    elif columns - 1 == BODY_POINTS[0] * BODY_POINTS[1]:
        return f"its rows may have {columns} classes, or one class and 17 points; say which (`classes` or `points`)"
    if columns - behind < 1:
        return f"its rows have {columns} numbers behind the box, {behind} of them no scores: no class is left"
    extras = read_extras(behind, prototypes, about)
    return extras if isinstance(extras, str) else replace(head, class_count=columns - behind, extras=extras)


def _why_not(outputs: Sequence[TensorSpec], about: Description, size: Size) -> str | None:
    """Where no output has the right number of rows."""
    for spec in outputs:
        if len(spec.shape) == 5 and spec.shape[2:4] == (-(-size[0] // 8), -(-size[1] // 8)) and spec.shape[4] > 4:
            return NotSupported(
                f"{shown(spec)} is a map of a YOLO whose boxes are still to be decoded; export it with its "
                "decoding, as one output of three dimensions"
            )
    tables = _tables(outputs, about)
    named = about.head == YoloHead.kind or "predictions" in about.outputs
    if not tables or not (named or max(tables[0].shape) > 1000):
        return None
    wanted = " or ".join(str(count) for count in list(row_counts(size))[-len(ANCHORS) :])
    return f"{shown(tables[0])} must have {wanted} rows for an input of {size[1]}x{size[0]}"
