"""Rows of a detector that has suppressed by itself: image, class, score and box, as an SSD's last layer gives them.

``[1, 1, N, 7]``, the box relative to the input; the first row of a negative image ends them.

Source: OpenVINO's operation DetectionOutput-8, after Caffe's layer.
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
from .yolo_rows import shown

COLUMNS = 7
"""Numbers in a row."""


@dataclass(frozen=True, slots=True)
class ClassFirst(GivenBoxes):
    """Rows whose last six numbers are class, score and box, all of one output, which all three names are of.

    Attributes:
        width: numbers in a row; of seven the first is the picture's.
        count: name of the output that says how many rows there are; None: as many as are not ended.
    """

    width: int = COLUMNS
    count: str | None = None

    @property
    def reads(self) -> frozenset[str]:
        """The rows, and their count."""
        return frozenset({self.boxes, self.count or self.boxes})

    def columns(self, outputs: Mapping[str, NDArray[Any]]) -> tuple[Floats, NDArray[np.int64], Floats]:
        """As of :class:`GivenBoxes`; a class that is no number is no object."""
        table = outputs[self.boxes].reshape(-1, self.width)
        if self.width == COLUMNS:
            ended = np.flatnonzero(~(table[:, 0] >= 0))
            table = table[: ended[0] if len(ended) else None, 1:]
        if self.count is not None:
            table = table[: max(0, int(outputs[self.count].reshape(-1)[0]))]
        ids = np.where(np.abs(table[:, 0]) < 2**30, np.rint(table[:, 0]), -1).astype(np.int64)
        return np.ascontiguousarray(table[:, 1]), np.where(ids < 0, -1, ids - self.first_class), table[:, 2:]


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for one output [1, 1, N, 7]; see :mod:`..head`. Class 0 is background unless it is said otherwise."""
    asked = about.head == "detection-output"
    if len(outputs) != 1 or len(outputs[0].shape) != 4:
        return None
    spec = outputs[0]
    if spec.shape[:2] != (1, 1) or spec.shape[3] != COLUMNS:
        return None
    if spec.dtype.kind != "f":
        return f"{shown(spec)} must be floating-point numbers" if asked else None
    form = BoxForm(about.boxes or "xyxy", about.boxes_unit or "relative")
    first = 0 if about.background == "none" else 1
    named = None if about.classes is None else len(about.classes)
    return ClassFirst("detection-output", *(spec.name,) * 3, form, first, named)
