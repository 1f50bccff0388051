"""Zones: the names of those that an object's foot is in."""

from __future__ import annotations

import numpy as np
import pytest
from vidgraph import DETECTIONS, Detections, Frame, Packet, Picture
from vidgraph.stages.areas import contains
from vidgraph.stages.zones import MarkZones, marked

LEFT = [(0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)]
BOTTOM = [(0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0)]
ZONES = {"left": LEFT, "bottom": BOTTOM}


def detections(*boxes: tuple[float, float, float, float]) -> Detections:
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(count, 4), np.ones(count, np.float32), np.zeros(count, np.int32), ("a",)
    )


@pytest.mark.parametrize(
    ("box", "zones"),
    [
        ((10, 10, 20, 30), "left"),
        ((10, 10, 20, 80), "left,bottom"),
        ((70, 10, 90, 80), "bottom"),
        ((70, 10, 90, 30), ""),
        ((30, 0, 50, 120), "left,bottom"),  # it reaches out of the picture
        ((-40, 0, -10, 30), "left"),
        ((0, 0, 60, 100), "left,bottom"),  # cut off by the lower edge of the picture
    ],
)
def test_the_foot_of_an_object_is_in_its_zones(box: tuple[float, float, float, float], zones: str) -> None:
    assert marked(detections(box), ZONES, (100, 100)).data["zones"].tolist() == [zones]


def test_nothing_found_has_the_column_too() -> None:
    found = marked(detections(), ZONES, (100, 100)).data["zones"]
    assert (found.shape, found.dtype.kind) == ((0,), "U")


def test_a_box_that_is_nowhere_is_in_no_zone() -> None:
    assert marked(detections((np.nan,) * 4), ZONES, (100, 100)).data["zones"].tolist() == [""]


def test_zones_without_straight_sides() -> None:
    """Points against the definition: the sign of the angle to each side of a convex polygon."""
    angles = np.linspace(0, 2 * np.pi, 7, endpoint=False)
    polygon = [(0.5 + 0.4 * np.cos(a), 0.5 + 0.3 * np.sin(a)) for a in angles]
    points = np.random.default_rng(1).random((2000, 2))
    expected = np.ones(len(points), np.bool_)
    for (x1, y1), (x2, y2) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        expected &= (x2 - x1) * (points[:, 1] - y1) - (y2 - y1) * (points[:, 0] - x1) > 0
    np.testing.assert_array_equal(contains(polygon, points[:, 0], points[:, 1]), expected)


def test_what_a_polygon_goes_around_twice_is_in_it() -> None:
    star = [(0.5 + 0.4 * np.sin(a), 0.5 - 0.4 * np.cos(a)) for a in 4 * np.pi / 5 * np.arange(5)]
    for polygon in (star, star[::-1]):
        assert contains(polygon, np.array([0.5, 0.5, 0.1]), np.array([0.5, 0.2, 0.1])).tolist() == [True, True, False]


def test_each_stream_has_its_own() -> None:
    picture = Picture.from_rgb(np.zeros((100, 100, 3), np.uint8))
    stage = MarkZones({"door": ZONES})
    for stream, expected in (("door", ["left"]), ("yard", None)):
        packet = Packet(Frame(stream, 0, 0, 0, 0, picture)).with_item(DETECTIONS, detections((10, 10, 20, 30)))
        (out,) = stage.process(packet)
        zones = out[DETECTIONS].data.get("zones")
        assert (None if zones is None else zones.tolist()) == expected


def test_a_frame_without_detections_stays_as_it_is() -> None:
    packet = Packet(Frame("door", 0, 0, 0, 0, Picture.from_rgb(np.zeros((4, 4, 3), np.uint8))))
    assert list(MarkZones({"door": ZONES}).process(packet)) == [packet]
