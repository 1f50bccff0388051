"""UltraFace: faces, decoded in the graph, with the scores of background and face.

Source: github.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB, its exported files and demonstrations.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ..description import Description
from ..head import Head
from .boxes import BoxForm, wrong_count
from .ssd import Anchored

STRIDES, ANCHORS = (8, 16, 32, 64), (3, 2, 2, 3)
MAX_IOU = 0.3


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for ``boxes`` [1, P, 4] and ``scores`` [1, P, 2] with the rows of its maps; see :mod:`..head`."""
    rows = sum(
        -(-size[0] // stride) * -(-size[1] // stride) * anchors
        for stride, anchors in zip(STRIDES, ANCHORS, strict=True)
    )
    shapes = {spec.name: spec.shape for spec in outputs if spec.dtype.kind == "f"}
    if len(outputs) != 2 or shapes != {"boxes": (1, rows, 4), "scores": (1, rows, 2)}:
        wanted = f"it must have boxes [1, {rows}, 4] and scores [1, {rows}, 2] for an input of {size[1]}x{size[0]}"
        return wanted if about.head == "ultraface" else None
    form = BoxForm("xyxy", "relative")
    head = Anchored("scores", "boxes", 2, about.scores or "given", "first", form, kind="ultraface", max_iou=MAX_IOU)
    scores = next(spec for spec in outputs if spec.name == "scores")
    return wrong_count(scores, head.class_count, about) or head
