"""How well objects are followed: CLEAR MOT, identity and HOTA figures.

Written here and held against TrackEval in a test: it and motmetrics would bring along another OpenCV, or pandas.

Source: Bernardin and Stiefelhagen, 2008 (MOTA, MOTP); Ristani et al., arXiv:1609.01775 (IDF1); Luiten et al.,
arXiv:2009.07736 (HOTA).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...pipeline.errors import import_extra

MIN_OVERLAP = 0.5
"""Of a pair that is a match for MOTA and IDF1."""
ALPHAS = np.arange(0.05, 0.99, 0.05)
"""Overlaps at which HOTA is taken, and then averaged."""
_TINY = float(np.finfo("float").eps)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One frame: ids int [N] of true objects, int [M] of found ones, and their overlaps float64 [N, M]."""

    truth: NDArray[np.int32]
    found: NDArray[np.int32]
    overlaps: NDArray[np.float64]


@dataclass(slots=True, eq=False)
class MotCounts:
    """What is counted; counts of sequences add up. Arrays have one entry for each of :data:`ALPHAS`."""

    matched: int = 0
    missed: int = 0
    false: int = 0
    switches: int = 0
    overlap: float = 0.0
    id_matched: int = 0
    id_missed: int = 0
    id_false: int = 0
    at_matched: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(ALPHAS)))
    at_missed: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(ALPHAS)))
    at_false: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(ALPHAS)))
    association: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(ALPHAS)))

    def __add__(self, other: MotCounts) -> MotCounts:
        names = self.__dataclass_fields__
        return MotCounts(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def figures(self) -> dict[str, float]:
        """MOTA, MOTP, IDF1, HOTA with its parts, in [0, 1] (MOTA may be negative), and the switches of identity."""
        ids = self.id_matched + 0.5 * (self.id_missed + self.id_false)
        detection = self.at_matched / np.maximum(1.0, self.at_matched + self.at_missed + self.at_false)
        association = self.association / np.maximum(1.0, self.at_matched)
        truth = max(1, self.matched + self.missed)
        return {
            "MOTA": (self.matched - self.false - self.switches) / truth,
            "MOTP": self.overlap / max(1, self.matched),
            "IDF1": self.id_matched / max(1.0, ids),
            "HOTA": float(np.sqrt(detection * association).mean()),
            "DetA": float(detection.mean()),
            "AssA": float(association.mean()),
            "ID switches": float(self.switches),
        }


def count_sequence(steps: Iterable[Step]) -> MotCounts:
    """The counts of one class in one clip.

    Raises:
        MissingExtraError: SciPy is not installed.
    """
    frames = list(steps)
    true_ids, found_ids = (
        {number: place for place, number in enumerate(sorted({int(one) for ids in side for one in ids}))}
        for side in ([step.truth for step in frames], [step.found for step in frames])
    )
    numbered = [
        Step(
            np.array([true_ids[int(one)] for one in step.truth], np.int32),
            np.array([found_ids[int(one)] for one in step.found], np.int32),
            step.overlaps,
        )
        for step in frames
    ]
    counts = MotCounts()
    shape = (len(true_ids), len(found_ids))
    _clear(numbered, shape[0], counts)
    _identity(numbered, shape, counts)
    _hota(numbered, shape, counts)
    return counts


def _clear(frames: list[Step], true_count: int, counts: MotCounts) -> None:
    """Matches frame by frame; a pair of the frame before stays one as long as it overlaps enough."""
    last = np.full(true_count, -1)
    before = np.full(true_count, -1)
    for step in frames:
        if not len(step.truth) or not len(step.found):
            # An empty frame interrupts nothing, as in TrackEval.
            counts.missed += len(step.truth)
            counts.false += len(step.found)
            continue
        value = 1000.0 * (step.found[None] == before[step.truth][:, None]) + step.overlaps
        value[step.overlaps < MIN_OVERLAP - _TINY] = 0.0
        rows, columns = _assigned(value)
        real = value[rows, columns] > _TINY
        rows, columns = rows[real], columns[real]
        truth, found = step.truth[rows], step.found[columns]
        counts.switches += int(((last[truth] >= 0) & (last[truth] != found)).sum())
        last[truth] = found
        before[:] = -1
        before[truth] = found
        counts.matched += len(rows)
        counts.missed += len(step.truth) - len(rows)
        counts.false += len(step.found) - len(rows)
        counts.overlap += float(step.overlaps[rows, columns].sum())


def _identity(frames: list[Step], shape: tuple[int, int], counts: MotCounts) -> None:
    """One true track for one found track over the whole clip, so that most frames match."""
    together = np.zeros(shape)
    true_total, found_total = np.zeros(shape[0]), np.zeros(shape[1])
    for step in frames:
        rows, columns = np.nonzero(step.overlaps >= MIN_OVERLAP)
        together[step.truth[rows], step.found[columns]] += 1
        true_total[step.truth] += 1
        found_total[step.found] += 1
    rows, columns = _assigned(together)
    matched = int(together[rows, columns].sum())
    counts.id_matched += matched
    counts.id_missed += int(true_total.sum()) - matched
    counts.id_false += int(found_total.sum()) - matched


def _hota(frames: list[Step], shape: tuple[int, int], counts: MotCounts) -> None:
    """Matches that favour pairs which overlap through the whole clip, at each of :data:`ALPHAS`."""
    potential = np.zeros(shape)
    true_total, found_total = np.zeros((shape[0], 1)), np.zeros((1, shape[1]))
    for step in frames:
        sums = step.overlaps.sum(0)[None] + step.overlaps.sum(1)[:, None] - step.overlaps
        share = np.divide(step.overlaps, sums, out=np.zeros_like(step.overlaps), where=sums > _TINY)
        potential[step.truth[:, None], step.found[None]] += share
        true_total[step.truth] += 1
        found_total[0, step.found] += 1
    alignment = potential / np.maximum(_TINY, true_total + found_total - potential)
    matched = np.zeros((len(ALPHAS), *shape))
    for step in frames:
        rows, columns = _assigned(alignment[step.truth[:, None], step.found[None]] * step.overlaps)
        overlap = step.overlaps[rows, columns]
        for place, alpha in enumerate(ALPHAS):
            real = overlap >= alpha - _TINY
            count = int(real.sum())
            counts.at_matched[place] += count
            counts.at_missed[place] += len(step.truth) - count
            counts.at_false[place] += len(step.found) - count
            matched[place, step.truth[rows[real]], step.found[columns[real]]] += 1
    share = matched / np.maximum(1.0, true_total + found_total - matched)
    counts.association += (matched * share).sum(axis=(1, 2))


def _assigned(value: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows and columns of the one-to-one assignment with the greatest sum."""
    rows, columns = import_extra("scipy.optimize", "judging tracks", "eval").linear_sum_assignment(-value)
    return rows, columns
