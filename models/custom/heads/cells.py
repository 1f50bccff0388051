"""Boxes that the graph leaves at the cells of its maps: one decoding for all, told by data how a network leaves them.

A :class:`Layout` is what is known of a kind of network, a :class:`CellsHead` that layout on the outputs of one file.

Sources: Redmon and Farhadi, YOLOv3, 2018, Ge et al., YOLOX, 2021 (centres and exponentials); Tian et al., FCOS,
ICCV 2019 (distances to the four sides); Li et al., Generalized Focal Loss, NeurIPS 2020 (each the expectation of
a distribution over whole numbers).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....kernels import best_classes, class_nms
from ....kernels.box_rows import corner_boxes
from ....pipeline.errors import UsageError
from ....pipeline.packet import DETECTIONS, LANDMARKS
from ....pipeline.types.detections import Detections
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..head import Found
from .boxes import Floats, best_pairs, clipped, kept, sigmoid, softmax
from .yolo_results import YoloRows, landmarks
from .yolo_rows import Extras

MAX_CANDIDATES = 5000
"""Pairs of cell and class of one output that take part in the suppression at most, the best."""

Columns = tuple[str, ...]
"""What an output has in a row, one after the other: ``boxes``, ``objectness``, ``scores``, ``points``."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a kind of network leaves its boxes.

    Attributes:
        strides: of its maps, in input pixels.
        anchors: boxes at each cell of each map; those of a cell follow one another.
        outputs: the columns of each output; of several of one kind, those of the first map come first.
        joined: the rows of all maps are in one output; else each map has outputs of its own.
        origin: where in its cell a box is measured from: 0 is the corner at the top left, 0.5 the middle.
        box: ``exponential``: centre, and the logarithms of the sides; ``linear``: centre and sides; ``distances`` to
            left, top, right and bottom; ``bins``: the same, each as logits of 0, 1, 2, …
        in_strides: the numbers are multiples of the stride; else pixels.
        score: ``given``, ``sigmoid``, ``product`` with the objectness, or ``root`` of that product.
        several: a cell may be of several classes; else of its best one.
        classes: how many there are; None: any number.
        bins: how many logits a distance usually has.
        points: names of the points of each object, whose x and y are measured as centres are.
        min_score, max_iou, limit: the defaults: score, overlap of one class, and how many detections at most.
    """

    strides: tuple[int, ...]
    outputs: tuple[Columns, ...]
    box: str
    score: str
    anchors: tuple[int, ...] = (1, 1, 1, 1, 1)
    joined: bool = False
    origin: float = 0.0
    in_strides: bool = True
    several: bool = False
    classes: int | None = None
    bins: int = 1
    points: tuple[str, ...] = ()
    min_score: float = 0.3
    max_iou: float = 0.45
    limit: int = 300

    def maps(self, size: Size) -> list[Floats]:
        """Of each map the rows float32 [A, 3] of an input of (height, width): where a box is measured from, x and y
        in pixels, and in what unit."""
        found = []
        for stride, anchors in zip(self.strides, self.anchors, strict=False):
            y, x = np.mgrid[: -(-size[0] // stride), : -(-size[1] // stride)].astype(np.float32)
            unit = np.full_like(x, stride if self.in_strides else 1)
            rows = np.stack([(x + self.origin) * stride, (y + self.origin) * stride, unit], axis=-1)
            found.append(np.repeat(rows.reshape(-1, 3), anchors, axis=0))
        return found

    def decoded(self, numbers: Floats, cells: Floats) -> Floats:
        """Boxes float32 [K, 4] of ``numbers`` [K, 4] (or [K, 4 x bins]) of the rows ``cells`` [K, 3], in pixels,
        (x1, y1, x2, y2); what is no finite number stays so."""
        origin, unit = cells[:, :2], cells[:, 2:]
        with np.errstate(over="ignore", invalid="ignore"):
            if self.box == "bins":
                shares = softmax(numbers.reshape(len(numbers), 4, numbers.shape[1] // 4))
                numbers = np.dot(shares, np.arange(shares.shape[2], dtype=np.float32)).astype(np.float32)
            if self.box in ("bins", "distances"):
                return np.concatenate([origin - numbers[:, :2] * unit, origin + numbers[:, 2:] * unit], axis=1)
            sides = np.exp(numbers[:, 2:]) if self.box == "exponential" else numbers[:, 2:]
            return corner_boxes(np.concatenate([origin + numbers[:, :2] * unit, sides * unit], axis=1), "cxcywh", None)


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Outputs whose rows are those of the same cells.

    Attributes:
        parts: what there is -> name of the output, and its columns.
        cells: float32 [A, 3], see :meth:`Layout.maps`.
    """

    parts: Mapping[str, tuple[str, slice]]
    cells: Floats

    def read(self, outputs: Mapping[str, NDArray[Any]], part: str) -> Floats:
        """The columns of ``part``, float32 [A, columns] of any strides."""
        name, columns = self.parts[part]
        return outputs[name].reshape(len(self.cells), -1)[:, columns]


