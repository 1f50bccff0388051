"""What the heads of oriented boxes share: corners, suppression, and results in frame pixels.

An oriented box is (cx, cy, w, h, angle): the angle, in radians, leads from the x axis to the side w, towards y.

Source of the overlap: Llerena et al., Probabilistic Intersection-over-Union for Training and Evaluation of Oriented
Object Detectors, arXiv 2106.06072: a box is the normal distribution with its mean and covariance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....pipeline.packet import DETECTIONS
from ....pipeline.types.detections import ANGLE, CORNERS, Detections
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays
from ...options import PostprocessOptions
from ..head import Found, check_finite
from .boxes import FindsObjects, clipped

Floats = NDArray[np.float32]
_BLOCK = 256
"""Boxes that are compared with all better ones at a time."""


@dataclass(frozen=True, slots=True)
class OrientedHead(FindsObjects):
    """What the heads have in common: rows that were picked become detections.

    Attributes:
        predictions: name of the output of boxes.
        max_iou: the default of the suppression; None: the graph has suppressed already.
        limit: the default number of detections at most; None: all.
    """

    predictions: str
    max_iou: float | None
    limit: int | None
    task: str = "oriented boxes"

    def kept(
        self, boxes: Floats, scores: Floats, class_ids: NDArray[np.int32], choices: PostprocessOptions, asked: Floats
    ) -> Arrays:
        """What is kept of rows [K] that score enough: ``boxes`` float32 [N, 5], ``scores`` and ``class_ids`` [N].

        Rows of classes that are not wanted, that are not finite or have no area are left out.

        Args:
            asked: what was looked at of the output.

        Raises:
            EngineError: nothing is kept, and that has no finite number.
        """
        wanted = np.isfinite(boxes).all(axis=1) & np.isfinite(scores) & (class_ids >= 0)
        wanted &= (boxes[:, 2:4] > 0).all(axis=1)
        if choices.classes is not None:
            wanted &= np.isin(class_ids, choices.classes)
        if not wanted.any():
            check_finite(self.predictions, asked)
        return {"boxes": boxes[wanted], "scores": scores[wanted], "class_ids": class_ids[wanted]}

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """Suppress where the graph has not, and map the rest to the frame; see :func:`placed`."""
        boxes, scores, ids = (raw.arrays[name] for name in ("boxes", "scores", "class_ids"))
        max_iou = self.max_iou if choices.nms_iou is None else choices.nms_iou
        limit = self.limit if choices.max_detections is None else choices.max_detections
        rows = np.argsort(-scores, kind="stable")[:limit]
        if max_iou is not None:
            rows = rotated_nms(boxes, scores, ids, max_iou=max_iou, limit=len(boxes) if limit is None else limit)
        return {DETECTIONS: placed(boxes[rows], scores[rows], ids[rows], raw=raw, frame=frame, names=names)}


def placed(
    boxes: Floats,
    scores: Floats,
    class_ids: NDArray[np.int32],
    *,
    raw: RawOutputs,
    frame: Size,
    names: tuple[str, ...],
) -> Detections:
    """Oriented boxes float32 [N, 5] of the input as detections in a frame of (height, width), in their order.

    ``boxes`` are those around the corners, within the frame; one that has no area there is left out. The column
    ``xyxyxyxy`` has the four corners [N, 4, 2], not clipped, and ``angle`` the direction of the side w, both in the
    frame: where the input does not keep the frame's aspect they are a parallelogram.
    """
    corners = raw.affine.points(corners_of(boxes))
    around, seen = clipped(np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1), frame)
    sides = corners[:, 1] - corners[:, 0]
    angles = np.arctan2(sides[:, 1], sides[:, 0])
    whole = Detections(around, scores, class_ids, names, data={ANGLE: angles, CORNERS: corners})
    return whole[seen]


def corners_of(boxes: Floats) -> Floats:
    """Corners float32 [N, 4, 2] of (cx, cy, w, h, angle): upper left, upper right, lower right, lower left of the box
    before it is turned."""
    signs = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float64) / 2
    halves = boxes[:, None, 2:4] * signs
    angles = boxes[:, 4, None].astype(np.float64)
    cosine, sine, x, y = np.cos(angles), np.sin(angles), halves[..., 0], halves[..., 1]
    turned = np.stack([x * cosine - y * sine, x * sine + y * cosine], axis=2)
    corners: Floats = (turned + boxes[:, None, :2]).astype(np.float32)
    return corners


def rotated_nms(
    boxes: Floats, scores: Floats, class_ids: NDArray[np.int32], *, max_iou: float, limit: int
) -> NDArray[np.int64]:
    """Suppression class by class in which any better box suppresses, be it suppressed itself or not, as Ultralytics'.

    Args:
        boxes: float32 [N, 5], (cx, cy, w, h, angle) with lengths above 0.
        scores, class_ids: [N].
        max_iou: probabilistic IoU from which on a box that overlaps a better one of its class is dropped.
        limit: boxes at most.

    Returns:
        rows int64 [K] of the kept boxes, best first; ties keep the lower row first.
    """
    order = np.argsort(-scores, kind="stable")
    forms, ids = _gaussians(boxes[order]), class_ids[order]
    kept: list[int] = []
    for first in range(0, len(order), _BLOCK):
        end = min(first + _BLOCK, len(order))
        block = np.arange(first, end)
        over = prob_iou(forms[:end], forms[first:end]) >= max_iou
        over &= (ids[:end, None] == ids[None, first:end]) & (np.arange(end)[:, None] < block)
        kept += block[~over.any(axis=0)].tolist()
        if len(kept) >= limit:
            break
    return order[np.array(kept[:limit], np.int64)]


def _gaussians(boxes: Floats) -> NDArray[np.float64]:
    """Mean x, y and covariance a = xx, b = yy, c = xy of boxes (cx, cy, w, h, angle): float64 [N, 5]."""
    cx, cy, width, height, angle = boxes.astype(np.float64).T
    along, across = width**2 / 12, height**2 / 12
    cosine, sine = np.cos(angle), np.sin(angle)
    a = along * cosine**2 + across * sine**2
    b = along * sine**2 + across * cosine**2
    return np.stack([cx, cy, a, b, (along - across) * cosine * sine], axis=1)


def prob_iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - the Hellinger distance of normal distributions, as of :func:`_gaussians`: [N, M] of [N, 5] and [M, 5]."""
    x1, y1, a1, b1, c1 = (column[:, None] for column in first.T)
    x2, y2, a2, b2, c2 = (column[None] for column in second.T)
    a, b, c, x, y = a1 + a2, b1 + b2, c1 + c2, x1 - x2, y1 - y2
    whole = np.maximum(a * b - c**2, 1e-12)
    own = np.sqrt(np.maximum(a1 * b1 - c1**2, 1e-12) * np.maximum(a2 * b2 - c2**2, 1e-12))
    distance = (a * y**2 + b * x**2 - 2 * c * x * y) / (4 * whole) + np.log(whole / (4 * own)) / 2
    shared: NDArray[np.float64] = 1 - np.sqrt(1 - np.exp(-np.maximum(distance, 0)))
    return shared
