"""How far the detections of two runs over the same frames are from each other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..pipeline.types.detections import Detections
from ..training.evaluation.overlap import box_iou

SAME_OBJECT = 0.5
"""Boxes of one class that overlap by more than this (IoU) are one object."""


@dataclass(slots=True)
class ResultDifference:
    """Detections of a reference and of another run, frame by frame.

    Attributes:
        frames: added so far.
        reference, other: detections in all.
        pairs: objects that both found.
        box_px: of each pair, the largest difference of an edge, in displayed pixels.
        score: of each pair, the difference of the scores.
    """

    frames: int = 0
    reference: int = 0
    other: int = 0
    box_px: list[float] = field(default_factory=list)
    score: list[float] = field(default_factory=list)

    @property
    def pairs(self) -> int:
        """Objects that both found."""
        return len(self.box_px)

    def add(self, reference: Detections, other: Detections) -> None:
        """Compare one frame: each detection of the reference, best first, with the best that is left of the other's."""
        self.frames += 1
        self.reference += len(reference)
        self.other += len(other)
        free = np.ones(len(other), bool)
        for row in np.argsort(-reference.scores, kind="stable"):
            overlap = box_iou(reference.boxes[row : row + 1], other.boxes)[0]
            overlap[~free | (other.class_ids != reference.class_ids[row])] = 0
            best = int(overlap.argmax()) if len(overlap) else -1
            if best < 0 or overlap[best] <= SAME_OBJECT:
                continue
            free[best] = False
            self.box_px.append(float(np.abs(reference.boxes[row] - other.boxes[best]).max()))
            self.score.append(float(abs(reference.scores[row] - other.scores[best])))

    def __str__(self) -> str:
        text = f"detections: {self.reference} and {self.other}, {self.pairs} of them the same objects"
        if not self.pairs:
            return text
        box, score = np.array(self.box_px), np.array(self.score)
        return (
            f"{text}; their boxes differ by {box.mean():.2f} px (worst {box.max():.1f}), "
            f"their scores by {score.mean():.3f} (worst {score.max():.2f})"
        )
