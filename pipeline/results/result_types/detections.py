"""Detections in results: objects with a class, a score and a box, and columns of any other name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ...drawing.canvas import Canvas, Layer, Stroke
from ...drawing.style import DrawStyle, colors_of
from ...packet import DETECTIONS
from ...types.detections import OBJECT_FIELDS, RESERVED_NAMES, Detections
from ...types.masks import Masks
from ..check import check_class, check_lengths, check_objects, numbers, tracks_of
from ..columns import cells_of, columns_of, without_unknown
from ..masks import ReadFrame
from ..record import PIXEL_DECIMALS, SCORE_DECIMALS, Record, rounded
from .base import ResultType

_LABELLED = ["class", "class_id", "score"]


class DetectionResults(ResultType[Detections]):
    """See :class:`.base.ResultType`."""

    key = DETECTIONS
    field = "objects"
    creator = "a model that detects (retinaface, …)"
    marked = False
    schema = {
        "required": ["box"],
        "dependentRequired": {name: [other for other in _LABELLED if other != name] for name in _LABELLED},
        "additionalProperties": {"$ref": "#/$defs/column"},
        "propertyNames": {"not": {"enum": sorted(RESERVED_NAMES - OBJECT_FIELDS)}},
        "properties": {
            "class": {"type": "string"},
            "class_id": {"type": "integer", "minimum": 0},
            "score": {"$ref": "#/$defs/score"},
            "box": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
            "track": {"$ref": "#/$defs/track"},
            "mask": {"$ref": "#/$defs/mask"},
        },
    }

    def write(self, items: list[Record], value: Detections) -> None:
        """An object for each row, in their order.

        Raises:
            ValueError: a column has NaN or infinity.
        """
        names = value.class_names
        boxes = rounded(value.boxes, PIXEL_DECIMALS).tolist()
        scores = rounded(value.scores, SCORE_DECIMALS).tolist()
        items += (
            {"class": names[class_id], "class_id": class_id, "score": score, "box": box}
            for class_id, score, box in zip(value.class_ids.tolist(), scores, boxes, strict=True)
        )
        if value.track_ids is not None:
            for item, track in zip(items, value.track_ids.tolist(), strict=True):
                if track >= 0:
                    item["track"] = track
        if value.masks is not None:
            for row, item in enumerate(items):
                item["mask"] = value.masks.rle(row)
        for name, column in value.data.items():
            for item, cell in zip(items, cells_of(name, column), strict=True):
                item[name] = cell

    def recorded(self, model: Record) -> bool:
        """Always; there may be none."""
        return True

    def read(self, items: list[Record] | None, model: Record, size: tuple[int, int]) -> Detections:
        """The objects that have a class; none where nothing looked at the frame."""
        detected = [item for item in items or () if "class_id" in item]
        classes = model.get("classes", ())
        names = list(classes)
        for item in detected:  # a header without classes: the objects have the names
            check_class(item, len(classes))
            if item["class_id"] >= len(names):
                names += ["?"] * (item["class_id"] + 1 - len(names))
            names[item["class_id"]] = item["class"]
        nothing = {"size": list(size), "counts": [size[0] * size[1]]}
        with_masks = any("mask" in item for item in detected)
        boxes = [item["box"] for item in detected]
        check_lengths(boxes, ())
        return Detections(
            boxes=numbers("a box", chain.from_iterable(boxes)).reshape(len(detected), 4),
            scores=numbers("a score", [item["score"] for item in detected]),
            class_ids=np.array([item["class_id"] for item in detected], np.int32),
            class_names=tuple(names),
            masks=Masks.from_rles([item.get("mask", nothing) for item in detected], size) if with_masks else None,
            track_ids=tracks_of(detected) if any("track" in item for item in detected) else None,
            data=columns_of(detected),
        )

    def rows(self, record: ReadFrame, items: list[Record]) -> Iterable[Record]:
        """The objects, with and without a class."""
        check_objects(items, record.class_counts)
        return map(without_unknown, items)

    def draw(self, value: Detections, style: DrawStyle) -> Iterator[Stroke]:
        """Masks, boxes and labels, in the colours of the classes."""
        if not len(value):
            return
        colors, masks = colors_of(value.class_ids), value.masks
        if style.masks and masks is not None:
            yield Layer.MASK, lambda canvas: canvas.masks(masks, colors, style.mask_opacity)
        corners = value.corners
        if style.boxes and corners is not None:
            yield Layer.BOX, lambda canvas: canvas.polygons(corners, colors, style)
        elif style.boxes:
            yield Layer.BOX, lambda canvas: canvas.boxes(value.boxes, colors, style)
        if style.labels:
            yield Layer.LABEL, lambda canvas: _draw_labels(canvas, value, colors, style)

    def summary(self, value: Detections) -> list[str]:
        """How many there are of each class."""
        names = [value.class_names[class_id] for class_id in value.class_ids.tolist()]
        return [f"{names.count(name)} {name}" for name in dict.fromkeys(names)]


def _draw_labels(canvas: Canvas, detections: Detections, colors: NDArray[np.uint8], style: DrawStyle) -> None:
    width = canvas.size[1]
    canvas.texts(_texts(detections, style), lambda masks: _label_origins(detections.boxes, masks, width), colors, style)


def _texts(detections: Detections, style: DrawStyle) -> list[str]:
    names, tracks = detections.class_names, detections.track_ids
    texts = [names[class_id] for class_id in detections.class_ids.tolist()]
    if style.scores:
        texts = [f"{text} {score:.2f}" for text, score in zip(texts, detections.scores.tolist(), strict=True)]
    if style.tracks and tracks is not None:
        texts = [f"{text} #{track}" if track >= 0 else text for text, track in zip(texts, tracks.tolist(), strict=True)]
    for column in detections.data.values():
        if column.dtype.kind == "U" and column.ndim == 1:
            texts = [f"{text} {words}" if words else text for text, words in zip(texts, column.tolist(), strict=True)]
    return texts


def _label_origins(boxes: NDArray[np.float32], masks: Sequence[NDArray[np.uint8]], width: int) -> NDArray[np.int32]:
    """Where labels go, int32 [N, 2]: on top of their boxes, inside where there is no room above; within the width.

    Labels of boxes with the same corner stand below each other.
    """
    sizes = np.array([mask.shape for mask in masks], np.int64).reshape(-1, 2)
    corners = np.clip(np.nan_to_num(boxes[:, :2]), -(1 << 20), 1 << 20).astype(np.int64)
    x = np.maximum(np.minimum(corners[:, 0], width - sizes[:, 1]), 0)
    above = corners[:, 1] - sizes[:, 0]
    y = np.where(above >= 0, above, np.maximum(corners[:, 1], 0))
    taken: dict[tuple[int, ...], int] = {}
    for row, corner in enumerate(map(tuple, corners.tolist())):
        y[row] = taken.get(corner, int(y[row]))
        taken[corner] = int(y[row] + sizes[row, 0])
    return np.stack([x, y], axis=1).astype(np.int32)
