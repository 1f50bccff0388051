"""Detectors with a score per class for each of many boxes, which overlap and are suppressed here.

Boxes are offsets to priors (Liu et al., SSD, ECCV 2016), or decoded by the graph; or the graph has suppressed
them too and gives boxes, labels and scores.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....kernels import decode_boxes, ssd_priors
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, Head
from .boxes import (
    BoxForm,
    ClassColumns,
    GivenBoxes,
    best_pairs,
    class_columns,
    finished,
    given_boxes,
    kept,
    output_of,
    softmax,
    wrong_count,
)

MIN_SCORE, NMS_IOU, MAX_DETECTIONS = 0.5, 0.45, 200
"""The overlap and the number as in the published SSD."""
MAX_CANDIDATES = 5000
"""Pairs of box and class that take part in the suppression at most, the best."""
VARIANCES = (0.1, 0.2)

Priors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Anchored(ClassColumns):
    """A box and a score per class for each of P places.

    Attributes:
        scores, boxes: names of the outputs: float32 [1, P, C] and [1, P, 4].
        columns: C.
        activation: ``softmax``, ``sigmoid`` or ``given``.
        background: which column is no class.
        form: of the boxes; those that are offsets are ``xyxy`` and ``relative`` when they are decoded.
        priors: float32 [P, 4], (cx, cy, w, h) relative to the input; None: the graph decodes the boxes.
        variances: of the offsets.
        max_iou: the default.
    """

    scores: str
    boxes: str
    columns: int
    activation: str
    background: str
    form: BoxForm
    priors: Priors | None = None
    variances: tuple[float, float] = VARIANCES
    kind: str = "ssd"
    max_iou: float = NMS_IOU

    @property
    def reads(self) -> frozenset[str]:
        """Scores and boxes."""
        return frozenset({self.scores, self.boxes})

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The pairs of box and class that score enough, best first; boxes decoded."""
        min_score = MIN_SCORE if choices.min_score is None else choices.min_score
        columns = class_columns(self.columns, self.background)

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            scores, boxes = outputs[self.scores][0], outputs[self.boxes][0]
            table = softmax(scores) if self.activation == "softmax" else scores
            rows, ids, best = best_pairs(
                table[:, columns],
                min_score=min_score,
                limit=MAX_CANDIDATES,
                activate=self.activation == "sigmoid",
                classes=choices.classes,
            )
            chosen = boxes[rows]
            if self.priors is not None:
                chosen = decode_boxes(np.ascontiguousarray(chosen), self.priors[rows], variances=self.variances)
            return kept(chosen, ids, best, [(self.scores, scores), (self.boxes, boxes)])

        return pick

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """Detections, best first, each class suppressed by itself."""
        max_iou = self.max_iou if choices.nms_iou is None else choices.nms_iou
        limit = choices.max_detections or MAX_DETECTIONS
        return finished(raw, self.form, frame, names, max_iou=max_iou, limit=limit)


def fit(outputs: Sequence[TensorSpec], about: Description, size: Size) -> Head | str | None:
    """A head for boxes and scores with priors, or for boxes that the graph has decoded; see :mod:`..head`."""
    given = given_boxes(outputs, about, kind="ssd", unit="relative")
    if given is not None:
        return _suppressed(given, about)
    boxes, scores = _tables(outputs, about)
    if boxes is None or scores is None:
        return None
    if boxes.shape[1] != scores.shape[1]:
        return f"outputs {boxes.name!r} {boxes} and {scores.name!r} {scores} must have as many rows"
    priors = _priors(boxes, about, size)
    if isinstance(priors, str):
        return priors
    return _anchored(boxes, scores, about, priors)


def _suppressed(given: GivenBoxes | str, about: Description) -> Head | str:
    """Labels, boxes and scores are a DETR's unless an SSD is said; the background has label 0 unless said otherwise."""
    if isinstance(given, str):
        return given
    if about.head != "ssd":
        return (
            f"outputs {given.labels!r}, {given.boxes!r} and {given.scores!r} are an SSD's that has suppressed boxes "
            "itself, if `head` says so"
        )
    return given if about.background == "none" else replace(given, first_class=1)


