"""Persons with points in one go, as MMDeploy exports RTMO and YOLOX-Pose: ``dets`` and ``keypoints``.

Sources: Lu et al., RTMO: Towards High-Performance One-Stage Real-Time Multi-Person Pose Estimation, CVPR 2024; the
layout that MMDeploy exports.
"""

from __future__ import annotations

from collections.abc import Sequence

from ....engines.spec import TensorSpec
from ....pipeline.types.picture import Size
from ..description import Description
from ..head import Head
from .boxes import BoxForm, output_of
from .instances import PointDets, dets_among
from .mmdeploy import MIN_SCORE
from .yolo_rows import names_of_points, shown


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """A head for ``dets`` and ``keypoints``; see :mod:`..head`."""
    dets, points = dets_among(outputs, about), output_of(outputs, about, "points", ("keypoints",))
    if dets is None or points is None or points.dtype.kind != "f" or len(points.shape) != 4:
        return None
    count = dets.shape[1]
    if points.shape[:2] != (1, count) or points.shape[3] != 3:
        return f"{shown(points)} must be points [1, {count}, K, 3], those of each of {dets.name!r}"
    labels = output_of(outputs, about, "labels", ("labels",))
    names = names_of_points(points.shape[2], about)
    if isinstance(names, str):
        return names
    form = BoxForm(about.boxes or "xyxy", about.boxes_unit or "pixels")
    classes = 1 if labels is None else None if about.classes is None else len(about.classes)
    return PointDets(
        "rtmo", dets.name if labels is None else labels.name, dets.name, dets.name, form, class_count=classes,
        min_score=MIN_SCORE, one_class=labels is None, points=points.name, point_names=names,
    )  # fmt: skip
