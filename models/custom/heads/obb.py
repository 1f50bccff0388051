"""Oriented boxes of Ultralytics: ``[1, 4 + C + 1, A]`` of YOLOv8 and 11, rows ``[1, N, 7]`` of YOLO26.

The former has (cx, cy, w, h) in pixels, scores and the angle for each place of its maps, still to be suppressed; the
latter finished rows of (cx, cy, w, h), score, class and angle. Neither looks other than boxes of one class more:
only the file's metadata (task ``obb``), the TOML or ``--head`` say which it is.

Source: the layouts that Ultralytics exports; suppression as theirs, with their defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....kernels import best_classes, top_scores
from ....pipeline.errors import EngineError, UsageError
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, Head
from .boxes import wrong_count
from .oriented import OrientedHead
from .yolo import NMS_IOU
from .yolo_results import MAX_DETECTIONS, MIN_SCORE
from .yolo_rows import row_counts, shown

BOX, ROW = 4, 7


@dataclass(frozen=True, slots=True)
class ObbHead(OrientedHead):
    """One box, the best class and an angle for each row; see :class:`.oriented.OrientedHead`.

    Attributes:
        class_count: how many columns of scores.
        columns_first: the output is [1, columns, rows].
    """

    max_iou: float | None = NMS_IOU
    limit: int | None = MAX_DETECTIONS
    class_count: int = 0
    columns_first: bool = True
    kind: str = "obb"

    @property
    def reads(self) -> frozenset[str]:
        """The one output."""
        return frozenset({self.predictions})

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """Rows whose best class scores enough."""
        if choices.nms is not None:
            raise UsageError(f"an obb head suppresses class by class and in no other way, got nms {choices.nms!r}")
        min_score = MIN_SCORE if choices.min_score is None else choices.min_score
        angle = BOX + self.class_count

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            table = outputs[self.predictions][0]
            table = table.T if self.columns_first else table
            rows, ids, scores = best_classes(table[:, BOX:angle], min_score=min_score)
            boxes = np.concatenate([table[rows, :BOX], table[rows, angle, None]], axis=1)
            return self.kept(boxes, scores, ids, choices, table)

        return pick


@dataclass(frozen=True, slots=True)
class FinishedObbHead(OrientedHead):
    """Rows that are detections already: (cx, cy, w, h), score, class, angle.

    Attributes:
        class_count: how many classes are named, which the output does not say; None: unknown.
    """

    max_iou: float | None = None
    limit: int | None = MAX_DETECTIONS
    class_count: int | None = None
    kind: str = "obb"

    @property
    def reads(self) -> frozenset[str]:
        """The one output."""
        return frozenset({self.predictions})

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """Rows that score enough, best first."""
        if choices.nms is not None:
            raise UsageError(f"these oriented boxes have their suppression in the graph, got nms {choices.nms!r}")
        min_score = MIN_SCORE if choices.min_score is None else choices.min_score

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            table = outputs[self.predictions][0]
            scores = np.ascontiguousarray(table[:, 4])
            rows = top_scores(scores, min_score=min_score, limit=len(scores))
            numbers = table[rows, 5]
            ids = np.where(np.abs(numbers) < 2**30, np.rint(numbers), -1).astype(np.int32)
            boxes = np.ascontiguousarray(table[rows][:, [0, 1, 2, 3, 6]])
            return self.kept(boxes, np.minimum(scores[rows], np.float32(1)), ids, choices, table)

        return pick

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """As of :class:`.oriented.OrientedHead`; with ``nms_iou`` suppressed once more.

        Raises:
            EngineError: a class beyond those that are named.
        """
        check_named(self.predictions, raw.arrays["class_ids"], names)
        return OrientedHead.decode(self, raw, frame, choices, names)


def check_named(output: str, class_ids: NDArray[np.int32], names: tuple[str, ...]) -> None:
    """Raise EngineError where a class has no name."""
    highest = int(class_ids.max(initial=-1))
    if highest >= len(names):
        raise EngineError(
            f"output {output!r} has class {highest}, but {len(names)} classes are named; correct `classes`"
        )


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head, where it is said that boxes are oriented; see :mod:`..head`."""
    if "obb" not in (about.head, about.task):
        return None
    named, counts = about.outputs.get("predictions"), row_counts(size)
    tables = [spec for spec in outputs if len(spec.shape) == 3 and spec.shape[0] == 1 and named in (None, spec.name)]
    if len(tables) != 1:
        return "one output of oriented boxes is wanted, [1, 4 + classes + 1, rows] or [1, N, 7]"
    spec = tables[0]
    if spec.dtype != np.float32:
        return f"{shown(spec)} must be floating-point numbers"
    finished = spec.shape[2] == ROW and spec.shape[1] not in counts
    if finished or (about.end_to_end and spec.shape[2] == ROW):
        return FinishedObbHead(spec.name, class_count=None if about.classes is None else len(about.classes))
    axis = next((axis for axis in (2, 1) if spec.shape[axis] in counts), None)
    if axis is None:
        return f"{shown(spec)} must have {list(counts)[-2]} rows for an input of {size[1]}x{size[0]}, or rows of 7"
    classes = spec.shape[3 - axis] - BOX - 1
    if classes < 1:
        return f"{shown(spec)} has no column of scores between the box and the angle"
    return wrong_count(spec, classes, about) or ObbHead(spec.name, class_count=classes, columns_first=axis == 2)
