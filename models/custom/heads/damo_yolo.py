"""Detectors that give decoded boxes and scores as two outputs of a row for each cell: DAMO-YOLO, and YOLO-NAS.

Numbers that are still to be decoded have the same shapes: where the end of the graph does not show that boxes are
computed from what the last convolutions gave, it is asked for.

Source: Xu et al., DAMO-YOLO, 2022; the exporters of both.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ..description import Description
from ..head import Head
from .boxes import BoxForm, wrong_count
from .ssd import Anchored
from .yolo_rows import LEVELS, end_of, shown

MAX_IOU = 0.7
_DECODING = ({"Add", "Sub"}, {"Add", "Exp"})
"""Operators by which corners are computed of distances, or boxes of logarithms."""


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for boxes [1, A, 4] and scores [1, A, C] with the rows of strides 8, 16 and 32; see :mod:`..head`."""
    rows = sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in LEVELS[0])
    tables = [spec for spec in outputs if spec.dtype.kind == "f" and spec.shape[:-1] == (1, rows)]
    boxes = [spec for spec in tables if spec.shape[2] == 4]
    scores = [spec for spec in tables if spec.shape[2] != 4]
    asked = about.head == "damo-yolo"
    if len(outputs) != 2 or len(boxes) != 1 or len(scores) != 1:
        wanted = f"it must have outputs [1, {rows}, 4] and [1, {rows}, C] for an input of {size[1]}x{size[0]}"
        return wanted if asked else None
    if not asked and not any(each <= end_of(boxes[0], about).operators for each in _DECODING):
        return (
            f"{shown(boxes[0])} and {shown(scores[0])} are boxes and scores of cells; say whether they are "
            'decoded, as corners in pixels (head = "damo-yolo")'
        )
    raw = [activation for activation, _ in end_of(scores[0], about).columns] == [""]
    head = Anchored(
        scores[0].name,
        boxes[0].name,
        scores[0].shape[2],
        about.scores or ("sigmoid" if raw else "given"),
        about.background or "none",
        BoxForm(about.boxes or "xyxy", about.boxes_unit or "pixels"),
        kind="damo-yolo",
        max_iou=MAX_IOU,
    )
    return wrong_count(scores[0], head.class_count, about) or head
