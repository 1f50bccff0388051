"""Transformers that give a set of boxes: queries with logits, or labels, boxes and scores of the exported end.

Ultralytics exports RT-DETR with one output: ``[1, Q, 6]``, rows of box, score and class of the best pairs of query
and class, or (before version 8.4.47) ``[1, Q, 4 + C]``, the box of a query and its scores.

RF-DETR has masks or points beside them. Its checkpoints of COCO have a column for each category id, its others one for
each class and a last one of no object.

Source: the layouts that Hugging Face, the authors of RT-DETR and D-FINE, Roboflow and Ultralytics export.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ...known_classes import COCO_IDS
from ..description import Description
from ..head import Head
from ..ultralytics import OF_YOLO
from .boxes import BoxForm, GivenBoxes, GivenRows, given_boxes, output_of, wrong_count
from .queries import BOX, MaskedQueries, Queries
from .query_points import FOUND, TRACE_ALPHA, PointQueries
from .yolo_rows import BODY_POINTS, names_of_points, row_counts, shown

MIN_SCORE_OF_ROWS = 0.25
"""As Ultralytics predicts."""
ROW, ROW_WITH_ANGLE = 6, 7
COCO_SLOTS = 91
"""Columns of a DETR's logits where they are COCO's category ids, of which 80 are classes."""
FEWEST_QUERIES, MOST_QUERIES, USUAL_QUERIES = 10, 1000, 300
"""Of one output that nobody says to be a DETR's; the usual ones, RT-DETR's, where its classes are not named either."""
_SUPPRESSED = (2, 3, 2 + BODY_POINTS[0] * BODY_POINTS[1])
"""Numbers behind the box where a YOLO has suppressed: score and class, and an angle, or points."""


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """A head for labels, boxes and scores, for boxes and logits, or for one output of both; see :mod:`..head`."""
    given = given_boxes(outputs, about, kind="detr", unit="pixels")
    if given is not None:
        return None if about.head is None and _is_unbatched(given, outputs) else given
    pair = _named_pair(outputs, about)
    if pair is None:
        return _unnamed(outputs, about) if len(outputs) > 1 else _one_output(outputs[0], about, size)
    if pair[0].dtype.kind != "f":
        return None  # labels, of rows that are finished
    return _queries(*pair, about, outputs)


def _is_unbatched(given: GivenBoxes | str, outputs: Sequence[TensorSpec]) -> bool:
    """Whether boxes are [N, 4], as those of torchvision and of detectron2, whose labels count otherwise."""
    return isinstance(given, GivenBoxes) and any(spec.name == given.boxes and len(spec.shape) == 2 for spec in outputs)


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
        return _queries(logits[0], boxes[0], about, outputs)
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
            f"{shown(spec)} may be oriented boxes with score, class and angle, or boxes and scores of 3 classes; say "
            'which: head = "obb" or head = "detr"'
        )
    if not asked and not _looks_like_queries(queries, columns, about, size):
        return None
    if not asked and about.classes is None:
        return (
            f"{shown(spec)} may be boxes and scores of {columns} classes, as RT-DETRs give them, or features; if they "
            'are boxes, name the classes (--labels, or `classes`), or say head = "detr"'
        )
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


def _queries(logits: TensorSpec, boxes: TensorSpec, about: Description, outputs: Sequence[TensorSpec]) -> Head | str:
    for spec in (logits, boxes):
        if len(spec.shape) != 3 or spec.shape[0] != 1 or spec.dtype.kind != "f":
            return f"output {spec.name!r} must be float32 [1, queries, ..], got {spec}"
    if boxes.shape[2] != 4:
        return f"output {boxes.name!r} must be boxes [1, queries, 4], got {boxes}"
    if boxes.shape[1] != logits.shape[1]:
        return f"outputs {logits.name!r} {logits} and {boxes.name!r} {boxes} must have as many rows"
    roboflow = boxes.name == "dets"
    scores = about.scores or ("sigmoid" if roboflow else _scores_of(logits, about))
    if scores is None:
        return wrong_count(logits, logits.shape[2], about) or (
            f"output {logits.name!r} {logits} may be {logits.shape[2]} classes (sigmoid) or {logits.shape[2] - 1} and "
            "no object (softmax); name the `classes`, or say `scores`"
        )
    background = about.background or _background_of(logits, about, scores)
    form = BoxForm(about.boxes or "cxcywh", about.boxes_unit or "relative")
    slots = _slots(logits, about)
    if isinstance(slots, str):
        return slots
    head = Queries(logits.name, boxes.name, logits.shape[2], scores, background, form, slots, about.most_pairs)
    return wrong_count(logits, head.class_count, about) or _with_more(head, boxes.shape[1], outputs, about, roboflow)


def _slots(logits: TensorSpec, about: Description) -> tuple[int, ...] | str | None:
    """The columns of the classes, where they are not all but a background."""
    named, columns = len(about.classes or ()), logits.shape[2]
    if about.class_slots is not None and len(about.class_slots) == named:
        if max(about.class_slots) >= columns:
            source = about.sources.get("class_slots", "the description")
            return f"output {logits.name!r} {logits} has no column {max(about.class_slots)}, which {source} names"
        return about.class_slots
    return COCO_IDS if (columns, named) == (COCO_SLOTS, len(COCO_IDS)) else None


def _with_more(
    head: Queries, queries: int, outputs: Sequence[TensorSpec], about: Description, roboflow: bool
) -> Head | str:
    """``head`` with the masks or points that there are."""
    masks = output_of(outputs, about, "masks", ("masks", "pred_masks") if roboflow or about.head == "detr" else ())
    points = output_of(outputs, about, "points", ("keypoints", "pred_keypoints") if roboflow else ())
    for role, found in (("masks", masks), ("points", points)):
        if found is None and role in about.outputs:
            return f"there is no output {about.outputs[role]!r}, which {about.sources['outputs']} names (`{role}`)"
    if masks is not None and points is not None:
        return f"outputs {shown(masks)} and {shown(points)} are not read together; `ignore` one of them"
    base: dict[str, Any] = {each.name: getattr(head, each.name) for each in fields(Queries)}
    if masks is not None:
        if len(masks.shape) != 4 or masks.shape[:2] != (1, queries) or masks.dtype.kind != "f":
            return f"output {masks.name!r} must be masks float32 [1, {queries}, h, w], got {masks}"
        return MaskedQueries(**base, masks=masks.name)
    return head if points is None else _with_points(base, points, queries, about)


def _with_points(base: dict[str, Any], points: TensorSpec, queries: int, about: Description) -> Head | str:
    """The queries with points of each class that has some."""
    shape = points.shape
    if len(shape) != 4 or shape[:2] != (1, queries) or shape[3] <= FOUND or points.dtype.kind != "f":
        return f"{shown(points)} must be points float32 [1, {queries}, points of all classes, 3 or more]"
    counts = about.point_counts
    if counts is None and about.points is not None:
        counts = (about.points[0],) * max(1, shape[2] // about.points[0])
    if counts is None:
        return f"{shown(points)} has {shape[2]} points of all classes; say `points` = [points of a class, 3]"
    most = max(counts, default=0)
    if not most or len(counts) * most != shape[2]:
        return f"{shown(points)} must have {len(counts)} x {most} points, those of {len(counts)} classes (`points`)"
    names = names_of_points(most, about)
    if isinstance(names, str):
        return names
    alpha = TRACE_ALPHA if about.trace_alpha is None else about.trace_alpha
    return PointQueries(**base, points=points.name, counts=counts, trace_alpha=alpha, point_names=names)


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
