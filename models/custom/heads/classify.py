"""One score per class for the whole picture.

Source: definition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....pipeline.errors import UsageError
from ....pipeline.packet import DETECTIONS
from ....pipeline.types.detections import Detections
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, Head, check_finite
from .boxes import ClassColumns, best_pairs, class_columns, output_of, sigmoid, softmax, wrong_count

MIN_SCORE, MAX_DETECTIONS = 0.0, 1
SUM_TOLERANCE = 1e-2
"""Scores that are not below 0 and whose sum is this near to 1 are probabilities; those of float16 sum up so."""


@dataclass(frozen=True, slots=True)
class Classified(ClassColumns):
    """Scores of C classes.

    Attributes:
        output: its name, float32 [1, C] or [1, C, 1, 1].
        columns: C.
        scores: ``softmax``, ``sigmoid`` or ``given``; None: the numbers themselves show whether they are probabilities.
        background: which column is no class.
    """

    output: str
    columns: int
    scores: str | None
    background: str = "none"
    kind: str = "classify"
    task: str = "classes of the whole picture"

    @property
    def reads(self) -> frozenset[str]:
        """The scores."""
        return frozenset({self.output})

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The best classes, best first.

        Raises:
            UsageError: a choice that means nothing for this network.
        """
        if choices.nms_iou is not None:
            raise UsageError("nms_iou cannot be given for a network that classifies the whole picture; leave it out")
        limit = MAX_DETECTIONS if choices.max_detections is None else choices.max_detections
        min_score = MIN_SCORE if choices.min_score is None else choices.min_score

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            row = np.ascontiguousarray(outputs[self.output]).reshape(1, -1)
            scores = self.probabilities(row)[:, class_columns(self.columns, self.background)]
            _, ids, best = best_pairs(scores, min_score=min_score, limit=limit, activate=False, classes=choices.classes)
            if not len(ids):
                check_finite(self.output, row)
            return {"class_ids": ids, "scores": best}

        return pick

    def probabilities(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores in [0, 1] of one row [1, C] of the output."""
        kind = self.scores
        if kind is None:
            kind = (
                "given" if row.min() >= 0 and abs(float(row.sum(dtype=np.float64)) - 1) <= SUM_TOLERANCE else "softmax"
            )
        if kind == "given":
            return row
        return softmax(row) if kind == "softmax" else sigmoid(row)

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """One detection for each class, with the whole frame as its box, best first."""
        ids = raw.arrays["class_ids"]
        boxes = np.tile(np.array((0, 0, frame[1], frame[0]), np.float32), (len(ids), 1))
        return {DETECTIONS: Detections(boxes, raw.arrays["scores"], ids, names)}


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """A head for the one output that is a row of scores; see :mod:`..head`."""
    named = output_of(outputs, about, "scores") or output_of(outputs, about, "logits")
    rows = [spec for spec in outputs if _is_row(spec)]
    if named is not None:
        rows = [spec for spec in rows if spec == named]
    elif len(rows) != len(outputs) and about.head != "classify":
        return None
    if not rows:
        return None
    if len(rows) > 1:
        shown = ", ".join(f"{spec.name!r} {spec}" for spec in rows)
        return f"outputs {shown} may each be scores of classes; say which (`scores` of `outputs`)"
    return _classified(rows[0], about)


def _is_row(spec: TensorSpec) -> bool:
    return spec.dtype.kind == "f" and len(spec.shape) >= 2 and spec.shape[0] == 1 and set(spec.shape[2:]) <= {1}


def _classified(spec: TensorSpec, about: Description) -> Head | str:
    columns = spec.shape[1]
    said = (
        about.classes is not None or "classify" in (about.head, about.task) or {"scores", "logits"} & set(about.outputs)
    )
    if not said and about.scores is None:
        return (
            f"output {spec.name!r} {spec} may be features of the picture (an embedding), or scores of {columns} "
            'classes; if so, name them (--labels, or `classes`), or say head = "classify"; of features, say '
            'head = "embedding"'
        )
    if columns == 1 and about.scores not in ("sigmoid", "given"):
        return f"output {spec.name!r} {spec} is one score; say whether `scores` are given, or need a sigmoid"
    head = Classified(spec.name, columns, about.scores, about.background or "none")
    return wrong_count(spec, head.class_count, about) or head
