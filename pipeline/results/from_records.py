"""Detections, landmarks and segments of a frame of a results file, checked as they are made."""

from __future__ import annotations

from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ..types.detections import Detections
from ..types.landmarks import Landmarks
from ..types.masks import Masks
from ..types.panoptic import Segment
from .check import check_class, check_count, check_lengths, numbers, whole_numbers
from .format import Record

DAMAGE = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError)
"""What making something of a record raises that does not fit the format."""


def detections_from(items: list[Record], class_names: tuple[str, ...], size: tuple[int, int]) -> Detections:
    names = list(class_names)
    for item in items:  # a header without classes: the objects have the names
        check_class(item, len(class_names))
        if item["class_id"] >= len(names):
            names += ["?"] * (item["class_id"] + 1 - len(names))
        names[item["class_id"]] = item["class"]
    nothing = {"size": list(size), "counts": [size[0] * size[1]]}
    with_masks = [item for item in items if "mask" in item]
    with_tracks = [item for item in items if "track" in item]
    boxes = [item["box"] for item in items]
    check_lengths(boxes, ())
    return Detections(
        boxes=numbers("a box", chain.from_iterable(boxes)).reshape(len(items), 4),
        scores=numbers("a score", [item["score"] for item in items]),
        class_ids=np.array([item["class_id"] for item in items], np.int32),
        class_names=tuple(names),
        masks=Masks.from_rles([item.get("mask", nothing) for item in items], size) if with_masks else None,
        track_ids=_tracks(items) if with_tracks else None,
    )


def _tracks(items: list[Record]) -> NDArray[np.int32]:
    return whole_numbers("track", [item.get("track", -1) for item in items], -1)


def landmarks_from(detected: list[Record], others: list[Record], names: tuple[str, ...]) -> Landmarks:
    rows = [(row, item) for row, item in enumerate(detected) if "points" in item]
    rows += [(-1, item) for item in others if "points" in item]
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
        track_ids=_tracks([item for _, item in rows]),
    )


def segment_from(item: Record) -> Segment:
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


def what(error: Exception) -> str:
    """What an error says, as a part of a line."""
    text = f"one is without a {error.args[0]}" if isinstance(error, KeyError) else str(error)
    return text.partition("\n")[0][:200]