@dataclass(frozen=True, slots=True, eq=False)
class CellsHead(YoloRows):
    """A box and scores, and points perhaps, for each cell of the maps of a network.

    Attributes:
        kind: of the network.
        layout: how its boxes are left.
        groups: of its outputs, one for each map, or one.
        class_count: columns of scores.
        logits: scores and objectness still need their sigmoid.
        extras: the points.
    """

    kind: str
    layout: Layout
    groups: tuple[Group, ...]
    class_count: int
    logits: bool
    extras: Extras

    @property
    def reads(self) -> frozenset[str]:
        """All of its outputs."""
        return frozenset(name for group in self.groups for name, _ in group.parts.values())

    @property
    def device_outputs(self) -> tuple[str, ...]:
        """None: it works in host memory."""
        return ()

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The cells that score enough; boxes and points decoded, in pixels of the input."""
        if choices.nms is not None:
            raise UsageError(
                f"a {self.kind} head suppresses class by class and in no other way, got nms {choices.nms!r}"
            )

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            found = [self._found(group, outputs, choices) for group in self.groups]
            boxes, points, ids, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
            finite = np.isfinite(boxes).all(axis=1) & np.isfinite(points).all(axis=1)
            arrays = kept(boxes[finite], ids[finite], scores[finite], list(self._asked(outputs)))
            return arrays | {"extras": points[finite]}

        return pick

    def _asked(self, outputs: Mapping[str, NDArray[Any]]) -> Iterable[tuple[str, Floats]]:
        for group in self.groups:
            for part in group.parts:
                yield group.parts[part][0], group.read(outputs, part)

    def _found(
        self, group: Group, outputs: Mapping[str, NDArray[Any]], choices: PostprocessOptions
    ) -> tuple[Floats, Floats, NDArray[np.int32], Floats]:
        """Of one group: boxes [K, 4], points [K, 2 x points], class ids [K] and scores [K] of what scores enough."""
        min_score = self.layout.min_score if choices.min_score is None else choices.min_score
        scores = group.read(outputs, "scores")
        if self.layout.several:
            rows, ids, best = best_pairs(
                scores, min_score=min_score, limit=MAX_CANDIDATES, activate=self.logits, classes=choices.classes
            )
        else:
            rows, ids, best = self._best(scores, group, outputs, min_score)
            if choices.classes is not None:
                wanted = np.isin(ids, choices.classes)
                rows, ids, best = rows[wanted], ids[wanted], best[wanted]
        cells = group.cells[rows]
        boxes = self.layout.decoded(group.read(outputs, "boxes")[rows], cells)
        count = len(self.layout.points)
        if not count:
            return boxes, np.zeros((len(rows), 0), np.float32), ids, best
        moved = group.read(outputs, "points")[rows].reshape(len(rows), count, 2) * cells[:, None, 2:]
        return boxes, (moved + cells[:, None, :2]).reshape(len(rows), 2 * count), ids, best

    def _best(
        self, scores: Floats, group: Group, outputs: Mapping[str, NDArray[Any]], min_score: float
    ) -> tuple[NDArray[np.int64], NDArray[np.int32], Floats]:
        """Row, best class and score of the cells that score more than ``min_score``; in the order of the rows."""
        objectness = group.read(outputs, "objectness")[:, 0] if "objectness" in group.parts else None
        if objectness is not None and self.logits:
            objectness = sigmoid(objectness)
        root = self.layout.score == "root"
        # A hair below the bound, because it is the root, rounded to float32, that has to be above.
        bound = min_score * min_score * (1 - 1e-6) if root else min_score
        rows, ids, best = best_classes(scores, min_score=bound, objectness=objectness, sigmoid=self.logits)
        best = np.sqrt(np.maximum(best, 0)) if root else best
        above = np.flatnonzero(np.isfinite(best) & (best > np.float32(min_score)))
        return rows[above], ids[above], np.minimum(best[above], np.float32(1))

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """Detections and their points, best first, each class suppressed by itself."""
        layout, arrays = self.layout, raw.arrays
        rows = class_nms(
            arrays["boxes"],
            arrays["scores"],
            arrays["class_ids"],
            max_iou=layout.max_iou if choices.nms_iou is None else choices.nms_iou,
            limit=layout.limit if choices.max_detections is None else choices.max_detections,
        )
        with np.errstate(over="ignore"):  # a coordinate beyond all floats becomes infinity
            boxes, seen = clipped(raw.affine.boxes(arrays["boxes"][rows]), frame)
        boxes, rows = boxes[seen], rows[seen]
        found: Found = {DETECTIONS: Detections(boxes, arrays["scores"][rows], arrays["class_ids"][rows], names)}
        if self.extras.points is not None:
            found[LANDMARKS] = landmarks(raw, boxes, arrays["extras"][rows], self.extras, "pixels")
        return found
