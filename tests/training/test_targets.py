"""Which anchor finds which object, in cases that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from vidgraph.kernels import decode_boxes, decode_points
from vidgraph.training.targets import MatchRule, encode_boxes, encode_points, match, overlap

LEFT, RIGHT, MIDDLE = (0.25, 0.5, 0.5, 1.0), (0.75, 0.5, 0.5, 1.0), (0.5, 0.5, 0.5, 1.0)
PRIORS = np.array([LEFT, RIGHT, MIDDLE], np.float32)
YOLACT = MatchRule(positive=0.5, negative=0.4)

Box = tuple[float, float, float, float]


def matched(
    boxes: list[Box], rule: MatchRule = YOLACT, ignored: list[bool] | None = None
) -> tuple[list[int], list[int], list[int]]:
    """Labels, positive anchors and their objects; object N is of class N."""
    count = len(boxes)
    found = match(
        PRIORS,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.arange(count, dtype=np.int32),
        np.array(ignored if ignored is not None else [False] * count, np.bool_),
        rule,
    )
    return found.labels.tolist(), found.anchors.tolist(), found.rows.tolist()


def test_overlaps_by_hand() -> None:
    corners = np.array([(0, 0, 0.5, 1), (0.5, 0, 1, 1), (0.25, 0, 0.75, 1)], np.float32)
    boxes = np.array([(0, 0, 0.5, 1), (0.25, 0.0, 0.5, 0.5)], np.float32)
    np.testing.assert_allclose(overlap(boxes, corners), [[1, 0, 1 / 3], [0.25, 0, 0.25]])
    np.testing.assert_allclose(overlap(boxes, corners, of_anchor=True), [[1, 0, 0.5], [0.25, 0, 0.25]])


def test_an_object_takes_the_anchor_that_it_fits() -> None:
    assert matched([(0, 0, 0.5, 1)]) == ([1, 0, 0], [0], [0])


def test_between_the_thresholds_an_anchor_takes_no_part() -> None:
    """The middle anchor overlaps the object by a third."""
    assert matched([(0, 0, 0.5, 1)], MatchRule(0.5, 0.3)) == ([1, 0, -1], [0], [0])
    assert matched([(0, 0, 0.5, 1)], MatchRule(0.3, 0.2)) == ([1, 0, 1], [0, 2], [0, 0])


def test_the_best_anchor_finds_an_object_that_fits_none() -> None:
    """It overlaps the right anchor by a fifth, and no other."""
    narrow = [(0.8, 0.0, 0.9, 1.0)]
    assert matched(narrow) == ([0, 1, 0], [1], [0])
    assert matched(narrow, MatchRule(0.5, 0.4, best=0.2 - 1e-6)) == ([0, 1, 0], [1], [0])
    assert matched(narrow, MatchRule(0.5, 0.4, best=0.21)) == ([0, 0, 0], [], [])


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_objects_with_one_best_anchor_the_better_one_has_it(order: int) -> None:
    """The other takes its second best, though it overlaps the first by more than the threshold."""
    boxes: list[Box] = [(0, 0, 0.5, 1), (0.05, 0, 0.5, 1)]
    labels, anchors, rows = matched(boxes[::order])
    assert (anchors, rows) == ([0, 2], [0, 1][::order])
    assert labels == [rows[0] + 1, 0, rows[1] + 1]


def test_an_object_takes_several_of_its_anchors() -> None:
    """It overlaps the left one by 0.2, the middle one by 0.2 and the right one not at all."""
    narrow = [(0.4, 0.0, 0.5, 1.0)]
    assert matched(narrow)[1] == [0]
    assert matched(narrow, MatchRule(0.5, 0.4, anchors_per_object=2))[1] == [0, 2]
    assert matched(narrow, MatchRule(0.5, 0.4, anchors_per_object=3))[1] == [0, 2]


def test_but_none_that_it_overlaps_much_less_than_the_best() -> None:
    """1 and 1/3."""
    assert matched([(0, 0, 0.5, 1)], MatchRule(0.5, 0.4, anchors_per_object=2))[1] == [0]


def test_several_take_no_anchor_of_an_object_that_fits_it() -> None:
    boxes: list[Box] = [(0.25, 0, 0.75, 1), (0.4, 0.0, 0.5, 1.0)]
    assert matched(boxes, MatchRule(0.5, 0.4, anchors_per_object=3)) == ([2, 0, 1], [0, 2], [1, 0])


def test_ignored_objects_are_found_by_none_and_make_none_background() -> None:
    """Nor do they where an anchor lies in a large one, such as a crowd."""
    assert matched([(0, 0, 0.5, 1)], ignored=[True]) == ([-1, 0, 0], [], [])
    assert matched([(0, 0, 1, 3)], ignored=[True]) == ([-1, -1, -1], [], [])
    labels, anchors, rows = matched([(0, 0, 0.5, 1), (0.5, 0, 1, 1)], ignored=[True, False])
    assert (labels, anchors, rows) == ([-1, 2, 0], [1], [1])


def test_without_objects_all_is_background() -> None:
    assert matched([]) == ([0, 0, 0], [], [])


def test_what_is_encoded_is_decoded() -> None:
    random = np.random.default_rng(0)
    corner, sides = random.random((2, 50, 2))
    boxes = np.concatenate([corner, corner + sides + 0.01], axis=1).astype(np.float32)
    priors = random.uniform(0.1, 1, (50, 4)).astype(np.float32)
    points = random.random((50, 5, 2)).astype(np.float32)
    loc = encode_boxes(boxes, priors, (0.1, 0.2))
    np.testing.assert_allclose(decode_boxes(loc, priors, variances=(0.1, 0.2)), boxes, atol=1e-5)
    raw = encode_points(points, priors, 0.1)
    np.testing.assert_allclose(decode_points(raw, priors, variance=0.1), points, atol=1e-5)
