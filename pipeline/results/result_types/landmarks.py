"""Landmarks in results: the points of the objects, which they join."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from ...drawing.canvas import Canvas, Layer, Stroke
from ...drawing.style import DrawStyle, colors_of
from ...packet import LANDMARKS
from ...types.landmarks import Landmarks
from ..check import check_lengths, numbers, tracks_of
from ..record import PIXEL_DECIMALS, SCORE_DECIMALS, Record, rounded
from .base import ResultType


class LandmarkResults(ResultType[Landmarks]):
    """See :class:`.base.ResultType`. A row that belongs to no detection is an object of its own, without a class."""

    key = LANDMARKS
    field = "objects"
    what = "points"
    creator = "a model that gives landmarks (retinaface, …)"
    marked = False  # the header has the names of the points
    schema = {"properties": {"points": {"type": "array", "items": {"$ref": "#/$defs/point"}}}}

    def write(self, items: list[Record], value: Landmarks) -> None:
        """Points go to their objects; objects of their own follow.

        Raises:
            ValueError: a row belongs to a detection that is not there.
        """
        if not len(value):
            return
        points = np.concatenate(
            [rounded(value.points, PIXEL_DECIMALS), rounded(value.scores, SCORE_DECIMALS)[..., None]], axis=2
        ).tolist()
        boxes = rounded(value.boxes, PIXEL_DECIMALS).tolist()
        for row, of in enumerate(value.detection_rows.tolist()):
            if of >= len(items):
                raise ValueError(
                    f"landmarks row {row} belongs to detection {of}, the frame has {len(items)};"
                    " a stage that leaves detections out does so with packet.keep_rows(rows)"
                )
            if of >= 0:
                items[of]["points"] = points[row]
                continue
            alone: Record = {"box": boxes[row]}
            if value.track_ids[row] >= 0:
                alone["track"] = int(value.track_ids[row])
            items.append(alone | {"points": points[row]})

    def recorded(self, model: Record) -> bool:
        """The header names the points."""
        return bool(model.get("points"))

    def read(self, items: list[Record] | None, model: Record, size: tuple[int, int]) -> Landmarks:
        """The points of objects with a class, then those of the others."""
        names = tuple(model.get("points", ()))
        detected = [item for item in items or () if "class_id" in item]
        rows = [(row, item) for row, item in enumerate(detected) if "points" in item]
        rows += [(-1, item) for item in items or () if "class_id" not in item and "points" in item]
        if not names and rows:
            names = tuple(str(number) for number in range(len(rows[0][1]["points"])))
        several = [item["points"] for _, item in rows]
        if not set(map(len, several)) <= {len(names)}:
            raise ValueError(f"an object must have {len(names)} points")
        each, boxes = list(chain.from_iterable(several)), [item["box"] for _, item in rows]
        check_lengths(boxes, each)
        flat = numbers("a point or its box", chain(chain.from_iterable(boxes), chain.from_iterable(each)))
        points = flat[4 * len(rows) :].reshape(len(rows), len(names), 3)
        return Landmarks(
            points=points[..., :2].copy(),
            scores=points[..., 2].copy(),
            boxes=flat[: 4 * len(rows)].reshape(len(rows), 4),
            names=names,
            detection_rows=np.array([row for row, _ in rows], np.int32),
            track_ids=tracks_of([item for _, item in rows]),
        )

    def draw(self, value: Landmarks, style: DrawStyle) -> Iterator[Stroke]:
        """Points that score enough, each in the colour of its number."""
        if len(value) and style.points:
            yield Layer.POINT, lambda canvas: _draw(canvas, value, style)


def _draw(canvas: Canvas, landmarks: Landmarks, style: DrawStyle) -> None:
    rows, names = landmarks.points.shape[:2]
    shown = landmarks.scores.reshape(-1) >= style.min_point_score
    colors = colors_of(np.arange(1, names + 1).repeat(rows).reshape(names, rows).T.reshape(-1))
    canvas.points(landmarks.points.reshape(-1, 2)[shown], colors[shown])
