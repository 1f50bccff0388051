"""Panoptic maps in results: a record with a mask for each segment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ...drawing.canvas import Canvas, Layer, Stroke
from ...drawing.segment_style import colored_ids, name_places, segment_colors
from ...drawing.style import DrawStyle
from ...packet import PANOPTIC
from ...types.panoptic import PanopticMap, Segment
from ...types.rle import box_of_runs
from ..check import check_class, check_count, check_labels, numbers, whole_numbers
from ..masks import ReadFrame, mask_runs
from ..record import SCORE_DECIMALS, Record
from .base import ResultType


class PanopticResults(ResultType[PanopticMap]):
    """See :class:`.base.ResultType`."""

    key = PANOPTIC
    field = "segments"
    creator = "a panoptic model"
    schema = {
        "required": ["id", "class", "class_id", "is_thing", "area", "mask"],
        "properties": {
            "id": {"type": "integer", "minimum": 1},
            "class": {"type": "string"},
            "class_id": {"type": "integer", "minimum": 0},
            "is_thing": {"type": "boolean"},
            "area": {"type": "integer", "minimum": 0, "description": "Pixels."},
            "mask": {"$ref": "#/$defs/mask"},
            "score": {"$ref": "#/$defs/score"},
            "track": {"$ref": "#/$defs/track"},
        },
    }

    def write(self, items: list[Record], value: PanopticMap) -> None:
        """A record for each segment, in their order."""
        for segment, mask in zip(value.segments, value.rles(), strict=True):
            record: Record = {
                "id": segment.id,
                "class": segment.class_name,
                "class_id": segment.class_id,
                "is_thing": segment.is_thing,
                "area": segment.area_px,
            }
            if segment.score is not None:
                record["score"] = round(segment.score, SCORE_DECIMALS)
            if segment.track_id is not None:
                record["track"] = segment.track_id
            items.append(record | {"mask": mask})

    def read(self, items: list[Record] | None, model: Record, size: tuple[int, int]) -> PanopticMap | None:
        """The map; none where the line has no segments."""
        if items is None:
            return None
        whole_numbers("id", [item["id"] for item in items], -(2**31))  # which of them may be, the map says
        return PanopticMap.from_rles([_segment(item) for item in items], [item["mask"] for item in items], size)

    def rows(self, record: ReadFrame, items: list[Record]) -> Iterable[Record]:
        """Each segment as an object, whose box is that around its mask; one without a pixel has an empty box at 0."""
        check_labels(items, {})  # the classes of the header are those of things
        numbers("a score", [item["score"] for item in items if "score" in item])
        return (_object_of(record, item) for item in items)

    def draw(self, value: PanopticMap, style: DrawStyle) -> Iterator[Stroke]:
        """The segments, and the names of large ones."""
        if not value.segments:
            return
        if style.masks:
            yield Layer.SURFACE, lambda canvas: canvas.segments(*colored_ids(value), style.mask_opacity)
        if style.labels:
            yield Layer.NAME, lambda canvas: _draw_names(canvas, value, style)

    def summary(self, value: PanopticMap) -> list[str]:
        """The class of each segment."""
        return [segment.class_name for segment in value.segments]


def _segment(item: Record) -> Segment:
    check_class(item, 0)  # the classes of the header are those of things
    check_count("area", item["area"])
    score, track = item.get("score"), item.get("track")
    return Segment(
        item["id"],
        item["class_id"],
        item["class"],
        is_thing=bool(item["is_thing"]),
        score=None if score is None else float(numbers("a score", [score])[0]),
        area_px=item["area"],
        track_id=None if track is None else int(whole_numbers("track", [track], 0)[0]),
    )


def _object_of(record: ReadFrame, item: Record) -> Record:
    box = box_of_runs(mask_runs(record, item), record.size[0])
    kept = {name: item[name] for name in ("model", "class", "class_id", "score", "track", "mask") if name in item}
    return kept | {"box": [float(edge) for edge in box]}


def _draw_names(canvas: Canvas, panoptic: PanopticMap, style: DrawStyle) -> None:
    places = name_places(panoptic)
    segments = tuple(panoptic.segments[row] for row, _, _ in places)

    def origins(masks: Sequence[NDArray[np.uint8]]) -> NDArray[np.int32]:
        corners = [
            (x - mask.shape[1] // 2, y - mask.shape[0] // 2) for (_, x, y), mask in zip(places, masks, strict=True)
        ]
        return np.array(corners, np.int32).reshape(-1, 2)

    canvas.texts([_text(segment, style) for segment in segments], origins, segment_colors(segments), style)


def _text(segment: Segment, style: DrawStyle) -> str:
    score = "" if segment.score is None or not style.scores else f" {segment.score:.2f}"
    track = "" if segment.track_id is None or not style.tracks else f" #{segment.track_id}"
    return segment.class_name + score + track
