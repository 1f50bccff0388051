"""Average precision of faces by WIDER FACE's protocol.

Scores are stretched to [0, 1] over the whole set. In each image the found faces, the best first, look at the true
face they overlap most, at IoU 0.5 or more (both ends of a box counted): the first one to come takes it; later ones,
and all that overlap none, are false; one whose true face does not count is left out. Precision and recall at 1000
thresholds give the area under the monotone curve.

Source: Yang et al., CVPR 2016, as the authors' evaluation script computes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .overlap import box_iou

THRESHOLDS = 1000
MIN_IOU = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class _Image:
    """The found faces of an image, best first: ``true`` bool [N, S] and ``false`` bool [N, S], for each subset."""

    scores: NDArray[np.float64]
    true: NDArray[np.bool_]
    false: NDArray[np.bool_]


@dataclass(slots=True)
class WiderAp:
    """Collects images; ``subsets`` names the columns of ``counts`` that :meth:`add` takes."""

    subsets: tuple[str, ...] = ("all",)
    _images: list[_Image] = field(default_factory=list)
    _faces: NDArray[np.int64] | None = None

    def add(
        self,
        faces: NDArray[np.float32],
        counts: NDArray[np.bool_],
        boxes: NDArray[np.float32],
        scores: NDArray[np.float32],
    ) -> None:
        """Take in an image.

        Args:
            faces: float32 [M, 4], true boxes (x1, y1, x2, y2).
            counts: bool [M, S], whether a face counts in each subset.
            boxes, scores: float32 [N, 4] and [N], found.
        """
        order = np.argsort(-scores, kind="stable")
        true = np.zeros((len(boxes), len(self.subsets)), np.bool_)
        false = np.ones_like(true)  # what overlaps no face
        taken = np.zeros(len(faces), np.bool_)
        overlaps = box_iou(boxes[order], faces, plus_one=1.0)
        for row, line in enumerate(overlaps if len(faces) else ()):
            best = int(line.argmax())
            if line[best] < MIN_IOU:
                continue
            # One whose true face is taken is false only in subsets in which that face counts.
            false[row] = counts[best] & taken[best]
            true[row] = counts[best] & ~taken[best]
            taken[best] = True
        total = counts.sum(axis=0)
        self._faces = total if self._faces is None else self._faces + total
        self._images.append(_Image(scores[order].astype(np.float64), true, false))

    def result(self) -> dict[str, float | None]:
        """AP in [0, 1] by subset; None where a subset has no face."""
        if self._faces is None:
            return dict.fromkeys(self.subsets)
        found = [image.scores for image in self._images]
        low, high = _range(found)
        every = np.concatenate([(scores - low) / (high - low) for scores in found])
        true, false = (np.concatenate([getattr(image, side) for image in self._images]) for side in ("true", "false"))
        return {
            name: _area(every, true[:, column], false[:, column], int(self._faces[column]))
            for column, name in enumerate(self.subsets)
        }


def _range(found: Sequence[NDArray[np.float64]]) -> tuple[float, float]:
    """The lowest and the highest score; never the same."""
    every = np.concatenate([np.zeros(0), *found])
    low, high = float(every.min(initial=1.0)), float(every.max(initial=0.0))
    return (low, high) if high > low else (low - 1.0, low)


def _area(scores: NDArray[np.float64], true: NDArray[np.bool_], false: NDArray[np.bool_], faces: int) -> float | None:
    """The area under precision over recall at :data:`THRESHOLDS` scores; None without faces."""
    if not faces:
        return None
    thresholds = 1.0 - np.arange(1, THRESHOLDS + 1) / THRESHOLDS
    order = np.argsort(-scores, kind="stable")
    kept = np.searchsorted(-scores[order], -thresholds, side="right")  # scores that reach each threshold
    sums = [np.concatenate([[0], np.cumsum(side[order])])[kept] for side in (true, false)]
    hits, misses = (column.astype(np.float64) for column in sums)
    recall = np.concatenate([[0.0], hits / faces, [1.0]])
    precision = np.divide(hits, hits + misses, out=np.zeros_like(hits), where=hits + misses > 0)
    envelope = np.maximum.accumulate(np.concatenate([[0.0], precision, [0.0]])[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope[1:]))