def _tables(outputs: Sequence[TensorSpec], about: Description) -> tuple[TensorSpec | None, TensorSpec | None]:
    """Boxes and scores by their roles or names, else the only two tables that they may be."""
    boxes = output_of(outputs, about, "boxes", ("boxes", "loc", "bboxes"))
    scores = output_of(outputs, about, "scores", ("scores", "conf", "confidences"))
    tables = [spec for spec in outputs if len(spec.shape) == 3 and spec.shape[0] == 1 and spec.dtype.kind == "f"]
    if len(tables) == 2 and {spec.shape[2] == 4 for spec in tables} == {True, False}:
        boxes = boxes or next(spec for spec in tables if spec.shape[2] == 4)
        scores = scores or next(spec for spec in tables if spec.shape[2] != 4)
    if boxes not in tables or scores not in tables or boxes == scores or (boxes and boxes.shape[2] != 4):
        return None, None
    return boxes, scores


def _priors(boxes: TensorSpec, about: Description, size: Size) -> Priors | str | None:
    """The priors; None where the description says that boxes are decoded (``boxes_unit``); else what is wrong."""
    if about.priors is not None:
        try:
            priors = np.load(about.priors, mmap_mode="r", allow_pickle=False)  # a head may announce what is not there
        except Exception as error:  # NumPy documents no types here; a damaged head raises nearly anything
            return f"cannot read the priors {about.priors}: {str(error).partition(chr(10))[0]}"
        came = f"{about.priors} holds {getattr(priors, 'dtype', type(priors).__name__)} {list(np.shape(priors))}"
    elif about.prior_strides is not None and about.prior_sizes is not None:
        strides = f"the strides {list(about.prior_strides)[:20]}"
        cells = (math.ceil(size[0] / stride) * math.ceil(size[1] / stride) for stride in about.prior_strides)
        count = sum(one * len(sides) for one, sides in zip(cells, about.prior_sizes, strict=False))
        if count > boxes.shape[1] and len(about.prior_strides) == len(about.prior_sizes):
            wanted = f"{boxes.shape[1]} priors [P, 4] (cx, cy, w, h)"
            return f"output {boxes.name!r} {boxes} needs {wanted}; {strides} give {count}"
        try:
            priors = ssd_priors(size, strides=about.prior_strides, min_sizes=about.prior_sizes)
        except ValueError as error:
            return f"`prior_strides` and `prior_sizes`: {error}"
        came = f"the strides {list(about.prior_strides)} give {len(priors)} for an input of {size[1]}x{size[0]}"
    elif about.boxes_unit is not None:
        return None
    else:
        return (
            f"output {boxes.name!r} {boxes} are boxes of an SSD; say its `priors` (or `prior_strides` and "
            "`prior_sizes`), or that they are decoded (`boxes_unit`)"
        )
    if np.shape(priors) != (boxes.shape[1], 4) or priors.dtype.kind != "f":
        return f"output {boxes.name!r} {boxes} needs {boxes.shape[1]} priors [P, 4] (cx, cy, w, h); {came}"
    return np.ascontiguousarray(priors, np.float32)


def _anchored(boxes: TensorSpec, scores: TensorSpec, about: Description, priors: Priors | None) -> Head | str:
    if about.scores is None:
        return f"output {scores.name!r} {scores}: say whether `scores` are given, or need sigmoid or softmax"
    background = about.background
    if background is None:
        background = "none" if len(about.classes or ()) == scores.shape[2] else "first"
    form = BoxForm("xyxy", "relative")
    if priors is None:
        form = BoxForm(about.boxes or "xyxy", about.boxes_unit or "relative")
    head = Anchored(
        scores.name,
        boxes.name,
        scores.shape[2],
        about.scores,
        background,
        form,
        priors,
        about.variances or VARIANCES,
    )
    return wrong_count(scores, head.class_count, about) or head
