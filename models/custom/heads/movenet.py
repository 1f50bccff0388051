"""MoveNet: ``[1, 1, 17, 3]`` of one person (y, x, score in 0..1), ``[1, 6, 56]`` of up to six.

A row of the latter is 17 times y, x, score, then ymin, xmin, ymax, xmax and the person's score.

Source: the model cards of MoveNet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....kernels import top_scores
from ....pipeline.packet import DETECTIONS, LANDMARKS, Key
from ....pipeline.types.detections import Detections
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, Head, check_finite
from .boxes import clipped, extent
from .choices import refuse_choices
from .points_alone import PointsHead, landmarks, names_of
from .yolo_rows import BODY_POINTS, shown

MIN_SCORE_OF_PERSON = 0.25
_BOX = 5
"""Numbers behind the points."""
PEOPLE = 6


@dataclass(frozen=True, slots=True)
class OnePersonHead(PointsHead):
    """The points of the one person; see :class:`.points_alone.PointsHead`.

    Attributes:
        output: its name: float32 [1, 1, K, 3].
        size: (height, width) of the input.
    """

    output: str = ""
    size: Size = (1, 1)
    kind: str = "movenet"

    @property
    def reads(self) -> frozenset[str]:
        """The one output."""
        return frozenset({self.output})

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The points in pixels of the input.

        Raises:
            UsageError: a choice that means nothing for this network.
        """
        refuse_choices(choices, "gives the points of one person", but=("min_score",))

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            table = outputs[self.output][0]
            check_finite(self.output, table)
            return {"points": table[..., 1::-1] * extent(self.size)[:2], "scores": np.array(table[..., 2])}

        return pick


@dataclass(frozen=True, slots=True)
class SeveralPeopleHead:
    """Persons, with their points.

    Attributes:
        output: its name: float32 [1, N, 3 K + 5].
        point_names: in their order.
    """

    output: str
    point_names: tuple[str, ...]
    kind: str = "movenet"
    task: str = "objects with points"

    class_count = 1
    device_outputs = ()
    class_names = ("person",)

    @property
    def reads(self) -> frozenset[str]:
        """The one output."""
        return frozenset({self.output})

    @property
    def gives(self) -> tuple[Key[Any], ...]:
        """Persons and points."""
        return (DETECTIONS, LANDMARKS)

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The rows that score enough, best first.

        Raises:
            UsageError: a choice that means nothing for this network.
        """
        refuse_choices(choices, "gives persons", but=("min_score", "max_detections", "classes", "labels"))
        least = MIN_SCORE_OF_PERSON if choices.min_score is None else choices.min_score

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            table = outputs[self.output][0]
            scores = np.ascontiguousarray(table[:, -1])
            limit = len(scores) if choices.max_detections is None else choices.max_detections
            rows = top_scores(scores, min_score=least, limit=limit)
            rows = rows[np.isfinite(table[rows]).all(axis=1)]
            if not len(rows):
                check_finite(self.output, table)
            return {"rows": np.ascontiguousarray(table[rows])}

        return pick

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """The persons, best first, whose boxes have an area in the frame; points may lie outside of it."""
        rows = raw.arrays["rows"]
        if choices.classes is not None and 0 not in choices.classes:
            rows = rows[:0]
        boxes, seen = clipped(raw.affine.boxes(rows[:, [-4, -5, -2, -3]] * extent(raw.size)), frame)
        rows, boxes = rows[seen], boxes[seen]
        table = rows[:, :-_BOX].reshape(len(rows), len(self.point_names), 3)
        points = raw.affine.points(table[..., 1::-1] * extent(raw.size)[:2])
        ids = np.arange(len(rows), dtype=np.int32)
        found = Detections(boxes, rows[:, -1].clip(0, 1), np.zeros(len(rows), np.int32), names)
        return {DETECTIONS: found, LANDMARKS: landmarks(points, table[..., 2], boxes, self.point_names, ids)}


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for one output of these shapes; of other numbers of points where it is said; see :mod:`..head`."""
    said = about.head == "movenet"
    if len(outputs) != 1 or outputs[0].dtype.kind != "f":
        return "one floating-point output is wanted" if said else None
    spec = outputs[0]
    count = BODY_POINTS[0]
    if len(spec.shape) == 4 and spec.shape[:2] == (1, 1) and spec.shape[3] == 3 and (said or spec.shape[2] == count):
        names = names_of(spec.shape[2], about)
        return names if isinstance(names, str) else OnePersonHead(names, output=spec.name, size=size)
    usual = spec.shape == (1, PEOPLE, 3 * count + _BOX)
    if usual or (said and len(spec.shape) == 3 and spec.shape[0] == 1 and spec.shape[2] % 3 == _BOX % 3):
        names = names_of((spec.shape[2] - _BOX) // 3, about)
        return names if isinstance(names, str) else SeveralPeopleHead(spec.name, names)
    return f"{shown(spec)} must be [1, 1, K, 3] or [1, N, 3 K + 5]" if said else None
