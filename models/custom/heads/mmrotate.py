"""Oriented boxes as mmdeploy exports mmrotate's detectors: ``dets`` [1, N, 6] and ``labels`` [1, N], finished.

A row of ``dets`` is (cx, cy, w, h, angle, score), in pixels of the input and radians.

Source: the layout that mmdeploy exports.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....kernels import top_scores
from ....pipeline.errors import UsageError
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, Head
from .boxes import output_of
from .obb import check_named
from .oriented import OrientedHead
from .yolo_rows import shown

ROW = 6
MIN_SCORE = 0.3
"""As mmrotate's demonstration."""


@dataclass(frozen=True, slots=True)
class MmrotateHead(OrientedHead):
    """Finished rows and their classes; see :class:`.oriented.OrientedHead`.

    Attributes:
        labels: name of the output of classes, int64 [1, N].
        class_count: how many classes are named, which the outputs do not say; None: unknown.
    """

    max_iou: float | None = None
    limit: int | None = None
    labels: str = "labels"
    class_count: int | None = None
    kind: str = "mmrotate"

    @property
    def reads(self) -> frozenset[str]:
        """Both outputs."""
        return frozenset({self.predictions, self.labels})

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """Rows that score enough, best first."""
        if choices.nms is not None:
            raise UsageError(f"these oriented boxes have their suppression in the graph, got nms {choices.nms!r}")
        min_score = MIN_SCORE if choices.min_score is None else choices.min_score

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            table, ids = outputs[self.predictions][0], outputs[self.labels].reshape(-1)
            scores = np.ascontiguousarray(table[:, 5])
            rows = top_scores(scores, min_score=min_score, limit=len(scores))
            boxes = np.ascontiguousarray(table[rows, :5])
            return self.kept(boxes, np.minimum(scores[rows], np.float32(1)), ids[rows].astype(np.int32), choices, table)

        return pick

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """As of :class:`.oriented.OrientedHead`; with ``nms_iou`` suppressed once more.

        Raises:
            EngineError: a class beyond those that are named.
        """
        check_named(self.labels, raw.arrays["class_ids"], names)
        return OrientedHead.decode(self, raw, frame, choices, names)


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for ``dets`` of six numbers a row and as many ``labels``; see :mod:`..head`."""
    dets, labels = output_of(outputs, about, "boxes", ("dets",)), output_of(outputs, about, "labels", ("labels",))
    if dets is None or labels is None or labels.dtype.kind != "i":
        return None
    if len(dets.shape) != 3 or dets.shape[0] != 1 or dets.shape[2] != ROW or dets.dtype.kind != "f":
        return f"{shown(dets)} must be float32 [1, N, 6]" if about.head == "mmrotate" else None
    if labels.shape not in ((1, dets.shape[1]), (dets.shape[1],)):
        return f"{shown(labels)} must be [1, {dets.shape[1]}], one for each box"
    named = None if about.classes is None else len(about.classes)
    return MmrotateHead(dets.name, labels=labels.name, class_count=named)
