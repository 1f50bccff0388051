"""The queries of a transformer: a box and a logit per class for each, and perhaps a mask or points.

Sources: Carion et al., End-to-End Object Detection with Transformers, ECCV 2020 (softmax, the last column is no
object); Zhu et al., Deformable DETR, ICLR 2021, Zhao et al., DETRs Beat YOLOs on Real-time Object Detection,
CVPR 2024 (sigmoid, the best pairs of query and class); the mask of a query as RF-DETR's postprocessing makes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....pipeline.packet import DETECTIONS
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..head import Found, check_finite
from .boxes import BoxForm, ClassColumns, best_pairs, class_columns, finished, kept, placed, softmax
from .map_masks import masks_of_input

MIN_SCORE = 0.5
"""As the published demonstrations."""
BOX = 4

Pairs = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]
"""Query, class and score of each candidate, best first: int64, int32 and float32 [K]."""


@dataclass(frozen=True, slots=True)
class Queries(ClassColumns):
    """A box and one logit (or score) per class for each query.

    Attributes:
        logits, boxes: names of the outputs: float32 [1, Q, C] and [1, Q, 4], or of one [1, Q, 4 + C] that is both.
        columns: C.
        scores: ``softmax``, ``sigmoid`` or ``given``.
        background: which column is no class.
        form: of the boxes.
        slots: the column of each class, where not all but the background are classes.
        most: pairs of query and class at most; None: as many as there are queries.
    """

    logits: str
    boxes: str
    columns: int
    scores: str
    background: str
    form: BoxForm
    slots: tuple[int, ...] | None = None
    most: int | None = None
    kind: str = "detr"

    @property
    def class_count(self) -> int:
        """Columns that are classes."""
        return len(self.columns_of_classes())

    @property
    def reads(self) -> frozenset[str]:
        """Logits and boxes."""
        return frozenset({self.logits, self.boxes})

    def columns_of_classes(self) -> NDArray[np.int64]:
        """The column of each class, int64, by class id."""
        if self.slots is not None:
            return np.array(self.slots, np.int64)
        return np.arange(self.columns)[class_columns(self.columns, self.background)]

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The queries that score enough, best first."""

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            logits, boxes = outputs[self.logits][0], outputs[self.boxes][0][:, :BOX]
            if self.logits == self.boxes:
                logits = logits[:, BOX:]
            pairs, more = self.chosen(outputs, logits, choices)
            return kept(boxes[pairs[0]], pairs[1], pairs[2], [(self.logits, logits), (self.boxes, boxes)], **more)

        return pick

    def chosen(
        self, outputs: Mapping[str, NDArray[Any]], logits: NDArray[np.float32], choices: PostprocessOptions
    ) -> tuple[Pairs, Arrays]:
        """What scores enough, and what else is kept of it, [K, …] each."""
        return self.candidates(logits, choices), {}

    def candidates(
        self, logits: NDArray[np.float32], choices: PostprocessOptions, min_score: float | None = None
    ) -> Pairs:
        """Query, class and score of what scores enough, at most as many as there are queries (or :attr:`most`).

        With softmax a query has its best class, else it may have several.

        Args:
            logits: float32 [Q, C].
            min_score: in place of the one chosen.
        """
        if min_score is None:
            min_score = MIN_SCORE if choices.min_score is None else choices.min_score
        classes: Any = class_columns(self.columns, self.background) if self.slots is None else list(self.slots)
        if self.scores == "softmax":
            shares = softmax(logits)[:, classes]
            others = np.arange(shares.shape[1]) != shares.argmax(axis=1)[:, None]
            shares[others] = -1
        else:
            shares = logits[:, classes]
        limit = len(logits) if self.most is None else self.most
        return best_pairs(
            shares, min_score=min_score, limit=limit, activate=self.scores == "sigmoid", classes=choices.classes
        )

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """Detections, best first. Nothing is suppressed unless ``nms_iou`` is given."""
        return finished(raw, self.form, frame, names, max_iou=choices.nms_iou, limit=choices.max_detections)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedQueries(Queries):
    """The same with a mask for each query.

    Attributes:
        masks: name of the output, float32 [1, Q, h, w]: logits of maps that cover the input.
    """

    masks: str
    task: str = "instances with masks"

    @property
    def reads(self) -> frozenset[str]:
        """Logits, boxes and masks."""
        return frozenset({self.logits, self.boxes, self.masks})

    def chosen(
        self, outputs: Mapping[str, NDArray[Any]], logits: NDArray[np.float32], choices: PostprocessOptions
    ) -> tuple[Pairs, Arrays]:
        """With the map of each."""
        pairs = self.candidates(logits, choices)
        maps = outputs[self.masks][0][pairs[0]]
        if len(maps) and not np.isfinite(maps).any():
            check_finite(self.masks, outputs[self.masks])
        return pairs, {"masks": maps}

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """The same with masks: the pixels where a map, resized, is above 0. They are not cut to the box."""
        limits: dict[str, Any] = {"max_iou": choices.nms_iou, "limit": choices.max_detections}
        found, rows = placed(raw, self.form, frame, names, **limits)
        return {DETECTIONS: replace(found, masks=masks_of_input(raw.arrays["masks"][rows], raw, frame, 0.0))}
