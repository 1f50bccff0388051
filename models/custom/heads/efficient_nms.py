"""Detectors whose graph ends in a suppression that gives a number of detections beside boxes, scores and classes.

YOLOv6, YOLOv7, YOLOv8 and DAMO-YOLO exported for TensorRT (its plugin EfficientNMS), and MMYOLO. Rows behind that
number hold anything.

Source: the outputs of TensorRT's plugin EfficientNMS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ..description import Description
from ..head import Head
from .boxes import BoxForm, Floats, GivenBoxes
from .yolo_results import MIN_SCORE
from .yolo_rows import shown

COUNT = "num_dets"
NAMES = (("det_boxes", "det_scores", "det_classes"), ("boxes", "scores", "labels"))


@dataclass(frozen=True, slots=True)
class CountedBoxes(GivenBoxes):
    """Boxes, scores and labels, of which only the first rows are detections.

    Attributes:
        count: name of the output that says how many, int64 [1, 1] or [1].
    """

    count: str = COUNT

    @property
    def reads(self) -> frozenset[str]:
        """All four."""
        return frozenset({self.labels, self.scores, self.boxes, self.count})

    def columns(self, outputs: Mapping[str, NDArray[Any]]) -> tuple[Floats, NDArray[np.int64], Floats]:
        """As of :class:`GivenBoxes`, of the detections alone."""
        scores, ids, boxes = GivenBoxes.columns(self, outputs)
        rows = slice(max(0, int(outputs[self.count].reshape(-1)[0])))
        return scores[rows], ids[rows], boxes[rows]


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head, if there are the four outputs by their names; see :mod:`..head`."""
    by_name = {spec.name: spec for spec in outputs}
    names = next((names for names in NAMES if {COUNT, *names} <= set(by_name)), None)
    if names is None:
        return None
    count = by_name[COUNT]
    boxes, scores, labels = (by_name[name] for name in names)
    if boxes.dtype.kind != "f" or len(boxes.shape) != 3 or boxes.shape[0] != 1 or boxes.shape[2] != 4:
        return f"{shown(boxes)} must be boxes float32 [1, N, 4]"
    for spec, kind in ((scores, "f"), (labels, "i")):
        if spec.shape not in ((1, boxes.shape[1]), (1, boxes.shape[1], 1)) or spec.dtype.kind != kind:
            wanted = "float32" if kind == "f" else "whole numbers"
            return f"{shown(spec)} must be {wanted} [1, {boxes.shape[1]}], one for each box"
    if count.dtype.kind != "i" or count.shape not in ((1, 1), (1,)):
        return f"{shown(count)} must be a whole number [1, 1]"
    return CountedBoxes(
        "efficient-nms",
        labels.name,
        scores.name,
        boxes.name,
        BoxForm(about.boxes or "xyxy", about.boxes_unit or "pixels"),
        1 if about.background == "first" else 0,
        None if about.classes is None else len(about.classes),
        MIN_SCORE,
    )
