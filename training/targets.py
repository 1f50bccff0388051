"""Which anchor is to find which object, and what it is to say: NumPy, without a loop over anchors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEUTRAL, BACKGROUND = -1, 0
"""Labels of anchors that take no part, and of those that have nothing to find; classes count from 1."""
CROWD_OVERLAP = 0.7
"""An anchor of which this part lies in an ignored object takes no part."""

NEARLY = 0.6
"""See :attr:`MatchRule.anchors_per_object`."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MatchRule:
    """How anchors are given objects.

    Attributes:
        positive: an anchor finds the object that it overlaps (IoU) by at least this.
        negative: below this overlap it is background; in between it takes no part.
        best: the best anchor of an object that overlaps it by at least this finds it in any case.
        anchors_per_object: so do this many of its best anchors, 1 or more, but for those that overlap it by less than
            ``NEARLY`` of what the best does. Objects that fit no anchor well need it.
    """

    positive: float
    negative: float
    best: float = 0.0
    anchors_per_object: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """The anchors of one image.

    Attributes:
        labels: int64 [P], the class from 1, ``BACKGROUND`` or ``NEUTRAL``.
        anchors: int64 [N], those that find something, ascending.
        rows: int64 [N], what each of them finds.
    """

    labels: NDArray[np.int64]
    anchors: NDArray[np.int64]
    rows: NDArray[np.int64]


def match(
    priors: Floats, boxes: Floats, class_ids: NDArray[np.int32], ignored: NDArray[np.bool_], rule: MatchRule
) -> Matches:
    """Give anchors to the objects of an image.

    Every object first takes the anchor that overlaps it most (the object with the greatest overlap chooses first, and
    an anchor is taken once); every other anchor finds what it overlaps most, if it is enough.

    Args:
        priors: [P, 4], (cx, cy, w, h).
        boxes: [N, 4], (x1, y1, x2, y2) in the unit of ``priors``.
        class_ids: int32 [N], from 0.
        ignored: bool [N], objects that no anchor finds and that make no anchor background.
        rule: the overlaps.

    Source: Liu et al., SSD, ECCV 2016; neutral anchors and crowds as in YOLACT.
    """
    count = len(priors)
    labels = np.zeros(count, np.int64)
    corners = np.concatenate([priors[:, :2] - priors[:, 2:] / 2, priors[:, :2] + priors[:, 2:] / 2], axis=1)
    kept = np.flatnonzero(~ignored)
    found = np.zeros(count, np.int64)
    if len(kept):
        overlaps = overlap(boxes[kept], corners)
        found, most = overlaps.argmax(axis=0), overlaps.max(axis=0)
        if rule.anchors_per_object > 1:
            near = _near_anchors(overlaps, rule.anchors_per_object)
            taken = (near.max(axis=0) > 0.0) & (most < rule.positive)
            found[taken], most[taken] = near[:, taken].argmax(axis=0), rule.positive
        for row, anchor in _best_anchors(overlaps, rule.best):
            found[anchor], most[anchor] = row, 2.0
        labels[most >= rule.negative] = NEUTRAL
        positive = most >= rule.positive
        labels[positive] = class_ids[kept][found[positive]] + 1
    if ignored.any():
        near = overlap(boxes[ignored], corners).max(axis=0) >= rule.negative
        within = overlap(boxes[ignored], corners, of_anchor=True).max(axis=0) > CROWD_OVERLAP
        labels[(near | within) & (labels == BACKGROUND)] = NEUTRAL
    anchors = np.flatnonzero(labels > 0)
    return Matches(labels, anchors, kept[found[anchors]] if len(kept) else np.zeros(0, np.int64))


def _best_anchors(overlaps: Floats, least: float) -> list[tuple[int, int]]:
    """For each object (in the order in which they choose) the anchor that is its own: (row, anchor)."""
    left = overlaps.copy()
    best = left.argmax(axis=1)
    chosen: list[tuple[int, int]] = []
    waiting = np.ones(len(left), np.bool_)
    while waiting.any():
        values = np.where(waiting, left[np.arange(len(left)), best], -1.0)
        row = int(values.argmax())
        anchor = int(best[row])
        if values[row] <= 0.0:
            break
        waiting[row] = False
        if overlaps[row, anchor] >= least:
            chosen.append((row, anchor))
            left[:, anchor] = -1.0
            for other in np.flatnonzero(waiting & (best == anchor)).tolist():
                best[other] = left[other].argmax()
    return chosen


def _near_anchors(overlaps: Floats, anchors_per_object: int) -> Floats:
    """The overlaps [N, P] of each object's best anchors, and 0 for the others."""
    least = NEARLY * overlaps.max(axis=1)
    for row, each in enumerate(overlaps):
        near = each[each > least[row]]  # few, so that sorting all anchors is saved
        if len(near) > anchors_per_object:
            least[row] = np.partition(near, -anchors_per_object)[-anchors_per_object]
    return np.where((overlaps >= least[:, None]) & (overlaps > 0.0), overlaps, np.float32(0.0))


def overlap(boxes: Floats, corners: Floats, *, of_anchor: bool = False) -> Floats:
    """IoU of every box with every anchor, or the part of each anchor that lies in each box.

    Args:
        boxes: [N, 4]; corners: [P, 4]; both (x1, y1, x2, y2).

    Returns:
        float32 [N, P].
    """
    (x1, y1, x2, y2), (u1, v1, u2, v2) = boxes.T[:, :, None], corners.T[:, None]
    width = np.minimum(x2, u2) - np.maximum(x1, u1)
    height = np.minimum(y2, v2) - np.maximum(y1, v1)
    shared = np.maximum(width, 0) * np.maximum(height, 0)
    areas = (u2 - u1) * (v2 - v1)
    whole = areas if of_anchor else areas + (x2 - x1) * (y2 - y1) - shared
    ratio: Floats = shared / np.maximum(whole, 1e-12)
    return ratio


def encode_boxes(boxes: Floats, priors: Floats, variances: tuple[float, float]) -> Floats:
    """What ``kernels.decode_boxes`` turns into ``boxes`` [N, 4] for ``priors`` [N, 4]: float32 [N, 4]."""
    centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    offsets = (centres - priors[:, :2]) / (variances[0] * priors[:, 2:])
    scales = np.log(np.maximum(sides, 1e-6) / priors[:, 2:]) / variances[1]
    return np.concatenate([offsets, scales], axis=1).astype(np.float32)


def encode_points(points: Floats, priors: Floats, variance: float) -> Floats:
    """What ``kernels.decode_points`` turns into ``points`` [N, K, 2] for ``priors`` [N, 4]: float32 [N, K, 2]."""
    encoded: Floats = (points - priors[:, None, :2]) / (variance * priors[:, None, 2:])
    return encoded
