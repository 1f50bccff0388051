"""What the heads of boxes share: their outputs by role or name, scores, and boxes in frame pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....engines.spec import TensorSpec
from ....kernels import class_nms, queued, top_scores
from ....pipeline.errors import EngineError
from ....pipeline.packet import DETECTIONS, Key
from ....pipeline.types.detections import Detections
from ....pipeline.types.picture import Size
from ....stages.inference.infer import RawOutputs
from ...formats import Arrays, OutputSelector
from ...options import PostprocessOptions
from ..description import Description
from ..head import Found, check_finite

Floats = NDArray[np.float32]


def output_of(
    outputs: Sequence[TensorSpec], about: Description, role: str, names: Sequence[str] = ()
) -> TensorSpec | None:
    """The output that ``about`` gives the role, or the first of ``names`` that there is."""
    given = about.outputs.get(role)
    by_name = {spec.name: spec for spec in outputs}
    return next((by_name[name] for name in ((given,) if given else names) if name in by_name), None)


def class_columns(count: int, background: str) -> slice:
    """Which of ``count`` columns of scores are classes; background as in :class:`..description.Description`."""
    return slice(1 if background == "first" else 0, count - 1 if background == "last" else count)


class FindsObjects:
    """What heads have in common that find objects without points."""

    task: str = "boxes"
    point_names: tuple[str, ...] = ()
    gives: tuple[Key[Any], ...] = (DETECTIONS,)
    device_outputs: tuple[str, ...] = ()


class ClassColumns(FindsObjects):
    """Those among them whose scores have a column for each class."""

    columns: int
    background: str

    @property
    def class_count(self) -> int:
        """Columns but that of the background."""
        return len(range(self.columns)[class_columns(self.columns, self.background)])


def wrong_count(spec: TensorSpec, classes: int, about: Description) -> str | None:
    """What is wrong where the description names another number of classes than an output has."""
    named = len(about.classes or ())
    if about.classes is None or named == classes:
        return None
    return f"output {spec.name!r} {spec} speaks of {classes} classes, but {named} are named (`classes`, `background`)"


def sigmoid(logits: Floats) -> Floats:
    """1 / (1 + exp(-x)), float32 of any shape; NaN stays NaN."""
    with np.errstate(over="ignore"):
        probabilities: Floats = np.float32(1) / (np.float32(1) + np.exp(-logits))
    return probabilities


def softmax(logits: Floats) -> Floats:
    """Along the last axis, float32; a row with a NaN or +infinity is NaN."""
    with np.errstate(invalid="ignore", over="ignore"):
        powers = np.exp(logits - logits.max(axis=-1, keepdims=True, initial=-np.inf))
        shares: Floats = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def logit(probability: float) -> float:
    """The inverse of the sigmoid; infinite at 0 and 1."""
    if not 0.0 < probability < 1.0:
        return -np.inf if probability <= 0.0 else np.inf
    return float(np.log(probability / (1.0 - probability)))


def best_pairs(
    values: Floats, *, min_score: float, limit: int, activate: bool, classes: Sequence[int] | None
) -> tuple[NDArray[np.int64], NDArray[np.int32], Floats]:
    """Pairs of a row and a class that score more than ``min_score``, best first.

    Args:
        values: float32 [A, C], probabilities, or logits where ``activate``. Others than finite ones are left out.
        limit: pairs at most.
        classes: only these columns; None: all.

    Returns:
        rows int64 [K], class ids int32 [K], scores float32 [K]; ties keep the lower row, then the lower class.
    """
    columns = np.arange(values.shape[1]) if classes is None else np.array(sorted(set(classes)), np.int64)
    flat = (values if classes is None else values[:, columns]).reshape(-1)
    # A hair below the bound, because it is the score, rounded to float32, that has to be above.
    bound = max(logit(min_score) - 1e-3, float(np.finfo(np.float32).min)) if activate else min_score
    found = top_scores(flat, min_score=bound, limit=limit)
    found = found[np.isfinite(flat[found])]
    scores = sigmoid(flat[found]) if activate else flat[found]
    above = np.flatnonzero(scores > np.float32(min_score))
    found, scores = found[above], np.minimum(scores[above], np.float32(1))
    if not len(columns):
        return found, found.astype(np.int32), scores
    return found // len(columns), columns[found % len(columns)].astype(np.int32), scores


@dataclass(frozen=True, slots=True)
class BoxForm:
    """What the four numbers of a box mean: ``order`` and ``unit`` are ``boxes`` and ``boxes_unit`` of a description."""

    order: str
    unit: str

    def in_input(self, boxes: Any, size: Size, count: queued.Count = None) -> Any:
        """Boxes float32 [N, 4] in pixels of an input of (height, width) ``size``, (x1, y1, x2, y2).

        ``count``: how many of them count; see :mod:`vidgraph.kernels.queued`.
        """
        whole = (float(size[1]), float(size[0])) if self.unit == "relative" else None
        return queued.corner_boxes(boxes, self.order, whole, count=count)

    def in_frame(self, boxes: Floats, raw: RawOutputs) -> Floats:
        """Boxes float32 [N, 4] in frame pixels, (x1, y1, x2, y2), not clipped."""
        return raw.affine.boxes(self.in_input(boxes, raw.size))


def extent(size: Size) -> Floats:
    """(width, height) twice, of a (height, width): what relative boxes are multiplied with."""
    return np.array((size[1], size[0]) * 2, np.float32)


def kept(
    boxes: Floats,
    ids: NDArray[np.int32],
    scores: Floats,
    asked: Sequence[tuple[str, NDArray[Any]]],
    **more: NDArray[Any],
) -> Arrays:
    """What a head of boxes takes: ``boxes`` float32 [K, 4], ``scores`` float32 [K] and ``class_ids`` int32 [K].

    Args:
        boxes, ids, scores: of the candidates, [N, 4], [N] and [N]; those whose box is not finite are left out.
        asked: names of outputs, and what was looked at of each; nothing may be kept only where it holds numbers.
        more: what else belongs to the candidates, [N, …] each, and is kept under its name.

    Raises:
        EngineError: nothing is kept, and one of the outputs has no finite number.
    """
    finite = np.flatnonzero(np.isfinite(boxes).all(axis=1))
    if not len(finite):
        for name, array in asked:
            check_finite(name, array)
    found = {"boxes": np.ascontiguousarray(boxes[finite]), "scores": scores[finite], "class_ids": ids[finite]}
    return found | {name: array[finite] for name, array in more.items()}


def clipped(boxes: Floats, frame: Size) -> tuple[Floats, NDArray[np.int64]]:
    """Boxes float32 [N, 4] within a frame of (height, width), and the rows int64 [K] of those with an area in it.

    The others lie in the padding of the input, or are none.
    """
    within: Floats = np.clip(boxes, 0, extent(frame))
    return within, np.flatnonzero((within[:, 2:] > within[:, :2]).all(axis=1))


def finished(
    raw: RawOutputs, form: BoxForm, frame: Size, names: tuple[str, ...], *, max_iou: float | None, limit: int | None
) -> Found:
    """The best detections, best first, clipped to the frame; what has no area in it is left out.

    Args:
        raw: what :func:`kept` gave.
        form: of its boxes.
        frame: (height, width).
        names: of the classes, by class id.
        max_iou: leave out what a better one of its class overlaps by more; None: nothing.
        limit: how many at most; None: all.
    """
    return {DETECTIONS: placed(raw, form, frame, names, max_iou=max_iou, limit=limit)[0]}


def placed(
    raw: RawOutputs, form: BoxForm, frame: Size, names: tuple[str, ...], *, max_iou: float | None, limit: int | None
) -> tuple[Detections, NDArray[np.int64]]:
    """The detections of :func:`finished`, and which rows int64 [N] of ``raw`` they are."""
    boxes, scores, ids = form.in_frame(raw.arrays["boxes"], raw), raw.arrays["scores"], raw.arrays["class_ids"]
    rows = np.arange(len(boxes))[:limit]
    if max_iou is not None:
        rows = class_nms(boxes, scores, ids, max_iou=max_iou, limit=len(boxes) if limit is None else limit)
    inside, seen = clipped(boxes[rows], frame)
    rows = rows[seen]
    return Detections(inside[seen], scores[rows], ids[rows], names), rows


@dataclass(frozen=True, slots=True)
class GivenBoxes(FindsObjects):
    """Boxes, scores and labels as the graph's own post-processing gives them, a row each.

    Attributes:
        kind: the head.
        labels, scores, boxes: names of the outputs: int64 [1, N] (or [N]), float32 of the same shape, and [.., N, 4].
        form: of the boxes.
        first_class: the label of class 0; rows with a lower one are no objects.
        class_count: how many classes are named, which the outputs do not say; None: unknown.
        min_score: the default.
    """

    kind: str
    labels: str
    scores: str
    boxes: str
    form: BoxForm
    first_class: int = 0
    class_count: int | None = None
    min_score: float = 0.5

    @property
    def reads(self) -> frozenset[str]:
        """Labels, scores and boxes."""
        return frozenset({self.labels, self.scores, self.boxes})

    def select_outputs(self, choices: PostprocessOptions) -> OutputSelector:
        """The rows that score enough."""
        min_score = self.min_score if choices.min_score is None else choices.min_score

        def pick(outputs: Mapping[str, NDArray[Any]]) -> Arrays:
            scores, ids, boxes = self.columns(outputs)
            rows = top_scores(scores, min_score=min_score, limit=len(scores))
            wanted = np.isfinite(scores[rows]) & (ids[rows] >= 0)
            if choices.classes is not None:
                wanted &= np.isin(ids[rows], choices.classes)
            rows = rows[wanted]
            best = np.minimum(scores[rows], np.float32(1))
            asked = [(self.scores, scores), (self.boxes, boxes)]
            return kept(boxes[rows], ids[rows].astype(np.int32), best, asked, **self.more(outputs, rows))

        return pick

    def more(self, outputs: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]) -> Arrays:
        """What else is kept of the ``rows`` int64 [K], [K, …] each."""
        return {}

    def columns(self, outputs: Mapping[str, NDArray[Any]]) -> tuple[Floats, NDArray[np.int64], Floats]:
        """Scores float32 [N], class ids int64 [N], negative where there is no object, and boxes float32 [N, 4]."""
        scores = np.ascontiguousarray(outputs[self.scores]).reshape(-1)
        return scores, outputs[self.labels].reshape(-1) - self.first_class, outputs[self.boxes].reshape(-1, 4)

    def decode(self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]) -> Found:
        """Detections, best first, as the graph gives them; with ``nms_iou`` suppressed once more.

        Raises:
            EngineError: a label beyond the classes that are named.
        """
        return {DETECTIONS: self.detections(raw, frame, choices, names)[0]}

    def detections(
        self, raw: RawOutputs, frame: Size, choices: PostprocessOptions, names: tuple[str, ...]
    ) -> tuple[Detections, NDArray[np.int64]]:
        """The same, and which rows int64 [N] of ``raw`` they are."""
        highest = int(raw.arrays["class_ids"].max(initial=-1))
        if highest >= len(names):
            raise EngineError(
                f"output {self.labels!r} has label {highest + self.first_class}, but {len(names)} classes are named; "
                "correct `classes` or `background`"
            )
        return placed(raw, self.form, frame, names, max_iou=choices.nms_iou, limit=choices.max_detections)


@dataclass(frozen=True, slots=True)
class GivenRows(GivenBoxes):
    """The same in one output float32 [1, N, 6], which all three names are of: box, score and class in a row."""

    def columns(self, outputs: Mapping[str, NDArray[Any]]) -> tuple[Floats, NDArray[np.int64], Floats]:
        """As of :class:`GivenBoxes`; a class that is no number is no object."""
        table = outputs[self.boxes][0]
        numbers = table[:, 5]
        ids = np.where(np.abs(numbers) < 2**30, np.rint(numbers), -1).astype(np.int64)
        return np.ascontiguousarray(table[:, 4]), ids, table[:, :4]


def given_boxes(outputs: Sequence[TensorSpec], about: Description, *, kind: str, unit: str) -> GivenBoxes | str | None:
    """The head for outputs that are labels, boxes and scores of N rows; ``unit`` of the boxes where none is said."""
    labels = output_of(outputs, about, "labels", ("labels", "classes"))
    scores = output_of(outputs, about, "scores", ("scores",))
    boxes = output_of(outputs, about, "boxes", ("boxes", "bboxes"))
    if labels is None or scores is None or boxes is None:
        return None
    if labels.dtype.kind != "i":
        return None
    rows = boxes.shape[-2] if len(boxes.shape) >= 2 else 0
    if boxes.shape[-1] != 4 or boxes.dtype.kind != "f" or len(boxes.shape) not in (2, 3):
        return f"output {boxes.name!r} must be boxes float32 [1, N, 4], got {boxes}"
    for spec in (labels, scores):
        if spec.shape not in ((1, rows), (rows,), (1, rows, 1)):
            return f"output {spec.name!r} must be [1, {rows}], one for each box, got {spec}"
    if scores.dtype.kind != "f":
        return f"output {scores.name!r} must be scores float32 [1, {rows}], got {scores}"
    return GivenBoxes(
        kind,
        labels.name,
        scores.name,
        boxes.name,
        BoxForm(about.boxes or "xyxy", about.boxes_unit or unit),
        1 if about.background == "first" else 0,
        None if about.classes is None else len(about.classes),
    )
