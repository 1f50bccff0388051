"""How far named points are from where they belong: NME of faces, PCKh of bodies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ...pipeline.types.landmarks import Landmarks
from .overlap import box_iou, greedy_match

MIN_IOU = 0.5
"""Of the boxes of a true and a found object whose points are compared."""
FAILURE = 0.1
"""An object whose mean error is above this part of its size has failed."""
PCK = 0.5
"""A joint within this part of the head's length is right."""


@dataclass(frozen=True, slots=True)
class PointError:
    """Of faces whose boxes match, in parts of the size, None where there are none.

    Attributes:
        matched: how many.
        by_box: mean over faces of the mean distance of their points, over the square root of the box's area.
        by_eyes: the same, over the distance between the eyes; of faces whose eyes are known and apart.
        failed: the part of the faces with more than :data:`FAILURE` of ``by_box``.
    """

    matched: int
    by_box: float | None
    by_eyes: float | None
    failed: float | None


@dataclass(slots=True)
class FacePoints:
    """Collects errors of face points.

    A true face is compared with the best-scored found one that overlaps it by :data:`MIN_IOU` or more and that no
    other face has. Faces that do not count, and points that are not known, are left out.

    Source: the normalisation by box as in Bulat et al., arXiv:1703.07332; by the eyes as is usual for frontal faces.
    """

    eyes: tuple[int, int] | None = (0, 1)
    _by_box: list[float] = field(default_factory=list)
    _by_eyes: list[float] = field(default_factory=list)

    def add(self, truth: Landmarks, ignored: NDArray[np.bool_], found: Landmarks, scores: NDArray[np.float32]) -> None:
        """Take in a frame; ``scores`` float32 [N] are of the found objects."""
        counting = truth[~ignored]
        for row, other in matches(counting, found, scores):
            known = counting.scores[row] > 0
            if not known.any():
                continue
            errors = np.linalg.norm(found.points[other] - counting.points[row], axis=1)
            x1, y1, x2, y2 = counting.boxes[row].tolist()
            mean = float(errors[known].mean())
            self._by_box.append(mean / max(1e-9, ((x2 - x1) * (y2 - y1)) ** 0.5))
            if self.eyes is not None and known[list(self.eyes)].all():
                apart = float(np.linalg.norm(np.diff(counting.points[row][list(self.eyes)], axis=0)))
                if apart > 1.0:  # a face in profile has no such length
                    self._by_eyes.append(mean / apart)

    def result(self) -> PointError:
        """The means so far."""
        failed = [error > FAILURE for error in self._by_box]
        return PointError(len(self._by_box), _mean(self._by_box), _mean(self._by_eyes), _mean(failed))


@dataclass(frozen=True, slots=True)
class CorrectPoints:
    """PCKh in [0, 1], None where there is nothing.

    Attributes:
        every: of all joints that are known, of all bodies.
        without_trunk: the same without pelvis and thorax, as MPII's own figure.
        joints: by name.
    """

    every: float | None
    without_trunk: float | None
    joints: dict[str, float]


@dataclass(slots=True)
class BodyPoints:
    """Collects PCKh: joints no farther than :data:`PCK` of the head's length from where they belong.

    The head's length is the distance from the upper neck to the top of the head unless it is given. Joints of a body
    that nothing matches are wrong.

    Source: Andriluka et al., CVPR 2014.
    """

    names: tuple[str, ...]
    _right: list[NDArray[np.bool_]] = field(default_factory=list)
    _known: list[NDArray[np.bool_]] = field(default_factory=list)

    def add(
        self,
        truth: Landmarks,
        found: Landmarks,
        scores: NDArray[np.float32],
        *,
        head_px: NDArray[np.float64] | None = None,
    ) -> None:
        """Take in a frame. ``head_px`` float64 [N] are the lengths of the true heads, where they are known."""
        heads = self._heads(truth) if head_px is None else head_px
        partner = dict(matches(truth, found, scores))
        for row in range(len(truth)):
            known = (truth.scores[row] > 0) & (heads[row] > 0)
            right = np.zeros(len(self.names), np.bool_)
            if row in partner:
                errors = np.linalg.norm(found.points[partner[row]] - truth.points[row], axis=1)
                right = errors <= PCK * heads[row]
            self._known.append(known)
            self._right.append(right & known)

    def _heads(self, truth: Landmarks) -> NDArray[np.float64]:
        """Lengths, 0 where an end is not known."""
        ends = [self.names.index(name) for name in ("upper_neck", "head_top")]
        lengths = np.linalg.norm(truth.points[:, ends[0]] - truth.points[:, ends[1]], axis=1).astype(np.float64)
        return np.where((truth.scores[:, ends] > 0).all(axis=1), lengths, 0.0)

    def result(self) -> CorrectPoints:
        """The parts so far."""
        shape = (-1, len(self.names))
        known = np.array(self._known, np.bool_).reshape(shape)
        right = np.array(self._right, np.bool_).reshape(shape)
        limbs = np.array([name not in ("pelvis", "thorax") for name in self.names])

        def part(columns: NDArray[np.bool_]) -> float | None:
            count = int(known[:, columns].sum())
            return float(right[:, columns].sum()) / count if count else None

        each = {name: part(np.arange(len(self.names)) == number) for number, name in enumerate(self.names)}
        joints = {name: value for name, value in each.items() if value is not None}
        return CorrectPoints(part(np.ones_like(limbs)), part(limbs), joints)


def matches(truth: Landmarks, found: Landmarks, scores: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Pairs (true row, found row) whose boxes overlap enough, the best-scored first."""
    order = np.argsort(-scores, kind="stable")
    partners = greedy_match(box_iou(found.boxes[order], truth.boxes), MIN_IOU)
    return [(int(true_row), int(order[place])) for place, true_row in enumerate(partners.tolist()) if true_row >= 0]


def _mean(values: Sequence[float] | Sequence[bool]) -> float | None:
    return float(np.mean(values)) if len(values) else None
