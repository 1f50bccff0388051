"""Leaving detections out of a packet: the landmarks that belong to them go with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from vidgraph import DETECTIONS, LANDMARKS, Detections, Frame, Key, Landmarks, Packet, Picture
from vidgraph.pipeline.results.format import frame_record


def detections(count: int) -> Detections:
    """Each row is known by its box."""
    boxes = np.arange(count, dtype=np.float32)[:, None] * 10 + np.array([0, 0, 5, 5], np.float32)
    return Detections(boxes, np.full(count, 0.5, np.float32), np.zeros(count, np.int32), ("face",))


def landmarks(of: list[int]) -> Landmarks:
    """Each row is known by its point, which is the number of the row."""
    rows = np.arange(len(of), dtype=np.float32)
    points = np.repeat(rows, 2).reshape(-1, 1, 2)
    return Landmarks(
        points,
        np.ones((len(of), 1), np.float32),
        np.zeros((len(of), 4), np.float32),
        ("nose",),
        np.array(of, np.int32),
        rows.astype(np.int32) + 100,
    )


def packet(count: int, of: list[int] | None) -> Packet:
    made = Packet(Frame("s", 0, 0, 0, 0, Picture.from_rgb(np.zeros((4, 4, 3), np.uint8))))
    made = made.with_item(DETECTIONS, detections(count))
    return made if of is None else made.with_item(LANDMARKS, landmarks(of))


def pairs(given: Packet) -> list[tuple[float, int]]:
    """(the landmarks' own number, x1 of the detection they belong to, or -1)."""
    boxes, points = given[DETECTIONS].boxes, given[LANDMARKS]
    return [
        (float(point[0, 0]), -1 if of < 0 else int(boxes[of, 0]))
        for point, of in zip(points.points, points.detection_rows.tolist(), strict=True)
    ]


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        (slice(1, None), [1, 2, 3]),
        (slice(None, None, -1), [3, 2, 1, 0]),
        (np.array([True, False, False, True]), [0, 3]),
        (np.zeros(4, np.bool_), []),
        (np.array([2, 0]), [2, 0]),
        ([3, 3], [3, 3]),
    ],
)
def test_landmarks_stay_with_their_detections(rows: Any, kept: list[int]) -> None:
    before = packet(4, [2, 0, -1, 3])
    after = before.keep_rows(rows)
    assert after[DETECTIONS].boxes[:, 0].tolist() == [10 * row for row in kept]
    own = {2: 0.0, 0: 1.0, 3: 3.0}
    assert pairs(after) == [(own[row], 10 * row) for row in kept if row in own] + [(2.0, -1)]
    assert after[LANDMARKS].track_ids.tolist() == [100 + int(number) for number, _ in pairs(after)]
    assert after[LANDMARKS].detection_rows.dtype == np.int32
    assert pairs(before) == [(0.0, 20), (1.0, 0), (2.0, -1), (3.0, 30)]


def test_every_object_is_written_with_its_own_points() -> None:
    scene = packet(3, [0, 1, 2])
    objects = frame_record(scene.keep_rows(slice(1, 3)))["objects"]
    assert [(item["box"][0], item["points"][0][0]) for item in objects] == [(10.0, 1.0), (20.0, 2.0)]
    alone = scene.with_item(DETECTIONS, scene[DETECTIONS][1:])
    with pytest.raises(
        ValueError, match=r"row 2 belongs to detection 2, the frame has 2; .* packet\.keep_rows\(rows\)"
    ):
        frame_record(alone)


def test_without_landmarks_and_with_other_keys() -> None:
    assert len(packet(3, None).keep_rows(slice(2))[DETECTIONS]) == 2
    cars, points = Key("cars", Detections), Key("car points", Landmarks)
    both = packet(2, [0, 1]).with_item(cars, detections(3)).with_item(points, landmarks([2, 1]))
    after = both.keep_rows([2], detections=cars, landmarks=points)
    assert (len(after[DETECTIONS]), len(after[LANDMARKS])) == (2, 2)
    assert (len(after[cars]), after[points].detection_rows.tolist()) == (1, [0])
    assert after[points].points.tolist() == [[[0.0, 0.0]]]


def test_rows_of_another_frame_are_refused() -> None:
    with pytest.raises(IndexError):
        packet(3, [0]).keep_rows(np.ones(4, np.bool_))
    with pytest.raises(KeyError, match="has no item 'cars'"):
        packet(3, [0]).keep_rows(slice(1), detections=Key("cars", Detections))
