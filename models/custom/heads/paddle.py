"""Detectors of PaddleDetection with their post-processing: rows of class, score and box, and perhaps their count.

``[N, 6]``, the box in pixels of what the inputs ``im_shape`` and ``scale_factor`` say the picture was, which is the
network's input here.

Source: PaddleDetection's documents of its exported models.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ..description import Description
from ..head import Head
from .boxes import BoxForm
from .detection_output import ClassFirst

COLUMNS = 6
"""Numbers in a row."""
_INPUTS = ("the input 'im_shape'", "the input 'scale_factor'")
"""Sources of ``boxes_unit`` that only these exporters have."""


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for one output [N, 6] of a network with Paddle's inputs, or where it is said; see :mod:`..head`."""
    if about.head != "paddle" and about.sources.get("boxes_unit") not in _INPUTS:
        return None
    rows = [spec for spec in outputs if spec.dtype.kind == "f" and len(spec.shape) == 2 and spec.shape[1] == COLUMNS]
    counts = [spec for spec in outputs if spec.dtype.kind == "i" and spec.shape in ((1,), ())]
    if len(rows) != 1 or len(counts) > 1:
        return None
    count = counts[0].name if counts else None
    form = BoxForm(about.boxes or "xyxy", "pixels")
    named = None if about.classes is None else len(about.classes)
    return ClassFirst("paddle", *(rows[0].name,) * 3, form, class_count=named, width=COLUMNS, count=count)
