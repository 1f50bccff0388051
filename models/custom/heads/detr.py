"""Transformers that give a set of boxes: queries with logits, or labels, boxes and scores of the exported end.

Ultralytics exports RT-DETR with one output: ``[1, Q, 6]``, rows of box, score and class of the best pairs of query
and class, or (before version 8.4.47) ``[1, Q, 4 + C]``, the box of a query and its scores.

Sources: Carion et al., End-to-End Object Detection with Transformers, ECCV 2020 (softmax, the last column is no
object); Zhu et al., Deformable DETR, ICLR 2021, Zhao et al., DETRs Beat YOLOs on Real-time Object Detection,
CVPR 2024 (sigmoid, the best pairs of query and class).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, Head
from ..ultralytics import OF_YOLO
from .boxes import (
    BoxForm,
    ClassColumns,
    GivenRows,
    best_pairs,
    class_columns,
    finished,
    given_boxes,
    kept,
    output_of,
    softmax,
    wrong_count,
)
from .yolo_rows import BODY_POINTS, row_counts, shown

MIN_SCORE = 0.5
"""As the published demonstrations."""
MIN_SCORE_OF_ROWS = 0.25
"""As Ultralytics predicts."""
BOX, ROW, ROW_WITH_ANGLE = 4, 6, 7
FEWEST_QUERIES, MOST_QUERIES, USUAL_QUERIES = 10, 1000, 300
"""Of one output that nobody says to be a DETR's; the usual ones, RT-DETR's, where its classes are not named either."""
_SUPPRESSED = (2, 3, 2 + BODY_POINTS[0] * BODY_POINTS[1])
"""Numbers behind the box where a YOLO has suppressed: score and class, and an angle, or points."""


@dataclass(frozen=True, slots=True)
class Queries(ClassColumns):
    """A box and one logit (or score) per class for each query.

    Attributes:
        logits, boxes: names of the outputs: float32 [1, Q, C] and [1, Q, 4], or of one [1, Q, 4 + C] that is both.
        columns: C.
        scores: ``softmax``, ``sigmoid`` or ``given``.
        background: which column is no class.
        form: of the boxes.
    """

    logits: str
    boxes: str
    columns: int
    scores: str
    background: str
    form: BoxForm
    kind: str = "detr"

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The queries that score enough, best first."""

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            logits, boxes = outputs[self.logits][0], outputs[self.boxes][0][:, :BOX]
            if self.logits == self.boxes:
                logits = logits[:, BOX:]
            rows, ids, best = self.candidates(logits, choices)
            return kept(boxes[rows], ids, best, [(self.logits, logits), (self.boxes, boxes)])

        return pick

    def candidates(
        self, logits: NDArray[np.float32], choices: PostprocessOptions
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
        """Query, class and score of what scores enough, at most as many as there are queries.

        With softmax a query has its best class, else it may have several.

        Args:
            logits: float32 [Q, C].
        """
        min_score = MIN_SCORE if choices.min_score is None else choices.min_score
        classes = class_columns(self.columns, self.background)
        if self.scores == "softmax":
            shares = softmax(logits)[:, classes]
            others = np.arange(shares.shape[1]) != shares.argmax(axis=1)[:, None]
            shares[others] = -1
        else:
            shares = logits[:, classes]
        return best_pairs(
            shares, min_score=min_score, limit=len(logits), activate=self.scores == "sigmoid", classes=choices.classes
        )

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """Detections, best first. Nothing is suppressed unless ``nms_iou`` is given."""
        return finished(raw, self.form, frame, names, max_iou=choices.nms_iou, limit=choices.max_detections)


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """A head for labels, boxes and scores, for boxes and logits, or for one output of both; see :mod:`..head`."""
    given = given_boxes(outputs, about, kind="detr", unit="pixels")
    if given is not None:
        return given
    pair = _named_pair(outputs, about)
    if pair is None:
        return _unnamed(outputs, about) if len(outputs) > 1 else _one_output(outputs[0], about, size)
    return _queries(*pair, about, roboflow=pair[1].name == "dets")


def _named_pair(outputs: Sequence[TensorSpec], about: Description) -> tuple[TensorSpec, TensorSpec] | None:
    """Logits and boxes by their roles or names."""
    boxes = output_of(outputs, about, "boxes", ("pred_boxes", "dets"))
    names = ("labels",) if boxes is not None and boxes.name == "dets" else ("logits", "pred_logits")
    logits = output_of(outputs, about, "logits", names)
    if boxes is None and logits is not None:
        boxes = output_of(outputs, about, "boxes", ("boxes",))
    return None if logits is None or boxes is None else (logits, boxes)


def _unnamed(outputs: Sequence[TensorSpec], about: Description) -> Head | str | None:
    """Two outputs that are boxes and a table of as many rows: a DETR where the description says so."""
    tables = [spec for spec in outputs if len(spec.shape) == 3 and spec.dtype.kind == "f"]
    boxes = [spec for spec in tables if spec.shape[2] == 4]
    logits = [spec for spec in tables if spec.shape[2] != 4]
    if len(boxes) != 1 or len(logits) != 1 or boxes[0].shape[1] != logits[0].shape[1]:
        return None
    if about.head == "detr":
        return _queries(logits[0], boxes[0], about, roboflow=False)
    return (
        f"outputs {boxes[0].name!r} {boxes[0]} and {logits[0].name!r} {logits[0]} are boxes and scores of a DETR or "
        "of an SSD; say which (`head`)"
    )


def _one_output(spec: TensorSpec, about: Description, size: Size) -> Head | str | None:
    """Boxes and scores in the rows of one output; of many networks, unless it is said, or no other can be meant."""
    asked = about.head == "detr"
    if len(spec.shape) != 3 or spec.shape[0] != 1 or spec.shape[2] <= BOX or spec.dtype.kind != "f":
        return f"{shown(spec)} must be float32 [1, queries, 4 + classes]" if asked else None
    queries, columns = spec.shape[1], spec.shape[2] - BOX
    if not asked and spec.shape[2] == ROW_WITH_ANGLE and _may_name(about, 3):
        return (
            f"{shown(spec)} may be oriented boxes with score, class and angle, which are not supported, or boxes and "
            'scores of 3 classes; if so, say head = "detr"'
        )
    if not asked and not _looks_like_queries(queries, columns, about, size):
        return None
    form = BoxForm(about.boxes or "cxcywh", about.boxes_unit or "relative")
    if spec.shape[2] == ROW:
        rows = _are_finished(about)
        if rows is None:
            return (
                f"{shown(spec)} may be box, score and class of finished rows, as RT-DETRs of Ultralytics give them "
                "since version 8.4.47, or box and scores of two classes, as before; say which: end_to_end = true or "
                "false (in the TOML)"
            )
        if rows:
            named = None if about.classes is None else len(about.classes)
            return GivenRows("detr", *(spec.name,) * 3, form, class_count=named, min_score=MIN_SCORE_OF_ROWS)
    scores = about.scores or "given"
    background = about.background or ("last" if scores == "softmax" else "none")
    head = Queries(spec.name, spec.name, columns, scores, background, form)
    return wrong_count(spec, head.class_count, about) or head


def _may_name(about: Description, count: int) -> bool:
    return about.classes is None or len(about.classes) == count


def _are_finished(about: Description) -> bool | None:
    """Whether rows of six numbers have score and class behind the box, and not the scores of two classes."""
    if about.end_to_end is not None and about.sources.get("end_to_end") != OF_YOLO:
        return about.end_to_end
    return None if about.classes is None or len(about.classes) == 2 else True


def _looks_like_queries(queries: int, columns: int, about: Description, size: Size) -> bool:
    """Whether rows of one output are a DETR's and not a YOLO's, suppressed or not: by their number and classes."""
    if about.task is not None or about.end_to_end or about.objectness is not None or about.points is not None:
        return False
    if not FEWEST_QUERIES <= queries <= MOST_QUERIES or {queries, BOX + columns} & row_counts(size).keys():
        return False
    if about.classes is not None:
        return columns == len(about.classes) and columns not in _SUPPRESSED[:1]
    return queries == USUAL_QUERIES and columns not in _SUPPRESSED and BOX + columns < queries


def _queries(logits: TensorSpec, boxes: TensorSpec, about: Description, *, roboflow: bool) -> Head | str:
    for spec in (logits, boxes):
        if len(spec.shape) != 3 or spec.shape[0] != 1 or spec.dtype.kind != "f":
            return f"output {spec.name!r} must be float32 [1, queries, ..], got {spec}"
    if boxes.shape[2] != 4:
        return f"output {boxes.name!r} must be boxes [1, queries, 4], got {boxes}"
    if boxes.shape[1] != logits.shape[1]:
        return f"outputs {logits.name!r} {logits} and {boxes.name!r} {boxes} must have as many rows"
    scores = about.scores or ("sigmoid" if roboflow else _scores_of(logits, about))
    if scores is None:
        return wrong_count(logits, logits.shape[2], about) or (
            f"output {logits.name!r} {logits} may be {logits.shape[2]} classes (sigmoid) or {logits.shape[2] - 1} and "
            "no object (softmax); name the `classes`, or say `scores`"
        )
    background = about.background or _background_of(logits, about, scores)
    form = BoxForm(about.boxes or "cxcywh", about.boxes_unit or "relative")
    head = Queries(logits.name, boxes.name, logits.shape[2], scores, background, form)
    return wrong_count(logits, head.class_count, about) or head


def _scores_of(logits: TensorSpec, about: Description) -> str | None:
    """What makes scores of the logits: by the column of no object, or by the number of classes."""
    if about.background is not None:
        return "sigmoid" if about.background == "none" else "softmax"
    named = len(about.classes or ())
    return {logits.shape[2]: "sigmoid", logits.shape[2] - 1: "softmax"}.get(named) if named else None


def _background_of(logits: TensorSpec, about: Description, scores: str) -> str:
    """With softmax the last column is no object; else it is where one class fewer is named."""
    one_fewer = about.classes is not None and len(about.classes) == logits.shape[2] - 1
    return "last" if scores == "softmax" or one_fewer else "none"
