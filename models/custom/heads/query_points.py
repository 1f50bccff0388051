"""Queries with points, and with how sure a network is of each, as RF-DETR gives them.

Source: the layout and the score as RF-DETR's postprocessing has them: a point is relative x and y, the logit of whether
it can be found, a number more, and the Cholesky factor of its precision (logarithms on the diagonal). The score of an
object is lowered by the mean trace of its points' covariances.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....pipeline.packet import DETECTIONS, LANDMARKS, Key
from ....pipeline.types.landmarks import Landmarks
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays
from ...options import PostprocessOptions
from ..head import Found, check_finite
from .boxes import Floats, extent, placed, sigmoid
from .queries import MIN_SCORE, Pairs, Queries

TRACE_ALPHA = 0.2
"""As published: the power of the mean trace that a score is divided by."""
FOUND, PRECISION, NUMBERS = 2, slice(4, 7), 7
_LEAST = np.float32(1e-12)  # of what a logarithm is taken of


@dataclass(frozen=True, slots=True, kw_only=True)
class PointQueries(Queries):
    """Queries with points; an object has those of its class.

    Attributes:
        points: name of the output, float32 [1, Q, columns of classes with points x K, D].
        counts: how many of the K are points, by column of the logits; columns beyond have none.
        trace_alpha: how much the score depends on the points' precision; 0: not at all.
        point_names: K names.
    """

    points: str
    counts: tuple[int, ...]
    trace_alpha: float = TRACE_ALPHA
    point_names: tuple[str, ...] = ()
    task: str = "objects with points"
    gives: tuple[Key[Any], ...] = (DETECTIONS, LANDMARKS)

    @property
    def reads(self) -> frozenset[str]:
        """Logits, boxes and points."""
        return frozenset({self.logits, self.boxes, self.points})

    def chosen(
        self, outputs: Mapping[str, NDArray[Any]], logits: NDArray[np.float32], choices: PostprocessOptions
    ) -> tuple[Pairs, Arrays]:
        """The best pairs whose score, lowered by what is not known of the points, is enough; with their points."""
        queries, ids, scores = self.candidates(logits, choices, min_score=0.0)
        points, active, with_points = self._of_classes(outputs[self.points][0][queries], self.columns_of_classes()[ids])
        if active.any() and not np.isfinite(points[active]).any():
            check_finite(self.points, outputs[self.points])
        if self.trace_alpha > 0 and points.shape[2] >= NUMBERS:
            scores = np.where(with_points, _lowered(scores, points, active, self.trace_alpha), scores)
        min_score = MIN_SCORE if choices.min_score is None else choices.min_score
        values = np.where(active[..., None], points[..., : FOUND + 1], np.array((0, 0, -np.inf), np.float32))
        usable = np.isfinite(values).all(axis=2) | ~active
        enough: NDArray[np.bool_] = (scores > np.float32(min_score)) & usable.all(axis=1)
        order = np.argsort(-scores, kind="stable")
        order = order[enough[order]]
        table = np.concatenate([values[..., :FOUND], sigmoid(values[..., FOUND:])], axis=2)[order]
        have = np.asarray(active.any(axis=1))
        return (queries[order], ids[order], scores[order]), {"points": table, "with_points": have[order]}

    def _of_classes(
        self, rows: Floats, columns: NDArray[np.int64]
    ) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
        """The points of the classes of candidates, of ``rows`` [K, all points, D] of their queries.

        Returns:
            points float32 [K, P, D], which of them are points bool [K, P], and which classes may have some bool [K].
        """
        with_points = columns < len(self.counts)
        slots = np.where(with_points, columns, 0)
        table = rows.reshape(len(rows), len(self.counts), len(self.point_names), -1)
        counts = np.array(self.counts)[slots] * with_points
        active: NDArray[np.bool_] = np.less(np.arange(len(self.point_names)), counts[:, None])
        return table[np.arange(len(rows)), slots], active, with_points

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """Detections, best first, and the points of those whose class has some; points that it has not score 0."""
        limits: dict[str, Any] = {"max_iou": choices.nms_iou, "limit": choices.max_detections}
        found, rows = placed(raw, self.form, frame, names, **limits)
        owners = np.flatnonzero(raw.arrays["with_points"][rows]).astype(np.int32)
        table = raw.arrays["points"][rows[owners]]
        points = raw.affine.points(table[..., :2] * extent(raw.size)[:2])
        marks = Landmarks(
            points, table[..., 2].copy(), found.boxes[owners], self.point_names, owners, np.full_like(owners, -1)
        )
        return {DETECTIONS: found, LANDMARKS: marks}


def _lowered(scores: Floats, points: Floats, active: NDArray[np.bool_], alpha: float) -> Floats:
    """Scores [K] with the points' uncertainty in them: sigmoid of log(score) - alpha * log(mean trace), below 1.

    Args:
        points: float32 [K, P, D].
        active: bool [K, P], those that are points; without one the trace counts as 1.
    """
    diagonal, lower, other = np.moveaxis(points[..., PRECISION].astype(np.float64), 2, 0)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        first, second = -2 * diagonal, -2 * other
        mixed = 2 * np.log(np.maximum(np.abs(lower), _LEAST)) + first + second
        traces = np.logaddexp(np.logaddexp(first, second), mixed)
        weights = np.log(np.maximum(sigmoid(points[..., FOUND]), _LEAST).astype(np.float64))
        mean = _log_sum(traces + weights, active) - _log_sum(weights, active)
        log_mean = np.where(active.any(axis=1), mean, 0.0)
        fused = 1 / (1 + np.exp(alpha * log_mean) / scores)
    return np.minimum(fused, np.nextafter(np.float32(1), np.float32(0))).astype(np.float32)


def _log_sum(logarithms: NDArray[np.float64], active: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Logarithm of the sum along the last axis, of what is ``active``."""
    total: NDArray[np.float64] = np.logaddexp.reduce(np.where(active, logarithms, -np.inf), axis=1)
    return total
