"""What the heads of points alone share: the points of one person, who is not looked for, as landmarks of the frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....pipeline.packet import LANDMARKS, Key
from ....pipeline.types.landmarks import Landmarks
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found
from .boxes import extent
from .yolo_rows import BODY_POINT_NAMES

Floats = NDArray[np.float32]
MIN_SCORE = 0.2
"""Of the mean of the points' scores."""


@dataclass(frozen=True, slots=True)
class PointsHead:
    """What the heads have in common.

    Attributes:
        point_names: in their order.
    """

    point_names: tuple[str, ...]
    task: str = "points of one person"

    device_outputs = ()

    @property
    def class_count(self) -> int | None:
        """None are spoken of."""
        return 0

    @property
    def gives(self) -> tuple[Key[Any], ...]:
        """Points."""
        return (LANDMARKS,)

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """The points of the frame, in one row, if their scores are above ``min_score`` on average.

        ``raw`` has ``points`` float32 [1, K, 2], (x, y) in pixels of the input, and ``scores`` [1, K].
        """
        points, scores = raw.affine.points(raw.arrays["points"]), raw.arrays["scores"]
        least = MIN_SCORE if choices.min_score is None else choices.min_score
        finite = np.isfinite(points).all(axis=(1, 2)) & np.isfinite(scores).all(axis=1)
        rows = np.flatnonzero(finite & (scores.mean(axis=1) > least))
        return {LANDMARKS: landmarks(points[rows], scores[rows], around(points[rows], frame), self.point_names)}


def landmarks(
    points: Floats, scores: Floats, boxes: Floats, names: tuple[str, ...], rows: NDArray[np.int32] | None = None
) -> Landmarks:
    """Landmarks of points float32 [N, K, 2] in the frame, their scores [N, K] and boxes [N, 4].

    Args:
        rows: int32 [N], of the detections that they belong to; None: to none.
    """
    none = np.full(len(points), -1, np.int32)
    return Landmarks(points, scores.clip(0, 1), boxes, names, none if rows is None else rows, none)


def around(points: Floats, frame: Size) -> Floats:
    """The boxes around points [N, K, 2], within a frame of (height, width)."""
    boxes: Floats = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1).clip(0, extent(frame))
    return boxes


def names_of(count: int, about: Description) -> tuple[str, ...] | str:
    """The names of so many points, or in one line why there are others."""
    if about.point_names is not None and len(about.point_names) != count:
        return f"there are {count} points, but {len(about.point_names)} names (`point_names`)"
    if about.points is not None and about.points[0] != count:
        return f"there are {count} points, but {about.points[0]} are said (`points`)"
    if about.point_names is not None:
        return about.point_names
    return BODY_POINT_NAMES if count == len(BODY_POINT_NAMES) else tuple(f"point_{i}" for i in range(count))
