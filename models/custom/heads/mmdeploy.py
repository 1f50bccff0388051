"""Detectors of MMDetection as MMDeploy exports them: ``dets`` of boxes and scores, ``labels``, and masks of some.

Masks cover the input (RTMDet-Ins, or post-processed ones), or are pasted into their boxes (Mask R-CNN).

Source: the layouts that MMDeploy exports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ..description import Description
from ..head import Head
from .boxes import BoxForm, output_of
from .instances import GivenDets, MaskedDets, covers_box, dets_among
from .yolo_rows import shown

MIN_SCORE = 0.3
"""As its demonstrations show."""


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """A head for ``dets`` and ``labels``, with ``masks`` or without; see :mod:`..head`."""
    dets, labels = dets_among(outputs, about), output_of(outputs, about, "labels", ("labels",))
    if dets is None or labels is None or labels.dtype.kind != "i":
        return None
    count = dets.shape[1]
    if labels.shape not in ((1, count), (count,)):
        return f"{shown(labels)} must be labels int64 [1, {count}], one for each of {dets.name!r}"
    form = BoxForm(about.boxes or "xyxy", about.boxes_unit or "pixels")
    known: dict[str, Any] = {"kind": "mmdeploy", "labels": labels.name, "scores": dets.name, "boxes": dets.name}
    known |= {"form": form, "min_score": MIN_SCORE}
    known["class_count"] = None if about.classes is None else len(about.classes)
    masks = output_of(outputs, about, "masks", ("masks",))
    if masks is None:
        return GivenDets(**known)
    pasted = covers_box(masks, size)
    if len(masks.shape) != 4 or masks.shape[:2] != (1, count) or not (pasted or masks.shape[2:] == size):
        return f"{shown(masks)} must be masks [1, {count}, {size[0]}, {size[1]}] of the input, or [1, {count}, 28, 28]"
    return MaskedDets(**known, masks=masks.name, pasted=pasted)
