"""Objects as points: a heat map of centres for each class, the size of the box at each place, and where in it it is.

Source: Zhou et al., Objects as Points, arXiv 1904.07850, and its authors' decode: a centre is a place that is no lower
than its eight neighbours, the best 100 are kept, and nothing is suppressed. Of neighbours that are as high as each
other the first is kept, as rounding makes such plateaus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....kernels import top_scores
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, Head
from .boxes import BoxForm, FindsObjects, Floats, finished, kept, logit, output_of, sigmoid, wrong_count
from .yolo_rows import end_of, shown

MIN_SCORE = 0.3
MOST = 100
_BEFORE = ((-1, -1), (-1, 0), (-1, 1), (0, -1))
"""Neighbours (rows, columns) that come first; the others are opposite."""


@dataclass(frozen=True, slots=True)
class CenterNetHead(FindsObjects):
    """The best centres, with their boxes.

    Attributes:
        heat: name of the output float32 [1, C, h, w].
        sizes, offsets: [1, 2, h, w] each: (w, h) of the box and (x, y) in the place, in places; without offsets
            the centre is the middle of the place.
        places: (h, w).
        class_count: C.
        logits: whether the heat still needs its sigmoid.
    """

    heat: str
    sizes: str
    offsets: str | None
    places: Size
    class_count: int
    logits: bool
    kind: str = "centernet"

    @property
    def reads(self) -> frozenset[str]:
        """All of them."""
        return frozenset({self.heat, self.sizes, self.offsets} - {None})  # type: ignore[arg-type]

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The boxes of the best centres, relative to the input, with scores and class ids."""
        least = MIN_SCORE if choices.min_score is None else choices.min_score
        classes = list(range(self.class_count)) if choices.classes is None else sorted(set(choices.classes))
        bound = max(logit(least), float(np.finfo(np.float32).min)) if self.logits else least

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            heat = outputs[self.heat][0]
            ids, rows, columns = peaks(heat[classes], bound)
            values = heat[np.array(classes, np.int64)[ids], rows, columns]
            scores = np.minimum(sigmoid(values) if self.logits else values, np.float32(1))
            best = top_scores(scores, min_score=least, limit=MOST)
            ids, rows, columns = (each[best] for each in (ids, rows, columns))
            boxes = self._boxes(outputs, rows, columns)
            named = np.array(classes, np.int32)[ids]
            return kept(boxes, named, scores[best], [(self.heat, heat), (self.sizes, outputs[self.sizes])])

        return pick

    def _boxes(self, outputs: Mapping[str, NDArray[Any]], rows: NDArray[Any], columns: NDArray[Any]) -> Floats:
        """Boxes float32 [K, 4] (x1, y1, x2, y2) relative to the input."""
        at = np.stack([columns, rows]).astype(np.float32)
        at += np.float32(0.5) if self.offsets is None else outputs[self.offsets][0][:, rows, columns]
        halves = outputs[self.sizes][0][:, rows, columns] / np.float32(2)
        whole = np.array(self.places[::-1], np.float32)[:, None]
        boxes: Floats = np.concatenate([(at - halves) / whole, (at + halves) / whole]).T.astype(np.float32)
        return boxes

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """The detections, best first; with ``nms_iou`` suppressed by class."""
        form = BoxForm("xyxy", "relative")
        return finished(raw, form, frame, names, max_iou=choices.nms_iou, limit=choices.max_detections)


def peaks(heat: Floats, above: float) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Class, row and column int64 [K] of the places of ``heat`` [C, h, w] that are above and no lower than neighbours.

    Of two neighbours that are as high as each other, the one that comes first in its map.
    """
    ids, rows, columns = np.nonzero(heat > np.float32(above))
    values = heat[ids, rows, columns]
    highest = np.isfinite(values)
    for sign, higher in ((1, np.greater_equal), (-1, np.greater)):
        for down, right in _BEFORE:
            beside = rows + sign * down, columns + sign * right
            there = (beside[0] >= 0) & (beside[1] >= 0) & (beside[0] < heat.shape[1]) & (beside[1] < heat.shape[2])
            at = np.flatnonzero(there)
            highest[at] &= ~higher(heat[ids[at], beside[0][at], beside[1][at]], values[at])
    return ids[highest], rows[highest], columns[highest]


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """The head for ``hm``, ``wh`` and perhaps ``reg``, or those that the TOML names; see :mod:`..head`."""
    said = about.head == "centernet"
    heat = output_of(outputs, about, "scores", ("hm", "heatmap"))
    sizes = output_of(outputs, about, "boxes", ("wh",))
    offsets = output_of(outputs, about, "offsets", ("reg", "offset"))
    if heat is None or sizes is None:
        return "`hm` and `wh`, or `scores` and `boxes` of `outputs`, are wanted" if said else None
    if offsets is None and "offsets" in about.outputs:
        return f"there is no output {about.outputs['offsets']!r} (`offsets` of `outputs`)"
    if about.scores == "softmax":
        return 'a heat map has no softmax: scores = "given" or "sigmoid"'
    maps = heat.shape[2:]
    for spec in (heat, sizes, offsets):
        if spec is not None and (spec.dtype.kind != "f" or spec.shape[:1] != (1,) or spec.shape[2:] != maps):
            return f"{shown(spec)} must be floating-point maps [1, C, {', '.join(map(str, maps))}]" if said else None
    if len(maps) != 2:
        return f"{shown(heat)} must be floating-point maps [1, C, h, w]" if said else None
    for pair in (sizes, offsets):
        if pair is not None and pair.shape[1] != 2:
            return f"{shown(pair)} must have two maps, of x and of y" if said else None
    problem = wrong_count(heat, heat.shape[1], about)
    if problem is not None:
        return problem
    logits = _are_logits(heat, about)
    if logits is None:
        return f'say whether {shown(heat)} is in 0..1: scores = "given", or "sigmoid" where that is not yet applied'
    name = None if offsets is None else offsets.name
    return CenterNetHead(heat.name, sizes.name, name, (maps[0], maps[1]), heat.shape[1], logits)


def _are_logits(heat: TensorSpec, about: Description) -> bool | None:
    """Whether its sigmoid is still to be applied: as is said, or as the graph ends; None: unknown."""
    if about.scores is not None:
        return about.scores == "sigmoid"
    end = end_of(heat, about)
    if len(end.columns) == 1:
        return end.columns[0][0] == ""
    return False if "Sigmoid" in end.operators else None
